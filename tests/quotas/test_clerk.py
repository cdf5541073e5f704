"""Turns that arrive together: one commit for all, and each is decided as if it were alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from backend.database import Database, Line
from quotas import usage
from quotas.clerk import Clerk
from quotas.many import Ask, Ending
from quotas.plans import Plan, UnknownRole, Viewer
from tests.quotas.fakes_plans import bucket, light, plan


class Office:
    """A clerk at a database that counts commits. A closed door keeps a batch from committing."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.commits = 0
        self.inside = asyncio.Event()
        self.door = asyncio.Event()
        self.door.set()
        self.clerk = Clerk(self.transaction, self.line)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        async with self.database.transaction() as session:
            yield session
        self.commits += 1

    def line(self) -> "Counted":
        return Counted(self, self.database.line())

    async def take(self, n: int, allowance: Plan, *, subject: str = "u") -> list[str | None]:
        by = Viewer(subject, allowance)
        asks = (self.clerk.reserve(Ask(f"t{i}", by, "light")) for i in range(n))
        return [given.served_role for given in await asyncio.gather(*asks)]


class Counted:
    """A line of the office. The door keeps what was done on it from being heard."""

    def __init__(self, office: Office, line: Line) -> None:
        self._office = office
        self._line = line

    @asynccontextmanager
    async def use(self, *, together: bool) -> AsyncIterator[AsyncConnection]:
        async with self._line.use(together=together) as connection:
            yield connection
            self._office.inside.set()
            await self._office.door.wait()
        self._office.commits += 1


@pytest.fixture
async def office(database: Database) -> Office:
    return Office(database)


async def warmed(office: Office, allowance: Plan) -> None:
    """A window that is open."""
    await office.clerk.reserve(Ask("first", Viewer("u", allowance), "light"))


async def test_turns_that_arrive_together_share_a_commit(office: Office):
    allowance = plan(light(50))
    await warmed(office, allowance)
    before = office.commits
    by = Viewer("u", allowance)
    assert await office.take(20, allowance) == ["light"] * 20
    assert office.commits - before == 1
    assert await asyncio.gather(*(office.clerk.start(f"t{n}") for n in range(20))) == [True] * 20
    endings = (Ending(f"t{n}", by, counted=n % 2 == 0) for n in range(20))
    quotas = await asyncio.gather(*(office.clerk.end(ending) for ending in endings))
    assert office.commits - before == 3
    (bucket, *_) = quotas[0]["buckets"]
    assert (bucket["used"], bucket["held"]) == (10, 1)
    assert [quota["charged"] for quota in quotas[:2]] == [{"light": 1}, {}]


async def test_what_a_batch_has_no_room_for_is_answered_by_the_fallback(office: Office):
    allowance = plan(light(6))
    await warmed(office, allowance)
    assert Counter(await office.take(12, allowance)) == {"light": 5, "light_mini": 7}


async def test_a_turn_that_comes_twice_at_once_is_counted_once(office: Office):
    allowance = plan(light(6))
    await warmed(office, allowance)
    by = Viewer("u", allowance)
    asks = [Ask("same", by, "light"), Ask("same", by, "light"), Ask("other", by, "light")]
    one, two, other = await asyncio.gather(*(office.clerk.reserve(ask) for ask in asks))
    assert (one.replayed, two.replayed, other.replayed) == (False, True, False)
    assert two.quota["buckets"][0]["held"] == 3
    with pytest.raises(UnknownRole):
        await office.clerk.reserve(Ask("wrong", by, "poet"))


async def test_a_turn_whose_writing_fails_sinks_none_of_its_neighbours(office: Office):
    allowance = plan(light(50))
    await warmed(office, allowance)
    await office.take(3, allowance)
    by = Viewer("u", allowance)

    def writes(n: int) -> Any:
        async def write(session: AsyncSession, _quota: dict[str, Any]) -> None:
            await session.execute(text("SELECT 1 / :n"), {"n": n})

        return write

    ends = (
        office.clerk.end(Ending(f"t{n}", by, counted=True), writes(n % 2 + n)) for n in range(3)
    )
    said = await asyncio.gather(*ends, return_exceptions=True)
    assert [isinstance(each, Exception) for each in said] == [True, False, False]
    async with office.database.transaction() as session:
        (bucket, *_) = (await usage.meter(session, "u", allowance))["buckets"]
    assert (bucket["used"], bucket["held"]) == (2, 2)


async def test_nobody_hears_before_the_commit_and_who_waits_may_leave(office: Office):
    allowance = plan(light(50))
    await warmed(office, allowance)
    office.inside.clear()
    office.door.clear()
    by = Viewer("u", allowance)
    ahead = asyncio.create_task(office.clerk.reserve(Ask("ahead", by, "light")))
    await office.inside.wait()
    waits = asyncio.create_task(office.clerk.reserve(Ask("waits", by, "light")))
    stays = asyncio.create_task(office.clerk.reserve(Ask("stays", by, "light")))
    await asyncio.sleep(0)
    waits.cancel()  # still in the queue: nothing is taken for it
    ahead.cancel()  # under way: it hears how that ends, so that its release finds the hold
    await asyncio.wait([waits])
    assert not ahead.done()
    office.door.set()
    assert (await stays).granted
    await asyncio.wait([ahead])
    assert ahead.cancelled()
    async with office.database.transaction() as session:
        assert await usage.release(session, "ahead")
        assert not await usage.release(session, "waits")


async def test_the_first_turns_of_many_share_a_commit(office: Office):
    allowance = plan(light(50))
    office.door.clear()
    asks = [Ask(f"t{n}", Viewer(f"u{n % 7}", allowance), "light") for n in range(20)]
    waiting = asyncio.gather(*(office.clerk.reserve(ask) for ask in asks))
    await office.inside.wait()
    office.door.set()
    assert [given.served_role for given in await waiting] == ["light"] * 20
    assert office.commits == 1


async def test_a_knot_of_locks_is_undone_and_each_turn_is_still_decided_once(office: Office):
    """A process whose plans have a ladder of their own locks in another order than a batch."""
    allowance = plan(bucket("reasoning", 50), light(50))
    by = Viewer("u", allowance)
    for role in ("light", "reasoning"):
        await office.clerk.reserve(Ask(f"first.{role}", by, role))
    before = office.commits
    lock = text("SELECT id FROM quota_bucket WHERE name = :name FOR UPDATE")
    stuck = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with office.database.transaction() as other:
        # Who looks for knots gives up when there is one: that is left to the batch.
        await other.execute(text("SET LOCAL deadlock_timeout = '1h'"))
        await other.execute(lock, {"name": "light"})
        asks = [Ask(f"t{n}", by, ("light", "reasoning")[n % 2]) for n in range(10)]
        decided = asyncio.gather(*(office.clerk.reserve(ask) for ask in asks))
        async with asyncio.timeout(60):
            while not (await other.execute(stuck)).scalar_one():
                pass
        await other.execute(lock, {"name": "reasoning"})  # the batch has this one, and is given up
    given = await decided
    assert office.commits - before == 10  # none with another
    assert [(each.served_role, each.replayed) for each in given] == [
        (ask.role, False) for ask in asks
    ]
    async with office.database.transaction() as session:
        quota = await usage.meter(session, "u", allowance)
    held = {b["name"]: b["held"] for b in quota["buckets"]}
    assert (held["light"], held["reasoning"]) == (6, 6)
