"""Who leaves before their answer has begun: what they asked for is given up, and nothing kept.

A stream that has begun hears of it by itself; an endpoint that still waits for its first piece, or
for the whole answer, would go on for nobody.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from backend.errors import AppError

T = TypeVar("T")


class ClientLeft(AppError):
    """Nobody reads this; it keeps the log and the counts honest."""

    status = 499
    code = "client_left"
    title = "The client left before its answer had begun"


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives; it is cancelled, and `ClientLeft` raised, when the client leaves before.

    The request's body must have been read.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        left = not working.done()
        if left:
            working.cancel()
            await asyncio.wait([working])
    if left:
        raise ClientLeft
    return working.result()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
