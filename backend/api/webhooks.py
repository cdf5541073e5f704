"""Events from outside: Stripe's and the merchants'. Verified on raw bytes, taken in once."""

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request

from backend import handoff, inbox
from backend.api.heard import heard
from backend.api.strict import check_json
from backend.checkout import Checkout
from backend.errors import BadRequest, Unauthenticated
from backend.till import Till
from integrations.payments import PaymentRefused

router = APIRouter(tags=["webhooks"])


class BadSignature(BadRequest):
    code = "bad_signature"
    title = "The signature does not fit this body, or it is too old"


class UnknownSender(Unauthenticated):
    code = "bad_signature"
    title = "The signature is not of a merchant that this event can come from"


@router.post("/webhooks/stripe")
async def stripe_event(request: Request) -> dict[str, Any]:
    """Stripe's events. The payment itself is read again before anything is decided."""
    till: Till = request.app.state.till
    body = await request.body()
    try:
        event = till.payments.event(body, request.headers.get("stripe-signature", ""))
        check_json(event.raw)
    except PaymentRefused as refused:
        raise BadSignature from refused
    except ValueError as error:
        raise BadRequest(f"The event cannot be kept: {error}") from error
    async with till.database.transaction() as session:
        fresh = await inbox.payment_event(session, event)
    return {"received": True, "duplicate": not fresh}


@router.post("/agentic_checkout/webhooks/order_events")
async def order_event(request: Request) -> dict[str, Any]:
    """A merchant's order events, as ACP or as our booking API has them: `Merchant-Signature:
    t=…,v1=…`, 300 s.

    An order that came of a hand-off carries the token of our address, as `attribution.token`,
    `affiliate_attribution.token` or `checkout_session_id`.
    """
    till: Till = request.app.state.till
    body = await request.body()
    header = request.headers.get("merchant-signature", "")
    event = heard(body)
    async with till.database.transaction() as session:
        found = await inbox.senders(session, event.session_id)
        token = handoff.token_in(event.order)
        marked = await handoff.sent(session, request.app.state.vault, token)
        numbered = await inbox.numbered(session, event.order_id)
    candidates = [*found, *([marked] if marked is not None else []), *numbered]
    row = await _sender(till, sorted(candidates, key=inbox.over), header, body)
    event_id = event.known_as(header, body)
    async with till.database.transaction() as session:
        fresh = await inbox.order_event(
            session, row, event_id=event_id, kind=event.kind, data=event.order
        )
    return {"received": True, "duplicate": not fresh}


async def _sender(till: Till, candidates: Sequence[Checkout], header: str, body: bytes) -> Checkout:
    """The purchase whose merchant signed this. Raises the same error for every reason not to."""
    for row in candidates:
        secret = await till.webhook_secret(row.merchant_id)
        if secret is None:
            continue
        at = inbox.signed_at(header, body, [secret])
        if at is not None and abs(time.time() - at) <= inbox.TOLERANCE_S:
            return row
    raise UnknownSender
