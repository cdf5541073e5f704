"""The cards that people keep with the processor: what of them we know, and whose they are.

A row is written when somebody asks for the page, before the processor hears of it. It holds what
a person must see to choose (brand, last digits, expiry) and never a number.
`wallet.py` asks the processor; here are only the rows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.checkout import MOMENT
from backend.ids import new_id
from backend.queue import enqueue
from integrations.payments import Method, PaymentEvent

REFRESH = "refresh_cards"
_ABOUT_CARDS = ("checkout.session.", "payment_method.", "setup_intent.")
_BRANDS = {
    "amex": "American Express",
    "unionpay": "UnionPay",
    "jcb": "JCB",
    "diners": "Diners Club",
}


class SavedCard(SQLModel, table=True):
    """`asked`: the page may be open. `saved`: it can pay. `removing`: the processor must let go.

    `customer_id` stands here, not only with the person: a guest's card comes along to an account.
    """

    __tablename__ = "saved_card"
    __table_args__ = (
        Index("saved_card_unsettled", "created_at", postgresql_where="state <> 'saved'"),
    )
    id: str = Field(default_factory=lambda: new_id("crd"), primary_key=True)
    user_id: str = Field(index=True)
    customer_id: str = Field(index=True)
    page_id: str | None = None
    method_id: str | None = Field(default=None, unique=True)
    brand: str = ""
    last4: str = ""
    exp_month: int = 0
    exp_year: int = 0
    state: str = "asked"
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


async def of(session: AsyncSession, user_id: str) -> Sequence[SavedCard]:
    """Every row of this person, newest first."""
    query = select(SavedCard).where(col(SavedCard.user_id) == user_id)
    query = query.order_by(col(SavedCard.created_at).desc(), col(SavedCard.id))
    return (await session.execute(query)).scalars().all()


async def saved(session: AsyncSession, user_id: str) -> list[SavedCard]:
    """What this person may pay with, newest first."""
    return [row for row in await of(session, user_id) if row.state == "saved"]


def method(row: SavedCard) -> Method:
    """The processor takes a kept card only together with its customer."""
    assert row.method_id is not None
    return Method(row.method_id, row.customer_id)


async def forget(session: AsyncSession, user_id: str, *, card_id: str | None = None) -> bool:
    """One card or all of a person's: no use from now on; the processor is told next.

    What could tell whose card it was goes at once. False: there was none.
    """
    query = (
        update(SavedCard)
        .where(col(SavedCard.user_id) == user_id, col(SavedCard.state) != "removing")
        .values(state="removing", brand="", last4="", exp_month=0, exp_year=0)
        .returning(col(SavedCard.id))
    )
    if card_id is not None:
        query = query.where(col(SavedCard.id) == card_id, col(SavedCard.state) == "saved")
    return bool((await session.execute(query)).scalars().all())


async def wake(session: AsyncSession, event: PaymentEvent) -> None:
    """Something happened to a page or a card of ours: the owner's cards are read again."""
    if not event.type.startswith(_ABOUT_CARDS):
        return
    # A card that was detached names no customer any more.
    about = str(event.raw.get("data", {}).get("object", {}).get("id"))
    mine = or_(col(SavedCard.customer_id) == event.customer_id, col(SavedCard.method_id) == about)
    owners = await session.execute(select(col(SavedCard.user_id)).where(mine).distinct())
    for user_id in owners.scalars().all():
        await enqueue(session, REFRESH, args={"user_id": user_id})


def document(row: SavedCard) -> dict[str, Any]:
    """A card as its owner sees it and names it in `payment_method`."""
    brand = _BRANDS.get(row.brand, row.brand.capitalize())
    return {
        "type": "saved",
        "id": row.id,
        "label": f"{brand} •••• {row.last4}",
        "brand": row.brand,
        "last4": row.last4,
        "exp_month": row.exp_month,
        "exp_year": row.exp_year,
    }
