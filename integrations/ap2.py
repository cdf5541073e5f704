"""A person's consent in the words of the Agent Payments Protocol 0.2: mandates and a receipt.

Human present, so both mandates are closed ones. No merchant of ours signs its checkout, so the
checkout token is signed by us: it says what the merchant offered and the person saw. Its hash binds
the payment to it. Pure functions: the same consent reads the same at any time.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.jws import coded, whole
from integrations.money import Money
from integrations.signatures import SigningKey

CHECKOUT_VCT = "mandate.checkout.1"
PAYMENT_VCT = "mandate.payment.1"


@dataclass(frozen=True, slots=True)
class Consent:
    """What was agreed, to whom, when, until when.

    `lines` as they were shown, `extras` what makes the total of them, signed (delivery, discounts).
    `confirmation_hash` is the SHA-256 of all that was shown, `page` where it was.
    """

    checkout_id: str
    merchant_id: str
    merchant_name: str
    lines: Sequence[Mapping[str, Any]]
    extras: Sequence[Mapping[str, Any]]
    total: Money
    confirmation_hash: str
    page: str
    agreed_at: datetime
    expires_at: datetime
    instrument: Mapping[str, str]
    risk_data: Mapping[str, str]


def mandates(consent: Consent, key: SigningKey) -> dict[str, Any]:
    """`{checkout_mandate, payment_mandate}`, the second bound to the first by its hash."""
    token = whole(key, _bytes(_checkout(consent)))
    digest = coded(hashlib.sha256(token.encode()).digest())
    times = {
        "iat": int(consent.agreed_at.timestamp()),
        "exp": int(consent.expires_at.timestamp()),
    }
    return {
        "checkout_mandate": {
            "vct": CHECKOUT_VCT,
            "checkout_jwt": token,
            "checkout_hash": digest,
            **times,
        },
        "payment_mandate": {
            "vct": PAYMENT_VCT,
            "transaction_id": digest,
            "payee": _payee(consent),
            "payment_amount": {"amount": consent.total.amount, "currency": consent.total.currency},
            "payment_instrument": dict(consent.instrument),
            "risk_data": dict(consent.risk_data),
            **times,
        },
    }


def receipt(
    checkout_mandate: Mapping[str, Any],
    *,
    issuer: str,
    at: datetime,
    order_id: str | None,
    failure: tuple[str, str] | None,
) -> dict[str, Any]:
    """How a checkout that was agreed to ended: with an order, or with a code and a sentence."""
    reference = coded(hashlib.sha256(_bytes(checkout_mandate)).digest())
    made = {"iss": issuer, "iat": int(at.timestamp()), "reference": reference}
    if order_id is not None:
        return {"status": "Success", **made, "order_id": order_id}
    code, detail = failure or ("canceled", "It was given up")
    return {"status": "Error", **made, "error": code, "error_description": detail or code}


def _checkout(consent: Consent) -> dict[str, Any]:
    currency = consent.total.currency
    subtotal = sum(line["amount"] for line in consent.lines)
    extras = [
        {"type": t["type"], "display_text": t["label"], "amount": t["amount"]}
        for t in consent.extras
    ]
    return {
        "id": consent.checkout_id,
        "merchant": _payee(consent),
        "line_items": [_line(line) for line in consent.lines],
        "status": "ready_for_complete",
        "currency": currency,
        "totals": [
            {"type": "subtotal", "amount": subtotal},
            *extras,
            {"type": "total", "amount": consent.total.amount},
        ],
        "links": [{"type": "checkout", "url": consent.page}],
        "expires_at": consent.expires_at.isoformat().replace("+00:00", "Z"),
        "dev.emptor.confirmation_hash": consent.confirmation_hash,
    }


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": line["offer_id"],
        "item": {
            "id": line["offer_id"],
            "title": line["title"],
            "price": line["unit_amount"],
        },
        "quantity": line["quantity"],
        "totals": [{"type": "subtotal", "amount": line["amount"]}],
    }


def _payee(consent: Consent) -> dict[str, str]:
    return {"id": consent.merchant_id, "name": consent.merchant_name}


def _bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
