"""Processes that take from one allowance, for tests of races and crashes. Run as a script:

`fakes_racer.py race URL CAP PROCESSES EACH` forks, waits until all have connected, reserves every
turn at once and prints one served role a line.
`fakes_racer.py crash URL POINT…` reserves a turn for each point in a process of its own, which
kills itself with SIGKILL there: `before commit`, `reserved`, `in flight`, `settling` (said, not
committed) or `settled`.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.database import Database
from quotas import usage
from quotas.clerk import Clerk
from quotas.many import Ask
from quotas.plans import Viewer
from tests.quotas.fakes_plans import light, plan

SUBJECT = "u"


async def race(url: str, cap: int, turns: list[str], together: Barrier) -> list[str]:
    database = Database(url, pool_size=len(turns))
    allowance = plan(light(cap))
    clerk, by = Clerk(database.transaction, database.line), Viewer(SUBJECT, allowance)

    async def one(turn: str) -> str:
        return str((await clerk.reserve(Ask(turn, by, "light"))).served_role)

    async with database.transaction() as session:  # warm: the race is for the row, not the socket
        await usage.meter(session, SUBJECT, allowance)
    await asyncio.to_thread(together.wait, 60)
    served = await asyncio.gather(*(one(turn) for turn in turns))
    await database.dispose()
    return served


async def crash(url: str, point: str) -> None:
    database = Database(url)
    async with database.transaction() as session:
        await usage.reserve(
            session, turn_id=point, subject=SUBJECT, plan=plan(light(9)), role="light"
        )
        if point == "before commit":
            os.kill(os.getpid(), signal.SIGKILL)
    if point != "reserved":
        async with database.transaction() as session:
            await usage.start(session, point, lease_s=0)
    if point.startswith("settl"):
        async with database.transaction() as session:
            await usage.settle(session, point)
            if point == "settling":
                os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _racer(url: str, cap: int, turns: list[str], together: Barrier) -> None:
    served = asyncio.run(race(url, cap, turns, together))
    sys.stdout.write("\n".join(served) + "\n")
    sys.stdout.flush()


def main(what: str, url: str, *rest: str) -> int:
    forked = multiprocessing.get_context("fork")
    if what == "crash":
        children = [
            forked.Process(target=lambda p=point: asyncio.run(crash(url, p))) for point in rest
        ]
    else:
        cap, processes, each = map(int, rest)
        together = forked.Barrier(processes)
        children = [
            forked.Process(
                target=_racer, args=(url, cap, [f"p{p}t{n}" for n in range(each)], together)
            )
            for p in range(processes)
        ]
    for child in children:
        child.start()
    for child in children:
        child.join(90)
        child.kill()
    return max(abs(child.exitcode or 0) for child in children)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
