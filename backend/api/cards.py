"""Saved cards: added on the payment service's own page, listed, and let go of."""

from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from backend import auth, cards, wallet
from backend.auth import UserAccount, UserKey
from backend.idempotency import IdempotentRoute
from backend.wallet import Wallet
from integrations.payments import PaymentError

log = structlog.get_logger()
router = APIRouter(prefix="/api", tags=["Payment methods"], route_class=IdempotentRoute)
_ON_FILE = {"type": "saved", "id": "default", "label": "Saved card"}
_TEST = {"type": "card", "token": "pm_card_visa", "label": "Visa •••• 4242 (test card)"}


async def methods(
    session: AsyncSession, row: UserAccount, *, simulated: bool
) -> list[dict[str, Any]]:
    """What a page may offer to pay with. Test cards exist where no real money moves."""
    kept = [cards.document(card) for card in await cards.saved(session, row.id)]
    return kept + ([_ON_FILE] if row.payment_token else []) + ([_TEST] if simulated else [])


@router.post("/payment-methods", status_code=201)
async def add_card(request: Request, who: UserKey) -> dict[str, Any]:
    """`{"id", "url"}`: a page of the payment service where a card is typed in and kept.

    No card number comes to us. Once it is kept, `GET /api/payment-methods` lists it and
    `{"type": "saved", "id"}` pays with it.
    """
    return await wallet.add(request.app.state.wallet, who.user_id)


@router.get("/payment-methods")
async def list_methods(request: Request, who: UserKey) -> dict[str, Any]:
    """`{"data": […]}`, each entry as `payment_method` takes it, with a label; newest card first.

    The payment service is asked first; while it does not answer, it is what we last knew.
    """
    purse: Wallet = request.app.state.wallet
    try:
        await wallet.refresh(purse, who.user_id)
    except PaymentError as error:
        log.warning("cards_unread", user_id=who.user_id, detail=error.detail)
    async with purse.database.transaction() as session:
        row = await auth.user(session, who.user_id)
        simulated = request.app.state.settings.simulated_stripe
        return {"data": await methods(session, row, simulated=simulated)}


@router.delete("/payment-methods/{card_id}", status_code=204)
async def remove_card(card_id: str, request: Request, who: UserKey) -> Response:
    """It pays nothing more from now on, and the payment service lets it go."""
    await wallet.remove(request.app.state.wallet, who.user_id, card_id)
    return Response(status_code=204)
