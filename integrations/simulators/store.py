"""A demo merchant's memory: one SQLite file, so that an order outlives kill -9.

Holds documents (sessions, quotes, orders), what is taken of each thing's stock, and the answers
given to idempotency keys. One connection, one lock: a transaction is the whole of a request's work.
"""

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
  kind TEXT NOT NULL, id TEXT NOT NULL, made INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS taken (
  item TEXT NOT NULL, slot TEXT NOT NULL, owner TEXT NOT NULL, quantity INTEGER NOT NULL,
  until TEXT, PRIMARY KEY (item, slot, owner)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer (
  scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER, body TEXT,
  PRIMARY KEY (scope, key)) WITHOUT ROWID;
"""


class Clock:
    """The merchant's time. Tests move it forward instead of waiting."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


class Store:
    """Opened at `home`/state.sqlite. Methods are called inside `transaction()` only."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            home / "state.sqlite", check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)
        # A key whose request died with the process never finished: its repeat starts afresh.
        self._db.execute("DELETE FROM answer WHERE status IS NULL")
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    def put(self, kind: str, identifier: str, body: Document) -> None:
        self._db.execute(
            "INSERT INTO document SELECT ?, ?, coalesce(max(made), 0) + 1, ? FROM document WHERE 1"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, identifier, json.dumps(body)),
        )

    def get(self, kind: str, identifier: str) -> Document | None:
        row = self._db.execute(
            "SELECT body FROM document WHERE kind = ? AND id = ?", (kind, identifier)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def every(self, kind: str) -> Sequence[Document]:
        """In the order they were first made."""
        rows = self._db.execute("SELECT body FROM document WHERE kind = ? ORDER BY made", (kind,))
        return [json.loads(row[0]) for row in rows]

    def take(
        self, item: str, slot: str, quantity: int, *, owner: str, until: datetime | None = None
    ) -> None:
        """Take some of a thing's stock for `owner`, until a moment or for good."""
        self._db.execute(
            "INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?, ?)",
            (item, slot, owner, quantity, rfc3339(until) if until else None),
        )

    def release(self, owner: str) -> None:
        self._db.execute("DELETE FROM taken WHERE owner = ?", (owner,))

    def taken(
        self, item: str, slot: str, *, now: datetime, besides: str = "", replaces: str = ""
    ) -> int:
        """Units of `item` in `slot` that others than `besides` and `replaces` hold at `now`."""
        row = self._db.execute(
            "SELECT coalesce(sum(quantity), 0) FROM taken WHERE item = ? AND slot = ?"
            " AND owner NOT IN (?, ?) AND (until IS NULL OR until > ?)",
            (item, slot, besides, replaces, rfc3339(now)),
        ).fetchone()
        return int(row[0])

    def answer(self, scope: str, key: str) -> tuple[str, int | None, str | None] | None:
        """`(fingerprint, status, body)` of a key; status is None while its request runs."""
        row: tuple[str, int | None, str | None] | None = self._db.execute(
            "SELECT fingerprint, status, body FROM answer WHERE scope = ? AND key = ?", (scope, key)
        ).fetchone()
        return row

    def begin_answer(self, scope: str, key: str, fingerprint: str) -> None:
        self._db.execute(
            "INSERT INTO answer VALUES (?, ?, ?, NULL, NULL)", (scope, key, fingerprint)
        )

    def finish_answer(self, scope: str, key: str, status: int, body: str) -> None:
        self._db.execute(
            "UPDATE answer SET status = ?, body = ? WHERE scope = ? AND key = ?",
            (status, body, scope, key),
        )

    def forget_answer(self, scope: str, key: str) -> None:
        self._db.execute("DELETE FROM answer WHERE scope = ? AND key = ?", (scope, key))
