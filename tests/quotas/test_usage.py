"""Allowances: taken once, given back or counted once, shown as they are enforced."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.database import Database
from quotas import usage
from quotas.plans import Plan, UnknownRole
from quotas.usage import Allowance, HoldConflict, Swept
from tests.quotas.fakes_plans import DAY, HOUR, bucket, light, plan

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


async def take(
    database: Database,
    turn: str,
    plan: Plan,
    role: str = "light",
    *,
    subject: str = "u",
    at: datetime | None = NOON,
    **other: Any,
) -> Allowance:
    async with database.transaction() as session:
        return await usage.reserve(
            session, turn_id=turn, subject=subject, plan=plan, role=role, at=at, **other
        )


async def settle(
    database: Database,
    turn: str,
    spent: Mapping[Any, int] | None = None,
    at: datetime | None = NOON,
) -> bool:
    async with database.transaction() as session:
        return await usage.settle(session, turn, spent=spent, at=at)


async def release(database: Database, turn: str) -> bool:
    async with database.transaction() as session:
        return await usage.release(session, turn, at=NOON)


async def start(database: Database, turn: str, at: datetime | None = NOON, **other: Any) -> bool:
    async with database.transaction() as session:
        return await usage.start(session, turn, at=at, **other)


async def sweep(database: Database, at: datetime | None, **other: Any) -> Swept:
    async with database.transaction() as session:
        return await usage.sweep(session, at=at, **other)


async def shown(
    database: Database,
    plan: Plan,
    name: str = "light",
    *,
    subject: str = "u",
    at: datetime | None = NOON,
    timezone: str = "UTC",
) -> dict[str, Any]:
    async with database.transaction() as session:
        quota = await usage.meter(session, subject, plan, at=at, timezone=timezone)
    return next(b for b in quota["buckets"] if b["name"] == name)


def counts(bucket: Mapping[str, Any]) -> tuple[int, int, int]:
    return bucket["used"], bucket["held"], bucket["remaining"]


# --- the ladder ---------------------------------------------------------------------------------


async def test_a_turn_is_served_as_asked_while_there_is_room(database: Database):
    given = await take(database, "t1", plan(light(2)))
    assert given.granted
    assert (given.served_role, given.downgrade_reason, given.buckets) == ("light", None, ("light",))
    assert given.quota["charged"] == {"light": 1}
    assert given.quota["binding"] is None
    assert counts(given.quota["buckets"][0]) == (0, 1, 1)


async def test_a_used_up_allowance_is_answered_by_the_fallback_and_said(database: Database):
    two = plan(light(2))
    for turn in ("t1", "t2"):
        await take(database, turn, two)
    third = await take(database, "t3", two)
    assert third.granted
    assert (third.requested_role, third.served_role) == ("light", "light_mini")
    assert third.downgrade_reason == "allowance_used:light"
    assert third.quota["binding"] == "light"
    assert third.quota["downgrade_reason"] == "allowance_used:light"
    assert third.quota["charged"] == {"light_mini": 1}


async def test_the_ladder_is_walked_to_its_end_and_then_says_how_long_to_wait(database: Database):
    small = plan(
        bucket("reasoning", 1, fallback="reasoning_mini", window=7 * HOUR),
        bucket("reasoning_mini", 1, fallback="light", window=2 * HOUR),
        light(1, window=5 * HOUR),
        bucket("light_mini", 1, window=3 * HOUR),
    )
    served = [await take(database, f"t{n}", small, "reasoning") for n in range(5)]
    assert [a.served_role for a in served] == [
        "reasoning",
        "reasoning_mini",
        "light",
        "light_mini",
        None,
    ]
    assert {a.downgrade_reason for a in served[1:4]} == {"allowance_used:reasoning"}
    last = served[-1]
    assert not last.granted
    assert last.retry_after_s == 2 * HOUR  # the first rung that is free again
    assert last.quota["binding"] == "reasoning"
    assert last.quota["charged"] == {}
    again = await take(database, "t9", small, "reasoning", at=NOON + seconds(2 * HOUR))
    assert again.served_role == "reasoning_mini"


async def test_a_denied_turn_leaves_no_trace_and_may_ask_again(database: Database):
    closed = plan(bucket("light", 1))
    await take(database, "t1", closed)
    assert not (await take(database, "t2", closed)).granted
    await release(database, "t1")
    assert (await take(database, "t2", closed)).granted


async def test_a_closed_bucket_never_opens_by_waiting(database: Database):
    none = await take(database, "t", plan(bucket("light", 0)))
    assert (none.granted, none.retry_after_s) == (False, None)
    mini = await take(database, "t", plan(light(0)))
    assert mini.served_role == "light_mini"


async def test_a_turn_needs_room_in_every_bucket_of_its_role(database: Database):
    both = plan(
        light(3),
        light(2, name="light_week", role="light", window=7 * DAY),
    )
    served = [(await take(database, f"t{n}", both)) for n in range(3)]
    assert [a.served_role for a in served] == ["light", "light", "light_mini"]
    assert served[0].quota["charged"] == {"light": 1, "light_week": 1}
    assert served[2].downgrade_reason == "allowance_used:light_week"
    assert counts(await shown(database, both)) == (0, 2, 1)  # the other bucket gave nothing


async def test_a_role_that_the_plan_does_not_have_is_an_error(database: Database):
    with pytest.raises(UnknownRole):
        await take(database, "t", plan(), "oracle")


async def test_a_floor_lifts_what_routing_asks_for(database: Database):
    given = await take(database, "t", plan(light(1), floor="light"), "light_mini")
    assert (given.served_role, given.downgrade_reason) == ("light", None)


async def test_subjects_do_not_share(database: Database):
    one = plan(light(1))
    first = await take(database, "t1", one, subject="a")
    second = await take(database, "t2", one, subject="b")
    assert (first.served_role, second.served_role) == ("light", "light")


# --- every hold ends once -----------------------------------------------------------------------


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


# --- windows ------------------------------------------------------------------------------------


async def test_a_session_starts_with_its_first_turn_and_not_before(database: Database):
    one = plan(light(1, window=HOUR))
    assert (await shown(database, one))["resets_at"] is None
    await take(database, "t1", one, at=NOON + seconds(90))
    assert (await shown(database, one))["resets_at"] == "2026-11-21T13:01:30Z"
    assert (await shown(database, one, "light_mini"))["resets_at"] is None


async def test_the_fallbacks_window_starts_when_it_is_first_used(database: Database):
    one = plan(light(1, window=HOUR))
    await take(database, "t1", one)
    await take(database, "t2", one, at=NOON + seconds(600))
    assert (await shown(database, one, "light_mini"))["resets_at"] == "2026-11-21T13:10:00Z"


async def test_a_window_is_full_until_the_second_it_promised_and_free_from_then_on(
    database: Database,
):
    one = plan(light(1, window=HOUR))
    await take(database, "t1", one)
    before = NOON + seconds(HOUR - 0.001)
    full = await shown(database, one, at=before)
    assert (full["remaining"], full["next_free_at"]) == (0, "2026-11-21T13:00:00Z")
    assert (await take(database, "t2", one, at=before)).served_role == "light_mini"
    assert (await take(database, "t3", one, at=NOON + seconds(HOUR))).served_role == "light"


async def test_a_promised_end_is_a_whole_second_and_never_early(database: Database):
    one = plan(light(1, window=HOUR))
    await take(database, "t1", one, at=NOON + seconds(0.4))
    assert (await shown(database, one))["resets_at"] == "2026-11-21T13:00:01Z"


async def test_usage_that_settles_late_lands_in_the_window_of_its_reserve(database: Database):
    day = plan(light(5, policy="calendar", window=DAY))
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    await take(database, "late", day, at=midnight - seconds(1))
    await start(database, "late", at=midnight - seconds(1))
    await take(database, "next", day, at=midnight + seconds(60))
    assert await settle(database, "late", at=midnight + seconds(180))
    today = await shown(database, day, at=midnight + seconds(180))
    assert counts(today) == (0, 1, 4)
    async with database.transaction() as session:
        rows = await session.execute(
            text("SELECT ordinal, used, held FROM quota_bucket WHERE name='light' ORDER BY ordinal")
        )
    assert rows.all() == [(1, 1, 0), (2, 0, 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE quota_bucket SET resets_at = resets_at - interval '1 second'",
        "UPDATE quota_bucket SET resets_at = resets_at + interval '1 second'",
        "UPDATE quota_bucket SET window_start = window_start + interval '1 second'",
    ],
)
async def test_the_database_refuses_to_move_a_promised_end(database: Database, statement: str):
    await take(database, "t", plan(light(1)))
    with pytest.raises(DBAPIError, match="never moves"):
        async with database.transaction() as session:
            await session.execute(text(statement + " WHERE name = 'light'"))


async def test_a_change_of_plan_changes_the_cap_of_the_open_window_but_never_its_end(
    database: Database,
):
    free, plus = plan(light(1)), plan(light(3, window=9 * HOUR), name="plus")
    await take(database, "t1", free)
    promised = (await shown(database, free))["resets_at"]
    assert (await take(database, "t2", plus)).served_role == "light"
    up = await shown(database, plus)
    assert (up["cap"], up["remaining"], up["resets_at"]) == (3, 1, promised)
    down = await shown(database, free)
    assert (down["cap"], down["used"] + down["held"], down["remaining"]) == (1, 2, 0)
    assert down["resets_at"] == promised
    assert (await take(database, "t3", free)).served_role == "light_mini"


async def test_a_lowered_cap_holds_at_once_and_settles_what_is_in_flight(database: Database):
    await take(database, "t1", plan(light(5)))
    await take(database, "t2", plan(light(5)))
    lower = plan(light(1))
    assert (await take(database, "t3", lower)).served_role == "light_mini"
    assert await settle(database, "t1")
    assert await settle(database, "t2")
    assert counts(await shown(database, lower)) == (2, 0, 0)


# Both sides of both days on which Berlin's clocks change, and two zones far apart.
@pytest.mark.parametrize(
    ("zone", "at", "resets"),
    [
        ("Europe/Berlin", "2027-03-28T00:30:00+01:00", "2027-03-28T22:00:00Z"),  # 23 hours
        ("Europe/Berlin", "2027-03-28T03:30:00+02:00", "2027-03-28T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25T00:30:00+02:00", "2026-10-25T23:00:00Z"),  # 25 hours
        ("Europe/Berlin", "2026-10-25T23:30:00+01:00", "2026-10-25T23:00:00Z"),
        ("Asia/Shanghai", "2026-11-21T23:59:59+08:00", "2026-11-21T16:00:00Z"),
        ("Pacific/Auckland", "2026-11-21T12:00:00+00:00", "2026-11-22T11:00:00Z"),
        ("Africa/Cairo", "2027-04-30T12:00:00+00:00", "2027-04-30T21:00:00Z"),
    ],
)
async def test_a_day_is_the_persons_own_also_when_clocks_change(
    database: Database, zone: str, at: str, resets: str
):
    day = plan(light(1, policy="calendar", window=DAY))
    moment = datetime.fromisoformat(at)
    assert (await shown(database, day, at=moment, timezone=zone))["resets_at"] == resets
    await take(database, "t1", day, at=moment, timezone=zone)
    assert (await shown(database, day, at=moment, timezone=zone))["resets_at"] == resets
    end = datetime.fromisoformat(resets)
    last = await take(database, "t2", day, at=end - seconds(1), timezone=zone)
    first = await take(database, "t3", day, at=end, timezone=zone)
    assert (last.served_role, first.served_role) == ("light_mini", "light")


@pytest.mark.parametrize(
    ("window", "resets"), [(7 * DAY, "2026-11-23T00:00:00Z"), (30 * DAY, "2026-12-01T00:00:00Z")]
)
async def test_weeks_start_on_monday_and_months_on_the_first(
    database: Database, window: int, resets: str
):
    long = plan(light(1, policy="calendar", window=window))
    await take(database, "t", long)
    assert (await shown(database, long))["resets_at"] == resets


async def test_travelling_through_time_zones_gives_no_second_day(database: Database):
    day = plan(light(1, policy="calendar", window=DAY))
    zones = ["Pacific/Kiritimati", "Asia/Tokyo", "Europe/Berlin", "America/New_York"]
    zones += ["Pacific/Pago_Pago"] * 2
    served = 0
    for hour in range(72):
        at, zone = NOON + seconds(hour * HOUR), zones[hour % len(zones)]
        taken = await take(database, f"t{hour}", day, at=at, timezone=zone)
        served += taken.served_role == "light"
    assert served <= 4  # what somebody who stays at home gets in 72 hours


async def test_an_open_day_keeps_its_end_when_the_person_moves(database: Database):
    day = plan(light(1, policy="calendar", window=DAY))
    await take(database, "t", day, timezone="Europe/Berlin")
    moved = await shown(database, day, timezone="America/New_York")
    assert moved["resets_at"] == "2026-11-21T23:00:00Z"


async def test_a_rolling_window_frees_what_is_older_than_itself(database: Database):
    rolling = plan(light(2, policy="rolling", window=HOUR))  # sixtieths of a minute each
    for n, minute in enumerate((0, 30)):
        at = NOON + seconds(60 * minute + 20)
        await take(database, f"t{n}", rolling, at=at)
        await settle(database, f"t{n}", at=at + seconds(5))
    full = await shown(database, rolling, at=NOON + seconds(50 * 60))
    assert (full["used"], full["remaining"], full["resets_at"]) == (2, 0, None)
    assert full["next_free_at"] == "2026-11-21T13:01:00Z"
    early = await take(database, "t2", rolling, at=NOON + seconds(61 * 60 - 1))
    assert early.served_role == "light_mini"
    late = await take(database, "t3", rolling, at=NOON + seconds(61 * 60))
    assert late.served_role == "light"
    assert counts(await shown(database, rolling, at=NOON + seconds(61 * 60))) == (1, 1, 0)


async def test_a_rolling_windows_usage_counts_from_its_reserve_not_its_end(database: Database):
    rolling = plan(light(1, policy="rolling", window=HOUR))
    await take(database, "t", rolling)
    await start(database, "t")
    await settle(database, "t", at=NOON + seconds(50 * 60))
    assert (await take(database, "u", rolling, at=NOON + seconds(61 * 60))).served_role == "light"


# --- costs --------------------------------------------------------------------------------------


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
