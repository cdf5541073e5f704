"""The short way in the database: what is installed, and that it hands over what it cannot do."""

import pytest
from sqlalchemy import text

from backend.database import Database
from quotas import functions, together, usage
from quotas.plans import Plan
from quotas.windows import arguments
from tests.quotas.fakes_plans import DAY, HOUR, light, plan
from tests.quotas.test_grants import give
from tests.quotas.test_usage import NOON, counts, seconds, settle, shown, take


async def test_the_schema_has_the_functions_that_the_code_says(database: Database):
    async with database.transaction() as session:
        rows = await session.execute(
            text("SELECT prosrc FROM pg_proc WHERE proname ~ '^quota_(take|give)(_all)?$'")
        )
    bodies = {ddl.split("$$")[1] for ddl in (*functions.FUNCTION_DDL, *together.TOGETHER_DDL)}
    assert {row.prosrc for row in rows} == bodies


async def quick(database: Database, turn: str, allowance: Plan) -> bool:
    """Whether the short way decides for this turn; nothing stays taken."""
    ladder = allowance.ladder("light")
    known = arguments(
        allowance, subject="u", timezone="UTC", at=NOON, ladder=ladder, costs=usage.ONE_TURN
    )
    hold = {"turn_id": turn, "plan": "free", "role": "light", "ladder": list(ladder), "lease_s": 9}
    async with database.engine.connect() as connection:
        rows = (await connection.execute(functions.QUICK_TAKE, known | hold)).all()
    return bool(rows)


async def test_it_decides_for_an_open_window_with_room(database: Database):
    two = plan(light(2), light(5, name="light_day", policy="calendar", window=DAY))
    assert not await quick(database, "t0", two)  # nothing is open yet
    await take(database, "t1", two)
    assert await quick(database, "t2", two)
    await take(database, "t2", two)
    assert not await quick(database, "t3", two)  # full: a fallback must be found
    assert not await quick(database, "t1", plan(light(9)))  # a repeat is a question of its own


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
    """The short way's answer is compared with the meter's, which is read from the same rows."""
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
