"""The clerk: turns that arrive together share one statement and one commit.

While one batch is under way, those that arrive gather and go as the next. A turn that is alone goes
at once, as a batch of one. Everybody learns the result after the commit, never before.

Nobody sinks a neighbour: what a batch leaves undecided goes the long way alone afterwards, and when
a batch fails as a whole, nothing of it stands and each of its turns goes alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from quotas import many, usage
from quotas.many import Ask, Ending
from quotas.usage import ONE_TURN, Allowance

log = structlog.get_logger()
Write = Callable[[AsyncSession, dict[str, Any]], Awaitable[None]]
Admit = Callable[[AsyncSession, Allowance], Awaitable[None]]
Item = TypeVar("Item")
Result = TypeVar("Result")
BATCH_MAX = 64  # a batch of more holds its buckets too long for other processes


class Lane(Generic[Item, Result]):
    """One batch at a time. `together` gives None for what it leaves to `alone`."""

    def __init__(
        self,
        together: Callable[[Sequence[Item]], Awaitable[Sequence[Result | None]]],
        alone: Callable[[Item], Awaitable[Result]],
    ) -> None:
        self._together = together
        self._alone = alone
        self._waiting: dict[asyncio.Future[Result], Item] = {}
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Result:
        """The result, durably. A caller that is cancelled while it waits has done nothing; while
        its batch is under way it first hears how that ends, so that it can undo it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting[future] = item
        if not self._busy:
            self._busy = True
            self._keep(self._serve())
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if self._waiting.pop(future, None) is None:
                await asyncio.wait([future])
                if not future.cancelled():
                    future.exception()  # looked at: nobody else will
            raise

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                futures = list(self._waiting)[:BATCH_MAX]
                await self._batch([(f, self._waiting.pop(f)) for f in futures])
        finally:
            self._busy = False

    async def _batch(self, batch: list[tuple["asyncio.Future[Result]", Item]]) -> None:
        results: Sequence[Result | None] = [None] * len(batch)
        try:
            results = await self._together([item for _, item in batch])
        except asyncio.CancelledError:
            for future, _ in batch:
                future.cancel()
            raise
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].set_exception(error)
                return
            # Whose fault it is shows when each goes alone.
            log.warning("quota_batch_failed", turns=len(batch), exc_info=True)
        for (future, item), result in zip(batch, results, strict=True):
            if result is None:
                self._keep(self._one(future, item))
            else:
                future.set_result(result)

    async def _one(self, future: "asyncio.Future[Result]", item: Item) -> None:
        try:
            future.set_result(await self._alone(item))
        except asyncio.CancelledError:
            future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is the waiting turn's
            future.set_exception(error)


class Line(Protocol):
    """A connection that is kept for one lane. What is done in `use` commits when its block ends, or
    each statement at once, where they need not stand or fall together."""

    def use(self, *, together: bool) -> AbstractAsyncContextManager[AsyncConnection]: ...


class Clerk:
    """Reserve, start and end for every turn of this process.

    `transaction` opens one that commits when its block ends; `line` gives each lane its connection.
    Arguments, answers and errors are those of `quotas.usage`.
    """

    def __init__(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        line: Callable[[], Line],
    ) -> None:
        self._transaction = transaction
        self._asking, self._starting, self._ending = line(), line(), line()
        self._asks = Lane(self._reserve_all, self._reserve_one)
        self._starts = Lane(self._start_all, self._start_one)
        self._endings = Lane(self._end_all, self._end_one)

    async def reserve(self, ask: Ask, write: Admit | None = None) -> Allowance:
        """Take from the first rung with room, or say that there is none.

        `write` is as that of `end`; it is called when the turn is granted.
        """
        ask.by.plan.ladder(ask.role)  # a mistake of one turn is no failure of a batch
        return await self._asks.submit(_Asked(ask, write))

    async def start(self, turn_id: str) -> bool:
        """From here a lost turn is settled. False: it must not run."""
        return await self._starts.submit(turn_id)

    async def end(self, ending: Ending, write: Write | None = None) -> dict[str, Any]:
        """Settle or release, and the quota object as it stands then.

        `write` is given that object and writes in the same transaction whatever must not be apart
        from it. It may run again, and in the transaction of others: it only writes rows of its own.
        """
        return await self._endings.submit(_Ended(ending, write))

    async def _reserve_all(self, asked: Sequence["_Asked"]) -> Sequence[Allowance | None]:
        async with self._asking.use(together=_write(asked)) as connection:
            given = await many.reserve(connection, [each.ask for each in asked])
            pairs = zip(asked, given, strict=True)
            await _written(connection, [(a.write, g) for a, g in pairs if a.write and g])
        return given

    async def _reserve_one(self, asked: "_Asked") -> Allowance:
        ask = asked.ask
        async with self._transaction() as session:
            allowance = await usage.reserve(
                session,
                turn_id=ask.turn_id,
                subject=ask.by.subject,
                plan=ask.by.plan,
                role=ask.role,
                timezone=ask.by.timezone,
                costs=ask.costs or ONE_TURN,
                ceilings=ask.ceilings,
                among=ask.among,
            )
            if asked.write is not None and allowance.granted:
                await asked.write(session, allowance)
        return allowance

    async def _start_all(self, turns: Sequence[str]) -> Sequence[bool]:
        async with self._starting.use(together=False) as connection:
            return await many.start(connection, turns)

    async def _start_one(self, turn_id: str) -> bool:
        async with self._transaction() as session:
            return await usage.start(session, turn_id)

    async def _end_all(self, all_of: Sequence["_Ended"]) -> Sequence[dict[str, Any] | None]:
        async with self._ending.use(together=_write(all_of)) as connection:
            ended = await many.end(connection, [each.ending for each in all_of])
            pairs = zip(all_of, ended, strict=True)
            await _written(connection, [(a.write, e.quota) for a, e in pairs if a.write and e])
        return [None if end is None else end.quota for end in ended]

    async def _end_one(self, each: "_Ended") -> dict[str, Any]:
        ending, by = each.ending, each.ending.by
        async with self._transaction() as session:
            if ending.counted:
                await usage.settle(session, ending.turn_id, spent=ending.spent)
            else:
                await usage.release(session, ending.turn_id)
            quota = await usage.meter(
                session,
                by.subject,
                by.plan,
                timezone=by.timezone,
                turn_id=ending.turn_id,
                ceilings=ending.ceilings,
            )
            if each.write is not None:
                await each.write(session, quota)
        return quota


def _write(batch: Sequence["_Asked | _Ended"]) -> bool:
    return any(each.write is not None for each in batch)


async def _written(
    connection: AsyncConnection, writes: Sequence[tuple[Callable[..., Awaitable[None]], Any]]
) -> None:
    """What the turns of a batch write with it; the session's commit is that of them all."""
    if writes:
        async with AsyncSession(connection, expire_on_commit=False) as session, session.begin():
            for write, what in writes:
                await write(session, what)


@dataclass(frozen=True, slots=True)
class _Asked:
    ask: Ask
    write: Admit | None


@dataclass(frozen=True, slots=True)
class _Ended:
    ending: Ending
    write: Write | None
