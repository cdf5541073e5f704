"""Holds: one row a turn, from the promise of an allowance to its end. Every hold ends once.

reserved ─start→ in_flight ─settle→ settled         (what was used is counted)
    └──────────────┴────────release→ released        (nothing is counted)
An expired lease refunds a `reserved` hold (`expired`) and settles an `in_flight` one in full.

Rows are locked in one order everywhere: holds before buckets, buckets by subject, name, ordinal.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from quotas.buckets import MOMENT, TEXT
from quotas.windows import ASKED, CLOCK, NEWEST, SLOTS, closing, opening, used

AMOUNTS: Any = ARRAY(BigInteger())
OPEN = "('reserved', 'in_flight')"


class QuotaHold(SQLModel, table=True):
    """`amounts[i]` of `bucket_ids[i]`; `spent` is what was counted in the end.

    `binding` names the bucket that kept the turn from the role it asked for.
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
    lease_until: datetime = Field(sa_type=MOMENT)
    created_at: datetime = Field(sa_type=MOMENT)
    closed_at: datetime | None = Field(default=None, sa_type=MOMENT)


# Decides and takes in one statement. It locks nothing when a wanted window has yet to be made:
# the caller makes it and asks again, so that no lock is ever held while rows are inserted.
TAKE = text(f"""
WITH {CLOCK}, {ASKED}, {NEWEST},
locked AS MATERIALIZED (
  SELECT b.* FROM quota_bucket b
  WHERE b.id = ANY (ARRAY(SELECT id FROM newest WHERE rung > 0))
    AND NOT EXISTS (SELECT 1 FROM newest WHERE rung > 0 AND id IS NULL)
    AND NOT EXISTS (SELECT 1 FROM quota_hold WHERE turn_id = :turn_id)
  ORDER BY b.name, b.ordinal FOR UPDATE
),
weighed AS (
  SELECT l.id, l.held, l.window_start, l.resets_at, l.slots, a.place, a.name, a.rung, a.cap, a.cost,
    a.policy, a.window_s, a.span, u.used, u.used + l.held + a.cost <= a.cap AS room
  FROM locked l JOIN asked a ON a.name = l.name CROSS JOIN clock k
  CROSS JOIN LATERAL (SELECT {used("l", "a.window_s")} AS used) u
),
chosen AS (
  SELECT min(rung) AS rung FROM (
    SELECT rung FROM weighed GROUP BY rung HAVING bool_and(room)
  ) roomy
),
hold AS (
  INSERT INTO quota_hold (turn_id, subject, plan, requested_role, served_role, binding, state,
    bucket_ids, amounts, lease_until, created_at)
  SELECT :turn_id, :subject, :plan, :role, (CAST(:ladder AS text[]))[c.rung],
    (SELECT name FROM weighed WHERE rung = 1 AND NOT room ORDER BY place LIMIT 1), 'reserved',
    array_agg(w.id ORDER BY w.name), array_agg(w.cost ORDER BY w.name),
    k.t + make_interval(secs => CAST(:lease_s AS int)), k.t
  FROM chosen c JOIN weighed w ON w.rung = c.rung CROSS JOIN clock k
  GROUP BY c.rung, k.t
  ON CONFLICT (turn_id) DO NOTHING
  RETURNING bucket_ids
),
taken AS (
  UPDATE quota_bucket b SET held = b.held + w.cost, cap = w.cap,
    policy = CASE WHEN b.window_start IS NULL THEN w.policy ELSE b.policy END,
    window_s = CASE WHEN b.window_start IS NULL OR b.policy = 'rolling'
      THEN w.window_s ELSE b.window_s END,
    timezone = CASE WHEN b.window_start IS NULL THEN :timezone ELSE b.timezone END,
    resets_at = COALESCE(b.resets_at,
      CASE WHEN b.window_start IS NULL THEN {closing("w", "b")} END),
    window_start = COALESCE(b.window_start, {opening("w")}),
    slots = CASE WHEN b.policy <> 'rolling' THEN b.slots ELSE COALESCE((
      SELECT jsonb_object_agg(s.key, s.value) FROM jsonb_each(b.slots) s
      WHERE CAST(s.key AS bigint) > extract(epoch FROM k.t) - 2 * w.window_s
    ), '{{}}') END
  FROM weighed w, hold h, clock k
  WHERE b.id = w.id AND b.id = ANY (h.bucket_ids)
  RETURNING b.id, b.held, b.policy, b.window_s, b.resets_at
)
SELECT n.name, n.cap, n.cost, COALESCE(t.policy, n.open_policy) AS policy,
  COALESCE(t.window_s, n.open_window_s) AS window_s, COALESCE(w.used, n.used, 0) AS used,
  COALESCE(t.held, w.held, n.held, 0) AS held,
  COALESCE(t.resets_at, w.resets_at, n.resets_at) AS resets_at,
  COALESCE(w.slots, n.slots) AS slots,
  k.t AS now, n.rung, w.room, n.rung > 0 AND n.id IS NULL AS missing,
  (SELECT rung FROM chosen) AS chosen,
  EXISTS (SELECT 1 FROM hold) AS held_now
FROM newest n CROSS JOIN clock k
LEFT JOIN weighed w ON w.place = n.place LEFT JOIN taken t ON t.id = w.id
ORDER BY n.place
""")  # noqa: S608 - built from constants; every value is bound

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
  RETURNING h.bucket_ids, h.amounts, h.spent, h.created_at
),
line AS (
  SELECT u.id, u.amount, u.spent, extract(epoch FROM c.created_at) AS since FROM closed c
  CROSS JOIN unnest(c.bucket_ids, c.amounts, c.spent) AS u(id, amount, spent)
),
locked AS MATERIALIZED (
  SELECT b.id FROM quota_bucket b WHERE b.id = ANY (ARRAY(SELECT id FROM line))
  ORDER BY b.subject, b.name, b.ordinal FOR UPDATE
),
moved AS (
  UPDATE quota_bucket b SET held = b.held - l.amount, used = b.used + l.spent,
    slots = CASE WHEN b.policy <> 'rolling' OR l.spent = 0 THEN b.slots ELSE b.slots || (
      SELECT jsonb_build_object(slot, COALESCE(CAST(b.slots ->> slot AS bigint), 0) + l.spent)
      FROM (SELECT (b.window_s + {SLOTS - 1}) / {SLOTS} AS width) w
      CROSS JOIN LATERAL (
        SELECT CAST(CAST(floor(l.since / width) AS bigint) * width AS text) AS slot
      ) s
    ) END
  FROM line l JOIN locked USING (id) WHERE b.id = l.id
  RETURNING b.id
)
SELECT (SELECT count(*) FROM closed) AS ended, (SELECT count(*) FROM moved) AS moved
""")  # noqa: S608 - built from constants; every value is bound

HOLD = text("""
SELECT h.subject, h.plan, h.requested_role, h.served_role, h.binding, h.state,
  ARRAY(SELECT b.name FROM unnest(h.bucket_ids) WITH ORDINALITY AS u(id, place)
    JOIN quota_bucket b ON b.id = u.id ORDER BY u.place) AS names,
  COALESCE(h.spent, h.amounts) AS charged
FROM quota_hold h WHERE h.turn_id = :turn_id
""")

OVERDUE = text(f"""
WITH {CLOCK}
SELECT h.turn_id, h.state, h.bucket_ids FROM quota_hold h CROSS JOIN clock k
WHERE h.state IN {OPEN} AND h.lease_until <= k.t
ORDER BY h.lease_until LIMIT :limit FOR UPDATE OF h SKIP LOCKED
""")  # noqa: S608 - built from constants; every value is bound

LOCK = text("""
SELECT id FROM quota_bucket WHERE id = ANY (CAST(:ids AS bigint[]))
ORDER BY subject, name, ordinal FOR UPDATE
""")
