"""The saga's journal: what we are about to do outside, written and committed before we do it.

After a crash the journal tells a driver whether an effect may have happened. If so it looks the
effect up first; the key, made of the checkout's id and the effect's name, makes a repeat safe.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Boolean, ForeignKey, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.checkout import MOMENT

Effect = Literal["authorise", "place", "capture", "undo", "void"]
Outcome = Literal["done", "refused", "unreachable"]


class PurchaseEffect(SQLModel, table=True):
    """One outside effect of one checkout. `outcome` empty: it may be on its way right now.

    `maybe` stays true once an attempt ended without an answer: from then on, look up first.
    """

    __tablename__ = "purchase_effect"
    checkout_id: str = Field(
        primary_key=True, sa_column_args=[ForeignKey("checkout.id", ondelete="CASCADE")]
    )
    effect: str = Field(primary_key=True)
    key: str
    attempts: int = 1
    maybe: bool = Field(default=False, sa_type=Boolean)
    outcome: str | None = None
    begun_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    ended_at: datetime | None = Field(default=None, sa_type=MOMENT)


@dataclass(frozen=True, slots=True)
class Intent:
    """An effect written down. `maybe`: an earlier attempt may have happened, so look up first.

    `renewed`: an earlier consent to the same checkout led nowhere; what is left of it is not ours.
    """

    key: str
    maybe: bool
    attempts: int
    renewed: bool = False


async def begin(session: AsyncSession, checkout_id: str, effect: Effect) -> Intent:
    """Write the intent down. The caller commits before it acts."""
    first = f"purchase:{checkout_id}:{effect}"
    row: Any = insert(PurchaseEffect).values(
        checkout_id=checkout_id,
        effect=effect,
        key=first,
        attempts=1,
        maybe=False,
        begun_at=func.now(),
    )
    query = row.on_conflict_do_update(
        index_elements=["checkout_id", "effect"],
        set_={
            "attempts": PurchaseEffect.attempts + 1,
            "maybe": text("purchase_effect.maybe OR purchase_effect.outcome IS NULL"),
            "outcome": None,
            "ended_at": None,
        },
    ).returning(PurchaseEffect.key, PurchaseEffect.maybe, PurchaseEffect.attempts)
    key, maybe, attempts = (await session.execute(query)).one()
    return Intent(key=key, maybe=maybe, attempts=attempts, renewed=key != first)


async def renew(session: AsyncSession, checkout_id: str, revision: int) -> None:
    """What was tried of an earlier consent is over, and nothing of it holds: the next consent has
    keys of its own, so that no answer to the earlier one is ever taken for an answer to it."""
    keys = func.concat(f"purchase:{checkout_id}:", col(PurchaseEffect.effect), f":{revision}")
    await session.execute(
        update(PurchaseEffect)
        .where(col(PurchaseEffect.checkout_id) == checkout_id)
        .values(key=keys, attempts=0, maybe=False, outcome="refused", ended_at=func.now())
    )


async def end(session: AsyncSession, checkout_id: str, effect: Effect, outcome: Outcome) -> None:
    """Note how it ended, in the transaction that acts on it. Unknown outcomes stay empty."""
    await session.execute(
        update(PurchaseEffect)
        .where(col(PurchaseEffect.checkout_id) == checkout_id, col(PurchaseEffect.effect) == effect)
        .values(outcome=outcome, ended_at=func.now())
    )
