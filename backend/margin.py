"""The margin report's SQL: what people paid, less the processor, less what their answers cost.

Costs are µUSD; money is minor units of its own currency and never added across currencies. The
row of USD carries the costs, so its margin is the only one; other currencies stand beside it.
"""

from collections.abc import Mapping

SQL = """
WITH spent AS (
  SELECT {turns} AS grp, t.user_id, count(*) AS turns,
    COALESCE(sum(t.cost_usd_micros), 0) AS cost,
    count(*) FILTER (WHERE t.cost_usd_micros IS NULL AND t.state <> 'open') AS unknown
  FROM turn t WHERE t.created_at >= :since AND t.created_at < :until
    AND (CAST(:as_of AS timestamptz) IS NULL OR t.closed_at <= :as_of)
  GROUP BY 1, 2
), costs AS (
  SELECT grp, 'USD' AS currency, count(*) AS people, sum(turns) AS turns, sum(cost) AS cost,
    sum(unknown) AS unknown,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY cost) AS p50,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY cost) AS p95,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY cost) AS p99
  FROM spent GROUP BY grp
), booked AS (
  SELECT t.id, t.effective_at, t.ref, e.currency, e.amount,
    split_part(e.account, ':', 1) AS root
  FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
  WHERE t.effective_at >= :since AND t.effective_at < :until
    AND (CAST(:as_of AS timestamptz) IS NULL OR t.created_at <= :as_of)
    AND split_part(e.account, ':', 1) IN
      ('subscription', 'processor_fee', 'dispute_fee', 'dispute_loss', 'fee_accrued',
       'fee_refunded')
), income AS (
  SELECT {money} AS grp, b.currency,
    -COALESCE(sum(b.amount) FILTER (WHERE b.root = 'subscription'), 0) AS subscription,
    -COALESCE(sum(b.amount) FILTER (WHERE b.root = 'fee_accrued' AND b.amount < 0), 0)
      - COALESCE(sum(b.amount) FILTER (WHERE b.root = 'fee_refunded'), 0) AS commission,
    COALESCE(sum(b.amount) FILTER (WHERE b.root = 'processor_fee'), 0) AS processor_fee,
    COALESCE(sum(b.amount) FILTER (WHERE b.root IN ('dispute_fee', 'dispute_loss')), 0)
      AS dispute_fee
  FROM booked b
  LEFT JOIN billing_payment p ON p.id = split_part(b.ref, ':', 1)
  LEFT JOIN order_refund r ON r.id = b.ref
  LEFT JOIN purchase_order o ON o.id = COALESCE(r.order_id, split_part(b.ref, ':', 1))
  LEFT JOIN checkout c ON c.id = b.ref
  LEFT JOIN user_account u ON u.id = COALESCE(o.user_id, c.user_id)
  GROUP BY 1, 2
)
SELECT COALESCE(c.grp, i.grp) AS "{name}", COALESCE(c.currency, i.currency) AS currency,
  COALESCE(c.people, 0) AS people, COALESCE(c.turns, 0) AS turns,
  COALESCE(i.subscription, 0) AS subscription, COALESCE(i.commission, 0) AS commission,
  COALESCE(i.processor_fee, 0) AS processor_fee, COALESCE(i.dispute_fee, 0) AS dispute_fee,
  COALESCE(i.subscription + i.commission - i.processor_fee - i.dispute_fee, 0) AS net_revenue,
  COALESCE(c.cost, 0) AS cost_usd_micros, COALESCE(c.unknown, 0) AS cost_unknown,
  c.p50 AS person_cost_usd_micros_p50, c.p95 AS person_cost_usd_micros_p95,
  c.p99 AS person_cost_usd_micros_p99,
  CASE WHEN COALESCE(c.currency, i.currency) = 'USD'
    THEN COALESCE(i.subscription + i.commission - i.processor_fee - i.dispute_fee, 0) * 10000
      - COALESCE(c.cost, 0) END AS margin_usd_micros
FROM costs c FULL JOIN income i ON i.grp = c.grp AND i.currency = c.currency
ORDER BY 1, 2
"""


def groups(turns: Mapping[str, str], money: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What may be grouped by: how a turn is placed, and how a booking is.

    A commission counts for the plan that its buyer has now.
    """
    plan = "CASE WHEN p.kind = 'credits' THEN 'credits' ELSE COALESCE(p.item, u.plan, 'none') END"
    kind = "CASE WHEN p.id IS NULL THEN 'commercial' ELSE 'plans' END"
    places = {
        "plan": ("t.plan", plan),
        "kind": ("COALESCE(t.kind, 'none')", kind),
        "total": ("'total'", "'total'"),
    }
    return places | {key: (turns[key], money[key]) for key in turns}
