"""What a person must look at: money or goods that the machine could not bring together alone."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Index, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.checkout import MOMENT
from backend.ids import new_id

Kind = Literal[
    "purchase_stuck",
    "capture_failed",
    "total_mismatch",
    "merchant_order_orphaned",
    "order_reused",
    "change_unpaid",
    "payment_mismatch",
    "refund_stuck",
    "refund_failed",
    "merchant_canceled",
    "merchant_refunded",
    "payment_disputed",
    "dispute_lost",
    "payment_unknown",
    "plan_ended_early",
    "subscription_doubled",
    "subscription_unknown",
    "price_unknown",
    "books_differ",
    "ranking_differs",
    "router_rolled_back",
]


class Incident(SQLModel, table=True):
    """One open question. `subject`: the checkout's, order's, refund's or rollout's id."""

    __tablename__ = "incident"
    __table_args__ = (Index("incident_subject", "subject", "kind", unique=True),)
    id: str = Field(default_factory=lambda: new_id("inc"), primary_key=True)
    kind: str
    subject: str
    merchant_id: str | None = Field(default=None, index=True)
    detail: str
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT, index=True)
    resolved_at: datetime | None = Field(default=None, sa_type=MOMENT)


async def report(
    session: AsyncSession, kind: Kind, *, subject: str, detail: str, merchant_id: str | None = None
) -> None:
    """Opens an incident once for each subject and kind; a repeat changes nothing, unless it was
    closed: then it is open again."""
    fresh = insert(Incident).values(
        id=new_id("inc"),
        kind=kind,
        subject=subject,
        merchant_id=merchant_id,
        detail=detail[:500],
        created_at=func.now(),
    )
    again = fresh.on_conflict_do_update(
        index_elements=["subject", "kind"],
        set_={"resolved_at": None, "created_at": func.now(), "detail": fresh.excluded.detail},
        where=col(Incident.resolved_at).is_not(None),
    )
    await session.execute(again)


async def reported(session: AsyncSession, kind: Kind, *, subject: str) -> bool:
    """Whether there ever was one, open or not."""
    query = select(col(Incident.id)).where(
        col(Incident.subject) == subject, col(Incident.kind) == kind
    )
    return (await session.execute(query)).scalar_one_or_none() is not None


async def resolve(session: AsyncSession, kind: Kind, *, subject: str) -> None:
    """The machine found its way after all."""
    await session.execute(
        update(Incident)
        .where(
            col(Incident.subject) == subject,
            col(Incident.kind) == kind,
            col(Incident.resolved_at).is_(None),
        )
        .values(resolved_at=func.now())
    )


async def newest(
    session: AsyncSession, *, limit: int, after: Incident | None = None
) -> list[Incident]:
    query = select(Incident).order_by(col(Incident.created_at).desc(), col(Incident.id))
    if after is not None:
        at, older = after.created_at, col(Incident.created_at) < after.created_at
        query = query.where(
            older | ((col(Incident.created_at) == at) & (col(Incident.id) > after.id))
        )
    return list((await session.execute(query.limit(limit))).scalars())
