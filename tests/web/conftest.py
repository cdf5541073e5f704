"""A browser, a stand-in server and a page for tests of the pages. See `stand_in.py`."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from integrations.listener import listen
from tests.web.stand_in import KEY, StandIn, application

CHROMIUM = Path("/usr/bin/chromium")
DIST = Path(__file__).parents[2] / "frontend-static" / "dist"
ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Path:
    if not CHROMIUM.exists():
        pytest.fail("There is no /usr/bin/chromium; install it: apt-get install chromium")
    return CHROMIUM


@pytest.fixture(scope="session")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """Debian's chromium, once a run."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield opened
        await opened.close()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    if not (DIST / "index.html").exists():
        pytest.fail("The pages are not built; in frontend-static: npm ci && npm run build")
    return StandIn(dist=DIST)


@pytest.fixture
def base_url(stand_in: StandIn) -> Iterator[str]:
    """The stand-in on a free loopback port, for one test."""
    config = uvicorn.Config(application(stand_in), log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    listening = listen("127.0.0.1", 0)
    thread = threading.Thread(target=lambda: asyncio.run(_serve(server, listening)))
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    server.force_exit = True
    thread.join(timeout=60)
    listening.close()
    assert not thread.is_alive(), "the stand-in did not stop"


async def _serve(server: uvicorn.Server, on: socket.socket) -> None:
    """Until told to stop. Answers still under way are hung up on, and their sockets closed."""
    await server.serve(sockets=[on])
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A fresh visit in English. Ends with a check that nothing went wrong behind the scenes."""
    context = await browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
    opened = await context.new_page()
    said: list[str] = []
    opened.on("console", lambda m: said.append(m.text) if m.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    await context.close()
    # A refused or cut request is logged by the browser itself, and is part of some tests.
    own = [line for line in said if not line.startswith("Failed to load resource")]
    assert not own, own
