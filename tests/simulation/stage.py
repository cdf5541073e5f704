"""Who moves next: one process at a time, chosen by the seed, so that a world repeats itself.

An actor stands for a process. It runs alone from one gate to the next; gates stand before every
transaction and around every call that leaves the product, and never inside a transaction, so no
actor can be parked while it holds a lock. What goes wrong at a gate is the seed's choice as well.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from random import Random
from typing import Any


class Crash(BaseException):
    """kill -9: nothing that follows in this process is executed."""


class Stuck(Exception):
    """An actor neither reached a gate nor ended: it waits for another one inside a transaction."""


class Actor:
    """One process. `dead` stays set while the killed code unwinds, so that none of it acts."""

    def __init__(self, name: str, often: float) -> None:
        self.name = name
        self.often = often
        self.go = asyncio.Event()
        self.at: str | None = None
        self.until = 0.0  # it sleeps until then, by the world's clock
        self.dead = False
        self.gone = False  # killed for good
        self.unlucky = False  # a transaction of this request failed: a 500 is no bug
        self.task: asyncio.Task[None] | None = None


_here: ContextVar[Actor | None] = ContextVar("actor", default=None)
_PATIENCE_S = 30.0


class Stage:
    """`rate` is how often something goes wrong at a gate. `trace` names every step, without ids."""

    def __init__(self, seed: int, *, rate: float) -> None:
        self.random = Random(seed)
        self.rate = rate
        self.trace: list[str] = []
        self.failed: BaseException | None = None
        self._actors: list[Actor] = []
        self._back = asyncio.Event()

    def enter(self, name: str, play: Coroutine[Any, Any, None], *, often: float = 1.0) -> Actor:
        """A new process, chosen as `often` as that beside the others; the first time it begins."""
        actor = Actor(name, often)

        async def run() -> None:
            _here.set(actor)
            try:
                await self.gate("begins")
                await play
            except Crash:
                self.trace.append(f"{name} is gone")
            except BaseException as error:  # noqa: BLE001  (the world ends with it, and says why)
                self.failed = self.failed or error
            finally:
                play.close()
                self._actors.remove(actor)
                self._back.set()

        self._actors.append(actor)
        actor.at = "begins"
        actor.task = asyncio.create_task(run())
        return actor

    async def gate(self, point: str) -> None:
        """Wait to be chosen. Outside of any actor (the audience) nothing waits."""
        actor = _here.get()
        if actor is None:
            return
        if actor.dead:
            raise Crash(point)
        actor.at = point
        actor.go.clear()
        self._back.set()
        await actor.go.wait()
        actor.at = None
        if actor.dead:
            raise Crash(point)

    async def sleep(self, seconds: float) -> None:
        """Not to be chosen until so much time has passed."""
        if (actor := _here.get()) is not None:
            actor.until = time.time() + seconds
        await self.gate("wakes")

    def fate(self, fates: Sequence[str]) -> str | None:
        """What goes wrong now, if anything does."""
        actor = _here.get()
        if actor is None or self.random.random() >= self.rate:
            return None
        chosen = self.random.choice(fates)
        self.trace.append(f"  {actor.name}: {chosen}")
        return chosen

    def die(self, point: str) -> None:
        """The process that runs now is killed."""
        actor = _here.get()
        assert actor is not None
        actor.dead = True
        raise Crash(point)

    def revive(self) -> None:
        """Somebody starts the process again, or the person clicks again."""
        actor = _here.get()
        assert actor is not None
        if actor.gone:
            raise Crash(actor.name)
        actor.dead = False

    def mark_unlucky(self) -> None:
        if (actor := _here.get()) is not None:
            actor.unlucky = True

    def was_unlucky(self) -> bool:
        """Whether a transaction failed since this was last asked."""
        actor = _here.get()
        assert actor is not None
        unlucky, actor.unlucky = actor.unlucky, False
        return unlucky

    def present(self, prefix: str = "") -> list[Actor]:
        return [actor for actor in self._actors if actor.name.startswith(prefix)]

    async def turn(self, among: str = "") -> Actor | None:
        """The seed chooses an actor and it runs to its next gate. None: nobody is awake."""
        now = time.time()
        ready = [a for a in self.present(among) if a.at is not None and a.until <= now]
        if not ready:
            return None
        [actor] = self.random.choices(ready, weights=[actor.often for actor in ready])
        self.trace.append(f"{actor.name} {actor.at}")
        await self._run(actor)
        return actor

    async def _run(self, actor: Actor) -> None:
        self._back.clear()
        actor.go.set()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._back.wait()
        except TimeoutError as error:
            raise Stuck(f"{actor.name} after {self.trace[-3:]}") from error
        if self.failed is not None:
            raise self.failed

    async def kill(self, prefix: str = "") -> None:
        """kill -9 to every process with this name; nobody starts it again."""
        for actor in self.present(prefix):
            actor.dead = actor.gone = True
            while actor in self._actors:
                await self._run(actor)
