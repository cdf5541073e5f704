"""Delegated payment by Stripe's shared payment tokens, which the SDK of this line has no words for.

A merchant of record that charges by itself is given no card and no saved method: it gets a token
that allows one charge of at most the agreed amount, by this merchant, until it ends. Source:
Stripe's documentation of agentic commerce, "Shared payment tokens", preview 2026-04-22.
"""

from datetime import UTC, datetime

from integrations.money import Money
from integrations.payments import Method, PaymentUnknown
from integrations.stripe_payments import StripePayments, minor, translated

VERSION = "2026-04-22.preview"
_PATH = "/v1/shared_payment/issued_tokens"


async def delegate(
    payments: StripePayments,
    *,
    purchase_id: str,
    amount: Money,
    method: Method,
    seller: str,
    expires_at: datetime,
    key: str,
) -> str:
    """The token's id. Raises `PaymentRefused`, and `PaymentUnknown` for an answer without one."""
    params = {
        "payment_method": method.token,
        "usage_limits": {
            "currency": amount.currency.lower(),
            "max_amount": minor(amount),
            "expires_at": int(expires_at.astimezone(UTC).timestamp()),
        },
        "seller_details": {"external_id": seller},
        "shared_metadata": {"purchase_id": purchase_id},
        "idempotency_key": key,
        "stripe_version": VERSION,
    }
    if method.customer is not None:
        params["customer"] = method.customer
    async with translated():
        answer = await payments.client.raw_request_async("post", _PATH, **params)
    token = answer.data.get("id") if isinstance(answer.data, dict) else None
    if not isinstance(token, str) or not token.startswith("spt_"):
        raise PaymentUnknown("the processor named no token", code="unreadable")
    return token
