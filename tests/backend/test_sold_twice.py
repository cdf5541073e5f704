"""A merchant that names one order for two purchases is paid for it once."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from backend import jobs
from backend.errors import Conflict
from tests.backend.buying import (
    again,
    books,
    confirmed,
    driven,
    finished,
    incidents,
    outcome,
    quoted,
)
from tests.backend.fakes_checkout import World
from tests.backend.fakes_partner import FakePartner


def forgets_to_count(shop: FakePartner) -> None:
    """Every order has the number of its first."""
    complete = shop._complete

    def same(session, payment) -> None:
        if not shop.orders:
            complete(session, payment)
        session.status, session.order_id = "completed", next(iter(shop.orders))

    shop._complete = same  # type: ignore[method-assign]


async def counted(world: World, statement: str) -> int:
    async with world.database.transaction() as session:
        return int((await session.execute(text(statement))).scalar_one())


async def test_the_second_purchase_is_not_charged_and_a_person_is_told(world):
    forgets_to_count(world.shop)
    first = await driven(world, await quoted(world))
    before = await books(world)
    row = await driven(world, await quoted(world))
    assert (first.state, row.state, row.failure_code) == ("completed", "failed", "order_reused")
    assert row.merchant_order_id is None
    with pytest.raises(Conflict, match="another purchase") as told:
        await outcome(world, row)
    assert told.value.specific_code == "order_reused"
    charges = [(c.purchase_id, c.status) for c in world.payments.charges.values()]
    assert charges == [(first.id, "captured"), (row.id, "voided")]
    assert await incidents(world) == ["order_reused"]
    assert await books(world) == before


async def test_the_first_purchases_order_is_left_alone(world):
    forgets_to_count(world.shop)
    first = await driven(world, await quoted(world))
    world.shop.order_at = 1  # another total, too: nothing may be undone for that
    row = await driven(world, await quoted(world, ("off_mug", 1)))
    assert row.failure_code == "order_reused"
    for _ in range(3):
        await world.pass_time()
        await jobs.sweep(world.till)
    assert [o.status for o in world.shop.orders.values()] == ["confirmed"]
    assert {"cancel", "cancellation", "confirm_cancellation"}.isdisjoint(world.shop.calls)
    assert (await again(world, first)).state == "completed"


async def test_two_that_are_answered_at_once_are_one_charge(world):
    forgets_to_count(world.shop)
    rows = [await quoted(world), await quoted(world)]
    for row in rows:
        await confirmed(world, row)
    ended = await asyncio.gather(*(finished(world, row) for row in rows))
    assert sorted(row.state for row in ended) == ["completed", "failed"]
    assert sorted(c.status for c in world.payments.charges.values()) == ["captured", "voided"]
    assert await counted(world, "SELECT count(*) FROM purchase_order") == 1


async def test_who_looked_too_early_is_stopped_by_the_database(world, monkeypatch):
    async def unseen(*_given: object) -> bool:
        return False

    monkeypatch.setattr("backend.placing.taken", unseen)
    forgets_to_count(world.shop)
    await driven(world, await quoted(world))
    row = await driven(world, await quoted(world))
    assert (row.state, row.failure_code) == ("failed", "order_reused")


async def test_the_database_itself_lets_no_two_purchases_have_one_order(world):
    first = await driven(world, await quoted(world))
    other = await driven(world, await quoted(world))
    same = "UPDATE checkout SET merchant_order_id = :theirs WHERE id = :id"
    with pytest.raises(IntegrityError, match="checkout_theirs"):
        async with world.database.transaction() as session:
            given = {"theirs": first.merchant_order_id, "id": other.id}
            await session.execute(text(same), given)


async def test_a_number_whose_purchase_failed_may_be_given_again(world):
    forgets_to_count(world.shop)
    first = await driven(world, await quoted(world))
    async with world.database.transaction() as session:
        await session.execute(
            text("UPDATE checkout SET state = 'failed' WHERE id = :id"), {"id": first.id}
        )
    assert (await driven(world, await quoted(world))).state == "completed"
