"""UCP's two public places: our platform profile, and where merchants send signed order events."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from backend import handoff, inbox, merchants
from backend.api.strict import parsed
from backend.checkout import Checkout
from backend.database import Database
from backend.errors import BadRequest, NotFound, Unauthenticated
from backend.settings import Settings
from integrations.partner import PartnerError
from integrations.signatures import SignatureRefused, digest
from integrations.ucp import Platform
from integrations.ucp_profile import VERSIONS, WELL_KNOWN, platform_profile
from integrations.ucp_session import order_status
from integrations.ucp_signing import body_only, check, signer
from integrations.wire import object_at

router = APIRouter(tags=["UCP"])
ORDER_EVENTS = "/ucp/webhooks/orders"


@router.get(WELL_KNOWN)
async def newest_profile(request: Request, response: Response) -> dict[str, Any]:
    """Our platform profile: what we speak, how we pay, where events go, and our signing keys."""
    return _profile(request, response, VERSIONS[0])


@router.get(WELL_KNOWN + "/{version}")
async def older_profile(version: str, request: Request, response: Response) -> dict[str, Any]:
    """The same for a merchant that reads an older version."""
    if version not in VERSIONS:
        raise NotFound(f"We speak UCP {' and '.join(VERSIONS)}")
    return _profile(request, response, version)


def _profile(request: Request, response: Response, version: str) -> dict[str, Any]:
    settings: Settings = request.app.state.settings
    response.headers["Cache-Control"] = "public, max-age=3600"
    return platform_profile(
        version,
        base_url=settings.url,
        webhook_url=settings.url + ORDER_EVENTS,
        keys=[request.app.state.ucp.key],
    )


@router.post(ORDER_EVENTS)
async def order_event(request: Request) -> dict[str, Any]:
    """A merchant's order as it stands now, signed with a key of its profile.

    By RFC 9421, with `Webhook-Id` and `Webhook-Timestamp` (300 s) signed too; or, as 2026-01-11
    has it, by a detached `Request-Signature` over a body with `event_id` and `created_time`. An id
    is taken in once.
    """
    body = await request.body()
    order = _parsed(body)
    event_id, at = _named(request.headers, order)
    database: Database = request.app.state.database
    row = await _sender(request, order, body)
    if not abs(time.time() - at) <= inbox.TOLERANCE_S:  # also where it is not a number
        raise BadRequest("Webhook-Timestamp: the event is too old or from the future")
    data = {**order, "status": order_status(order)}
    async with database.transaction() as session:
        fresh = await inbox.order_event(
            session, row, event_id=event_id, kind="ucp.order", data=data
        )
    return {"ucp": {"version": VERSIONS[0]}, "received": True, "duplicate": not fresh}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        order = parsed(body)
        order_status(order)
        named = isinstance(order["id"], str)
    except (ValueError, KeyError, TypeError, AttributeError, PartnerError) as error:
        raise BadRequest("The body is a UCP order") from error
    if not named:
        raise BadRequest("The body is a UCP order")
    found: dict[str, Any] = order
    return found


def _named(headers: Mapping[str, str], order: Mapping[str, Any]) -> tuple[str, float]:
    """The event's id and time: from the headers, or from the body as 2026-01-11 had them.

    A header that no signature covers could be anybody's.
    """
    vouched = {} if body_only(headers) else headers
    event_id = vouched.get("webhook-id") or order.get("event_id")
    written = vouched.get("webhook-timestamp")
    try:
        at = float(written) if written else inbox.instant_of(str(order["created_time"]))
    except (ValueError, KeyError) as error:
        raise BadRequest("Webhook-Timestamp: send the event's time") from error
    if not isinstance(event_id, str) or not 0 < len(event_id) <= 200:
        raise BadRequest("Webhook-Id: name the event")
    return event_id, at


async def _sender(request: Request, order: Mapping[str, Any], body: bytes) -> Checkout:
    """The purchase whose merchant signed this. Keys come from the profile that we have on record,
    never from an address that the event names.
    """
    platform: Platform = request.app.state.ucp
    settings: Settings = request.app.state.settings
    if request.headers.get("content-digest", digest(body)) != digest(body):
        raise BadRequest("Content-Digest does not fit the body", code="digest_mismatch")
    refused = SignatureRefused("key_not_found", "No merchant of ours can have sent this")
    for row, discovery_url in await _candidates(request, order):
        try:
            keys = await platform.directory.keys(discovery_url, signer(request.headers))
            check(
                (await platform.directory.business(discovery_url)).version,
                keys,
                method="POST",
                url=settings.url + ORDER_EVENTS,
                headers=dict(request.headers),
                body=body,
            )
        except SignatureRefused as error:
            refused = error
        except PartnerError:
            continue
        else:
            return row
    raise Unauthenticated(refused.detail, code=refused.code)


async def _candidates(request: Request, order: Mapping[str, Any]) -> Sequence[tuple[Checkout, str]]:
    """Purchases that this may be about, each with its merchant's profile address."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        rows = await _rows(session, request, order)
        found = []
        for row in rows:
            seller = await merchants.find(session, row.merchant_id)
            if seller is not None and seller.protocol == "ucp" and seller.discovery_url:
                found.append((row, seller.discovery_url))
    return found


async def _rows(
    session: AsyncSession, request: Request, order: Mapping[str, Any]
) -> Sequence[Checkout]:
    rows = list(await inbox.senders(session, str(order.get("checkout_id", ""))[:200]))
    token = object_at(order, "attribution").get("token")
    marked = await handoff.sent(session, request.app.state.vault, token)
    return [*rows, marked] if marked is not None else rows
