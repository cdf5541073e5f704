"""What operators read: revenue, funnel, partners, quota and routing. Read-only SQL over the rows
that turns, purchases, allowances and the ledger wrote.

Days, weeks and months are those of the time zone asked for, by the database's own calendar, so a
day on which the clocks change has 23 or 25 hours. Amounts are minor units and never summed across
currencies: every row that holds money names one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend import margin, meters, sales
from backend.errors import BadRequest, NotFound, Unprocessable

DAYS_MAX = 1_100
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,60}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")
Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Rows in the order of `columns`. `since` is included and `until` is not; both are UTC."""

    name: str
    since: datetime
    until: datetime
    tz: str
    group_by: str
    as_of: datetime | None
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """`groups` maps what may be asked for to SQL; the first is the default.

    `sql` has `{group}` where the grouping goes, and binds :since, :until, :tz and :as_of.
    """

    groups: Mapping[str, str]
    sql: str


def _periods(moment: str) -> dict[str, str]:
    local = f"{moment} AT TIME ZONE :tz"
    return {
        "day": f"to_char({local}, 'YYYY-MM-DD')",
        "week": f"to_char(date_trunc('week', {local}), 'YYYY-MM-DD')",
        "month": f"to_char({local}, 'YYYY-MM')",
    }


# --- the reports --------------------------------------------------------------------------------

# Recorded by `as_of`, effective within the period: a closed month prints the same for ever.
_REVENUE = """
WITH booked AS (
  SELECT {booked} AS grp, t.kind, e.currency, split_part(e.account, ':', 1) AS root, e.amount
  FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
  WHERE t.effective_at >= :since AND t.effective_at < :until
    AND (CAST(:as_of AS timestamptz) IS NULL OR t.created_at <= :as_of)
), income AS (
  SELECT grp, currency,
    -COALESCE(sum(amount) FILTER (WHERE root = 'fee_accrued' AND amount < 0), 0) AS fee_accrued,
    -COALESCE(sum(amount) FILTER (WHERE root = 'fee_recognised'), 0) AS fee_recognised,
    COALESCE(sum(amount) FILTER (WHERE root = 'fee_refunded'), 0) AS fee_refunded,
    COALESCE(sum(amount) FILTER (WHERE root = 'processor_fee'), 0) AS processor_fee,
    COALESCE(sum(amount) FILTER (WHERE root IN ('dispute_fee', 'dispute_loss')), 0) AS dispute_fee,
    -COALESCE(sum(amount) FILTER (WHERE root = 'subscription'), 0) AS subscription,
    -COALESCE(sum(amount) FILTER (WHERE root = 'cash'), 0) AS refunded
  FROM booked
  WHERE root IN ('fee_accrued', 'fee_recognised', 'fee_refunded', 'processor_fee', 'dispute_fee',
      'dispute_loss', 'subscription')
    OR (root = 'cash' AND kind = 'refunded')
  GROUP BY grp, currency
), placed AS (
  SELECT {placed} AS grp, o.currency, count(*) AS orders, sum(o.total) AS gross
  FROM purchase_order o WHERE o.placed_at >= :since AND o.placed_at < :until
    AND (CAST(:as_of AS timestamptz) IS NULL OR o.placed_at <= :as_of)
  GROUP BY grp, o.currency
)
SELECT COALESCE(i.grp, p.grp) AS "{name}", COALESCE(i.currency, p.currency) AS currency,
  COALESCE(p.orders, 0) AS orders, COALESCE(p.gross, 0) AS gross,
  COALESCE(i.refunded, 0) AS refunded, COALESCE(i.fee_accrued, 0) AS fee_accrued,
  COALESCE(i.fee_refunded, 0) AS fee_refunded, COALESCE(i.fee_recognised, 0) AS fee_recognised,
  COALESCE(i.subscription, 0) AS subscription, COALESCE(i.processor_fee, 0) AS processor_fee,
  COALESCE(i.dispute_fee, 0) AS dispute_fee,
  COALESCE(i.fee_accrued - i.fee_refunded + i.subscription - i.processor_fee - i.dispute_fee, 0)
    AS net_revenue,
  CASE WHEN p.gross > 0 THEN round(COALESCE(i.fee_accrued, 0) * 10000.0 / p.gross, 1) END
    AS take_rate_bps
FROM income i FULL JOIN placed p ON p.grp = i.grp AND p.currency = i.currency
ORDER BY 1, 2
"""
_BOOKED = _periods("t.effective_at") | {
    "merchant": "COALESCE((SELECT max(NULLIF(split_part(m.account, ':merchant:', 2), ''))"
    " FROM ledger_entry m WHERE m.transaction_id = t.id), 'platform')",
    "total": "'total'",
}
_PLACED = _periods("o.placed_at") | {"merchant": "o.merchant_id", "total": "'total'"}

# Only a turn that has closed is told as of a moment: what it used and cost is known by then. Its
# mark for a wrong route was then what it is now, but for the changes since.
_ROUTING = """
SELECT {group} AS "{name}", count(*) AS turns,
  round(count(*) / sum(count(*)) OVER (), 4) AS share,
  count(*) FILTER (WHERE t.downgrade_reason IS NOT NULL) AS downgraded,
  count(*) FILTER (WHERE t.state = 'failed') AS failed,
  count(*) FILTER (WHERE t.state = 'aborted') AS aborted,
  count(*) FILTER (WHERE t.wrong_route <> (
    SELECT count(*) % 2 = 1 FROM unnest(t.flagged_at) AS f(at) WHERE f.at > :as_of)) AS wrong_route,
  COALESCE(sum(t.cost_usd_micros), 0) AS cost_usd_micros,
  count(*) FILTER (WHERE t.cost_usd_micros IS NULL AND t.state <> 'open') AS cost_unknown,
  round(avg(t.cost_usd_micros), 1) AS cost_usd_micros_mean,
  sum(t.input_tokens) AS input_tokens, sum(t.output_tokens) AS output_tokens,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY t.latency_ms) AS latency_ms_p50,
  percentile_disc(0.95) WITHIN GROUP (ORDER BY t.latency_ms) AS latency_ms_p95,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY t.first_token_ms) AS first_token_ms_p50,
  percentile_disc(0.95) WITHIN GROUP (ORDER BY t.first_token_ms) AS first_token_ms_p95,
  round(CAST(sum(t.energy_wh_min) AS numeric), 4) AS energy_wh_min,
  round(CAST(sum(t.energy_wh_max) AS numeric), 4) AS energy_wh_max
FROM turn t WHERE t.created_at >= :since AND t.created_at < :until AND NOT t.housekeeping
  AND (CAST(:as_of AS timestamptz) IS NULL OR t.closed_at <= :as_of)
GROUP BY 1 ORDER BY 1
"""

_MARGIN = margin.groups(_periods("t.created_at"), _periods("b.effective_at"))

DEFINITIONS: Mapping[str, Definition] = {
    "revenue": Definition(
        {key: key for key in _BOOKED},
        _REVENUE,
    ),
    "quota": Definition(
        _periods("h.created_at")
        | {
            "plan": "h.plan",
            "role": "h.requested_role",
            "served_role": "h.served_role",
            "binding": "COALESCE(h.binding, 'none')",
            "bucket": "b.name",
        },
        meters.HOLDS,
    ),
    "routing": Definition(
        {"kind": "COALESCE(t.kind, 'none')"}
        | {
            column: f"COALESCE(t.{column}, 'none')"
            for column in ("role", "served_role", "model", "cause", "domain", "policy_version")
        }
        | {"plan": "t.plan", "surface": "t.surface"}
        | _periods("t.created_at"),
        _ROUTING,
    ),
    "funnel": Definition({"stage": "stage"}, sales.FUNNEL),
    "partners": Definition({"merchant": "o.merchant_id"}, sales.PARTNERS),
    "margin": Definition({key: key for key in _MARGIN}, margin.SQL),
}


async def run(
    session: AsyncSession,
    name: str,
    *,
    from_: str,
    to: str,
    tz: str = "UTC",
    group_by: str | None = None,
    as_of: str | None = None,
) -> Report:
    """One report over a period.

    `from_` and `to` are days of `tz`, both included, or instants with an offset, the last one
    excluded. `as_of` leaves out what was recorded later, so that a period that is over prints the
    same for ever. Raises `NotFound` for another report, `BadRequest` for what cannot be read or
    told as of that moment and `Unprocessable` for a period that is empty or too long.
    """
    definition = DEFINITIONS.get(name)
    if definition is None:
        raise NotFound(f"There is no report {name!r}; there are {', '.join(DEFINITIONS)}")
    key = group_by or next(iter(definition.groups))
    if key not in definition.groups:
        known = ", ".join(definition.groups)
        raise BadRequest(f"group_by: {key!r} is not one of {known}", param="group_by")
    await _known_zone(session, tz)
    since, until = await _bounds(session, from_, to, tz)
    known_at = _instant("as_of", as_of) if as_of else None
    values = {"since": since, "until": until, "tz": tz, "as_of": known_at}
    if (name, key) == ("quota", "bucket") and known_at is not None:
        await _ended(session, values)
    result = await session.execute(text(_sql(name, key)), values)
    columns = tuple(column for column in result.keys() if column != "place")  # noqa: SIM118
    rows = tuple({c: _cell(row[c]) for c in columns} for row in result.mappings())
    return Report(name, since, until, tz, key, known_at, columns, rows)


async def _ended(session: AsyncSession, values: Mapping[str, Any]) -> None:
    """Meters keep no history: as of a moment only those are told that had stopped by then."""
    count = (await session.execute(text(meters.UNENDED), dict(values))).scalar_one()
    if count:
        raise BadRequest(
            f"as_of: {count} windows of this period were still open then, and a meter keeps no"
            " history; name a moment after the last of them, or another group_by",
            param="as_of",
        )


def _sql(name: str, key: str) -> str:
    """The statement for a grouping that `run` has looked up: no word of a caller gets in here."""
    if name == "revenue":
        return _REVENUE.format(booked=_BOOKED[key], placed=_PLACED[key], name=key)
    if name == "margin":
        turns, money = _MARGIN[key]
        return margin.SQL.format(turns=turns, money=money, name=key)
    if (name, key) == ("quota", "bucket"):
        return meters.WINDOWS.format(name=key)
    definition = DEFINITIONS[name]
    return definition.sql.format(group=definition.groups[key], name=key)


def _cell(value: Any) -> Cell:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


# --- the period ---------------------------------------------------------------------------------


async def _known_zone(session: AsyncSession, tz: str) -> None:
    if tz == "UTC":
        return
    known = text("SELECT EXISTS (SELECT 1 FROM pg_timezone_names WHERE name = :tz)")
    if not _ZONE.fullmatch(tz) or not (await session.execute(known, {"tz": tz})).scalar_one():
        raise BadRequest(f"tz: {tz!r} is not a time zone's name, such as Europe/Berlin", param="tz")


async def _bounds(
    session: AsyncSession, since: str, until: str, tz: str
) -> tuple[datetime, datetime]:
    start = await _moment(session, "from", since, tz, after=False)
    end = await _moment(session, "to", until, tz, after=True)
    if start >= end:
        raise Unprocessable("The period is empty: from is not before to", param="to")
    if end - start > timedelta(days=DAYS_MAX):
        raise Unprocessable(f"The period is longer than {DAYS_MAX} days; ask for less", param="to")
    return start, end


async def _moment(session: AsyncSession, key: str, said: str, tz: str, *, after: bool) -> datetime:
    """The start of a day, or with `after` of the day that follows; or the instant that was said."""
    if not _DAY.fullmatch(said):
        return _instant(key, said)
    try:
        day = date.fromisoformat(said)
        _known_year(key, day)  # before the database is asked: it knows years that we cannot read
        local = datetime.combine(day + timedelta(days=after), datetime.min.time())
    except ValueError as error:
        raise BadRequest(f"{key}: {said!r} is not a day: {error}", param=key) from error
    query = text("SELECT CAST(:local AS timestamp) AT TIME ZONE :tz")
    found = (await session.execute(query, {"local": local.isoformat(), "tz": tz})).scalar_one()
    return _utc(key, found)


def _instant(key: str, said: str) -> datetime:
    if not _INSTANT.fullmatch(said):
        raise BadRequest(
            f"{key}: {said!r} is neither a day (2026-11-21) nor an instant (2026-11-21T08:00:00Z)",
            param=key,
        )
    try:
        return _utc(key, datetime.fromisoformat(said))
    except ValueError as error:
        raise BadRequest(f"{key}: {said!r} is not an instant: {error}", param=key) from error


def _utc(key: str, at: datetime) -> datetime:
    _known_year(key, at)
    return at.astimezone(UTC)


def _known_year(key: str, at: date) -> None:
    if not 2000 <= at.year <= 2100:
        raise BadRequest(f"{key}: the year must be from 2000 to 2100", param=key)
