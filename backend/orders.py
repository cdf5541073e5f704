"""Orders: what a completed purchase became, and everything that happened to it since.

An answer about an order states only what its row says. Events are appended, never changed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    case,
    exists,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend import fees, ledger
from backend.checkout import MOMENT, Checkout, instant, known
from backend.database import RETURNED
from backend.errors import NotFound
from backend.ids import new_id
from backend.lease import stop
from graphs.state import OrderFact
from integrations.money import Money
from integrations.payments import Payment

OrderState = Literal[
    "placed", "fulfilled", "partially_refunded", "refunded", "canceled", "disputed"
]
_STATES: tuple[OrderState, ...] = (
    "placed",
    "fulfilled",
    "partially_refunded",
    "refunded",
    "canceled",
    "disputed",
)


# The words by which merchants say that it was handed over.
HANDED_OVER = frozenset({"fulfilled", "delivered", "shipped", "completed"})


class PurchaseOrder(SQLModel, table=True):
    """One merchant order. `refunded` never exceeds `total`; `fee` is our commission on it.

    `part_of` is the booking whose later change this one paid for: every order has one charge.
    """

    __tablename__ = "purchase_order"
    __table_args__ = (
        CheckConstraint(f"state IN {_STATES!r}", name="purchase_order_state"),
        CheckConstraint("refunded >= 0 AND refunded <= total", name="purchase_order_refunded"),
        CheckConstraint("fee_refunded >= 0 AND fee_refunded <= fee", name="purchase_order_fee"),
        Index("purchase_order_newest", "user_id", "placed_at"),
        Index("purchase_order_merchant", "merchant_id", "placed_at"),
        Index("purchase_order_theirs", "merchant_order_id", "merchant_id"),
    )
    id: str = Field(default_factory=lambda: new_id("ord"), primary_key=True)
    checkout_id: str = Field(unique=True, sa_column_args=[ForeignKey("checkout.id")])
    user_id: str
    thread_id: str | None = None
    merchant_id: str
    merchant_name: str
    merchant_order_id: str
    permalink_url: str | None = None
    kind: str
    settlement: str
    state: str = "placed"
    lines: list[dict[str, Any]] = Field(sa_type=JSONB)
    totals: list[dict[str, Any]] = Field(sa_type=JSONB)
    booking: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    cancellation_policy: str = ""
    total: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    fee: int = Field(default=0, sa_type=BigInteger)
    refunded: int = Field(default=0, sa_type=BigInteger)
    fee_refunded: int = Field(default=0, sa_type=BigInteger)
    payment_id: str | None = Field(default=None, index=True)
    destination: str | None = None
    part_of: str | None = Field(
        default=None, index=True, sa_column_args=[ForeignKey("purchase_order.id")]
    )
    placed_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    updated_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)

    @property
    def amount(self) -> Money:
        return Money(self.total, self.currency)

    @property
    def remaining(self) -> Money:
        """What may still be given back."""
        return Money(self.total - self.refunded, self.currency)


class OrderEvent(SQLModel, table=True):
    """One thing that happened. `ref` makes a repeated report of the same thing one event."""

    __tablename__ = "order_event"
    __table_args__ = (Index("order_event_ref", "order_id", "type", "ref", unique=True),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    order_id: str = Field(index=True, sa_column_args=[ForeignKey("purchase_order.id")])
    type: str
    ref: str = ""
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


async def book(session: AsyncSession, work: Checkout, payment: Payment | None) -> bool:
    """Order, events, ledger and the checkout's end, all or nothing. False: another driver did it.

    `payment` is the captured charge, or None where nothing is captured by us.
    """
    order_id = new_id("ord")
    if await stop(session, work, state="completed", step=None, order_id=order_id) is None:
        return False
    # What became of a hand-off is the merchant's word, also where something else was frozen before.
    frozen = None if work.settlement == "handoff" else work.confirmation
    quote = frozen or work.quote or {}
    await enter(session, work, payment, order_id, quote)
    return True


async def enter(
    session: AsyncSession,
    work: Checkout,
    payment: Payment | None,
    order_id: str,
    quote: Mapping[str, Any],
    *,
    part_of: str | None = None,
) -> None:
    """The order of `work` with its events and its place in the books. `quote` is what it shows."""
    order = PurchaseOrder(
        id=order_id,
        checkout_id=work.id,
        user_id=work.user_id,
        thread_id=work.thread_id,
        merchant_id=work.merchant_id,
        merchant_name=work.merchant_name,
        merchant_order_id=work.merchant_order_id or "",
        permalink_url=work.permalink_url,
        kind=work.kind,
        settlement=work.settlement,
        part_of=part_of,
        lines=quote.get("lines", []),
        totals=quote.get("totals", []),
        booking=work.booking,
        cancellation_policy=quote.get("cancellation_policy", ""),
        total=work.amount.amount,
        currency=work.currency,
        fee=work.fee or 0,
        payment_id=work.payment_id,
        destination=work.destination,
    )
    session.add(order)
    await session.flush()
    await record(session, order.id, "placed", detail={"merchant_order_id": order.merchant_order_id})
    if payment is not None:
        await record(session, order.id, "captured", detail={"amount": payment.captured.amount})
    postings = _postings(order, payment)
    if postings:
        await ledger.post(session, kind="captured", ref=work.id, entries=postings)
    cost = payment.processor_fee if payment is not None else None
    if cost is not None and cost.amount and cost.currency != order.currency:
        entries = fees.processor_cost(of=f"merchant:{order.merchant_id}", fee=cost)
        await ledger.post(session, kind="processor_cost", ref=work.id, entries=entries)


def _postings(order: PurchaseOrder, payment: Payment | None) -> list[fees.Posting]:
    """What we charged, or only the commission where the merchant charges."""
    fee = Money(order.fee, order.currency)
    if payment is None:
        return fees.accrued(merchant_id=order.merchant_id, fee=fee)
    nothing = Money.zero(order.currency)
    cost = payment.processor_fee
    return fees.captured(
        merchant_id=order.merchant_id,
        gross=order.amount,
        fee=fee,
        tax=nothing,  # the merchant of record remits it
        processor_fee=cost if cost is not None and cost.currency == order.currency else nothing,
    )


async def record(
    session: AsyncSession,
    order_id: str,
    kind: str,
    *,
    ref: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Append an event; the same thing reported twice stays one."""
    query = (
        insert(OrderEvent)
        .values(order_id=order_id, type=kind, ref=ref, detail=detail or {}, at=func.now())
        .on_conflict_do_nothing(index_elements=["order_id", "type", "ref"])
    )
    await session.execute(query)


async def fetch(session: AsyncSession, order_id: str, *, user_id: str) -> PurchaseOrder:
    """This person's order. Raises `NotFound` for a foreign or missing one alike."""
    query = select(PurchaseOrder).where(
        col(PurchaseOrder.id) == known(order_id), col(PurchaseOrder.user_id) == user_id
    )
    row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        raise NotFound
    return row


async def parts(session: AsyncSession, order_id: str) -> Sequence[PurchaseOrder]:
    """What later changes of the booking were paid with, oldest first; locked."""
    query = (
        select(PurchaseOrder)
        .where(col(PurchaseOrder.part_of) == order_id)
        .order_by(col(PurchaseOrder.placed_at), col(PurchaseOrder.id))
        .with_for_update()
    )
    return (await session.execute(query)).scalars().all()


def spread(back: int, whole: Sequence[PurchaseOrder]) -> list[tuple[PurchaseOrder, int]]:
    """What comes back of each payment, the newest first, as far as each reaches."""
    shares = []
    for order in reversed(whole):
        share = min(back, order.remaining.amount)
        back -= share
        shares.append((order, share))
    return shares


async def newest(
    session: AsyncSession, *, user_id: str, limit: int, after: str | None = None
) -> Sequence[PurchaseOrder]:
    """This person's orders, newest first, after the order with id `after`."""
    query = select(PurchaseOrder).where(col(PurchaseOrder.user_id) == user_id)
    if after is not None:
        last = await fetch(session, after, user_id=user_id)
        key = tuple_(col(PurchaseOrder.placed_at), col(PurchaseOrder.id))
        query = query.where(key < tuple_(last.placed_at, last.id))
    query = query.order_by(col(PurchaseOrder.placed_at).desc(), col(PurchaseOrder.id).desc()).limit(
        limit
    )
    return (await session.execute(query)).scalars().all()


async def events(session: AsyncSession, order_id: str) -> list[dict[str, Any]]:
    """What happened to an order, oldest first."""
    query = (
        select(OrderEvent).where(col(OrderEvent.order_id) == order_id).order_by(col(OrderEvent.id))
    )
    return [
        {"type": e.type, "at": instant(e.at), "detail": e.detail}
        for e in (await session.execute(query)).scalars()
    ]


def document(row: PurchaseOrder, history: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The public order (contract §7)."""
    return {
        "id": row.id,
        "state": row.state,
        "checkout_id": row.checkout_id,
        "kind": row.kind,
        "merchant": {"id": row.merchant_id, "name": row.merchant_name},
        "merchant_order_id": row.merchant_order_id,
        "permalink_url": row.permalink_url,
        "lines": row.lines,
        "totals": row.totals,
        "total": row.total,
        "currency": row.currency,
        "booking": row.booking,
        "part_of": row.part_of,
        "cancellation_policy": row.cancellation_policy,
        "refunded": row.refunded,
        "placed_at": instant(row.placed_at),
        "events": list(history),
    }


def card(row: PurchaseOrder) -> dict[str, Any]:
    """The order as a card in the conversation."""
    return {
        "order_id": row.id,
        "merchant": row.merchant_name,
        "title": _title(row),
        "state": row.state,
        "price": {"amount": row.total, "currency": row.currency},
        "merchant_order_id": row.merchant_order_id,
        "permalink_url": row.permalink_url,
        "booking": row.booking,
        "placed_at": instant(row.placed_at),
    }


def _title(row: PurchaseOrder) -> str:
    return ", ".join(str(line["title"]) for line in row.lines)


def fact(row: PurchaseOrder) -> OrderFact:
    """An order as the conversation may state it."""
    return OrderFact(
        order_id=row.id,
        state=row.state,
        title=_title(row),
        merchant=row.merchant_name,
        total=row.amount,
        placed_at=row.placed_at,
        checkout_id=row.checkout_id,
        booking=row.booking if row.kind == "booking" and row.part_of is None else None,
    )


async def fulfil(session: AsyncSession, order_id: str, *, ref: str) -> None:
    """The merchant says that it was handed over: what is left of the fee is earned, once.

    Refunded and canceled orders stay what they are. One of which a part came back is handed over
    as well; it keeps saying that.
    """
    told = exists().where(
        col(OrderEvent.order_id) == col(PurchaseOrder.id), col(OrderEvent.type) == "fulfilled"
    )
    stands = col(PurchaseOrder.state).in_(("placed", "partially_refunded"))
    after = case((col(PurchaseOrder.state) == "placed", "fulfilled"), else_="partially_refunded")
    query = (
        update(PurchaseOrder)
        .where(col(PurchaseOrder.id) == order_id, stands, ~told)
        .values(state=after, updated_at=func.now())
        .returning(PurchaseOrder)
        .execution_options(**RETURNED)
    )
    order = (await session.execute(query)).scalar_one_or_none()
    if order is None:
        return
    await record(session, order.id, "fulfilled", ref=ref)
    earned = Money(order.fee - order.fee_refunded, order.currency)
    postings = fees.recognised(merchant_id=order.merchant_id, fee=earned)
    if postings:
        await ledger.post(session, kind="recognised", ref=order.id, entries=postings)
    for part in await parts(session, order.id):
        await fulfil(session, part.id, ref=ref)
