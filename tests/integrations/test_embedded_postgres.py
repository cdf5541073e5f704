"""The embedded database: set up once, survives a hard stop, leaves nothing running."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from integrations.embedded import postgres
from integrations.embedded.process import Process


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's folder: each pytest session closes that one again to the database's user.
    with tempfile.TemporaryDirectory(prefix="emptor-home-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@asynccontextmanager
async def up(home: Path) -> AsyncIterator[tuple[postgres.Postgres, Process]]:
    place = postgres.prepared(home, log=home / "postgres.log")
    process = await postgres.run(place)
    try:
        yield place, process
    finally:
        await process.stop()


async def ask(place: postgres.Postgres, query: str) -> list[tuple]:
    async with await psycopg.AsyncConnection.connect(place.url, autocommit=True) as connection:
        cursor = await connection.execute(query)
        return await cursor.fetchall() if cursor.description else []


async def test_a_fresh_home_gets_a_durable_database_that_is_on_no_network(home: Path):
    async with up(home) as (place, process):
        shown = await ask(
            place,
            "SELECT current_database(), current_setting('fsync'), "
            "current_setting('listen_addresses'), lower('ÄÖ'), current_setting('shared_buffers')",
        )
        assert shown == [("emptor", "on", "", "äö", "128MB")]
        await ask(place, "CREATE EXTENSION vector")
        listening = psutil.Process(process.pid).net_connections("inet")
        assert listening == []
    assert not process.running


async def test_committed_rows_survive_kill_9_of_the_server(home: Path):
    async with up(home) as (place, process):
        await ask(place, "CREATE TABLE kept (n int)")
        await ask(place, "INSERT INTO kept VALUES (7)")
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    async with up(home) as (place, _):
        assert await ask(place, "SELECT n FROM kept") == [(7,)]


async def test_a_deep_home_still_has_a_socket(home: Path):
    deep = home / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with up(deep) as (place, _):
        assert len(os.fsencode(place.sockets / postgres.SOCKET_NAME)) <= 107
        assert await ask(place, "SELECT 1") == [(1,)]
    place.sockets.rmdir()


async def test_a_stale_pid_file_that_names_a_living_stranger_does_not_stop_the_start(
    home: Path,
):
    async with up(home) as (place, _):
        pass
    (place.data / "postmaster.pid").write_text(f"{os.getpid()}\n{place.data}\n")
    async with up(home) as (place, _):
        assert await ask(place, "SELECT 1") == [(1,)]


async def test_a_leftover_server_is_waited_for_and_then_ended(home: Path):
    async with up(home) as (_, leftover):
        async with up(home) as (place, process):
            assert await ask(place, "SELECT 1") == [(1,)]
            assert process.pid != leftover.pid
        assert not psutil.pid_exists(process.pid)


async def test_a_database_of_another_version_is_left_alone(home: Path):
    place = postgres.prepared(home, log=home / "log")
    (place.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(postgres.PostgresFailed, match="PostgreSQL 12"):
        postgres.prepared(home, log=home / "log")


async def test_a_server_that_cannot_start_gives_its_last_words(home: Path):
    place = postgres.prepared(home, log=home / "log")
    (place.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(postgres.PostgresFailed, match="PostgreSQL ended: "):
        await postgres.run(place)
