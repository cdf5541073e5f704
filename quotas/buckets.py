"""Buckets: one row for each window of each allowance of each subject.

A row is made without a clock and gets its start and end with the first turn that takes from it.
When a window is over the next row follows (`ordinal`), so usage that settles late still lands in
the window of its reserve, and a window's end, once shown, never moves: a trigger says so.

What a window was charged beyond its room (`overage`) is owed by the window after it (`carried`),
for no longer than that window lasts, or would have lasted had it opened at once.
`drawn` is the part of `used` and `held` that grants paid for: it is outside the plan's cap.

A rolling window has one row for good. Its usage is kept in sixtieths (`slots`: start of the
sixtieth in epoch seconds → units); a sixtieth counts until all of it is out of the window. What a
grant paid for is no usage of it, and `drawn` is what open holds have of grants.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Connection,
    DateTime,
    Identity,
    Table,
    Text,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

TEXT: Any = Text()
COUNT: Any = BigInteger()
MOMENT: Any = DateTime(timezone=True)


class QuotaBucket(SQLModel, table=True):
    """`used` is settled, `held` is promised to open holds; both count against `cap`."""

    __tablename__ = "quota_bucket"
    __table_args__ = (
        UniqueConstraint("subject", "name", "ordinal", name="quota_bucket_window"),
        CheckConstraint("used >= 0 AND held >= 0 AND cap >= 0", name="quota_bucket_counts"),
        CheckConstraint(
            "drawn >= 0 AND overage >= 0 AND carried >= 0", name="quota_bucket_beside_the_cap"
        ),
        CheckConstraint("resets_at > window_start", name="quota_bucket_forward"),
        {"postgresql_with": {"fillfactor": "70"}},  # counters change in place, off the index
    )
    id: int | None = Field(
        default=None, sa_type=COUNT, primary_key=True, sa_column_args=[Identity()]
    )
    subject: str = Field(sa_type=TEXT)
    name: str = Field(sa_type=TEXT)
    ordinal: int
    unit: str = Field(sa_type=TEXT)
    policy: str = Field(sa_type=TEXT)
    window_s: int = Field(sa_type=COUNT)
    cap: int = Field(sa_type=COUNT)
    used: int = Field(default=0, sa_type=COUNT, sa_column_kwargs={"server_default": "0"})
    held: int = Field(default=0, sa_type=COUNT, sa_column_kwargs={"server_default": "0"})
    drawn: int = Field(default=0, sa_type=COUNT, sa_column_kwargs={"server_default": "0"})
    overage: int = Field(default=0, sa_type=COUNT, sa_column_kwargs={"server_default": "0"})
    carried: int = Field(default=0, sa_type=COUNT, sa_column_kwargs={"server_default": "0"})
    timezone: str = Field(sa_type=TEXT)
    window_start: datetime | None = Field(default=None, sa_type=MOMENT)
    resets_at: datetime | None = Field(default=None, sa_type=MOMENT)
    after_at: datetime | None = Field(default=None, sa_type=MOMENT)  # end of the window before
    slots: dict[str, int] = Field(
        default_factory=dict, sa_type=JSONB, sa_column_kwargs={"server_default": "{}"}
    )
    created_at: datetime | None = Field(
        default=None,
        sa_type=MOMENT,
        nullable=False,
        sa_column_kwargs={"server_default": func.now()},
    )


PROMISE_FUNCTION = """
CREATE OR REPLACE FUNCTION quota_bucket_keeps_its_promise() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'quota_bucket %: a window that was shown never moves', OLD.id
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
PROMISE_TRIGGER = """
CREATE TRIGGER quota_bucket_promise BEFORE UPDATE OF window_start, resets_at ON quota_bucket
FOR EACH ROW WHEN (
  (OLD.resets_at IS NOT NULL AND OLD.resets_at IS DISTINCT FROM NEW.resets_at)
  OR (OLD.window_start IS NOT NULL AND OLD.window_start IS DISTINCT FROM NEW.window_start)
) EXECUTE FUNCTION quota_bucket_keeps_its_promise()
"""
BUCKET_DDL = (PROMISE_FUNCTION, PROMISE_TRIGGER)


@event.listens_for(SQLModel.metadata.tables["quota_bucket"], "after_create")
def _add_ddl(_table: Table, connection: Connection, **_: Any) -> None:
    for statement in BUCKET_DDL:
        connection.execute(text(statement))
