"""A database for each test, as new.

To make one is to copy 500 files, 100 ms and more. One whose rows are gone again is as good, so it
is kept for the next test, under another name: whoever still holds the old one reaches nothing by
it.
What a test has built in or torn down is not mended; such a database is thrown away.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import ObjectInUse

SIZE_MAX = 32 * 1024 * 1024  # rows that are gone leave room behind
# Everything but rows: tables and columns, rules, triggers, functions, settings of the database.
SHAPE = """
WITH ours AS (SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace)
SELECT md5(string_agg(one, ' ' ORDER BY one)) FROM (
  SELECT 'table ' || oid || relname FROM ours
  UNION ALL SELECT 'column ' || attrelid || ' ' || attnum || ' ' || a.xmin
    FROM pg_attribute a JOIN ours ON ours.oid = attrelid
  UNION ALL SELECT 'index ' || indexrelid || ' ' || i.xmin
    FROM pg_index i JOIN ours ON ours.oid = indrelid
  UNION ALL SELECT 'rule ' || c.oid || ' ' || c.xmin
    FROM pg_constraint c JOIN ours ON ours.oid = conrelid
  UNION ALL SELECT 'trigger ' || t.oid || ' ' || t.xmin FROM pg_trigger t
  UNION ALL SELECT 'function ' || p.oid || ' ' || p.xmin FROM pg_proc p
    WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT 'schema ' || oid || nspname FROM pg_namespace WHERE nspname !~ '^pg_t'
  UNION ALL SELECT 'setting ' || unnest(setconfig) FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()
) AS all_of_it (one)
"""
TOUCHED = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
"""
COUNTED = "SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL"


LOOKS_MAX = 5


@dataclass
class Kept:
    """What a template looks like, the rows that it brings along, and databases that are free."""

    shape: str
    rows: dict[str, bytes]
    free: list[str] = field(default_factory=list)


_KEPT: dict[tuple[str, str], Kept] = {}


@contextmanager
def fresh_database(postgres: str, template: str) -> Iterator[str]:
    """A database that is as the template is; its rows, or all of it, are gone afterwards."""
    if (kept := _KEPT.get((postgres, template))) is None:
        kept = _KEPT[postgres, template] = _look(named(postgres, template))
    with psycopg.connect(postgres, autocommit=True) as admin:
        if kept.free:
            name = kept.free.pop()
        else:
            name = _another()
            _run(admin, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
        yield named(postgres, name)
        name = _left(admin, name)
        if _emptied(named(postgres, name), kept):
            kept.free.append(name)
        else:
            _run(admin, "DROP DATABASE {} WITH (FORCE)", name)


def _left(admin: psycopg.Connection[Any], name: str) -> str:
    """Its new name. Nobody is connected to it, and nobody comes back by the old one: a client that
    lost its connection calls again at once, so the door is shut before it is shown out. Who was on
    the way in as it shut is not seen yet, and is shown out with the next look."""
    _run(admin, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name)
    after = _another()
    for look in range(LOOKS_MAX):
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        try:
            _run(admin, "ALTER DATABASE {} RENAME TO {}", name, after)
            break
        except ObjectInUse:
            if look == LOOKS_MAX - 1:
                raise
    _run(admin, "ALTER DATABASE {} ALLOW_CONNECTIONS true", after)
    return after


def _another() -> str:
    return f"t_{secrets.token_hex(6)}"


def named(postgres: str, database: str) -> str:
    """The URL of another database of that server."""
    return postgres.replace("@/postgres", f"@/{database}")


def _look(template: str) -> Kept:
    with psycopg.connect(template, autocommit=True) as own:
        rows = {}
        for (table,) in own.execute(TOUCHED).fetchall():
            with own.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as c:
                rows[table] = b"".join(bytes(part) for part in c)
        return Kept(_shape(own), rows)


def _emptied(url: str, kept: Kept) -> bool:
    """Whether it is again as the template is."""
    with psycopg.connect(url, autocommit=True) as own:
        size = own.execute("SELECT pg_database_size(current_database())").fetchone()
        if _shape(own) != kept.shape or size is None or size[0] > SIZE_MAX:
            return False
        own.execute("SET session_replication_role = replica")  # no trigger guards a row now
        with own.transaction():
            for (table,) in own.execute(TOUCHED).fetchall():
                _run(own, "DELETE FROM {}", table)
            for table, rows in kept.rows.items():
                into = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
                with own.cursor().copy(into) as copy:
                    copy.write(rows)
            for (sequence,) in own.execute(COUNTED).fetchall():
                own.execute("SELECT setval(%s::regclass, 1, false)", [f'"{sequence}"'])
    return True


def _shape(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute(SHAPE).fetchone()
    assert found is not None
    return str(found[0])


def _run(connection: psycopg.Connection[Any], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]
