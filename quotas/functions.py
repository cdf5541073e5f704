"""The short way of turns: two functions in the database, for what nearly every turn is.

They decide for as many turns as have come together. They do what `TAKE` and `CLOSE` (in holds.py)
do, for a turn whose first rung has room of its own and that ends within its reserve, and open the
windows that it needs. They know no grants, rolling windows, fallbacks or overage: a turn that is
not among those they answer has had nothing taken, given or ended, and goes the long way alone.

Turns that want the same bucket take from it in the order in which they came.
"""

from typing import Any

from sqlalchemy import Connection, Table, event, text
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from quotas.holds import OPEN, QuotaHold
from quotas.windows import (
    BUCKET,
    CLOSING,
    METER_FUNCTION,
    SETTINGS,
    clock,
    making,
    metered,
    opening,
    owed,
)

_NOW = clock("p_at")
# Rung by rung, as holds.py says: the order in which the shipped ladders lead down. Where a plan's
# own ladder leads elsewhere the database may have to break a knot, and those turns go alone.
_RUNGS = "ARRAY['reasoning', 'reasoning_mini', 'agent', 'light', 'light_mini']"
_WANTED = f"""wanted AS MATERIALIZED (
    SELECT a.*, p.name, p.unit, p.cap, p.policy, p.window_s, p.span,
      CAST(a.costs ->> p.name AS bigint) AS cost, count(*) OVER (PARTITION BY a.n) AS buckets
    FROM json_to_recordset(p_asks) AS a(n int, turn_id text, subject text, plan text,
      timezone text, role text, served text, costs json)
    JOIN json_to_recordset(p_lines) AS p({BUCKET})
      ON p.plan || '/' || p.role = a.plan || '/' || a.served
  )"""  # noqa: S608 - built from constants; every value is a parameter

# Turns that are left over may have windows to open: these are made, and all are judged once more
# (who has been granted has a hold, and takes nothing twice). Whoever makes the same window at once
# waits for this transaction and then finds it open.
TAKE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION quota_take(p_asks json, p_lines json, p_lease_s int, p_at timestamptz)
RETURNS SETOF text LANGUAGE plpgsql {SETTINGS} AS $$
#variable_conflict use_column
DECLARE
  granted int;
BEGIN
  FOR round IN 1 .. 2 LOOP
    RETURN QUERY
    WITH {_NOW}, {_WANTED},
    locked AS MATERIALIZED (
      SELECT w.*, b.id, b.window_start, COALESCE(b.unit = w.unit AND (
          b.resets_at > k.t AND b.policy <> 'rolling'
          OR b.window_start IS NULL AND w.policy <> 'rolling'
        ), false) AS usable,
        GREATEST(0, w.cap - (b.used + {owed("b", "w")} + b.held - b.drawn)) AS room
      FROM clock k CROSS JOIN (
        SELECT * FROM wanted ORDER BY subject, array_position({_RUNGS}, served), name, n
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
        carried = {owed("b", "w")},
        policy = CASE WHEN b.window_start IS NULL THEN w.policy ELSE b.policy END,
        window_s = CASE WHEN b.window_start IS NULL THEN w.window_s ELSE b.window_s END,
        timezone = CASE WHEN b.window_start IS NULL THEN w.timezone ELSE b.timezone END,
        resets_at = CASE WHEN b.window_start IS NULL THEN {CLOSING} ELSE b.resets_at END,
        window_start = CASE WHEN b.window_start IS NULL THEN {opening("w")} ELSE b.window_start END
      FROM taking w CROSS JOIN clock k WHERE b.id = w.id
    )
    SELECT turn_id FROM hold;
    GET DIAGNOSTICS granted = ROW_COUNT;
    EXIT WHEN round = 2 OR granted = json_array_length(p_asks);
    WITH {_NOW}, {_WANTED}
    {making("(SELECT DISTINCT ON (subject, name) * FROM wanted)")};
    EXIT WHEN NOT FOUND;
  END LOOP;
END $$
"""  # noqa: S608 - built from constants; every value is a parameter

GIVE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION quota_give(p_endings json, p_at timestamptz)
RETURNS TABLE (turn_id text, ended boolean, subject text, requested_role text, served_role text,
  binding text, names text[], charged bigint[]) LANGUAGE plpgsql {SETTINGS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH ask AS MATERIALIZED (
    SELECT * FROM json_to_recordset(p_endings)
      AS a(turn_id text, state text, counted boolean, spent json)
  ),
  held AS MATERIALIZED (
    SELECT h.*, a.state AS ends, a.counted, a.spent AS used, h.state IN {OPEN} AS open
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
    ORDER BY b.subject, array_position({_RUNGS}, h.served_role), b.name, b.ordinal FOR UPDATE OF b
  ),
  turn AS MATERIALIZED (
    SELECT turn_id, ends, open, array_agg(name ORDER BY place) AS names,
      array_agg(counts ORDER BY place) AS counts,
      bool_and(policy <> 'rolling' AND counts <= amount AND burnt_ids = '{{}}') AS simple
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
"""  # noqa: S608 - built from constants; every value is a parameter
START_FUNCTION = f"""
CREATE OR REPLACE FUNCTION quota_start(p_turns text[], p_lease_s int, p_at timestamptz)
RETURNS SETOF text LANGUAGE plpgsql {SETTINGS} AS $$
BEGIN
  RETURN QUERY
  WITH {_NOW},
  held AS MATERIALIZED (
    SELECT h.turn_id FROM clock k CROSS JOIN (
      SELECT id FROM unnest(p_turns) AS u(id) ORDER BY id
    ) t CROSS JOIN LATERAL (
      SELECT * FROM quota_hold q WHERE q.turn_id = t.id FOR UPDATE
    ) h WHERE h.state = 'reserved' AND h.lease_until > k.t
  )
  UPDATE quota_hold h SET state = 'in_flight',
    lease_until = k.t + make_interval(secs => p_lease_s)
  FROM clock k, held WHERE h.turn_id = held.turn_id
  RETURNING h.turn_id;
END $$
"""  # noqa: S608 - built from constants; every value is a parameter
FUNCTION_DDL = (TAKE_FUNCTION, START_FUNCTION, GIVE_FUNCTION, METER_FUNCTION)


@event.listens_for(SQLModel.metadata.tables[str(QuotaHold.__tablename__)], "after_create")
def _add_ddl(_table: Table, connection: Connection, **_: Any) -> None:
    for statement in FUNCTION_DDL:
        connection.exec_driver_sql(statement)


def _driven(statement: str) -> str:
    """As the driver takes it."""
    dialect = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
    return str(text(statement).compile(dialect=dialect))


# Each decides, and then shows how the buckets stand: one answer of the database.
TAKE_ALL = _driven(
    metered("""
  SELECT json_agg(turn_id) FROM quota_take(CAST(:asks AS json), CAST(:lines AS json),
    CAST(:lease_s AS int), CAST(:at AS timestamptz)) AS turn_id
""")
)
GIVE_ALL = _driven(
    metered("""
  SELECT json_agg(g) FROM quota_give(CAST(:endings AS json), CAST(:at AS timestamptz)) AS g
""")
)
START_ALL = _driven("""
SELECT turn_id FROM quota_start(CAST(:turns AS text[]), CAST(:lease_s AS int),
  CAST(:at AS timestamptz)) AS turn_id
""")
