"""What a person agrees to: a frozen snapshot, its hash, and whether the merchant stands by it.

The page renders the snapshot, the hash covers the same bytes (RFC 8785 canonical JSON, SHA-256),
and consent names the hash. Names and addresses are in it only as salted digests: the snapshot is
kept as evidence for years, personal data is not.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import rfc8785

from backend.checkout import Checkout, changed, instant
from backend.errors import MerchantFailed
from backend.products import named
from integrations.money import Money
from integrations.partner import Delivery, Note, Quote, QuotedLine

# What the buyer gets off is written with either sign by merchants; we count it down.
_REDUCTIONS = frozenset({"discount", "items_discount", "store_credit", "already_paid"})
_ADDITIONS = frozenset({"fulfillment", "tax", "fee", "gift_wrap", "tip", "refund_due"})


def quoted(quote: Quote, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The merchant's answer as it is stored: JSON, integers in minor units, our offer ids.

    Raises `MerchantFailed` when it answers in another currency within one quote or about goods
    that were not asked for: such a quote cannot be shown honestly.
    """
    offers = {line["item_id"]: line["offer_id"] for line in lines}
    options = {line["item_id"]: line.get("options", ()) for line in lines}
    currency = quote.total.currency
    amounts = [quote.total, *(total.amount for total in quote.totals)]
    amounts += [money for line in quote.lines for money in (line.unit, line.amount)]
    if any(money.currency != currency for money in amounts):
        raise MerchantFailed("The merchant mixed currencies in one quote; nothing was charged")
    if any(line.item_id not in offers for line in quote.lines) or quote.total.amount < 0:
        raise MerchantFailed("The merchant's quote is not for what was asked; nothing was charged")
    return {
        "status": quote.status,
        "lines": [
            {
                "offer_id": offers[line.item_id],
                "title": named(line.title, options[line.item_id]),
                "quantity": line.quantity,
                "unit_amount": line.unit.amount,
                "amount": line.amount.amount,
            }
            for line in quote.lines
        ],
        "totals": [
            {"type": t.type, "label": t.label, "amount": t.amount.amount} for t in quote.totals
        ],
        "total": quote.total.amount,
        "currency": currency,
        "deliveries": [_delivery(one, quote.lines) for one in quote.deliveries],
        "cancellation_policy": quote.cancellation_policy,
    }


def _delivery(one: Delivery, lines: Sequence[QuotedLine]) -> dict[str, Any]:
    """An option as it is stored and shown; of goods that travel apart it says which they are."""
    stored = {
        "id": one.id,
        "title": one.title,
        "amount": one.amount.amount,
        "earliest": one.earliest.isoformat() if one.earliest else None,
        "latest": one.latest.isoformat() if one.latest else None,
        "selected": one.selected,
    }
    if not one.group:
        return stored
    goods = [line.title for line in lines if line.item_id in one.items]
    return {**stored, "group": {"id": one.group, "goods": list(dict.fromkeys(goods))}}


def snapshot(
    row: Checkout, quote: Mapping[str, Any], *, revision: int, expires_at: datetime, nonce: str
) -> dict[str, Any]:
    """All that consent covers: what, how many, how much, from whom, until when, on which terms."""
    chosen = [d for d in quote["deliveries"] if d["selected"]]
    change = changed(row)
    return {
        **({"changes": change} if change else {}),
        "version": 1,
        "checkout_id": row.id,
        "revision": revision,
        "kind": row.kind,
        "merchant": {"id": row.merchant_id, "name": row.merchant_name},
        "merchant_of_record": row.merchant_of_record,
        "settlement": row.settlement,
        "lines": quote["lines"],
        "totals": quote["totals"],
        "total": quote["total"],
        "currency": quote["currency"],
        "booking": row.booking,
        "delivery": chosen,
        "deliver_to": _digest_of(row.address, nonce),
        "buyer": _digest_of(row.buyer, nonce),
        "cancellation_policy": quote["cancellation_policy"],
        "disclosure": row.disclosure,
        "expires_at": instant(expires_at),
        "nonce": nonce,
    }


def nonce() -> str:
    """Makes every snapshot its own and salts the digests in it."""
    return secrets.token_hex(16)


def _digest_of(personal: Mapping[str, Any] | None, nonce: str) -> str | None:
    if personal is None:
        return None
    return hashlib.sha256(nonce.encode() + rfc8785.dumps(dict(personal))).hexdigest()


def digest(confirmation: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the RFC 8785 canonical JSON."""
    return hashlib.sha256(rfc8785.dumps(dict(confirmation))).hexdigest()


def same(one: str | None, other: str) -> bool:
    """Compared in constant time. A checkout without a hash matches nothing."""
    return one is not None and hmac.compare_digest(one.encode(), other.encode())


_DRIFTS = {
    "lines": ("price_changed", "The items, their prices or their quantities have changed."),
    "totals": ("totals_changed", "Tax, delivery or discounts have changed."),
    "total": ("total_changed", "The total has changed."),
    "currency": ("currency_changed", "The currency has changed."),
    "delivery": ("delivery_changed", "The delivery has changed."),
    "cancellation_policy": ("terms_changed", "The cancellation policy has changed."),
}


def drift(row: Checkout, fresh: Mapping[str, Any]) -> list[Note]:
    """What the merchant's answer now differs in from the snapshot shown; empty when it stands."""
    shown = row.confirmation or {}
    chosen = [d for d in fresh["deliveries"] if d["selected"]]
    now = {**fresh, "delivery": chosen}
    return [
        Note("warning", code, text, f"$.{name}")
        for name, (code, text) in _DRIFTS.items()
        if shown.get(name) != now[name]
    ]


def sheet(confirmation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The snapshot as `{title, qty, unit}` lines that add up to the total, however it is made."""
    lines = [_goods(line) for line in confirmation["lines"]]
    return lines + [
        {"title": entry["label"], "qty": 1, "unit": entry["amount"]}
        for entry in extras(confirmation)
    ]


def extras(confirmation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`{type, label, amount}` of all that makes the total of the lines; what takes off is negative.

    Taxes may be part of the prices or come on top, and merchants do not say which: the reading
    under which the sum fits is the right one. What no reading explains stands as one entry.
    """
    goods = sum(line["amount"] for line in confirmation["lines"])
    named = [
        {"type": total["type"], "label": total["label"], "amount": _signed(total)}
        for total in confirmation["totals"]
        if total["type"] in _REDUCTIONS | _ADDITIONS and total["amount"]
    ]
    for included in ((), ("tax",), ("tax", "items_discount"), ("items_discount",)):
        kept = [entry for entry in named if entry["type"] not in included]
        if goods + sum(entry["amount"] for entry in kept) == confirmation["total"]:
            return kept
    rest = confirmation["total"] - goods
    return [{"type": "fee", "label": "Charges and discounts", "amount": rest}] if rest else []


def _goods(line: Mapping[str, Any]) -> dict[str, Any]:
    if line["quantity"] * line["unit_amount"] == line["amount"]:
        return {"title": line["title"], "qty": line["quantity"], "unit": line["unit_amount"]}
    return {"title": f"{line['title']} × {line['quantity']}", "qty": 1, "unit": line["amount"]}


def _signed(total: Mapping[str, Any]) -> int:
    amount: int = total["amount"]
    return -abs(amount) if total["type"] in _REDUCTIONS else amount


def amount_of(confirmation: Mapping[str, Any]) -> Money:
    return Money(confirmation["total"], confirmation["currency"])


def notes(entries: Sequence[Note]) -> list[dict[str, Any]]:
    """A merchant's messages as they are stored and shown."""
    return [
        {"severity": n.severity, "code": n.code, "text": n.text, "path": n.path} for n in entries
    ]
