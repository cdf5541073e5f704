"""The product as a tree of real processes: it starts whole, stops whole, and leaves nothing."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from fastapi import FastAPI

from backend.parts import StartFailed, joined
from backend.settings import ROOT, Settings
from backend.supervise import database
from integrations.tls import roots
from tests.servers import serving, until
from tests.weights import eventually, fetched

pytestmark = pytest.mark.timeout(300)
PROGRAM = Path(__file__).with_name("fakes_product.py")
STOP_S = 10


@dataclass(frozen=True)
class Product:
    """A running product, what it said about itself, and every process of its tree."""

    process: subprocess.Popen[str]
    said: dict

    @property
    def tree(self) -> list[psutil.Process]:
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]


def command(home: Path, **settings: object) -> list[str]:
    pairs = {"HOME": home, "PORT": 0} | settings
    words = [f"EMPTOR_{name}={value}" for name, value in pairs.items()]
    return ["/usr/bin/env", *words, sys.executable, str(PROGRAM)]


@contextmanager
def product(home: Path, **settings: object) -> Iterator[Product]:
    process = subprocess.Popen(
        command(home, **settings), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    tree: list[psutil.Process] = []
    try:
        line = process.stdout.readline()
        assert line, f"it did not start: exit {process.wait(10)}"
        started = Product(process, json.loads(line))
        tree = started.tree
        yield started
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
        assert psutil.wait_procs(tree, timeout=30)[1] == []


def refused(home: Path, **settings: object) -> str:
    """The one line with which a start fails."""
    ended = subprocess.run(
        command(home, **settings), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


@asynccontextmanager
async def up(home: Path, **settings: object) -> AsyncIterator[Product]:
    """The same without blocking this loop, on which the configured model answers."""
    context = product(home, **settings)
    started = await asyncio.to_thread(context.__enter__)
    try:
        yield started
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def line_of(home: Path, **settings: object) -> str:
    return await asyncio.to_thread(refused, home, **settings)


@contextmanager
def new_home() -> Iterator[Path]:
    # Not pytest's folder: each pytest session closes that one again to the database's user.
    with tempfile.TemporaryDirectory(prefix="emptor-home-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "home"


@pytest.fixture
def home() -> Iterator[Path]:
    with new_home() as folder:
        yield folder


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[str]:
    """A configured model that exists, so that these tests need no weights."""
    app = FastAPI()

    @app.get("/v1/models")
    async def models() -> dict:
        return {"data": []}

    async with serving(app) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="module")
async def shared(model: str) -> AsyncIterator[tuple[Path, Product]]:
    """One running product and its home, for tests that leave it running."""
    with new_home() as home:
        async with up(home, OPENAI_BASE_URL=model) as running:
            yield home, running


async def test_every_part_answers_and_sees_none_of_our_settings(shared: tuple[Path, Product]):
    _, running_product = shared
    said = running_product.said
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as client:
        for url in (said["stripe"], *said["merchants"].values()):
            assert (await client.get(f"{url}/healthz")).status_code < 500
    assert await run(said["database"], "SELECT 1") == [(1,)]
    looked_at = 0
    for child in running_product.tree[1:]:
        with suppress(psutil.NoSuchProcess):  # the database's helpers come and go
            if child.username() == psutil.Process().username():
                assert not [name for name in child.environ() if name.startswith("EMPTOR_")]
                looked_at += 1
    assert looked_at >= len(said["merchants"])


async def test_sigterm_stops_everything_in_time_even_with_a_request_open(home: Path, model: str):
    async with (
        up(home, OPENAI_BASE_URL=model) as running,
        httpx.AsyncClient(verify=roots()) as client,
    ):
        tree = running.tree
        assert len(tree) >= 5
        async with client.stream("GET", f"{running.said['url']}/slow", timeout=30):
            began = time.monotonic()
            running.process.terminate()
            await until(lambda: running.process.poll() is not None, within_s=STOP_S)
            assert time.monotonic() - began < STOP_S
        assert [p for p in tree if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


async def test_kill_9_of_the_top_leaves_no_process_and_the_next_start_works(home: Path, model: str):
    async with up(home, OPENAI_BASE_URL=model) as running:
        await run(running.said["database"], "CREATE TABLE kept (n int)")
        children = running.tree[1:]
        running.process.kill()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=10)
        assert alive == []
        assert len(gone) == len(children)
    async with up(home, OPENAI_BASE_URL=model) as again:
        assert await run(again.said["database"], "SELECT count(*) FROM kept") == [(0,)]


async def run(url: str, query: str) -> list[tuple]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query)
        return await cursor.fetchall() if cursor.description else []


async def test_a_crashed_part_comes_back_at_the_same_address(shared: tuple[Path, Product]):
    _, running_product = shared
    shop = running_product.said["merchants"]["mer_demo_shop"]
    port = shop.rpartition(":")[2]
    victim = next(p for p in running_product.tree if port in p.cmdline())
    victim.kill()
    victim.wait(5)

    def back() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(port))) == 0

    await until(back, within_s=60)
    assert victim.pid not in {p.pid for p in running_product.tree}


async def test_a_second_start_on_the_same_home_says_so(shared: tuple[Path, Product]):
    home, running_product = shared
    line = await line_of(home)
    assert "already runs" in line
    assert str(running_product.process.pid) in line
    assert running_product.process.poll() is None


async def test_one_more_process_finds_the_parts_of_the_running_one(shared: tuple[Path, Product]):
    home, running_product = shared
    parts = joined(home)
    assert parts.database_url == running_product.said["database"]
    assert (
        parts.merchants["mer_demo_shop"].url == running_product.said["merchants"]["mer_demo_shop"]
    )
    assert (home / "parts.json").stat().st_mode & 0o777 == 0o600
    async with database(Settings(home=home)) as url:
        assert url == parts.database_url


async def test_a_command_without_a_running_product_gets_a_database_for_itself(home: Path):
    async with database(Settings(home=home)) as url:
        assert await run(url, "SELECT 1") == [(1,)]
    with pytest.raises(StartFailed, match="Nothing runs"):
        joined(home)


async def test_an_occupied_port_is_one_line_and_nothing_is_started(home: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = await line_of(home, PORT=port)
    assert str(port) in line
    assert "EMPTOR_PORT" in line
    assert not (home / "postgres").exists()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"DATABASE_URL": "postgresql://nobody:hidden@127.0.0.1:1/none"}, "EMPTOR_DATABASE_URL"),
        ({"DATABASE_URL": "mysql://127.0.0.1/none"}, "EMPTOR_DATABASE_URL"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "EMPTOR_OPENAI_BASE_URL"),
        ({"LOCAL_MODEL": __file__}, "EMPTOR_LOCAL_MODEL"),
    ],
)
async def test_what_cannot_be_used_is_one_line_with_the_name_of_the_setting(
    home: Path, settings: dict[str, str], names: str
):
    line = await line_of(home, **settings)
    assert names in line
    assert "hidden" not in line
    assert not (home / "parts.json").exists()


@pytest.mark.weights
async def test_kill_9_with_the_real_model_loaded_leaves_no_process(home: Path):
    await fetched()
    async with (
        up(home, DEMO=0) as running,
        httpx.AsyncClient(verify=roots(), trust_env=False) as client,
    ):
        address = running.said["model"].removesuffix("/v1")

        async def ready() -> bool:
            return (await client.get(f"{address}/health")).json()["status"] == "ready"

        await eventually(ready, within_s=120)
        children = running.tree[1:]
        assert any("integrations.embedded.server" in child.cmdline() for child in children)
        os.kill(running.process.pid, signal.SIGKILL)
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=10)
        assert alive == []
