"""One routing decision: its time beside the encoder alone, load, memory, batch, robustness."""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from graphs.router.policy import SHIPPED
from graphs.router.robustness import robustness
from graphs.router.router import Router
from graphs.state import Ask, Message

TURNS = Path(__file__).parents[2].parent / "shared" / "data" / "turns" / "dev.jsonl"
TEXTS = (
    "Good morning!",
    "Book a table for two tomorrow at 7pm at an Italian place",
    "订一张明天晚上七点的两人桌",
    "Prove step by step that the sum of two odd numbers is even.",
    "Here is my log, please find the error. " * 40,
)
ROUNDS = 60
BATCH = 1200
ALONE = 300
CHANGED = 300


def timed(act: Callable[[str], object]) -> list[float]:
    """Milliseconds of every call, after a warm-up; every text is new to any cache."""
    for text in TEXTS:
        act(text)
    taken = []
    for n in range(ROUNDS):
        for text in TEXTS:
            fresh = f"{text} ({n})"
            start = time.perf_counter()
            act(fresh)
            taken.append((time.perf_counter() - start) * 1000)
    return sorted(taken)


def timed_once(router: Router, turn: Ask) -> float:
    """Milliseconds of one decision, of a turn that no cache knows."""
    start = time.perf_counter()
    router.route(turn)
    return (time.perf_counter() - start) * 1000


def told(name: str, taken: list[float]) -> None:
    p99 = taken[int(len(taken) * 0.99)]
    print(f"{name:<18} p50 {statistics.median(taken):6.2f} ms   p99 {p99:6.2f} ms")


def asks() -> list[Ask]:
    """Labelled turns of up to 2,000 characters with their context; ours repeated without them."""
    if not TURNS.exists():
        return [Ask(f"{text} {n}") for n in range(BATCH // len(TEXTS)) for text in TEXTS[:4]]
    rows = [json.loads(line) for line in TURNS.read_text("utf-8").splitlines()]
    picked = [r for r in rows[:: max(1, len(rows) // BATCH)] if len(r["text"]) <= 2000]
    return [
        Ask(r["text"], tuple(Message(m["role"], m["text"]) for m in r.get("context", ())))
        for r in picked
    ]


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    before, start = megabytes(), time.perf_counter()
    router = Router.load(SHIPPED, cores=os.cpu_count() or 1)
    print(f"{'load':<18} {time.perf_counter() - start:.2f} s, {megabytes() - before:.0f} MB more")
    alone = timed(lambda text: router.encode([text]))
    whole = timed(lambda text: router.route(Ask(text)))
    told("encoder alone", alone)
    told("whole decision", whole)
    ratio = statistics.median(whole) / statistics.median(alone)
    print(f"{'ratio of medians':<18} {ratio:.2f}")
    turns = asks()
    told("labelled turns", sorted(timed_once(router, turn) for turn in turns[:ALONE]))
    start = time.perf_counter()
    router.route_all(turns[ALONE:])
    wall = time.perf_counter() - start
    print(f"{'as one batch':<18} {len(turns[ALONE:]) / wall:.0f} turns a second")
    for name, share in robustness(router, turns[:CHANGED]).items():
        print(f"{'flips by ' + name:<26} {share:6.1%}")
    print(f"{'memory at most':<18} {megabytes():.0f} MB with Python and numpy")


if __name__ == "__main__":
    main()
