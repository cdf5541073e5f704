"""Router versions that misbehave: each wraps the installed router and spoils what it decides."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from backend.database import Database
from backend.rollout import place
from backend.versions import RouterVersion, register
from graphs.state import Ask, Route, RouterPort

Spoil = Callable[[Ask, Route], Route]


@dataclass
class Spoiled:
    """`by(ask, route)` changes what the healthy router said; it may as well raise or wait."""

    healthy: RouterPort
    by: Spoil

    def route(self, ask: Ask) -> Route:
        return self.by(ask, self.healthy.route(ask))


@dataclass
class Workshop:
    """Makes versions for a running product; is its `load_version`."""

    healthy: RouterPort
    spoils: dict[str, Spoil] = field(default_factory=dict)

    def __call__(self, row: RouterVersion) -> RouterPort:
        return Spoiled(self.healthy, self.spoils[row.policies])

    async def version(self, database: Database, name: str, by: Spoil) -> str:
        """A version of that behaviour, as if it had been trained and compared."""
        self.spoils[name] = by
        async with database.transaction() as session:
            made = await register(session, weights=name.encode(), policies=name, source="trained")
            row = await session.get(RouterVersion, made)
            row.evaluation = {"passed": True, "failed": []}
            session.add(row)
        return made


LONGEST_S = 0.9  # beyond a second a decision is given up, which is another fault


def as_it_is(_: Ask, route: Route) -> Route:
    return route


def smallest_for(share: float) -> Spoil:
    """That share of all turns goes to the smallest model, by lot of their words."""

    def spoil(ask: Ask, route: Route) -> Route:
        drawn = place("lot", ask.text) < share * 100
        return replace(route, role="light_mini") if drawn else route

    return spoil


def all_commercial(_: Ask, route: Route) -> Route:
    return replace(route, kind="commercial", sub="purchase", role="agent")


def slower_by(times: int) -> Spoil:
    """So many times as slow as the decision itself was: on a busy machine both are slow."""

    def spoil(_: Ask, route: Route) -> Route:
        threading.Event().wait(min(times * route.latency_us / 1_000_000, LONGEST_S))
        return route

    return spoil


def hanging(seconds: float) -> Spoil:
    def spoil(_: Ask, route: Route) -> Route:
        threading.Event().wait(seconds)
        return route

    return spoil


def broken(_: Ask, __: Route) -> Route:
    raise RuntimeError("this version is broken")


def doubts(_: Ask, route: Route) -> Route:
    """Never sure of anything: all of it is the judge's to decide."""
    return replace(route, confidence=0.5, cause="classifier", alternatives=("complex",))


def differs_a_little(ask: Ask, route: Route) -> Route:
    """As two healthy versions differ: one turn in fifty goes up a tier, one in fifty down."""
    at = place("little", ask.text)
    if at < 2:
        return replace(route, kind="complex", role="reasoning")
    return replace(route, kind="casual", role="light") if at > 98 else route
