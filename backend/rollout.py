"""The process's side of a rollout: which version decides for whom, and what happens when it fails.

Truth is the newest row of `router_rollout`; every process looks at it each second and loads what it
names, so a change needs no restart. Whatever a version does, the person gets an answer: an error or
a decision over the limit falls to the version before, and then to rules alone.
"""

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Literal

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from backend import versions
from backend.database import Database
from backend.versions import RULES_ONLY, RouterVersion
from graphs.router.classifier import Classifier
from graphs.router.encoder import Encodes
from graphs.router.policy import Policies, load_policies
from graphs.router.router import Router
from graphs.router.rules_only import RulesOnly
from graphs.state import Ask, Kind, Role, Route, RouterPort

log = structlog.get_logger()

DECIDE_S: Final = 1.0
"""A candidate's decision over this is given up for this turn; p99 of a healthy one is 20 ms."""
LAST_S: Final = 5.0
"""Behind the base there are only rules: on a starved machine it gets more time."""
GIVE_UP_AFTER: Final = 5
REST_S: Final = 30.0
"""So many failures in a row, and the version is left alone for so long."""
POLL_S: Final = 1.0
_KINDS: Final[frozenset[Kind]] = frozenset({"casual", "complex", "commercial"})
_ROLES: Final[frozenset[Role]] = frozenset(
    {"light", "reasoning", "agent", "light_mini", "reasoning_mini"}
)
THREADS: Final = 8
Arm = Literal["base", "candidate", "rules"]
Decided = Future[tuple[Route, int]]
"""A route and its time in µs, when it is there."""
Load = Callable[[RouterVersion], RouterPort]


class VersionFailed(Exception):
    """A version raised, took too long, answered nonsense, or rests after failing in a row."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A route and the version that decided it. `failed`: versions asked before, in vain."""

    route: Route
    version: str
    arm: Arm
    latency_us: int
    failed: tuple[str, ...] = ()


class Threads:
    """Threads that decide for one version. One that hangs is left behind when the product stops; an
    executor's would be waited for."""

    def __init__(self, name: str, work: Callable[[Ask], tuple[Route, int]]) -> None:
        self._asked: SimpleQueue[tuple[Decided, Ask] | None] = SimpleQueue()
        self._work = work
        for _ in range(THREADS):
            threading.Thread(target=self._serve, name=name, daemon=True).start()

    def submit(self, ask: Ask) -> "Decided":
        decided: Decided = Future()
        self._asked.put((decided, ask))
        return decided

    def close(self) -> None:
        for _ in range(THREADS):
            self._asked.put(None)

    def _serve(self) -> None:
        while (item := self._asked.get()) is not None:
            decided, ask = item
            if not decided.set_running_or_notify_cancel():
                continue
            try:
                decided.set_result(self._work(ask))
            except Exception as error:  # noqa: BLE001 - told to whoever waits for it
                decided.set_exception(error)


class Loaded:
    """A version in memory, kept from doing harm: its own threads, a time limit, a rest."""

    def __init__(self, version: str, router: RouterPort, *, shadow_s: float = DECIDE_S) -> None:
        self.version = version
        self._shadow_s = shadow_s
        self._router = router
        self._threads = Threads(f"router-{version}", self._timed)
        self._in_a_row = 0
        self._rests_until = 0.0

    def ask(self, ask: Ask) -> Decided:
        """The decision, made on a thread of the version's own. Raises `VersionFailed`."""
        if time.monotonic() < self._rests_until:
            raise VersionFailed("rests")
        return self._threads.submit(ask)

    def decide(self, ask: Ask, within_s: float) -> tuple[Route, int]:
        """Raises `VersionFailed`."""
        waiting = self.ask(ask)
        try:
            found = waiting.result(within_s)
        except TooSlow as slow:
            waiting.cancel()
            self._note(failed=True)
            raise VersionFailed("slow") from slow
        except Exception as error:  # whatever a version raises is its failure, not the person's
            log.exception("router_version_failed", version=self.version)
            self._note(failed=True)
            raise VersionFailed("error") from error
        self._note(failed=False)
        return found

    async def shadow(self, decided: Decided) -> tuple[Route, int] | None:
        """A decision that nobody waits for; None when it failed or is not there in time."""
        try:
            async with asyncio.timeout(self._shadow_s):
                found = await asyncio.wrap_future(decided)
        except Exception:  # a shadow's failure is a figure, nothing more
            log.exception("router_shadow_failed", version=self.version)
            self._note(failed=True)
            return None
        self._note(failed=False)
        return found

    def close(self) -> None:
        self._threads.close()

    def _timed(self, ask: Ask) -> tuple[Route, int]:
        started = time.perf_counter_ns()
        route = self._router.route(ask)
        if route.kind not in _KINDS or route.role not in _ROLES:
            raise ValueError(f"no such kind or role: {route.kind}, {route.role}")
        stamped = replace(route, policy_version=self.version)
        return stamped, (time.perf_counter_ns() - started) // 1000

    def _note(self, *, failed: bool) -> None:
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if self._in_a_row >= GIVE_UP_AFTER:
            self._rests_until, self._in_a_row = time.monotonic() + REST_S, 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds, loaded. A version that could not be loaded is None and counts as failing."""

    rollout_id: int
    base: str
    candidate: str | None
    stage: str | None
    share: int
    loaded: dict[str, Loaded]


@dataclass(slots=True)
class Pick:
    """The router of one turn: a `RouterPort` that notes what it decided and what others would."""

    plan: Plan
    arm: Arm
    rules: RulesOnly
    made: Decision | None = None
    asked: Ask | None = None
    shadow: Decided | None = None
    _failed: list[str] = field(default_factory=list)

    @property
    def other(self) -> str | None:
        """The version that decides without serving."""
        if self.plan.candidate in (None, RULES_ONLY):
            return None
        return self.plan.base if self.arm == "candidate" else self.plan.candidate

    def route(self, ask: Ask) -> Route:
        self.asked = ask
        self.made = self._decide(ask)
        other = self.plan.loaded.get(self.other or "")
        with contextlib.suppress(VersionFailed):
            self.shadow = other.ask(ask) if other is not None else None
        return self.made.route

    async def shadowed(self) -> tuple[Route, int] | None:
        """The other version's decision; None when there is none, or it failed or hangs."""
        other = self.plan.loaded.get(self.other or "")
        if self.shadow is None or other is None:
            return None
        return await other.shadow(self.shadow)

    def _decide(self, ask: Ask) -> Decision:
        if self.plan.candidate is not None and self.arm == "candidate":
            found = self._by(self.plan.candidate, "candidate", ask)
            if found is not None:
                return found
        found = self._by(self.plan.base, "base", ask)
        if found is not None:
            return found
        return self._by_rules(ask, "rules")

    def _by_rules(self, ask: Ask, arm: Arm) -> Decision:
        route = self.rules.route(ask)
        return Decision(route, RULES_ONLY, arm, route.latency_us, tuple(self._failed))

    def _by(self, version: str, arm: Arm, ask: Ask) -> Decision | None:
        if version == RULES_ONLY:
            return self._by_rules(ask, arm)
        loaded = self.plan.loaded.get(version)
        try:
            limit = DECIDE_S if arm == "candidate" else LAST_S
            decided = loaded.decide(ask, limit) if loaded is not None else None
        except VersionFailed:
            decided = None
        if decided is None:
            self._failed.append(version)
            return None
        route, latency_us = decided
        return Decision(route, version, arm, latency_us, tuple(self._failed))


class Serving:
    """Picks the version for each person. One a process; holds nothing but loaded copies."""

    def __init__(self, database: Database, load: Load, *, installed: dict[str, RouterPort]) -> None:
        self._database = database
        self._load = load
        self._rules = RulesOnly()
        self._loaded = {name: Loaded(name, router) for name, router in installed.items()}
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        assert self._plan is not None, "refresh() before the first turn"
        return self._plan

    def pick(self, user_id: str) -> Pick:
        plan = self.plan
        chosen = plan.candidate is not None and place(plan.candidate, user_id) < plan.share
        return Pick(plan, "candidate" if chosen else "base", self._rules)

    async def refresh(self) -> None:
        """Take over what holds now. Loading happens beside the turns that are being answered."""
        async with self._database.transaction() as session:
            held = await versions.current(session)
        if self._plan is not None and self._plan.rollout_id == held.id:
            return
        named = {v for v in (held.base, held.candidate) if v not in (None, RULES_ONLY)}
        for name in sorted(str(v) for v in named):
            await self._take(name)
        assert held.id is not None
        self._plan = Plan(
            held.id, held.base, held.candidate, held.stage, held.share, dict(self._loaded)
        )
        log.info("router_rollout", base=held.base, candidate=held.candidate, stage=held.stage)

    async def _take(self, name: str) -> None:
        if name in self._loaded:
            return
        async with self._database.transaction() as session:
            query = select(RouterVersion).where(col(RouterVersion.id) == name)
            row = (await session.execute(query)).scalar_one_or_none()
        try:
            assert row is not None, "the version's row is gone"
            self._loaded[name] = Loaded(name, await asyncio.to_thread(self._load, row))
        except Exception:  # a version that cannot be loaded must not stop the others
            log.exception("router_version_not_loaded", version=name)

    async def follow(self) -> None:
        """Keeps looking until cancelled. A database that is away changes nothing."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.refresh()
            except SQLAlchemyError:
                log.warning("router_rollout_unknown", plan=self.plan.rollout_id)

    def close(self) -> None:
        for loaded in self._loaded.values():
            loaded.close()


def place(version: str, user_id: str) -> float:
    """Where a person stands on a version's line, 0 to 100: always the same, and each version draws
    a line of its own, so that it is not always the same people who go first."""
    digest = hashlib.sha256(f"{version}:{user_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 * 100


def loader(folder: Path, encoder: Encodes) -> Load:
    """Loads versions through files under `folder`; all share one encoder (150 MB)."""

    def load(row: RouterVersion) -> Router:
        folder.mkdir(parents=True, exist_ok=True)
        weights, policies = folder / f"{row.id}.npz", folder / f"{row.id}.toml"
        weights.write_bytes(row.weights)
        policies.write_text(row.policies, "utf-8")
        return Router(encoder, Classifier.load(weights), Policies(load_policies(policies), encoder))

    return load
