"""Reconciliation: charges at the processor, orders and the ledger, held against each other.

Whatever does not fit is listed and never mended here: a difference is a person's matter. At night
each one becomes an incident. Purchases still under way are counted apart, they are no difference.
Who pays for plans and packs is compared too (`payers`), and read again when something differs.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend import incidents, payers, subscribers
from backend.abreast import abreast
from backend.database import Database
from backend.differences import Difference
from integrations.billing import Billing
from integrations.money import Money
from integrations.payments import Dispute, PaymentError, Payments

DAYS = 31
NIGHTLY_DAYS = 3
CHARGES_MAX = 2000

# An order has one booking of its capture (or accrual) with its own total and fee, and its refunds
# are booked in full; a booking has an order.
_BOOKS = text("""
WITH fresh AS (
  SELECT id, checkout_id, merchant_id, settlement, total, currency, fee, refunded, fee_refunded
  FROM purchase_order WHERE placed_at >= :since AND placed_at < :until
), booked AS (
  SELECT f.id, t.id AS transaction_id,
    -COALESCE(sum(e.amount) FILTER (
      WHERE split_part(e.account, ':', 1) IN ('payable', 'fee_accrued', 'tax_payable')
        AND e.currency = f.currency), 0) AS gross,
    -COALESCE(sum(e.amount) FILTER (
      WHERE split_part(e.account, ':', 1) = 'fee_accrued' AND e.currency = f.currency), 0) AS fee
  FROM fresh f JOIN ledger_transaction t ON t.kind = 'captured' AND t.ref = f.checkout_id
  JOIN ledger_entry e ON e.transaction_id = t.id GROUP BY f.id, t.id
), returned AS (
  SELECT f.id,
    -COALESCE(sum(e.amount) FILTER (WHERE split_part(e.account, ':', 1) = 'cash'), 0) AS cash,
    COALESCE(sum(e.amount) FILTER (WHERE split_part(e.account, ':', 1) = 'fee_refunded'), 0) AS fee
  FROM fresh f JOIN ledger_transaction t ON t.kind IN ('refunded', 'dispute_lost') AND (
    split_part(t.ref, '\\:', 1) = f.id
    OR t.ref IN (SELECT r.id FROM order_refund r WHERE r.order_id = f.id))
  JOIN ledger_entry e ON e.transaction_id = t.id GROUP BY f.id
), taken AS (
  SELECT f.id, -COALESCE(sum(e.amount) FILTER (WHERE t.kind = 'dispute_lost'), 0) AS amount,
    COALESCE(sum(e.amount), 0) AS held
  FROM fresh f JOIN ledger_transaction t ON split_part(t.ref, '\\:', 1) = f.id
    AND t.kind IN ('dispute_opened', 'dispute_won', 'dispute_lost')
  JOIN ledger_entry e ON e.transaction_id = t.id
    AND split_part(e.account, '\\:', 1) = 'dispute_hold' GROUP BY f.id
), banks AS (
  SELECT order_id, COALESCE(sum(amount) FILTER (WHERE state = 'lost'), 0) AS amount,
    COALESCE(sum(amount) FILTER (WHERE state = 'open'), 0) AS held
  FROM order_dispute GROUP BY order_id
), compared AS (
  SELECT f.*, b.transaction_id, COALESCE(b.gross, 0) AS gross, COALESCE(b.fee, 0) AS booked_fee,
    COALESCE(n.cash, 0) AS cash_back, COALESCE(n.fee, 0) AS fee_back,
    COALESCE(d.amount, 0) AS lost, COALESCE(d.held, 0) AS held,
    COALESCE(k.amount, 0) AS booked_lost, COALESCE(k.held, 0) AS booked_held
  FROM fresh f LEFT JOIN booked b ON b.id = f.id LEFT JOIN returned n ON n.id = f.id
  LEFT JOIN banks d ON d.order_id = f.id LEFT JOIN taken k ON k.id = f.id
)
SELECT kind, subject, merchant_id, expected, found, currency FROM (
  SELECT 'order_not_booked' AS kind, id AS subject, merchant_id, total AS expected, 0 AS found,
    currency FROM compared WHERE transaction_id IS NULL
    AND CASE WHEN settlement = 'platform' THEN total ELSE fee END > 0
  UNION ALL SELECT 'gross_differs', id, merchant_id, total, gross, currency FROM compared
    WHERE transaction_id IS NOT NULL AND settlement = 'platform' AND gross <> total
  UNION ALL SELECT 'fee_differs', id, merchant_id, fee, booked_fee, currency FROM compared
    WHERE transaction_id IS NOT NULL AND booked_fee <> fee
  UNION ALL SELECT 'refund_differs', id, merchant_id, refunded, cash_back, currency FROM compared
    WHERE settlement = 'platform' AND cash_back <> refunded
  UNION ALL SELECT 'fee_refund_differs', id, merchant_id, fee_refunded, fee_back, currency
    FROM compared WHERE fee_back <> fee_refunded
  UNION ALL SELECT 'dispute_loss_differs', id, merchant_id, lost, booked_lost, currency
    FROM compared WHERE lost <> booked_lost
  UNION ALL SELECT 'dispute_hold_differs', id, merchant_id, held, booked_held, currency
    FROM compared WHERE held <> booked_held
  UNION ALL SELECT 'booking_without_order', t.ref, NULL, 0, sum(e.amount), e.currency
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount > 0
    WHERE t.kind = 'captured' AND t.effective_at >= :since AND t.effective_at < :until
      AND NOT EXISTS (SELECT 1 FROM purchase_order o WHERE o.checkout_id = t.ref)
    GROUP BY t.ref, e.currency
) differences ORDER BY kind, subject
""")
_CHARGED = text("""
SELECT id, merchant_id, payment_id, total, refunded, currency,
  (SELECT COALESCE(sum(amount), 0) FROM order_dispute d
    WHERE d.order_id = purchase_order.id AND d.state = 'lost') AS lost,
  (SELECT COALESCE(sum(amount), 0) FROM order_dispute d
    WHERE d.order_id = purchase_order.id AND d.state IN ('inquiry', 'open')) AS disputed
FROM purchase_order
WHERE payment_id IS NOT NULL AND (placed_at >= :since AND placed_at < :until
  OR payment_id = ANY(CAST(:touched AS text[]))
  OR id IN (SELECT order_id FROM order_dispute WHERE state IN ('inquiry', 'open')))
ORDER BY placed_at >= :since, placed_at DESC, id LIMIT :most
""")
_COUNTS = text("""
SELECT (SELECT count(*) FROM purchase_order WHERE placed_at >= :since AND placed_at < :until)
    AS orders,
  (SELECT count(*) FROM ledger_transaction
    WHERE effective_at >= :since AND effective_at < :until) AS bookings,
  (SELECT count(*) FROM checkout WHERE state IN ('authorising', 'placing', 'outcome_unknown'))
    AS under_way,
  (SELECT count(*) FROM incident WHERE resolved_at IS NULL) AS open_incidents
""")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was held against what. `charges` and `customers` count those that the processor was
    asked about."""

    since: datetime
    until: datetime
    orders: int
    bookings: int
    charges: int
    customers: int
    unanswered: int
    under_way: int
    open_incidents: int
    differences: Sequence[Difference] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        return not self.differences and not self.unanswered

    def document(self) -> dict[str, Any]:
        names = ("orders", "bookings", "charges", "customers", "unanswered")
        checked = {name: getattr(self, name) for name in names}
        return {
            "ok": self.ok,
            "from": _instant(self.since),
            "to": _instant(self.until),
            "checked": checked,
            "under_way": self.under_way,
            "open_incidents": self.open_incidents,
            "differences": [asdict(one) for one in self.differences],
        }


async def reconcile(
    database: Database,
    payments: Payments | None,
    billing: Billing | None = None,
    *,
    days: int = DAYS,
) -> Reconciliation:
    """The last `days` days, up to now. Without `payments` only orders and books are compared,
    without `billing` nobody's plans and packs.

    A bank asks weeks after a sale: orders of any age are compared whose payment the processor says
    was given back or disputed in those days, and those that are disputed still.
    """
    until = datetime.now(UTC)
    period: dict[str, Any] = {"since": until - timedelta(days=days), "until": until}
    touched = await _touched(payments, period["since"])
    async with database.transaction() as session:
        counts = (await session.execute(_COUNTS, period)).mappings().one()
        books = (await session.execute(_BOOKS, period)).mappings().all()
        asked = {**period, "most": CHARGES_MAX if payments else 0, "touched": list(touched or ())}
        charged = (await session.execute(_CHARGED, asked)).mappings().all()
    found = [
        Difference(**{**row, "expected": int(row["expected"]), "found": int(row["found"])})
        for row in books
    ]
    answers: list[list[Difference] | None] = []
    if payments is not None:
        answers = await abreast([_charge(payments, row) for row in charged])
    payer: list[list[Difference] | None] = []
    if billing is not None:
        payer = await payers.compare(database, billing, **period, most=CHARGES_MAX)
    found += [one for answer in (*answers, *payer) for one in answer or ()]
    return Reconciliation(
        **period,
        orders=counts["orders"],
        bookings=counts["bookings"],
        charges=len(answers),
        customers=len(payer),
        unanswered=sum(answer is None for answer in (touched, *answers, *payer)),
        under_way=counts["under_way"],
        open_incidents=counts["open_incidents"],
        differences=tuple(found),
    )


async def _touched(payments: Payments | None, since: datetime) -> frozenset[str] | None:
    """None when the processor gave no answer."""
    try:
        return await payments.touched(since) if payments is not None else frozenset()
    except PaymentError:
        return None


async def _charge(payments: Payments, row: Any) -> list[Difference] | None:
    """How the charge differs from its order; None when the processor gave no answer."""
    try:
        payment = await payments.read(row["payment_id"])
        asked = payment.disputed or row["lost"] or row["disputed"]
        banks = await payments.disputes(row["payment_id"]) if asked else ()
    except PaymentError:
        return None
    of = (row["id"], row["merchant_id"])
    pairs = (
        ("charge_differs", row["total"], payment.captured),
        ("charge_refund_differs", row["refunded"], payment.refunded),
        ("charge_loss_differs", int(row["lost"]), _sum(banks, {"lost"}, row)),
        ("charge_dispute_differs", int(row["disputed"]), _sum(banks, {"inquiry", "open"}, row)),
    )
    return [
        Difference(kind, *of, expected, money.amount, money.currency)
        for kind, expected, money in pairs
        if (money.amount, money.currency) != (expected, row["currency"])
    ]


def _sum(banks: Sequence[Dispute], states: Collection[str], row: Any) -> Money:
    """What is disputed, or was lost, at the processor."""
    found = [one.amount for one in banks if one.state in states]
    return sum(found[1:], found[0]) if found else Money.zero(row["currency"])


async def nightly(
    database: Database, payments: Payments | None, billing: Billing | None = None
) -> Reconciliation:
    """The last days, each difference made an incident that a person looks at."""
    made = await reconcile(database, payments, billing, days=NIGHTLY_DAYS)
    async with database.transaction() as session:
        for one in made.differences:
            await _tell(session, one)
            if one.user_id is not None:
                await subscribers.soon(session, one.user_id)
    return made


async def _tell(session: AsyncSession, one: Difference) -> None:
    detail = f"{one.kind}: expected {one.expected}, found {one.found} {one.currency}"
    await incidents.report(
        session, "books_differ", subject=one.subject, merchant_id=one.merchant_id, detail=detail
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
