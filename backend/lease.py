"""Who drives a purchase right now, and how it moves on: lease, intent, transition, back-off.

The lease is only economy: it keeps two drivers from doing the same work. Safety comes from the
keys of the effects and from the compare-and-swap of every transition, which names the lease too,
so that a driver that lost it can no longer decide anything. A lease is not released on a crash;
it runs out.
"""

import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import checkout, effects, incidents
from backend.auth import UserAccount
from backend.checkout import MOVING, Checkout, move
from backend.database import RETURNED
from backend.effects import Effect, Intent, Outcome, PurchaseEffect
from backend.till import Till

LEASE = timedelta(seconds=30)
GRACE = timedelta(minutes=2)
BANK_LIFE = timedelta(minutes=30)  # what a card holder gets; processors keep the question for hours
_FIRST_DELAY_S = 0.25
_INLINE_DELAY_S = 1.0
_LAST_DELAY_S = 15.0
_STUCK_AFTER = 8


async def claim(till: Till, checkout_id: str) -> Checkout | None:
    """The row, leased to this driver; None when it stands still or another driver has it."""
    free = col(Checkout.lease_until).is_(None) | (col(Checkout.lease_until) <= func.now())
    query = (
        update(Checkout)
        .where(col(Checkout.id) == checkout_id, col(Checkout.state).in_(MOVING), free)
        .values(lease=secrets.token_hex(8), **_renewed())
        .returning(Checkout)
        .execution_options(**RETURNED)
    )
    async with till.database.transaction() as session:
        return (await session.execute(query)).scalar_one_or_none()


def _renewed() -> dict[str, Any]:
    return {"lease_until": func.now() + LEASE, "next_drive_at": func.now() + LEASE}


async def intend(till: Till, work: Checkout, effect: Effect) -> Intent | None:
    """Journal the effect and renew the lease, committed before the effect. None: lease lost."""
    async with till.database.transaction() as session:
        if await move(session, work, **_renewed()) is None:
            return None
        return await effects.begin(session, work.id, effect)


async def overdue(till: Till, work: Checkout) -> bool:
    """Whether the offer ran out so long ago that nothing new may be started for it."""
    query = select(col(Checkout.expires_at) + GRACE <= func.now()).where(
        col(Checkout.id) == work.id
    )
    async with till.database.transaction() as session:
        return bool((await session.execute(query)).scalar_one())


async def unanswered(till: Till, work: Checkout) -> bool:
    """Whether the bank's question stood for too long: since it was asked, or past a booking's hold.

    The offer's end does not count: nothing is held for it, and it is looked at again at placing.
    """
    asked = func.coalesce(col(PurchaseEffect.ended_at), col(PurchaseEffect.begun_at))
    ends = func.least(asked + BANK_LIFE, col(Checkout.hold_expires_at))
    query = (
        select(ends <= func.now())
        .join(PurchaseEffect, col(PurchaseEffect.checkout_id) == col(Checkout.id))
        .where(col(Checkout.id) == work.id, col(PurchaseEffect.effect) == "authorise")
    )
    async with till.database.transaction() as session:
        return bool((await session.execute(query)).scalar_one())


async def advance(
    till: Till,
    work: Checkout,
    *,
    ended: tuple[Effect, Outcome] | None = None,
    **changes: Any,
) -> Checkout | None:
    """One transition, still leased. None when the lease was lost: another driver decides."""
    async with till.database.transaction() as session:
        return await advance_in(session, work, ended=ended, **changes)


async def advance_in(
    session: AsyncSession,
    work: Checkout,
    *,
    ended: tuple[Effect, Outcome] | None = None,
    **changes: Any,
) -> Checkout | None:
    """`advance` inside a transaction that writes more than the transition."""
    moved = await move(session, work, attempts=0, **_renewed(), **changes)
    if moved is None:
        return None
    if ended is not None:
        await effects.end(session, work.id, *ended)
    if work.attempts >= _STUCK_AFTER:
        await incidents.resolve(session, "purchase_stuck", subject=work.id)
    return moved


async def give_up(
    till: Till, work: Checkout, code: str, detail: str, **known: Any
) -> Checkout | None:
    """Towards a failed end, by way of letting go whatever the processor holds."""
    return await advance(
        till, work, step="void", failure_code=code, failure_detail=detail[:500], **known
    )


async def stop(session: AsyncSession, work: Checkout, **changes: Any) -> Checkout | None:
    """The end or a pause: the row is nobody's. `next_drive_at` in `changes` says when to look."""
    standing = {"lease": None, "lease_until": None, "next_drive_at": None, "attempts": 0}
    moved = await move(session, work, **(standing | changes))
    if moved is not None and moved.state not in MOVING:
        await _forget_if_gone(session, moved)
    return moved


async def _forget_if_gone(session: AsyncSession, work: Checkout) -> None:
    """Whoever was erased meanwhile: the lock makes this wait for an erasure under way."""
    gone = select(col(UserAccount.deleted_at)).where(col(UserAccount.id) == work.user_id)
    if (await session.execute(gone.with_for_update(read=True))).scalar_one_or_none() is not None:
        await checkout.forget(session, work.user_id)


async def later(
    till: Till,
    work: Checkout,
    *,
    unreachable: Effect | None = None,
    wait_s: float = 0.0,
    **changes: Any,
) -> Checkout | None:
    """Try the same step again after a growing pause: short ones here, long ones by the job.

    `unreachable`: the effect certainly did not happen, so the next try need not look it up.
    `wait_s`: how long the other side wants to be left alone at least.
    """
    attempts = work.attempts + 1
    delay = max(wait_s, min(_FIRST_DELAY_S * 2 ** min(work.attempts, 16), _LAST_DELAY_S))
    inline = delay <= _INLINE_DELAY_S
    timing = (
        _renewed()
        if inline
        else {
            "lease": None,
            "lease_until": None,
            "next_drive_at": func.now() + timedelta(seconds=delay),
        }
    )
    async with till.database.transaction() as session:
        moved = await move(session, work, attempts=attempts, **timing, **changes)
        if moved is not None and unreachable is not None:
            await effects.end(session, work.id, unreachable, "unreachable")
        if moved is not None and attempts == _STUCK_AFTER:
            await incidents.report(
                session,
                "purchase_stuck",
                subject=work.id,
                merchant_id=work.merchant_id,
                detail=f"step {work.step}: no clear answer after {attempts} tries",
            )
    if moved is None or not inline:
        return None
    await till.pause(delay)
    return moved
