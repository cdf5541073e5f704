"""The unit of work."""

import pytest
from sqlalchemy import text

from backend.database import Database


async def test_a_block_that_raises_leaves_nothing_behind(database: Database):
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE t (n int)"))
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO t VALUES (1)"))
            raise RuntimeError
    async with database.transaction() as session:
        assert (await session.execute(text("SELECT count(*) FROM t"))).scalar_one() == 0
