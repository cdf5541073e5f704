"""Real HTTP servers on free loopback ports, inside the test's own event loop."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


def free_port() -> int:
    """Below the ports that the system gives to callers: one of those may be taken by anybody's
    next connection before it is used."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports are taken")


@asynccontextmanager
async def serving(app: Any, *, port: int = 0) -> AsyncIterator[str]:
    """The app behind a real socket; yields its base URL and stops it afterwards."""
    port = port or free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(30):
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def until(held: Callable[[], bool], *, within_s: float) -> None:
    """Waits for something to become true; raises TimeoutError when it does not in time."""
    async with asyncio.timeout(within_s):
        while not held():  # noqa: ASYNC110  (what is waited for is another program's state)
            await asyncio.sleep(0.01)


async def eventually(
    look: Callable[[], Awaitable[object]], expected: object, *, within_s: float
) -> None:
    """Looks until it sees what is expected; shows the last thing seen when time is up."""
    seen: object = None
    try:
        async with asyncio.timeout(within_s):
            while (seen := await look()) != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert seen == expected
