"""A person's own corner: sign in, preferences, allowance, search, export, erasure."""

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from limits import RateLimitItem, RateLimitItemPerMinute
from pydantic import Field, model_validator
from sqlalchemy import select
from sqlmodel import col

import quotas.usage as allowances
from backend import arrival, auth, erasure, legacy, subscribers
from backend.api import cards, guests
from backend.api.strict import Strict, TimeZone
from backend.auth import AnyKey, Principal, UserAccount, UserKey
from backend.database import Database, Session
from backend.errors import Forbidden, Unauthenticated
from backend.turn import Chat

router = APIRouter(prefix="/api", tags=["Person"])
SIGN_INS: tuple[RateLimitItem, ...] = (RateLimitItemPerMinute(20),)


class SignIn(Strict):
    """`{"key"}`, `{"email","password"}`, or `{}` for a guest."""

    key: str | None = Field(None, max_length=200)
    email: str | None = Field(None, max_length=200)
    password: str | None = Field(None, max_length=200)

    @model_validator(mode="after")
    def _one_way(self) -> "SignIn":
        if (self.email is None) != (self.password is None) or (self.key and self.email):
            raise ValueError("send a key, an e-mail address with its password, or nothing")
        return self


class Preferences(Strict):
    style: Literal["warm", "neutral", "balanced"] | None = None
    warmth: int | None = Field(None, ge=0, le=100)
    effort: Literal["auto", "low", "medium", "high"] | None = None
    pinned_model: str | None = Field(None, max_length=200)
    timezone: TimeZone | None = None


@router.post("/session", status_code=201)
async def sign_in(body: SignIn, request: Request, response: Response) -> dict[str, Any]:
    """Opens a session cookie for the page. What a guest said comes along to their account."""
    database: Database = request.app.state.database
    if body.key or body.email:
        await guests.throttle(request, "session", SIGN_INS)
    else:
        await guests.throttle(request, "guest", guests.ARRIVALS)
    who = await _who(database, body)
    guest_id = await auth.guest(request) if who.role == "user" and (body.key or body.email) else ""
    async with database.transaction() as session:
        if guest_id:
            await arrival.bring_along(session, guest_id=guest_id, user_id=who.user_id)
        token = await auth.open_session(session, who)
    response.set_cookie(
        auth.COOKIE,
        request.app.state.vault.sign(token),
        max_age=int(auth.SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.app.state.settings.url.startswith("https://"),
    )
    return {"role": who.role, "user_id": who.user_id or None, "read_only": who.read_only}


async def _who(database: Database, body: SignIn) -> Principal:
    if body.email is not None:
        return await _by_password(database, body.email, body.password or "")
    async with database.transaction() as session:
        if body.key is not None:
            return await auth.by_key(session, body.key)
        guest = UserAccount(name="Guest", guest=True)
        session.add(guest)
        await session.flush()
        return Principal("user", guest.id)


async def _by_password(database: Database, email: str, password: str) -> Principal:
    query = select(UserAccount).where(
        col(UserAccount.email) == email.lower(), col(UserAccount.deleted_at).is_(None)
    )
    async with database.transaction() as session:
        row = (await session.execute(query)).scalar_one_or_none()
    stored = row.password_hash if row else None
    fits = await asyncio.to_thread(auth.password_fits, password, stored)
    if row is None or not fits:
        raise Unauthenticated("E-mail address or password are not right", code="invalid_login")
    return Principal("user", row.id)


@router.delete("/session", status_code=204)
async def sign_out(request: Request, session: Session) -> Response:
    if token := auth.session_token(request):
        await auth.close_session(session, token)
    answer = Response(status_code=204)
    answer.delete_cookie(auth.COOKIE)
    return answer


@router.get("/me")
async def read_me(who: AnyKey, request: Request, session: Session) -> dict[str, Any]:
    """Who this is. Merchants and operators see their role only."""
    if who.role != "user":
        return {
            "role": who.role,
            "merchant_id": who.merchant_id or None,
            "read_only": who.read_only,
        }
    row = await auth.user(session, who.user_id)
    simulated = request.app.state.settings.simulated_stripe
    methods = await cards.methods(session, row, simulated=simulated)
    paying = await subscribers.of(session, row.id)
    chat: Chat = request.app.state.chat
    return {
        "role": "user",
        **_me(row, chat),
        "has_payment_method": any(one["type"] == "saved" for one in methods),
        "payment_methods": methods,
        "subscription": subscribers.document(paying),
        "notices": [
            *subscribers.notices(paying),
            *legacy.notices(chat.seats, row.pinned_model),
            *legacy.unheard(chat.seats, chat.plan_of(row), row.pinned_model),
        ],
    }


def _me(row: UserAccount, chat: Chat) -> dict[str, Any]:
    plan, seats = chat.plan_of(row), chat.seats
    return {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "plan": row.plan,
        "guest": row.guest,
        "timezone": row.timezone,
        "preferences": _preferences(row),
        "models": [name for name in seats.listed() if seats.choosable(plan, name)],
        "has_address": row.address is not None,
    }


def _preferences(row: UserAccount) -> dict[str, Any]:
    return {
        "style": row.style,
        "warmth": row.warmth,
        "effort": row.effort,
        "pinned_model": row.pinned_model,
        "timezone": row.timezone if auth.placed(row) else None,
    }


@router.put("/me/preferences")
async def set_preferences(
    body: Preferences, request: Request, who: UserKey, session: Session
) -> dict[str, Any]:
    """Fields left out stay as they are; `pinned_model: null` unpins.

    `timezone` is whose days the allowances count, by its IANA name; null until somebody said it.
    An open window keeps its end, and the first day in the new zone is no shorter than a day.
    """
    chat: Chat = request.app.state.chat
    row = await auth.user(session, who.user_id)
    given = body.model_dump(exclude_unset=True)
    if pinned := given.get("pinned_model"):
        chat.seats.known(pinned)
        if pinned != "auto" and not chat.seats.choosable(chat.plan_of(row), pinned):
            raise Forbidden(
                f"Your plan does not include choosing {pinned}", code="model_not_allowed"
            )
        given["pinned_model"] = None if pinned == "auto" else pinned
    if zone := given.pop("timezone", None):
        auth.move(row, zone)
    for field, value in given.items():
        if value is not None or field == "pinned_model":
            setattr(row, field, value)
    session.add(row)
    return _preferences(row)


@router.get("/quota")
async def read_quota(who: UserKey, request: Request, session: Session) -> dict[str, Any]:
    """The quota object of contract §6, from the rows that the gate writes."""
    chat: Chat = request.app.state.chat
    row = await auth.user(session, who.user_id)
    return await allowances.meter(
        session, subject=row.id, plan=chat.plan_of(row), timezone=row.timezone
    )


@router.get("/export")
async def export(who: UserKey, session: Session) -> dict[str, Any]:
    """Everything kept about this person, as JSON."""
    return await erasure.export(session, who.user_id)


@router.delete("/me", status_code=204)
async def erase(who: UserKey, session: Session) -> Response:
    """Name, address, words and keys go; amounts stay where the books must keep them."""
    await erasure.erase(session, who.user_id)
    answer = Response(status_code=204)
    answer.delete_cookie(auth.COOKIE)
    return answer
