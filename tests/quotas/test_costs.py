"""Cost credits, the meter that is shown, and whose clock counts."""

from datetime import UTC, datetime

import pytest
import time_machine
from sqlalchemy import text

from backend.database import Database
from quotas import usage
from quotas.usage import Swept
from tests.quotas.fakes_plans import DAY, HOUR, bucket, light, plan
from tests.quotas.turns import NOON, counts, release, seconds, settle, shown, sweep, take


async def test_cost_credits_are_reserved_at_a_ceiling_and_settled_at_the_truth(database: Database):
    credit = plan(light(10), light(1_000, name="light_cost", role="light", unit="micro_usd"))
    ceiling = {"turns": 1, "micro_usd": 400}
    for turn in ("t1", "t2"):
        assert (await take(database, turn, credit, costs=ceiling)).served_role == "light"
    assert (await take(database, "t3", credit, costs=ceiling)).served_role == "light_mini"
    assert await settle(database, "t1", {"micro_usd": 150})
    assert counts(await shown(database, credit, "light_cost")) == (150, 400, 450)
    assert counts(await shown(database, credit)) == (1, 1, 8)


async def test_a_turn_that_used_more_than_its_reserve_is_counted_beyond_the_cap(database: Database):
    credit = plan(light(10), light(100, name="light_cost", role="light", unit="micro_usd"))
    await take(database, "t1", credit, costs={"turns": 1, "micro_usd": 80})
    assert await settle(database, "t1", {"micro_usd": 800})
    assert counts(await shown(database, credit, "light_cost")) == (800, 0, 0)
    after = await take(database, "t2", credit, costs={"turns": 1, "micro_usd": 1})
    assert after.downgrade_reason == "allowance_used:light_cost"


async def test_nothing_is_spent_below_zero(database: Database):
    await take(database, "t", plan())
    with pytest.raises(ValueError, match="below zero"):
        await settle(database, "t", {"turns": -1})


async def test_the_meter_tells_what_a_turn_was_charged_and_nothing_for_a_free_one(
    database: Database,
):
    one = plan(light(1))
    await take(database, "t1", one)
    await take(database, "t2", one)
    await settle(database, "t2")
    await release(database, "t1")
    async with database.transaction() as session:
        free = await usage.meter(session, "u", one, turn_id="t1", at=NOON)
        paid = await usage.meter(session, "u", one, turn_id="t2", at=NOON)
        foreign = await usage.meter(session, "v", one, turn_id="t2", at=NOON)
    assert (free["charged"], free["served_role"]) == ({}, "light")
    assert (paid["charged"], paid["served_role"]) == ({"light_mini": 1}, "light_mini")
    assert paid["downgrade_reason"] == "allowance_used:light"
    assert (foreign["charged"], foreign["served_role"]) == ({}, None)


async def test_the_quota_object_has_the_published_keys(database: Database):
    given = await take(database, "t", plan(light(2)))
    assert set(given.quota) == {
        "plan",
        "binding",
        "buckets",
        "charged",
        "served_role",
        "requested_role",
        "downgrade_reason",
        "exits",
    }
    assert set(given.quota["buckets"][0]) == {
        "name",
        "unit",
        "policy",
        "window_s",
        "used",
        "held",
        "cap",
        "remaining",
        "resets_at",
        "next_free_at",
        "fallback",
        "granted",
        "carried",
        "warning",
        "runs_out_at",
    }


async def test_the_database_clock_decides_when_nobody_owns_time(database: Database):
    one = plan(light(1, window=HOUR))
    await take(database, "t", one, at=None)
    async with database.transaction() as session:
        left = await session.execute(
            text("SELECT extract(epoch FROM resets_at - clock_timestamp()) FROM quota_bucket")
        )
    assert HOUR - 60 < min(r[0] for r in left.all() if r[0] is not None) <= HOUR + 1


@pytest.mark.parametrize("step_s", [300, -2, 400 * DAY])
async def test_a_host_whose_clock_steps_changes_no_window(database: Database, step_s: int):
    """NTP steps, a host five minutes ahead, one that is a year off: the database's clock counts."""
    day = plan(light(2, window=HOUR), bucket("reasoning", 2, policy="calendar", window=DAY))
    for turn, role in (("t1", "light"), ("r1", "reasoning")):
        await take(database, turn, day, role, at=None)
    before = [await shown(database, day, name, at=None) for name in ("light", "reasoning")]
    with time_machine.travel(datetime.now(UTC) + seconds(step_s), tick=True):
        for turn, role in (("t2", "light"), ("r2", "reasoning")):
            assert (await take(database, turn, day, role, at=None)).served_role == role
        assert (await take(database, "t3", day, at=None)).served_role == "light_mini"
        after = [await shown(database, day, name, at=None) for name in ("light", "reasoning")]
        assert await sweep(database, None) == Swept(refunded=0, settled=0)
    for was, now in zip(before, after, strict=True):
        assert (now["resets_at"], now["held"]) == (was["resets_at"], 2)
