"""Alembic's entry: runs on the connection it is given."""

from alembic import context
from sqlmodel import SQLModel

import backend.tables  # noqa: F401  (every table, so that comparisons see all of them)


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    """The queue's own tables are its release's business."""
    return not (kind == "table" and (name or "").startswith("procrastinate"))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    compare_type=True,
    compare_server_default=False,
    include_name=_ours,
)
with context.begin_transaction():
    context.run_migrations()
