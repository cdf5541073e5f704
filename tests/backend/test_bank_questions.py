"""A bank's question has its own clock; what nobody held meanwhile is looked at again."""

import pytest

from backend.checkout import Checkout
from backend.errors import OfferChanged, OfferExpired
from integrations.partner import PartnerGone, PartnerNotNow
from integrations.payments import Method
from tests.backend.buying import (
    dinner,
    driven,
    finished,
    incidents,
    nothing_moved,
    outcome,
    quoted,
    sql,
)
from tests.backend.fakes_checkout import World

ASKS = Method("pm_card_authenticationRequired")


async def asked(world: World, minutes: int, row: Checkout | None = None) -> Checkout:
    """A purchase whose bank asked so long ago; its offer ran out right afterwards."""
    row = await driven(world, row or await quoted(world), ASKS)
    assert row.step == "authenticate"
    ago = f"now() - interval '{minutes} minutes'"
    await sql(world, f"UPDATE purchase_effect SET begun_at = {ago}, ended_at = {ago}")  # noqa: S608
    await sql(world, f"UPDATE checkout SET expires_at = {ago} + interval '1 minute'")  # noqa: S608
    return await finished(world, row)


async def test_a_card_holder_who_answers_after_twenty_minutes_gets_the_purchase(world):
    row = await asked(world, 20)
    assert row.step == "authenticate"
    world.payments.authenticate(row.payment_id)
    row = await finished(world, row)
    assert row.state == "completed"
    assert world.payments.captured_for(row.id) == row.total
    assert len(world.shop.live_orders(row.reference)) == 1


async def test_a_bank_that_is_not_answered_within_half_an_hour_ends_the_purchase(world):
    row = await asked(world, 31)
    assert (row.state, row.failure_code) == ("failed", "authentication_failed")
    nothing_moved(world, row)


async def test_a_booking_whose_bank_is_not_answered_ends_with_its_hold(world):
    row = await asked(world, 5, await dinner(world))
    assert row.step == "authenticate"
    await sql(world, "UPDATE checkout SET hold_expires_at = now() - interval '1 second'")
    row = await finished(world, row)
    assert (row.state, row.failure_code) == ("failed", "authentication_failed")
    nothing_moved(world, row)


async def test_an_offer_that_changed_while_the_bank_asked_is_not_charged(world):
    row = await asked(world, 20)
    world.shop.policy = "No refunds"
    world.payments.authenticate(row.payment_id)
    row = await finished(world, row)
    with pytest.raises(OfferChanged, match="while your bank asked"):
        await outcome(world, row)
    assert world.shop.calls.count("place") == 0
    nothing_moved(world, row)


async def test_an_offer_that_is_gone_when_the_bank_is_answered_is_not_charged(world):
    row = await asked(world, 20)
    world.payments.authenticate(row.payment_id)
    world.shop.answers["read"] = [PartnerGone("no such session")]
    row = await finished(world, row)
    with pytest.raises(OfferExpired):
        await outcome(world, row)
    nothing_moved(world, row)
    assert await incidents(world) == []


async def test_a_session_that_another_order_used_while_the_bank_asked_is_not_ours(world):
    row = await asked(world, 20)
    world.shop.sold_to_another(row.reference)
    world.payments.authenticate(row.payment_id)
    row = await finished(world, row)
    with pytest.raises(OfferExpired, match="somebody else"):
        await outcome(world, row)
    assert row.order_id is None
    assert world.payments.captured_for(row.id) == world.payments.held_for(row.id) == 0


@pytest.mark.parametrize(("times", "state"), [(6, "completed"), (50, "failed")])
async def test_a_merchant_without_time_after_the_banks_answer_is_asked_for_a_while(
    world, times: int, state: str
):
    row = await asked(world, 20)
    world.payments.authenticate(row.payment_id)
    world.shop.answers["read"] = [PartnerNotNow("slow down")] * times
    row = await finished(world, row)
    assert row.state == state
    assert world.payments.captured_for(row.id) == (row.total if state == "completed" else 0)
    assert world.payments.held_for(row.id) == 0
