"""One purchase or booking from the offer to the books, and every way in which it may end."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlmodel import select

from backend import consent, jobs, ledger, orders, quoting
from backend.checkout import Checkout, document, fetch
from backend.confirmation import digest, sheet
from backend.consent import Consent, confirm
from backend.errors import (
    AlreadyCanceled,
    AuthenticationRequired,
    ConfirmationMismatch,
    Conflict,
    MerchantFailed,
    NotFound,
    OfferChanged,
    OfferExpired,
    PaymentDeclined,
    Unprocessable,
)
from backend.incidents import Incident
from backend.purchase import drive
from backend.till import Profile
from integrations.partner import PartnerRefused, PartnerUnreachable
from integrations.payments import Method
from tests.backend.fakes_checkout import BUYER, HOME, World

VISA = Method("pm_card_visa")


@pytest.fixture
async def world(database):
    made = World.on(database)
    yield made
    await made.database.dispose()


async def quoted(world: World, *lines: tuple[str, int]) -> Checkout:
    return await quoting.quote(
        world.till, user_id="usr_ada", lines=lines or [("off_mug", 2), ("off_pot", 1)]
    )


async def dinner(world: World) -> Checkout:
    return await quoting.quote(world.till, user_id="usr_ada", lines=[("off_table", 1)])


def agreed(row: Checkout, method: Method | None = VISA) -> Consent:
    return Consent(row.confirmation_hash or "", method, "198.51.100.7", "pytest")


async def confirmed(world: World, row: Checkout, method: Method | None = VISA):
    return await confirm(
        world.till, user_id="usr_ada", checkout_id=row.id, consent=agreed(row, method)
    )


async def driven(world: World, row: Checkout, method: Method | None = VISA) -> Checkout:
    """Confirm, then let the worker do its job until the row stands still."""
    await confirmed(world, row, method)
    return await finished(world, row)


async def finished(world: World, row: Checkout) -> Checkout:
    for _ in range(40):
        await drive(world.till, row.id)
        now = await again(world, row)
        if now.state in {"completed", "failed", "canceled"} or now.step == "authenticate":
            return now
        await world.pass_time()
    raise AssertionError(f"still {now.state}/{now.step}")


async def again(world: World, row: Checkout) -> Checkout:
    async with world.database.transaction() as session:
        return await fetch(session, row.id, user_id=row.user_id)


async def outcome(world: World, row: Checkout):
    return consent.answer(await again(world, row))


async def incidents(world: World) -> list[str]:
    async with world.database.transaction() as session:
        return list((await session.execute(select(Incident.kind))).scalars())


async def books(world: World) -> dict[str, int]:
    async with world.database.transaction() as session:
        assert (await ledger.verify(session)).ok
        return {a.account: a.balance for a in await ledger.accounts(session)}


def nothing_moved(world: World, row: Checkout) -> None:
    assert world.payments.captured_for(row.id) == 0
    assert world.payments.held_for(row.id) == 0
    assert world.shop.live_orders(row.reference) == []


# --- the offer ----------------------------------------------------------------------------------


async def test_a_quote_is_frozen_with_the_merchants_own_total_and_a_hash(world):
    row = await quoted(world)
    assert (row.state, row.revision) == ("awaiting_confirmation", 1)
    assert row.total == 2 * 1250 + 4800 + 490 + 730
    assert row.confirmation_hash == digest(row.confirmation)
    assert row.confirmation["merchant_of_record"] == "Kiln & Co Ltd"
    assert row.confirmation["cancellation_policy"] == "Free until it is shipped"


async def test_the_sheet_adds_up_to_the_total_with_tax_delivery_and_discount(world):
    row = await quoted(world)
    row = await quoting.revise(
        world.till,
        user_id="usr_ada",
        checkout_id=row.id,
        changes=quoting.Changes(discount_codes=("WELCOME",)),
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
    row = await quoting.revise(
        world.till,
        user_id="usr_ada",
        checkout_id=row.id,
        changes=quoting.Changes(buyer=BUYER, address=HOME),
    )
    assert (row.state, row.revision) == ("awaiting_confirmation", 2)


async def test_a_new_revision_kills_the_old_hash(world):
    first = await quoted(world)
    await quoting.revise(
        world.till,
        user_id="usr_ada",
        checkout_id=first.id,
        changes=quoting.Changes(lines=(("off_mug", 1),)),
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


# --- consent ------------------------------------------------------------------------------------


async def test_a_purchase_is_authorised_placed_captured_and_booked(world):
    row = await driven(world, await quoted(world))
    status, shown = await outcome(world, row)
    assert (status, shown["state"]) == (200, "completed")
    assert world.payments.captured_for(row.id) == row.total
    [order] = world.shop.live_orders(row.reference)
    assert order.total.amount == row.total
    cost = row.total * 29 // 1000
    assert await books(world) == {
        "cash:stripe_pending": row.total - cost,
        "processor_fee:merchant:mer_shop": cost,
        "payable:merchant:mer_shop": -(row.total - row.fee),
        "fee_accrued:merchant:mer_shop": -row.fee,
    }


async def test_the_order_tells_what_its_checkout_agreed(world):
    row = await driven(world, await quoted(world))
    async with world.database.transaction() as session:
        order = await orders.fetch(session, row.order_id, user_id="usr_ada")
        history = await orders.events(session, order.id)
    shown = orders.document(order, history)
    assert (shown["state"], shown["total"], shown["refunded"]) == ("placed", row.total, 0)
    assert shown["merchant_order_id"] == row.merchant_order_id
    assert shown["lines"] == row.confirmation["lines"]
    assert [event["type"] for event in history] == ["placed", "captured"]


async def test_a_booking_runs_the_same_road(world):
    row = await driven(world, await dinner(world))
    assert row.state == "completed"
    assert [o.total.amount for o in world.restaurant.orders.values()] == [row.total]
    assert world.payments.captured_for(row.id) == row.total


async def test_the_evidence_of_consent_is_kept(world):
    row = await driven(world, await quoted(world))
    assert row.confirmed == {
        "hash": row.confirmation_hash,
        "revision": 1,
        "address": "198.51.100.7",
        "user_agent": "pytest",
    }
    assert row.confirmed_at is not None


async def test_our_fee_and_the_merchants_account_travel_with_the_charge(world):
    row = await driven(world, await quoted(world))
    [charge] = world.payments.charges.values()
    assert (charge.destination, charge.fee.amount) == ("acct_kiln", row.fee)


async def test_fifty_confirms_at_once_make_one_charge_and_one_order(database):
    world = World.on(database, wait_s=20)
    row = await quoted(world)
    app = jobs.build(world.till)
    worker = asyncio.create_task(jobs.worker(app))
    answers = await asyncio.gather(*(confirmed(world, row) for _ in range(50)))
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert {status for status, _ in answers} == {200}
    assert len({shown["order_id"] for _, shown in answers}) == 1
    assert len(world.payments.charges) == 1
    assert len(world.shop.orders) == 1
    assert world.payments.captured_for(row.id) == row.total
    await world.database.dispose()


async def test_a_second_confirm_answers_with_the_same_result(world):
    row = await driven(world, await quoted(world))
    status, shown = await confirmed(world, row)
    assert (status, shown["order_id"]) == (200, row.order_id)
    assert len(world.payments.charges) == 1


async def test_a_wrong_hash_pays_nothing_even_after_it_was_paid(world):
    row = await quoted(world)
    wrong = Consent("0" * 64, VISA)
    with pytest.raises(ConfirmationMismatch):
        await confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=wrong)
    nothing_moved(world, row)
    await driven(world, row)
    with pytest.raises(ConfirmationMismatch):
        await confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=wrong)


@pytest.mark.parametrize(
    "field",
    [
        "lines",
        "totals",
        "total",
        "currency",
        "merchant",
        "merchant_of_record",
        "delivery",
        "deliver_to",
        "buyer",
        "booking",
        "cancellation_policy",
        "disclosure",
        "expires_at",
        "revision",
        "settlement",
        "kind",
        "checkout_id",
        "nonce",
        "version",
    ],
)
async def test_a_hash_over_any_other_field_is_refused(world, field):
    row = await quoted(world)
    assert field in row.confirmation
    forged = digest({**row.confirmation, field: "something else"})
    with pytest.raises(ConfirmationMismatch):
        await confirm(
            world.till, user_id="usr_ada", checkout_id=row.id, consent=Consent(forged, VISA)
        )
    nothing_moved(world, row)


async def test_every_field_of_the_confirmation_is_covered_by_that_test(world):
    row = await quoted(world)
    marks = test_a_hash_over_any_other_field_is_refused.pytestmark
    assert set(row.confirmation) == set(marks[0].args[1])


def _price(shop):
    shop.prices["mug"] += 1


def _cheaper(shop):
    shop.prices["mug"] -= 1


def _tax(shop):
    shop.tax_bps += 100


def _currency(shop):
    shop.currency = "USD"


def _stock(shop):
    shop.stock["mug"] = 0


def _terms(shop):
    shop.policy = "No refunds"


def _delivery(shop):
    shop.delivery += 100


def _title(shop):
    shop.titles["mug"] = "Plastic mug"


@pytest.mark.parametrize(
    "drift", [_price, _cheaper, _tax, _currency, _stock, _terms, _delivery, _title]
)
async def test_any_drift_at_the_merchant_charges_nothing_and_shows_the_new_offer(world, drift):
    row = await quoted(world)
    drift(world.shop)
    with pytest.raises(OfferChanged) as raised:
        await confirmed(world, row)
    shown = raised.value.extra["checkout"]
    assert shown["revision"] == 2
    assert shown["confirmation_hash"] != row.confirmation_hash
    assert shown["messages"]
    nothing_moved(world, row)


async def test_the_new_offer_can_be_confirmed_after_a_drift(world):
    row = await quoted(world)
    world.shop.prices["mug"] += 100
    with pytest.raises(OfferChanged):
        await confirmed(world, row)
    row = await driven(world, await again(world, row))
    assert row.state == "completed"
    assert world.payments.captured_for(row.id) == row.total


async def test_an_expired_offer_cannot_be_confirmed(world):
    row = await quoted(world)
    await _sql(world, "UPDATE checkout SET expires_at = now() - interval '1 second'")
    with pytest.raises(OfferExpired):
        await confirmed(world, row)
    assert (await again(world, row)).state == "expired"
    nothing_moved(world, row)


async def test_an_offer_that_the_merchant_ended_is_expired(world):
    row = await quoted(world)
    world.shop.sessions[row.reference].status = "expired"
    with pytest.raises(OfferExpired):
        await confirmed(world, row)
    nothing_moved(world, row)


async def test_a_canceled_checkout_cannot_be_confirmed(world):
    row = await quoted(world)
    await consent.cancel(world.till, user_id="usr_ada", checkout_id=row.id)
    with pytest.raises(AlreadyCanceled):
        await confirmed(world, row)
    await jobs.sweep(world.till)
    assert world.shop.sessions[row.reference].status == "canceled"


async def test_a_completed_checkout_is_not_canceled_but_its_order_is(world):
    row = await driven(world, await quoted(world))
    with pytest.raises(Conflict, match="order"):
        await consent.cancel(world.till, user_id="usr_ada", checkout_id=row.id)


async def test_a_foreign_checkout_is_not_found(world):
    row = await quoted(world)
    for attempt in (
        confirm(world.till, user_id="usr_eve", checkout_id=row.id, consent=agreed(row)),
        consent.cancel(world.till, user_id="usr_eve", checkout_id=row.id),
        quoting.revise(
            world.till, user_id="usr_eve", checkout_id=row.id, changes=quoting.Changes()
        ),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_merchant_that_cannot_be_asked_charges_nothing_and_may_be_tried_again(world):
    row = await quoted(world)
    world.shop.unreachable = {"read"}
    with pytest.raises(MerchantFailed):
        await confirmed(world, row)
    world.shop.unreachable = set()
    assert (await driven(world, row)).state == "completed"


async def test_a_charge_needs_a_payment_method(world):
    with pytest.raises(Conflict, match="payment_method"):
        await confirmed(world, await quoted(world), None)


# --- how it may end otherwise -------------------------------------------------------------------


async def test_a_declined_card_orders_nothing(world):
    row = await driven(world, await quoted(world), Method("pm_card_chargeDeclined"))
    assert (row.state, row.failure_code) == ("failed", "payment_declined")
    with pytest.raises(PaymentDeclined):
        await outcome(world, row)
    assert world.shop.calls.count("place") == 0
    nothing_moved(world, row)
    assert await books(world) == {}


async def test_an_unknown_payment_method_is_refused(world):
    row = await driven(world, await quoted(world), Method("pm_unknown"))
    with pytest.raises(PaymentDeclined):
        await outcome(world, row)
    nothing_moved(world, row)


async def test_the_banks_question_parks_the_purchase_and_its_answer_resumes_it(world):
    row = await driven(world, await quoted(world), Method("pm_card_authenticationRequired"))
    with pytest.raises(AuthenticationRequired) as raised:
        await outcome(world, row)
    assert raised.value.extra["next_action"]["url"] == "https://bank.example/3ds"
    assert world.shop.calls.count("place") == 0
    world.payments.authenticate(row.payment_id)
    row = await finished(world, row)
    assert row.state == "completed"
    assert world.payments.captured_for(row.id) == row.total


async def test_a_failed_answer_to_the_bank_is_a_decline(world):
    row = await driven(world, await quoted(world), Method("pm_card_authenticationRequired"))
    world.payments.authenticate(row.payment_id, succeeds=False)
    row = await finished(world, row)
    assert (row.state, row.failure_code) == ("failed", "authentication_failed")
    with pytest.raises(PaymentDeclined):
        await outcome(world, row)
    nothing_moved(world, row)


async def test_a_bank_that_is_never_answered_ends_with_the_offer(world):
    row = await driven(world, await quoted(world), Method("pm_card_authenticationRequired"))
    await _sql(world, "UPDATE checkout SET expires_at = now() - interval '1 hour'")
    row = await finished(world, row)
    assert (row.state, row.failure_code) == ("failed", "authentication_failed")
    nothing_moved(world, row)


async def test_a_purchase_that_waits_for_the_bank_can_be_canceled(world):
    row = await driven(world, await quoted(world), Method("pm_card_authenticationRequired"))
    await consent.cancel(world.till, user_id="usr_ada", checkout_id=row.id)
    assert (await finished(world, row)).state == "canceled"
    nothing_moved(world, row)


async def test_a_merchants_refusal_lets_the_money_go(world):
    world.shop.place_refused = PartnerRefused("sold out a second ago", code="out_of_stock")
    row = await driven(world, await quoted(world))
    assert (row.state, row.failure_code) == ("failed", "merchant_refused")
    with pytest.raises(OfferChanged, match="sold out"):
        await outcome(world, row)
    nothing_moved(world, row)
    assert [c.status for c in world.payments.charges.values()] == ["voided"]


async def test_an_unreachable_merchant_is_tried_a_few_times_and_lets_the_money_go(world):
    world.shop.unreachable = {"place"}
    row = await driven(world, await quoted(world))
    assert (row.state, row.failure_code) == ("failed", "merchant_unreachable")
    assert world.shop.calls.count("place") == 4
    nothing_moved(world, row)


async def test_a_slow_merchant_is_waited_for(world):
    world.shop.place_slowly = 1
    row = await quoted(world)
    await confirmed(world, row)
    await drive(world.till, row.id)
    assert (await again(world, row)).state == "placing"
    world.shop.finish_slow("pi_1")
    row = await finished(world, row)
    assert row.state == "completed"
    assert world.shop.calls.count("place") == 1


async def test_an_order_at_another_total_is_undone_and_never_charged(world):
    world.shop.order_at = 99_999
    row = await driven(world, await quoted(world))
    assert (row.state, row.failure_code) == ("failed", "offer_changed")
    assert [o.status for o in world.shop.orders.values()] == ["canceled"]
    nothing_moved(world, row)
    assert await incidents(world) == ["total_mismatch"]


async def test_a_capture_that_fails_undoes_the_order_and_calls_for_a_person(world):
    world.payments.capture_refused = True
    row = await driven(world, await quoted(world))
    assert row.state == "failed"
    assert [o.status for o in world.shop.orders.values()] == ["canceled"]
    nothing_moved(world, row)
    assert await incidents(world) == ["capture_failed"]
    assert await books(world) == {}


async def test_an_unpaid_order_that_cannot_be_undone_is_an_incident(world):
    world.payments.capture_refused = True
    world.shop.cancel_refused = True
    row = await driven(world, await quoted(world))
    assert row.state == "failed"
    assert set(await incidents(world)) == {"capture_failed", "merchant_order_orphaned"}
    assert world.payments.held_for(row.id) == 0


async def test_a_free_booking_is_placed_without_any_charge(world):
    world.restaurant.prices["table-2"] = 0
    row = await dinner(world)
    assert row.total == 0
    row = await driven(world, row, None)
    assert row.state == "completed"
    assert world.payments.charges == {}
    assert await books(world) == {}


async def test_where_the_merchant_charges_only_the_commission_is_booked(world):
    world.sellers["mer_shop"] = replace(
        world.sellers["mer_shop"], settlement="merchant", destination=None
    )
    row = await driven(world, await quoted(world), Method("spt_1"))
    assert row.state == "completed"
    assert world.payments.charges == {}
    assert [o.token for o in world.shop.orders.values()] == ["spt_1"]
    assert await books(world) == {
        "receivable:merchant:mer_shop": row.fee,
        "fee_accrued:merchant:mer_shop": -row.fee,
    }


async def test_two_drivers_at_once_do_the_work_once(world):
    row = await quoted(world)
    await confirmed(world, row)
    await asyncio.gather(*(drive(world.till, row.id) for _ in range(8)))
    assert (await again(world, row)).state == "completed"
    assert world.payments.calls.count("authorise") == 1
    assert world.shop.calls.count("place") == 1


async def test_a_driver_that_lost_its_lease_decides_nothing(world):
    """It hangs in the merchant's answer so long that another driver has finished the purchase."""
    row = await quoted(world)
    await confirmed(world, row)
    hanging, answered = asyncio.Event(), asyncio.Event()
    place = world.shop.place

    async def slow_place(*args, **kwargs):
        if hanging.is_set():
            return await place(*args, **kwargs)
        hanging.set()
        await answered.wait()
        raise PartnerRefused("too late", code="conflict")

    world.shop.place = slow_place
    late = asyncio.create_task(drive(world.till, row.id))
    await hanging.wait()
    await world.pass_time()
    assert (await finished(world, row)).state == "completed"
    answered.set()
    await late
    assert (await again(world, row)).state == "completed"
    assert world.payments.captured_for(row.id) == row.total
    assert len(world.shop.live_orders(row.reference)) == 1


async def test_a_stuck_purchase_is_shown_to_a_person_until_it_moves_again(world):
    row = await quoted(world)
    await confirmed(world, row)
    calls = world.shop.calls
    lost = world.shop.read

    async def silent(_reference):
        calls.append("read")
        raise PartnerUnreachable("nobody there")

    world.gate.arm_on("partner.place", "lost_after")
    world.shop.read = silent
    for _ in range(12):
        await drive(world.till, row.id)
        await world.pass_time()
    assert (await again(world, row)).state == "outcome_unknown"
    assert await incidents(world) == ["purchase_stuck"]
    world.shop.read = lost
    assert (await finished(world, row)).state == "completed"
    async with world.database.transaction() as session:
        [incident] = (await session.execute(select(Incident))).scalars().all()
    assert incident.resolved_at is not None
    assert len(world.shop.orders) == 1


async def test_offers_whose_time_is_up_are_swept_and_freed_at_the_merchant(world):
    row = await dinner(world)
    await _sql(world, "UPDATE checkout SET expires_at = now() - interval '1 second'")
    await jobs.sweep(world.till)
    assert (await again(world, row)).state == "expired"
    assert world.restaurant.sessions[row.reference].status == "canceled"


async def test_an_erased_person_leaves_amounts_and_no_name(world):
    row = await driven(world, await quoted(world))
    async with world.database.transaction() as session:
        from backend.checkout import forget

        await forget(session, "usr_ada")
    left = str((await again(world, row)).model_dump())
    assert "Lovelace" not in left
    assert "198.51.100.7" not in left
    assert "pm_card" not in left


async def _sql(world: World, statement: str) -> None:
    async with world.database.transaction() as session:
        await session.execute(text(statement))
