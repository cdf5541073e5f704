"""Giving money back: a person's cancellation (quote, then confirm) and a merchant's refund.

One refund of an order runs at a time, so that sums stay provable: the processor's own `refunded`
tells whether a lost refund happened. Keys are made of the refund's id; a refund that was asked
for is driven to its end by the same job queue as a purchase.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend import orders
from backend.checkout import MOMENT, Checkout, instant, known
from backend.checkout import MOVING as UNDER_WAY
from backend.errors import (
    Conflict,
    MerchantFailed,
    NotFound,
    OfferExpired,
    OrderDisputed,
    Unprocessable,
)
from backend.ids import new_id
from backend.orders import PurchaseOrder
from backend.queue import enqueue
from backend.till import Till
from integrations.money import Money
from integrations.partner import CancellationQuote, PartnerError, PartnerRefused

REFUND = "refund"
LEASE = timedelta(seconds=30)
_LIFE_MAX = timedelta(hours=24)
CANCELED = frozenset({"canceled", "cancelled", "refunded"})

MOVING = ("confirming", "refunding")


class OrderRefund(SQLModel, table=True):
    """`quoted → confirming (at the merchant) → refunding (at the processor) → completed | failed`.

    `base` is what had been refunded before this one, so that a look-up can tell them apart. A
    booking whose change was paid for comes back from several payments: each order has a refund
    `with_id` of the one that asks the merchant, which knows their sums (`part_amount`, `part_fee`)
    and what the merchant quoted (`merchant_refund`, `merchant_fee`): it confirms what it said.
    """

    __tablename__ = "order_refund"
    __table_args__ = (
        CheckConstraint("amount >= 0 AND fee >= 0", name="order_refund_amounts"),
        Index("order_refund_request", "order_id", "request_key", unique=True),
        Index(
            "order_refund_one_at_a_time",
            "order_id",
            unique=True,
            postgresql_where=f"state IN {MOVING!r}",
        ),
        Index("order_refund_due", "next_drive_at", postgresql_where="next_drive_at IS NOT NULL"),
    )
    id: str = Field(default_factory=lambda: new_id("ref"), primary_key=True)
    order_id: str = Field(index=True, sa_column_args=[ForeignKey("purchase_order.id")])
    kind: str
    state: str = "quoted"
    amount: int = Field(sa_type=BigInteger)
    fee: int = Field(default=0, sa_type=BigInteger)
    currency: str = Field(max_length=3)
    part_amount: int = Field(default=0, sa_type=BigInteger)
    part_fee: int = Field(default=0, sa_type=BigInteger)
    merchant_refund: int | None = Field(default=None, sa_type=BigInteger)
    merchant_fee: int | None = Field(default=None, sa_type=BigInteger)
    with_id: str | None = Field(default=None, index=True)
    reason: str = ""
    request_key: str | None = None
    merchant_quote_id: str | None = None
    expires_at: datetime | None = Field(default=None, sa_type=MOMENT)
    base: int = Field(default=0, sa_type=BigInteger)
    maybe: bool = False
    attempts: int = 0
    failure: str | None = None
    lease: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=MOMENT)
    next_drive_at: datetime | None = Field(default=None, sa_type=MOMENT)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    updated_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def back(self) -> Money:
        """All that comes back, whichever payment it was paid with."""
        return Money(self.amount + self.part_amount, self.currency)

    @property
    def kept(self) -> Money:
        return Money(self.fee + self.part_fee, self.currency)


def document(row: OrderRefund) -> dict[str, Any]:
    """A cancellation quote or a refund as its owner sees it."""
    return {
        "id": row.id,
        "order_id": row.order_id,
        "state": row.state,
        "refund": row.back.amount,
        "fee": row.kept.amount,
        "currency": row.currency,
        "reason": row.reason,
        "expires_at": instant(row.expires_at),
        "failure": row.failure,
    }


async def quote_cancellation(till: Till, *, user_id: str, order_id: str) -> OrderRefund:
    """What canceling would give back and cost, by the merchant's word. Nothing changes yet.

    Raises `NotFound`, `Conflict` when there is nothing left to cancel, `Unprocessable` when the
    merchant refuses, `MerchantFailed` when it does not answer or its sums cannot be right.
    """
    async with till.database.transaction() as session:
        order = await orders.fetch(session, order_id, user_id=user_id)
    _undisputed([order])
    if order.state not in {"placed", "fulfilled", "partially_refunded"}:
        raise Conflict(f"This order is {order.state}; there is nothing to cancel")
    if order.part_of is not None:
        raise Conflict(f"This paid for a change of {order.part_of}: cancel that booking")
    if order.settlement == "handoff":
        raise Unprocessable(
            f"You bought this at {order.merchant_name}: cancel it there", code="not_cancelable"
        )
    quote_id = new_id("cxl")
    partner = await till.partner_for(order.merchant_id)
    try:
        terms = await partner.cancellation(order.merchant_order_id, key=f"refund:{quote_id}:quote")
    except PartnerRefused as refused:
        raise Unprocessable(refused.detail, code="not_cancelable") from refused
    except PartnerError as lost:
        raise MerchantFailed("The merchant did not answer; nothing was canceled") from lost
    return await _keep_quote(till, order, quote_id, terms)


async def _keep_quote(
    till: Till, order: PurchaseOrder, quote_id: str, terms: CancellationQuote
) -> OrderRefund:
    async with till.database.transaction() as session:
        whole = [order, *await orders.parts(session, order.id)]
        _undisputed(whole)
        back = _due(terms, whole)
        limit: datetime = (await session.execute(select(func.now() + _LIFE_MAX))).scalar_one()
        rows = [
            OrderRefund(
                id=quote_id if one is order else new_id("cxl"),
                order_id=one.id,
                kind="cancellation",
                amount=share,
                fee=one.remaining.amount - share,
                currency=order.currency,
                with_id=None if one is order else quote_id,
                merchant_quote_id=terms.id,
                expires_at=min(limit, terms.expires_at),
            )
            for one, share in orders.spread(back, whole)
        ]
        row = rows.pop()  # the booking's own
        row.merchant_refund, row.merchant_fee = terms.refund.amount, terms.fee.amount
        row.part_amount, row.part_fee = sum(r.amount for r in rows), sum(r.fee for r in rows)
        session.add_all([row, *rows])
        await session.flush()
        await session.refresh(row)
    return row


def _undisputed(whole: Sequence[PurchaseOrder]) -> None:
    """Raises `OrderDisputed`: while a bank decides, and after it took the money, another way back
    would give it twice."""
    for order in whole:
        if order.state == "disputed":
            raise OrderDisputed(f"The payment of {order.id} is disputed at the card holder's bank")


def _due(terms: CancellationQuote, whole: Sequence[PurchaseOrder]) -> int:
    """What still comes back, in minor units.

    Merchants quote against what was paid and need not know what has come back since: that is no
    more to give, and what they keep stays what they said. Raises `MerchantFailed` for sums that
    cannot be right.
    """
    paid = sum(one.total for one in whole)
    left = sum(one.remaining.amount for one in whole)
    refund, fee = terms.refund.amount, terms.fee.amount
    currencies = {terms.refund.currency, terms.fee.currency, *(one.currency for one in whole)}
    if len(currencies) != 1 or min(refund, fee) < 0 or refund + fee > paid:
        raise MerchantFailed("The merchant's refund cannot be right; nothing was canceled")
    return max(0, min(refund, left - fee))


async def confirm_cancellation(
    till: Till, *, user_id: str, order_id: str, quote_id: str
) -> OrderRefund:
    """Cancel for the quoted refund and wait, bounded, for the outcome. A repeat: the same result.

    Raises `NotFound`, `OfferExpired` when the quote's time is up, `Conflict` when another refund
    of the order runs or the order changed since the quote.
    """
    async with till.database.transaction() as session:
        order = await _locked(session, order_id)
        if order is None or order.user_id != user_id:
            raise NotFound
        row = await _of(session, order_id, quote_id)
        if row.state == "quoted":
            await _start(session, order, row)
    return await settled(till, row.id)


async def _locked(session: AsyncSession, order_id: str) -> PurchaseOrder | None:
    query = select(PurchaseOrder).where(col(PurchaseOrder.id) == known(order_id)).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def _of(session: AsyncSession, order_id: str, refund_id: str) -> OrderRefund:
    row = await session.get(OrderRefund, known(refund_id))
    own = row is not None and row.order_id == order_id and row.with_id is None
    if row is None or not own or row.kind != "cancellation":
        raise NotFound
    return row


async def with_it(session: AsyncSession, row: OrderRefund) -> Sequence[OrderRefund]:
    """What comes back together with it, of the payments for later changes."""
    query = select(OrderRefund).where(col(OrderRefund.with_id) == row.id).with_for_update()
    return (await session.execute(query)).scalars().all()


async def under_way(session: AsyncSession, order_ids: Sequence[str]) -> int:
    """What is on its way back of these orders just now, in minor units."""
    query = select(func.coalesce(func.sum(col(OrderRefund.amount)), 0)).where(
        col(OrderRefund.order_id).in_(order_ids), col(OrderRefund.state).in_(MOVING)
    )
    return int((await session.execute(query)).scalar_one())


async def by_changes(session: AsyncSession, order_id: str) -> int:
    """What came back because a change of the booking cost less, in minor units."""
    query = (
        select(func.coalesce(func.sum(col(OrderRefund.amount)), 0))
        .join(PurchaseOrder, col(PurchaseOrder.id) == col(OrderRefund.order_id))
        .where(
            (col(PurchaseOrder.id) == order_id) | (col(PurchaseOrder.part_of) == order_id),
            col(OrderRefund.kind) == "change",
            col(OrderRefund.state) == "completed",
        )
    )
    return int((await session.execute(query)).scalar_one())


async def changing(session: AsyncSession, order_id: str) -> bool:
    """Whether a confirmed change of the booking is under way."""
    query = select(col(Checkout.id)).where(
        col(Checkout.changes)["order_id"].astext == order_id, col(Checkout.state).in_(UNDER_WAY)
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none() is not None


async def _stale(session: AsyncSession, order: PurchaseOrder, row: OrderRefund) -> bool:
    """Whether what is paid, or what is booked, is no longer what the quote was made for."""
    parts = {one.id: one for one in await orders.parts(session, order.id)}
    quoted = {one.order_id: one for one in await with_it(session, row)}
    held = {order.id: order, **parts}
    sums = {order.id: row, **quoted}
    return held.keys() != sums.keys() or any(
        held[key].remaining.amount != sums[key].amount + sums[key].fee for key in held
    )


async def _start(session: AsyncSession, order: PurchaseOrder, row: OrderRefund) -> None:
    _undisputed([order, *await orders.parts(session, order.id)])
    if order.state == "canceled" or await _stale(session, order, row):
        raise Conflict("The order changed since this quote; ask for a new one")
    if await changing(session, order.id):
        raise Conflict("A change of this booking is under way; try again shortly")
    query = (
        update(OrderRefund)
        .where(
            col(OrderRefund.id) == row.id,
            col(OrderRefund.state) == "quoted",
            col(OrderRefund.expires_at) > func.now(),
        )
        .values(state="confirming", next_drive_at=func.now() + LEASE, updated_at=func.now())
        .returning(col(OrderRefund.id))
    )
    try:
        async with session.begin_nested():
            started = (await session.execute(query)).scalar_one_or_none()
            # Theirs wait for the merchant's answer to the booking's own; nobody drives them yet.
            await session.execute(
                update(OrderRefund)
                .where(col(OrderRefund.with_id) == started, col(OrderRefund.state) == "quoted")
                .values(state="confirming", updated_at=func.now())
            )
    except IntegrityError as other:
        raise Conflict("Another refund of this order is running; try again shortly") from other
    if started is None:
        raise OfferExpired("This cancellation quote has expired; ask for a new one")
    await orders.record(session, order.id, "cancellation_requested", ref=row.id)
    await enqueue(session, REFUND, args={"refund_id": row.id})


async def refund(
    till: Till,
    *,
    merchant_id: str,
    order_id: str,
    amount: int,
    reason: str,
    request_key: str,
) -> OrderRefund:
    """A merchant gives `amount` (minor units) of an order back.

    `request_key` names the request: a repeat answers with the same refund. Raises `NotFound`,
    `OrderDisputed`, `Unprocessable` above what is left, `Conflict` while another refund runs.
    """
    async with till.database.transaction() as session:
        order = await _locked(session, order_id)
        if order is None or order.merchant_id != merchant_id:
            raise NotFound
        earlier = select(OrderRefund).where(
            col(OrderRefund.order_id) == order_id, col(OrderRefund.request_key) == request_key
        )
        row = (await session.execute(earlier)).scalar_one_or_none()
        if row is None:
            row = await _new(session, order, amount, reason, request_key)
    return await settled(till, row.id)


async def _new(
    session: AsyncSession,
    order: PurchaseOrder,
    amount: int,
    reason: str,
    request_key: str,
) -> OrderRefund:
    _undisputed([order])
    if not 0 < amount <= order.remaining.amount:
        raise Unprocessable(
            f"{order.remaining} of this order can be refunded", code="refund_exceeds_payment"
        )
    row = OrderRefund(
        order_id=order.id,
        kind="merchant",
        state="refunding",
        amount=amount,
        currency=order.currency,
        reason=reason,
        request_key=request_key,
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError as other:
        raise Conflict("Another refund of this order is running; try again shortly") from other
    await session.execute(
        update(OrderRefund)
        .where(col(OrderRefund.id) == row.id)
        .values(next_drive_at=func.now() + LEASE)
    )
    await enqueue(session, REFUND, args={"refund_id": row.id})
    return row


async def pay_back(session: AsyncSession, row: OrderRefund) -> None:
    """From now on its money is on the way: nothing is asked of the merchant any more."""
    await session.execute(
        update(OrderRefund)
        .where(col(OrderRefund.id) == row.id)
        .values(state="refunding", next_drive_at=func.now() + LEASE, updated_at=func.now())
    )
    await enqueue(session, REFUND, args={"refund_id": row.id})


async def settled(till: Till, refund_id: str) -> OrderRefund:
    """The refund when it stands still, or after `till.wait_s` as it is."""
    waited, pause = 0.0, 0.02
    while True:
        async with till.database.transaction() as session:
            row = (
                await session.execute(select(OrderRefund).where(col(OrderRefund.id) == refund_id))
            ).scalar_one()
        if row.state not in MOVING or waited >= till.wait_s:
            return row
        await asyncio.sleep(pause)
        waited += pause
        pause = min(pause * 1.5, 0.4)
