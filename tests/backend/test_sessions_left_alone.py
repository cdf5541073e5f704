"""Sessions that are not ours to end: a person goes on with them, or they became another's order."""

import pytest
from sqlalchemy import text

from backend import consent, jobs
from backend.errors import OfferChanged, OfferExpired
from integrations.partner import PartnerRefused
from tests.backend.buying import (
    again,
    confirmed,
    driven,
    finished,
    nothing_moved,
    outcome,
    quoted,
    sql,
)
from tests.backend.fakes_checkout import World

PAGE = "https://kiln.example/checkout/1"


async def swept(world: World) -> None:
    """The sweep has nothing left to do."""
    for _ in range(3):
        await world.pass_time()
        await jobs.sweep(world.till)
    async with world.database.transaction() as session:
        query = text("SELECT count(*) FROM checkout WHERE release_at IS NOT NULL")
        assert (await session.execute(query)).scalar_one() == 0


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_session_that_the_person_finishes_at_the_merchant_is_not_canceled(
    world, refuses: bool
):
    row = await quoted(world)
    await confirmed(world, row)
    world.shop.escalates = PAGE
    if refuses:
        no = PartnerRefused("verify your age", code="age", continue_url=PAGE)
        world.shop.place_refused = no
    row = await finished(world, row)
    assert (row.failure_code, (row.handoff_url or "").split("?")[0]) == ("merchant_refused", PAGE)
    with pytest.raises(OfferChanged):
        await outcome(world, row)
    await swept(world)
    nothing_moved(world, row)
    assert world.shop.sessions[row.reference].status == "open"
    assert "cancel" not in world.shop.calls


async def test_a_quote_that_goes_on_at_the_merchant_lives_as_long_as_a_hand_off(world):
    world.shop.escalates = PAGE
    row = await quoted(world)
    assert (row.state, (row.handoff_url or "").split("?")[0]) == ("quoted", PAGE)
    await sql(world, "UPDATE checkout SET expires_at = expires_at - interval '29 days'")
    await swept(world)
    assert (await again(world, row)).state == "quoted"
    await sql(world, "UPDATE checkout SET expires_at = expires_at - interval '2 days'")
    await swept(world)
    assert (await again(world, row)).state == "expired"
    assert world.shop.sessions[row.reference].status == "open"


async def test_giving_up_a_handed_off_quote_leaves_the_merchants_page_alone(world):
    world.shop.escalates = PAGE
    row = await quoted(world)
    await consent.cancel(world.till, user_id="usr_ada", checkout_id=row.id)
    await swept(world)
    assert world.shop.sessions[row.reference].status == "open"


@pytest.mark.parametrize("status", ["completed", "placing"])
async def test_a_session_that_became_somebody_elses_order_is_never_paid_for(world, status: str):
    row = await quoted(world)
    world.shop.sold_to_another(row.reference, status)
    with pytest.raises(OfferExpired, match="somebody else") as raised:
        await confirmed(world, row)
    shown = raised.value.extra["checkout"]
    assert (shown["state"], shown["order_id"]) == ("expired", None)
    assert [note["code"] for note in shown["messages"]] == ["session_taken"]
    await swept(world)
    assert world.payments.charges == {}
    assert world.shop.sessions[row.reference].status == status
    assert "cancel" not in world.shop.calls
    with pytest.raises(OfferExpired):
        await confirmed(world, row)


async def test_a_confirm_beside_one_that_is_ahead_still_tells_of_the_same_order(world):
    row = await driven(world, await quoted(world))
    code, shown = await confirmed(world, row)
    assert (code, shown["order_id"]) == (200, row.order_id)
