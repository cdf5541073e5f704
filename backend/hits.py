"""How often an address did something, counted in the database: all processes count together.

What is kept is a digest of the address and of what it did, until the window is over. The table is
not logged: after a crash of the database every window begins anew, which lets nobody in for free,
for these counts stop abuse and grant nothing.
"""

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from limits.aio.storage import Storage
from sqlalchemy import DateTime, Index, Text, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

MOMENT: Any = DateTime(timezone=True)
TEXT: Any = Text()


class AddressHit(SQLModel, table=True):
    """One window of one address for one sort of request."""

    __tablename__ = "address_hit"
    __table_args__ = (Index("address_hit_end", "ends_at"), {"prefixes": ["UNLOGGED"]})

    key: str = Field(sa_type=TEXT, primary_key=True)
    hits: int
    ends_at: datetime = Field(sa_type=MOMENT)


_HIT = text("""
INSERT INTO address_hit AS h (key, hits, ends_at)
VALUES (:key, :amount, now() + make_interval(secs => :expiry))
ON CONFLICT (key) DO UPDATE SET
  hits = EXCLUDED.hits + CASE WHEN h.ends_at > now() THEN h.hits ELSE 0 END,
  ends_at = CASE WHEN h.ends_at > now() THEN h.ends_at ELSE EXCLUDED.ends_at END
RETURNING hits
""")
_HITS = text("SELECT hits FROM address_hit WHERE key = :key AND ends_at > now()")
_END = text("SELECT extract(epoch FROM ends_at) FROM address_hit WHERE key = :key")
_CLEAR = text("DELETE FROM address_hit WHERE key = :key")
_RESET = text("DELETE FROM address_hit RETURNING key")
_FORGET = text("DELETE FROM address_hit WHERE ends_at <= now()")


class Hits(Storage):
    """Where `limits` keeps its counts. `transaction` opens one that commits when its block ends."""

    STORAGE_SCHEME = None

    def __init__(
        self, transaction: Callable[[], AbstractAsyncContextManager[AsyncSession]]
    ) -> None:
        super().__init__()
        self._transaction = transaction

    @property
    def base_exceptions(self) -> type[Exception]:
        return SQLAlchemyError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """The count with this request; the first of a window opens it for `expiry` seconds."""
        values = {"key": _digest(key), "expiry": expiry, "amount": amount}
        async with self._transaction() as session:
            return int((await session.execute(_HIT, values)).scalar_one())

    async def get(self, key: str) -> int:
        return int(await self._read(_HITS, key) or 0)

    async def get_expiry(self, key: str) -> float:
        """Seconds since the epoch at which the window ends; 0 for none."""
        return float(await self._read(_END, key) or 0)

    async def check(self) -> bool:
        async with self._transaction() as session:
            await session.execute(text("SELECT 1"))
        return True

    async def reset(self) -> int:
        async with self._transaction() as session:
            return len((await session.execute(_RESET)).all())

    async def clear(self, key: str) -> None:
        async with self._transaction() as session:
            await session.execute(_CLEAR, {"key": _digest(key)})

    async def sweep(self) -> None:
        """Forget the windows that are over."""
        async with self._transaction() as session:
            await session.execute(_FORGET)

    async def _read(self, query: Any, key: str) -> Any:
        async with self._transaction() as session:
            return (await session.execute(query, {"key": _digest(key)})).scalar_one_or_none()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
