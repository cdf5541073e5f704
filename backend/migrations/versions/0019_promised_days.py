"""A meter that shows a day in a new time zone with the end that it will open with."""

from alembic import op

revision = "0019_promised_days"
down_revision = "0018_planned_once"
branch_labels = None
depends_on = None

# As quotas/windows.py has it.
METER = r"""
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
# As 0018 had it.
BEFORE = r"""
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
            WHEN q.timezone <> a.timezone AND q.after_at IS NOT NULL THEN
              GREATEST(k.t, q.after_at + make_interval(secs => a.window_s - 0.000001))
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


def _say(statement: str) -> None:
    # Past SQLAlchemy: percent signs and colons in these bodies are not parameters.
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    _say(METER)


def downgrade() -> None:
    _say(BEFORE)
