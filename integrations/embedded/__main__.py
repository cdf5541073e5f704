"""`python -m integrations.embedded --home H --port P`: the local model, from weights to answers.

One process that the supervisor starts. It gets the weights in the background, runs llama.cpp's
servers as its children, and answers on loopback from its first second on.
"""

import argparse
import asyncio
from pathlib import Path

import uvicorn

from integrations.embedded.gate import Gate
from integrations.embedded.leash import die_at_end_of_input
from integrations.embedded.roster import Roster
from integrations.embedded.shim import create_shim, model_client
from integrations.embedded.sources import from_hub, from_registry
from integrations.embedded.weights import Source, Store

SHARED_CACHE = Path.home() / ".cache" / "emptor" / "models"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integrations.embedded", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--local-model", type=Path, help="a weights file, named by the operator")
    parser.add_argument("--shared-cache", type=Path, default=SHARED_CACHE)
    parser.add_argument("--installer", type=Path, help="uv, when it is not beside our Python")
    parser.add_argument("--sources", default="hub,registry", help="in this order; may be empty")
    parser.add_argument("--running", type=int, default=2)
    parser.add_argument("--waiting", type=int, default=8)
    parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--leash", action="store_true", help="end when standard input ends")
    return parser.parse_args()


async def serve(args: argparse.Namespace) -> None:
    every: dict[str, Source] = {
        "hub": from_hub(),
        "registry": from_registry(installer=args.installer),
    }
    async with model_client() as client:
        roster = Roster(
            store=Store(args.home, shared=[args.shared_cache]),
            sources=[(name, every[name]) for name in args.sources.split(",") if name],
            client=client,
            logs=args.home / "logs",
            local=args.local_model,
        )
        gate = Gate(running_max=args.running, waiting_max=args.waiting, patience_s=args.patience)
        app = create_shim(roster, gate, client)
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=args.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        await uvicorn.Server(config).serve()


def main() -> None:
    args = arguments()
    if args.leash:
        die_at_end_of_input()
    asyncio.run(serve(args))


if __name__ == "__main__":
    main()
