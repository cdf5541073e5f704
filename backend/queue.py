"""The queue's database side: its schema, and how a job joins the transaction that needs it.

procrastinate's own client would enqueue on a connection of its own; a crash between two commits
would then leave a confirmed purchase that nobody drives. Its SQL function runs in our session.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, Table, event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

QUEUE = "emptor"

_DEFER = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
    "CAST(:queue AS varchar), CAST(:task AS varchar), 0, CAST(:lock AS text), NULL,"
    " CAST(:args AS jsonb), CAST(:at AS timestamptz))::procrastinate_job_to_defer_v1])"
)


def schema_sql() -> str:
    """procrastinate's whole schema, as its release ships it: for the migration and for tests."""
    return str(SchemaManager.get_schema())


@event.listens_for(SQLModel.metadata, "after_create")
def _add_queue(
    _metadata: Any, connection: Connection, *, tables: Sequence[Table], **_: Any
) -> None:
    """Whoever creates the checkouts' table without migrations (tests do) gets the queue with it."""
    if any(table.name == "checkout" for table in tables):
        connection.exec_driver_sql(schema_sql(), execution_options={"no_parameters": True})


async def enqueue(
    session: AsyncSession,
    task: str,
    *,
    args: Mapping[str, str],
    lock: str | None = None,
    at: datetime | None = None,
) -> None:
    """A job that exists exactly when this transaction commits. `lock`: one at a time by name."""
    await session.execute(
        _DEFER,
        {"queue": QUEUE, "task": task, "lock": lock, "args": json.dumps(dict(args)), "at": at},
    )
