"""Who pays us, for what: one row a person, a row for each page we sent them to and each payment.

The processor owns the truth about a subscription; these rows say what of it has been acted on.
`version` makes the newest reading win: whoever read before another one wrote must read again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.checkout import MOMENT, instant
from backend.ids import new_id
from backend.queue import enqueue
from integrations.money import Money

SYNC = "sync_subscriber"
GRACE = timedelta(days=7)  # how long a plan holds on after a payment has failed
_COUNT: Any = BigInteger()


class Subscriber(SQLModel, table=True):
    """`granted` is the plan that the subscription gives now; empty when it gives none.

    `closing`: the person is erased, so the subscription ends at once. `asked`: a job that reads
    the person is on its way.
    """

    __tablename__ = "subscriber"
    __table_args__ = (
        Index("subscriber_due", "next_sync_at", postgresql_where="next_sync_at IS NOT NULL"),
    )
    user_id: str = Field(primary_key=True)
    customer_id: str | None = Field(default=None, unique=True)
    subscription_id: str | None = None
    granted: str = ""
    standing: str = ""
    ends: bool = False
    period_end: datetime | None = Field(default=None, sa_type=MOMENT)
    past_due_at: datetime | None = Field(default=None, sa_type=MOMENT)
    grace_until: datetime | None = Field(default=None, sa_type=MOMENT)
    closing: bool = False
    asked: bool = False
    version: int = 0
    next_sync_at: datetime | None = Field(default=None, sa_type=MOMENT)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    updated_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


class BillingOrder(SQLModel, table=True):
    """One wish to pay or to stop paying, written down before the processor hears of it."""

    __tablename__ = "billing_order"
    id: str = Field(default_factory=lambda: new_id("bil"), primary_key=True)
    user_id: str = Field(index=True)
    kind: str
    item: str
    page_id: str | None = None
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


class BillingPayment(SQLModel, table=True):
    """A payment that has been booked. Minor units; `recognised` is what of a pack is earned, `lost`
    what a bank took back for good."""

    __tablename__ = "billing_payment"
    __table_args__ = (
        CheckConstraint(
            "refunded >= 0 AND lost >= 0 AND refunded + lost <= amount",
            name="billing_payment_refunds",
        ),
        CheckConstraint("recognised BETWEEN 0 AND amount", name="billing_payment_earned"),
        Index("billing_payment_when", "paid_at"),
    )
    id: str = Field(primary_key=True)
    user_id: str = Field(index=True)
    kind: str
    item: str
    ref: str
    amount: int = Field(sa_type=_COUNT)
    tax: int = Field(default=0, sa_type=_COUNT)
    fee: int = Field(default=0, sa_type=_COUNT)
    refunded: int = Field(default=0, sa_type=_COUNT)
    lost: int = Field(default=0, sa_type=_COUNT)
    recognised: int = Field(default=0, sa_type=_COUNT)
    currency: str = Field(max_length=3)
    paid_at: datetime = Field(sa_type=MOMENT)


class BillingDispute(SQLModel, table=True):
    """A dispute of such a payment, by the processor's id. `charged`: its own fee is booked."""

    __tablename__ = "billing_dispute"
    __table_args__ = (
        CheckConstraint(
            "state IN ('inquiry', 'open', 'won', 'lost')", name="billing_dispute_state"
        ),
    )
    id: str = Field(primary_key=True)
    payment_id: str = Field(index=True, sa_column_args=[ForeignKey("billing_payment.id")])
    state: str
    amount: int = Field(sa_type=_COUNT)
    currency: str = Field(max_length=3)
    charged: bool = False
    opened_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    closed_at: datetime | None = Field(default=None, sa_type=MOMENT)

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


async def of(session: AsyncSession, user_id: str) -> Subscriber | None:
    return await session.get(Subscriber, user_id, populate_existing=True)


async def ensure(session: AsyncSession, user_id: str) -> Subscriber:
    """The person's row, made when it is their first time."""
    await session.execute(
        insert(Subscriber)
        .values(
            user_id=user_id, granted="", standing="", ends=False, closing=False, asked=False,
            version=0, created_at=func.now(), updated_at=func.now(),
        )
        .on_conflict_do_nothing()
    )  # fmt: skip
    return await session.get_one(Subscriber, user_id, populate_existing=True)


async def name(session: AsyncSession, user_id: str, customer_id: str) -> str:
    """Who the person is at the processor: this, or what was written down before."""
    await session.execute(
        update(Subscriber)
        .where(col(Subscriber.user_id) == user_id, col(Subscriber.customer_id).is_(None))
        .values(customer_id=customer_id)
    )
    row = await session.get_one(Subscriber, user_id, populate_existing=True)
    assert row.customer_id is not None
    return row.customer_id


async def write(session: AsyncSession, read: Subscriber, values: Mapping[str, Any]) -> bool:
    """What a reading found. False: another one was written since `read`, so it counts no more."""
    query = (
        update(Subscriber)
        .where(col(Subscriber.user_id) == read.user_id, col(Subscriber.version) == read.version)
        .values(version=read.version + 1, asked=False, updated_at=func.now(), **values)
        .returning(col(Subscriber.version))
    )
    return (await session.execute(query)).scalar_one_or_none() is not None


_WAKE = text("""
WITH before AS (
  SELECT user_id, asked FROM subscriber WHERE customer_id = :customer FOR UPDATE
)
UPDATE subscriber s SET next_sync_at = now(), asked = true, version = s.version + 1 FROM before
WHERE s.user_id = before.user_id RETURNING s.user_id, before.asked
""")


async def wake(session: AsyncSession, customer_id: str) -> bool:
    """Something happened at the processor: read this customer again. False: not one of ours.

    A burst of events is one reading: while one is asked for, the new version makes it read again
    instead of letting a second one run.
    """
    row = (await session.execute(_WAKE, {"customer": customer_id})).one_or_none()
    if row is None:
        return False
    if not row.asked:
        await enqueue(session, SYNC, args={"user_id": row.user_id})
    return True


async def payer(session: AsyncSession, payment_id: str) -> str | None:
    """The customer who made a payment that is booked."""
    query = (
        select(col(Subscriber.customer_id))
        .join(BillingPayment, col(BillingPayment.user_id) == col(Subscriber.user_id))
        .where(col(BillingPayment.id) == payment_id)
    )
    found: str | None = (await session.execute(query)).scalar_one_or_none()
    return found


async def close(session: AsyncSession, user_id: str) -> None:
    """The person goes: what they pay monthly ends with the next reading."""
    query = (
        update(Subscriber)
        .where(col(Subscriber.user_id) == user_id, col(Subscriber.customer_id).is_not(None))
        .values(closing=True, next_sync_at=func.now(), version=col(Subscriber.version) + 1)
        .returning(col(Subscriber.user_id))
    )
    if (await session.execute(query)).scalar_one_or_none() is not None:
        await enqueue(session, SYNC, args={"user_id": user_id})


async def unpaid(session: AsyncSession, user_id: str, *, pack: str) -> set[str]:
    """The orders of a pack that no payment has been booked for."""
    paid = select(col(BillingPayment.ref)).where(col(BillingPayment.user_id) == user_id)
    query = select(col(BillingOrder.id)).where(
        col(BillingOrder.user_id) == user_id,
        col(BillingOrder.kind) == "credits",
        col(BillingOrder.item) == pack,
        col(BillingOrder.id).not_in(paid),
    )
    return set((await session.execute(query)).scalars())


async def soon(session: AsyncSession, user_id: str) -> None:
    """Let the next sweep read this person again."""
    await session.execute(
        update(Subscriber)
        .where(col(Subscriber.user_id) == user_id, col(Subscriber.customer_id).is_not(None))
        .values(next_sync_at=func.now(), version=col(Subscriber.version) + 1)
    )


async def due(session: AsyncSession, *, limit: int = 50) -> list[str]:
    """Whose reading is due: a page was opened, a day has passed, a grace ended, a fee was not
    known yet. By chance, so that those who cannot be read do not keep the others waiting."""
    query = select(col(Subscriber.user_id)).where(col(Subscriber.next_sync_at) <= func.now())
    return list((await session.execute(query.order_by(func.random()).limit(limit))).scalars())


def document(row: Subscriber | None) -> dict[str, Any] | None:
    """The subscription as its owner sees it; None when there is none."""
    if row is None or not row.granted:
        return None
    return {
        "plan": row.granted,
        "status": row.standing,
        "ends_at_period_end": row.ends,
        "current_period_end": instant(row.period_end) if row.period_end else None,
        "grace_until": instant(row.grace_until) if row.grace_until else None,
    }


def notices(row: Subscriber | None) -> list[dict[str, Any]]:
    """What the page must say about money: a payment that failed, a plan that ends."""
    if row is None or not row.granted:
        return []
    if row.standing == "past_due" and row.grace_until is not None:
        until = instant(row.grace_until)
        said = f"Your last payment failed. Your plan holds until {until}; update your card."
        return [{"code": "payment_failed", "text": said, "until": until, "action": "/api/portal"}]
    if row.ends and row.period_end is not None:
        until = instant(row.period_end)
        said = f"Your plan ends on {row.period_end:%Y-%m-%d}; you then go on with Free."
        return [{"code": "plan_ends", "text": said, "until": until, "action": "/api/plan"}]
    return []
