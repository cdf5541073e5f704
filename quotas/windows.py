"""The SQL that the gate and the meter share, so that they cannot disagree.

It tells which window of a bucket counts now, how much of it is used, and when a window that opens
now begins and ends. A plan enters as arrays, one element a bucket (`arguments`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from quotas.grants import LIVE
from quotas.plans import Bucket, Plan, Role, Unit

SLOTS = 60  # a rolling window is counted in sixtieths


def used(row: str, window_s: str) -> str:
    """Units of a window that count now. `row` is an alias of quota_bucket, `k` of the clock."""
    return f"""CASE WHEN {row}.policy = 'rolling' THEN (
        SELECT COALESCE(sum(CAST(s.value AS bigint)), 0) FROM jsonb_each_text({row}.slots) s
        WHERE CAST(s.key AS bigint) + ({window_s} + {SLOTS - 1}) / {SLOTS}
          > extract(epoch FROM k.t) - {window_s}
      ) ELSE {row}.used + {row}.carried END"""  # noqa: S608 - aliases are the only arguments


def room(row: str) -> str:
    """What may still be taken: the plan's own room first, then what grants have left.

    `row` has cap, used, held, drawn and granted. The gate and the meter both ask this.
    """
    return f"(GREATEST(0, {row}.cap - ({row}.used + {row}.held - {row}.drawn)) + {row}.granted)"


def shown_cap(row: str) -> str:
    """The cap with grants. It is never below what was taken where a grant has a part in it."""
    return f"""GREATEST({row}.cap + {row}.drawn, CASE WHEN {row}.granted + {row}.drawn > 0
      THEN {row}.used + {row}.held ELSE 0 END) + {row}.granted"""


def opening(plan: str) -> str:
    """When a window that opens now began: a calendar's began with its day."""
    return f"""CASE {plan}.policy WHEN 'calendar'
        THEN date_trunc({plan}.span, k.t AT TIME ZONE :timezone) AT TIME ZONE :timezone
        ELSE k.t END"""


def closing(plan: str, row: str, zone: str = ":timezone") -> str:
    """When a window that opens now ends: at a whole second, and never for a rolling one.

    A person who changes the time zone gets no second day out of it: the first window in the new
    zone lasts at least its full length from the end of the one before.
    """
    return f"""CASE {plan}.policy
        WHEN 'session'
          THEN date_trunc('second', k.t + make_interval(secs => {plan}.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc({plan}.span, (CASE
            WHEN {row}.timezone <> {zone} AND {row}.after_at IS NOT NULL THEN
              GREATEST(k.t, {row}.after_at + make_interval(secs => {plan}.window_s - 0.000001))
            ELSE k.t END) AT TIME ZONE {zone})
          + CAST('1 ' || {plan}.span AS interval)) AT TIME ZONE {zone}
      END"""


# The database's clock. `at` is for the seeded simulation, which owns time; nobody else passes it.
CLOCK = "clock AS (SELECT COALESCE(CAST(:at AS timestamptz), now()) AS t)"
# Whose bucket, in whose time zone: a meter is read for many people at once.
ASKED = """asked AS (
  SELECT * FROM unnest(
    CAST(:names AS text[]), CAST(:rungs AS int[]), CAST(:caps AS bigint[]),
    CAST(:costs AS bigint[]), CAST(:units AS text[]), CAST(:policies AS text[]),
    CAST(:windows AS bigint[]), CAST(:spans AS text[]), CAST(:subjects AS text[]),
    CAST(:timezones AS text[])
  ) WITH ORDINALITY
    AS a(name, rung, cap, cost, unit, policy, window_s, span, subject, timezone, place)
)"""
PURSE = f"""purse AS MATERIALIZED (
  SELECT g.subject, g.bucket, g.ordinal, g.remaining FROM quota_grant g CROSS JOIN clock k
  WHERE g.subject = ANY (CAST(:subjects AS text[])) AND {LIVE}
)"""  # noqa: S608 - built from a constant
LAST = """LEFT JOIN LATERAL (
    SELECT * FROM quota_bucket b WHERE b.subject = a.subject AND b.name = a.name
    ORDER BY b.ordinal DESC LIMIT 1
  ) q"""
USABLE = """q.unit = a.unit AND (
    q.resets_at > k.t
    OR (q.resets_at IS NULL AND q.window_start IS NULL)
    OR (q.resets_at IS NULL AND q.policy = 'rolling' AND a.policy = 'rolling')
  )"""
# What a window that has yet to open owes for the one before it (`z`): one window's worth at most.
OWED = """CASE WHEN z.unit = a.unit AND a.policy <> 'rolling'
      THEN LEAST(a.cap, z.overage) ELSE 0 END"""
# `z` is the last window there was, `q` the same while it counts.
NEWEST = f"""newest AS (
  SELECT a.*, q.id, q.window_start, q.slots, COALESCE(q.held, 0) AS held,
    COALESCE(q.drawn, 0) AS drawn, COALESCE({used("q", "a.window_s")}, {OWED}) AS used,
    COALESCE(q.carried, {OWED}) AS carried,
    COALESCE((SELECT sum(p.remaining) FROM purse p WHERE p.subject = a.subject
      AND p.bucket = a.name
      AND (p.ordinal IS NULL OR p.ordinal = COALESCE(q.ordinal, z.ordinal + 1, 1))), 0) AS granted,
    CASE WHEN q.window_start IS NULL THEN a.policy ELSE q.policy END AS open_policy,
    CASE WHEN q.window_start IS NULL THEN a.window_s ELSE q.window_s END AS open_window_s,
    COALESCE(q.resets_at, CASE WHEN q.window_start IS NULL AND a.policy = 'calendar'
      THEN {closing("a", "q", "a.timezone")} END) AS resets_at
  FROM asked a CROSS JOIN clock k {LAST.replace(") q", ") z")} ON true
  LEFT JOIN LATERAL (SELECT z.*) q ON {USABLE}
)"""  # noqa: S608 - built from the constants above; every value is bound

MAKE = text(f"""
WITH {CLOCK}, {ASKED}
INSERT INTO quota_bucket (subject, name, ordinal, unit, policy, window_s, cap, timezone, after_at,
  carried)
SELECT :subject, a.name, COALESCE(q.ordinal, 0) + 1, a.unit, a.policy, a.window_s, a.cap,
  COALESCE(q.timezone, :timezone), q.resets_at,
  {OWED.replace("z.", "q.")}
FROM asked a CROSS JOIN clock k {LAST} ON true
WHERE a.rung > 0 AND NOT COALESCE({USABLE}, false)
ORDER BY a.name
ON CONFLICT (subject, name, ordinal) DO NOTHING
""")  # noqa: S608 - built from the constants above; every value is bound

METER = text(f"""
WITH {CLOCK}, {ASKED}, {PURSE}, {NEWEST}
SELECT n.place, n.name, {shown_cap("n")} AS cap, n.cost, n.unit, n.open_policy AS policy,
  n.open_window_s AS window_s, n.used, n.held, n.drawn, n.granted, n.carried,
  {room("n")} AS remaining,
  n.resets_at, n.window_start, n.slots, k.t AS now
FROM newest n CROSS JOIN clock k ORDER BY n.place
""")  # noqa: S608 - built from the constants above; every value is bound


def arguments(
    plan: Plan,
    *,
    subject: str,
    timezone: str,
    at: datetime | None,
    ladder: Sequence[str] = (),
    costs: Mapping[Unit, int],
    ceilings: Mapping[Role, int] | None = None,
) -> dict[str, Any]:
    """The plan as arrays, one element a bucket; `rungs` counts from 1, 0 is off the ladder.

    `first` are the places of the first rung's buckets, in the order in which they are locked.

    `ceilings` are µUSD a role's answer may cost; a role without one costs what `costs` says.
    """
    rung = {role: step for step, role in enumerate(ladder, start=1)}
    first = [(b.name, i) for i, b in enumerate(plan.buckets, start=1) if b.role in ladder[:1]]
    return {
        "at": at,
        "subject": subject,
        "timezone": timezone,
        "names": [b.name for b in plan.buckets],
        "rungs": [rung.get(b.role, 0) for b in plan.buckets],
        "caps": [b.cap for b in plan.buckets],
        "costs": [cost_of(b, costs, ceilings or {}) for b in plan.buckets],
        "units": [b.unit for b in plan.buckets],
        "policies": [b.policy for b in plan.buckets],
        "windows": [b.window for b in plan.buckets],
        "spans": [b.span for b in plan.buckets],
        "subjects": [subject] * len(plan.buckets),
        "timezones": [timezone] * len(plan.buckets),
        "first": [place for _, place in sorted(first)],
    }


def cost_of(bucket: Bucket, costs: Mapping[Unit, int], ceilings: Mapping[Role, int]) -> int:
    """What one turn takes from the bucket, in its unit."""
    if bucket.unit == "micro_usd" and bucket.role in ceilings:
        return ceilings[bucket.role]
    return costs.get(bucket.unit, 0)
