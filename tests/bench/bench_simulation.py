"""Ten thousand faulted purchases over many seeds, and how many a minute this machine plays.

`python tests/bench/bench_simulation.py [PURCHASES [MINUTES]]` plays worlds of the simulation in two
processes until so many purchases were confirmed while things failed (10,000), or the time (10
minutes) is over; it says which. Every seed that fails is named with the command that repeats it.
"""

import asyncio
import multiprocessing
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


from tests.simulation.__main__ import one, prepared
from tests.simulation.play import Played

PROCESSES = 2
ERRANDS = 8
EVERY = 40
RATES = (0.02, 0.04, 0.08, 0.15)


@dataclass(frozen=True)
class Result:
    """One seed's sum, as the processes hand it over."""

    seed: int
    rate: float
    purchases: int
    faults: int
    steps: int
    failure: str


def player(
    number: int, until: float, enough: Any, results: "multiprocessing.Queue[Result]"
) -> None:
    """Seeds `number`, `number` + PROCESSES, …, on a server of its own, until the time is over."""
    with prepared() as (server, furniture):
        seed = number
        while time.time() < until and not enough.is_set():
            rate = RATES[seed // PROCESSES % len(RATES)]
            got = asyncio.run(one(server, furniture, seed, errands=ERRANDS, rate=rate, every=EVERY))
            results.put(_result(seed, rate, got))
            seed += PROCESSES


def _result(seed: int, rate: float, got: Played | BaseException) -> Result:
    if isinstance(got, BaseException):
        return Result(seed, rate, 0, 0, 0, f"{type(got).__name__}: {got}"[:1500])
    return Result(seed, rate, got.purchases, got.faults, got.steps, "")


def main() -> int:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    began = time.time()
    results: multiprocessing.Queue[Result] = multiprocessing.Queue()
    enough = multiprocessing.Event()
    players = [
        multiprocessing.Process(target=player, args=(n, began + minutes * 60, enough, results))
        for n in range(PROCESSES)
    ]
    for process in players:
        process.start()
    found = _collect(results, wanted, began + minutes * 60)
    told = _told(found, wanted, time.time() - began)
    enough.set()
    for process in players:  # each ends its world first, and its server with it
        process.join()
    return told


def _collect(results: "multiprocessing.Queue[Result]", wanted: int, until: float) -> list[Result]:
    found: list[Result] = []
    while sum(one.purchases for one in found) < wanted and time.time() < until:
        try:
            found.append(results.get(timeout=1.0))
        except Empty:
            continue
        if found[-1].failure:
            print(f"seed {found[-1].seed} failed: {found[-1].failure}")
            print(f"again: python -m tests.simulation {found[-1].seed} --errands {ERRANDS}"
                  f" --rate {found[-1].rate} --every {EVERY}", flush=True)  # fmt: skip
    return found


def _told(found: list[Result], wanted: int, spent_s: float) -> int:
    purchases, faults = sum(r.purchases for r in found), sum(r.faults for r in found)
    failed = sum(bool(r.failure) for r in found)
    print(f"{purchases:,} purchases under {faults:,} faults in {len(found)} worlds, "
          f"{sum(r.steps for r in found):,} steps, {spent_s:.0f} s: "
          f"{purchases / spent_s * 60:,.0f} a minute; {failed} failed")  # fmt: skip
    if purchases < wanted:
        print(f"the time was over before {wanted:,}: give more minutes as the second argument")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
