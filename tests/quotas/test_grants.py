"""Grants: burnt after the plan, in one order, given back in reverse, never more than there is."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from backend.database import Database
from quotas.grants import GrantConflict, cut, grant, revoke
from tests.quotas.fakes_plans import HOUR, light, plan
from tests.quotas.turns import (
    NOON,
    counts,
    release,
    seconds,
    settle,
    shown,
    start,
    sweep,
    take,
)

GIFT: dict[str, Any] = {
    "subject": "u",
    "bucket": "light",
    "units": 1,
    "priority": 10,
    "expires_at": None,
    "rollover": True,
    "reason": "sorry",
}


async def give(database: Database, name: str = "g", at: datetime = NOON, **other: Any) -> bool:
    async with database.transaction() as session:
        return await grant(session, id=name, at=at, **GIFT | other)


async def take_back(database: Database, name: str) -> int:
    async with database.transaction() as session:
        return await revoke(session, id=name)


async def left(database: Database) -> dict[str, int]:
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT id, remaining FROM quota_grant ORDER BY id"))
        return {row.id: row.remaining for row in rows}


async def test_a_gift_raises_the_cap_of_the_open_window_and_not_its_end(database: Database):
    one = plan(light(1, window=HOUR))
    await take(database, "t1", one)
    before = await shown(database, one)
    assert await give(database, units=2)
    after = await shown(database, one)
    assert (before["cap"], after["cap"]) == (1, 3)
    assert after["resets_at"] == before["resets_at"]
    assert counts(after) == (0, 1, 2)
    served = [(await take(database, f"t{n}", one)).served_role for n in (2, 3, 4)]
    assert served == ["light", "light", "light_mini"]
    full = await shown(database, one)
    assert (full["cap"], *counts(full)) == (3, 0, 3, 0)


async def test_a_grant_is_burnt_only_when_the_plan_has_nothing_left(database: Database):
    two = plan(light(2))
    await give(database, units=5)
    for n in range(3):
        await take(database, f"t{n}", two)
    assert await left(database) == {"g": 4}


async def test_burning_goes_by_priority_then_expiry_then_age(database: Database):
    none = plan(light(0))
    soon, later = NOON + timedelta(days=1), NOON + timedelta(days=2)
    for n, (name, priority, expires_at) in enumerate(
        [("paid", 20, soon), ("never", 10, None), ("later", 10, later), ("soon", 10, soon)]
    ):
        at = NOON + seconds(n)
        await give(database, name, at, priority=priority, expires_at=expires_at)
    await give(database, "never, but younger", NOON + seconds(9))
    burnt = []
    for n in range(5):
        before = await left(database)
        await take(database, f"t{n}", none, at=NOON + seconds(10))
        after = await left(database)
        burnt += [name for name in before if before[name] != after[name]]
    assert burnt == ["soon", "later", "never", "never, but younger", "paid"]


async def test_what_a_turn_gives_back_returns_in_reverse(database: Database):
    cost = plan(light(10), light(100, name="light_cost", unit="micro_usd"))
    for name, priority in (("first", 1), ("second", 2), ("third", 3)):
        await give(database, name, bucket="light_cost", units=50, priority=priority)
    given = await take(database, "t", cost, costs={"turns": 1, "micro_usd": 220})
    assert given.served_role == "light"
    assert await left(database) == {"first": 0, "second": 0, "third": 30}
    assert await settle(database, "t", {"micro_usd": 130})
    assert await left(database) == {"first": 20, "second": 50, "third": 50}
    after = await shown(database, cost, "light_cost")
    assert (after["cap"], *counts(after)) == (250, 130, 0, 120)


async def test_a_released_turn_gives_everything_back(database: Database):
    none = plan(light(0))
    await give(database)
    await take(database, "t", none)
    assert await release(database, "t")
    assert await left(database) == {"g": 1}
    assert (await take(database, "t2", none)).served_role == "light"


async def test_a_lease_that_runs_out_gives_back_or_keeps_as_the_hold_says(database: Database):
    none = plan(light(0))
    await give(database, "a")
    await give(database, "b", NOON + seconds(1))
    for turn in ("refunded", "counted"):
        await take(database, turn, none, at=NOON + seconds(2))
    await start(database, "counted", at=NOON + seconds(3))
    swept = await sweep(database, NOON + timedelta(days=1))
    assert (swept.refunded, swept.settled) == (1, 1)
    assert await left(database) == {"a": 1, "b": 0}


async def test_an_expired_or_revoked_grant_is_worth_nothing(database: Database):
    none = plan(light(0))
    await give(database, "old", expires_at=NOON + seconds(60))
    await give(database, "gone", units=3)
    assert (await shown(database, none))["cap"] == 4
    assert await take_back(database, "gone") == 3
    assert await take_back(database, "gone") == 0
    assert await take_back(database, "never made") == 0
    assert (await shown(database, none))["cap"] == 1
    later = await take(database, "t", none, at=NOON + seconds(60))
    assert later.served_role == "light_mini"


async def test_what_was_burnt_stays_burnt_when_a_grant_is_revoked(database: Database):
    none = plan(light(0))
    await give(database, units=3)
    await take(database, "t", none)
    assert await take_back(database, "g") == 2
    assert await settle(database, "t")
    assert counts(await shown(database, none)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("burnt", "parts", "remaining"),
    [
        (0, [(1, 3)], 7),  # a third of 10 is 3.3: the person keeps the rest of it
        (0, [(1, 3), (1, 2)], 4),
        (8, [(1, 3)], 0),  # what was burnt stays burnt
        (2, [(1, 2)], 3),
        (0, [(0, 3)], 10),
        (0, [(9, 9)], 1),  # all of it is a matter for `revoke`
    ],
)
async def test_a_part_that_was_refunded_is_taken_back_as_far_as_it_is_not_burnt(
    database: Database, burnt: int, parts: list[tuple[int, int]], remaining: int
):
    none = plan(light(0))
    await give(database, units=10)
    for n in range(burnt):
        await take(database, f"t{n}", none)
    for part, whole in parts:
        async with database.transaction() as session:
            await cut(session, id="g", part=part, whole=whole)
    assert await left(database) == {"g": remaining}
    for n in range(burnt):  # what open turns give back is theirs again, and no more than there was
        await release(database, f"t{n}")
    assert await left(database) == {"g": remaining + burnt}
    assert (await shown(database, none))["remaining"] == remaining + burnt


@pytest.mark.parametrize(("part", "whole"), [(-1, 3), (4, 3), (0, 0)])
async def test_no_more_than_the_whole_can_be_taken_back(database: Database, part: int, whole: int):
    await give(database, units=10)
    with pytest.raises(ValueError, match="whole"):
        async with database.transaction() as session:
            await cut(session, id="g", part=part, whole=whole)


@pytest.mark.parametrize(("rollover", "served"), [(True, "light"), (False, "light_mini")])
@pytest.mark.parametrize("opened", ["before", "after"])
async def test_rollover_says_whether_the_rest_outlives_the_window(
    database: Database, rollover: bool, served: str, opened: str
):
    one = plan(light(1, window=HOUR))
    if opened == "before":
        await take(database, "t1", one)
    await give(database, units=9, rollover=rollover)
    if opened == "after":  # nothing was open: it belongs to the next window that opens
        await take(database, "t1", one, at=NOON + seconds(30))
    assert (await shown(database, one, at=NOON + seconds(60)))["remaining"] == 9
    later = NOON + seconds(3 * HOUR)
    assert (await shown(database, one, at=later))["cap"] == (10 if rollover else 1)
    await take(database, "t2", one, at=later)
    assert (await take(database, "t3", one, at=later)).served_role == served


async def test_a_smaller_plan_keeps_what_was_bought_on_top(database: Database):
    large, small = plan(light(9), name="plus"), plan(light(1))
    for n in range(5):
        await take(database, f"t{n}", large)
    await give(database, units=2)
    now = await shown(database, small)
    assert (now["cap"], *counts(now)) == (7, 0, 5, 2)
    served = [(await take(database, f"s{n}", small)).served_role for n in range(3)]
    assert served == ["light", "light", "light_mini"]
    full = await shown(database, small)
    assert (full["cap"], *counts(full)) == (7, 0, 7, 0)  # no more is taken than is shown


async def test_a_rolling_window_counts_no_usage_that_a_grant_paid_for(database: Database):
    rolling = plan(light(1, policy="rolling", window=HOUR))
    await give(database, units=2)
    for n in range(3):
        assert (await take(database, f"t{n}", rolling)).served_role == "light"
    assert counts(await shown(database, rolling)) == (0, 3, 0)
    for n in range(3):
        await settle(database, f"t{n}")
    full = await shown(database, rolling)
    assert (full["cap"], *counts(full)) == (1, 1, 0, 0)


async def test_the_same_grant_again_is_one_grant_and_another_under_its_id_is_refused(
    database: Database,
):
    assert await give(database)
    assert not await give(database)
    with pytest.raises(GrantConflict):
        await give(database, units=2)
    assert await left(database) == {"g": 1}


@pytest.mark.parametrize("wrong", [{"units": 0}, {"expires_at": datetime(2027, 1, 1)}])  # noqa: DTZ001
async def test_nonsense_is_no_grant(database: Database, wrong: dict[str, Any]):
    with pytest.raises(ValueError, match=r"unit|zone"):
        await give(database, **wrong)


async def test_a_grant_of_somebody_elses_or_for_another_bucket_does_not_count(database: Database):
    none = plan(light(0))
    await give(database, "theirs", subject="v")
    await give(database, "agent's", bucket="agent")
    assert (await take(database, "t", none)).served_role == "light_mini"


async def test_forty_turns_at_once_burn_a_grant_of_seven_seven_times(database: Database):
    two = plan(light(2))
    for name in ("a", "b"):
        await give(database, name, units=3)
    await give(database, "c", units=1)

    async def one(n: int) -> str:
        taken = await take(database, f"t{n}", two, at=None)
        if n % 4 == 0:
            await release(database, f"t{n}")
            taken = await take(database, f"again{n}", two, at=None)
        return str(taken.served_role)

    served = Counter(await asyncio.gather(*(one(n) for n in range(40))))
    now = await shown(database, two, at=None)
    assert served["light"] == now["held"] == now["cap"] == 9
    assert set((await left(database)).values()) == {0}


# --- overage ------------------------------------------------------------------------------------


async def test_what_goes_beyond_the_cap_is_recorded_and_owed_by_the_next_window(database: Database):
    cost = plan(light(10), light(100, name="light_cost", unit="micro_usd", window=HOUR))
    await take(database, "t1", cost, costs={"turns": 1, "micro_usd": 80})
    assert await settle(database, "t1", {"micro_usd": 130})
    next_hour = NOON + seconds(HOUR)
    await take(database, "t2", cost, costs={"turns": 1, "micro_usd": 10}, at=next_hour)
    now = await shown(database, cost, "light_cost", at=next_hour)
    assert (now["carried"], *counts(now)) == (30, 30, 10, 60)
    async with database.transaction() as session:
        query = "SELECT used, overage, carried FROM quota_bucket WHERE name = 'light_cost'"
        rows = (await session.execute(text(query + " ORDER BY ordinal"))).all()
    assert rows == [(130, 30, 0), (0, 0, 30)]


async def test_overage_that_becomes_known_late_is_still_owed(database: Database):
    cost = plan(light(10), light(100, name="light_cost", unit="micro_usd", window=HOUR))
    await take(database, "late", cost, costs={"turns": 1, "micro_usd": 80})
    next_hour = NOON + seconds(HOUR)
    await take(database, "t2", cost, costs={"turns": 1, "micro_usd": 10}, at=next_hour)
    assert await settle(database, "late", {"micro_usd": 5_000}, at=next_hour)
    now = await shown(database, cost, "light_cost", at=next_hour)
    assert (now["carried"], now["remaining"]) == (100, 0)  # at most one window is lost by it
    week = NOON + timedelta(days=7)
    assert (await shown(database, cost, "light_cost", at=week))["remaining"] == 100


async def test_using_more_than_reserved_but_within_the_cap_owes_nothing(database: Database):
    cost = plan(light(10), light(100, name="light_cost", unit="micro_usd", window=HOUR))
    await take(database, "t1", cost, costs={"turns": 1, "micro_usd": 10})
    assert await settle(database, "t1", {"micro_usd": 90})
    later = NOON + seconds(HOUR)
    assert (await shown(database, cost, "light_cost", at=later))["carried"] == 0
