"""Spending limits: how much a person may agree to in one day, by their own word or an operator's.

What a day has spent is the sum of the purchases that were agreed to on it and did not fail: the
gate and what is shown read these same rows, and a purchase that fails frees its part by failing.
Two confirmations at once take turns at the person's row, so that neither overlooks the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Text, cast, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.auth import UserAccount
from backend.checkout import MOVING, Checkout, instant
from backend.errors import Conflict, NotFound
from integrations.money import Money

By = Literal["person", "operator"]
_COUNTED = (*MOVING, "completed")
# The person's own day. Whoever changed the time zone within the last day gets no second one out of
# it: the last 24 hours count as well until the change is a day old.
_DAY = text("""
SELECT LEAST(d.start, CASE WHEN d.moved > now() - interval '1 day'
    THEN now() - interval '1 day' END) AS start,
  GREATEST((d.local + interval '1 day') AT TIME ZONE :zone, d.moved + interval '1 day') AS end
FROM (SELECT l.local, l.local AT TIME ZONE :zone AS start, CAST(:moved AS timestamptz) AS moved
  FROM (SELECT date_trunc('day', now() AT TIME ZONE :zone) AS local) l) d
""")


class SpendingLimitReached(Conflict):
    code = "spending_limit"
    title = "This would be more than may be spent today; nothing was charged"


@dataclass(frozen=True, slots=True)
class Day:
    """A person's day on their own clock: what may be spent, what is spent, when the next begins.

    `limits` are in one currency each; `spent` is by currency, in minor units.
    """

    limits: Mapping[By, Money]
    spent: Mapping[str, int]
    resets_at: datetime

    def document(self) -> dict[str, Any]:
        return {
            "limits": {
                by: {
                    "amount": limit.amount,
                    "currency": limit.currency,
                    "remaining": max(0, limit.amount - self.spent.get(limit.currency, 0)),
                }
                for by, limit in self.limits.items()
            },
            "spent": dict(self.spent),
            "resets_at": instant(self.resets_at),
        }


async def day(session: AsyncSession, user_id: str, *, besides: str = "") -> Day:
    """Today as it stands, without the checkout `besides`. Raises `NotFound`."""
    query = select(UserAccount).where(col(UserAccount.id) == user_id)
    row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        raise NotFound
    start, end = (
        await session.execute(_DAY, {"zone": row.timezone, "moved": row.timezone_since})
    ).one()
    sums = (
        select(col(Checkout.currency), func.sum(col(Checkout.total)))
        .where(
            col(Checkout.user_id) == user_id,
            col(Checkout.state).in_(_COUNTED),
            col(Checkout.confirmed_at) >= start,
            col(Checkout.id) != besides,
        )
        .group_by(col(Checkout.currency))
    )
    spent = {currency: int(total or 0) for currency, total in (await session.execute(sums)).all()}
    limits = {by: Money(held["amount"], held["currency"]) for by, held in row.limits.items()}
    return Day(limits, spent, end)  # type: ignore[arg-type]


async def reserve(session: AsyncSession, seen: Checkout) -> None:
    """Room for this purchase in the person's day, held by its row from now on.

    Call it in the transaction that takes the consent. Raises `SpendingLimitReached`; a limit in
    another currency lets nothing through, because nothing is ever converted.
    """
    if not seen.total:
        return
    locked = (
        select(col(UserAccount.limits))
        .where(col(UserAccount.id) == seen.user_id)
        .with_for_update(key_share=True)
    )
    if not (await session.execute(locked)).scalar_one_or_none():
        return
    today = await day(session, seen.user_id, besides=seen.id)
    for by, limit in today.limits.items():
        spent = today.spent.get(seen.currency, 0)
        if limit.currency != seen.currency or spent + seen.total > limit.amount:
            whose = "You have" if by == "person" else "Your operator has"
            raise SpendingLimitReached(
                f"{whose} set a limit of {limit.text()} a day; this purchase of"
                f" {seen.amount.text()} is beyond it",
                extra={"spending": today.document()},
            )


async def limit(session: AsyncSession, user_id: str, by: By, most: Money | None) -> None:
    """Set a limit, or lift it with None. Raises `NotFound`."""
    now: Any = col(UserAccount.limits)
    if most is None:
        changed = now.op("-")(cast(by, Text))
    else:
        held = {by: {"amount": most.amount, "currency": most.currency}}
        changed = now.concat(cast(held, JSONB))
    query = (
        update(UserAccount)
        .where(col(UserAccount.id) == user_id)
        .values(limits=changed)
        .returning(col(UserAccount.id))
    )
    if (await session.execute(query)).scalar_one_or_none() is None:
        raise NotFound
