"""Every outside call and every commit, counted; at the n-th the world misbehaves.

As a real one does: the request is lost, the answer is lost, or the process is killed before or
after the effect.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from backend.database import Database


class Crash(BaseException):
    """kill -9: nothing that follows is executed."""


@dataclass
class Gate:
    """`mode` happens at the `at`-th point (from 1). `count` tells how many points a run has."""

    at: int | None = None
    mode: str = "crash_before"
    count: int = 0
    names: list[str] = field(default_factory=list)
    closed: bool = False
    on: str | None = None

    def arm_on(self, name: str, mode: str) -> None:
        """The next point with this name."""
        self.disarm()
        self.on, self.mode = name, mode

    def arm(self, at: int | None, mode: str) -> None:
        self.at, self.mode, self.count, self.names, self.closed = at, mode, 0, [], False
        self.on = None

    def disarm(self) -> None:
        self.arm(None, "crash_before")

    @property
    def reached(self) -> bool:
        return self.at is not None and self.count >= self.at

    def enter(self, name: str) -> str | None:
        """Called before an effect. Returns what must happen after it."""
        if self.closed:
            raise Crash(name)  # the process is dead: no late code of it may act
        self.count += 1
        self.names.append(name)
        if self.on == name:
            self.on, self.at = None, self.count
        if self.count != self.at:
            return None
        if self.mode == "crash_before":
            self._die(name)
        return self.mode

    def leave(self, name: str, fate: str | None) -> None:
        if fate == "crash_after":
            self._die(name)

    def _die(self, name: str) -> None:
        self.closed = True
        raise Crash(name)


class GatedDatabase(Database):
    """A database whose commits are points of the gate."""

    gate: Gate

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        fate = None
        async with super().transaction() as session:
            yield session
            fate = self.gate.enter("commit")
        self.gate.leave("commit", fate)
