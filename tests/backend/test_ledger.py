"""The books balance, repeat safely, never change, and tell when somebody changed them anyway."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from backend import fees, ledger
from backend.database import Database
from integrations.money import Money


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


def sale(amount: int = 1_000, merchant: str = "m1") -> list[ledger.Entry]:
    return [("cash:stripe_pending", eur(amount)), (f"payable:merchant:{merchant}", eur(-amount))]


async def book(database: Database, ref: str, entries: Sequence[ledger.Entry] | None = None) -> int:
    async with database.transaction() as session:
        return await ledger.post(session, kind="captured", ref=ref, entries=entries or sale())


async def verified(database: Database) -> ledger.Verification:
    async with database.transaction() as session:
        return await ledger.verify(session)


def tamper(url: str, *statements: str) -> None:
    """As somebody with the owner's rights would: triggers and foreign keys switched off."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)


async def test_a_posted_event_is_in_the_balances_of_its_accounts(database: Database):
    await book(database, "a", sale(1_000))
    await book(database, "b", sale(234))
    async with database.transaction() as session:
        cash = await ledger.balance(session, "cash:stripe_pending", "EUR")
        owed = await ledger.balance(session, "payable:merchant:m1", "EUR")
    assert (cash, owed) == (eur(1_234), eur(-1_234))


async def test_an_unused_account_has_a_balance_of_zero(database: Database):
    async with database.transaction() as session:
        assert await ledger.balance(session, "cash:bank", "JPY") == Money(0, "JPY")


async def test_the_same_event_again_gives_the_same_id_and_books_nothing(database: Database):
    first = await book(database, "a")
    again = await book(database, "a", list(reversed(sale())))
    async with database.transaction() as session:
        count = await session.execute(text("SELECT count(*) FROM ledger_entry"))
    assert (again, count.scalar_one()) == (first, 2)


async def test_the_same_event_with_other_entries_is_a_conflict(database: Database):
    await book(database, "a", sale(1_000))
    with pytest.raises(ledger.LedgerConflict):
        await book(database, "a", sale(1_001))
    assert (await verified(database)).entries == 2


async def test_the_same_event_at_another_effective_time_is_a_conflict(database: Database):
    at = datetime(2026, 11, 1, tzinfo=UTC)
    async with database.transaction() as session:
        await ledger.post(session, kind="k", ref="r", entries=sale(), effective_at=at)
    with pytest.raises(ledger.LedgerConflict):
        async with database.transaction() as session:
            later = at + timedelta(seconds=1)
            await ledger.post(session, kind="k", ref="r", entries=sale(), effective_at=later)


async def test_thirty_two_posts_of_one_event_at_once_book_it_once(database: Database):
    ids = await asyncio.gather(*(book(database, "same") for _ in range(32)))
    assert set(ids) == {1}
    assert (await verified(database)).transactions == 1


async def test_concurrent_posts_on_one_account_all_arrive_in_one_unbroken_chain(database: Database):
    await asyncio.gather(*(book(database, f"r{n}", sale(n)) for n in range(1, 41)))
    result = await verified(database)
    async with database.transaction() as session:
        cash = await ledger.balance(session, "cash:stripe_pending", "EUR")
    assert result.ok, result.problems
    assert (result.transactions, cash.amount) == (40, sum(range(1, 41)))


async def test_a_rolled_back_post_leaves_no_gap(database: Database):
    await book(database, "a")
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            await ledger.post(session, kind="captured", ref="lost", entries=sale())
            raise RuntimeError
    assert await book(database, "b") == 2
    assert (await verified(database)).ok


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ([("cash:bank", eur(5)), ("subscription", eur(-4))], "add up"),
        ([("cash:bank", eur(5)), ("subscription", Money(-5, "USD"))], "add up"),
        ([("cash:bank", eur(0)), ("subscription", eur(0))], "moves nothing"),
        ([("cash:bank", eur(5))], "two entries"),
        ([], "two entries"),
        ([("slush:fund", eur(5)), ("subscription", eur(-5))], "chart"),
        ([("cash:", eur(5)), ("subscription", eur(-5))], "chart"),
        ([("cash:bank\n", eur(5)), ("subscription", eur(-5))], "chart"),
    ],
)
async def test_entries_that_cannot_be_right_are_refused(
    database: Database, entries: list[ledger.Entry], word: str
):
    with pytest.raises(ledger.LedgerInvalid, match=word):
        async with database.transaction() as session:
            await ledger.post(session, kind="captured", ref="x", entries=entries)
    assert (await verified(database)).transactions == 0


@pytest.mark.parametrize(
    ("kind", "ref"), [("Captured!", "x"), ("captured", ""), ("captured", "\n")]
)
async def test_an_event_needs_a_proper_name(database: Database, kind: str, ref: str):
    with pytest.raises(ledger.LedgerInvalid, match="no name"):
        async with database.transaction() as session:
            await ledger.post(session, kind=kind, ref=ref, entries=sale())


async def test_a_time_without_a_zone_is_refused(database: Database):
    with pytest.raises(ledger.LedgerInvalid, match="time zone"):
        async with database.transaction() as session:
            naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the mistake under test
            await ledger.post(session, kind="k", ref="r", entries=sale(), effective_at=naive)


async def test_two_currencies_balance_each_on_its_own(database: Database):
    both = [*sale(500), ("cash:bank", Money(7, "USD")), ("subscription", Money(-7, "USD"))]
    await book(database, "a", both)
    assert (await verified(database)).ok


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET amount = amount + 1",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry CASCADE",
        "UPDATE ledger_transaction SET ref = 'other'",
        "DELETE FROM ledger_transaction",
        "TRUNCATE ledger_transaction CASCADE",
        "DELETE FROM ledger_head",
        "TRUNCATE ledger_head",
        "UPDATE ledger_head SET transactions = transactions - 1",
        "UPDATE ledger_head SET hash = repeat('f', 64)",
    ],
)
async def test_the_database_refuses_to_change_what_is_booked(database: Database, statement: str):
    await book(database, "a")
    with pytest.raises(DBAPIError, match="only grows"):
        async with database.transaction() as session:
            await session.execute(text(statement))
    assert (await verified(database)).ok


async def test_the_database_refuses_entries_that_do_not_balance_at_commit(database: Database):
    await book(database, "a")
    with pytest.raises(IntegrityError, match="does not balance"):
        async with database.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO ledger_entry (id, transaction_id, account, amount, currency) "
                    "VALUES (99, 1, 'cash:bank', 5, 'EUR')"
                )
            )


async def test_the_database_refuses_a_transaction_without_entries(database: Database):
    with pytest.raises(IntegrityError, match="does not balance"):
        async with database.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO ledger_transaction VALUES "
                    "(1, 'k', 'r', '', now(), now(), 'a', 'b')"
                )
            )


BIG = "UPDATE ledger_entry SET amount = amount * 2 WHERE transaction_id = 2"


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["UPDATE ledger_entry SET amount = amount + 1 WHERE id = 3"], ["edited", "balance"]),
        ([BIG], ["edited"]),
        (["UPDATE ledger_entry SET account = 'cash:bank' WHERE id = 3"], ["edited"]),
        (["UPDATE ledger_entry SET currency = 'USD' WHERE transaction_id = 2"], ["edited"]),
        (["UPDATE ledger_transaction SET ref = 'x' WHERE id = 2"], ["edited"]),
        (["UPDATE ledger_transaction SET effective_at = now() WHERE id = 2"], ["edited"]),
        (["UPDATE ledger_transaction SET created_at = now() WHERE id = 2"], ["edited"]),
        (["UPDATE ledger_transaction SET body_hash = 'x' WHERE id = 2"], ["edited"]),
        (["UPDATE ledger_transaction SET hash = 'x' WHERE id = 2"], ["edited", "follow"]),
        (["UPDATE ledger_transaction SET prev_hash = 'x' WHERE id = 2"], ["edited", "follow"]),
        (["DELETE FROM ledger_entry WHERE transaction_id = 2"], ["edited", "head counts"]),
        (["DELETE FROM ledger_entry WHERE id = 3"], ["edited", "balance"]),
        (
            [
                "DELETE FROM ledger_entry WHERE transaction_id = 2",
                "DELETE FROM ledger_transaction WHERE id = 2",
            ],
            ["missing", "follow"],
        ),
        (["DELETE FROM ledger_transaction WHERE id = 2"], ["missing", "no transaction"]),
        (
            [
                "DELETE FROM ledger_entry WHERE transaction_id = 3",
                "DELETE FROM ledger_transaction WHERE id = 3",
            ],
            ["head"],
        ),
        (["DELETE FROM ledger_entry", "DELETE FROM ledger_transaction"], ["head"]),
        (["DELETE FROM ledger_head"], ["head row is gone"]),
        (
            [
                "INSERT INTO ledger_transaction VALUES (4, 'k', 'r', '', now(), now(), 'a', 'b')",
                "INSERT INTO ledger_entry VALUES (7, 4, 'cash:bank', 1, 'EUR'), "
                "(8, 4, 'subscription', -1, 'EUR')",
            ],
            ["does not count", "edited"],
        ),
        (["INSERT INTO ledger_entry VALUES (7, 2, 'cash:bank', 1, 'EUR')"], ["edited", "balance"]),
        (["UPDATE ledger_entry SET id = 70 WHERE id = 3"], ["edited"]),
        (
            [
                "UPDATE ledger_entry SET transaction_id = 5 - transaction_id "
                "WHERE transaction_id IN (2, 3)"
            ],
            ["edited"],
        ),
        (
            [
                "UPDATE ledger_transaction SET id = id + 10 WHERE id IN (2, 3)",
                "UPDATE ledger_transaction SET id = 15 - id WHERE id IN (12, 13)",
            ],
            ["follow", "edited"],
        ),
    ],
)
async def test_verify_finds_what_was_done_behind_the_triggers(
    database: Database, database_url: str, statements: list[str], words: list[str]
):
    for ref in ("a", "b", "c"):
        await book(database, ref, sale(100 + ord(ref)))
    assert (await verified(database)).ok
    tamper(database_url, *statements)
    result = await verified(database)
    said = " / ".join(p.problem for p in result.problems)
    assert not result.ok
    assert all(word in said for word in words), said


async def test_a_consistent_rewrite_of_everything_is_found_by_an_anchor_kept_elsewhere(
    database: Database, database_url: str
):
    await book(database, "a")
    await book(database, "b")
    kept = (2, (await verified(database)).head)
    tamper(
        database_url,
        "DELETE FROM ledger_entry WHERE transaction_id = 2",
        "DELETE FROM ledger_transaction WHERE id = 2",
        "UPDATE ledger_head SET transactions = 1, entries = 2, "
        "hash = (SELECT hash FROM ledger_transaction WHERE id = 1)",
    )
    assert (await verified(database)).ok  # the limit of a chain that nobody else keeps
    async with database.transaction() as session:
        assert not (await ledger.verify(session, anchor=kept)).ok
    await book(database, "other")
    async with database.transaction() as session:
        result = await ledger.verify(session, anchor=kept)
    assert [p.problem for p in result.problems] == ["is not the transaction of the anchor"]


async def test_verify_walks_more_rows_than_one_batch(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "BATCH", 4)
    for n in range(11):
        await book(database, f"r{n}")
    assert (await verified(database)).ok
    tamper(database_url, "UPDATE ledger_entry SET account = 'cash:bank' WHERE id = 19")
    assert [p.transaction_id for p in (await verified(database)).problems] == [10]


async def test_a_balance_knows_effective_and_recorded_time(database: Database):
    october = datetime(2026, 10, 5, tzinfo=UTC)
    async with database.transaction() as session:
        await ledger.post(session, kind="k", ref="1", entries=sale(100), effective_at=october)
    async with database.transaction() as session:
        known = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    async with database.transaction() as session:
        # Recorded late, effective in the month that was closed already.
        await ledger.post(session, kind="k", ref="2", entries=sale(30), effective_at=october)
    november = datetime(2026, 11, 1, tzinfo=UTC)
    async with database.transaction() as session:
        account = "cash:stripe_pending"
        now = await ledger.balance(session, account, "EUR", as_of=november)
        then = await ledger.balance(session, account, "EUR", as_of=november, known_at=known)
        before = await ledger.balance(session, account, "EUR", as_of=october - timedelta(days=1))
    assert (now, then, before) == (eur(130), eur(100), eur(0))


async def test_accounts_and_pages_of_entries_agree(database: Database):
    for n in range(5):
        await book(database, f"r{n}", sale(10 + n))
    async with database.transaction() as session:
        listed = await ledger.accounts(session)
        seen, cursor = [], 0
        while True:
            page = await ledger.entries(session, cursor=cursor, limit=3)
            seen += page["data"]
            if page["next_cursor"] is None:
                break
            cursor = int(page["next_cursor"])
        only = await ledger.entries(session, account="cash:stripe_pending")
    assert [(a.account, a.type, a.balance, a.entries) for a in listed] == [
        ("cash:stripe_pending", "Assets", 60, 5),
        ("payable:merchant:m1", "Liabilities", -60, 5),
    ]
    assert [e["id"] for e in seen] == list(range(1, 11))
    assert sum(e["amount"] for e in seen) == 0
    assert {e["account"] for e in only["data"]} == {"cash:stripe_pending"}


async def test_the_export_is_beancount_with_each_account_opened_before_its_use(database: Database):
    entries = fees.captured(
        merchant_id="mer_1",
        gross=eur(12_345),
        fee=eur(494),
        tax=eur(0),
        processor_fee=eur(388),
    )
    async with database.transaction() as session:
        day = datetime(2026, 11, 3, 23, 30, tzinfo=UTC)
        await ledger.post(
            session, kind="captured", ref='chk "1"', entries=entries, effective_at=day
        )
        yen = [("cash:bank", Money(900, "JPY")), ("subscription", Money(-900, "JPY"))]
        await ledger.post(session, kind="paid", ref="2", entries=yen, effective_at=day)
        said = await ledger.export(session)
    assert "2026-11-03 open Liabilities:Payable:Merchant:Mer-1\n" in said
    assert '2026-11-03 * "captured" "chk \\"1\\""\n' in said
    assert "  Assets:Cash:Stripe-pending  119.57 EUR\n" in said
    assert "  Income:Fee-accrued:Merchant:Mer-1  -4.94 EUR\n" in said
    assert "  Assets:Cash:Bank  900 JPY\n" in said


def test_the_ledger_can_be_used_without_a_web_framework():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import backend.ledger, backend.fees; "
        "sys.exit('fastapi' in sys.modules)"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code, root], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
