"""What is owed for an overspent window is lost in time, and when is told: nobody is shut out."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.database import Database
from quotas import many
from quotas.plans import Plan, Viewer
from tests.quotas.fakes_debts import Debtor
from tests.quotas.fakes_plans import DAY, HOUR, bucket, light, plan
from tests.quotas.test_grants import give
from tests.quotas.turns import NOON, counts, seconds, settle, shown, take

SESSION = (HOUR, "session", NOON + seconds(HOUR), NOON + seconds(2 * HOUR))
CALENDAR = (DAY, "calendar", NOON + seconds(DAY // 2), NOON + seconds(DAY + DAY // 2))
KINDS = pytest.mark.parametrize(
    ("window", "policy", "ended", "lapses"), [SESSION, CALENDAR], ids=["session", "calendar"]
)
LONG_WAY = pytest.mark.parametrize("quick", [False, True], ids=["alone", "together"])
COSTS: dict[Any, int] = {"micro_usd": 10}


def cost(window: int = HOUR, policy: str = "session", cap: int = 100, **other: Any) -> Plan:
    """An allowance of cost that nothing stands in for."""
    own = {"unit": "micro_usd", "policy": policy, "window": window, "fallback": None}
    return plan(light(cap, **own, **other))


async def overspend(
    database: Database, allowance: Plan, spent: int, at: datetime = NOON, timezone: str = "UTC"
) -> None:
    await take(database, "first", allowance, costs=COSTS, at=at, timezone=timezone)
    assert await settle(database, "first", {"micro_usd": spent}, at=at)


async def admitted(
    database: Database,
    turn: str,
    allowance: Plan,
    at: datetime,
    *,
    quick: bool = False,
    timezone: str = "UTC",
) -> bool:
    """Whether the turn is, by the short way or the long one."""
    if not quick:
        alone = await take(database, turn, allowance, costs=COSTS, at=at, timezone=timezone)
        return alone.granted
    ask = many.Ask(turn, Viewer("u", allowance, timezone), "light", costs=COSTS)
    async with database.transaction() as session:
        (by_many,) = await many.reserve(session, [ask], at=at)
    return by_many is not None


def zulu(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@KINDS
@LONG_WAY
@pytest.mark.parametrize("spent", [800, 195], ids=["all", "all-but-less-than-a-turn"])
@pytest.mark.parametrize("asked_before", [False, True])
async def test_a_window_that_owes_too_much_to_open_is_free_when_the_wait_says(
    database: Database,
    window: int,
    policy: str,
    ended: datetime,
    lapses: datetime,
    *,
    quick: bool,
    spent: int,
    asked_before: bool,
):
    """Also where a turn that was denied has made the window, which has yet to open."""
    owing, owed = cost(window, policy), min(100, spent - 100)
    await overspend(database, owing, spent)
    open_still = await take(database, "open", owing, costs=COSTS)
    assert open_still.quota["buckets"][0]["resets_at"] == zulu(ended)
    assert open_still.quota["exits"][0] == {"action": "wait", "until": zulu(lapses)}
    if asked_before:
        denied = await take(database, "denied", owing, costs=COSTS, at=ended)
        assert not denied.granted
        assert denied.quota["exits"][0] == {"action": "wait", "until": zulu(lapses)}
        assert denied.retry_after_s == (lapses - ended).total_seconds()
        assert denied.quota["buckets"][0]["next_free_at"] == zulu(lapses)
    early = lapses - seconds(1)
    assert not await admitted(database, "early", owing, early, quick=quick)
    before = await shown(database, owing, at=early)
    assert (before["carried"], *counts(before)) == (owed, owed, 0, 100 - owed)
    free = await shown(database, owing, at=lapses)
    assert (free["carried"], *counts(free), free["next_free_at"]) == (0, 0, 0, 100, None)
    assert await admitted(database, "then", owing, lapses, quick=quick)
    opened = await shown(database, owing, at=lapses)
    assert (opened["carried"], *counts(opened)) == (0, 0, 10, 90)
    assert opened["resets_at"] == zulu(lapses + seconds(window))


@KINDS
@LONG_WAY
async def test_a_debt_is_lost_though_nobody_asked_while_it_lasted(
    database: Database,
    window: int,
    policy: str,
    ended: datetime,
    lapses: datetime,
    *,
    quick: bool,
):
    owing = cost(window, policy)
    await overspend(database, owing, 800)
    later = lapses + timedelta(days=7)
    assert (await shown(database, owing, at=later))["remaining"] == 100
    assert await admitted(database, "t", owing, later, quick=quick)
    assert (await shown(database, owing, at=later))["carried"] == 0
    assert ended < lapses


@LONG_WAY
async def test_a_window_that_opens_while_it_owes_owes_to_its_own_end(
    database: Database, *, quick: bool
):
    """Its end, once shown, does not move; so none is shown before it opens."""
    owing, last = cost(), NOON + seconds(2 * HOUR - 1)
    await overspend(database, owing, 160)
    before = await shown(database, owing, at=last)
    assert (before["remaining"], before["resets_at"], before["next_free_at"]) == (40, None, None)
    dear = await take(database, "dear", owing, costs={"micro_usd": 50}, at=last)
    shut = dear.quota["buckets"][0]
    assert (shut["resets_at"], shut["next_free_at"]) == (None, zulu(last + seconds(1)))
    assert await admitted(database, "t", owing, last, quick=quick)
    for at in (last, NOON + seconds(2 * HOUR), last + seconds(HOUR - 1)):
        now = await shown(database, owing, at=at)
        assert (now["carried"], *counts(now)) == (60, 60, 10, 30)
        assert now["resets_at"] == zulu(last + seconds(HOUR))


async def test_a_gift_opens_a_session_that_owes_all_and_moves_no_end_that_was_shown(
    database: Database,
):
    owing, at = cost(), NOON + seconds(HOUR)
    await overspend(database, owing, 800)
    assert not await admitted(database, "denied", owing, at)
    shut = await shown(database, owing, at=at)
    assert (shut["resets_at"], shut["next_free_at"]) == (None, zulu(at + seconds(HOUR)))
    await give(database, at=at, units=10)
    later = at + seconds(60)
    assert await admitted(database, "t", owing, later)
    assert (await shown(database, owing, at=later))["resets_at"] == zulu(later + seconds(HOUR))


async def test_a_gift_for_the_next_window_outlives_the_debt_of_that_window(database: Database):
    """It is bound to the window that is shut, which is the one that opens when the debt is lost."""
    owing, at = cost(), NOON + seconds(HOUR)
    await overspend(database, owing, 800)
    assert not await admitted(database, "denied", owing, at)
    await give(database, at=at, units=5, rollover=False)
    now = await shown(database, owing, at=at + seconds(HOUR))
    assert (now["cap"], now["granted"], now["remaining"]) == (105, 5, 105)


# A month of 28 days, a day of 23 hours: the debt goes with the day or the month that owes.
@pytest.mark.parametrize(
    ("window", "zone", "at", "lapses"),
    [
        (30 * DAY, "UTC", "2027-01-20T12:00:00Z", "2027-03-01T00:00:00Z"),
        (30 * DAY, "UTC", "2026-11-20T12:00:00Z", "2027-01-01T00:00:00Z"),
        (DAY, "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T22:00:00Z"),
        (DAY, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T23:00:00Z"),
    ],
)
@LONG_WAY
async def test_a_calendars_debt_ends_with_the_day_or_month_that_owes_it(
    database: Database, window: int, zone: str, at: str, lapses: str, *, quick: bool
):
    owing, end = cost(window, "calendar"), datetime.fromisoformat(lapses)
    await overspend(database, owing, 800, datetime.fromisoformat(at), zone)
    early, where = end - seconds(1), {"timezone": zone}
    assert not await admitted(database, "denied", owing, early, **where)
    shut = await shown(database, owing, at=early, **where)
    assert (shut["resets_at"], shut["next_free_at"]) == (lapses, lapses)
    assert await admitted(database, "then", owing, end, quick=quick, timezone=zone)


@LONG_WAY
async def test_who_moves_while_a_day_is_shut_is_told_when_it_is_free_and_gets_no_second_day(
    database: Database, *, quick: bool
):
    owing, tokyo = cost(DAY, "calendar"), "Asia/Tokyo"
    await overspend(database, owing, 800)
    midnight, free = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, 15, tzinfo=UTC)
    for hour in (0, 15, 24, 38):
        at = midnight + seconds(hour * HOUR)
        assert not await admitted(database, f"t{hour}", owing, at, timezone=tokyo)
        shut = await shown(database, owing, at=at, timezone=tokyo)
        assert (shut["resets_at"], shut["next_free_at"]) == (zulu(free), zulu(free))
    assert await admitted(database, "then", owing, free, quick=quick, timezone=tokyo)
    opened = await shown(database, owing, at=free, timezone=tokyo)
    assert opened["resets_at"] == zulu(free + seconds(DAY))


async def test_a_plan_whose_window_rolls_owes_nothing_for_one_that_did_not(database: Database):
    at = NOON + seconds(HOUR)
    await overspend(database, cost(), 800)
    assert not await admitted(database, "denied", cost(), at)
    rolling = cost(policy="rolling")
    assert (await shown(database, rolling, at=at))["remaining"] == 100
    assert await admitted(database, "t", rolling, at)
    assert counts(await shown(database, rolling, at=at)) == (0, 10, 90)


async def test_overage_that_becomes_known_when_its_debt_would_be_lost_shuts_nothing(
    database: Database,
):
    owing, late = cost(), NOON + seconds(2 * HOUR)
    week = light(1, name="week", window=7 * DAY, fallback=None)
    both = plan(light(100, unit="micro_usd", fallback=None), week)
    costs: dict[Any, int] = {"turns": 1, "micro_usd": 10}
    await take(database, "late", both, costs=costs)
    denied = await take(database, "denied", both, costs=costs, at=NOON + seconds(HOUR))
    assert denied.quota["binding"] == "week"  # so the window is made, and does not open
    assert await settle(database, "late", {"micro_usd": 5_000}, at=late)
    assert await admitted(database, "t", owing, late)


async def test_the_wait_is_that_of_the_bucket_that_lasts_longest(database: Database):
    """A session that owes says when, among others that are shown with an end."""
    day = light(120, name="day", unit="micro_usd", policy="calendar", window=DAY, fallback=None)
    both, at = plan(light(100, unit="micro_usd", fallback=None), day), NOON + seconds(HOUR)
    await overspend(database, both, 115)
    dear: dict[Any, int] = {"micro_usd": 90}
    denied = await take(database, "dear", both, costs=dear, at=at)
    assert denied.quota["binding"] == "day"
    ends = [b["next_free_at"] for b in denied.quota["buckets"][:2]]
    assert ends == [zulu(at + seconds(HOUR)), "2026-11-22T00:00:00Z"]
    assert denied.quota["exits"][0] == {"action": "wait", "until": ends[1]}


async def test_the_model_that_is_shut_by_a_debt_is_no_way_out(database: Database):
    small = plan(
        light(10, unit="micro_usd"), bucket("light_mini", 100, unit="micro_usd", window=HOUR)
    )
    for turn, spent in (("a", 10), ("b", 800)):
        await take(database, turn, small, costs=COSTS)
        assert await settle(database, turn, {"micro_usd": spent})
    later = NOON + seconds(HOUR)
    assert (await take(database, "c", small, costs=COSTS, at=later)).served_role == "light"
    denied = await take(database, "d", small, costs=COSTS, at=later)
    assert not denied.granted
    until = zulu(later + seconds(HOUR))
    shut = next(b for b in denied.quota["buckets"] if b["name"] == "light_mini")
    assert (shut["resets_at"], shut["next_free_at"]) == (None, until)
    assert denied.quota["exits"][0] == {"action": "wait", "until": until}
    assert "use_mini" not in [way["action"] for way in denied.quota["exits"]]
    assert denied.retry_after_s == HOUR


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from([1, 10, 60, 100])),
        st.tuples(st.just("settle"), st.sampled_from([0, 10, 90, 130, 800])),
        st.tuples(st.just("pass"), st.sampled_from([1, 900, HOUR - 1, HOUR, DAY // 2, DAY])),
    ),
    max_size=25,
)


async def history(
    database: Database, owing: Plan, steps: Sequence[tuple[str, int]], *, quick: bool
) -> None:
    """Every step is done twice; what is shown and promised is held against what comes of it."""
    subject, at, model = f"usr_{secrets.token_hex(8)}", NOON, Debtor(owing.buckets[0])
    for n, (step, size) in enumerate([*steps, ("pass", 2 * DAY)]):
        if step == "pass":
            at += seconds(size)
        elif step == "settle" and model.holds:
            turn = next(iter(model.holds))
            model.settle(turn, size)
            assert await settle(database, turn, {"micro_usd": size}, at=at)
        elif step == "ask":
            turn, costs = f"{subject}.{n}", {"micro_usd": size}
            expected = model.reserve(turn, size, at)
            allowed = None
            if quick:
                ask = many.Ask(turn, Viewer(subject, owing), "light", costs=dict(costs))
                async with database.transaction() as session:
                    (allowed,) = await many.reserve(session, [ask], at=at)
                assert (allowed is not None) == expected
            allowed = allowed or await take(
                database, turn, owing, subject=subject, costs=costs, at=at
            )
            assert allowed.granted == expected
            if until := allowed.quota["buckets"][0]["next_free_at"]:
                assert model.remaining(datetime.fromisoformat(until) - seconds(1)) < size
                assert model.remaining(datetime.fromisoformat(until)) >= size
        now = await shown(database, owing, subject=subject, at=at)
        owed, used, held = model.level(at)
        assert (now["carried"], *counts(now)) == (owed, owed + used, held, model.remaining(at))
    assert model.remaining(at) == 100  # two days later nothing is left of any debt


@KINDS
@LONG_WAY
def test_any_history_of_debts_agrees_with_the_model(
    database_url: str,
    window: int,
    policy: str,
    ended: datetime,
    lapses: datetime,
    *,
    quick: bool,
):
    assert ended < lapses
    with asyncio.Runner() as runner:
        database = Database(database_url, pool_size=1)

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(STEPS)
        def explore(steps: list[tuple[str, int]]) -> None:
            runner.run(history(database, cost(window, policy), steps, quick=quick))

        try:
            explore()
        finally:
            runner.run(database.dispose())
