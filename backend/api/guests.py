"""Guests: how often an address may make and use them, and how one gets an account.

The limits stop abuse and nothing else; what a guest may use is their plan's business.
"""

import asyncio
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Any

from fastapi import APIRouter, Request
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import Field

from backend import arrival, auth
from backend.api.strict import Strict
from backend.auth import UserAccount, UserKey
from backend.database import Database
from backend.errors import Conflict, TooManyRequests
from backend.idempotency import IdempotentRoute

router = APIRouter(prefix="/api", tags=["Person"], route_class=IdempotentRoute)
# A household or a small office shares an address; a farm of guests needs more than that.
ARRIVALS: tuple[RateLimitItem, ...] = (RateLimitItemPerMinute(10), RateLimitItemPerDay(300))
TURNS: tuple[RateLimitItem, ...] = (RateLimitItemPerMinute(60), RateLimitItemPerDay(3_000))
ACCOUNTS: tuple[RateLimitItem, ...] = (RateLimitItemPerMinute(10), RateLimitItemPerDay(100))


class NewAccount(Strict):
    email: str = Field(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=8, max_length=200)
    name: str = Field("", max_length=200)


async def throttle(request: Request, name: str, limits: tuple[RateLimitItem, ...]) -> None:
    """Raises `TooManyRequests` when this address has done that too often."""
    address = household(request.client.host if request.client else "")
    limiter: FixedWindowRateLimiter = request.app.state.limiter
    for limit in limits:
        if not await limiter.hit(limit, name, address):
            wait = "60" if limit.get_expiry() <= 60 else "3600"
            raise TooManyRequests(headers={"Retry-After": wait})


def household(host: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, for everybody has all of the rest."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    plain = address.ipv4_mapped
    return str(plain) if plain else str(IPv6Network((address, 64), strict=False))


async def speaker(request: Request, who: auth.Principal) -> UserAccount:
    """The person who wants a turn. A guest's address is held to `TURNS`."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        row = await auth.user(session, who.user_id)
    if row.guest:
        await throttle(request, "guest-turn", TURNS)
    return row


@router.post("/account", status_code=201)
async def create_account(body: NewAccount, request: Request, who: UserKey) -> dict[str, Any]:
    """A guest signs up: the session, the conversations and the orders stay as they are.

    Whoever has an account already signs in at `POST /api/session` instead; what was said as a
    guest moves over.
    """
    database: Database = request.app.state.database
    await throttle(request, "account", ACCOUNTS)
    async with database.transaction() as session:
        if not (await auth.user(session, who.user_id)).guest:
            raise Conflict("You have an account already", code="not_a_guest")
    password_hash = await asyncio.to_thread(auth.hash_password, body.password)
    async with database.transaction() as session:
        row = await arrival.settle_in(
            session, who.user_id, email=body.email, password_hash=password_hash, name=body.name
        )
    return {"id": row.id, "name": row.name, "email": row.email, "plan": row.plan, "guest": False}
