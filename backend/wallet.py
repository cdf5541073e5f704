"""Saved cards: the page where a person adds one, what became of it, and letting it go again.

Nothing is believed that an event or a return from a page says: each only asks for `refresh`, which
reads the page and the cards at the processor. What it writes can only go forward (asked, saved,
removing, gone), so readings may come in any order and any number.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import and_, delete, func, or_, select, update
from sqlmodel import col

from backend import auth, cards, customers
from backend.abreast import abreast
from backend.cards import SavedCard
from backend.database import Database
from backend.errors import NotFound
from integrations.billing import Billing
from integrations.payments import Cards, KeptCard, PaymentError

log = structlog.get_logger()
# The processor closes a page after a day.
_PAGE_LIFE = timedelta(hours=25)
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Wallet:
    """`url` is the page that people come back to."""

    database: Database
    billing: Billing
    cards: Cards
    url: str


async def add(wallet: Wallet, user_id: str) -> dict[str, Any]:
    """`{"id", "url"}`: the processor's page where this person types a card in."""
    async with wallet.database.transaction() as session:
        user = await auth.user(session, user_id)
    customer = await customers.of(wallet.database, wallet.billing, user)
    async with wallet.database.transaction() as session:
        row = SavedCard(user_id=user_id, customer_id=customer)
        session.add(row)
        await session.flush()
    page = await customers.asked(
        wallet.cards.ask(
            customer=customer, card_id=row.id, back=f"{wallet.url}/card", key=f"card:{row.id}"
        )
    )
    if not await _write(wallet, row, {"page_id": page.id}):
        # The person's data was erased meanwhile: nobody may finish this page.
        await wallet.cards.close(page.id)
        raise NotFound
    return {"id": row.id, "url": page.url}


async def remove(wallet: Wallet, user_id: str, card_id: str) -> None:
    """It pays nothing more from now on, even while the processor does not answer."""
    async with wallet.database.transaction() as session:
        if not await cards.forget(session, user_id, card_id=card_id):
            raise NotFound("There is no saved card with this id")
        row = await session.get_one(SavedCard, card_id, populate_existing=True)
    await _tried(wallet, row)


async def refresh(wallet: Wallet, user_id: str) -> None:
    """Bring a person's rows to what the processor has. Raises `PaymentError`."""
    async with wallet.database.transaction() as session:
        rows = await cards.of(session, user_id)
    for row in rows:
        await _settle(wallet, row)
    mine = [row for row in rows if row.state == "saved"]
    for customer in {row.customer_id for row in mine}:
        kept = {card.token: card for card in await wallet.cards.kept(customer)}
        for row in mine:
            if row.customer_id == customer:
                await _compare(wallet, row, kept.get(row.method_id or ""))


async def sweep(wallet: Wallet) -> None:
    """Cards that must go, and pages that nobody finished."""
    old = col(SavedCard.created_at) < func.now() - _PAGE_LIFE
    waiting = or_(col(SavedCard.state) == "removing", and_(col(SavedCard.state) == "asked", old))
    query = select(SavedCard).where(waiting).order_by(func.random()).limit(_BATCH)
    async with wallet.database.transaction() as session:
        rows = (await session.execute(query)).scalars().all()
    await abreast([_tried(wallet, row) for row in rows])


async def _tried(wallet: Wallet, row: SavedCard) -> None:
    try:
        await _settle(wallet, row)
    except PaymentError as error:
        # The row says what is left to do: the next sweep goes on from here.
        log.warning("card_unsettled", card_id=row.id, detail=error.detail)


async def _settle(wallet: Wallet, row: SavedCard) -> None:
    """One step forward for a row that is between two states."""
    if row.state == "removing":
        await _let_go(wallet, row)
    elif row.state == "asked":
        page = await wallet.cards.look(row.page_id) if row.page_id else None
        card = page.card if page is not None else None
        if card is not None and card.customer == row.customer_id:
            await _keep(wallet, row, card)
        elif card is not None or (page is not None and page.state == "expired") or _old(row):
            await _drop(wallet, row)


def _old(row: SavedCard) -> bool:
    return row.created_at < datetime.now(UTC) - _PAGE_LIFE


async def _let_go(wallet: Wallet, row: SavedCard) -> None:
    token = row.method_id
    if token is None and row.page_id is not None:
        await wallet.cards.close(row.page_id)
        page = await wallet.cards.look(row.page_id)
        token = page.card.token if page.card is not None else None
    if token is not None:
        await wallet.cards.forget(token)
    await _drop(wallet, row)


async def _keep(wallet: Wallet, row: SavedCard, card: KeptCard) -> None:
    """A person who went away meanwhile keeps nothing: their row is `removing` by now."""
    await _write(wallet, row, {"state": "saved", "method_id": card.token} | _shown(card))


async def _compare(wallet: Wallet, row: SavedCard, card: KeptCard | None) -> None:
    """A card let go elsewhere never comes back; a bank may have renewed one."""
    if card is None:
        await _drop(wallet, row)
    elif any(getattr(row, name) != value for name, value in _shown(card).items()):
        await _write(wallet, row, _shown(card))


def _shown(card: KeptCard) -> dict[str, Any]:
    return {
        "brand": card.brand,
        "last4": card.last4,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
    }


async def _write(wallet: Wallet, read: SavedCard, values: dict[str, Any]) -> bool:
    """False: it went on meanwhile, and this reading counts no more."""
    same = (col(SavedCard.id) == read.id, col(SavedCard.state) == read.state)
    query = update(SavedCard).where(*same).values(**values).returning(col(SavedCard.id))
    async with wallet.database.transaction() as session:
        return (await session.execute(query)).scalar_one_or_none() is not None


async def _drop(wallet: Wallet, read: SavedCard) -> None:
    same = (col(SavedCard.id) == read.id, col(SavedCard.state) == read.state)
    async with wallet.database.transaction() as session:
        await session.execute(delete(SavedCard).where(*same))
