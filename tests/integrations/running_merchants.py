"""Demo merchants as the product runs them: own processes, real HTTP, started and stopped here."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from integrations.tls import roots

ROOT = Path(__file__).parents[2]
KEY = "k_demo"


class Running:
    """One merchant process. `kill` is kill -9; `start` again takes up the same home and port."""

    def __init__(self, module: str, home: Path) -> None:
        self._module, self._home, self._port = module, home, 0
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"integrations.simulators.{self._module}",
            "--port", str(self._port), "--home", str(self._home), "--key", KEY, "--leash",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 30)
        assert line.startswith(b"READY http://127.0.0.1:"), line
        self.url = line.decode().split()[1]
        self._port = int(self.url.rsplit(":", 1)[1])

    async def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            os.kill(self.process.pid, number)
        return await self._ended()

    async def let_go(self) -> int:
        """Close the leash: what happens to the merchant when its parent dies."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await self._ended()

    async def _ended(self) -> int:
        assert self.process is not None
        code = await asyncio.wait_for(self.process.wait(), 10)
        # The pipes' transports close when the loop runs once more.
        await asyncio.sleep(0)
        self.process._transport.close()  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return code

    @property
    def allow(self) -> frozenset[str]:
        return frozenset({self.url.removeprefix("http://")})

    async def sim(self, path: str, body: dict[str, Any] | None = None) -> Any:
        async with httpx.AsyncClient(verify=roots(), trust_env=False) as client:
            headers = {"Authorization": f"Bearer {KEY}"}
            answer = await client.request(
                "GET" if body is None else "POST",
                f"{self.url}/_sim/{path}",
                headers=headers,
                json=body,
            )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def faults(self, *faults: dict[str, Any]) -> None:
        await self.sim("faults", {"faults": list(faults)})

    async def struck(self) -> None:
        """Returns once every fault has hit as often as it was told to."""
        for _ in range(200):
            if all(fault["times"] == 0 for fault in (await self.sim("faults"))["faults"]):
                return
            await asyncio.sleep(0.02)
        raise AssertionError("a fault never struck")

    async def orders(self) -> Sequence[dict[str, Any]]:
        return (await self.sim("orders"))["data"]


@asynccontextmanager
async def running(module: str, home: Path) -> AsyncIterator[Running]:
    merchant = Running(module, home)
    await merchant.start()
    try:
        yield merchant
    finally:
        await merchant.end()


class Tampering(httpx.AsyncBaseTransport):
    """A merchant that answers something else: `bend` changes each parsed answer in place."""

    def __init__(self, inner: httpx.AsyncBaseTransport, bend: Callable[[Any], None]) -> None:
        self._inner = inner
        self._bend = bend

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = json.loads(await response.aread())
        self._bend(body)
        return httpx.Response(response.status_code, json=body, request=request)


class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on and keeps each exchange, so that a test can hold them to a schema."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.exchanges: list[tuple[httpx.Request, int, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        self.exchanges.append((request, response.status_code, parsed))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
