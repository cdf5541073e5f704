"""What the simulator remembers: objects, answers by idempotency key, events to deliver.

SQLite under the given folder, one writer, every request one transaction: after `kill -9` either
the charge and the answer stored for its key are both there, or neither is.
"""

import json
import secrets
import sqlite3
import string
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Thing = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS thing (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  born REAL NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS thing_kind ON thing (kind, seq);
CREATE TABLE IF NOT EXISTS answer (
  key TEXT PRIMARY KEY,
  request TEXT NOT NULL,
  status INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS delivery (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL
);
"""
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer to a key. `request` is the fingerprint of method, path and parameters."""

    request: str
    status: int
    body: str


def fresh_id(prefix: str) -> str:
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(24))


class Store:
    """Thread-safe: `transaction()` is the only way in and lets one thread through at a time."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._sql = sqlite3.connect(
            home / "stripe.sqlite3", isolation_level=None, check_same_thread=False
        )
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=NORMAL")
        self._sql.executescript(_SCHEMA)
        self._lock = threading.RLock()
        self._began = 0.0

    def close(self) -> None:
        with self._lock:
            self._sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._sql.execute("BEGIN IMMEDIATE")
            self._began = time.time()
            try:
                yield
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")

    def mark(self) -> None:
        """A point to return to inside the transaction, for a request that is refused half-way."""
        self._sql.execute("SAVEPOINT request")

    def rewind(self) -> None:
        self._sql.execute("ROLLBACK TO request")

    def add(self, thing: Thing) -> Thing:
        self._sql.execute(
            "INSERT INTO thing (id, kind, born, body) VALUES (?, ?, ?, ?)",
            (thing["id"], thing["object"], time.time(), json.dumps(thing)),
        )
        return thing

    def save(self, thing: Thing) -> Thing:
        self._sql.execute(
            "UPDATE thing SET body = ? WHERE id = ?", (json.dumps(thing), thing["id"])
        )
        return thing

    def find(self, id_: str, kind: str | None = None) -> Thing | None:
        row = self._sql.execute("SELECT kind, body FROM thing WHERE id = ?", (id_,)).fetchone()
        if row is None or (kind is not None and row[0] != kind):
            return None
        body: Thing = json.loads(row[1])
        return body

    def newest(self, kind: str, *, born_before: float | None = None) -> list[Thing]:
        rows = self._sql.execute(
            "SELECT body FROM thing WHERE kind = ? AND born <= ? ORDER BY seq DESC",
            (kind, born_before if born_before is not None else float("inf")),
        )
        return [json.loads(row[0]) for row in rows]

    def answer(self, key: str) -> Answer | None:
        row = self._sql.execute(
            "SELECT request, status, body FROM answer WHERE key = ?", (key,)
        ).fetchone()
        return Answer(*row) if row else None

    def remember(self, key: str, answer: Answer) -> None:
        self._sql.execute(
            "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)",
            (key, answer.request, answer.status, answer.body),
        )

    def enqueue(self, event_id: str, *, after_s: float) -> None:
        """The events of one request fall due at one moment: none is seen without the rest."""
        self._sql.execute(
            "INSERT INTO delivery (event, due) VALUES (?, ?)", (event_id, self._began + after_s)
        )

    def due(self, now: float) -> list[tuple[int, str, int]]:
        """(delivery, event id, attempts so far), the oldest event first."""
        with self._lock:
            rows = self._sql.execute(
                "SELECT seq, event, attempts FROM delivery WHERE due <= ? ORDER BY seq LIMIT 50",
                (now,),
            )
            return list(rows.fetchall())

    def delivered(self, delivery: int) -> None:
        with self._lock:
            self._sql.execute("DELETE FROM delivery WHERE seq = ?", (delivery,))

    def retry(self, delivery: int, *, due: float) -> None:
        with self._lock:
            self._sql.execute(
                "UPDATE delivery SET attempts = attempts + 1, due = ? WHERE seq = ?",
                (due, delivery),
            )
