"""The books: double entry, append-only, hash-chained.

A transaction has entries that add up to zero in each currency; debits are positive. Rows are never
changed: a correction is another transaction. `post` runs in the caller's transaction, as late as
possible in it: one lock (`ledger_head`) orders the chain from there to the commit. No account
keeps a running balance, so no account is a hot row.

The chain finds any edited, deleted, inserted or reordered row. The head row tells that the newest
rows were cut off. Whoever can rewrite every row, the head included, is found only by comparing
with a head that was kept elsewhere: `verify(anchor=…)`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.chain import GENESIS, body_hash, instant, row_hash
from backend.errors import AppError, Conflict
from integrations.money import Money

Entry = tuple[str, Money]

BATCH = 500
KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
ACCOUNT = re.compile(r"[a-z_]{1,40}(:[A-Za-z0-9_-]{1,80}){0,3}")
# The chart of accounts: the first word of an account and where it stands in the books.
ROOTS: Mapping[str, str] = {
    "cash": "Assets",
    "receivable": "Assets",
    "dispute_hold": "Assets",
    "order_clearing": "Liabilities",
    "payable": "Liabilities",
    "tax_payable": "Liabilities",
    "refund_payable": "Liabilities",
    "user_credits": "Liabilities",
    "reserve": "Liabilities",
    "fee_accrued": "Income",
    "fee_recognised": "Income",
    "fee_refunded": "Income",
    "subscription": "Income",
    "processor_fee": "Expenses",
    "dispute_fee": "Expenses",
    "dispute_loss": "Expenses",
    "llm_cost": "Expenses",
    "fx_rounding": "Expenses",
    "fx_gain_loss": "Expenses",
}


class LedgerConflict(Conflict):
    code = "ledger_conflict"
    title = "This event has been booked with other entries"


class LedgerInvalid(AppError):
    code = "ledger_invalid"
    title = "These entries cannot be booked"


# --- posting ------------------------------------------------------------------------------------

_LOCK = text("SELECT transactions, entries, hash FROM ledger_head FOR UPDATE")
# A statement of its own, after the lock: its snapshot sees all that was committed before.
_BEFORE = text("""
SELECT clock_timestamp() AS now, t.id, t.body_hash
FROM (SELECT 1) one LEFT JOIN ledger_transaction t ON t.kind = :kind AND t.ref = :ref
""")
_APPEND = text("""
WITH head AS (
  UPDATE ledger_head SET transactions = :id, hash = :hash,
    entries = entries + cardinality(CAST(:ids AS bigint[]))
), posted AS (
  INSERT INTO ledger_transaction
    (id, kind, ref, body_hash, effective_at, created_at, prev_hash, hash)
  VALUES (:id, :kind, :ref, :body_hash, :effective_at, :created_at, :prev_hash, :hash)
)
INSERT INTO ledger_entry (id, transaction_id, account, amount, currency)
SELECT e.id, :id, e.account, e.amount, e.currency FROM unnest(
  CAST(:ids AS bigint[]), CAST(:accounts AS text[]), CAST(:amounts AS bigint[]),
  CAST(:currencies AS text[])
) AS e(id, account, amount, currency)
""")


async def post(
    session: AsyncSession,
    *,
    kind: str,
    ref: str,
    entries: Sequence[Entry],
    effective_at: datetime | None = None,
) -> int:
    """Book one event and return the transaction's id. The same event again returns the same id.

    `kind` and `ref` name the event ("captured", a checkout's id). `effective_at` is when it
    happened, now by default. Raises `LedgerConflict` when the event was booked with other entries,
    `LedgerInvalid` for entries that do not balance, move nothing or name no account of the chart.
    """
    lines = _checked(kind, ref, entries, effective_at)
    digest = body_hash(kind, ref, lines, effective_at)
    head = (await session.execute(_LOCK)).one()
    before = (await session.execute(_BEFORE, {"kind": kind, "ref": ref})).one()
    if before.id is not None:
        if before.body_hash != digest:
            raise LedgerConflict(f"{kind} {ref} has been booked with other entries")
        return int(before.id)
    row = {
        "id": head.transactions + 1,
        "kind": kind,
        "ref": ref,
        "body_hash": digest,
        "effective_at": effective_at or before.now,
        "created_at": before.now,
        "prev_hash": head.hash,
    }
    ids = [head.entries + n for n in range(1, len(lines) + 1)]
    columns = {
        "ids": ids,
        "accounts": [account for account, _, _ in lines],
        "amounts": [amount for _, amount, _ in lines],
        "currencies": [currency for _, _, currency in lines],
    }
    chained = [(n, *line) for n, line in zip(ids, lines, strict=True)]
    await session.execute(_APPEND, row | columns | {"hash": row_hash(row, chained)})
    return int(row["id"])


def _checked(
    kind: str, ref: str, entries: Sequence[Entry], effective_at: datetime | None
) -> list[tuple[str, int, str]]:
    """The entries in a fixed order, so that a repeat in another order is the same event."""
    if not KIND.fullmatch(kind) or not 0 < len(ref) <= 200 or not ref.isprintable():
        raise LedgerInvalid(f"{kind!r} {ref!r} is no name for an event")
    if effective_at is not None and effective_at.tzinfo is None:
        raise LedgerInvalid("effective_at needs a time zone")
    if len(entries) < 2:
        raise LedgerInvalid("a transaction has at least two entries")
    sums: Counter[str] = Counter()
    for account, money in entries:
        if not ACCOUNT.fullmatch(account) or account.split(":")[0] not in ROOTS:
            raise LedgerInvalid(f"{account!r} is not in the chart of accounts")
        if money.amount == 0:
            raise LedgerInvalid(f"the entry on {account} moves nothing")
        sums[money.currency] += money.amount
    if any(sums.values()):
        raise LedgerInvalid(f"the entries of {kind} {ref} add up to {dict(sums)}, not to zero")
    return sorted((account, money.amount, money.currency) for account, money in entries)


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Debits minus credits, in minor units. `type` is Assets, Liabilities, Income or Expenses."""

    account: str
    type: str
    currency: str
    balance: int
    entries: int


async def balance(
    session: AsyncSession,
    account: str,
    currency: str,
    *,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Money:
    """Debits minus credits of what was effective by `as_of`, as it was recorded by `known_at`."""
    query = text("""
        SELECT COALESCE(sum(e.amount), 0) FROM ledger_entry e
        JOIN ledger_transaction t ON t.id = e.transaction_id
        WHERE e.account = :account AND e.currency = :currency
          AND (CAST(:as_of AS timestamptz) IS NULL OR t.effective_at <= :as_of)
          AND (CAST(:known_at AS timestamptz) IS NULL OR t.created_at <= :known_at)
    """)
    values = {"account": account, "currency": currency, "as_of": as_of, "known_at": known_at}
    return Money(int((await session.execute(query, values)).scalar_one()), currency)


async def accounts(session: AsyncSession) -> list[AccountBalance]:
    """Every account with an entry, by name and currency."""
    query = text("""
        SELECT account, currency, sum(amount) AS balance, count(*) AS entries
        FROM ledger_entry GROUP BY account, currency ORDER BY account, currency
    """)
    return [
        AccountBalance(r.account, _type(r.account), r.currency, int(r.balance), r.entries)
        for r in (await session.execute(query)).all()
    ]


async def entries(
    session: AsyncSession, *, account: str | None = None, cursor: int = 0, limit: int = 100
) -> dict[str, Any]:
    """A page of entries, oldest first: `{"data": […], "next_cursor": …|None}`."""
    query = text("""
        SELECT e.id, e.transaction_id, t.kind, t.ref, e.account, e.amount, e.currency,
          t.effective_at, t.created_at, t.hash
        FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
        WHERE e.id > :cursor AND (CAST(:account AS text) IS NULL OR e.account = :account)
        ORDER BY e.id LIMIT :limit
    """)
    values = {"account": account, "cursor": cursor, "limit": limit + 1}
    rows = (await session.execute(query, values)).mappings().all()
    data = [
        dict(row)
        | {
            "effective_at": instant(row["effective_at"]),
            "created_at": instant(row["created_at"]),
        }
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return {"data": data, "next_cursor": str(data[-1]["id"]) if more else None}


# --- verifying ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    transaction_id: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class Verification:
    """`head` is the newest hash: keep it elsewhere and hand it to a later `verify` as anchor."""

    ok: bool
    transactions: int
    entries: int
    head: str
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"problems": [asdict(p) for p in self.problems]}


_EXTENT = text("""
SELECT h.transactions, h.entries, h.hash, (SELECT max(id) FROM ledger_transaction) AS last_id,
  (SELECT count(*) FROM ledger_transaction) AS rows, (SELECT count(*) FROM ledger_entry) AS lines,
  (SELECT min(e.transaction_id) FROM ledger_entry e LEFT JOIN ledger_transaction t
    ON t.id = e.transaction_id WHERE t.id IS NULL) AS orphan
FROM (SELECT 1) one LEFT JOIN ledger_head h ON true
""")
_ROWS = text("""
SELECT id, kind, ref, body_hash, effective_at, created_at, prev_hash, hash
FROM ledger_transaction WHERE id > :after AND id <= :until ORDER BY id LIMIT :limit
""")
_LINES = text("""
SELECT id, transaction_id, account, amount, currency FROM ledger_entry
WHERE transaction_id BETWEEN :first AND :last ORDER BY id
""")


async def verify(session: AsyncSession, *, anchor: tuple[int, str] | None = None) -> Verification:
    """Walk the whole chain and name every row that is not as it was written.

    `anchor` is the id and hash of a transaction that was kept elsewhere. Without one, rows cut off
    the end are found only as long as the head row was left alone.
    """
    extent = (await session.execute(_EXTENT)).one()
    if extent.hash is None:
        lost = Problem(None, "the head row is gone")
        return Verification(ok=False, transactions=0, entries=0, head="", problems=(lost,))
    problems = _of_extent(extent)
    last, expected = GENESIS, 1
    until = max(extent.transactions, extent.last_id or 0)
    while rows := (
        await session.execute(_ROWS, {"after": expected - 1, "until": until, "limit": BATCH})
    ).all():
        lines = await _lines(session, rows[0].id, rows[-1].id)
        for row in rows:
            problems += _of_row(row, lines.get(row.id, []), last, expected)
            if anchor is not None and anchor[0] == row.id and anchor[1] != row.hash:
                problems.append(Problem(row.id, "is not the transaction of the anchor"))
            last, expected = row.hash, row.id + 1
    if last != extent.hash:
        problems.append(Problem(None, "the newest hash is not the head's"))
    if anchor is not None and anchor[0] >= expected:
        problems.append(Problem(anchor[0], "the anchor's transaction is gone"))
    return Verification(
        ok=not problems,
        transactions=extent.rows,
        entries=extent.lines,
        head=extent.hash,
        problems=tuple(problems),
    )


async def _lines(
    session: AsyncSession, first: int, last: int
) -> dict[int, list[tuple[int, str, int, str]]]:
    found: dict[int, list[tuple[int, str, int, str]]] = {}
    for line in (await session.execute(_LINES, {"first": first, "last": last})).all():
        found.setdefault(line.transaction_id, []).append(
            (line.id, line.account, line.amount, line.currency)
        )
    return found


def _of_extent(extent: Any) -> list[Problem]:
    problems = []
    if extent.rows < extent.transactions or extent.lines < extent.entries:
        problems.append(
            Problem(
                None,
                f"the head counts {extent.transactions} transactions and "
                f"{extent.entries} entries, there are {extent.rows} and {extent.lines}",
            )
        )
    if (extent.last_id or 0) > extent.transactions or extent.lines > extent.entries:
        problems.append(Problem(extent.last_id, "there are rows that the head does not count"))
    if extent.orphan is not None:
        problems.append(Problem(extent.orphan, "has entries but no transaction"))
    return problems


def _of_row(
    row: Any, lines: Sequence[tuple[int, str, int, str]], last: str, expected: int
) -> list[Problem]:
    problems = []
    if row.id != expected:
        problems.append(Problem(expected, f"is missing before {row.id}"))
    if row.prev_hash != last:
        problems.append(Problem(row.id, "does not follow the transaction before it"))
    if row_hash(row._mapping, lines) != row.hash:
        problems.append(Problem(row.id, "or one of its entries was edited, added or removed"))
    sums: Counter[str] = Counter()
    for _, _, amount, currency in lines:
        sums[currency] += amount
    if any(sums.values()):
        problems.append(Problem(row.id, f"does not balance: {dict(sums)}"))
    return problems


# --- export -------------------------------------------------------------------------------------

_ALL = text("""
SELECT t.id, t.kind, t.ref, t.hash, t.effective_at, e.account, e.amount, e.currency
FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id ORDER BY t.id, e.id
""")


async def export(session: AsyncSession) -> str:
    """The books as beancount text (dates in UTC): a second opinion that `bean-check` can give."""
    rows = (await session.execute(_ALL)).all()
    opened: dict[str, str] = {}
    for row in rows:
        day = row.effective_at.astimezone(UTC).date().isoformat()
        name = _beancount_name(row.account)
        opened[name] = min(day, opened.get(name, day))
    lines = ['option "title" "Emptor"', ""]
    lines += [f"{day} open {name}" for name, day in sorted(opened.items())]
    shown = None
    for row in rows:
        if row.id != shown:
            day = row.effective_at.astimezone(UTC).date().isoformat()
            lines += ["", f"{day} * {_quoted(row.kind)} {_quoted(row.ref)}"]
            lines.append(f"  hash: {_quoted(row.hash)}")
            shown = row.id
        money = Money(row.amount, row.currency)
        lines.append(f"  {_beancount_name(row.account)}  {money.decimal:f} {row.currency}")
    return "\n".join(lines) + "\n"


def _type(account: str) -> str:
    return ROOTS.get(account.split(":", maxsplit=1)[0], "Unknown")


def _beancount_name(account: str) -> str:
    """`payable:merchant:mer_1` → `Liabilities:Payable:Merchant:Mer-1`."""
    words = [word.replace("_", "-").strip("-") or "X" for word in account.split(":")]
    return ":".join([_type(account), *(word[0].upper() + word[1:] for word in words)])


def _quoted(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
