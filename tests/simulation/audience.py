"""Who looks at a world without taking part: its database and the books of everybody outside.

A look reads what was written since the last one, and costs nothing where nothing was.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

_ORDER = {"thing": "seq", "document": "made"}


class Book:
    """One SQLite file of a server outside, read beside it."""

    def __init__(self, path: Path, table: str) -> None:
        self._table = table
        self._sql = sqlite3.connect(path)
        self._known: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        self._parsed: dict[str, dict[str, Any]] = {}

    @property
    def version(self) -> int:
        """Another number as soon as anybody has written, by whatever door they came."""
        return int(self._sql.execute("PRAGMA data_version").fetchone()[0])

    def every(self, kind: str) -> list[dict[str, Any]]:
        """The documents of this kind, in the order in which they were made.

        One that was not written since the last time is the very same object.
        """
        version, (seen, found) = self.version, self._known.get(kind, (-1, []))
        if seen != version:
            query = f"SELECT body FROM {self._table} WHERE kind = ? ORDER BY {_ORDER[self._table]}"  # noqa: S608
            found = [self._document(body) for (body,) in self._sql.execute(query, (kind,))]
            self._known[kind] = version, found
        return found

    def _document(self, body: str) -> dict[str, Any]:
        if body not in self._parsed:
            self._parsed[body] = json.loads(body)
        return self._parsed[body]

    def close(self) -> None:
        self._sql.close()


@dataclass
class Seen:
    """What the looks so far have seen: how much was written by then, and what there is.

    `judged` are documents of the outside as they were found right, by id. `captures` are the
    payments that took money for a purchase, `sessions` the purchase of a merchant's session, and
    `ordered` the one order that came of it.
    """

    writes: int = -1
    versions: tuple[int, ...] = ()
    xid: int = 0
    checkouts: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)
    captures: dict[str, set[str]] = field(default_factory=dict)
    sessions: dict[tuple[str, str], str] = field(default_factory=dict)
    ordered: dict[tuple[str, str], str] = field(default_factory=dict)


class Audience:
    """`books` by name: the processor's and each merchant's."""

    def __init__(self, url: str, books: Mapping[str, Book]) -> None:
        self.books = books
        self.seen = Seen()
        self._sql = psycopg.connect(
            url, autocommit=True, row_factory=dict_row, options="-c timezone=UTC -c jit=off"
        )

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        return self._sql.execute(query, values or None).fetchall()

    def versions(self) -> tuple[int, ...]:
        return tuple(book.version for book in self.books.values())

    def close(self) -> None:
        with closing(self._sql):
            for book in self.books.values():
                book.close()
