"""The short way of a turn: two functions in the database for what nearly every turn is.

`quota_take` and `quota_give` do what `TAKE` and `CLOSE` (in holds.py) do, for a turn whose first
rung has room of its own and that ends within its reserve. They know no grants, rolling windows,
fallbacks or overage. Where one of these comes in they do nothing and answer nothing, and the long
statement decides. A large statement takes a millisecond to be set up; these take a fifth of it.
"""

from typing import Any

from sqlalchemy import Connection, Table, event, text
from sqlmodel import SQLModel

from quotas.holds import QuotaHold
from quotas.windows import closing, used

_CLOCK = "(SELECT COALESCE(p_at, now()) AS t)"

TAKE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION quota_take(
  p_turn_id text, p_subject text, p_plan text, p_role text, p_ladder text[], p_timezone text,
  p_lease_s int, p_at timestamptz, p_names text[], p_rungs int[], p_caps bigint[],
  p_costs bigint[], p_units text[], p_policies text[], p_windows bigint[], p_spans text[],
  p_first int[]
) RETURNS TABLE (
  name text, cap bigint, cost bigint, policy text, window_s bigint, used bigint, held bigint,
  drawn bigint, granted bigint, carried bigint, remaining bigint, resets_at timestamptz,
  window_start timestamptz, slots jsonb, now timestamptz, rung int, room boolean,
  missing boolean, chosen int, held_now boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  t timestamptz := COALESCE(p_at, now());
  b quota_bucket;
  i int;
  ids bigint[] := '{{}}';
  amounts bigint[] := '{{}}';
BEGIN
  IF EXISTS (SELECT 1 FROM quota_grant g
      WHERE g.subject = p_subject AND g.remaining > 0 AND g.revoked_at IS NULL) THEN
    RETURN;
  END IF;
  FOREACH i IN ARRAY p_first LOOP
    SELECT * INTO b FROM quota_bucket q WHERE q.subject = p_subject AND q.name = p_names[i]
      ORDER BY q.ordinal DESC LIMIT 1 FOR UPDATE;
    IF NOT FOUND OR b.unit <> p_units[i] OR b.policy = 'rolling' OR b.resets_at IS NULL
        OR b.resets_at <= t
        OR GREATEST(0, p_caps[i] - (b.used + b.carried + b.held - b.drawn)) < p_costs[i] THEN
      RETURN;
    END IF;
    ids := ids || b.id;
    amounts := amounts || p_costs[i];
  END LOOP;
  INSERT INTO quota_hold (turn_id, subject, plan, requested_role, served_role, binding, state,
    bucket_ids, amounts, lease_until, created_at)
  VALUES (p_turn_id, p_subject, p_plan, p_role, p_ladder[1], NULL, 'reserved', ids, amounts,
    t + make_interval(secs => p_lease_s), t)
  ON CONFLICT (turn_id) DO NOTHING;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  FOR i IN 1 .. cardinality(p_names) LOOP
    IF p_rungs[i] = 1 THEN
      UPDATE quota_bucket q SET held = q.held + p_costs[i], cap = p_caps[i]
        WHERE q.id = ANY (ids) AND q.name = p_names[i] RETURNING q.* INTO b;
    ELSE
      SELECT * INTO b FROM quota_bucket q WHERE q.subject = p_subject AND q.name = p_names[i]
        ORDER BY q.ordinal DESC LIMIT 1;
    END IF;
    name := p_names[i]; cost := p_costs[i]; rung := p_rungs[i]; granted := 0; now := t;
    missing := false; chosen := 1; held_now := true; room := CASE WHEN rung = 1 THEN true END;
    policy := p_policies[i]; window_s := p_windows[i]; window_start := NULL; resets_at := NULL;
    used := 0; held := 0; drawn := 0; carried := 0; slots := '{{}}';
    IF b.unit = p_units[i] AND b.resets_at <= t AND p_policies[i] <> 'rolling' THEN
      carried := LEAST(p_caps[i], b.overage); used := carried; b := NULL;
    ELSIF b.unit = p_units[i] AND (b.resets_at > t OR b.window_start IS NULL
        OR (b.policy = 'rolling' AND p_policies[i] = 'rolling')) THEN
      held := b.held; drawn := b.drawn; carried := b.carried; slots := b.slots;
      resets_at := b.resets_at; window_start := b.window_start;
      IF b.policy = 'rolling' THEN
        SELECT {used("b", "p_windows[i]")} INTO used FROM {_CLOCK} k;
      ELSE
        used := b.used + b.carried;
      END IF;
      IF window_start IS NOT NULL THEN
        policy := b.policy; window_s := b.window_s;
      END IF;
    END IF;
    IF window_start IS NULL AND p_policies[i] = 'calendar' THEN
      SELECT {closing("a", "b", "p_timezone")} INTO resets_at
        FROM (SELECT p_policies[i] AS policy, p_windows[i] AS window_s, p_spans[i] AS span) a,
        {_CLOCK} k;
    END IF;
    cap := GREATEST(p_caps[i] + drawn, CASE WHEN drawn > 0 THEN used + held ELSE 0 END);
    remaining := GREATEST(0, p_caps[i] - (used + held - drawn));
    RETURN NEXT;
  END LOOP;
END $$
"""  # noqa: S608 - built from constants; every value is a parameter

GIVE_FUNCTION = """
CREATE OR REPLACE FUNCTION quota_give(
  p_turn_id text, p_state text, p_counted boolean, p_spent jsonb, p_at timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  h quota_hold;
  counted bigint[];
  simple boolean;
BEGIN
  SELECT * INTO h FROM quota_hold WHERE turn_id = p_turn_id FOR UPDATE;
  IF NOT FOUND OR h.state NOT IN ('reserved', 'in_flight') THEN
    RETURN false;
  END IF;
  SELECT array_agg(s.spent ORDER BY s.place),
      bool_and(s.policy <> 'rolling' AND s.spent <= s.amount)
    INTO counted, simple
    FROM (
      SELECT u.place, u.amount, b.policy, CASE WHEN p_counted
        THEN COALESCE((p_spent ->> b.unit)::bigint, u.amount) ELSE 0 END AS spent
      FROM unnest(h.bucket_ids, h.amounts) WITH ORDINALITY AS u(id, amount, place)
      JOIN quota_bucket b ON b.id = u.id
    ) s;
  IF NOT simple OR cardinality(h.burnt_ids) > 0 THEN
    RETURN NULL;
  END IF;
  UPDATE quota_hold SET state = p_state, closed_at = COALESCE(p_at, now()), spent = counted
    WHERE turn_id = p_turn_id;
  FOR i IN 1 .. cardinality(h.bucket_ids) LOOP
    UPDATE quota_bucket SET held = held - h.amounts[i], used = used + counted[i]
      WHERE id = h.bucket_ids[i];
  END LOOP;
  RETURN true;
END $$
"""
FUNCTION_DDL = (TAKE_FUNCTION, GIVE_FUNCTION)


@event.listens_for(SQLModel.metadata.tables[str(QuotaHold.__tablename__)], "after_create")
def _add_ddl(_table: Table, connection: Connection, **_: Any) -> None:
    for statement in FUNCTION_DDL:
        connection.exec_driver_sql(statement)


QUICK_TAKE = text("""
SELECT * FROM quota_take(
  :turn_id, :subject, :plan, :role, CAST(:ladder AS text[]), :timezone,
  CAST(:lease_s AS int), CAST(:at AS timestamptz), CAST(:names AS text[]), CAST(:rungs AS int[]),
  CAST(:caps AS bigint[]), CAST(:costs AS bigint[]), CAST(:units AS text[]),
  CAST(:policies AS text[]), CAST(:windows AS bigint[]), CAST(:spans AS text[]),
  CAST(:first AS int[])
)
""")
QUICK_GIVE = text("""
SELECT quota_give(:turn_id, :state, CAST(:counted AS boolean), CAST(:spent AS jsonb),
  CAST(:at AS timestamptz)) AS ended
""")
