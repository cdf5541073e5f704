"""Reports agree with the rows they are made of, by day and currency, and cannot be misread."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from backend import fees, formats, ledger, reports
from backend.auth import UserAccount
from backend.database import Database
from backend.errors import BadRequest, NotFound, Unprocessable
from backend.refunds import OrderRefund
from integrations.money import Money
from quotas import usage
from tests.backend.fakes_reports import NOON, pay, refund, run, say, sell
from tests.quotas.fakes_plans import light, plan

# --- revenue ------------------------------------------------------------------------------------


async def test_revenue_is_what_the_ledger_and_the_orders_say(database: Database):
    await sell(database, "a", Money(10_000, "EUR"), fee=400, processor=175)
    await sell(database, "b", Money(5_000, "EUR"), fee=200, processor=100)
    await refund(database, "r1", Money(2_500, "EUR"), 100, NOON + timedelta(days=1))
    report = await run(database, "revenue")
    assert [dict(row) for row in report.rows] == [
        {
            "day": "2026-11-21",
            "currency": "EUR",
            "orders": 2,
            "gross": 15_000,
            "refunded": 0,
            "fee_accrued": 600,
            "fee_refunded": 0,
            "fee_recognised": 0,
            "subscription": 0,
            "processor_fee": 275,
            "dispute_fee": 0,
            "net_revenue": 325,
            "take_rate_bps": 400,
        },
        {
            "day": "2026-11-22",
            "currency": "EUR",
            "orders": 0,
            "gross": 0,
            "refunded": 2_500,
            "fee_accrued": 0,
            "fee_refunded": 100,
            "fee_recognised": 0,
            "subscription": 0,
            "processor_fee": 0,
            "dispute_fee": 0,
            "net_revenue": -100,
            "take_rate_bps": None,
        },
    ]


async def test_what_a_dispute_costs_us_is_no_revenue(database: Database):
    await sell(database, "a", Money(10_000, "USD"), fee=400, processor=320)
    async with database.transaction() as session:
        entries = fees.dispute_cost(merchant_id="mer_shop", fee=Money(1_500, "USD"))
        await ledger.post(
            session, kind="dispute_fee", ref="du_1", entries=entries, effective_at=NOON
        )
    for name in ("revenue", "margin"):
        [row] = (await run(database, name, group_by="total")).rows
        assert (row["dispute_fee"], row["net_revenue"]) == (1_500, 400 - 320 - 1_500)


async def test_currencies_are_never_added_up(database: Database):
    await sell(database, "a", Money(100, "EUR"), fee=4)
    await sell(database, "b", Money(100, "USD"), fee=4)
    await sell(database, "c", Money(100, "JPY"), fee=4)
    report = await run(database, "revenue", group_by="total")
    assert [(r["currency"], r["gross"], r["fee_accrued"]) for r in report.rows] == [
        ("EUR", 100, 4),
        ("JPY", 100, 4),
        ("USD", 100, 4),
    ]


async def test_recognition_moves_a_fee_and_earns_nothing_twice(database: Database):
    await sell(database, "a", Money(1_000, "EUR"), fee=40)
    async with database.transaction() as session:
        entries = fees.recognised(merchant_id="m1", fee=Money(40, "EUR"))
        await ledger.post(session, kind="recognised", ref="a", entries=entries, effective_at=NOON)
    (row,) = (await run(database, "revenue", group_by="month")).rows
    assert (row["month"], row["fee_accrued"], row["fee_recognised"]) == ("2026-11", 40, 40)
    assert row["net_revenue"] == 40


async def test_revenue_by_merchant_keeps_subscriptions_apart(database: Database):
    await sell(database, "a", Money(1_000, "USD"), fee=40, merchant="mer_a")
    await sell(database, "b", Money(2_000, "USD"), fee=60, merchant="mer-b")
    async with database.transaction() as session:
        entries = fees.subscription_paid(
            amount=Money(2_000, "USD"), processor_fee=Money(88, "USD"), tax=Money(0, "USD")
        )
        await ledger.post(
            session, kind="subscription_paid", ref="s", entries=entries, effective_at=NOON
        )
    report = await run(database, "revenue", group_by="merchant")
    assert [(r["merchant"], r["orders"], r["net_revenue"]) for r in report.rows] == [
        ("mer-b", 1, 60),
        ("mer_a", 1, 40),
        ("platform", 0, 1_912),
    ]


async def test_a_closed_period_prints_the_same_after_a_late_booking(database: Database):
    await sell(database, "a", Money(1_000, "EUR"), fee=40)
    async with database.transaction() as session:
        now = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    as_of = now.astimezone(UTC).isoformat()
    before = await run(database, "revenue", as_of=as_of)
    await refund(database, "late", Money(500, "EUR"), 20, NOON)
    assert formats.as_json(await run(database, "revenue", as_of=as_of)) == formats.as_json(before)
    assert (await run(database, "revenue")).rows[0]["fee_refunded"] == 20


# --- days and zones -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "hours"), [("2027-03-28", 23), ("2026-10-25", 25), ("2026-11-21", 24)]
)
async def test_a_day_has_as_many_hours_as_it_had_there(database: Database, day: str, hours: int):
    report = await run(database, "routing", from_=day, to=day, tz="Europe/Berlin")
    assert report.until - report.since == timedelta(hours=hours)


async def test_turns_fall_on_the_day_of_the_zone_asked_for(database: Database):
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    await say(database, "t1", created_at=late)
    days = {}
    for tz in ("UTC", "Europe/Berlin", "America/New_York"):
        (row,) = (await run(database, "routing", tz=tz, group_by="day")).rows
        days[tz] = row["day"]
    assert days == {
        "UTC": "2026-11-21",
        "Europe/Berlin": "2026-11-22",
        "America/New_York": "2026-11-21",
    }


async def test_every_turn_is_on_exactly_one_of_two_neighbouring_days(database: Database):
    for hour in range(72):
        at = datetime(2026, 10, 24, tzinfo=UTC) + timedelta(hours=hour, minutes=hour % 60)
        await say(database, f"t{hour}", created_at=at)
    whole = await run(
        database, "routing", from_="2026-10-24", to="2026-10-26", tz="Europe/Berlin", group_by="day"
    )
    turns = [row["turns"] for row in whole.rows]
    assert turns[1] == 25
    single = [
        (await run(database, "routing", from_=day, to=day, tz="Europe/Berlin")).rows
        for day in ("2026-10-24", "2026-10-25", "2026-10-26")
    ]
    assert [rows[0]["turns"] for rows in single] == turns


async def test_the_last_instant_is_excluded_and_the_last_day_included(database: Database):
    await say(database, "t1", created_at=NOON)
    at_noon = await run(database, "routing", from_="2026-11-21", to="2026-11-21T12:00:00Z")
    after = await run(database, "routing", from_="2026-11-21T13:00:00+01:00", to="2026-11-21")
    assert (len(at_noon.rows), len(after.rows)) == (0, 1)


@pytest.mark.parametrize(
    ("asked", "error", "param"),
    [
        ({"from_": "yesterday"}, BadRequest, "from"),
        ({"from_": "2026-02-30"}, BadRequest, "from"),
        ({"from_": "1999-01-01"}, BadRequest, "from"),
        ({"to": "9999-12-31"}, BadRequest, "to"),
        ({"from_": "0001-01-01", "tz": "Asia/Tokyo"}, BadRequest, "from"),
        ({"as_of": "9999-12-31T23:59:59-14:00"}, BadRequest, "as_of"),
        ({"to": "2026-11-21T12:00:00"}, BadRequest, "to"),
        ({"to": "2026-11-21T25:00:00Z"}, BadRequest, "to"),
        ({"as_of": "soon"}, BadRequest, "as_of"),
        ({"tz": "Mars/Olympus"}, BadRequest, "tz"),
        ({"tz": "+08"}, BadRequest, "tz"),
        ({"tz": "UTC'; DROP TABLE turn; --"}, BadRequest, "tz"),
        ({"tz": "U\0TC"}, BadRequest, "tz"),
        ({"tz": ""}, BadRequest, "tz"),
        ({"group_by": "password_hash"}, BadRequest, "group_by"),
        ({"from_": "2026-12-01", "to": "2026-11-01"}, Unprocessable, "to"),
        ({"from_": "2020-01-01"}, Unprocessable, "to"),
    ],
)
async def test_a_question_that_cannot_be_answered_says_which_word_is_wrong(
    database: Database, asked: dict[str, str], error: type[BadRequest], param: str
):
    with pytest.raises(error) as caught:
        await run(database, "routing", **asked)
    assert caught.value.param == param


async def test_an_unknown_report_names_those_that_exist(database: Database):
    with pytest.raises(NotFound, match="revenue, quota, routing"):
        await run(database, "gossip")


@pytest.mark.parametrize("name", list(reports.DEFINITIONS))
async def test_every_grouping_of_every_report_runs_on_empty_and_filled_tables(
    database: Database, name: str
):
    for group in reports.DEFINITIONS[name].groups:
        await run(database, name, group_by=group)
    await sell(database, "a", Money(100, "EUR"), fee=4)
    await say(database, "t1", kind="commercial", cards=[{"activity": "product-list"}])
    async with database.transaction() as session:
        await usage.reserve(
            session, turn_id="t1", subject="usr_1", plan=plan(light(1)), role="light", at=NOON
        )
    for group in reports.DEFINITIONS[name].groups:
        report = await run(database, name, group_by=group)
        assert report.rows
        assert report.columns[0] == group
        assert all(set(row) == set(report.columns) for row in report.rows)
        assert json.loads(formats.as_json(report))["data"] == [dict(r) for r in report.rows]


# --- quota and routing --------------------------------------------------------------------------


async def test_the_quota_report_counts_fallbacks_and_people(database: Database):
    one = plan(light(1))
    async with database.transaction() as session:
        for n, subject in enumerate(("a", "a", "a", "b")):
            await usage.reserve(
                session, turn_id=f"t{n}", subject=subject, plan=one, role="light", at=NOON
            )
        await usage.settle(session, "t0", at=NOON)
        await usage.release(session, "t1", at=NOON)
    (row,) = (await run(database, "quota", group_by="plan")).rows
    assert {k: row[k] for k in ("plan", "turns", "fallback_turns", "fallback_share")} == {
        "plan": "free",
        "turns": 4,
        "fallback_turns": 2,
        "fallback_share": 0.5,
    }
    assert (row["people"], row["people_exhausted"], row["released"], row["open"]) == (2, 1, 1, 2)
    buckets = {r["bucket"]: r for r in (await run(database, "quota", group_by="bucket")).rows}
    assert (buckets["light"]["windows"], buckets["light"]["exhausted"]) == (2, 2)
    assert buckets["light_mini"]["held"] == 1
    assert {r["mismatches"] for r in buckets.values()} == {0}


async def test_a_meter_that_disagrees_with_its_holds_is_reported(database: Database):
    async with database.transaction() as session:
        await usage.reserve(
            session, turn_id="t", subject="a", plan=plan(light(5)), role="light", at=NOON
        )
        await session.execute(text("UPDATE quota_bucket SET held = 3 WHERE name = 'light'"))
    rows = {r["bucket"]: r for r in (await run(database, "quota", group_by="bucket")).rows}
    assert rows["light"]["mismatches"] == 1


async def test_the_routing_report_tells_share_cost_latency_and_energy(database: Database):
    for n in range(8):
        await say(database, f"c{n}", latency_ms=100 * (n + 1), cost_usd_micros=10)
    await say(database, "x1", kind="complex", state="failed", cost_usd_micros=None, latency_ms=None)
    await say(database, "x2", kind="complex", downgrade_reason="allowance_used:reasoning")
    await say(database, "hk", housekeeping=True)
    casual, complex_ = (await run(database, "routing")).rows
    assert (casual["kind"], casual["turns"], casual["share"]) == ("casual", 8, 0.8)
    assert (casual["cost_usd_micros"], casual["cost_usd_micros_mean"]) == (80, 10)
    assert (casual["latency_ms_p50"], casual["latency_ms_p95"]) == (400, 800)
    assert (casual["energy_wh_min"], casual["energy_wh_max"]) == (0.8, 2.4)
    assert (complex_["failed"], complex_["downgraded"], complex_["cost_unknown"]) == (1, 1, 1)


async def test_the_margin_is_what_was_paid_less_what_the_answers_cost(database: Database):
    await pay(database, "pi_1", "plus", Money(2000, "USD"), 88)
    await pay(database, "pi_2", "plus", Money(1900, "EUR"), 80)
    async with database.transaction() as session:
        entries = fees.subscription_refunded(refund=Money(500, "USD"), tax_part=Money.zero("USD"))
        ref = "pi_1:re_1"
        await ledger.post(
            session, kind="subscription_refunded", ref=ref, entries=entries, effective_at=NOON
        )
    await sell(database, "a", Money(10_000, "USD"), fee=400, processor=320)
    for n in range(4):
        await say(database, f"p{n}", plan="plus", cost_usd_micros=1_000_000, user_id=f"usr_{n % 2}")
    await say(database, "f1", plan="free", cost_usd_micros=None)
    rows = {(r["plan"], r["currency"]): r for r in (await run(database, "margin")).rows}
    plus = rows["plus", "USD"]
    assert (plus["people"], plus["turns"], plus["cost_usd_micros"]) == (2, 4, 4_000_000)
    assert (plus["subscription"], plus["processor_fee"]) == (1500, 88)
    assert plus["margin_usd_micros"] == (1500 - 88) * 10_000 - 4_000_000
    assert plus["person_cost_usd_micros_p99"] == 2_000_000
    assert rows["plus", "EUR"]["subscription"] == 1900
    assert rows["plus", "EUR"]["margin_usd_micros"] is None
    assert (rows["free", "USD"]["cost_unknown"], rows["none", "USD"]["commission"]) == (1, 400)
    kinds = {r["kind"]: r for r in (await run(database, "margin", group_by="kind")).rows
             if r["currency"] == "USD"}  # fmt: skip
    assert kinds["commercial"]["net_revenue"] == 400 - 320
    for key in ("day", "week", "month", "total"):
        found = [r for r in (await run(database, "margin", group_by=key)).rows
                 if r["currency"] == "USD"]  # fmt: skip
        assert [r["net_revenue"] for r in found] == [1500 - 88 + 80]


async def test_what_is_lost_of_a_commission_is_lost_by_the_plan_that_earned_it(database: Database):
    async with database.transaction() as session:
        session.add(UserAccount(id="usr_1", plan="plus"))
    await sell(database, "a", Money(10_000, "USD"), fee=400)
    async with database.transaction() as session:
        work = {"order_id": "ord_a", "kind": "refund", "state": "done", "currency": "USD"}
        session.add(OrderRefund(id="ref_1", amount=2_500, request_key="k", **work))
    await refund(database, "ref_1", Money(2_500, "USD"), 100, NOON)
    async with database.transaction() as session:
        entries = fees.dispute_cost(merchant_id="m1", fee=Money(15, "USD"))
        ref = "ord_a:du_1"
        await ledger.post(session, kind="dispute_fee", ref=ref, entries=entries, effective_at=NOON)
    [row] = (await run(database, "margin")).rows
    assert (row["plan"], row["commission"], row["net_revenue"]) == ("plus", 300, 285)


async def test_the_funnel_narrows_from_turns_to_orders(database: Database):
    await say(database, "t1", kind="commercial", cards=[{"activity": "product-list"}])
    await say(database, "t2", kind="commercial")
    await sell(database, "a", Money(100, "EUR"), fee=4)
    stages = {r["stage"]: r["count"] for r in (await run(database, "funnel")).rows}
    assert stages == {
        "commercial turns": 2,
        "offers shown": 1,
        "checkouts": 1,
        "confirmation asked": 1,
        "confirmed": 1,
        "ordered": 1,
        "fulfilled": 0,
        "refunded or canceled": 0,
    }


async def test_reports_only_read(database: Database):
    async with database.transaction() as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        for name in reports.DEFINITIONS:
            report = await reports.run(session, name, from_="2026-11-01", to="2026-11-02")
            assert report.name == name
