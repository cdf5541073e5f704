"""`python -m integrations.simulators.stripe`: prints READY and its address, then serves."""

import argparse
import os
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from integrations.listener import listen
from integrations.simulators.stripe.server import Server
from integrations.simulators.stripe.store import Store
from integrations.simulators.stripe.world import SEARCH_LAG_S, Hooks, World


class Announced(uvicorn.Server):
    """Says READY once the socket is being served, not before."""

    url: str = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"READY {self.url}\n")
        sys.stdout.flush()


def _follow_parent() -> None:
    """Nothing is ever written to our stdin: its end is the parent's end, `kill -9` included."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m integrations.simulators.stripe")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--webhook-url")
    parser.add_argument("--webhook-secret", default="")
    parser.add_argument("--search-lag", type=float, default=SEARCH_LAG_S)
    parser.add_argument("--leash", action="store_true", help="stop when stdin ends")
    options = parser.parse_args()
    listening = listen("127.0.0.1", options.port)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    world = World(
        Store(options.home),
        url,
        Hooks(options.webhook_url, options.webhook_secret),
        search_lag_s=options.search_lag,
    )
    config = uvicorn.Config(
        Server(world).app(), log_level="critical", lifespan="on", timeout_graceful_shutdown=2
    )
    server = Announced(config)
    server.url = url
    if options.leash:
        threading.Thread(target=_follow_parent, daemon=True).start()
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
