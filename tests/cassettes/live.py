"""A simulator for one walk: its own process, its own home, real HTTP."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from integrations.ucp_profile import WELL_KNOWN
from tests.cassettes.walks import TAPES, Place
from tests.integrations.running_merchants import KEY
from tests.integrations.ucp_platform import ours
from tests.simulators import simulator


@asynccontextmanager
async def place(name: str) -> AsyncIterator[Place]:
    """Where the walk of that tape goes when nothing is taped."""
    module, today = TAPES[name].module, datetime.now(UTC).date()
    with tempfile.TemporaryDirectory() as home:
        told = () if module == "stripe" else ("--key", KEY)
        with simulator(module, "--home", str(Path(home) / module), *told) as url:
            async with ours() as us:
                yield Place(url, today, KEY, profile_url=f"{us.url}{WELL_KNOWN}", key=us.key)
