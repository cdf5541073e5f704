"""One lane for each partner host: a bound on calls at once, and a breaker that closes a bad one.

A partner that hangs may keep its own lane busy and nothing else. After some failures in a row its
lane is closed for a while, and calls are refused at once, before a byte is sent; then one call is
let through to see. While that keeps failing, the pauses grow.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from integrations.partner import PartnerUnreachable

AT_ONCE = 8
WAIT_S = 10.0  # for a place in the lane
FAILURES_MAX = 6  # in a row
PAUSE_S, PAUSE_MAX_S = 5.0, 40.0


@dataclass(slots=True)
class Lane:
    """`failures` in a row; `closed_until` on the monotonic clock, `probing` while one call sees."""

    places: asyncio.Semaphore
    failures: int = 0
    pauses: int = 0
    closed_until: float = 0.0
    probing: bool = False


@dataclass(slots=True)
class Passage:
    """One call's way through. Whoever does not say that it went well says that it failed."""

    well: bool = False


@dataclass(slots=True)
class Lanes:
    """`now` is the monotonic clock; tests hand in their own."""

    at_once: int = AT_ONCE
    wait_s: float = WAIT_S
    now: Callable[[], float] = time.monotonic
    _lanes: dict[str, Lane] = field(default_factory=dict)

    @asynccontextmanager
    async def through(self, host: str) -> AsyncIterator[Passage]:
        """Raises `PartnerUnreachable` when the lane is closed, or full for too long."""
        lane = self._lanes.setdefault(host, Lane(asyncio.Semaphore(self.at_once)))
        self._admit(host, lane)
        try:
            async with asyncio.timeout(self.wait_s):
                await lane.places.acquire()
        except TimeoutError as error:
            raise PartnerUnreachable(f"{host} is busy with our own calls", code="busy") from error
        passage = Passage()
        try:
            self._admit(host, lane)  # it may have been closed while this one waited
            probe = lane.failures >= FAILURES_MAX
            lane.probing = lane.probing or probe
            try:
                yield passage
            finally:
                self._learn(lane, well=passage.well)
        finally:
            lane.places.release()

    def _admit(self, host: str, lane: Lane) -> None:
        if lane.failures < FAILURES_MAX:
            return
        if lane.probing or self.now() < lane.closed_until:
            raise PartnerUnreachable(f"{host} has been failing; not asked", code="breaker_open")

    def _learn(self, lane: Lane, *, well: bool) -> None:
        lane.probing = False
        if well:
            lane.failures = lane.pauses = 0
            return
        lane.failures += 1
        if lane.failures >= FAILURES_MAX:
            pause_s = min(PAUSE_S * 2**lane.pauses, PAUSE_MAX_S)
            lane.pauses += 1
            lane.closed_until = self.now() + pause_s
