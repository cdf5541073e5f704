"""The SQL that the gate and the meter share, so that they cannot disagree.

It tells which window of a bucket counts now, how much of it is used, and when a window that opens
now begins and ends. A plan enters as arrays, one element a bucket (`arguments`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from quotas.plans import Plan, Unit

SLOTS = 60  # a rolling window is counted in sixtieths


def used(row: str, window_s: str) -> str:
    """Units of a window that count now. `row` is an alias of quota_bucket, `k` of the clock."""
    return f"""CASE WHEN {row}.policy = 'rolling' THEN (
        SELECT COALESCE(sum(CAST(s.value AS bigint)), 0) FROM jsonb_each_text({row}.slots) s
        WHERE CAST(s.key AS bigint) + ({window_s} + {SLOTS - 1}) / {SLOTS}
          > extract(epoch FROM k.t) - {window_s}
      ) ELSE {row}.used END"""  # noqa: S608 - a constant; aliases are the only arguments


def opening(plan: str) -> str:
    """When a window that opens now began: a calendar's began with its day."""
    return f"""CASE {plan}.policy WHEN 'calendar'
        THEN date_trunc({plan}.span, k.t AT TIME ZONE :timezone) AT TIME ZONE :timezone
        ELSE k.t END"""


def closing(plan: str, row: str) -> str:
    """When a window that opens now ends: at a whole second, and never for a rolling one.

    A person who changes the time zone gets no second day out of it: the first window in the new
    zone lasts at least its full length from the end of the one before.
    """
    return f"""CASE {plan}.policy
        WHEN 'session'
          THEN date_trunc('second', k.t + make_interval(secs => {plan}.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc({plan}.span, (CASE
            WHEN {row}.timezone <> :timezone AND {row}.after_at IS NOT NULL THEN
              GREATEST(k.t, {row}.after_at + make_interval(secs => {plan}.window_s - 0.000001))
            ELSE k.t END) AT TIME ZONE :timezone)
          + CAST('1 ' || {plan}.span AS interval)) AT TIME ZONE :timezone
      END"""


# The database's clock. `at` is for the seeded simulation, which owns time; nobody else passes it.
CLOCK = "clock AS (SELECT COALESCE(CAST(:at AS timestamptz), now()) AS t)"
ASKED = """asked AS (
  SELECT * FROM unnest(
    CAST(:names AS text[]), CAST(:rungs AS int[]), CAST(:caps AS bigint[]),
    CAST(:costs AS bigint[]), CAST(:units AS text[]), CAST(:policies AS text[]),
    CAST(:windows AS bigint[]), CAST(:spans AS text[])
  ) WITH ORDINALITY AS a(name, rung, cap, cost, unit, policy, window_s, span, place)
)"""
LAST = """LEFT JOIN LATERAL (
    SELECT * FROM quota_bucket b WHERE b.subject = :subject AND b.name = a.name
    ORDER BY b.ordinal DESC LIMIT 1
  ) q"""
USABLE = """q.unit = a.unit AND (
    q.resets_at > k.t
    OR (q.resets_at IS NULL AND q.window_start IS NULL)
    OR (q.resets_at IS NULL AND q.policy = 'rolling' AND a.policy = 'rolling')
  )"""
NEWEST = f"""newest AS (
  SELECT a.*, q.id, q.held, q.window_start, q.slots, {used("q", "a.window_s")} AS used,
    CASE WHEN q.window_start IS NULL THEN a.policy ELSE q.policy END AS open_policy,
    CASE WHEN q.window_start IS NULL THEN a.window_s ELSE q.window_s END AS open_window_s,
    COALESCE(q.resets_at, CASE WHEN q.window_start IS NULL AND a.policy = 'calendar'
      THEN {closing("a", "q")} END) AS resets_at
  FROM asked a CROSS JOIN clock k {LAST} ON {USABLE}
)"""  # noqa: S608 - built from the constants above; every value is bound

MAKE = text(f"""
WITH {CLOCK}, {ASKED}
INSERT INTO quota_bucket (subject, name, ordinal, unit, policy, window_s, cap, timezone, after_at)
SELECT :subject, a.name, COALESCE(q.ordinal, 0) + 1, a.unit, a.policy, a.window_s, a.cap,
  COALESCE(q.timezone, :timezone), q.resets_at
FROM asked a CROSS JOIN clock k {LAST} ON true
WHERE a.rung > 0 AND NOT COALESCE({USABLE}, false)
ORDER BY a.name
ON CONFLICT (subject, name, ordinal) DO NOTHING
""")  # noqa: S608 - built from the constants above; every value is bound

METER = text(f"""
WITH {CLOCK}, {ASKED}, {NEWEST}
SELECT n.place, n.name, n.cap, n.cost, n.unit, n.open_policy AS policy, n.open_window_s AS window_s,
  COALESCE(n.used, 0) AS used, COALESCE(n.held, 0) AS held, n.resets_at, n.slots, k.t AS now
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
) -> dict[str, Any]:
    """The plan as arrays, one element a bucket; `rungs` counts from 1, 0 is off the ladder."""
    rung = {role: step for step, role in enumerate(ladder, start=1)}
    return {
        "at": at,
        "subject": subject,
        "timezone": timezone,
        "names": [b.name for b in plan.buckets],
        "rungs": [rung.get(b.role, 0) for b in plan.buckets],
        "caps": [b.cap for b in plan.buckets],
        "costs": [costs.get(b.unit, 0) for b in plan.buckets],
        "units": [b.unit for b in plan.buckets],
        "policies": [b.policy for b in plan.buckets],
        "windows": [b.window for b in plan.buckets],
        "spans": [b.span for b in plan.buckets],
    }
