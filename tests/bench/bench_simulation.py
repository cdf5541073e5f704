"""Ten thousand faulted purchases over many seeds, and how many a minute this machine plays.

`python tests/bench/bench_simulation.py [PURCHASES [MINUTES [PROCESSES]]]` plays worlds of the
simulation in two processes until so many purchases were confirmed while things failed (10,000), or
the time (two hours) is over; it says which. Every seed that fails is named with the command that
repeats it.
"""

import asyncio
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Mapping
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
TURNS = 12
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
    fates: Mapping[str, int]
    partners: Mapping[str, int]
    ends: Mapping[str, int]


def player(
    number: int, step: int, until: float, enough: Any, results: "multiprocessing.Queue[Result]"
) -> None:
    """Seeds `number`, `number` + `step`, …, on a server of its own, until the time is over."""
    with prepared() as (server, furniture):
        seed = number
        while time.time() < until and not enough.is_set():
            rate = RATES[seed // step % len(RATES)]
            got = asyncio.run(one(server, furniture, seed, errands=ERRANDS, turns=TURNS, rate=rate))
            results.put(_result(seed, rate, got))
            seed += step


def _result(seed: int, rate: float, got: Played | BaseException) -> Result:
    if isinstance(got, BaseException):
        return Result(seed, rate, 0, 0, 0, f"{type(got).__name__}: {got}"[:1500], {}, {}, {})
    counts = got.fates, got.partners, got.ends
    return Result(seed, rate, got.purchases, got.faults, got.steps, "", *counts)


def main() -> int:
    wanted, minutes, processes = _asked(sys.argv[1:])
    began = time.time()
    results: multiprocessing.Queue[Result] = multiprocessing.Queue()
    enough = multiprocessing.Event()
    players = [
        multiprocessing.Process(
            target=player, args=(n, processes, began + minutes * 60, enough, results)
        )
        for n in range(processes)
    ]
    for process in players:
        process.start()
    found = _collect(results, wanted, began + minutes * 60)
    told = _told(found, wanted, time.time() - began)
    enough.set()
    for process in players:  # each ends its world first, and its server with it
        process.join()
    return told


def _asked(arguments: list[str]) -> tuple[int, float, int]:
    given = dict(enumerate(arguments))
    return int(given.get(0, 10_000)), float(given.get(1, 120.0)), int(given.get(2, PROCESSES))


def _collect(results: "multiprocessing.Queue[Result]", wanted: int, until: float) -> list[Result]:
    found: list[Result] = []
    while sum(one.purchases for one in found) < wanted and time.time() < until:
        try:
            found.append(results.get(timeout=1.0))
        except Empty:
            continue
        if len(found) % 10 == 0:
            purchases = sum(one.purchases for one in found)
            print(f"{len(found)} worlds, {purchases:,} purchases so far", flush=True)
        if found[-1].failure:
            print(f"seed {found[-1].seed} failed: {found[-1].failure}")
            print(f"again: python -m tests.simulation {found[-1].seed} --errands {ERRANDS}"
                  f" --turns {TURNS} --rate {found[-1].rate}", flush=True)  # fmt: skip
    return found


def _told(found: list[Result], wanted: int, spent_s: float) -> int:
    purchases, faults = sum(r.purchases for r in found), sum(r.faults for r in found)
    failed = sum(bool(r.failure) for r in found)
    print(f"{purchases:,} purchases under {faults:,} faults in {len(found)} worlds, "
          f"{sum(r.steps for r in found):,} steps, {spent_s:.0f} s: "
          f"{purchases / spent_s * 60:,.0f} a minute; {failed} failed")  # fmt: skip
    print(f"seeds {min(r.seed for r in found)}-{max(r.seed for r in found)}; the invariants were"
          " looked at after every step")  # fmt: skip
    for what in ("partners", "ends", "fates"):
        counts = sum((Counter(getattr(r, what)) for r in found), Counter[str]())
        print(f"{what}: " + ", ".join(f"{name} {n:,}" for name, n in counts.most_common()))
    if purchases < wanted:
        print(f"the time was over before {wanted:,}: give more minutes as the second argument")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
