"""The world's time: it moves when the seed says so, for the product, its database and the outside.

In the database `now()` is found in a schema of ours before PostgreSQL's own, and reads a setting
that every transaction is given. In Python the same moment is what every clock shows.
"""

from datetime import UTC, datetime, timedelta

import psycopg
import time_machine

BEGINNING = datetime(2031, 3, 3, 9, 0, tzinfo=UTC)

_NOW = """
CREATE SCHEMA world;
CREATE FUNCTION world.now() RETURNS timestamptz LANGUAGE sql STABLE AS
  $$ SELECT coalesce(nullif(current_setting('world.now', true), '')::timestamptz,
                     pg_catalog.now()) $$;
CREATE FUNCTION world.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  $$ SELECT world.now() $$;
"""


def add_now(url: str) -> None:
    """The functions, once, in a database that worlds are copied from."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(_NOW)


def use_now(url: str) -> None:
    """Every later connection to this very database finds the world's `now()` first."""
    with psycopg.connect(url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f"ALTER DATABASE {name} SET search_path = world, pg_catalog, public")


class Clock:
    """Stands still between two moves. Used as a context manager around a world."""

    def __init__(self) -> None:
        self._travel = time_machine.travel(BEGINNING, tick=False)

    def __enter__(self) -> "Clock":
        self._at = self._travel.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._travel.stop()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def move(self, seconds: float) -> None:
        self._at.shift(timedelta(seconds=seconds))
