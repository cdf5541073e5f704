"""When somebody who pays is read again by ourselves: an event may be lost, and money may not.

A page that was opened is looked at soon and then ever more rarely, until what it sells is there or
the processor has closed it. Who subscribes is looked at when their month is over, and daily, as is
who disputes.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.subscribers import GRACE, BillingOrder, Subscriber

AGAIN = timedelta(seconds=30)
DAY = timedelta(days=1)
_FIRST = timedelta(seconds=20)
# The processor closes a page after a day, and collects a month an hour or so after it began.
_PAGE_LIFE = timedelta(hours=25)
_SLACK = timedelta(hours=2)

_OPEN = text("""
SELECT max(created_at) FROM billing_order
WHERE user_id = :user AND page_id IS NOT NULL AND created_at > now() - CAST(:life AS interval)
  AND NOT (kind IN ('plan', 'change') AND item = :granted) AND id <> ALL (CAST(:paid AS text[]))
""")


async def opened(session: AsyncSession, user_id: str, *, order: str, page: str) -> None:
    """Somebody may pay there from now on. A reading under way began before: it must begin again."""
    await session.execute(
        update(BillingOrder).where(col(BillingOrder.id) == order).values(page_id=page)
    )
    await session.execute(
        update(Subscriber)
        .where(col(Subscriber.user_id) == user_id)
        .values(
            next_sync_at=func.least(col(Subscriber.next_sync_at), func.now() + _FIRST),
            version=col(Subscriber.version) + 1,
        )
    )


async def waiting(
    session: AsyncSession, user_id: str, *, granted: str, paid: Sequence[str]
) -> datetime | None:
    """Since when the newest page stands open whose plan or pack is not there."""
    values = {"user": user_id, "life": _PAGE_LIFE, "granted": granted, "paid": list(paid)}
    found: datetime | None = (await session.execute(_OPEN, values)).scalar_one()
    return found


def after(
    now: datetime,
    *,
    page: datetime | None,
    period_end: datetime | None,
    past_due: datetime | None,
    disputed: bool,
    soon: bool,
) -> datetime | None:
    """The next look. `page`: one stands open since then; `period_end`: of a live subscription;
    `past_due`: since then a payment is owed; `disputed`: a bank has to decide; `soon`: something
    is still missing."""
    moments = []
    if soon:
        moments.append(now + AGAIN)
    if page is not None:
        moments.append(now + max(_FIRST, (now - page) / 2))
    if past_due is not None:
        moments.append(past_due + GRACE)
    if period_end is not None or disputed:
        moments.append(now + DAY)
    if period_end is not None and period_end + _SLACK > now:
        moments.append(period_end + _SLACK)
    return min(moments, default=None)
