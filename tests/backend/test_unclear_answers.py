"""What a merchant's answer says of an order, and what it does not: only 404 and 410 say "none"."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from backend import refunds
from backend.errors import MerchantFailed, OfferExpired
from backend.purchase import drive
from backend.refunding import drive_refund
from backend.refunds import OrderRefund
from integrations.answers import Inconsistent
from integrations.egress import AddressRefused
from integrations.partner import (
    PartnerError,
    PartnerGone,
    PartnerNotNow,
    PartnerRefused,
    PartnerUnknown,
    Quote,
)
from tests.backend.buying import (
    again,
    confirmed,
    driven,
    finished,
    incidents,
    nothing_moved,
    quoted,
)
from tests.backend.fakes_checkout import World

UNCLEAR: list[PartnerError] = [
    PartnerNotNow("slow down", code="rate_limited"),
    AddressRefused("shop.example leads to an address that is not public"),
    Inconsistent("there are two totals"),
    PartnerRefused("bad request", code="http_400"),
    PartnerUnknown("the partner answered 503", code="http_503"),
]


@pytest.fixture(params=UNCLEAR, ids=lambda error: error.code)
def unclear(request) -> PartnerError:
    return request.param


async def test_an_order_whose_look_ups_say_nothing_is_found_later_and_paid(
    world, unclear: PartnerError
):
    row = await quoted(world)
    await confirmed(world, row)
    world.gate.arm_on("partner.place", "lost_after")
    world.shop.answers["read"] = [unclear] * 5
    row = await finished(world, row)
    assert row.state == "completed"
    assert world.payments.captured_for(row.id) == row.total
    assert len(world.shop.live_orders(row.reference)) == 1
    assert await incidents(world) == []


async def test_an_order_of_a_session_that_is_gone_for_good_is_given_up_with_an_incident(world):
    row = await quoted(world)
    await confirmed(world, row)
    world.gate.arm_on("partner.place", "lost_before")
    world.shop.answers["read"] = [PartnerGone("no such session")] * 5
    row = await finished(world, row)
    assert (row.state, row.failure_code) == ("failed", "merchant_refused")
    assert await incidents(world) == ["merchant_order_orphaned"]
    nothing_moved(world, row)


async def test_an_unclear_look_at_confirm_is_a_502_and_leaves_the_checkout_as_it_is(
    world, unclear: PartnerError
):
    row = await quoted(world)
    world.shop.answers["read"] = [unclear]
    with pytest.raises(MerchantFailed):
        await confirmed(world, row)
    now = await again(world, row)
    assert (now.state, now.confirmation_hash) == ("awaiting_confirmation", row.confirmation_hash)
    assert now.release_at is None
    nothing_moved(world, row)
    assert (await driven(world, row)).state == "completed"


async def test_a_502_says_when_to_try_again_where_the_merchant_said_so(world):
    row = await quoted(world)
    world.shop.answers["read"] = [PartnerNotNow("slow down", retry_after_s=6.5)]
    with pytest.raises(MerchantFailed) as raised:
        await confirmed(world, row)
    assert raised.value.headers == {"Retry-After": "7"}


async def test_an_offer_that_is_gone_at_confirm_is_expired(world):
    row = await quoted(world)
    world.shop.answers["read"] = [PartnerGone("no such session")]
    with pytest.raises(OfferExpired):
        await confirmed(world, row)
    assert (await again(world, row)).state == "expired"


async def test_placing_is_tried_again_with_the_same_key_when_the_merchant_says_not_now(world):
    row = await quoted(world)
    await confirmed(world, row)
    world.shop.answers["place"] = [PartnerNotNow("slow down")] * 6
    row = await finished(world, row)
    assert row.state == "completed"
    assert world.shop.calls.count("place") == 7
    assert len(world.shop.keys) == 2  # one for the quote, one for the order
    assert len(world.shop.live_orders(row.reference)) == 1


async def test_a_merchant_that_never_has_time_lets_the_money_go(world):
    row = await quoted(world)
    await confirmed(world, row)
    world.shop.answers["place"] = [PartnerNotNow("slow down")] * 50
    row = await finished(world, row)
    assert (row.state, row.failure_code) == ("failed", "merchant_unreachable")
    nothing_moved(world, row)


async def test_a_merchant_is_left_alone_for_as_long_as_it_asks(world):
    row = await quoted(world)
    await confirmed(world, row)
    world.shop.answers["place"] = [PartnerNotNow("slow down", retry_after_s=30)]
    await drive(world.till, row.id)
    async with world.database.transaction() as session:
        query = text("SELECT next_drive_at > now() + interval '25 seconds' FROM checkout")
        assert (await session.execute(query)).scalar_one()
    assert (await finished(world, row)).state == "completed"


async def test_a_refusal_of_a_repeat_decides_nothing_while_the_session_cannot_be_read(
    world, unclear: PartnerError
):
    """The first request took effect unseen: its repeat is told that the session is over."""
    row = await quoted(world)
    await confirmed(world, row)
    world.gate.arm_on("partner.place", "lost_after")
    world.shop.forgetful = True
    read, looks = world.shop.read, iter(["late", unclear, unclear])

    async def look(reference: str) -> Quote:
        found = next(looks, None)
        if isinstance(found, PartnerError):
            raise found
        seen = await read(reference)
        return replace(seen, status="ready", order=None) if found else seen

    world.shop.read = look
    row = await finished(world, row)
    assert row.state == "completed"
    assert len(world.shop.live_orders(row.reference)) == 1


@pytest.mark.parametrize("call", ["cancellation", "confirm_cancellation"])
async def test_an_unpaid_order_is_undone_as_soon_as_the_merchant_has_time(world, call: str):
    world.payments.capture_refused = True
    world.shop.answers[call] = [PartnerNotNow("slow down")] * 6
    row = await driven(world, await quoted(world))
    assert row.state == "failed"
    assert [o.status for o in world.shop.orders.values()] == ["canceled"]
    assert await incidents(world) == ["capture_failed"]


async def test_a_cancellation_waits_for_a_merchant_that_has_no_time(world: World):
    row = await driven(world, await quoted(world))
    order_id = row.order_id or ""
    quote = await refunds.quote_cancellation(world.till, user_id="usr_ada", order_id=order_id)
    world.shop.answers["confirm_cancellation"] = [PartnerNotNow("slow down")] * 6
    await refunds.confirm_cancellation(
        world.till, user_id="usr_ada", order_id=order_id, quote_id=quote.id
    )
    for _ in range(10):
        await drive_refund(world.till, quote.id)
        await world.pass_time()
    async with world.database.transaction() as session:
        assert (await session.get_one(OrderRefund, quote.id)).state == "completed"
    assert [o.status for o in world.shop.orders.values()] == ["canceled"]
    assert world.payments.captured_for(row.id) == 0
