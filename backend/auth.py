"""Who is asking: keys, sessions, roles. Keys are shown once and stored as SHA-256 only.

A key has 256 random bits, so a plain hash is enough; passwords are people's and get Argon2.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request
from pwdlib import PasswordHash
from sqlalchemy import DateTime, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.database import Database
from backend.errors import Forbidden, NotFound, Unauthenticated
from backend.ids import new_id
from backend.vault import Vault

Role = Literal["user", "merchant", "operator"]
COOKIE = "emptor_session"
SESSION_LIFE = timedelta(days=30)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_passwords = PasswordHash.recommended()


MOMENT: Any = DateTime(timezone=True)  # an instance, which SQLModel's stubs do not foresee


class UserAccount(SQLModel, table=True):
    """A person. `buyer`, `address` and `payment_token` never reach a model."""

    __tablename__ = "user_account"
    id: str = Field(default_factory=lambda: new_id("usr"), primary_key=True)
    name: str = ""
    email: str | None = Field(default=None, unique=True)
    password_hash: str | None = None
    plan: str = "free"
    timezone: str = "UTC"
    timezone_since: datetime | None = Field(default=None, sa_type=MOMENT)  # when last changed
    style: str = "balanced"
    warmth: int = 50
    effort: str = "auto"
    pinned_model: str | None = None
    buyer: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    address: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    payment_token: str | None = None
    limits: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSONB, sa_column_kwargs={"server_default": "{}"}
    )
    guest: bool = False
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    deleted_at: datetime | None = Field(default=None, sa_type=MOMENT)


def move(row: UserAccount, timezone: str) -> None:
    """The person's days are those of this IANA zone from now on."""
    if timezone != row.timezone or row.timezone_since is None:
        row.timezone, row.timezone_since = timezone, cast(Any, func.now())


def placed(row: UserAccount) -> bool:
    """Whether anybody ever said where this person lives."""
    return row.timezone_since is not None or row.timezone != "UTC"


class ApiKey(SQLModel, table=True):
    __tablename__ = "api_key"
    id: str = Field(default_factory=lambda: new_id("key"), primary_key=True)
    hash: str = Field(unique=True)
    hint: str
    role: str
    user_id: str | None = Field(default=None, index=True)
    merchant_id: str | None = Field(default=None, index=True)
    read_only: bool = False
    expires_at: datetime | None = Field(default=None, sa_type=MOMENT)
    revoked_at: datetime | None = Field(default=None, sa_type=MOMENT)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


class WebSession(SQLModel, table=True):
    __tablename__ = "web_session"
    hash: str = Field(primary_key=True)
    role: str
    user_id: str | None = Field(default=None, index=True)
    merchant_id: str | None = None
    read_only: bool = False
    expires_at: datetime = Field(sa_type=MOMENT)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request speaks for. Every query for rows of somebody takes one.

    `credential` names the key or session that was shown, not whom it is for.
    """

    role: Role
    user_id: str = ""
    merchant_id: str = ""
    read_only: bool = False
    credential: str = field(default="", compare=False)

    @property
    def id(self) -> str:
        """One word for logs, rate limits and the scope of idempotency keys. Operators have no row
        of their own, so that two of them differ by their credential alone."""
        return self.user_id or self.merchant_id or f"{self.role}:{self.credential}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def create_key(
    session: AsyncSession,
    *,
    role: Role,
    user_id: str | None = None,
    merchant_id: str | None = None,
    read_only: bool = False,
    expires_at: datetime | None = None,
) -> str:
    """A new key as the caller must keep it: `emptor_user_…`. It cannot be shown again."""
    token = f"emptor_{role}_{secrets.token_urlsafe(32)}"
    session.add(
        ApiKey(
            hash=_hash(token),
            hint=token[-4:],
            role=role,
            user_id=user_id,
            merchant_id=merchant_id,
            read_only=read_only,
            expires_at=expires_at,
        )
    )
    await session.flush()
    return token


async def by_key(session: AsyncSession, token: str) -> Principal:
    """Raises `Unauthenticated` for an unknown, revoked or expired key, or an erased person."""
    query = (
        select(ApiKey)
        .outerjoin(UserAccount, col(UserAccount.id) == col(ApiKey.user_id))
        .where(
            col(ApiKey.hash) == _hash(token),
            col(ApiKey.revoked_at).is_(None),
            col(UserAccount.deleted_at).is_(None),
            (col(ApiKey.expires_at).is_(None)) | (col(ApiKey.expires_at) > func.now()),
        )
    )
    return _principal((await session.execute(query)).scalar_one_or_none())


async def by_cookie(session: AsyncSession, token: str) -> Principal:
    """Raises `Unauthenticated` when the session is unknown or over."""
    query = select(WebSession).where(
        col(WebSession.hash) == _hash(token),
        col(WebSession.expires_at) > func.now(),
    )
    return _principal((await session.execute(query)).scalar_one_or_none())


def _principal(row: ApiKey | WebSession | None) -> Principal:
    if row is None:
        raise Unauthenticated
    return Principal(
        cast(Role, row.role),
        row.user_id or "",
        row.merchant_id or "",
        row.read_only,
        row.id if isinstance(row, ApiKey) else f"session:{row.hash}",
    )


async def open_session(session: AsyncSession, principal: Principal) -> str:
    """A cookie's value for this principal, good for 30 days."""
    token = secrets.token_urlsafe(32)
    session.add(
        WebSession(
            hash=_hash(token),
            role=principal.role,
            user_id=principal.user_id or None,
            merchant_id=principal.merchant_id or None,
            read_only=principal.read_only,
            expires_at=(await session.execute(select(func.now() + SESSION_LIFE))).scalar_one(),
        )
    )
    await session.flush()
    return token


async def close_session(session: AsyncSession, token: str) -> None:
    await session.execute(delete(WebSession).where(col(WebSession.hash) == _hash(token)))


async def revoke(session: AsyncSession, user_id: str) -> None:
    """Every key and session of a person stops working with this transaction."""
    await session.execute(
        update(ApiKey).where(col(ApiKey.user_id) == user_id).values(revoked_at=func.now())
    )
    await session.execute(delete(WebSession).where(col(WebSession.user_id) == user_id))


def hash_password(password: str) -> str:
    return _passwords.hash(password)


# Verified when the account does not exist, so that both answers take the same time.
_NOBODY = _passwords.hash(secrets.token_urlsafe(16))


def password_fits(password: str, stored: str | None) -> bool:
    """CPU-bound: call it in a thread."""
    return _passwords.verify(password, stored or _NOBODY) and stored is not None


async def user(session: AsyncSession, user_id: str) -> UserAccount:
    """The person's row. Raises `NotFound` for an unknown or erased one."""
    row = await session.get(UserAccount, user_id)
    if row is None or row.deleted_at is not None:
        raise NotFound
    return row


def _same_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
    return urlsplit(origin).netloc == request.headers.get("host")


def session_token(request: Request) -> str | None:
    """What the session cookie holds, if it is one that we signed."""
    vault: Vault = request.app.state.vault
    return vault.signed(request.cookies.get(COOKIE, ""))


async def guest(request: Request) -> str | None:
    """The guest whose cookie comes with this request of our own page."""
    database: Database = request.app.state.database
    token = session_token(request)
    if token is None or not _same_origin(request):
        return None
    async with database.transaction() as session:
        try:
            row = await user(session, (await by_cookie(session, token)).user_id)
        except (NotFound, Unauthenticated):
            return None
    return row.id if row.guest else None


async def principal(request: Request) -> Principal:
    """From `Authorization: Bearer`, else from the session cookie of the same origin."""
    database: Database = request.app.state.database
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        async with database.transaction() as session:
            return await by_key(session, token.strip())
    cookie = session_token(request)
    if cookie is None:
        raise Unauthenticated
    if request.method not in SAFE_METHODS and not _same_origin(request):
        raise Forbidden("This page of another origin may not act for you")
    async with database.transaction() as session:
        return await by_cookie(session, cookie)


AnyKey = Annotated[Principal, Depends(principal)]


def _only(role: Role, who: Principal, request: Request) -> Principal:
    if who.role != role:
        raise Forbidden(f"This address is for the {role} role; this key's role is {who.role}")
    if who.read_only and request.method not in SAFE_METHODS:
        raise Forbidden("This key may only read")
    return who


async def user_key(who: AnyKey, request: Request) -> Principal:
    return _only("user", who, request)


async def merchant_key(who: AnyKey, request: Request) -> Principal:
    return _only("merchant", who, request)


async def operator_key(who: AnyKey, request: Request) -> Principal:
    return _only("operator", who, request)


UserKey = Annotated[Principal, Depends(user_key)]
MerchantKey = Annotated[Principal, Depends(merchant_key)]
OperatorKey = Annotated[Principal, Depends(operator_key)]
