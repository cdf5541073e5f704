"""The mandate: one record of what a person agreed to, how, and what became of it.

It is read out of the checkout's own row, whose confirmation was frozen before the consent and whose
evidence was stored with it. A consent is used once: the row can be confirmed in one revision only.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.checkout import ENDED, Checkout, instant, known
from backend.confirmation import amount_of, extras
from backend.errors import Conflict, NotFound
from integrations import ap2
from integrations.signatures import SigningKey


class NotConfirmed(Conflict):
    code = "not_confirmed"
    title = "Nobody has agreed to this checkout, so there is no mandate"


async def fetch(session: AsyncSession, checkout_id: str) -> Checkout:
    """Anybody's checkout, for operators. Raises `NotFound`."""
    query = select(Checkout).where(col(Checkout.id) == known(checkout_id))
    row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        raise NotFound
    return row


def document(row: Checkout, key: SigningKey, *, public_url: str) -> dict[str, Any]:
    """`{mandate, ap2}`: our own record, and the same as AP2 mandates and, at its end, a receipt.

    Raises `NotConfirmed`.
    """
    if row.confirmed_at is None or row.confirmation is None or row.confirmed is None:
        raise NotConfirmed
    consent = _consent(row, row.confirmation, row.confirmed, row.confirmed_at, public_url)
    made = ap2.mandates(consent, key)
    if row.state in ENDED:
        failure = (row.failure_code or row.state, row.failure_detail or "")
        made["checkout_receipt"] = ap2.receipt(
            made["checkout_mandate"],
            issuer=public_url,
            at=row.updated_at,
            order_id=row.order_id,
            failure=failure,
        )
    return {"mandate": _record(row), "ap2": made}


def _consent(
    row: Checkout,
    shown: dict[str, Any],
    evidence: dict[str, Any],
    at: datetime,
    public_url: str,
) -> ap2.Consent:
    return ap2.Consent(
        checkout_id=row.id,
        merchant_id=row.merchant_id,
        merchant_name=row.merchant_name,
        lines=shown["lines"],
        extras=extras(shown),
        total=amount_of(shown),
        confirmation_hash=evidence["hash"],
        page=f"{public_url}/checkout/{row.id}",
        agreed_at=at,
        expires_at=datetime.fromisoformat(shown["expires_at"]),
        instrument=_instrument(row),
        risk_data={k: str(evidence[k]) for k in ("address", "user_agent") if evidence.get(k)},
    )


def _instrument(row: Checkout) -> dict[str, str]:
    """The card that the person named. A free booking has none; an erased person's is forgotten."""
    token = (row.payment_method or {}).get("token")
    if token:
        return {"id": token, "type": "card"}
    return {"id": "erased", "type": "card"} if row.chargeable else {"id": "none", "type": "none"}


def _record(row: Checkout) -> dict[str, Any]:
    evidence = row.confirmed or {}
    return {
        "checkout_id": row.id,
        "revision": evidence.get("revision"),
        "state": _state(row),
        "confirmation": row.confirmation,
        "confirmation_hash": evidence.get("hash"),
        "confirmed_at": instant(row.confirmed_at),
        "address": evidence.get("address"),
        "user_agent": evidence.get("user_agent"),
        "instrument": _instrument(row),
        "order_id": row.order_id,
    }


def _state(row: Checkout) -> str:
    """A consent is in use, used up by an order, or void."""
    if row.state == "completed":
        return "used"
    return "void" if row.state in ENDED else "in_use"
