"""Limits of an address hold together over all processes, and end by the database's clock."""

import asyncio

import pytest
from limits import RateLimitItemPerMinute
from limits.aio.strategies import FixedWindowRateLimiter
from sqlalchemy import text

from backend.api.guests import household
from backend.database import Database
from backend.hits import Hits

TEN = RateLimitItemPerMinute(10)


async def over(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("UPDATE address_hit SET ends_at = now() - interval '1 second'"))


async def rows(database: Database) -> int:
    async with database.transaction() as session:
        return int((await session.execute(text("SELECT count(*) FROM address_hit"))).scalar_one())


async def test_forty_requests_at_two_processes_at_once_are_ten_let_in(database_url: str):
    both = [Database(database_url, pool_size=4) for _ in range(2)]
    limiters = [FixedWindowRateLimiter(Hits(one.transaction)) for one in both]
    asked = [limiters[n % 2].hit(TEN, "guest", "198.51.100.7") for n in range(40)]
    assert sum(await asyncio.gather(*asked)) == 10
    assert await limiters[0].hit(TEN, "guest", "198.51.100.8"), "another address is another count"
    for one in both:
        await one.dispose()


async def test_a_window_that_is_over_lets_in_again_and_is_forgotten(database: Database):
    hits = Hits(database.transaction)
    limiter = FixedWindowRateLimiter(hits)
    let_in = [await limiter.hit(TEN, "guest", "198.51.100.7") for _ in range(11)]
    assert let_in == [True] * 10 + [False]
    await over(database)
    assert await limiter.hit(TEN, "guest", "198.51.100.7")
    await over(database)
    await hits.sweep()
    assert await rows(database) == 0


async def test_no_address_can_be_read_from_what_is_kept(database: Database):
    await FixedWindowRateLimiter(Hits(database.transaction)).hit(TEN, "guest", "198.51.100.7")
    async with database.transaction() as session:
        kept = (await session.execute(text("SELECT key FROM address_hit"))).scalar_one()
    assert "198.51" not in kept


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_whoever_has_a_network_of_addresses_counts_as_one(host: str, counted: str):
    assert household(host) == counted
