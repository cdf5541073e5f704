"""Who may use the model now: a few at a time, a few more waiting a bounded time, the rest later.

Two answers at once is what two cores carry; beyond that everybody only gets slower.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Busy(Exception):
    """No place became free in time. `retry_after_s` is a fair guess for the next try."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the local model is busy: two answers run and others are waiting")
        self.retry_after_s = retry_after_s


class Gate:
    """`async with gate.place():` holds one of `running_max` places."""

    def __init__(self, *, running_max: int, waiting_max: int, patience_s: float) -> None:
        self._places = asyncio.Semaphore(running_max)
        self._waiting_max = waiting_max
        self._patience_s = patience_s
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Raises `Busy` at once when the queue is full, or after the patience has run out."""
        await self._enter()
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._places.release()

    async def _enter(self) -> None:
        if self._places.locked() and self.waiting >= self._waiting_max:
            raise Busy(retry_after_s=5 * (1 + self.waiting // 2))
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise Busy(retry_after_s=10) from error
        finally:
            self.waiting -= 1
