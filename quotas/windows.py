"""The SQL that the gate and the meter share, so that they cannot disagree.

It tells which window of a bucket counts now, how much of it is used, and when a window that opens
now begins and ends. People and the buckets of their plans enter as records (`people`, `lines`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import text

from quotas.grants import LIVE
from quotas.plans import Bucket, Plan, Role, Unit, Viewer

SLOTS = 60  # a rolling window is counted in sixtieths


def used(row: str, plan: str) -> str:
    """Units of a window that count now. `row` is an alias of quota_bucket, `k` of the clock."""
    window_s = f"{plan}.window_s"
    return f"""CASE WHEN {row}.policy = 'rolling' THEN (
        SELECT CAST(COALESCE(sum(CAST(s.value AS bigint)), 0) AS bigint)
        FROM jsonb_each_text({row}.slots) s
        WHERE CAST(s.key AS bigint) + ({window_s} + {SLOTS - 1}) / {SLOTS}
          > extract(epoch FROM k.t) - {window_s}
      ) ELSE {row}.used + {owed(row, plan)} END"""  # noqa: S608 - aliases are the only arguments


def owed(row: str, plan: str) -> str:
    """What a window owes for the one before it: an open one to its end, one that has yet to open
    until the debt has lapsed. So nobody is kept from opening a window for good."""
    lapses = lapsing(plan, f"{row}.timezone", f"{row}.after_at")
    return f"""CASE WHEN {row}.carried > 0 AND ({row}.window_start IS NOT NULL OR k.t < {lapses})
      THEN {row}.carried ELSE 0 END"""


def room(row: str) -> str:
    """What may still be taken: the plan's own room first, then what grants have left.

    `row` has cap, used, held, drawn and granted. The gate and the meter both ask this.
    """
    return f"(GREATEST(0, {row}.cap - ({row}.used + {row}.held - {row}.drawn)) + {row}.granted)"


def shown_cap(row: str) -> str:
    """The cap with grants. It is never below what was taken where a grant has a part in it."""
    return f"""GREATEST({row}.cap + {row}.drawn, CASE WHEN {row}.granted + {row}.drawn > 0
      THEN {row}.used + {row}.held ELSE 0 END) + {row}.granted"""


def shown(row: str) -> str:
    """The columns of a `Level`, in its order. `row` has them all but the cap and what remains."""
    return f"""{row}.policy, {row}.window_s, {row}.used, {row}.held, {shown_cap(row)} AS cap,
  {room(row)} AS remaining, {row}.drawn, {row}.granted, {row}.carried, {row}.window_start,
  {row}.resets_at, {row}.overage, {row}.owed_until,
  CASE WHEN {row}.policy = 'rolling' THEN {row}.slots END AS slots, k.t AS now"""


def opening(plan: str) -> str:
    """When a window that opens now began: a calendar's began with its day."""
    return f"""CASE {plan}.policy WHEN 'calendar'
        THEN date_trunc({plan}.span, k.t AT TIME ZONE {plan}.timezone) AT TIME ZONE {plan}.timezone
        ELSE k.t END"""


def closing(plan: str, before: str, after_at: str, at: str = "k.t") -> str:
    """When a window that opens now (or `at`) ends: at a whole second, and never for a rolling one.

    A person who changes the time zone gets no second day out of it: the first window in the new
    zone lasts at least its full length from `after_at`, the end of the one in the zone `before`.
    """
    zone = f"{plan}.timezone"
    return f"""CASE {plan}.policy
        WHEN 'session'
          THEN date_trunc('second', {at} + make_interval(secs => {plan}.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc({plan}.span, (CASE
            WHEN {before} <> {zone} AND {after_at} IS NOT NULL THEN
              GREATEST({at}, {after_at} + make_interval(secs => {plan}.window_s - 0.000001))
            ELSE {at} END) AT TIME ZONE {zone})
          + CAST('1 ' || {plan}.span AS interval)) AT TIME ZONE {zone}
      END"""


def lapsing(plan: str, before: str, after_at: str) -> str:
    """When a debt is lost: when a window that had opened at once, at `after_at`, would have ended.

    So at most one window is lost by it, and a day that is shut is free at the end that it shows.
    """
    return closing(plan, before, after_at, after_at)


# Of a row (`b`) that opens now by the plan's line (`w`).
CLOSING = closing("w", "b.timezone", "b.after_at")


def clock(at: str) -> str:
    """The database's. `at` is for the seeded simulation, which owns time; nobody else passes it."""
    return f"clock AS (SELECT COALESCE({at}, now()) AS t)"


CLOCK = clock("CAST(:at AS timestamptz)")
PERSON = "viewer int, subject text, plan text, timezone text"
BUCKET = """plan text, place int, role text, name text, unit text, cap bigint, policy text,
    window_s bigint, span text, rung int, cost bigint"""


def asked(people: str, lines: str) -> str:
    """Whose buckets, in whose time zone: a meter is read for many people at once."""
    return f"""asked AS (
  SELECT v.viewer, v.subject, v.timezone, p.*
  FROM json_to_recordset(CAST({people} AS json)) AS v({PERSON})
  JOIN json_to_recordset(CAST({lines} AS json)) AS p({BUCKET}) ON p.plan = v.plan
)"""  # noqa: S608 - built from constants; every value is bound


ASKED = asked(":people", ":lines")
PURSE = f"""purse AS MATERIALIZED (
  SELECT g.subject, g.bucket, g.ordinal, g.remaining FROM quota_grant g CROSS JOIN clock k
  WHERE g.subject IN (SELECT subject FROM asked) AND {LIVE}
)"""  # noqa: S608 - built from a constant
LAST = """LEFT JOIN LATERAL (
    SELECT * FROM quota_bucket b WHERE b.subject = a.subject AND b.name = a.name
    ORDER BY b.ordinal DESC LIMIT 1
  ) z ON true"""
USABLE = """z.unit = a.unit AND (
    z.resets_at > k.t
    OR (z.resets_at IS NULL AND z.window_start IS NULL)
    OR (z.resets_at IS NULL AND z.policy = 'rolling' AND a.policy = 'rolling')
  )"""
# What a window that has yet to be made owes for the one before it (`z`): one window's worth at
# most, and nothing where it is a rolling one, which never ends.
OWED = f"""CASE WHEN z.unit = a.unit AND z.overage > 0
        AND k.t < {lapsing("a", "z.timezone", "z.resets_at")}
      THEN LEAST(a.cap, z.overage) ELSE 0 END"""
# What `making` will write: a window that has yet to be made is shown with the end it will get.
AFTER_AT = "COALESCE(q.after_at, z.resets_at)"
# `z` is the last window there was, `q` the same while it counts.
NEWEST = f"""newest AS (
  SELECT a.viewer, a.place, a.name, a.cap, a.cost, a.rung, q.id, q.window_start, q.slots,
    COALESCE(q.held, 0) AS held, COALESCE(q.drawn, 0) AS drawn,
    COALESCE(q.overage, 0) AS overage,
    COALESCE({used("q", "a")}, {OWED}) AS used,
    CASE WHEN q.id IS NULL THEN {OWED} ELSE {owed("q", "a")} END AS carried,
    CAST(COALESCE((SELECT sum(p.remaining) FROM purse p WHERE p.subject = a.subject
      AND p.bucket = a.name
      AND (p.ordinal IS NULL OR p.ordinal = COALESCE(q.ordinal, z.ordinal + 1, 1))), 0) AS bigint)
      AS granted,
    CASE WHEN q.window_start IS NULL THEN a.policy ELSE q.policy END AS policy,
    CASE WHEN q.window_start IS NULL THEN a.window_s ELSE q.window_s END AS window_s,
    COALESCE(q.resets_at, CASE WHEN q.window_start IS NULL AND a.policy = 'calendar'
      THEN {closing("a", "z.timezone", AFTER_AT)} END) AS resets_at,
    CASE WHEN z.overage > 0 OR z.carried > 0
      THEN {lapsing("a", "z.timezone", "COALESCE(z.resets_at, q.after_at)")} END AS owed_until
  FROM asked a CROSS JOIN clock k {LAST}
  LEFT JOIN LATERAL (SELECT z.*) q ON {USABLE}
)"""  # noqa: S608 - built from the constants above; every value is bound


def making(asked: str) -> str:
    """Windows that are asked for and have yet to be made. They open with the first turn."""
    return f"""INSERT INTO quota_bucket (subject, name, ordinal, unit, policy, window_s, cap,
    timezone, after_at, carried)
  SELECT a.subject, a.name, COALESCE(z.ordinal, 0) + 1, a.unit, a.policy, a.window_s, a.cap,
    COALESCE(z.timezone, a.timezone), z.resets_at, {OWED}
  FROM {asked} a CROSS JOIN clock k {LAST}
  WHERE NOT COALESCE({USABLE}, false)
  ORDER BY a.subject, a.name
  ON CONFLICT (subject, name, ordinal) DO NOTHING"""  # noqa: S608 - built from constants


MAKE = text(f"WITH {CLOCK}, {ASKED} {making('(SELECT * FROM asked WHERE rung > 0)')}")  # noqa: S608

# A plan of a statement in a function lives as long as the connection: planning the meter anew takes
# longer than running it. A table that was small when the plan was made must not be read through
# when it has grown.
SETTINGS = "SET enable_seqscan TO off SET plan_cache_mode TO force_generic_plan"
# Volatile, so that it sees what a statement did that it is part of; `p_after` says what that was.
METER_FUNCTION = f"""
CREATE OR REPLACE FUNCTION quota_meter(p_people json, p_lines json, p_at timestamptz, p_after json)
RETURNS TABLE (policy text, window_s bigint, used bigint, held bigint, cap bigint,
  remaining bigint, drawn bigint, granted bigint, carried bigint, window_start timestamptz,
  resets_at timestamptz, overage bigint, owed_until timestamptz, slots jsonb, now timestamptz)
LANGUAGE plpgsql {SETTINGS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH {clock("p_at")}, {asked("p_people", "p_lines")}, {PURSE}, {NEWEST}
  SELECT {shown("n")} FROM newest n CROSS JOIN clock k ORDER BY n.viewer, n.place;
END $$
"""  # noqa: S608 - built from the constants above; every value is a parameter


def metered(decided: str) -> str:
    """The levels of `people` after `decided`, one value of JSON, which the first row brings."""
    return f"""SELECT m.*, CASE WHEN m.place = 1 THEN d.decided END AS decided
FROM ({decided}) AS d(decided) CROSS JOIN LATERAL quota_meter(
  CAST(:people AS json), CAST(:lines AS json), CAST(:at AS timestamptz), d.decided
) WITH ORDINALITY AS m(policy, window_s, used, held, cap, remaining, drawn, granted, carried,
  window_start, resets_at, overage, owed_until, slots, now, place) ORDER BY m.place"""  # noqa: S608


METER = text(metered("SELECT CAST(NULL AS json)"))


def people(viewers: Iterable[Viewer]) -> str:
    """Whom a statement is about, numbered as they come."""
    return json.dumps(
        [
            {"viewer": n, "subject": by.subject, "plan": by.plan.name, "timezone": by.timezone}
            for n, by in enumerate(viewers)
        ]
    )


def lines(
    plans: Iterable[Plan],
    *,
    ladder: Sequence[str] = (),
    costs: Mapping[Unit, int] | None = None,
    ceilings: Mapping[Role, int] | None = None,
) -> str:
    """The buckets of plans. `rung` counts from 1 down the ladder, 0 is off it.

    `ceilings` are µUSD a role's answer may cost; a role without one costs what `costs` says.
    """
    rung = {role: step for step, role in enumerate(ladder, start=1)}
    return json.dumps(
        [
            {
                "plan": plan.name,
                "place": place,
                "role": b.role,
                "name": b.name,
                "unit": b.unit,
                "cap": b.cap,
                "policy": b.policy,
                "window_s": b.window,
                "span": b.span,
                "rung": rung.get(b.role, 0),
                "cost": cost_of(b, costs or {}, ceilings or {}),
            }
            for plan in plans
            for place, b in enumerate(plan.buckets)
        ]
    )


def costs_of(
    plan: Plan, costs: Mapping[Unit, int], ceilings: Mapping[Role, int] | None
) -> dict[str, int]:
    """What one turn takes from each bucket of the plan, by the bucket's name."""
    return {b.name: cost_of(b, costs, ceilings or {}) for b in plan.buckets}


def cost_of(bucket: Bucket, costs: Mapping[Unit, int], ceilings: Mapping[Role, int]) -> int:
    """What one turn takes from the bucket, in its unit."""
    if bucket.unit == "micro_usd" and bucket.role in ceilings:
        return ceilings[bucket.role]
    return costs.get(bucket.unit, 0)
