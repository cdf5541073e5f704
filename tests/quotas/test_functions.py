"""The short way in the database: what is installed, and that it hands over what it cannot do."""

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.database import Database
from quotas import functions, many, usage
from quotas.plans import Plan, Viewer
from tests.quotas.fakes_plans import DAY, HOUR, light, plan
from tests.quotas.test_grants import give
from tests.quotas.turns import NOON, counts, seconds, settle, shown, take


async def test_the_schema_has_the_functions_that_the_code_says(database: Database):
    async with database.transaction() as session:
        rows = await session.execute(
            text("SELECT prosrc FROM pg_proc WHERE proname ~ '^quota_(take|start|give|meter)$'")
        )
    bodies = {ddl.split("$$")[1] for ddl in functions.FUNCTION_DDL}
    assert {row.prosrc for row in rows} == bodies


async def quick(database: Database, turn: str, allowance: Plan, at: datetime = NOON) -> bool:
    """Whether the short way decides for this turn; nothing stays taken."""
    async with database.engine.connect() as connection, AsyncSession(connection) as session:
        ask = many.Ask(turn, Viewer("u", allowance), "light")
        (given,) = await many.reserve(session, [ask], at=at)
    return given is not None


async def test_it_decides_where_there_is_room_and_opens_windows(database: Database):
    two = plan(light(2), light(5, name="light_day", policy="calendar", window=DAY))
    assert await quick(database, "t0", two)
    await take(database, "t1", two)
    assert await quick(database, "t2", two)
    await take(database, "t2", two)
    assert not await quick(database, "t3", two)  # full: a fallback must be found
    assert await quick(database, "t3", two, NOON + seconds(HOUR))  # a window later
    assert not await quick(database, "t1", plan(light(9)))  # a repeat is a question of its own


async def test_windows_that_a_batch_opens_keep_their_promise(database: Database):
    """They begin with the first turn that takes, follow each other, and owe for the one before."""
    two = plan(light(2), light(9, name="light_day", policy="calendar", window=DAY))

    async def together(tag: str, at: datetime) -> list[bool]:
        asks = [many.Ask(f"{tag}{n}", Viewer(f"u{n % 2}", two), "light") for n in range(6)]
        async with database.transaction() as session:
            return [given is not None for given in await many.reserve(session, asks, at=at)]

    async def ends(at: datetime) -> list[tuple[int, str]]:
        async with database.transaction() as session:
            quota = await usage.meter(session, "u0", two, at=at)
        return [(b["held"], b["resets_at"]) for b in quota["buckets"][:2]]

    first, later = NOON + seconds(5), NOON + seconds(HOUR + 10)
    assert await together("a", first) == [True, True, True, True, False, False]
    opened = [(2, "2026-11-21T13:00:05Z"), (2, "2026-11-22T00:00:00Z")]
    assert await ends(first) == opened
    assert await together("b", NOON + seconds(HOUR)) == [False] * 6
    assert await ends(NOON + seconds(HOUR)) == opened
    assert await together("c", later) == [True, True, True, True, False, False]
    assert await ends(later) == [(2, "2026-11-21T14:00:10Z"), (4, "2026-11-22T00:00:00Z")]
    async with database.transaction() as session:
        assert await usage.settle(session, "c0", spent={"turns": 5}, at=later)
    third = later + seconds(HOUR)
    assert await together("d", third) == [False, True, False, True, False, False]


async def test_a_bucket_that_a_plan_has_gained_is_made_before_anything_is_taken(database: Database):
    await take(database, "t0", plan(light(5)))
    both = plan(light(5), light(1, name="light_day", policy="calendar", window=DAY))
    asks = [many.Ask(f"t{n}", Viewer("u", both), "light") for n in (1, 2)]
    async with database.transaction() as session:
        first, second = await many.reserve(session, asks, at=NOON)
        quota = await usage.meter(session, "u", both, at=NOON)
    assert first is not None
    assert second is None
    assert [b["held"] for b in quota["buckets"][:2]] == [2, 1]


async def test_it_leaves_rolling_windows_and_grants_alone(database: Database):
    rolling = plan(light(5, policy="rolling", window=HOUR))
    await take(database, "t1", rolling)
    assert not await quick(database, "t2", rolling)
    gifted = plan(light(5, name="other"))
    await take(database, "t2", gifted)
    assert await quick(database, "t3", gifted)
    await give(database)
    assert not await quick(database, "t3", gifted)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
async def test_both_ways_tell_the_same_of_every_bucket(database: Database, zone: str):
    """The gate's answer is compared with the meter's, which is read from the same rows."""
    mixed = plan(
        light(9),
        light(99_999, name="light_cost", unit="micro_usd", policy="calendar", window=7 * DAY),
        {**light(3), "name": "agent", "role": "agent", "policy": "rolling"},
        {**light(3), "name": "reasoning", "role": "reasoning", "policy": "calendar", "window": DAY},
    )
    costs = {"turns": 1, "micro_usd": 50}
    for n, role in enumerate(["light", "agent", "light"]):
        at = NOON + seconds(n)
        await take(database, f"t{n}", mixed, role, costs=costs, timezone=zone, at=at)
        await settle(database, f"t{n}", {"micro_usd": 30}, at=at)
    at = NOON + seconds(10)
    given = await take(database, "last", mixed, costs=costs, timezone=zone, at=at)
    async with database.transaction() as session:
        read = await usage.meter(session, "u", mixed, timezone=zone, at=at)
    assert given.quota["buckets"] == read["buckets"]
    assert counts(await shown(database, mixed, "light_cost", at=at)) == (60, 50, 99_889)
