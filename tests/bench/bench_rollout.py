"""Planted faults in a router version: turns until the tripwires see them, beside a plain threshold.

Real decisions on labelled turns, drawn by lot into rollouts; every wire is looked at after every
turn. The plain rule is what a dashboard's alert does: a rate over its limit after twenty turns.
"""

import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.rollout import place
from backend.tripwires import Choice, Reading, Seen, readings
from graphs.router.policy import SHIPPED
from graphs.router.router import Router
from graphs.state import Ask, Route
from tests.bench.bench_router import asks
from tests.journeys.fakes_versions import Spoil, all_commercial, smallest_for

ROLLOUTS = 40
TURNS = 100
HEALTHY_TURNS = 300
PLAIN_AFTER = 20
COSTS = {"light": 300, "agent": 400, "reasoning": 3_000, "light_mini": 100}
Trips = Callable[[Sequence[Seen], Sequence[Seen]], bool]


def differs(ask: Ask, route: Route) -> Route:
    """A healthy version: one turn in twenty goes up a tier, one in twenty down."""
    at = place("differs", ask.text)
    if at < 5:
        return replace(route, kind="complex", role="reasoning")
    return replace(route, kind="casual", role="light") if at > 95 else route


def choice(route: Route, *, slower: int = 1) -> Choice:
    return Choice(route.kind, route.role, route.cause, route.latency_us * slower)


def seen(ours: Choice, theirs: Choice) -> Seen:
    cost = COSTS[ours.role]
    return Seen(True, "pro", ours, theirs, False, False, False, False, False, cost)


def wires(turns: Sequence[Seen], before: Sequence[Seen]) -> bool:
    return any(r.tripped for r in readings(turns, before))


def plain(turns: Sequence[Seen], before: Sequence[Seen]) -> bool:
    found: list[Reading] = readings(turns, before)
    return any(r.turns >= PLAIN_AFTER and r.observed >= r.allowed for r in found if r.allowed)


def first(turns: list[Seen], before: list[Seen], trips: Trips, *, step: int = 1) -> int | None:
    looks = range(step, len(turns) + 1, step)
    return next((n for n in looks if trips(turns[:n], before)), None)


def rollouts(pool: list[Seen], turns: int) -> list[list[Seen]]:
    draw = random.Random(7)
    return [draw.choices(pool, k=turns) for _ in range(ROLLOUTS)]


def pool(
    turns: Sequence[Ask], routes: Sequence[Route], by: Spoil, *, slower: int = 1
) -> list[Seen]:
    return [
        seen(choice(by(ask, route), slower=slower), choice(route))
        for ask, route in zip(turns, routes, strict=True)
    ]


def main() -> None:
    turns = asks()
    routes = Router.load(SHIPPED).route_all(turns)
    before = [replace(t, ours=None, served=False) for t in pool(turns, routes, lambda _, r: r)]
    faults: dict[str, tuple[Spoil, int]] = {
        "37 % of paid turns to the smallest model": (smallest_for(0.37), 1),
        "everything is commercial": (all_commercial, 1),
        "fifty times slower": (lambda _, route: route, 50),
    }
    for name, (spoil, slower) in faults.items():
        made = rollouts(pool(turns, routes, spoil, slower=slower), TURNS)
        found = [first(one, before, wires) for one in made]
        caught = [n for n in found if n is not None]
        print(
            f"{name:<42} seen in {len(caught)} of {ROLLOUTS} rollouts, "
            f"after {statistics.median(caught):.0f} turns (most {max(caught)})"
        )
    made = rollouts(pool(turns, routes, differs), HEALTHY_TURNS)
    for name, trips in (("tripwires", wires), ("plain threshold", plain)):
        wrong = sum(first(one, before, trips, step=10) is not None for one in made)
        print(f"{name} take a healthy version back in {wrong / ROLLOUTS:.0%} of rollouts")


if __name__ == "__main__":
    main()
