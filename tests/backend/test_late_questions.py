"""A merchant that asks only when it is to place the order whom it is for."""

import pytest

from backend.consent import confirm
from backend.errors import Conflict, OfferChanged
from backend.purchase import drive
from backend.revising import Changes, revise
from integrations.partner import Buyer, PartnerRefused
from tests.backend.buying import (
    again,
    agreed,
    books,
    confirmed,
    dinner,
    driven,
    nothing_moved,
    outcome,
    quoted,
    sql,
)

WHOSE = PartnerRefused("Whose booking is it?", code="missing", path="$.buyer.email")
ANNE = Buyer("Anne", "Byron", "anne@example.com")


async def asked(world, row, refusal=WHOSE):
    """Confirmed, refused with the question, and let go."""
    of = world.restaurant if row.kind == "booking" else world.shop
    of.answers["place"] = [refusal]
    return await driven_to_a_rest(world, row)


async def driven_to_a_rest(world, row):
    await confirmed(world, row)
    for _ in range(10):
        await drive(world.till, row.id)
        row = await again(world, row)
        if row.step is None:
            return row
        await world.pass_time()
    raise AssertionError(f"still {row.state}/{row.step}")


@pytest.mark.parametrize("what", [dinner, quoted])
async def test_the_question_comes_back_with_nothing_charged_and_its_answer_buys(world, what):
    first = await what(world)
    row = await asked(world, first)
    assert (row.state, row.confirmation_hash, row.failure_code) == ("quoted", None, None)
    assert row.revision == first.revision + 1
    assert [note["path"] for note in row.messages] == ["$.buyer.email"]
    nothing_moved(world, row)
    with pytest.raises(Conflict) as raised:
        await outcome(world, row)
    assert raised.value.specific_code == "not_confirmable"
    with pytest.raises(Conflict):  # the consent is spent
        await confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=agreed(first))
    whole = await revise(
        world.till, user_id="usr_ada", checkout_id=row.id, changes=Changes(buyer=ANNE)
    )
    assert whole.state == "awaiting_confirmation"
    done = await driven(world, whole)
    assert done.state == "completed"
    assert [c.status for c in world.payments.charges.values()] == ["voided", "captured"]
    assert world.payments.captured_for(row.id) == row.total
    shop = world.restaurant if row.kind == "booking" else world.shop
    assert len(shop.live_orders(row.reference)) == 1
    assert await books(world)


async def test_a_code_alone_says_it_too(world):
    row = await asked(world, await dinner(world), PartnerRefused("Who?", code="buyer_required"))
    assert (row.state, row.messages[0]["path"]) == ("quoted", "$.buyer")


async def test_any_other_refusal_ends_it_as_before(world):
    refusal = PartnerRefused("Closed", code="missing", path="$.payment.token")
    row = await asked(world, await dinner(world), refusal)
    assert (row.state, row.failure_code) == ("failed", "merchant_refused")
    with pytest.raises(OfferChanged):
        await outcome(world, row)


async def test_what_cannot_be_changed_is_not_asked_about(world):
    """A booking that is moved has its buyer; nobody could answer."""
    row = await dinner(world)
    moving = "jsonb_build_object('order_id', 'ord_1', 'booking', booking)"
    await sql(world, f"UPDATE checkout SET changes = {moving}")  # noqa: S608
    assert (await asked(world, row)).state == "failed"


@pytest.mark.parametrize("fate", ["lost_before", "lost_after"])
async def test_the_charge_that_was_let_go_is_never_taken_for_the_next_one(world, fate: str):
    row = await asked(world, await dinner(world))
    whole = await revise(
        world.till, user_id="usr_ada", checkout_id=row.id, changes=Changes(buyer=ANNE)
    )
    world.gate.arm_on("payments.authorise", fate)
    done = await driven(world, whole)
    assert done.state == "completed"
    assert [c.status for c in world.payments.charges.values()] == ["voided", "captured"]


async def test_a_merchant_that_is_not_content_with_the_answer_asks_again(world):
    row = await asked(world, await dinner(world))
    for _ in range(2):
        whole = await revise(
            world.till, user_id="usr_ada", checkout_id=row.id, changes=Changes(buyer=ANNE)
        )
        row = await asked(world, whole)
        assert row.state == "quoted"
    nothing_moved(world, row)
    assert [c.status for c in world.payments.charges.values()] == ["voided"] * 3
