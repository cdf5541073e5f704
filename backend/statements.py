"""A merchant's monthly statement: every booking that changed what we owe each other, and the sums.

Read from the ledger, which only grows: a month that is over prints the same for ever, and what is
refunded later stands in the month it happened in. Of what a merchant gave back that charges by
itself the books hold our fee alone; how much it was is in the order's events, which only grow too.
`balance` is what we owe the merchant;
below zero, the merchant owes us. Months are those of UTC.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.errors import BadRequest
from backend.formats import as_csv
from backend.reports import Report

_MONTH = re.compile(r"(20\d{2})-(0[1-9]|1[0-2])")
COLUMNS = (
    "at",
    "kind",
    "order_id",
    "merchant_order_id",
    "currency",
    "gross",
    "refunded",
    "fee",
    "fee_refunded",
    "tax",
    "change",
)

# Debits are positive in the books. `change` is what this booking adds to what the merchant is owed.
# What came back and was too little to move the fee has a line without a booking.
_LINES = text("""
WITH booked AS (
  SELECT t.id, t.kind, t.ref, t.effective_at, e.currency,
    split_part(e.account, ':', 1) AS root, e.amount
  FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
  WHERE t.effective_at >= :since AND t.effective_at < :until AND EXISTS (
    SELECT 1 FROM ledger_entry m WHERE m.transaction_id = t.id
      AND m.account IN (:payable, :receivable))
), summed AS (
  SELECT id, kind, ref AS booked_as, split_part(ref, ':', 1) AS ref, effective_at, currency,
    -COALESCE(sum(amount) FILTER (WHERE root IN ('payable', 'receivable')), 0) AS change,
    -COALESCE(sum(amount) FILTER (WHERE root = 'fee_accrued'), 0) AS fee,
    COALESCE(sum(amount) FILTER (WHERE root = 'fee_refunded'), 0) AS fee_refunded,
    -COALESCE(sum(amount) FILTER (WHERE root = 'tax_payable'), 0) AS tax,
    -COALESCE(sum(amount) FILTER (WHERE root IN ('payable', 'fee_accrued', 'tax_payable')), 0)
      AS credited,
    -COALESCE(sum(amount) FILTER (WHERE root = 'cash'), 0) AS paid_back
  FROM booked GROUP BY id, kind, ref, effective_at, currency
), told AS (
  SELECT e.order_id, e.at, CAST(e.detail->>'refund' AS bigint) AS amount, CASE
    WHEN e.detail->>'refunded' IS NULL THEN e.ref
    ELSE concat_ws(':', e.order_id, 'handoff', e.detail->>'refunded') END AS booked_as
  FROM order_event e JOIN purchase_order o ON o.id = e.order_id
  WHERE o.merchant_id = :merchant AND o.settlement <> 'platform' AND o.fee > 0
    AND e.type IN ('partially_refunded', 'refunded', 'canceled') AND e.detail->>'refund' <> '0'
)
SELECT s.effective_at AS at, s.kind, o.id AS order_id, o.merchant_order_id, s.currency,
  CASE WHEN s.kind <> 'captured' THEN 0
    WHEN o.settlement <> 'platform' THEN o.total ELSE s.credited END AS gross,
  CASE WHEN s.kind <> 'refunded' THEN 0
    WHEN o.settlement <> 'platform' THEN COALESCE(b.amount, 0) ELSE s.paid_back END AS refunded,
  s.fee, s.fee_refunded, s.tax, s.change
FROM summed s
LEFT JOIN told b ON b.booked_as = s.booked_as AND s.kind = 'refunded'
LEFT JOIN order_refund r ON r.id = s.ref
LEFT JOIN purchase_order o ON o.id = COALESCE(r.order_id, s.ref) OR o.checkout_id = s.ref
UNION ALL SELECT b.at, 'refunded', o.id, o.merchant_order_id, o.currency, 0, b.amount, 0, 0, 0, 0
FROM told b JOIN purchase_order o ON o.id = b.order_id
WHERE b.at >= :since AND b.at < :until AND NOT EXISTS (
  SELECT 1 FROM ledger_transaction t WHERE t.kind = 'refunded' AND t.ref = b.booked_as)
ORDER BY at, kind, order_id, currency
""")
_OPENING = text("""
SELECT e.currency, -sum(e.amount) AS balance
FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
WHERE e.account IN (:payable, :receivable) AND t.effective_at < :since
GROUP BY e.currency
""")


@dataclass(frozen=True, slots=True)
class Statement:
    """`lines` in the order of the books; `totals` one for each currency. Minor units."""

    merchant_id: str
    month: str
    since: datetime
    until: datetime
    lines: Sequence[dict[str, Any]]
    totals: Sequence[dict[str, Any]]

    def document(self) -> dict[str, Any]:
        return {
            "merchant_id": self.merchant_id,
            "month": self.month,
            "from": _instant(self.since),
            "to": _instant(self.until),
            "lines": list(self.lines),
            "totals": list(self.totals),
        }

    def csv(self) -> str:
        """The lines alone; the sums are the reader's spreadsheet's."""
        rows = tuple(self.lines)
        return as_csv(
            Report("statement", self.since, self.until, "UTC", "line", None, COLUMNS, rows)
        )


async def statement(session: AsyncSession, merchant_id: str, month: str) -> Statement:
    """Raises `BadRequest` for a month that is not written `YYYY-MM`."""
    since, until = _month(month)
    asked = {
        "since": since,
        "until": until,
        "merchant": merchant_id,
        "payable": f"payable:merchant:{merchant_id}",
        "receivable": f"receivable:merchant:{merchant_id}",
    }
    found = (await session.execute(_LINES, asked)).mappings()
    lines = [{**row, "at": _instant(row["at"])} for row in found]
    lines = [{n: _whole(line[n]) for n in COLUMNS} for line in lines]
    before = (await session.execute(_OPENING, asked)).mappings()
    opening = {row["currency"]: int(row["balance"]) for row in before}
    currencies = sorted({line["currency"] for line in lines} | set(opening))
    totals = [_total(currency, lines, opening.get(currency, 0)) for currency in currencies]
    return Statement(merchant_id, month, since, until, lines, totals)


def _total(currency: str, lines: Sequence[dict[str, Any]], opening: int) -> dict[str, Any]:
    own = [line for line in lines if line["currency"] == currency]
    names = ("gross", "refunded", "fee", "fee_refunded", "tax", "change")
    sums = {name: sum(line[name] for line in own) for name in names}
    orders = sum(line["kind"] == "captured" for line in own)
    closing = opening + sums["change"]
    return {
        "currency": currency,
        "orders": orders,
        **sums,
        "opening_balance": opening,
        "closing_balance": closing,
    }


def _whole(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, str) else int(cell)


def _month(month: str) -> tuple[datetime, datetime]:
    found = _MONTH.fullmatch(month)
    if found is None:
        raise BadRequest(f"month: {month!r} is not a month such as 2026-11", param="month")
    year, number = int(found[1]), int(found[2])
    after = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1, tzinfo=UTC), datetime(*after, 1, tzinfo=UTC)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
