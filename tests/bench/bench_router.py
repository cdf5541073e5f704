"""How long one routing decision takes, warm, beside the sentence encoder on its own."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from graphs.router.router import Router
from graphs.state import Ask

POLICIES = Path(__file__).parents[2] / "graphs" / "router" / "policies.toml"
TEXTS = (
    "Good morning!",
    "Book a table for two tomorrow at 7pm at an Italian place",
    "订一张明天晚上七点的两人桌",
    "Prove step by step that the sum of two odd numbers is even.",
    "Here is my log, please find the error. " * 40,
)
ROUNDS = 60


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


def told(name: str, taken: list[float]) -> None:
    p99 = taken[int(len(taken) * 0.99)]
    print(f"{name:<18} p50 {statistics.median(taken):6.2f} ms   p99 {p99:6.2f} ms")


def main() -> None:
    start = time.perf_counter()
    router = Router.load(POLICIES)
    print(f"{'load':<18} {time.perf_counter() - start:.2f} s")
    alone = timed(lambda text: router.encode([text]))
    whole = timed(lambda text: router.route(Ask(text)))
    told("encoder alone", alone)
    told("whole decision", whole)
    ratio = statistics.median(whole) / statistics.median(alone)
    print(f"{'ratio of medians':<18} {ratio:.2f}")


if __name__ == "__main__":
    main()
