"""A parent that starts children as the product does, to be killed by a test.

`python fakes_parent.py LOG` starts one child that ignores SIGTERM and its standard input (only
the kernel's signal can end it) and one that watches its standard input; once both run their own
code it prints their process ids.
"""

import asyncio
import sys
from pathlib import Path

from integrations.embedded.process import Command, start

DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); signal.pause()"
)
LISTENER = (
    "from integrations.embedded.leash import die_at_end_of_input as d; import signal; d(); "
    "print('up', flush=True); signal.pause()"
)


async def main(log: Path) -> None:
    children = [
        await start(Command((sys.executable, "-c", code)), log=log) for code in (DEAF, LISTENER)
    ]
    async with asyncio.timeout(30):
        while log.read_text().count("up") < len(children):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.05)
    sys.stdout.write(" ".join(str(child.pid) for child in children) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
