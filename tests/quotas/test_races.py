"""Many turns at once, from threads and processes, on a real database: no unit is given twice."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import psycopg

from backend.database import Database
from quotas import usage
from quotas.plans import Plan
from tests.quotas.fakes_plans import bucket, light, plan

RACER = Path(__file__).with_name("fakes_racer.py")


async def served(database: Database, turn: str, allowance: Plan, role: str = "light") -> str:
    async with database.transaction() as session:
        given = await usage.reserve(session, turn_id=turn, subject="u", plan=allowance, role=role)
    return str(given.served_role)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RACER), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)


def levels(url: str) -> dict[str, tuple[int, int]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, ordinal, held FROM quota_bucket").fetchall()
    return {name: (ordinal, held) for name, ordinal, held in rows}


def test_fifty_turns_from_five_processes_on_one_unit_give_one_premium_and_forty_nine_fallbacks(
    database_url: str,
):
    # Nobody has been here before: the race is also for the first window's row.
    raced = run("race", database_url, "1", "5", "10")
    assert raced.returncode == 0, raced.stderr
    assert Counter(raced.stdout.split()) == {"light": 1, "light_mini": 49}
    assert levels(database_url) == {"light": (1, 1), "light_mini": (1, 49)}


def test_fifty_turns_from_threads_on_one_unit_give_one_premium(database_url: str):
    allowance, said = plan(light(1)), []

    def take(n: int) -> None:
        async def once() -> None:
            database = Database(database_url, pool_size=1)
            said.append(await served(database, f"t{n}", allowance))
            await database.dispose()

        asyncio.run(once())

    threads = [threading.Thread(target=take, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert Counter(said) == {"light": 1, "light_mini": 49}


async def test_eight_first_requests_of_an_unknown_subject_are_each_counted_once(database: Database):
    allowance = plan(light(5))
    said = await asyncio.gather(*(served(database, f"t{n}", allowance) for n in range(8)))
    assert Counter(said) == {"light": 5, "light_mini": 3}


async def test_different_ladders_at_once_never_deadlock(database: Database):
    allowance = plan(
        bucket("reasoning", 3, fallback="reasoning_mini"),
        bucket("reasoning_mini", 5, fallback="light"),
        light(7),
        bucket("agent", 2, fallback="light_mini"),
    )
    roles = ("reasoning", "agent", "light", "light_mini", "reasoning_mini")

    async def turn(n: int) -> str:
        role = await served(database, f"t{n}", allowance, roles[n % 5])
        async with database.transaction() as session:
            end = usage.settle if n % 3 else usage.release
            assert await end(session, f"t{n}")
        return role

    said = await asyncio.gather(*(turn(n) for n in range(100)))
    assert len(said) == 100
    async with database.transaction() as session:
        quota = await usage.meter(session, "u", allowance)
    assert all(b["held"] == 0 and b["used"] <= b["cap"] for b in quota["buckets"])


async def test_sweeping_among_turns_never_deadlocks_and_ends_each_hold_once(database: Database):
    allowance = plan(light(1_000), bucket("agent", 1_000, fallback="light_mini"))

    async def turn(n: int) -> bool:
        await served(database, f"t{n}", allowance, ("light", "agent")[n % 2])
        async with database.transaction() as session:
            await usage.start(session, f"t{n}", lease_s=0)
        async with database.transaction() as session:
            return await usage.settle(session, f"t{n}")

    async def sweeper() -> int:
        ended = 0
        for _ in range(20):
            async with database.transaction() as session:
                ended += (await usage.sweep(session, limit=5)).settled
        return ended

    *settled, first, second = await asyncio.gather(
        *(turn(n) for n in range(60)), sweeper(), sweeper()
    )
    async with database.transaction() as session:
        last = (await usage.sweep(session)).settled
        quota = await usage.meter(session, "u", allowance)
    assert sum(settled) + first + second + last == 60
    used = {b["name"]: (b["used"], b["held"]) for b in quota["buckets"]}
    assert (used["light"], used["agent"]) == ((30, 0), (30, 0))


async def test_a_killed_process_between_reserve_and_settle_loses_and_doubles_nothing(
    database: Database, database_url: str
):
    """Killed before the commit: nothing was taken. Killed after it: the sweep ends the hold."""
    crashed = await asyncio.to_thread(
        run,
        "crash",
        database_url,
        "before commit",
        "reserved",
        "in flight",
        "settling",
        "settled",
    )
    assert crashed.returncode == signal.SIGKILL, crashed.stderr
    with psycopg.connect(database_url) as connection:
        states = connection.execute("SELECT turn_id, state FROM quota_hold ORDER BY 1").fetchall()
        connection.execute("UPDATE quota_hold SET lease_until = now() WHERE state <> 'settled'")
    assert states == [
        ("in flight", "in_flight"),
        ("reserved", "reserved"),
        ("settled", "settled"),
        ("settling", "in_flight"),
    ]
    async with database.transaction() as session:
        assert await usage.sweep(session) == usage.Swept(refunded=1, settled=2)
    for again in ("in flight", "settling", "settled"):  # a client that tries again pays once
        assert await served(database, again, plan(light(9))) == "light"
    async with database.transaction() as session:
        (first, *_) = (await usage.meter(session, "u", plan(light(9))))["buckets"]
    assert (first["used"], first["held"]) == (3, 0)
