"""What was agreed to, read out: for the person who did, and for operators."""

from typing import Any

from fastapi import APIRouter, Depends, Request

from backend import checkout, mandates
from backend.auth import UserKey, operator_key
from backend.checkout import Checkout
from backend.database import Session
from backend.idempotency import IdempotentRoute
from backend.settings import Settings

router = APIRouter(route_class=IdempotentRoute)


def _read(request: Request, row: Checkout) -> dict[str, Any]:
    settings: Settings = request.app.state.settings
    return mandates.document(row, request.app.state.ucp.key, public_url=settings.url)


@router.get("/api/checkouts/{checkout_id}/mandate", tags=["checkouts"])
async def own_mandate(
    checkout_id: str, who: UserKey, session: Session, request: Request
) -> dict[str, Any]:
    """The consent to a checkout: our record and, under `ap2`, the same as AP2 0.2 mandates.

    The checkout token is an ES256 JWT; its key stands in `/.well-known/ucp`. 409 `not_confirmed`
    before anybody agreed.
    """
    return _read(request, await checkout.fetch(session, checkout_id, user_id=who.user_id))


@router.get(
    "/operator/v1/checkouts/{checkout_id}/mandate",
    tags=["Operator"],
    dependencies=[Depends(operator_key)],
)
async def any_mandate(checkout_id: str, session: Session, request: Request) -> dict[str, Any]:
    """The same for any checkout: the evidence in a dispute."""
    return _read(request, await mandates.fetch(session, checkout_id))
