"""The engine, sessions and transactions. The edge commits, nobody else.

A FastAPI dependency with `yield` commits after the answer has been sent unless its scope is the
function; `Session` fixes that, and also keeps a stream from holding a transaction open.
"""

import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, Request
from psycopg.pq import ConnStatus
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

STATEMENT_TIMEOUT_MS = 15_000
IDLE_TRANSACTION_TIMEOUT_MS = 20_000
# For `UPDATE … RETURNING` of whole rows: what comes back is the truth. Left to itself the mapper
# also works out which loaded objects the statement touched, 20 ms more for every new shape of it.
RETURNED = {"populate_existing": True, "synchronize_session": False}


def async_url(url: str) -> str:
    """Any PostgreSQL URL as SQLAlchemy wants it for psycopg 3."""
    for scheme in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    raise ValueError("EMPTOR_DATABASE_URL must start with postgresql://")


def libpq_url(url: str) -> str:
    """The same URL as libpq (and so procrastinate) wants it."""
    return "postgresql://" + async_url(url).removeprefix("postgresql+psycopg://")


def _still_there(connection: Any, _record: object, _proxy: object) -> None:
    """Asked of every connection before use, without a round trip.

    A server that went away has closed the socket, so there is something to read where nothing was
    asked. The pool then forgets what it has and connects anew.
    """
    line = connection.driver_connection.pgconn
    if line.status == ConnStatus.OK:
        unread = select.poll()
        unread.register(line.socket, select.POLLIN)
        if not unread.poll(0):
            return
    raise InvalidatePoolError


class Database:
    """One engine a process. `transaction()` is for code outside a request."""

    def __init__(self, url: str, *, pool_size: int = 10, max_overflow: int | None = None) -> None:
        self.url = libpq_url(url)
        self.engine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=pool_size if max_overflow is None else max_overflow,
            connect_args={
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
                f" -c idle_in_transaction_session_timeout={IDLE_TRANSACTION_TIMEOUT_MS}"
                " -c timezone=UTC",
            },
        )
        event.listen(self.engine.sync_engine, "checkout", _still_there)
        self._singly = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commits when the block ends, rolls back when it raises. Never await HTTP inside."""
        async with self._sessions() as session, session.begin():
            yield session

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """Each statement is a transaction of its own: one wait for the database and not three."""
        async with self._singly.connect() as connection:
            yield connection

    async def dispose(self) -> None:
        await self.engine.dispose()


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction around the endpoint function, committed before the first byte is sent."""
    database: Database = request.app.state.database
    async with database.transaction() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session, scope="function")]
