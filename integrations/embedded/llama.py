"""One llama.cpp server as seen by the shim: started, probed, restarted, put to sleep when idle."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from integrations.embedded.process import Command, Process, keep, start

# Two answers at a time, each with a window of its own: 0.47 GB of the 1.5B model's 1.7 GB.
SLOTS = 2
SLOT_CONTEXT = 8192
POLL_S = 0.1
THREADS_MAX = 4


class NotReady(Exception):
    """The model did not become ready in the time that the caller had."""


class Llama:
    """The server of one weights file. `awake` starts it when needed; `sleep` stops it.

    `client` must not keep connections alive: llama.cpp drops them without a word under load.
    """

    def __init__(self, *, alias: str, model: Path, client: httpx.AsyncClient, log: Path) -> None:
        self.alias = alias
        self.url = ""
        self.crashes = 0
        self.in_use = 0
        self.last_used = 0.0
        self._model = model
        self._client = client
        self._log = log
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._waking = asyncio.Lock()

    @property
    def state(self) -> str:
        if not self._tasks:
            return "asleep"
        return "ready" if self._ready.is_set() else "starting"

    @asynccontextmanager
    async def awake(self, *, patience_s: float) -> AsyncIterator[str]:
        """The server's address, as long as the block lasts. Raises `NotReady`."""
        self.in_use += 1
        try:
            await self._wait(patience_s)
            yield self.url
        finally:
            self.in_use -= 1
            self.last_used = asyncio.get_running_loop().time()

    async def _wait(self, patience_s: float) -> None:
        try:
            async with asyncio.timeout(patience_s):
                await self.wake()
                await self._ready.wait()
        except TimeoutError as error:
            raise NotReady(f"{self.alias} is still loading") from error

    async def wake(self) -> None:
        """Starts the server unless it runs. It is ready later: see `awake`."""
        async with self._waking:
            if not self._tasks:
                first = await self._spawn()
                kept = keep(first, self._spawn, crashed=self._crashed)
                self._tasks.append(asyncio.create_task(kept, name=f"keep {self.alias}"))

    async def sleep(self) -> None:
        """Stops the server and gives its memory back."""
        async with self._waking:
            self._ready.clear()
            for task in self._tasks:
                task.cancel()
            for task in self._tasks:
                with suppress(asyncio.CancelledError):
                    await task
            self._tasks.clear()

    async def _spawn(self) -> Process:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = Command.module(
            "integrations.embedded.server",
            *("--model", str(self._model), "--alias", self.alias, "--port", str(port)),
            *("--threads", str(threads()), "--slots", str(SLOTS)),
            *("--slot-context", str(SLOT_CONTEXT), "--leash"),
        )
        process = await start(command.with_settings(OMP_WAIT_POLICY="passive"), log=self._log)
        self._tasks.append(asyncio.create_task(self._probe(process), name=f"probe {self.alias}"))
        return process

    async def _probe(self, process: Process) -> None:
        """Waits until this very process answers that its model is loaded."""
        while process.running:
            with suppress(httpx.HTTPError):
                answer = await self._client.get(f"{self.url}/health", timeout=2)
                if answer.status_code == 200 and process.running:
                    self._ready.set()
                    return
            await asyncio.sleep(POLL_S)

    def _crashed(self, _process: Process, _code: int) -> None:
        self._ready.clear()
        self.crashes += 1


def free_port() -> int:
    """A port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def threads() -> int:
    """Cores that we may use, up to four: more brings nothing at this model size."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(THREADS_MAX, cores or 1))
