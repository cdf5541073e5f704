"""Several pieces of work at once, never more than a few."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")
AT_ONCE = 8


async def abreast(work: Iterable[Awaitable[T]], *, at_once: int = AT_ONCE) -> list[T]:
    """What each one answered, in order. The work handles its own errors: one that it lets out is
    raised here, while the others still run."""
    room = asyncio.Semaphore(at_once)

    async def one(item: Awaitable[T]) -> T:
        async with room:
            return await item

    return await asyncio.gather(*(one(item) for item in work))
