"""The ledger's rows: append-only tables, the triggers that keep them so, and the chain of hashes.

Nothing here decides what is booked; `ledger` does. Each transaction's hash covers its own row, its
entries and the hash before it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import rfc8785
from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlmodel import Field, SQLModel

GENESIS = "0" * 64
TEXT: Any = Text()
COUNT: Any = BigInteger()
MOMENT: Any = DateTime(timezone=True)
CODE: Any = CHAR(3)


class LedgerTransaction(SQLModel, table=True):
    """Ids are given out under the head's lock and have no gaps."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (
        UniqueConstraint("kind", "ref", name="ledger_transaction_once"),
        UniqueConstraint("prev_hash", name="ledger_transaction_no_fork"),
        Index("ledger_transaction_effective", "effective_at"),
    )
    id: int = Field(sa_type=COUNT, primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: str = Field(sa_type=TEXT)
    ref: str = Field(sa_type=TEXT)
    body_hash: str = Field(sa_type=TEXT)
    effective_at: datetime = Field(sa_type=MOMENT)
    created_at: datetime = Field(sa_type=MOMENT)
    prev_hash: str = Field(sa_type=TEXT)
    hash: str = Field(sa_type=TEXT)


class LedgerEntry(SQLModel, table=True):
    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="ledger_entry_moves"),
        Index("ledger_entry_account", "account", "currency"),
        Index("ledger_entry_transaction", "transaction_id"),
    )
    id: int = Field(sa_type=COUNT, primary_key=True, sa_column_kwargs={"autoincrement": False})
    transaction_id: int = Field(sa_type=COUNT, sa_column_args=[ForeignKey("ledger_transaction.id")])
    account: str = Field(sa_type=TEXT)
    amount: int = Field(sa_type=COUNT)
    currency: str = Field(sa_type=CODE)


class LedgerHead(SQLModel, table=True):
    """One row: how many rows there are and the newest hash. Its lock orders the chain."""

    __tablename__ = "ledger_head"
    __table_args__ = (CheckConstraint("sole", name="ledger_head_only"),)
    sole: bool = Field(primary_key=True)
    transactions: int = Field(sa_type=COUNT)
    entries: int = Field(sa_type=COUNT)
    hash: str = Field(sa_type=TEXT)


_REFUSE = """
CREATE OR REPLACE FUNCTION ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger only grows: % on % is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
_BALANCE = """
CREATE OR REPLACE FUNCTION ledger_must_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE posted bigint;
BEGIN
  posted := to_jsonb(NEW) ->> TG_ARGV[0];
  IF (SELECT count(*) FROM ledger_entry WHERE transaction_id = posted) < 2 OR EXISTS (
    SELECT 1 FROM ledger_entry WHERE transaction_id = posted
    GROUP BY currency HAVING sum(amount) <> 0
  ) THEN
    RAISE EXCEPTION 'ledger transaction % does not balance', posted
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$
"""
_GUARDS = tuple(
    f"CREATE TRIGGER {table}_grows_{level} BEFORE {actions} ON {table} "
    f"FOR EACH {level} EXECUTE FUNCTION ledger_only_grows()"
    for table, actions, level in (
        ("ledger_transaction", "UPDATE OR DELETE", "ROW"),
        ("ledger_transaction", "TRUNCATE", "STATEMENT"),
        ("ledger_entry", "UPDATE OR DELETE", "ROW"),
        ("ledger_entry", "TRUNCATE", "STATEMENT"),
        ("ledger_head", "DELETE", "ROW"),
        ("ledger_head", "TRUNCATE", "STATEMENT"),
    )
)
_ONE_STEP = (
    "CREATE TRIGGER ledger_head_one_step BEFORE UPDATE ON ledger_head FOR EACH ROW "
    "WHEN (NEW.transactions <> OLD.transactions + 1 OR NEW.entries < OLD.entries + 2) "
    "EXECUTE FUNCTION ledger_only_grows()"
)
_BALANCED = tuple(
    f"CREATE CONSTRAINT TRIGGER {table}_balances AFTER INSERT ON {table} "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
    f"EXECUTE FUNCTION ledger_must_balance('{column}')"
    for table, column in (("ledger_transaction", "id"), ("ledger_entry", "transaction_id"))
)
_FIRST = (
    f"INSERT INTO ledger_head (sole, transactions, entries, hash) VALUES (true, 0, 0, '{GENESIS}')"  # noqa: S608 - a constant
)
LEDGER_DDL = (_REFUSE, _BALANCE, *_GUARDS, _ONE_STEP, *_BALANCED, _FIRST)


@event.listens_for(SQLModel.metadata, "after_create")
def _add_ddl(_metadata: Any, connection: Connection, *, tables: Sequence[Table], **_: Any) -> None:
    if any(table.name == "ledger_head" for table in tables):
        for statement in LEDGER_DDL:
            connection.execute(text(statement))


def body_hash(
    kind: str, ref: str, lines: Sequence[tuple[str, int, str]], effective_at: datetime | None
) -> str:
    body: dict[str, Any] = {"kind": kind, "ref": ref, "entries": [list(line) for line in lines]}
    if effective_at is not None:
        body["effective_at"] = instant(effective_at)
    return hashlib.sha256(rfc8785.dumps(body)).hexdigest()


def row_hash(row: Mapping[str, Any], entries: Sequence[tuple[int, str, int, str]]) -> str:
    """SHA-256 of the RFC 8785 canonical JSON of everything a transaction's rows say."""
    said = {
        "id": row["id"],
        "kind": row["kind"],
        "ref": row["ref"],
        "body_hash": row["body_hash"],
        "effective_at": instant(row["effective_at"]),
        "created_at": instant(row["created_at"]),
        "prev_hash": row["prev_hash"],
        "entries": [list(entry) for entry in entries],
    }
    return hashlib.sha256(rfc8785.dumps(said)).hexdigest()


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
