"""The product's database in a world: its transactions are steps of the stage, on the world's clock.

One process of the stage runs at a time and never waits inside a transaction for another, so its
connections may wait for the server where they stand: that is several times quicker than by way of
the event loop. A transaction begins and is told the time in one message. All worlds of a process
share one engine: what it knows of a statement, and of the server, is found out once.
"""

import re
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, ClassVar

from psycopg import AsyncConnection, generators, waiting
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from backend.database import Database, libpq_url
from tests.simulation.clock import Clock
from tests.simulation.stage import Stage

COMMIT_FATES = ("crash_before", "crash_after", "not_committed", "answer_lost")
# What the invariants read; keys, sessions and jobs are written far more often and bear on none.
_SILENT = re.compile(
    r"\s*(SELECT|(INSERT INTO|UPDATE|DELETE FROM) (idempotency_key|procrastinate))"
)


class _Connection(AsyncConnection[Any]):
    """Waits in place, and begins a transaction together with telling it what time it is."""

    clock: Clock

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        return waiting.wait(gen, self.pgconn.socket, interval, timeout)

    def _start_query(self) -> Generator[Any, Any, None]:
        if self.autocommit or self.pgconn.transaction_status != TransactionStatus.IDLE:
            return
        now = self.clock.now().isoformat()
        self.pgconn.send_query(f"BEGIN; SET LOCAL world.now = '{now}'".encode())
        yield from generators.execute(self.pgconn)


class StagedDatabase(Database):
    """`writes` counts the statements that bear on an invariant, `queued` those that add a job."""

    played: ClassVar["StagedDatabase"]  # of the world that is played now: there is one at a time

    def __init__(self, url: str, stage: Stage, clock: Clock) -> None:
        self.url, self.stage, self.clock = libpq_url(url), stage, clock
        self.writes = self.queued = 0
        self._kind = type("_Clocked", (_Connection,), {"clock": clock})
        self.engine = _engine()
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._lines = []  # nothing that is simulated keeps one
        StagedDatabase.played = self

    async def connect(self) -> AsyncConnection[Any]:
        made = await self._kind.connect(
            self.url, options="-c timezone=UTC -c jit=off", prepare_threshold=5
        )
        made.prepared_max = None
        return made

    def count(self, statement: str) -> None:
        self.writes += _SILENT.match(statement) is None or "quota_" in statement
        self.queued += "procrastinate_defer" in statement

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        await self.stage.gate("transaction")
        fate = self.stage.fate(COMMIT_FATES)
        async with super().transaction() as session:
            yield session
            if fate == "crash_before":
                self.stage.die("commit")
            if fate == "not_committed":
                self._unlucky()
        if fate == "crash_after":
            self.stage.die("commit")
        if fate == "answer_lost":
            self._unlucky()

    def _unlucky(self) -> None:
        self.stage.mark_unlucky()
        raise OperationalError("COMMIT", {}, ConnectionError("the database is gone"))


async def _connect() -> AsyncConnection[Any]:
    return await StagedDatabase.played.connect()


@cache
def _engine() -> AsyncEngine:
    """Its pool is emptied at the end of a world; it connects to the one that is played now."""
    made = create_async_engine(
        "postgresql+psycopg://",
        async_creator=_connect,
        pool_size=6,
        pool_use_lifo=True,
    )

    @event.listens_for(made.sync_engine, "before_cursor_execute")
    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        StagedDatabase.played.count(statement)

    return made
