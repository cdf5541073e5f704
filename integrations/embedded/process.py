"""One child process: started on a leash, watched, restarted with back-off, stopped in time.

The supervisor runs its parts with this, and the model shim its llama.cpp servers. Children get a
session of their own, so Ctrl-C in a terminal reaches only the top process, which then stops them
in order. What they say goes to a file that outlives every one of us.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Self

ROOT = Path(__file__).resolve().parents[2]
LEASH = Path(__file__).with_name("leash.py")
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
HEALTHY_AFTER_S = 60.0
LOG_BYTES_MAX = 4 * 2**20
TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `argv[0]` is a path. `death_signal` is sent when the parent is gone.

    `environment` of None inherits ours; `settings` are added to it; `user` needs root.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL

    @classmethod
    def module(cls, name: str, *args: str) -> Self:
        """One of our own modules, run by this very interpreter."""
        return cls((sys.executable, "-m", name, *args))

    def with_settings(self, **settings: str) -> Self:
        return replace(self, settings={**self.settings, **settings})

    def within(self, environment: Mapping[str, str] | None) -> Self:
        return replace(self, environment=environment)

    def leashed(self) -> list[str]:
        pairs = [word for k, v in self.settings.items() for word in ("--set", f"{k}={v}")]
        user = ["--user", self.user] if self.user else []
        own = [sys.executable, "-I", "-S", str(LEASH), "--signal", str(int(self.death_signal))]
        return [*own, *user, *pairs, str(os.getpid()), "--", *self.argv]


class Process:
    """A running child. `last_words` reads from its log what this run of it said."""

    def __init__(self, child: asyncio.subprocess.Process, command: Command, log: Path) -> None:
        self._child = child
        self._command = command
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.returncode is None

    async def wait(self) -> int:
        return await self._child.wait()

    async def stop(self, *, grace_s: float = 5.0) -> None:
        """Asks it to stop, then kills it. Comes back when it is gone."""
        if self.running:
            self._signal(self._command.stop_signal)
        try:
            async with asyncio.timeout(grace_s):
                await self._child.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._child.wait()

    def last_words(self) -> str:
        """The last line that it said, for one clear line of an error."""
        with self._log.open("rb") as said:
            size = said.seek(0, os.SEEK_END)
            said.seek(max(self._log_start, size - TAIL_BYTES))
            lines = said.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._child.send_signal(number)


async def start(command: Command, *, log: Path) -> Process:
    """Starts the child on its leash. Must be called from the main thread (see `leash`)."""
    with _opened(log) as out:
        child = await asyncio.create_subprocess_exec(
            *command.leashed(),
            stdin=asyncio.subprocess.PIPE,  # held open: its end tells the child that we are gone
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            env=command.environment,
            cwd=ROOT,
            start_new_session=True,
        )
    return Process(child, command, log)


def _opened(log: Path) -> BinaryIO:
    """The log to append to; a large one is set aside first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old.log"))
    return log.open("ab")


async def keep(
    first: Process,
    again: Callable[[], Awaitable[Process]],
    *,
    crashed: Callable[[Process, int], None],
    grace_s: float = 5.0,
) -> None:
    """Starts the child again whenever it ends, with growing pauses. Runs until cancelled.

    A child that lived for a minute is forgiven its earlier crashes. `crashed` hears of each
    crash. The running child is stopped on the way out.
    """
    loop = asyncio.get_running_loop()
    process, pause_s = first, BACKOFF_FIRST_S
    try:
        while True:
            born = loop.time()
            code = await process.wait()
            if loop.time() - born > HEALTHY_AFTER_S:
                pause_s = BACKOFF_FIRST_S
            crashed(process, code)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, BACKOFF_MAX_S)
            process = await again()
    finally:
        await process.stop(grace_s=grace_s)
