"""Turns that arrive together: two functions that decide for a whole batch in one statement."""

from alembic import op

revision = "0010_batches"
down_revision = "0009_deliveries"
branch_labels = None
depends_on = None

# As quotas/together.py has them.
FUNCTIONS = (
    r"""
CREATE OR REPLACE FUNCTION quota_take_all(
  p_turns text[], p_subjects text[], p_plans text[], p_roles text[], p_served text[],
  p_lines int[], p_names text[], p_caps bigint[], p_costs bigint[], p_units text[],
  p_lease_s int, p_at timestamptz
) RETURNS SETOF text LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := COALESCE(p_at, now());
BEGIN
  RETURN QUERY
  WITH ask AS MATERIALIZED (
    SELECT * FROM unnest(p_turns, p_subjects, p_plans, p_roles, p_served)
      WITH ORDINALITY AS a(turn_id, subject, plan, role, served, n)
  ),
  line AS MATERIALIZED (
    SELECT l.n, p_subjects[l.n] AS subject, p_served[l.n] AS served, l.name, l.cap, l.cost, l.unit
    FROM unnest(p_lines, p_names, p_caps, p_costs, p_units) AS l(n, name, cap, cost, unit)
  ),
  newest AS MATERIALIZED (
    SELECT w.subject, w.name, b.id, b.unit, b.policy, b.resets_at,
      b.used + b.carried + b.held - b.drawn AS taken
    FROM (SELECT DISTINCT subject, served, name FROM line) w
    CROSS JOIN LATERAL (
      SELECT q.id FROM quota_bucket q WHERE q.subject = w.subject AND q.name = w.name
      ORDER BY q.ordinal DESC LIMIT 1
    ) z JOIN quota_bucket b ON b.id = z.id
    ORDER BY w.subject, array_position(ARRAY['reasoning', 'reasoning_mini', 'agent', 'light', 'light_mini'], w.served), w.name FOR UPDATE OF b
  ),
  judged AS (
    SELECT l.n, l.name, l.cap, l.cost, b.id, COALESCE(b.unit = l.unit AND b.policy <> 'rolling'
      AND b.resets_at > t AND GREATEST(0, l.cap - b.taken)
        >= sum(l.cost) OVER (PARTITION BY l.subject, l.name ORDER BY l.n), false) AS fits
    FROM line l LEFT JOIN newest b ON b.subject = l.subject AND b.name = l.name
  ),
  hold AS (
    INSERT INTO quota_hold (turn_id, subject, plan, requested_role, served_role, binding, state,
      bucket_ids, amounts, lease_until, created_at)
    SELECT a.turn_id, a.subject, a.plan, a.role, a.served, NULL, 'reserved', j.ids, j.amounts,
      t + make_interval(secs => p_lease_s), t
    FROM ask a JOIN (
      SELECT n, array_agg(id ORDER BY name) AS ids, array_agg(cost ORDER BY name) AS amounts
      FROM judged GROUP BY n HAVING bool_and(fits)
    ) j ON j.n = a.n
    WHERE NOT EXISTS (SELECT 1 FROM quota_grant g
      WHERE g.subject = a.subject AND g.remaining > 0 AND g.revoked_at IS NULL)
    ORDER BY a.turn_id
    ON CONFLICT (turn_id) DO NOTHING
    RETURNING turn_id
  ),
  taken AS (
    UPDATE quota_bucket b SET held = b.held + s.cost, cap = s.cap
    FROM (
      SELECT j.id, sum(j.cost) AS cost, max(j.cap) AS cap
      FROM hold h JOIN ask a ON a.turn_id = h.turn_id JOIN judged j ON j.n = a.n GROUP BY j.id
    ) s WHERE b.id = s.id
  )
  SELECT turn_id FROM hold;
END $$
""",
    r"""
CREATE OR REPLACE FUNCTION quota_give_all(
  p_turns text[], p_states text[], p_counted boolean[], p_spent jsonb[], p_at timestamptz
) RETURNS TABLE (turn_id text, ended boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH ask AS MATERIALIZED (
    SELECT * FROM unnest(p_turns, p_states, p_counted, p_spent) AS a(turn_id, state, counted, spent)
  ),
  held AS MATERIALIZED (
    SELECT h.turn_id, h.served_role, h.bucket_ids, h.amounts, h.burnt_ids,
      a.state, a.counted, a.spent
    FROM ask a JOIN quota_hold h ON h.turn_id = a.turn_id WHERE h.state IN ('reserved', 'in_flight')
    ORDER BY h.turn_id FOR UPDATE OF h
  ),
  line AS MATERIALIZED (
    SELECT h.turn_id, h.state, u.place, u.id, u.amount,
      h.served_role, b.subject, b.name, b.ordinal, b.policy,
      CASE WHEN h.counted THEN COALESCE((h.spent ->> b.unit)::bigint, u.amount) ELSE 0 END AS spent
    FROM held h CROSS JOIN unnest(h.bucket_ids, h.amounts) WITH ORDINALITY AS u(id, amount, place)
    JOIN quota_bucket b ON b.id = u.id WHERE cardinality(h.burnt_ids) = 0
  ),
  simple AS MATERIALIZED (
    SELECT turn_id, state, array_agg(spent ORDER BY place) AS spent FROM line
    GROUP BY turn_id, state HAVING bool_and(policy <> 'rolling' AND spent <= amount)
  ),
  locked AS MATERIALIZED (
    SELECT b.id FROM (
      SELECT DISTINCT id, subject, served_role, name, ordinal FROM line JOIN simple USING (turn_id)
    ) w JOIN quota_bucket b ON b.id = w.id
    ORDER BY w.subject, array_position(ARRAY['reasoning', 'reasoning_mini', 'agent', 'light', 'light_mini'], w.served_role), w.name, w.ordinal FOR UPDATE OF b
  ),
  closed AS (
    UPDATE quota_hold h SET state = s.state, closed_at = COALESCE(p_at, now()), spent = s.spent
    FROM simple s WHERE h.turn_id = s.turn_id RETURNING h.turn_id
  ),
  moved AS (
    UPDATE quota_bucket b SET held = b.held - s.amount, used = b.used + s.spent
    FROM locked k JOIN (
      SELECT l.id, sum(l.amount) AS amount, sum(l.spent) AS spent
      FROM line l JOIN closed c ON c.turn_id = l.turn_id GROUP BY l.id
    ) s ON s.id = k.id WHERE b.id = k.id
  )
  SELECT a.turn_id, CASE WHEN c.turn_id IS NOT NULL THEN true
    WHEN h.turn_id IS NULL THEN false END
  FROM ask a LEFT JOIN closed c ON c.turn_id = a.turn_id LEFT JOIN held h ON h.turn_id = a.turn_id;
END $$
""",
)


def upgrade() -> None:
    for statement in FUNCTIONS:
        op.get_bind().exec_driver_sql(statement)
