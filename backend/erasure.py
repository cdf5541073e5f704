"""What a person may ask of their data: a copy of it, or that it goes.

Erasure takes names, addresses, words, keys and sessions. Turn costs, orders and ledger entries
keep amounts under an id that no longer leads to anybody (GDPR art. 17(3)(b)).
"""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import auth, cards, checkout, idempotency, income, orders, subscribers, threads
from backend.auth import UserAccount
from backend.queue import enqueue
from backend.subscribers import BillingPayment
from backend.threads import Thread, TurnRow


async def export(session: AsyncSession, user_id: str) -> dict[str, Any]:
    """Everything kept about this person, JSON-shaped."""
    row = await auth.user(session, user_id)
    turns = select(TurnRow).where(col(TurnRow.user_id) == user_id).order_by(col(TurnRow.created_at))
    spoken = (await session.execute(turns)).scalars().all()
    paid = select(BillingPayment).where(col(BillingPayment.user_id) == user_id)
    payments = (await session.execute(paid.order_by(col(BillingPayment.paid_at)))).scalars()
    return {
        "account": row.model_dump(mode="json", exclude={"password_hash"}),
        "threads": [
            thread.model_dump(mode="json")
            for thread in await threads.threads(session, user_id, before=None, limit=10_000)
        ],
        "turns": [turn.model_dump(mode="json") for turn in spoken],
        "payment_methods": [cards.document(card) for card in await cards.saved(session, user_id)],
        "payments": [income.as_json(one) for one in payments],
        "checkouts": [
            checkout.document(one)
            for one in await checkout.newest(session, user_id=user_id, limit=10_000)
        ],
        "orders": [
            orders.document(one)
            for one in await orders.newest(session, user_id=user_id, limit=10_000)
        ],
    }


async def erase(session: AsyncSession, user_id: str) -> None:
    """One transaction; afterwards no key, session or row leads to the person."""
    await auth.revoke(session, user_id)
    # Before the checkouts: one that ends at this moment sees it, or is seen.
    await session.execute(
        update(UserAccount)
        .where(col(UserAccount.id) == user_id)
        .values(
            name="",
            email=None,
            password_hash=None,
            buyer=None,
            address=None,
            payment_token=None,
            deleted_at=func.now(),
        )
    )
    await checkout.forget(session, user_id)
    await idempotency.forget(session, user_id)
    if await cards.forget(session, user_id):
        await enqueue(session, cards.REFRESH, args={"user_id": user_id})
    await subscribers.close(session, user_id)
    await session.execute(
        update(TurnRow).where(col(TurnRow.user_id) == user_id).values(**threads.WORDLESS)
    )
    await session.execute(
        update(Thread).where(col(Thread.user_id) == user_id).values(title="", client_id=None)
    )
