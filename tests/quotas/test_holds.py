"""Every hold ends once: settled, released, or by its lease."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from backend.database import Database
from quotas import usage
from quotas.usage import HoldConflict, Swept
from tests.quotas.fakes_plans import DAY, HOUR, bucket, light, plan
from tests.quotas.turns import NOON, counts, release, seconds, settle, shown, start, sweep, take


async def test_settling_moves_the_hold_to_used(database: Database):
    two = plan(light(2))
    await take(database, "t", two)
    assert await start(database, "t")
    assert await settle(database, "t")
    assert counts(await shown(database, two)) == (1, 0, 1)


async def test_releasing_gives_it_back(database: Database):
    two = plan(light(2))
    await take(database, "t", two)
    await start(database, "t")
    assert await release(database, "t")
    assert counts(await shown(database, two)) == (0, 0, 2)


@pytest.mark.parametrize("first", [settle, release])
@pytest.mark.parametrize("second", [settle, release])
async def test_a_hold_ends_once(database: Database, first: Any, second: Any):
    two = plan(light(2))
    await take(database, "t", two)
    assert await first(database, "t")
    after = counts(await shown(database, two))
    assert not await second(database, "t")
    assert counts(await shown(database, two)) == after


async def test_settle_and_release_at_once_have_one_winner(database: Database):
    many = plan(light(50))
    for n in range(10):
        await take(database, f"t{n}", many)
    ends = await asyncio.gather(
        *(end(database, f"t{n}") for n in range(10) for end in (settle, release, settle))
    )
    used, held, _ = counts(await shown(database, many))
    assert sum(ends) == 10
    assert held == 0
    assert used <= 10


async def test_ending_an_unknown_turn_says_no(database: Database):
    assert not await settle(database, "never")
    assert not await release(database, "never")
    assert not await start(database, "never")


async def test_the_same_turn_again_takes_nothing_and_answers_the_same(database: Database):
    one = plan(light(1))
    first = await take(database, "t", one)
    again = await take(database, "t", one)
    assert (again.granted, again.served_role, again.buckets) == (True, "light", ("light",))
    assert (again.replayed, again.state) == (True, "reserved")
    assert again.quota["charged"] == first.quota["charged"]
    assert counts(await shown(database, one)) == (0, 1, 0)


async def test_the_same_turn_from_eight_places_at_once_is_taken_once(database: Database):
    two = plan(light(2))
    for turn in ("first", "same"):  # the windows are made by the first, and open for the second
        answers = await asyncio.gather(*(take(database, turn, two, at=None) for _ in range(8)))
        assert {a.served_role for a in answers} == {"light"}
        assert sum(not a.replayed for a in answers) == 1
    assert counts(await shown(database, two, at=None)) == (0, 2, 0)


async def test_a_turn_that_ended_cannot_be_started_again(database: Database):
    one = plan(light(1))
    await take(database, "t", one)
    await release(database, "t")
    again = await take(database, "t", one)
    assert (again.replayed, again.state) == (True, "released")
    assert not await start(database, "t")


@pytest.mark.parametrize("other", [{"subject": "v"}, {"role": "reasoning"}])
async def test_a_turn_id_of_another_subject_or_role_is_refused(
    database: Database, other: dict[str, Any]
):
    await take(database, "t", plan())
    with pytest.raises(HoldConflict):
        await take(database, "t", plan(), **other)


async def test_a_rolled_back_reserve_takes_nothing(database: Database):
    one = plan(light(1))
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            await usage.reserve(session, turn_id="t", subject="u", plan=one, role="light")
            raise RuntimeError
    assert (await take(database, "t", one)).served_role == "light"


# --- leases -------------------------------------------------------------------------------------


async def test_an_expired_reservation_is_refunded(database: Database):
    one = plan(light(1))
    await take(database, "t", one)
    late = NOON + seconds(usage.RESERVED_LEASE_S)
    assert await sweep(database, late - seconds(1)) == Swept(refunded=0, settled=0)
    assert await sweep(database, late) == Swept(refunded=1, settled=0)
    assert counts(await shown(database, one)) == (0, 0, 1)
    assert not await settle(database, "t")


async def test_an_expired_turn_in_flight_is_settled_in_full(database: Database):
    one = plan(light(1))
    await take(database, "t", one)
    await start(database, "t")
    late = NOON + seconds(usage.IN_FLIGHT_LEASE_S)
    assert await sweep(database, late - seconds(1)) == Swept(refunded=0, settled=0)
    assert await sweep(database, late) == Swept(refunded=0, settled=1)
    assert counts(await shown(database, one)) == (1, 0, 0)
    assert not await release(database, "t")


async def test_a_turn_cannot_start_after_its_lease(database: Database):
    await take(database, "t", plan())
    assert not await start(database, "t", at=NOON + seconds(usage.RESERVED_LEASE_S))


async def test_a_late_end_counts_when_no_sweep_came_before(database: Database):
    one = plan(light(1))
    await take(database, "t", one)
    await start(database, "t")
    assert await settle(database, "t", at=NOON + seconds(10 * HOUR))
    assert await sweep(database, NOON + seconds(11 * HOUR)) == Swept(refunded=0, settled=0)


async def test_sweepers_at_once_end_each_hold_once(database: Database):
    many = plan(light(100), bucket("reasoning", 100))
    for n in range(30):
        await take(database, f"t{n}", many, ("light", "reasoning")[n % 2], subject=f"u{n % 3}")
    late = NOON + seconds(DAY)
    swept = await asyncio.gather(*(sweep(database, late, limit=7) for _ in range(6)))
    rest = await sweep(database, late)
    assert sum(s.refunded for s in [*swept, rest]) == 30
    async with database.transaction() as session:
        held = (await session.execute(text("SELECT sum(held) FROM quota_bucket"))).scalar_one()
    assert held == 0
