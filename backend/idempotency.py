"""`Idempotency-Key` on native POSTs: the same key and JSON get the same answer and one effect.

A router whose routes are `IdempotentRoute` (or `KeyedRoute`, which refuses a request without a
key) needs nothing else. The claim is a row, so that any number of processes agree; a crash leaves
a lease that runs out. Money does not rely on this table: purchases and refunds are single-use by
their own rows. This spares the caller a second answer, not a second charge.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

import rfc8785
import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import ColumnElement, LargeBinary, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend import auth
from backend.checkout import MOMENT
from backend.database import Database
from backend.errors import (
    AppError,
    BadRequest,
    Conflict,
    IdempotencyConflict,
    IdempotencyInFlight,
    IdempotencyKeyRequired,
)
from backend.streams import Streamed
from backend.vault import Vault, VaultError

log = structlog.get_logger()
# Tasks that nobody else holds.
_tasks: set[asyncio.Task[None]] = set()

LEASE = timedelta(seconds=60)
KEPT = timedelta(hours=48)
KEY_MAX = 255
RETRY_AFTER_S = 2
LONGEST = timedelta(minutes=30)  # no request takes longer
_RENEWALS = 3  # in each lease
# Answers about who is asking or how often, or "not now", say nothing about the request itself.
_NOT_KEPT = frozenset({401, 403, 429})
_OWN_HEADERS = frozenset({"content-length", "x-request-id", "set-cookie", "date", "server"})
_BYTES: Any = LargeBinary()

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IdempotencyRow(SQLModel, table=True):
    """One key of one caller at one address. `status` empty: the first request still runs.

    `body` is sealed: some answers show a secret once, and it is nowhere else but as a hash.
    """

    __tablename__ = "idempotency_key"
    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: str
    claim: str
    lease_until: datetime = Field(sa_type=MOMENT)
    status: int | None = None
    headers: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    body: bytes | None = Field(default=None, sa_type=_BYTES)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT, index=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given the first time; its body as the vault wrapped it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request_hash(body: bytes) -> str:
    """Equal for bodies that mean the same JSON: key order and 1.0 against 1 do not matter."""
    try:
        canonical = rfc8785.dumps(json.loads(body)) if body else b""
    except (ValueError, RecursionError):
        canonical = b"raw:" + body
    return hashlib.sha256(canonical).hexdigest()


async def claim(session: AsyncSession, *, scope: str, key: str, request_hash: str) -> str | Kept:
    """A claim's token for the first request, or the answer that it got.

    Raises `IdempotencyConflict` for another body, `IdempotencyInFlight` while the first runs. A
    claim whose lease ran out (its process died) may be taken over by the same body.
    """
    token = secrets.token_hex(16)
    fresh = {"claim": token, "lease_until": func.now() + LEASE}
    query = (
        insert(IdempotencyRow)
        .values(
            scope=scope,
            key=key,
            request_hash=request_hash,
            headers={},
            created_at=func.now(),
            **fresh,
        )
        .on_conflict_do_update(
            index_elements=["scope", "key"],
            set_=fresh,
            where=(
                col(IdempotencyRow.status).is_(None)
                & (col(IdempotencyRow.lease_until) <= func.now())
                & (col(IdempotencyRow.request_hash) == request_hash)
            ),
        )
        .returning(col(IdempotencyRow.claim))
    )
    if (await session.execute(query)).scalar_one_or_none() is not None:
        return token
    return await _earlier(session, scope=scope, key=key, request_hash=request_hash)


async def _earlier(session: AsyncSession, *, scope: str, key: str, request_hash: str) -> Kept:
    query = select(IdempotencyRow).where(
        col(IdempotencyRow.scope) == scope, col(IdempotencyRow.key) == key
    )
    row = (await session.execute(query)).scalar_one_or_none()
    if row is not None and row.request_hash != request_hash:
        raise IdempotencyConflict
    if row is None or row.status is None or row.body is None:
        raise IdempotencyInFlight(headers={"Retry-After": str(RETRY_AFTER_S)})
    return Kept(row.status, row.headers, row.body)


def _ours(scope: str, key: str, token: str) -> ColumnElement[bool]:
    """The claim as this request made it: not answered, and not taken over."""
    return and_(
        col(IdempotencyRow.scope) == scope,
        col(IdempotencyRow.key) == key,
        col(IdempotencyRow.claim) == token,
        col(IdempotencyRow.status).is_(None),
    )


async def renew(session: AsyncSession, *, scope: str, key: str, token: str) -> None:
    """The request still runs: its claim holds on."""
    ours = update(IdempotencyRow).where(_ours(scope, key, token))
    await session.execute(ours.values(lease_until=func.now() + LEASE))


async def keep(session: AsyncSession, *, scope: str, key: str, token: str, answer: Kept) -> None:
    """Store the answer under a claim that is still ours."""
    ours = update(IdempotencyRow).where(_ours(scope, key, token))
    await session.execute(
        ours.values(status=answer.status, headers=dict(answer.headers), body=answer.body)
    )


async def drop(session: AsyncSession, *, scope: str, key: str, token: str) -> None:
    """Give the claim up: the request may be sent again as if it were the first."""
    await session.execute(delete(IdempotencyRow).where(_ours(scope, key, token)))


async def forget(session: AsyncSession, caller: str) -> None:
    """All that was ever answered to this caller."""
    theirs = col(IdempotencyRow.scope).startswith(f"{caller} ", autoescape=True)
    await session.execute(delete(IdempotencyRow).where(theirs))


async def forget_old(session: AsyncSession) -> None:
    """Keys are kept for two days; the contract promises one."""
    await session.execute(
        delete(IdempotencyRow).where(col(IdempotencyRow.created_at) < func.now() - KEPT)
    )


class Held:
    """A claim whose request runs here: it stays ours until the answer is kept or given up.

    Only a process that died lets it run out, or a request that takes longer than any may.
    """

    def __init__(self, database: Database, at: Mapping[str, str]) -> None:
        self._database = database
        self._at = at
        self._renewing = _task(self._renew())

    async def end(self, answer: Kept | None) -> None:
        """Keep this answer; None gives the claim up. It happens although the caller is cancelled:
        a web server cancels at each await once a reader has left."""
        self._renewing.cancel()
        await asyncio.shield(_task(self._write(answer)))

    async def _write(self, answer: Kept | None) -> None:
        async with self._database.transaction() as session:
            if answer is None:
                await drop(session, **self._at)
            else:
                await keep(session, answer=answer, **self._at)

    async def _renew(self) -> None:
        for _ in range(LONGEST // LEASE * _RENEWALS):
            await asyncio.sleep(LEASE.total_seconds() / _RENEWALS)
            try:
                async with self._database.transaction() as session:
                    await renew(session, **self._at)
            except (SQLAlchemyError, OSError) as error:  # two more come before it runs out
                log.warning("claim_not_renewed", detail=type(error).__name__)


def _task(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


class IdempotentRoute(APIRoute):
    """A route whose POSTs honour `Idempotency-Key`. A stream is kept when it has ended well; one
    that broke, or whose reader left, may be asked for again."""

    required: ClassVar[bool] = False

    def get_route_handler(self) -> Handler:
        original = super().get_route_handler()

        async def handler(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if request.method != "POST" or (key is None and not self.required):
                return await original(request)
            return await _once(request, original, _valid(key))

        return handler


class KeyedRoute(IdempotentRoute):
    """For requests that move money: a POST without a key is refused."""

    required = True


def _valid(key: str | None) -> str:
    if not key:
        raise IdempotencyKeyRequired
    if len(key) > KEY_MAX or not key.isprintable():
        raise BadRequest(f"Idempotency-Key is at most {KEY_MAX} printable characters")
    return key


async def _once(request: Request, original: Handler, key: str) -> Response:
    who = await auth.principal(request)
    database: Database = request.app.state.database
    at = {"scope": f"{who.id} {request.method} {request.url.path}", "key": key}
    body_hash = request_hash(await request.body())
    async with database.transaction() as session:
        claimed = await claim(session, request_hash=body_hash, **at)
    if isinstance(claimed, Kept):
        headers = dict(claimed.headers) | {"Idempotent-Replayed": "true"}
        return Response(_opened(request, claimed.body), claimed.status, headers)
    held = Held(database, {**at, "token": claimed})
    try:
        response = await _answered(request, original)
    except BaseException:
        await held.end(None)
        raise
    return await _kept(request, response, held)


def _opened(request: Request, sealed: bytes) -> bytes:
    vault: Vault = request.app.state.vault
    try:
        return vault.unwrap(sealed)
    except VaultError as error:
        raise Conflict(
            "This was done, but its answer cannot be read any more: look at what it made",
            code="answer_unreadable",
        ) from error


async def _answered(request: Request, original: Handler) -> Response:
    """The endpoint's answer, its typed errors included: a refusal is an answer to keep as well."""
    try:
        return await original(request)
    except AppError as error:
        if error.status >= 500 or error.status in _NOT_KEPT or "Retry-After" in error.headers:
            raise
        handlers, _ = request.scope["starlette.exception_handlers"]
        found = (handlers[kind] for kind in type(error).__mro__ if kind in handlers)
        render = next(found, None)
        if render is None:
            raise
        answer: Response = await render(request, error)
        return answer


async def _kept(request: Request, response: Response, held: Held) -> Response:
    if isinstance(response, Streamed):
        told: list[str] = []
        pieces = cast(AsyncGenerator[str, None], response.body_iterator)
        response.body_iterator = _noted(pieces, told)

        async def ended() -> None:
            whole = "".join(told).encode() if response.whole else None
            await held.end(None if whole is None else _sealed(request, response, whole))

        response.ended = ended
        return response
    passes = response.status_code >= 500 or response.status_code in _NOT_KEPT
    answer = None if passes else _sealed(request, response, bytes(response.body))
    await held.end(answer)
    return response


def _sealed(request: Request, response: Response, body: bytes) -> Kept:
    vault: Vault = request.app.state.vault
    headers = {k: v for k, v in response.headers.items() if k not in _OWN_HEADERS}
    return Kept(response.status_code, headers, vault.wrap(body))


async def _noted(pieces: AsyncGenerator[str, None], told: list[str]) -> AsyncGenerator[str, None]:
    async with aclosing(pieces) as all_pieces:
        async for piece in all_pieces:
            told.append(piece)
            yield piece
