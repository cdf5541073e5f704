"""Tidying after a checkout that ended without an order: free the seat, let go of a stray hold.

It is a courtesy to the merchant (its own clock would free the seat too) and a second net for the
person's money: an authorisation whose answer was lost and found too late is voided here.
"""

from datetime import timedelta

from sqlalchemy import func, select, update
from sqlmodel import col

from backend.checkout import Checkout, move
from backend.database import RETURNED
from backend.till import Till
from integrations.partner import PartnerError, PartnerRefused
from integrations.payments import PaymentError, PaymentRefused

_RETRY = timedelta(seconds=30)
_TRIES_MAX = 5


async def release(till: Till, checkout_id: str) -> None:
    """Free what is held for an ended checkout. Gives up on a silent merchant after a while."""
    query = (
        update(Checkout)
        .where(
            col(Checkout.id) == checkout_id,
            col(Checkout.state).in_(("failed", "canceled", "expired")),
            col(Checkout.release_at) <= func.now(),
        )
        .values(release_at=func.now() + _RETRY, attempts=Checkout.attempts + 1)
        .returning(Checkout)
        .execution_options(**RETURNED)
    )
    async with till.database.transaction() as session:
        row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        return
    money = await _money(till, row)
    seat = await _seat(till, row)
    if money and (seat or row.attempts >= _TRIES_MAX):
        async with till.database.transaction() as session:
            await move(session, row, release_at=None)


async def _money(till: Till, row: Checkout) -> bool:
    """Whether nothing of the person's money is held any more."""
    if row.confirmed_at is None or not row.chargeable:
        return True
    try:
        payment = await till.payments.find(row.id)
        if payment is not None and payment.status in {"authorised", "requires_action"}:
            await till.payments.void(payment.id, key=f"purchase:{row.id}:void:{payment.id}")
    except PaymentRefused:
        return True
    except PaymentError:
        return False
    return True


async def _seat(till: Till, row: Checkout) -> bool:
    """Whether the merchant holds nothing for us any more. What is not ours to end is left alone:
    a session that the person goes on with at the merchant's page, or that became another's order.
    """
    if row.reference is None or row.merchant_order_id is not None:
        return True
    if row.handoff_url is not None or row.failure_code in {"session_taken", "order_reused"}:
        return True
    try:
        partner = await till.partner_for(row.merchant_id)
        await partner.cancel(row.reference, key=f"purchase:{row.id}:cancel")
    except PartnerRefused:
        return True
    except PartnerError:
        return False
    return True


async def due(till: Till, *, limit: int = 50) -> list[str]:
    """Checkouts that wait to be tidied."""
    query = (
        select(col(Checkout.id))
        .where(col(Checkout.release_at) <= func.now())
        .order_by(col(Checkout.release_at))
        .limit(limit)
    )
    async with till.database.transaction() as session:
        return list((await session.execute(query)).scalars())
