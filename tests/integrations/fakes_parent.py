"""A parent that starts children as the product does, to be killed: prints their process ids.

`python fakes_parent.py LOG` starts a sleeper on the leash and one that the sleeper would orphan.
"""

import asyncio
import sys
from pathlib import Path

from integrations.embedded.process import Command, start

SLEEPER = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
LISTENER = (
    "from integrations.embedded.leash import die_at_end_of_input as d; import signal; d(); "
    "signal.pause()"
)


async def main(log: Path) -> None:
    sleeper = await start(Command((sys.executable, "-c", SLEEPER)), log=log)
    listener = await start(Command((sys.executable, "-c", LISTENER)), log=log)
    sys.stdout.write(f"{sleeper.pid} {listener.pid}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
