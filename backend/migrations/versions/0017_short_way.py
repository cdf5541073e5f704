"""One short way for one turn and for many: records come in, and it opens windows."""

from alembic import op

revision = "0017_short_way"
down_revision = "0016_variants"
branch_labels = None
depends_on = None

# What it takes the place of, as 0002 and 0010 had it.
DROPS = (
    "quota_take(text, text, text, text, text[], text, int, timestamptz, text[], int[], bigint[],"
    " bigint[], text[], text[], bigint[], text[], int[])",
    "quota_give(text, text, boolean, jsonb, timestamptz)",
    "quota_take_all(text[], text[], text[], text[], text[], int[], text[], bigint[], bigint[],"
    " text[], int, timestamptz)",
    "quota_give_all(text[], text[], boolean[], jsonb[], timestamptz)",
)
# As quotas/functions.py has them.
FUNCTIONS = (
    r"""
CREATE OR REPLACE FUNCTION quota_take(p_asks json, p_lines json, p_lease_s int, p_at timestamptz)
RETURNS SETOF text LANGUAGE plpgsql SET enable_seqscan TO off SET plan_cache_mode TO force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  granted int;
BEGIN
  FOR round IN 1 .. 2 LOOP
    RETURN QUERY
    WITH clock AS (SELECT COALESCE(p_at, now()) AS t), wanted AS MATERIALIZED (
    SELECT a.*, p.name, p.unit, p.cap, p.policy, p.window_s, p.span,
      CAST(a.costs ->> p.name AS bigint) AS cost, count(*) OVER (PARTITION BY a.n) AS buckets
    FROM json_to_recordset(p_asks) AS a(n int, turn_id text, subject text, plan text,
      timezone text, role text, served text, costs json)
    JOIN json_to_recordset(p_lines) AS p(plan text, place int, role text, name text, unit text, cap bigint, policy text,
    window_s bigint, span text, rung int, cost bigint)
      ON p.plan || '/' || p.role = a.plan || '/' || a.served
  ),
    locked AS MATERIALIZED (
      SELECT w.*, b.id, b.window_start, COALESCE(b.unit = w.unit AND (
          b.resets_at > k.t AND b.policy <> 'rolling'
          OR b.window_start IS NULL AND w.policy <> 'rolling'
        ), false) AS usable, GREATEST(0, w.cap - (b.used + b.carried + b.held - b.drawn)) AS room
      FROM clock k CROSS JOIN (
        SELECT * FROM wanted ORDER BY subject, array_position(ARRAY['reasoning', 'reasoning_mini', 'agent', 'light', 'light_mini'], served), name, n
      ) w CROSS JOIN LATERAL (
        SELECT * FROM quota_bucket q WHERE q.subject = w.subject AND q.name = w.name
        ORDER BY q.ordinal DESC LIMIT 1 FOR UPDATE
      ) b
    ),
    judged AS (
      SELECT l.*, l.usable AND l.room >= sum(l.cost) OVER (PARTITION BY l.id ORDER BY l.n)
        AND l.buckets = count(*) OVER (PARTITION BY l.n) AS fits
      FROM locked l
    ),
    hold AS (
      INSERT INTO quota_hold (turn_id, subject, plan, requested_role, served_role, binding, state,
        bucket_ids, amounts, lease_until, created_at)
      SELECT j.turn_id, j.subject, j.plan, j.role, j.served, NULL, 'reserved',
        array_agg(j.id ORDER BY j.name), array_agg(j.cost ORDER BY j.name),
        k.t + make_interval(secs => p_lease_s), k.t
      FROM judged j CROSS JOIN clock k
      WHERE NOT EXISTS (SELECT 1 FROM quota_grant g
        WHERE g.subject = j.subject AND g.remaining > 0 AND g.revoked_at IS NULL)
      GROUP BY j.turn_id, j.subject, j.plan, j.role, j.served, k.t HAVING bool_and(j.fits)
      ORDER BY j.turn_id
      ON CONFLICT (turn_id) DO NOTHING
      RETURNING turn_id
    ),
    taking AS (
      SELECT DISTINCT ON (j.id) j.*, sum(j.cost) OVER (PARTITION BY j.id) AS units
      FROM hold h JOIN judged j ON j.turn_id = h.turn_id ORDER BY j.id, j.n DESC
    ),
    taken AS (
      UPDATE quota_bucket b SET held = b.held + w.units, cap = w.cap,
        policy = CASE WHEN b.window_start IS NULL THEN w.policy ELSE b.policy END,
        window_s = CASE WHEN b.window_start IS NULL THEN w.window_s ELSE b.window_s END,
        timezone = CASE WHEN b.window_start IS NULL THEN w.timezone ELSE b.timezone END,
        resets_at = CASE WHEN b.window_start IS NULL THEN CASE w.policy
        WHEN 'session'
          THEN date_trunc('second', k.t + make_interval(secs => w.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(w.span, (CASE
            WHEN b.timezone <> w.timezone AND b.after_at IS NOT NULL THEN
              GREATEST(k.t, b.after_at + make_interval(secs => w.window_s - 0.000001))
            ELSE k.t END) AT TIME ZONE w.timezone)
          + CAST('1 ' || w.span AS interval)) AT TIME ZONE w.timezone
      END ELSE b.resets_at END,
        window_start = CASE WHEN b.window_start IS NULL THEN CASE w.policy WHEN 'calendar'
        THEN date_trunc(w.span, k.t AT TIME ZONE w.timezone) AT TIME ZONE w.timezone
        ELSE k.t END ELSE b.window_start END
      FROM taking w CROSS JOIN clock k WHERE b.id = w.id
    )
    SELECT turn_id FROM hold;
    GET DIAGNOSTICS granted = ROW_COUNT;
    EXIT WHEN round = 2 OR granted = json_array_length(p_asks);
    WITH clock AS (SELECT COALESCE(p_at, now()) AS t), wanted AS MATERIALIZED (
    SELECT a.*, p.name, p.unit, p.cap, p.policy, p.window_s, p.span,
      CAST(a.costs ->> p.name AS bigint) AS cost, count(*) OVER (PARTITION BY a.n) AS buckets
    FROM json_to_recordset(p_asks) AS a(n int, turn_id text, subject text, plan text,
      timezone text, role text, served text, costs json)
    JOIN json_to_recordset(p_lines) AS p(plan text, place int, role text, name text, unit text, cap bigint, policy text,
    window_s bigint, span text, rung int, cost bigint)
      ON p.plan || '/' || p.role = a.plan || '/' || a.served
  )
    INSERT INTO quota_bucket (subject, name, ordinal, unit, policy, window_s, cap,
    timezone, after_at, carried)
  SELECT a.subject, a.name, COALESCE(z.ordinal, 0) + 1, a.unit, a.policy, a.window_s, a.cap,
    COALESCE(z.timezone, a.timezone), z.resets_at, CASE WHEN z.unit = a.unit AND a.policy <> 'rolling'
      THEN LEAST(a.cap, z.overage) ELSE 0 END
  FROM (SELECT DISTINCT ON (subject, name) * FROM wanted) a CROSS JOIN clock k LEFT JOIN LATERAL (
    SELECT * FROM quota_bucket b WHERE b.subject = a.subject AND b.name = a.name
    ORDER BY b.ordinal DESC LIMIT 1
  ) z ON true
  WHERE NOT COALESCE(z.unit = a.unit AND (
    z.resets_at > k.t
    OR (z.resets_at IS NULL AND z.window_start IS NULL)
    OR (z.resets_at IS NULL AND z.policy = 'rolling' AND a.policy = 'rolling')
  ), false)
  ORDER BY a.subject, a.name
  ON CONFLICT (subject, name, ordinal) DO NOTHING;
    EXIT WHEN NOT FOUND;
  END LOOP;
END $$
""",
    r"""
CREATE OR REPLACE FUNCTION quota_give(p_endings json, p_at timestamptz)
RETURNS TABLE (turn_id text, ended boolean, subject text, requested_role text, served_role text,
  binding text, names text[], charged bigint[]) LANGUAGE plpgsql SET enable_seqscan TO off SET plan_cache_mode TO force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH ask AS MATERIALIZED (
    SELECT * FROM json_to_recordset(p_endings)
      AS a(turn_id text, state text, counted boolean, spent json)
  ),
  held AS MATERIALIZED (
    SELECT h.*, a.state AS ends, a.counted, a.spent AS used, h.state IN ('reserved', 'in_flight') AS open
    FROM (SELECT * FROM ask ORDER BY turn_id) a CROSS JOIN LATERAL (
      SELECT * FROM quota_hold q WHERE q.turn_id = a.turn_id FOR UPDATE
    ) h
  ),
  line AS MATERIALIZED (
    SELECT h.*, u.place, u.amount, b.id, b.name, b.policy,
      CASE WHEN h.counted THEN COALESCE(CAST(h.used ->> b.unit AS bigint), u.amount) ELSE 0 END
        AS counts
    FROM held h CROSS JOIN unnest(h.bucket_ids, h.amounts) WITH ORDINALITY AS u(id, amount, place)
    JOIN quota_bucket b ON b.id = u.id
    ORDER BY b.subject, array_position(ARRAY['reasoning', 'reasoning_mini', 'agent', 'light', 'light_mini'], h.served_role), b.name, b.ordinal FOR UPDATE OF b
  ),
  turn AS MATERIALIZED (
    SELECT turn_id, ends, open, array_agg(name ORDER BY place) AS names,
      array_agg(counts ORDER BY place) AS counts,
      bool_and(policy <> 'rolling' AND counts <= amount AND burnt_ids = '{}') AS simple
    FROM line GROUP BY turn_id, ends, open
  ),
  closed AS (
    UPDATE quota_hold h SET state = t.ends, closed_at = COALESCE(p_at, now()), spent = t.counts
    FROM turn t WHERE h.turn_id = t.turn_id AND t.open AND t.simple
    RETURNING h.turn_id
  ),
  moved AS (
    UPDATE quota_bucket b SET held = b.held - s.amount, used = b.used + s.counts
    FROM (
      SELECT l.id, sum(l.amount) AS amount, sum(l.counts) AS counts
      FROM closed c JOIN line l ON l.turn_id = c.turn_id GROUP BY l.id
    ) s WHERE b.id = s.id
  )
  SELECT a.turn_id, CASE WHEN NOT COALESCE(h.open, false) THEN false WHEN t.simple THEN true END,
    h.subject, h.requested_role, h.served_role, h.binding, t.names,
    CASE WHEN h.open THEN t.counts ELSE COALESCE(h.spent, h.amounts) END
  FROM ask a LEFT JOIN held h ON h.turn_id = a.turn_id LEFT JOIN turn t ON t.turn_id = a.turn_id;
END $$
""",
)


def upgrade() -> None:
    for signature in DROPS:
        op.execute(f"DROP FUNCTION {signature}")
    for statement in FUNCTIONS:
        op.get_bind().exec_driver_sql(statement)
