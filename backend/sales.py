"""The SQL of the funnel, from turns to orders, and of what each partner sold.

An order's row is what it is now. As of a moment it is what its events had made of it by then, and
what had come back of our fee is in the books.
"""

_BY_THEN = "(CAST(:as_of AS timestamptz) IS NULL OR {moment} <= :as_of)"
_STATE = """CASE WHEN CAST(:as_of AS timestamptz) IS NULL THEN o.state
    WHEN EXISTS (SELECT 1 FROM order_dispute d WHERE d.order_id = o.id AND d.opened_at <= :as_of
      AND NOT (d.state = 'won' AND d.closed_at <= :as_of)) THEN 'disputed'
    ELSE COALESCE((SELECT e.type FROM order_event e WHERE e.order_id = o.id AND e.at <= :as_of
      AND e.type IN ('fulfilled', 'partially_refunded', 'refunded', 'canceled')
      ORDER BY e.id DESC LIMIT 1), 'placed') END"""

# A turn is told when it has closed. A change of a booking ends with its order, which is older.
FUNNEL = f"""
WITH said AS (
  SELECT t.kind, t.cards FROM turn t
  WHERE t.created_at >= :since AND t.created_at < :until AND NOT t.housekeeping
    AND {_BY_THEN.format(moment="t.closed_at")}
), made AS (
  SELECT c.asked_at IS NOT NULL AND {_BY_THEN.format(moment="c.asked_at")} AS asked,
    c.confirmed_at IS NOT NULL AND {_BY_THEN.format(moment="c.confirmed_at")} AS confirmed,
    o.id IS NOT NULL AND {_BY_THEN.format(moment="COALESCE(n.at, o.placed_at)")} AS ordered,
    {_STATE} AS state
  FROM checkout c LEFT JOIN purchase_order o ON o.id = c.order_id
  LEFT JOIN order_event n ON n.order_id = o.id AND n.type = 'changed' AND n.ref = c.id
  WHERE c.created_at >= :since AND c.created_at < :until
    AND {_BY_THEN.format(moment="c.created_at")}
)
SELECT place, stage AS "{{name}}", count FROM (
  SELECT 1 AS place, 'commercial turns' AS stage, count(*) AS count FROM said
    WHERE kind = 'commercial'
  UNION ALL SELECT 2, 'offers shown', count(*) FROM said WHERE cards <> '[]'
  UNION ALL SELECT 3, 'checkouts', count(*) FROM made
  UNION ALL SELECT 4, 'confirmation asked', count(*) FROM made WHERE asked
  UNION ALL SELECT 5, 'confirmed', count(*) FROM made WHERE confirmed
  UNION ALL SELECT 6, 'ordered', count(*) FROM made WHERE ordered
  UNION ALL SELECT 7, 'fulfilled', count(*) FROM made WHERE ordered AND state = 'fulfilled'
  UNION ALL SELECT 8, 'refunded or canceled', count(*) FROM made
    WHERE ordered AND state IN ('partially_refunded', 'refunded', 'canceled')
) stages ORDER BY place
"""  # noqa: S608 - built from constants; every value is bound

PARTNERS = f"""
WITH returned AS (
  SELECT e.order_id, sum(CAST(e.detail ->> 'refund' AS bigint)) AS amount FROM order_event e
  WHERE e.at <= :as_of AND e.type IN ('partially_refunded', 'refunded', 'canceled')
  GROUP BY e.order_id
), given_back AS (
  SELECT COALESCE(r.order_id, split_part(t.ref, ':', 1)) AS order_id, sum(e.amount) AS fee
  FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
    AND split_part(e.account, ':', 1) = 'fee_refunded'
  LEFT JOIN order_refund r ON r.id = t.ref
  WHERE t.created_at <= :as_of AND t.kind IN ('refunded', 'dispute_lost') GROUP BY 1
), sold AS (
  SELECT o.*, {_STATE} AS stood,
    CASE WHEN CAST(:as_of AS timestamptz) IS NULL THEN o.refunded ELSE COALESCE(n.amount, 0) END
      AS back,
    CASE WHEN CAST(:as_of AS timestamptz) IS NULL THEN o.fee_refunded ELSE COALESCE(g.fee, 0) END
      AS fee_back
  FROM purchase_order o LEFT JOIN returned n ON n.order_id = o.id
  LEFT JOIN given_back g ON g.order_id = o.id
  WHERE o.placed_at >= :since AND o.placed_at < :until
    AND {_BY_THEN.format(moment="o.placed_at")}
)
SELECT o.merchant_id AS "{{name}}", max(o.merchant_name) AS name, o.settlement, o.currency,
  count(*) AS orders, sum(o.total) AS gross, sum(o.back) AS refunded, sum(o.fee) AS fee,
  sum(o.fee_back) AS fee_refunded,
  count(*) FILTER (WHERE o.stood = 'fulfilled') AS fulfilled,
  count(*) FILTER (WHERE o.stood IN ('canceled', 'refunded')) AS undone
FROM sold o GROUP BY 1, o.settlement, o.currency ORDER BY 1, 3, 4
"""  # noqa: S608 - built from constants; every value is bound
