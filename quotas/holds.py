"""Holds: one row a turn, from the promise of an allowance to its end. Every hold ends once.

reserved ─start→ in_flight ─settle→ settled         (what was used is counted)
    └──────────────┴────────release→ released        (nothing is counted)
An expired lease refunds a `reserved` hold (`expired`) and settles an `in_flight` one in full.

Rows are locked in one order everywhere: holds before buckets before grants; the buckets of a ladder
rung by rung (ladders never cross), those of one rung by name and ordinal; grants as they are burnt.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from quotas.buckets import MOMENT, TEXT
from quotas.grants import BURN_ORDER, LIVE
from quotas.windows import (
    ASKED,
    CLOCK,
    CLOSING,
    NEWEST,
    PURSE,
    SLOTS,
    opening,
    owed,
    room,
    shown,
    used,
)

AMOUNTS: Any = ARRAY(BigInteger())
NAMES: Any = ARRAY(Text())
NONE: Any = {"server_default": "{}"}
OPEN = "('reserved', 'in_flight')"


class QuotaHold(SQLModel, table=True):
    """`amounts[i]` of `bucket_ids[i]`; `spent` is what was counted in the end.

    `binding` names the bucket that kept the turn from the role it asked for. `burnt_units[i]` of
    the reserve came from the grant `burnt_ids[i]`, for `burnt_buckets[i]`, in this order.
    """

    __tablename__ = "quota_hold"
    __table_args__ = (
        CheckConstraint(
            "state IN ('reserved', 'in_flight', 'settled', 'released', 'expired')",
            name="quota_hold_state",
        ),
        Index("quota_hold_lease", "lease_until", postgresql_where=text(f"state IN {OPEN}")),
        Index("quota_hold_of_subject", "subject", "created_at"),
        Index("quota_hold_when", "created_at"),
    )
    turn_id: str = Field(sa_type=TEXT, primary_key=True)
    subject: str = Field(sa_type=TEXT)
    plan: str = Field(sa_type=TEXT)
    requested_role: str = Field(sa_type=TEXT)
    served_role: str = Field(sa_type=TEXT)
    binding: str | None = Field(default=None, sa_type=TEXT)
    state: str = Field(sa_type=TEXT)
    bucket_ids: list[int] = Field(sa_type=AMOUNTS)
    amounts: list[int] = Field(sa_type=AMOUNTS)
    spent: list[int] | None = Field(default=None, sa_type=AMOUNTS, nullable=True)
    burnt_ids: list[str] = Field(default_factory=list, sa_type=NAMES, sa_column_kwargs=NONE)
    burnt_buckets: list[int] = Field(default_factory=list, sa_type=AMOUNTS, sa_column_kwargs=NONE)
    burnt_units: list[int] = Field(default_factory=list, sa_type=AMOUNTS, sa_column_kwargs=NONE)
    lease_until: datetime = Field(sa_type=MOMENT)
    created_at: datetime = Field(sa_type=MOMENT)
    closed_at: datetime | None = Field(default=None, sa_type=MOMENT)


# Decides and takes in one statement. It locks nothing when a wanted window has yet to be made:
# the caller makes it and asks again, so that no lock is ever held while rows are inserted.
TAKE = text(f"""
WITH {CLOCK}, {ASKED}, {PURSE}, {NEWEST},
locked AS MATERIALIZED (
  SELECT b.* FROM newest n JOIN quota_bucket b ON b.id = n.id
  WHERE n.rung > 0
    AND NOT EXISTS (SELECT 1 FROM newest WHERE rung > 0 AND id IS NULL)
    AND NOT EXISTS (SELECT 1 FROM quota_hold WHERE turn_id = :turn_id)
  ORDER BY n.rung, b.name FOR UPDATE OF b
),
gifts AS MATERIALIZED (
  SELECT g.id, g.bucket, g.ordinal, g.remaining, g.priority, g.expires_at, g.created_at
  FROM quota_grant g CROSS JOIN clock k
  WHERE g.subject = :subject AND {LIVE} AND g.bucket = ANY (ARRAY(SELECT name FROM locked))
  ORDER BY {BURN_ORDER} FOR UPDATE OF g
),
counted AS (
  SELECT l.id, l.ordinal, l.held, l.drawn, l.overage, l.window_start, l.resets_at, l.slots,
    a.place, a.name, a.rung, a.cap, a.cost, a.policy, a.window_s, a.span, a.timezone,
    {used("l", "a")} AS used, {owed("l", "a")} AS carried,
    CAST(COALESCE((SELECT sum(g.remaining) FROM gifts g WHERE g.bucket = a.name
      AND (g.ordinal IS NULL OR g.ordinal = l.ordinal)), 0) AS bigint) AS granted
  FROM locked l JOIN asked a ON a.name = l.name CROSS JOIN clock k
),
weighed AS (
  SELECT c.*, {room("c")} >= c.cost AS room,
    GREATEST(0, c.cost - GREATEST(0, c.cap - (c.used + c.held - c.drawn))) AS lacking
  FROM counted c
),
chosen AS (
  SELECT min(rung) AS rung FROM (
    SELECT rung FROM weighed GROUP BY rung HAVING bool_and(room)
  ) roomy
),
burnt AS (
  SELECT id, bucket_id, name, turn, LEAST(remaining, lacking - before) AS units FROM (
    SELECT g.id, w.id AS bucket_id, w.name, g.remaining, w.lacking,
      row_number() OVER burning AS turn,
      COALESCE(sum(g.remaining) OVER (burning ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
        AS before
    FROM chosen c JOIN weighed w ON w.rung = c.rung AND w.lacking > 0
    JOIN gifts g ON g.bucket = w.name AND (g.ordinal IS NULL OR g.ordinal = w.ordinal)
    WINDOW burning AS (PARTITION BY w.name ORDER BY {BURN_ORDER})
  ) queue WHERE before < lacking
),
hold AS (
  INSERT INTO quota_hold (turn_id, subject, plan, requested_role, served_role, binding, state,
    bucket_ids, amounts, burnt_ids, burnt_buckets, burnt_units, lease_until, created_at)
  SELECT :turn_id, :subject, :plan, :role, (CAST(:ladder AS text[]))[c.rung],
    (SELECT name FROM weighed WHERE rung = 1 AND NOT room ORDER BY place LIMIT 1), 'reserved',
    array_agg(w.id ORDER BY w.name), array_agg(w.cost ORDER BY w.name),
    ARRAY(SELECT id FROM burnt ORDER BY name, turn),
    ARRAY(SELECT bucket_id FROM burnt ORDER BY name, turn),
    ARRAY(SELECT units FROM burnt ORDER BY name, turn),
    k.t + make_interval(secs => CAST(:lease_s AS int)), k.t
  FROM chosen c JOIN weighed w ON w.rung = c.rung CROSS JOIN clock k
  GROUP BY c.rung, k.t
  ON CONFLICT (turn_id) DO NOTHING
  RETURNING bucket_ids
),
spent AS (
  UPDATE quota_grant g SET remaining = g.remaining - n.units
  FROM burnt n CROSS JOIN hold WHERE g.id = n.id RETURNING g.id
),
taken AS (
  UPDATE quota_bucket b SET held = b.held + w.cost, drawn = b.drawn + w.lacking, cap = w.cap,
    carried = {owed("b", "w")},
    policy = CASE WHEN b.window_start IS NULL THEN w.policy ELSE b.policy END,
    window_s = CASE WHEN b.window_start IS NULL OR b.policy = 'rolling'
      THEN w.window_s ELSE b.window_s END,
    timezone = CASE WHEN b.window_start IS NULL THEN w.timezone ELSE b.timezone END,
    resets_at = COALESCE(b.resets_at,
      CASE WHEN b.window_start IS NULL THEN {CLOSING} END),
    window_start = COALESCE(b.window_start, {opening("w")}),
    slots = CASE WHEN b.policy <> 'rolling' THEN b.slots ELSE COALESCE((
      SELECT jsonb_object_agg(s.key, s.value) FROM jsonb_each(b.slots) s
      WHERE CAST(s.key AS bigint) > extract(epoch FROM k.t) - 2 * w.window_s
    ), '{{}}') END
  FROM weighed w, hold h, clock k
  WHERE b.id = w.id AND b.id = ANY (h.bucket_ids)
  RETURNING b.id, b.held, b.drawn, b.policy, b.window_s, b.resets_at, b.window_start, w.lacking
),
levels AS (
  SELECT n.place, n.name, n.cap, n.cost, n.rung, n.id, COALESCE(t.policy, n.policy) AS policy,
    COALESCE(t.window_s, n.window_s) AS window_s, COALESCE(w.used, n.used) AS used,
    COALESCE(t.held, w.held, n.held) AS held, COALESCE(t.drawn, w.drawn, n.drawn) AS drawn,
    COALESCE(w.granted, n.granted) - COALESCE(t.lacking, 0) AS granted,
    COALESCE(t.resets_at, w.resets_at, n.resets_at) AS resets_at,
    COALESCE(t.window_start, w.window_start, n.window_start) AS window_start,
    COALESCE(w.slots, n.slots) AS slots, w.room, COALESCE(w.carried, n.carried) AS carried,
    COALESCE(w.overage, n.overage) AS overage, n.owed_until
  FROM newest n LEFT JOIN weighed w ON w.place = n.place LEFT JOIN taken t ON t.id = w.id
)
SELECT {shown("v")}, v.name, v.cost, v.rung, v.room, v.rung > 0 AND v.id IS NULL AS missing,
  (SELECT rung FROM chosen) AS chosen, EXISTS (SELECT 1 FROM hold) AS held_now
FROM levels v CROSS JOIN clock k ORDER BY v.place
""")  # noqa: S608 - built from constants; every value is bound

# `TAKE` names the first bucket that lacked room. How long each of several lasts, `levels` can tell.
BIND = text("UPDATE quota_hold SET binding = :binding WHERE turn_id = :turn_id")

START = text(f"""
WITH {CLOCK}
UPDATE quota_hold h SET state = 'in_flight',
  lease_until = k.t + make_interval(secs => CAST(:lease_s AS int))
FROM clock k WHERE h.turn_id = :turn_id AND h.state = 'reserved' AND h.lease_until > k.t
""")  # noqa: S608 - built from constants; every value is bound

# `counted` false gives everything back. `spent` maps units to what was used; a unit that it leaves
# out counts as it was reserved. A turn that used more than its reserve is counted in full, also
# beyond the cap.
CLOSE = text(f"""
WITH {CLOCK},
closed AS (
  UPDATE quota_hold h SET state = :state, closed_at = k.t, spent = ARRAY(
    SELECT CASE WHEN CAST(:counted AS boolean)
      THEN COALESCE(CAST(CAST(:spent AS jsonb) ->> b.unit AS bigint), u.amount) ELSE 0 END
    FROM unnest(h.bucket_ids, h.amounts) WITH ORDINALITY AS u(id, amount, place)
    JOIN quota_bucket b ON b.id = u.id ORDER BY u.place
  )
  FROM clock k WHERE h.turn_id = :turn_id AND h.state IN {OPEN}
  RETURNING h.bucket_ids, h.amounts, h.spent, h.created_at, h.burnt_ids, h.burnt_buckets,
    h.burnt_units
),
line AS (
  SELECT u.id, u.amount, u.spent, extract(epoch FROM c.created_at) AS since FROM closed c
  CROSS JOIN unnest(c.bucket_ids, c.amounts, c.spent) AS u(id, amount, spent)
),
locked AS MATERIALIZED (
  SELECT b.* FROM quota_bucket b WHERE b.id = ANY (ARRAY(
    SELECT id FROM line UNION ALL
    SELECT n.id FROM line JOIN quota_bucket p USING (id) JOIN quota_bucket n
      ON n.subject = p.subject AND n.name = p.name AND n.ordinal = p.ordinal + 1
    WHERE line.spent > line.amount
  )) ORDER BY b.subject, b.name, b.ordinal FOR UPDATE
),
burnt AS (
  SELECT u.id, u.bucket_id, u.units, LEAST(u.units, GREATEST(0, l.amount - l.spent - COALESCE(
    sum(u.units) OVER (PARTITION BY u.bucket_id ORDER BY u.turn DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))) AS back
  FROM closed c CROSS JOIN unnest(c.burnt_ids, c.burnt_buckets, c.burnt_units) WITH ORDINALITY
    AS u(id, bucket_id, units, turn)
  JOIN line l ON l.id = u.bucket_id
),
gifts AS MATERIALIZED (
  SELECT g.id FROM quota_grant g WHERE g.id = ANY (ARRAY(SELECT id FROM burnt WHERE back > 0))
    AND (SELECT count(*) FROM locked) > 0
  ORDER BY {BURN_ORDER} FOR UPDATE
),
refilled AS (
  UPDATE quota_grant g SET remaining = g.remaining + n.back
  FROM burnt n JOIN gifts USING (id) WHERE g.id = n.id RETURNING g.id
),
ended AS (
  SELECT l.*, b.subject, b.name, b.ordinal,
    COALESCE((SELECT sum(n.units) FROM burnt n WHERE n.bucket_id = l.id), 0) AS burnt,
    COALESCE((SELECT sum(n.back) FROM burnt n WHERE n.bucket_id = l.id), 0) AS back,
    CASE WHEN b.policy = 'rolling' THEN 0 ELSE GREATEST(0, LEAST(l.spent - l.amount,
      b.used + b.carried + b.held - b.drawn - l.amount + l.spent - b.cap)) END AS beyond
  FROM line l JOIN locked b USING (id)
),
moved AS (
  UPDATE quota_bucket b SET held = b.held - e.amount, used = b.used + e.spent,
    drawn = b.drawn - CASE WHEN b.policy = 'rolling' THEN e.burnt ELSE e.back END,
    overage = b.overage + e.beyond,
    slots = CASE WHEN b.policy <> 'rolling' OR e.spent <= e.burnt - e.back THEN b.slots
      ELSE b.slots || (
        SELECT jsonb_build_object(slot, COALESCE(CAST(b.slots ->> slot AS bigint), 0)
          + e.spent - (e.burnt - e.back))
        FROM (SELECT (b.window_s + {SLOTS - 1}) / {SLOTS} AS width) w
        CROSS JOIN LATERAL (
          SELECT CAST(CAST(floor(e.since / width) AS bigint) * width AS text) AS slot
        ) s
      ) END
  FROM ended e WHERE b.id = e.id
  RETURNING b.id
),
owing AS (
  UPDATE quota_bucket n SET carried = LEAST(n.cap, n.carried + e.beyond) FROM ended e
  WHERE e.beyond > 0 AND n.subject = e.subject AND n.name = e.name AND n.ordinal = e.ordinal + 1
  RETURNING n.id
)
SELECT (SELECT count(*) FROM closed) AS ended, (SELECT count(*) FROM moved) AS moved
""")  # noqa: S608 - built from constants; every value is bound

HOLD_OF = """
SELECT h.turn_id, h.subject, h.plan, h.requested_role, h.served_role, h.binding, h.state,
  ARRAY(SELECT b.name FROM unnest(h.bucket_ids) WITH ORDINALITY AS u(id, place)
    JOIN quota_bucket b ON b.id = u.id ORDER BY u.place) AS names,
  COALESCE(h.spent, h.amounts) AS charged
FROM quota_hold h"""
HOLD = text(HOLD_OF + " WHERE h.turn_id = :turn_id")

# What an ended hold counted, as a turn's row keeps it: `{bucket: units}`. Goes into a statement
# about the table `turn`, which the hold knows by its id only.
COUNTED_FOR_TURN = """(
SELECT COALESCE(jsonb_object_agg(b.name, u.units) FILTER (WHERE u.units > 0), '{}')
FROM quota_hold h CROSS JOIN unnest(h.bucket_ids, h.spent) AS u(id, units)
JOIN quota_bucket b ON b.id = u.id WHERE h.turn_id = turn.id)"""

OVERDUE = text(f"""
WITH {CLOCK}
SELECT h.turn_id, h.state, h.bucket_ids, h.burnt_ids FROM quota_hold h CROSS JOIN clock k
WHERE h.state IN {OPEN} AND h.lease_until <= k.t
ORDER BY h.lease_until LIMIT :limit FOR UPDATE OF h SKIP LOCKED
""")  # noqa: S608 - built from constants; every value is bound

# Whoever waits for a sweep must not be waited for: buckets in use are left to the next one.
LOCK = text("""
SELECT id FROM quota_bucket WHERE id = ANY (CAST(:ids AS bigint[])) FOR UPDATE SKIP LOCKED
""")
LOCK_GRANTS = text(f"""
SELECT g.id FROM quota_grant g WHERE g.id = ANY (CAST(:ids AS text[]))
ORDER BY {BURN_ORDER} FOR UPDATE
""")  # noqa: S608 - built from a constant
