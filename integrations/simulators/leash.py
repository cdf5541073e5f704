"""Runs a demo merchant as its own process: one loopback port, one READY line, a clean end.

With `--leash` the process ends when its standard input closes, so it cannot outlive the parent that
holds the other end, however that parent died.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from integrations.listener import listen


@dataclass(frozen=True, slots=True)
class Arguments:
    """`port` 0 takes a free one. `key` is the bearer key that callers must send.

    `webhook_url` is where a merchant that has no other way to learn it sends its order events.
    """

    port: int
    home: Path
    key: str
    leash: bool
    webhook_url: str = ""


class _Announcing(uvicorn.Server):
    """Says READY once the port answers, and stops without the signal's exit status."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await super().startup(sockets=sockets)
        if self.started and sockets:
            sys.stdout.write(f"READY http://127.0.0.1:{sockets[0].getsockname()[1]}\n")
            sys.stdout.flush()

    def stop(self) -> None:
        self.should_exit = True


def parse(name: str, argv: Sequence[str] | None = None) -> Arguments:
    parser = argparse.ArgumentParser(prog=name, description=f"The demo merchant {name}.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--webhook-url", default="")
    parser.add_argument("--leash", action="store_true", help="end when standard input closes")
    return Arguments(**vars(parser.parse_args(argv)))


def run(arguments: Arguments, build: Callable[[str], FastAPI]) -> None:
    """Serve `build(base_url)` on loopback until told to stop. Raises `OSError` for a taken port."""
    listening = listen("127.0.0.1", arguments.port)
    base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        build(base_url),
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    server = _Announcing(config)
    if arguments.leash:
        threading.Thread(target=_follow_stdin, args=(server,), daemon=True).start()
    server.run(sockets=[listening])


def _follow_stdin(server: _Announcing) -> None:
    while os.read(0, 4096):
        pass
    server.stop()
