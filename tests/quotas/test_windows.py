"""Windows: when they begin, when they end, and that a promised end never moves."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.database import Database
from quotas import many
from quotas.plans import Plan, Viewer
from tests.quotas.fakes_plans import DAY, HOUR, light, plan
from tests.quotas.turns import NOON, counts, seconds, settle, shown, start, take


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


@pytest.mark.parametrize("quick", [False, True])
async def test_the_end_that_is_shown_to_a_traveller_is_the_one_that_the_day_opens_with(
    database: Database, *, quick: bool
):
    """The day in the new zone is made longer; who looks before the first turn is told so."""
    day = plan(light(1, policy="calendar", window=DAY))
    await take(database, "t1", day)
    after = {"at": datetime(2026, 11, 22, 1, tzinfo=UTC), "timezone": "Asia/Tokyo"}
    promised = (await shown(database, day, **after))["resets_at"]
    assert promised == "2026-11-23T15:00:00Z"
    if quick:
        ask = many.Ask("t2", Viewer("u", day, "Asia/Tokyo"), "light")
        async with database.transaction() as session:
            (given,) = await many.reserve(session, [ask], at=after["at"])
        assert given is not None
    else:
        given = await take(database, "t2", day, **after)
    told = next(b for b in given.quota["buckets"] if b["name"] == "light")
    assert (told["held"], told["resets_at"]) == (1, promised)
    assert (await shown(database, day, **after))["resets_at"] == promised


async def test_a_day_is_shown_with_one_end_before_it_is_made_while_it_is_shut_and_when_it_opens(
    database: Database,
):
    def two(weekly: int) -> Plan:
        day = light(1, policy="calendar", window=DAY)
        return plan(day, light(weekly, name="week", window=9 * DAY))

    await take(database, "t1", two(1))
    after = {"at": datetime(2026, 11, 22, 1, tzinfo=UTC), "timezone": "Asia/Tokyo"}
    ends = [(await shown(database, two(1), **after))["resets_at"]]
    for turn, weekly, served in (("t2", 1, "light_mini"), ("t3", 2, "light")):
        given = await take(database, turn, two(weekly), **after)
        assert given.served_role == served
        ends += [given.quota["buckets"][0]["resets_at"]]
        ends += [(await shown(database, two(weekly), **after))["resets_at"]]
    assert ends == ["2026-11-23T15:00:00Z"] * 5


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
