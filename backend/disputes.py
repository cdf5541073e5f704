"""Disputes: a card holder's bank takes a charge back, for good or until it has decided.

The processor's signed word is taken for what became of it, each dispute once, in whatever order
its events come: a state is never taken back by an earlier one. While one is open the order says
so and its amount is held out of our cash; won, all is as before; lost, the merchant bears it as it
bears a refund (decision 35). Who reads it: `refunds` gives nothing of a disputed charge back.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend import fees, incidents, ledger, orders
from backend.checkout import MOMENT
from backend.orders import OrderEvent, OrderState, PurchaseOrder
from integrations.money import Money
from integrations.payments import Dispute, DisputeState

_STATES: tuple[DisputeState, ...] = ("inquiry", "open", "won", "lost")
_RANK = {"inquiry": 1, "open": 2, "won": 3, "lost": 3}
_STANDING = ("inquiry", "open", "lost")  # an order with one of these is `disputed`


class OrderDispute(SQLModel, table=True):
    """One dispute by the processor's id. `before` is the order's state when it is won; `charged`:
    the processor's own fee for it is booked."""

    __tablename__ = "order_dispute"
    __table_args__ = (CheckConstraint(f"state IN {_STATES!r}", name="order_dispute_state"),)
    id: str = Field(primary_key=True)
    order_id: str = Field(index=True, sa_column_args=[ForeignKey("purchase_order.id")])
    state: str
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    before: str
    charged: bool = False
    opened_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    closed_at: datetime | None = Field(default=None, sa_type=MOMENT)

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


async def told(session: AsyncSession, order_id: str, said: Dispute, *, kind: str, ref: str) -> None:
    """A verified event `kind` with the dispute as it stands; a repeat or a late one is no news."""
    query = select(PurchaseOrder).where(col(PurchaseOrder.id) == order_id).with_for_update()
    order = (await session.execute(query)).scalar_one()
    row = await session.get(OrderDispute, said.id)
    was = row.state if row is not None else None
    if row is None:
        row = await _opened(session, order, said)
    await _cost(session, order, row, said)
    if was is not None and _RANK[said.state] <= _RANK[was]:
        return
    row.state, row.amount, row.currency = said.state, said.amount.amount, said.amount.currency
    if said.state in {"open", "lost"} and was != "open":
        held = fees.dispute_opened(merchant_id=order.merchant_id, amount=row.money)
        await ledger.post(session, kind="dispute_opened", ref=_ref(row), entries=held)
    if said.state == "won":
        await _won(session, order, row, held=was == "open")
    elif said.state == "lost":
        await _lost(session, order, row)
    else:
        detail = f"dispute {row.id} of {row.money}: answer the bank in time"
        await _call(session, "payment_disputed", order, detail)
        name = kind.removeprefix("charge.")
        await orders.record(session, order.id, name, ref=ref, detail={"amount": row.amount})


async def _opened(session: AsyncSession, order: PurchaseOrder, said: Dispute) -> OrderDispute:
    """The order is disputed from here on; a second dispute keeps what was before the first."""
    others = await _of(session, order.id, _STANDING)
    row = OrderDispute(
        id=said.id,
        order_id=order.id,
        state=said.state,
        amount=said.amount.amount,
        currency=said.amount.currency,
        before=others[0].before if others else order.state,
    )
    session.add(row)
    order.state, order.updated_at = "disputed", func.now()  # type: ignore[assignment]
    await session.flush()
    return row


async def _cost(
    session: AsyncSession, order: PurchaseOrder, row: OrderDispute, said: Dispute
) -> None:
    if row.charged or said.fee is None or not said.fee.amount:
        return
    entries = fees.dispute_cost(merchant_id=order.merchant_id, fee=said.fee)
    await ledger.post(session, kind="dispute_fee", ref=_ref(row), entries=entries)
    row.charged = True


async def _won(
    session: AsyncSession, order: PurchaseOrder, row: OrderDispute, *, held: bool
) -> None:
    """As it was before, once no other dispute of the order stands."""
    row.closed_at = func.now()  # type: ignore[assignment]
    if held:
        entries = fees.dispute_won(merchant_id=order.merchant_id, amount=row.money)
        await ledger.post(session, kind="dispute_won", ref=_ref(row), entries=entries)
    await session.flush()
    await orders.record(session, order.id, "dispute.won", ref=row.id, detail={"amount": row.amount})
    if await _of(session, order.id, _STANDING):
        return
    order.state = row.before
    await session.flush()
    await incidents.resolve(session, "payment_disputed", subject=order.id)
    if await _delivered(session, order):
        await orders.fulfil(session, order.id, ref="merchant")


async def _lost(session: AsyncSession, order: PurchaseOrder, row: OrderDispute) -> None:
    """It stays `disputed`: the bank gave the money back, which is no refund of ours."""
    row.closed_at = func.now()  # type: ignore[assignment]
    part = Money.zero(row.currency)
    if row.currency == order.currency:  # else nobody can say which part of the fee it is
        gone = Money(order.refunded, order.currency) + await lost(session, order)
        part = fees.fee_refund(
            fee=Money(order.fee, order.currency),
            captured=order.amount,
            refunded_total=min(gone, order.amount),
            already=Money(order.fee_refunded, order.currency),
        )
    order.fee_refunded += part.amount
    order.updated_at = func.now()  # type: ignore[assignment]
    await session.flush()
    entries = fees.dispute_lost(
        merchant_id=order.merchant_id,
        amount=row.money,
        fee_part=part,
        paid_out=order.destination is not None,
    )
    await ledger.post(session, kind="dispute_lost", ref=_ref(row), entries=entries)
    detail = {"amount": row.amount, "fee": part.amount}
    await orders.record(session, order.id, "dispute.lost", ref=row.id, detail=detail)
    if not await _of(session, order.id, ("inquiry", "open")):
        await incidents.resolve(session, "payment_disputed", subject=order.id)
    due = row.money - part
    await _call(session, "dispute_lost", order, f"dispute {row.id}: the merchant owes us {due}")


async def lost(session: AsyncSession, order: PurchaseOrder) -> Money:
    """What banks took back of this order for good."""
    rows = await _of(session, order.id, ("lost",))
    own = (row.money for row in rows if row.currency == order.currency)
    return sum(own, Money.zero(order.currency))


async def defers(session: AsyncSession, order: PurchaseOrder, state: OrderState) -> bool:
    """Whether the order is disputed: then it is `state` when that is over, and not before."""
    if order.state != "disputed":
        return False
    for row in await _of(session, order.id, _STANDING):
        row.before = state
    return True


async def _of(
    session: AsyncSession, order_id: str, states: Sequence[str]
) -> Sequence[OrderDispute]:
    query = (
        select(OrderDispute)
        .where(col(OrderDispute.order_id) == order_id, col(OrderDispute.state).in_(states))
        .order_by(col(OrderDispute.opened_at), col(OrderDispute.id))
    )
    return (await session.execute(query)).scalars().all()


async def _delivered(session: AsyncSession, order: PurchaseOrder) -> bool:
    """Whether the merchant said so, perhaps while the order could not be told fulfilled."""
    query = select(col(OrderEvent.id)).where(
        col(OrderEvent.order_id) == order.id,
        col(OrderEvent.type) == "merchant_update",
        col(OrderEvent.detail)["status"].astext.in_(orders.HANDED_OVER),
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none() is not None


async def _call(
    session: AsyncSession, kind: incidents.Kind, order: PurchaseOrder, detail: str
) -> None:
    await incidents.report(
        session, kind, subject=order.id, merchant_id=order.merchant_id, detail=detail
    )


def _ref(row: OrderDispute) -> str:
    """Statements find the order by what stands before the colon."""
    return f"{row.order_id}:{row.id}"
