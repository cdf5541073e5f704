"""`make cassettes`: records every tape anew, from the simulators that the product comes with."""

import asyncio
import sys

from tests.cassettes import live, tape
from tests.cassettes.walks import TAPES


async def record(name: str) -> None:
    taped = TAPES[name]
    async with live.place(name) as at:
        source = f"integrations.simulators.{taped.module}, over HTTP"
        with tape.recording(name, at.url, source=source):
            await taped.walk(at)


async def main() -> None:
    for name in TAPES:
        await record(name)
        sys.stdout.write(f"{tape.path(name).name}: {tape.path(name).stat().st_size} bytes\n")


if __name__ == "__main__":
    asyncio.run(main())
