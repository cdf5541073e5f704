"""The engine, sessions and transactions. The edge commits, nobody else.

A FastAPI dependency with `yield` commits after the answer has been sent unless its scope is the
function; `Session` fixes that, and also keeps a stream from holding a transaction open.
"""

import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import psycopg
from fastapi import Depends, Request
from psycopg.pq import ConnStatus
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
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


def _still_there(driver: Any) -> bool:
    """Asked of every connection before use, without a round trip.

    A server that went away has closed the socket, so there is something to read where nothing was
    asked.
    """
    line = driver.pgconn
    if line.status != ConnStatus.OK:
        return False
    unread = select.poll()
    unread.register(line.socket, select.POLLIN)
    return not unread.poll(0)


def _look(connection: Any, _record: object, _proxy: object) -> None:
    """The pool then forgets what it has and connects anew."""
    if not _still_there(connection.driver_connection):
        raise InvalidatePoolError


class Line:
    """A connection that is kept, for the few statements that every turn waits for.

    To take one from the pool each time costs more than such a statement, and what the database has
    planned for it is forgotten with the connection. One at a time may use it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: AsyncConnection | None = None
        self._driver: Any = None

    @asynccontextmanager
    async def use(self, *, together: bool) -> AsyncIterator[AsyncConnection]:
        """`together`: what is done commits when the block ends and is undone when it raises.
        Otherwise each statement is a transaction: one wait for the database and not three.

        Raises `SQLAlchemyError`, also for what the driver raises.
        """
        connection = await self._ready()
        try:
            if together:
                await self._driver.execute("BEGIN")
            yield connection
            await self._driver.commit()
        except psycopg.Error as error:
            await self._undo()
            raise DBAPIError(None, None, error) from error
        except BaseException:
            await self._undo()
            raise

    async def _ready(self) -> AsyncConnection:
        if self._kept is not None and not _still_there(self._driver):
            await self.close()
        if self._kept is None:
            self._kept = await self._engine.connect()
            self._driver = (await self._kept.get_raw_connection()).driver_connection
        return self._kept

    async def _undo(self) -> None:
        try:
            await self._driver.rollback()
        except psycopg.Error:
            await self.close()

    async def close(self) -> None:
        """It opens again when it is used."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.invalidate()
            await kept.close()


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
        event.listen(self.engine.sync_engine, "checkout", _look)
        self._singly = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._lines: list[Line] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commits when the block ends, rolls back when it raises. Never await HTTP inside."""
        async with self._sessions() as session, session.begin():
            yield session

    def line(self) -> Line:
        """A connection of its own, kept until `dispose`."""
        self._lines.append(Line(self._singly))
        return self._lines[-1]

    async def dispose(self) -> None:
        for line in self._lines:
            await line.close()
        await self.engine.dispose()


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction around the endpoint function, committed before the first byte is sent."""
    database: Database = request.app.state.database
    async with database.transaction() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session, scope="function")]
