"""An offer is frozen as the merchant made it, and says what it still lacks."""

from dataclasses import replace

import pytest

from backend import quoting, revising
from backend.checkout import document
from backend.confirmation import digest, sheet
from backend.errors import (
    ConfirmationMismatch,
    Conflict,
    MerchantFailed,
    NotFound,
    Unprocessable,
)
from backend.till import Profile
from tests.backend.buying import books, confirmed, dinner, driven, nothing_moved, quoted
from tests.backend.fakes_checkout import BUYER, HOME


async def test_a_quote_is_frozen_with_the_merchants_own_total_and_a_hash(world):
    row = await quoted(world)
    assert (row.state, row.revision) == ("awaiting_confirmation", 1)
    assert row.total == 2 * 1250 + 4800 + 490 + 730
    assert row.confirmation_hash == digest(row.confirmation)
    assert row.confirmation["merchant_of_record"] == "Kiln & Co Ltd"
    assert row.confirmation["cancellation_policy"] == "Free until it is shipped"


async def test_the_sheet_adds_up_to_the_total_with_tax_delivery_and_discount(world):
    row = await quoted(world)
    row = await revising.revise(
        world.till,
        user_id="usr_ada",
        checkout_id=row.id,
        changes=revising.Changes(discount_codes=("WELCOME",)),
    )
    lines = sheet(row.confirmation)
    assert sum(line["qty"] * line["unit"] for line in lines) == row.total
    assert {"title": "Discount", "qty": 1, "unit": -500} in lines


@pytest.mark.parametrize(
    ("total", "expected"),
    [(1000, [("Mug", 2, 500)]), (1100, [("Mug", 2, 500), ("Tax", 1, 100)])],
)
def test_tax_is_a_line_only_where_it_comes_on_top(total, expected):
    shown = {
        "lines": [{"title": "Mug", "quantity": 2, "unit_amount": 500, "amount": 1000}],
        "totals": [{"type": "tax", "label": "Tax", "amount": 100}],
        "total": total,
    }
    assert [(line["title"], line["qty"], line["unit"]) for line in sheet(shown)] == expected


def test_what_no_reading_explains_is_one_line_and_still_adds_up():
    shown = {
        "lines": [{"title": "Mug", "quantity": 3, "unit_amount": 333, "amount": 1000}],
        "totals": [],
        "total": 1234,
    }
    lines = sheet(shown)
    assert sum(line["qty"] * line["unit"] for line in lines) == 1234
    assert lines[-1] == {"title": "Charges and discounts", "qty": 1, "unit": 234}


async def test_the_commission_is_in_nothing_that_is_shown(world):
    row = await quoted(world)
    assert row.fee == round(row.total * 0.05)
    shown = str(document(row))
    assert "fee_terms" not in shown
    assert "'fee'" not in shown
    assert "bps" not in shown


async def test_a_commission_in_thousandths_is_what_the_processor_can_move_of_it(world):
    world.shop.currency = "KWD"
    row = await quoted(world)
    assert (row.total, row.currency) == (8520, "KWD")
    assert row.fee == 420  # 5 % are 426
    done = await driven(world, row)
    assert done.state == "completed"
    assert (await books(world))["fee_accrued:merchant:mer_shop"] == -420


async def test_a_total_that_no_card_can_be_charged_is_refused_before_it_is_agreed_to(world):
    world.shop.currency = "KWD"
    world.shop.prices["mug"] = 1251
    row = await quoted(world)
    assert row.total % 10
    assert (row.state, row.confirmation_hash) == ("quoted", None)
    assert row.messages[-1]["code"] == "amount_unsupported"
    assert "8.522 KWD" in row.messages[-1]["text"]
    with pytest.raises(Conflict, match="messages"):
        await confirmed(world, row)
    nothing_moved(world, row)


async def test_a_total_that_the_merchant_charges_by_itself_is_its_own_affair(world):
    world.sellers["mer_shop"] = replace(world.sellers["mer_shop"], settlement="merchant")
    world.shop.currency = "KWD"
    world.shop.prices["mug"] = 1251
    row = await quoted(world)
    assert row.state == "awaiting_confirmation"


async def test_a_booking_is_held_while_the_person_decides(world):
    row = await dinner(world)
    assert row.state == "awaiting_confirmation"
    assert row.hold_expires_at is not None
    assert row.expires_at <= row.hold_expires_at
    assert document(row)["hold"]["expires_at"].endswith("Z")


async def test_what_is_missing_stands_in_the_messages_and_nothing_can_be_confirmed(world):
    world.profiles["usr_ada"] = Profile(None, HOME)
    row = await quoted(world)
    assert row.state == "quoted"
    assert row.confirmation_hash is None
    assert [note["code"] for note in row.messages] == ["missing"]
    with pytest.raises(Conflict, match="missing"):
        await confirmed(world, row)


async def test_giving_what_was_missing_makes_a_new_revision_that_can_be_confirmed(world):
    world.profiles["usr_ada"] = Profile()
    row = await quoted(world)
    row = await revising.revise(
        world.till,
        user_id="usr_ada",
        checkout_id=row.id,
        changes=revising.Changes(buyer=BUYER, address=HOME),
    )
    assert (row.state, row.revision) == ("awaiting_confirmation", 2)


async def test_a_new_revision_kills_the_old_hash(world):
    first = await quoted(world)
    await revising.revise(
        world.till,
        user_id="usr_ada",
        checkout_id=first.id,
        changes=revising.Changes(lines=(("off_mug", 1),)),
    )
    with pytest.raises(ConfirmationMismatch):
        await confirmed(world, first)
    nothing_moved(world, first)


async def test_sold_out_goods_are_quoted_with_the_reason_and_cannot_be_confirmed(world):
    world.shop.stock["mug"] = 0
    row = await quoted(world)
    assert row.state == "quoted"
    assert row.messages[0]["code"] == "out_of_stock"


async def test_a_merchant_may_not_add_goods_that_were_not_asked_for(world):
    world.shop.extra_lines = [("mug", 5)]
    row = await quoted(world)
    assert row.state == "quoted"
    assert row.messages[-1]["code"] == "quantity_changed"


async def test_a_repeat_of_the_same_request_is_the_same_checkout(world):
    first, second = [
        await quoting.quote(
            world.till, user_id="usr_ada", lines=[("off_mug", 1)], request_key="turn_1"
        )
        for _ in range(2)
    ]
    assert first.id == second.id
    assert world.shop.calls.count("quote") == 1


async def test_offers_of_two_merchants_need_two_checkouts(world):
    with pytest.raises(Unprocessable, match="several merchants"):
        await quoted(world, ("off_mug", 1), ("off_table", 1))


async def test_an_unknown_offer_is_not_found(world):
    with pytest.raises(NotFound):
        await quoted(world, ("off_nothing", 1))


async def test_a_silent_merchant_fails_the_quote_and_leaves_nothing_confirmable(world):
    world.shop.unreachable = {"quote"}
    with pytest.raises(MerchantFailed):
        await quoted(world)


async def test_a_hand_off_merchant_gives_a_link_and_can_never_be_charged(world):
    world.sellers["mer_site"] = replace(
        world.sellers["mer_shop"], id="mer_site", settlement="handoff", destination=None
    )
    row = await quoted(world, ("off_site", 1))
    assert row.state == "quoted"
    assert row.handoff_url == f"https://lamps.example/lamp?ref=emptor&emptor_token={row.id}"
    with pytest.raises(Conflict):
        await confirmed(world, row)
    assert world.payments.charges == {}


@pytest.mark.parametrize(
    ("status", "words"), [("expired", "run out already"), ("canceled", "called this offer off")]
)
async def test_an_offer_that_is_over_from_the_start_says_what_it_is(
    world, monkeypatch, status, words
):
    made = world.shop.quote

    async def over(basket, *, key):
        return replace(await made(basket, key=key), status=status)

    monkeypatch.setattr(world.shop, "quote", over)
    row = await quoted(world)
    (note,) = row.messages
    assert (row.state, note["code"], note["severity"]) == ("quoted", status, "error")
    assert words in note["text"]
    with pytest.raises(Conflict, match="see its messages"):
        await confirmed(world, row)
