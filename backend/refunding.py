"""A refund, driven to its end: the merchant cancels, the processor pays back, the books follow.

The same rules as for a purchase: the intent is committed before the effect, keys are made of the
refund's id, a lost answer is looked up first, and the end is one transaction.
"""

import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import disputes, fees, incidents, ledger, orders, refunds
from backend.database import RETURNED
from backend.orders import PurchaseOrder
from backend.refunds import CANCELED, LEASE, MOVING, OrderRefund
from backend.till import Till
from integrations.money import Money
from integrations.partner import CancellationQuote, PartnerError, PartnerRefused
from integrations.payments import Payment, PaymentError, PaymentRefused

_STUCK_AFTER = 8
_FIRST_DELAY_S = 0.25
_INLINE_DELAY_S = 1.0
_LAST_DELAY_S = 15.0


async def drive_refund(till: Till, refund_id: str) -> None:
    """Move the refund as far as it goes now. Safe to run twice, at once, and after a kill."""
    work = await _claim(till, refund_id)
    while work is not None and work.state in MOVING:
        async with till.database.transaction() as session:
            order = await session.get_one(PurchaseOrder, work.order_id)
        step = _confirm if work.state == "confirming" else _pay_back
        work = await step(till, work, order)


async def _claim(till: Till, refund_id: str) -> OrderRefund | None:
    free = col(OrderRefund.lease_until).is_(None) | (col(OrderRefund.lease_until) <= func.now())
    query = (
        update(OrderRefund)
        .where(col(OrderRefund.id) == refund_id, col(OrderRefund.state).in_(MOVING), free)
        .values(lease=secrets.token_hex(8), **_renewed())
        .returning(OrderRefund)
        .execution_options(**RETURNED)
    )
    async with till.database.transaction() as session:
        return (await session.execute(query)).scalar_one_or_none()


def _renewed() -> dict[str, Any]:
    return {"lease_until": func.now() + LEASE, "next_drive_at": func.now() + LEASE}


async def _move(session: AsyncSession, seen: OrderRefund, **changes: Any) -> OrderRefund | None:
    query = (
        update(OrderRefund)
        .where(
            col(OrderRefund.id) == seen.id,
            col(OrderRefund.state) == seen.state,
            col(OrderRefund.lease).is_not_distinct_from(seen.lease),
        )
        .values(**(_renewed() | {"updated_at": func.now()} | changes))
        .returning(OrderRefund)
        .execution_options(**RETURNED)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def _intend(till: Till, work: OrderRefund, **known: Any) -> OrderRefund | None:
    """Journal that an attempt is on its way. None: the lease was lost."""
    async with till.database.transaction() as session:
        return await _move(session, work, maybe=True, **known)


async def _later(till: Till, work: OrderRefund, *, wait_s: float = 0.0) -> OrderRefund | None:
    """Try again after a growing pause, and not before the other side wants to be asked."""
    attempts = work.attempts + 1
    delay = max(wait_s, min(_FIRST_DELAY_S * 2 ** min(work.attempts, 16), _LAST_DELAY_S))
    inline = delay <= _INLINE_DELAY_S
    due = func.now() + timedelta(seconds=delay)
    standing = {} if inline else {"lease": None, "lease_until": None, "next_drive_at": due}
    async with till.database.transaction() as session:
        moved = await _move(session, work, attempts=attempts, **standing)
        if moved is not None and attempts == _STUCK_AFTER:
            detail = f"{work.state}: no clear answer after {attempts} tries"
            await incidents.report(session, "refund_stuck", subject=work.id, detail=detail)
    if moved is None or not inline:
        return None
    await till.pause(delay)
    return moved


async def _confirm(till: Till, work: OrderRefund, order: PurchaseOrder) -> OrderRefund | None:
    """The merchant cancels for the quoted sums. After a lost answer its order is read first."""
    partner = await till.partner_for(order.merchant_id)
    theirs, earlier = order.merchant_order_id, work.maybe
    begun = await _intend(till, work)
    if begun is None:
        return None
    try:
        done = earlier and (await partner.order(theirs)).status in CANCELED
        if not done:
            key = f"refund:{work.id}:confirm"
            await partner.confirm_cancellation(theirs, _terms(work), key=key)
    except PartnerRefused as refused:
        return await _refused(till, begun, order, refused, earlier=earlier)
    except PartnerError as lost:
        return await _later(till, begun, wait_s=lost.retry_after_s)
    return await _confirmed(till, begun)


async def _confirmed(till: Till, work: OrderRefund) -> OrderRefund | None:
    async with till.database.transaction() as session:
        moved = await _move(session, work, state="refunding", maybe=False, attempts=0)
        for part in await refunds.with_it(session, work) if moved else ():
            await refunds.pay_back(session, part)
        return moved


def _terms(work: OrderRefund) -> CancellationQuote:
    if work.expires_at is None:
        raise ValueError(f"{work.id} is not a cancellation quote")
    refund = work.amount if work.merchant_refund is None else work.merchant_refund
    fee = work.fee if work.merchant_fee is None else work.merchant_fee
    return CancellationQuote(
        id=work.merchant_quote_id or "",
        refund=Money(refund, work.currency),
        fee=Money(fee, work.currency),
        expires_at=work.expires_at,
    )


async def _refused(
    till: Till,
    work: OrderRefund,
    order: PurchaseOrder,
    refused: PartnerRefused,
    *,
    earlier: bool,
) -> OrderRefund | None:
    """A no to a repeat can mean that it is done; the order at the merchant has the last word."""
    partner = await till.partner_for(order.merchant_id)
    try:
        canceled = earlier and (await partner.order(order.merchant_order_id)).status in CANCELED
    except PartnerError as unseen:
        return await _later(till, work, wait_s=unseen.retry_after_s)
    if canceled:
        return await _confirmed(till, work)
    async with till.database.transaction() as session:
        stopped = await _stop(session, work, state="failed", failure=refused.detail[:300])
        for part in await refunds.with_it(session, work) if stopped else ():
            part.state, part.failure = "failed", refused.detail[:300]
    return None


async def _stop(session: AsyncSession, work: OrderRefund, **changes: Any) -> OrderRefund | None:
    standing = {"lease": None, "lease_until": None, "next_drive_at": None}
    moved = await _move(session, work, **(standing | changes))
    if moved is not None:
        await incidents.resolve(session, "refund_stuck", subject=work.id)
    return moved


async def _pay_back(till: Till, work: OrderRefund, order: PurchaseOrder) -> OrderRefund | None:
    """The processor's own total of refunds, read before the first try, tells what has happened."""
    if work.amount == 0 or order.settlement != "platform" or order.payment_id is None:
        return await _finish(till, work)
    try:
        before = await till.payments.read(order.payment_id)
    except PaymentError:
        return await _later(till, work)
    if work.maybe and _arrived(work, before):
        return await _finish(till, work)
    known = {} if work.maybe else {"base": before.refunded.amount}
    begun = await _intend(till, work, **known)
    if begun is None:
        return None
    try:
        after = await till.payments.refund(
            order.payment_id,
            work.money,
            with_fee=order.destination is not None and order.fee > 0,
            key=f"refund:{work.id}:money",
        )
    except PaymentRefused as refused:
        return await _not_paid_back(till, begun, order.payment_id, refused)
    except PaymentError:
        return await _later(till, begun)
    return await _finish(till, begun) if _arrived(begun, after) else await _later(till, begun)


def _arrived(work: OrderRefund, payment: Payment) -> bool:
    return payment.refunded.amount >= work.base + work.amount


async def _not_paid_back(
    till: Till, work: OrderRefund, payment_id: str, refused: PaymentRefused
) -> OrderRefund | None:
    """Refused: done already, or impossible. The second leaves a canceled order unpaid: a person."""
    try:
        payment = await till.payments.read(payment_id)
    except PaymentError:
        return await _later(till, work)
    if _arrived(work, payment):
        return await _finish(till, work)
    async with till.database.transaction() as session:
        failed = await _stop(session, work, state="failed", failure=refused.detail[:300])
        if failed is not None:
            detail = f"payment {payment_id}: {work.money} could not be returned: {refused.detail}"
            await incidents.report(session, "refund_failed", subject=work.id, detail=detail)
    return None


async def _finish(till: Till, work: OrderRefund) -> OrderRefund | None:
    """Refund, order, events and ledger in one transaction."""
    async with till.database.transaction() as session:
        # The order first, as whoever begins a refund does: two orders of locks would be a knot.
        query = select(PurchaseOrder).where(col(PurchaseOrder.id) == work.order_id)
        order = (await session.execute(query.with_for_update())).scalar_one()
        if await _stop(session, work, state="completed") is None:
            return None
        back = work.money
        if order.settlement != "platform":  # the merchant may have told it before
            back = min(back, order.remaining)
        total = Money(order.refunded, order.currency) + back
        fee_part = fees.fee_refund(
            fee=Money(order.fee, order.currency),
            captured=order.amount,
            refunded_total=min(total + await disputes.lost(session, order), order.amount),
            already=Money(order.fee_refunded, order.currency),
        )
        order.refunded = total.amount
        order.fee_refunded += fee_part.amount
        after = _state_after(work, order)
        if not await disputes.defers(session, order, after):
            order.state = after
        await session.flush()
        detail = {"refund": back.amount, "fee": work.fee, "reason": work.reason}
        await orders.record(session, order.id, after, ref=work.id, detail=detail)
        postings = _postings(order, back, fee_part)
        if postings:
            await ledger.post(session, kind="refunded", ref=work.id, entries=postings)
    return None


def _state_after(work: OrderRefund, order: PurchaseOrder) -> orders.OrderState:
    if work.kind == "cancellation" or order.state == "canceled":
        return "canceled"
    if work.kind == "change":  # the booking itself stands
        return "partially_refunded"
    return "refunded" if order.refunded == order.total else "partially_refunded"


def _postings(order: PurchaseOrder, refund: Money, fee_part: Money) -> list[fees.Posting]:
    if order.settlement != "platform":
        return fees.accrual_refunded(merchant_id=order.merchant_id, fee_part=fee_part)
    return fees.refunded(
        merchant_id=order.merchant_id,
        refund=refund,
        fee_part=fee_part,
        tax_part=Money.zero(order.currency),
    )
