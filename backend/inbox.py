"""What the processor and the merchants tell us unasked: each event once, and only as a hint.

An event is written down and the purchase is woken in one transaction; only then is it
acknowledged. What it says about money is never believed: the driver reads the payment again.
What a merchant says about an order changes what the order's row tells, never an amount.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend import cards, changes, disputes, handoff, incidents, orders, refunds, subscribers
from backend.checkout import MOMENT, MOVING, Checkout
from backend.orders import PurchaseOrder
from backend.purchase import DRIVE
from backend.queue import enqueue
from backend.refunds import OrderRefund
from integrations.payments import Dispute, PaymentEvent

TOLERANCE_S = 300
_SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
_SAME_NUMBER_MAX = 20  # merchants that number their orders alike
_GIVEN_UP = frozenset({"canceled", "cancelled"})


class WebhookEvent(SQLModel, table=True):
    """An event that was taken in. The row makes us deaf to repeats."""

    __tablename__ = "webhook_event"
    source: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    type: str
    received_at: datetime = Field(default_factory=func.now, sa_type=MOMENT, index=True)


async def first_time(session: AsyncSession, *, source: str, event_id: str, kind: str) -> bool:
    """Write the event down. False: it was here before."""
    query = (
        insert(WebhookEvent)
        .values(source=source, event_id=event_id, type=kind[:100], received_at=func.now())
        .on_conflict_do_nothing(index_elements=["source", "event_id"])
        .returning(col(WebhookEvent.event_id))
    )
    return (await session.execute(query)).scalar_one_or_none() is not None


async def payment_event(session: AsyncSession, event: PaymentEvent) -> bool:
    """Wake the purchase that a verified payment event is about. False: it was here before."""
    if not await first_time(session, source="stripe", event_id=event.id, kind=event.type):
        return False
    # A customer's cards and goods are no news of what they pay for a plan.
    beside = event.type.startswith(("setup_intent.", "payment_method.")) or event.purchase_id
    if event.customer_id is not None and not beside:
        await subscribers.wake(session, event.customer_id)  # somebody with a plan or a pack
    await cards.wake(session, event)
    rows = await _purchases(session, event)
    for row in rows:
        await _wake(session, row)
    if event.dispute is not None:
        await _disputed(session, [row.id for row in rows], event, event.dispute)
    return True


async def _purchases(session: AsyncSession, event: PaymentEvent) -> Sequence[Checkout]:
    """A name that an event does not have must not find the rows that have none either."""
    named = ((Checkout.payment_id, event.payment_id), (Checkout.id, event.purchase_id))
    fits = [col(column) == name for column, name in named if name is not None]
    if not fits:
        return ()
    return (await session.execute(select(Checkout).where(or_(*fits)))).scalars().all()


async def _disputed(
    session: AsyncSession, checkout_ids: Sequence[str], event: PaymentEvent, said: Dispute
) -> None:
    """A purchase's charge has an order of its own: one that has none was let go, and a person looks
    at it. Another charge paid for a plan or a pack; a dispute does not say whose."""
    mine: list[ColumnElement[bool]] = [col(PurchaseOrder.checkout_id).in_(checkout_ids)]
    if event.payment_id is not None:
        mine.append(col(PurchaseOrder.payment_id) == event.payment_id)
    query = select(col(PurchaseOrder.id)).where(or_(*mine))
    found = (await session.execute(query)).scalars().all()
    for order_id in found:
        await disputes.told(session, order_id, said, kind=event.type, ref=event.id)
    if not found and checkout_ids:
        detail = f"dispute {said.id} of {said.amount}, {said.state}: there is no order of it"
        await incidents.report(session, "payment_disputed", subject=checkout_ids[0], detail=detail)
    elif not found and event.payment_id is not None:
        await _paid_for(session, event.payment_id, said)


async def _paid_for(session: AsyncSession, payment_id: str, said: Dispute) -> None:
    """The payer is read again, disputes and all. A payment not booked yet may still become one."""
    customer = await subscribers.payer(session, payment_id)
    if customer is not None:
        await subscribers.wake(session, customer)
    elif said.state != "won":
        detail = f"dispute {said.id} of {said.amount}, {said.state}: we know no such payment"
        await incidents.report(session, "payment_disputed", subject=payment_id, detail=detail)


async def _wake(session: AsyncSession, row: Checkout) -> None:
    """A purchase under way is driven on; one that ended is looked at for stray holds."""
    if row.state in MOVING:
        await session.execute(
            update(Checkout).where(col(Checkout.id) == row.id).values(next_drive_at=func.now())
        )
        await enqueue(session, DRIVE, args={"checkout_id": row.id})
    elif row.state in {"failed", "canceled", "expired"} and row.confirmed_at is not None:
        await session.execute(
            update(Checkout).where(col(Checkout.id) == row.id).values(release_at=func.now())
        )


def signed_at(header: str, body: bytes, secrets: Sequence[str]) -> int | None:
    """The time of a `t=…,v1=…` signature that one of the secrets made; None when none did.

    HMAC-SHA256 of `t.body` on the raw bytes, compared in constant time. The age is not judged.
    """
    match = _SIGNATURE.fullmatch(header.replace(" ", ""))
    if match is None:
        return None
    moment, given = match.groups()
    signed = moment.encode() + b"." + body
    made = [hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in secrets]
    fits = [hmac.compare_digest(one, given) for one in made]
    return int(moment) if any(fits) else None


def instant_of(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises `ValueError` without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone")
    return moment.timestamp()


async def senders(session: AsyncSession, session_id: str) -> Sequence[Checkout]:
    """The purchases an unverified event may be about: they only tell whose secret to try."""
    query = select(Checkout).where(col(Checkout.reference) == session_id).limit(5)
    return (await session.execute(query)).scalars().all()


async def numbered(session: AsyncSession, order_id: str) -> Sequence[Checkout]:
    """Those whose order has this number at its merchant; several merchants may have given it."""
    query = (
        select(Checkout)
        .join(PurchaseOrder, col(PurchaseOrder.checkout_id) == col(Checkout.id))
        .where(
            col(PurchaseOrder.merchant_order_id) == order_id,
            col(PurchaseOrder.part_of).is_(None),
        )
        .order_by(col(PurchaseOrder.placed_at).desc())
        .limit(_SAME_NUMBER_MAX)
    )
    return (await session.execute(query)).scalars().all() if order_id else ()


def over(row: Checkout) -> bool:
    """Whether it ended without an order: rather another one is meant, as by a change's quote."""
    return row.order_id is None and row.state not in MOVING and not handoff.left(row)


async def order_event(
    session: AsyncSession, row: Checkout, *, event_id: str, kind: str, data: Mapping[str, Any]
) -> bool:
    """What a verified merchant says about its order. False: it was here before."""
    source = f"merchant:{row.merchant_id}"
    if not await first_time(session, source=source, event_id=event_id, kind=kind):
        return False
    if row.order_id is None:
        if handoff.left(row):
            await handoff.ordered(session, row, data)
        elif row.state in MOVING:
            await _wake(session, row)
        return True
    status = str(data.get("status", ""))[:40]
    await orders.record(
        session, row.order_id, "merchant_update", ref=event_id, detail={"status": status}
    )
    await changes.told(session, row.order_id, data, ref=event_id)
    if status in _GIVEN_UP:
        await _given_up(session, row, data, event_id)
    if row.settlement == "platform":
        await _not_by_us(session, row, row.order_id, data)
    else:
        await handoff.returned(session, row.order_id, data, ref=event_id)
    if status in orders.HANDED_OVER:
        await orders.fulfil(session, row.order_id, ref="merchant")
    return True


async def _not_by_us(
    session: AsyncSession, row: Checkout, order_id: str, said: Mapping[str, Any]
) -> None:
    """We hold the money of these orders: what a merchant says it gave back, and we did not, may
    have gone out twice, or not at all."""
    query = select(col(PurchaseOrder.id), col(PurchaseOrder.refunded)).where(
        (col(PurchaseOrder.id) == order_id) | (col(PurchaseOrder.part_of) == order_id)
    )
    whole = (await session.execute(query)).all()
    known = sum(back for _, back in whole)
    known += await refunds.under_way(session, [key for key, _ in whole])
    told = await handoff.told_back(session, await session.get_one(PurchaseOrder, order_id), said)
    if told is not None and told > known and not await refunds.changing(session, order_id):
        await incidents.report(
            session,
            "merchant_refunded",
            subject=order_id,
            merchant_id=row.merchant_id,
            detail=f"the merchant says that {told} came back, {known} did through us; ask which",
        )


async def _given_up(
    session: AsyncSession, row: Checkout, said: Mapping[str, Any], event_id: str
) -> None:
    """A merchant canceled on its own: the row says so only after a refund; a person decides.

    What we asked it to cancel is no news. Where the buyer paid the merchant we hold nothing that
    could be refunded: only our commission is undone.
    """
    asked = select(col(OrderRefund.id)).where(
        col(OrderRefund.order_id) == row.order_id,
        col(OrderRefund.kind) == "cancellation",
        col(OrderRefund.state).in_(("confirming", "refunding", "completed")),
    )
    if (await session.execute(asked.limit(1))).scalar_one_or_none() is not None:
        return
    if row.settlement != "platform":
        await handoff.undone(session, row.order_id or "", said, ref=event_id)
        return
    query = select(col(PurchaseOrder.state)).where(col(PurchaseOrder.id) == row.order_id)
    if (await session.execute(query)).scalar_one() in {"placed", "fulfilled"}:
        await incidents.report(
            session,
            "merchant_canceled",
            subject=row.order_id or row.id,
            merchant_id=row.merchant_id,
            detail="the merchant canceled an order that was paid; refund it or settle it",
        )
