"""What people are told before and when an allowance ends: warnings, a forecast, the ways out."""

from typing import Any

import pytest

from backend.database import Database
from quotas import packs, usage
from quotas.plans import Plan, Plans
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
