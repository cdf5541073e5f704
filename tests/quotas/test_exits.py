"""What people are told before and when an allowance ends: warnings, a forecast, the ways out."""

from datetime import datetime
from typing import Any

import pytest

from backend.database import Database
from quotas import many, packs, usage
from quotas.plans import Plan, Plans, Viewer
from tests.quotas.fakes_plans import DAY, HOUR, bucket, light, plan
from tests.quotas.test_plans import SHIPPED
from tests.quotas.turns import NOON, seconds, settle, shown, take


async def used(database: Database, allowance: Plan, turns: int, role: str = "light") -> None:
    for n in range(turns):
        await take(database, f"t{n}", allowance, role)
        await settle(database, f"t{n}")


async def quota(database: Database, allowance: Plan, **at: Any) -> dict[str, Any]:
    async with database.transaction() as session:
        return await usage.meter(session, "u", allowance, at=at.get("at", NOON))


@pytest.mark.parametrize(
    ("turns", "warning"), [(0, None), (15, None), (16, 80), (18, 80), (19, 95)]
)
async def test_it_warns_at_eighty_and_at_ninety_five_percent(
    database: Database, turns: int, warning: int | None
):
    twenty = plan(light(20))
    await used(database, twenty, turns)
    assert (await shown(database, twenty))["warning"] == warning


async def test_a_closed_bucket_warns_of_nothing(database: Database):
    assert (await shown(database, plan(light(0))))["warning"] is None


async def test_the_forecast_says_when_the_allowance_ends_at_this_pace(database: Database):
    ten = plan(light(10, window=5 * HOUR))
    await used(database, ten, 4)
    hour = await shown(database, ten, at=NOON + seconds(HOUR))
    assert hour["runs_out_at"] == "2026-11-21T14:30:00Z"  # four an hour leave six: 90 minutes
    slow = await shown(database, ten, at=NOON + seconds(4 * HOUR))
    assert slow["runs_out_at"] is None  # one an hour lasts until the reset


async def test_no_forecast_without_a_pace_or_without_anything_left(database: Database):
    two = plan(light(2))
    assert (await shown(database, two))["runs_out_at"] is None
    await used(database, two, 2)
    assert (await shown(database, two))["runs_out_at"] is None


async def test_the_first_turn_alone_is_no_reason_for_alarm(database: Database):
    many = plan(light(160, window=3 * HOUR))
    await used(database, many, 1)
    assert (await shown(database, many, at=NOON + seconds(1)))["runs_out_at"] is None


async def test_a_calendar_windows_pace_counts_from_its_beginning(database: Database):
    day = plan(light(3, policy="calendar", window=DAY))
    await used(database, day, 2)  # two in half a day: the third goes after six more hours
    assert (await shown(database, day))["runs_out_at"] == "2026-11-21T18:00:00Z"


async def test_a_rolling_windows_pace_is_that_of_its_length(database: Database):
    rolling = plan(light(3, policy="rolling", window=HOUR))
    await used(database, rolling, 2)
    assert (await shown(database, rolling))["runs_out_at"] == "2026-11-21T12:30:00Z"


async def test_a_downgrade_comes_with_every_way_out(database: Database):
    plans = Plans.load(SHIPPED)
    free = plans.plan("free")
    await used(database, free, 1, "reasoning")
    down = await take(database, "down", free, "reasoning")
    assert down.served_role == "reasoning_mini"
    assert down.quota["exits"] == [
        {"action": "wait", "until": "2026-11-22T00:00:00Z"},
        {"action": "use_mini", "role": "reasoning_mini"},
        {"action": "buy_credits", "bucket": "reasoning"},
        {"action": "upgrade", "plans": ["plus", "pro"]},
    ]
    assert (await quota(database, free))["exits"] == down.quota["exits"]
    assert plans.plan("pro").upgrades == ()


async def test_credits_are_offered_only_for_what_is_sold(database: Database):
    plans = Plans.load(SHIPPED)
    packs.load(plans)
    for role, sold in (("reasoning", True), ("reasoning_mini", False)):
        plan = plans.plan("free")
        for n in range(1 if sold else 30):
            await take(database, f"{role}{n}", plan, role)
        down = await take(database, f"{role}-down", plan, role)
        ways = [way["action"] for way in down.quota["exits"]]
        assert ("buy_credits" in ways) == sold
        assert "upgrade" in ways


async def test_the_end_of_the_ladder_offers_no_mini_that_is_used_up(database: Database):
    small = plan(light(1), bucket("light_mini", 1))
    await used(database, small, 2)
    last = await take(database, "last", small)
    assert not last.granted
    ways = [way["action"] for way in last.quota["exits"]]
    assert ways == ["wait", "buy_credits"]


async def test_nothing_binds_and_nothing_is_offered_while_there_is_room(database: Database):
    given = await take(database, "t", plan(light(2)))
    assert given.quota["exits"] == []


async def test_a_rung_that_may_not_stand_in_is_stepped_over(database: Database):
    ladder = plan(
        bucket("reasoning", 1, fallback="reasoning_mini"),
        bucket("reasoning_mini", 1, fallback="light"),
        light(1),
    )
    able = {"light"}
    served = [
        (await take(database, f"t{n}", ladder, "reasoning", among=able)).served_role
        for n in range(3)
    ]
    assert served == ["reasoning", "light", None]


async def test_each_role_is_weighed_at_what_it_may_cost(database: Database):
    cost = plan(
        light(1_000, unit="micro_usd"),
        bucket("light_mini", 100, unit="micro_usd"),
    )
    ceilings = {"light": 600, "light_mini": 50}
    taken = [await take(database, f"t{n}", cost, ceilings=ceilings) for n in range(4)]
    assert [a.served_role for a in taken] == ["light", "light_mini", "light_mini", None]
    assert taken[0].quota["charged"] == {"light": 600}
    assert taken[1].quota["charged"] == {"light_mini": 50}


# --- when there is room again --------------------------------------------------------------------


def two_windows(**other: Any) -> Plan:
    """One turn in five hours and one in a week, the shorter first in the file."""
    week = {"name": "week", "policy": "calendar", "window": 7 * DAY}
    return plan(light(1, window=5 * HOUR, **other), light(1, **week, **other))


async def test_of_several_buckets_the_one_that_lasts_longest_binds_and_says_how_long(
    database: Database,
):
    alone = two_windows(fallback=None)
    await used(database, alone, 1)
    denied = await take(database, "denied", alone)
    assert not denied.granted
    assert denied.quota["binding"] == "week"
    monday = "2026-11-23T00:00:00Z"
    assert denied.quota["exits"][0] == {"action": "wait", "until": monday}
    end = datetime.fromisoformat(monday)
    assert denied.retry_after_s == (end - NOON).total_seconds()
    assert (await quota(database, alone))["exits"] == denied.quota["exits"]
    assert not (await take(database, "early", alone, at=end - seconds(1))).granted
    assert (await take(database, "then", alone, at=end)).granted


async def test_what_binds_a_turn_is_the_same_when_it_is_taken_repeated_and_ended(
    database: Database,
):
    both = two_windows()
    await used(database, both, 1)
    down = await take(database, "down", both)
    assert down.downgrade_reason == "allowance_used:week"
    assert (await take(database, "down", both)).quota["exits"] == down.quota["exits"]
    ending = many.Ending("down", Viewer("u", both), counted=True)
    async with database.transaction() as session:
        (ended,) = await many.end(session, [ending], at=NOON)
    assert ended is not None
    told = ("binding", "downgrade_reason", "exits")
    assert [ended.quota[key] for key in told] == [down.quota[key] for key in told]


async def partly_used(database: Database, cost: Plan) -> None:
    for n, minute in enumerate((0, 30)):
        at = NOON + seconds(60 * minute)
        await take(database, f"t{n}", cost, costs={"micro_usd": 300}, at=at)
        await settle(database, f"t{n}", at=at)


@pytest.mark.parametrize(
    ("dear", "until"),
    [(600, "2026-11-21T13:01:00Z"), (900, "2026-11-21T13:31:00Z"), (1_100, None)],
)
async def test_a_turn_that_costs_more_than_is_left_may_wait_until_enough_is_free(
    database: Database, dear: int, until: str | None
):
    """Not until the next unit is free, and not for ever: a window smaller than the turn is told."""
    rolling = {"unit": "micro_usd", "policy": "rolling", "fallback": None}
    cost = plan(light(1_000, **rolling))
    await partly_used(database, cost)
    now = NOON + seconds(40 * 60)
    denied = await take(database, "dear", cost, costs={"micro_usd": dear}, at=now)
    assert not denied.granted
    full = denied.quota["buckets"][0]
    assert (full["remaining"], full["next_free_at"]) == (400, until)
    waits = [way["until"] for way in denied.quota["exits"] if way["action"] == "wait"]
    assert waits == ([until] if until else [])
    if until is None:
        assert denied.retry_after_s is None
        return
    end = datetime.fromisoformat(until)
    assert denied.retry_after_s == (end - now).total_seconds()
    for turn, at, served in (("early", end - seconds(1), False), ("then", end, True)):
        again = await take(database, turn, cost, costs={"micro_usd": dear}, at=at)
        assert again.granted == served


async def test_a_turn_that_stepped_down_for_its_cost_still_says_at_its_end_when_there_is_room(
    database: Database,
):
    cost = plan(light(1_000, unit="micro_usd", policy="rolling"))
    await partly_used(database, cost)
    now, ceilings = NOON + seconds(40 * 60), {"light": 600}
    down = await take(database, "down", cost, ceilings=ceilings, at=now)
    assert down.served_role == "light_mini"
    wait = {"action": "wait", "until": "2026-11-21T13:01:00Z"}
    assert down.quota["exits"][0] == wait
    ending = many.Ending("down", Viewer("u", cost), counted=True, ceilings={"light": 600})
    async with database.transaction() as session:
        read = await usage.meter(session, "u", cost, turn_id="down", ceilings=ceilings, at=now)
        (ended,) = await many.end(session, [ending], at=now)
    assert ended is not None
    assert [q["exits"][0] for q in (read, ended.quota)] == [wait, wait]


async def test_a_mini_that_has_too_little_left_for_a_turn_is_no_way_out(database: Database):
    cost = plan(light(600, unit="micro_usd"), bucket("light_mini", 130, unit="micro_usd"))
    ceilings: dict[Any, int] = {"light": 600, "light_mini": 50}
    for n in range(2):
        given = await take(database, f"t{n}", cost, ceilings=ceilings)
    assert {"action": "use_mini", "role": "light_mini"} in given.quota["exits"]  # 80 are left
    await take(database, "t2", cost, ceilings=ceilings)
    last = await take(database, "last", cost, ceilings=ceilings)
    assert not last.granted
    assert "use_mini" not in [way["action"] for way in last.quota["exits"]]
