"""What a window owes is lost in time: whoever overspent by a whole window was shut out for good."""

from alembic import op

revision = "0025_debts_end"
down_revision = "0024_saved_cards"
branch_labels = None
depends_on = None

DROP_METER = "DROP FUNCTION quota_meter(json, json, timestamptz, json)"  # it has a column more
# As quotas/functions.py and quotas/windows.py have them.
TAKE = r"""
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
        ), false) AS usable,
        GREATEST(0, w.cap - (b.used + CASE WHEN b.carried > 0 AND (b.window_start IS NOT NULL OR k.t < CASE w.policy
        WHEN 'session'
          THEN date_trunc('second', b.after_at + make_interval(secs => w.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(w.span, (CASE
            WHEN b.timezone <> w.timezone AND b.after_at IS NOT NULL THEN
              GREATEST(b.after_at, b.after_at + make_interval(secs => w.window_s - 0.000001))
            ELSE b.after_at END) AT TIME ZONE w.timezone)
          + CAST('1 ' || w.span AS interval)) AT TIME ZONE w.timezone
      END)
      THEN b.carried ELSE 0 END + b.held - b.drawn)) AS room
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
        carried = CASE WHEN b.carried > 0 AND (b.window_start IS NOT NULL OR k.t < CASE w.policy
        WHEN 'session'
          THEN date_trunc('second', b.after_at + make_interval(secs => w.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(w.span, (CASE
            WHEN b.timezone <> w.timezone AND b.after_at IS NOT NULL THEN
              GREATEST(b.after_at, b.after_at + make_interval(secs => w.window_s - 0.000001))
            ELSE b.after_at END) AT TIME ZONE w.timezone)
          + CAST('1 ' || w.span AS interval)) AT TIME ZONE w.timezone
      END)
      THEN b.carried ELSE 0 END,
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
    COALESCE(z.timezone, a.timezone), z.resets_at, CASE WHEN z.unit = a.unit AND z.overage > 0
        AND k.t < CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', z.resets_at + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN z.timezone <> a.timezone AND z.resets_at IS NOT NULL THEN
              GREATEST(z.resets_at, z.resets_at + make_interval(secs => a.window_s - 0.000001))
            ELSE z.resets_at END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END
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
"""
METER = r"""
CREATE OR REPLACE FUNCTION quota_meter(p_people json, p_lines json, p_at timestamptz, p_after json)
RETURNS TABLE (policy text, window_s bigint, used bigint, held bigint, cap bigint,
  remaining bigint, drawn bigint, granted bigint, carried bigint, window_start timestamptz,
  resets_at timestamptz, overage bigint, owed_until timestamptz, slots jsonb, now timestamptz)
LANGUAGE plpgsql SET enable_seqscan TO off SET plan_cache_mode TO force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH clock AS (SELECT COALESCE(p_at, now()) AS t), asked AS (
  SELECT v.viewer, v.subject, v.timezone, p.*
  FROM json_to_recordset(CAST(p_people AS json)) AS v(viewer int, subject text, plan text, timezone text)
  JOIN json_to_recordset(CAST(p_lines AS json)) AS p(plan text, place int, role text, name text, unit text, cap bigint, policy text,
    window_s bigint, span text, rung int, cost bigint) ON p.plan = v.plan
), purse AS MATERIALIZED (
  SELECT g.subject, g.bucket, g.ordinal, g.remaining FROM quota_grant g CROSS JOIN clock k
  WHERE g.subject IN (SELECT subject FROM asked) AND g.remaining > 0 AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > k.t)
), newest AS (
  SELECT a.viewer, a.place, a.name, a.cap, a.cost, a.rung, q.id, q.window_start, q.slots,
    COALESCE(q.held, 0) AS held, COALESCE(q.drawn, 0) AS drawn,
    COALESCE(q.overage, 0) AS overage,
    COALESCE(CASE WHEN q.policy = 'rolling' THEN (
        SELECT CAST(COALESCE(sum(CAST(s.value AS bigint)), 0) AS bigint)
        FROM jsonb_each_text(q.slots) s
        WHERE CAST(s.key AS bigint) + (a.window_s + 59) / 60
          > extract(epoch FROM k.t) - a.window_s
      ) ELSE q.used + CASE WHEN q.carried > 0 AND (q.window_start IS NOT NULL OR k.t < CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', q.after_at + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN q.timezone <> a.timezone AND q.after_at IS NOT NULL THEN
              GREATEST(q.after_at, q.after_at + make_interval(secs => a.window_s - 0.000001))
            ELSE q.after_at END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END)
      THEN q.carried ELSE 0 END END, CASE WHEN z.unit = a.unit AND z.overage > 0
        AND k.t < CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', z.resets_at + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN z.timezone <> a.timezone AND z.resets_at IS NOT NULL THEN
              GREATEST(z.resets_at, z.resets_at + make_interval(secs => a.window_s - 0.000001))
            ELSE z.resets_at END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END
      THEN LEAST(a.cap, z.overage) ELSE 0 END) AS used,
    CASE WHEN q.id IS NULL THEN CASE WHEN z.unit = a.unit AND z.overage > 0
        AND k.t < CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', z.resets_at + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN z.timezone <> a.timezone AND z.resets_at IS NOT NULL THEN
              GREATEST(z.resets_at, z.resets_at + make_interval(secs => a.window_s - 0.000001))
            ELSE z.resets_at END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END
      THEN LEAST(a.cap, z.overage) ELSE 0 END ELSE CASE WHEN q.carried > 0 AND (q.window_start IS NOT NULL OR k.t < CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', q.after_at + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN q.timezone <> a.timezone AND q.after_at IS NOT NULL THEN
              GREATEST(q.after_at, q.after_at + make_interval(secs => a.window_s - 0.000001))
            ELSE q.after_at END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END)
      THEN q.carried ELSE 0 END END AS carried,
    CAST(COALESCE((SELECT sum(p.remaining) FROM purse p WHERE p.subject = a.subject
      AND p.bucket = a.name
      AND (p.ordinal IS NULL OR p.ordinal = COALESCE(q.ordinal, z.ordinal + 1, 1))), 0) AS bigint)
      AS granted,
    CASE WHEN q.window_start IS NULL THEN a.policy ELSE q.policy END AS policy,
    CASE WHEN q.window_start IS NULL THEN a.window_s ELSE q.window_s END AS window_s,
    COALESCE(q.resets_at, CASE WHEN q.window_start IS NULL AND a.policy = 'calendar'
      THEN CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', k.t + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN z.timezone <> a.timezone AND COALESCE(q.after_at, z.resets_at) IS NOT NULL THEN
              GREATEST(k.t, COALESCE(q.after_at, z.resets_at) + make_interval(secs => a.window_s - 0.000001))
            ELSE k.t END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END END) AS resets_at,
    CASE WHEN z.overage > 0 OR z.carried > 0
      THEN CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', COALESCE(z.resets_at, q.after_at) + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN z.timezone <> a.timezone AND COALESCE(z.resets_at, q.after_at) IS NOT NULL THEN
              GREATEST(COALESCE(z.resets_at, q.after_at), COALESCE(z.resets_at, q.after_at) + make_interval(secs => a.window_s - 0.000001))
            ELSE COALESCE(z.resets_at, q.after_at) END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END END AS owed_until
  FROM asked a CROSS JOIN clock k LEFT JOIN LATERAL (
    SELECT * FROM quota_bucket b WHERE b.subject = a.subject AND b.name = a.name
    ORDER BY b.ordinal DESC LIMIT 1
  ) z ON true
  LEFT JOIN LATERAL (SELECT z.*) q ON z.unit = a.unit AND (
    z.resets_at > k.t
    OR (z.resets_at IS NULL AND z.window_start IS NULL)
    OR (z.resets_at IS NULL AND z.policy = 'rolling' AND a.policy = 'rolling')
  )
)
  SELECT n.policy, n.window_s, n.used, n.held, GREATEST(n.cap + n.drawn, CASE WHEN n.granted + n.drawn > 0
      THEN n.used + n.held ELSE 0 END) + n.granted AS cap,
  (GREATEST(0, n.cap - (n.used + n.held - n.drawn)) + n.granted) AS remaining, n.drawn, n.granted, n.carried, n.window_start,
  n.resets_at, n.overage, n.owed_until,
  CASE WHEN n.policy = 'rolling' THEN n.slots END AS slots, k.t AS now FROM newest n CROSS JOIN clock k ORDER BY n.viewer, n.place;
END $$
"""
# As 0017 and 0019 had them.
TAKE_BEFORE = r"""
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
"""
METER_BEFORE = r"""
CREATE OR REPLACE FUNCTION quota_meter(p_people json, p_lines json, p_at timestamptz, p_after json)
RETURNS TABLE (policy text, window_s bigint, used bigint, held bigint, cap bigint,
  remaining bigint, drawn bigint, granted bigint, carried bigint, window_start timestamptz,
  resets_at timestamptz, slots jsonb, now timestamptz) LANGUAGE plpgsql SET enable_seqscan TO off SET plan_cache_mode TO force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH clock AS (SELECT COALESCE(p_at, now()) AS t), asked AS (
  SELECT v.viewer, v.subject, v.timezone, p.*
  FROM json_to_recordset(CAST(p_people AS json)) AS v(viewer int, subject text, plan text, timezone text)
  JOIN json_to_recordset(CAST(p_lines AS json)) AS p(plan text, place int, role text, name text, unit text, cap bigint, policy text,
    window_s bigint, span text, rung int, cost bigint) ON p.plan = v.plan
), purse AS MATERIALIZED (
  SELECT g.subject, g.bucket, g.ordinal, g.remaining FROM quota_grant g CROSS JOIN clock k
  WHERE g.subject IN (SELECT subject FROM asked) AND g.remaining > 0 AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > k.t)
), newest AS (
  SELECT a.viewer, a.place, a.name, a.cap, a.cost, a.rung, q.id, q.window_start, q.slots,
    COALESCE(q.held, 0) AS held, COALESCE(q.drawn, 0) AS drawn,
    COALESCE(CASE WHEN q.policy = 'rolling' THEN (
        SELECT CAST(COALESCE(sum(CAST(s.value AS bigint)), 0) AS bigint)
        FROM jsonb_each_text(q.slots) s
        WHERE CAST(s.key AS bigint) + (a.window_s + 59) / 60
          > extract(epoch FROM k.t) - a.window_s
      ) ELSE q.used + q.carried END, CASE WHEN z.unit = a.unit AND a.policy <> 'rolling'
      THEN LEAST(a.cap, z.overage) ELSE 0 END) AS used, COALESCE(q.carried, CASE WHEN z.unit = a.unit AND a.policy <> 'rolling'
      THEN LEAST(a.cap, z.overage) ELSE 0 END) AS carried,
    CAST(COALESCE((SELECT sum(p.remaining) FROM purse p WHERE p.subject = a.subject
      AND p.bucket = a.name
      AND (p.ordinal IS NULL OR p.ordinal = COALESCE(q.ordinal, z.ordinal + 1, 1))), 0) AS bigint)
      AS granted,
    CASE WHEN q.window_start IS NULL THEN a.policy ELSE q.policy END AS policy,
    CASE WHEN q.window_start IS NULL THEN a.window_s ELSE q.window_s END AS window_s,
    COALESCE(q.resets_at, CASE WHEN q.window_start IS NULL AND a.policy = 'calendar'
      THEN CASE a.policy
        WHEN 'session'
          THEN date_trunc('second', k.t + make_interval(secs => a.window_s + 0.999999))
        WHEN 'calendar' THEN (date_trunc(a.span, (CASE
            WHEN z.timezone <> a.timezone AND COALESCE(q.after_at, z.resets_at) IS NOT NULL THEN
              GREATEST(k.t, COALESCE(q.after_at, z.resets_at) + make_interval(secs => a.window_s - 0.000001))
            ELSE k.t END) AT TIME ZONE a.timezone)
          + CAST('1 ' || a.span AS interval)) AT TIME ZONE a.timezone
      END END) AS resets_at
  FROM asked a CROSS JOIN clock k LEFT JOIN LATERAL (
    SELECT * FROM quota_bucket b WHERE b.subject = a.subject AND b.name = a.name
    ORDER BY b.ordinal DESC LIMIT 1
  ) z ON true
  LEFT JOIN LATERAL (SELECT z.*) q ON z.unit = a.unit AND (
    z.resets_at > k.t
    OR (z.resets_at IS NULL AND z.window_start IS NULL)
    OR (z.resets_at IS NULL AND z.policy = 'rolling' AND a.policy = 'rolling')
  )
)
  SELECT n.policy, n.window_s, n.used, n.held, GREATEST(n.cap + n.drawn, CASE WHEN n.granted + n.drawn > 0
      THEN n.used + n.held ELSE 0 END) + n.granted AS cap,
  (GREATEST(0, n.cap - (n.used + n.held - n.drawn)) + n.granted) AS remaining, n.drawn, n.granted, n.carried, n.window_start,
  n.resets_at, CASE WHEN n.policy = 'rolling' THEN n.slots END AS slots, k.t AS now FROM newest n CROSS JOIN clock k ORDER BY n.viewer, n.place;
END $$
"""


def _say(*statements: str) -> None:
    for statement in statements:
        # Past SQLAlchemy: percent signs and colons in these bodies are not parameters.
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    _say(DROP_METER, TAKE, METER)


def downgrade() -> None:
    _say(DROP_METER, TAKE_BEFORE, METER_BEFORE)
