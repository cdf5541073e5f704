"""Which reading of the processor counts: the newest, however many read at once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from backend import erasure, subscribers, subscriptions
from backend.auth import UserAccount
from backend.settings import ROOT
from backend.subscriptions import Counter
from integrations.billing import Account, Paid, Refunded
from integrations.money import Money
from quotas import packs
from quotas.plans import Plans, PlansError
from tests.backend.fakes_billing import AT, Processor, payment, plan, subscription


async def incomes(counter: Counter) -> list[int]:
    query = "SELECT amount FROM ledger_entry WHERE account = 'subscription' ORDER BY id"
    async with counter.database.transaction() as session:
        return list((await session.execute(text(query))).scalars())


async def test_an_old_reading_that_is_written_late_does_not_count(counter: Counter):
    processor = counter.billing
    processor.slow = held = asyncio.Event()
    late = asyncio.create_task(subscriptions.sync(counter, "usr_1"))
    await processor.reading.wait()
    processor.account = Account((subscription("pro"),), ())
    await subscriptions.sync(counter, "usr_1")
    held.set()
    await late
    assert await plan(counter) == "pro"


async def test_an_event_during_a_reading_makes_it_read_again(counter: Counter):
    processor = counter.billing
    processor.slow = held = asyncio.Event()
    running = asyncio.create_task(subscriptions.sync(counter, "usr_1"))
    await processor.reading.wait()
    processor.account = Account((), ())
    async with counter.database.transaction() as session:
        assert await subscribers.wake(session, "cus_1")
    held.set()
    await running
    assert await plan(counter) == "free"


async def test_a_plan_that_begins_closes_every_other_page_for_one(counter: Counter):
    for _ in range(2):
        await subscriptions.sync(counter, "usr_1")
    assert (await plan(counter), counter.billing.closed) == ("plus", [None])


async def test_any_number_of_readings_books_a_payment_and_its_refunds_once(counter: Counter):
    for refunds in ((), (500,), (500, 700), (700, 500)):
        ids = {500: "re_0", 700: "re_1"}
        paid = payment()
        back = tuple(Refunded(ids[r], Money(r, "USD"), AT) for r in refunds)
        counter.billing.account = Account(
            (subscription(),),
            (Paid(paid.id, paid.bought, paid.ref, paid.amount, paid.tax, paid.fee, back, AT),),
        )
        await asyncio.gather(*(subscriptions.sync(counter, "usr_1") for _ in range(3)))
    assert await incomes(counter) == [-2000, 500, 700]


async def test_a_plan_ends_when_its_newest_payment_was_refunded_and_not_before(counter: Counter):
    def account(*payments: Paid) -> Account:
        return Account(
            (subscription(),), tuple(replace(p, subscription="sub_plus") for p in payments)
        )

    processor = counter.billing
    assert isinstance(processor, Processor)
    first = payment(refunds=(2000,))
    change = replace(payment(500), id="pi_2", at=AT + timedelta(days=5))
    renewed = replace(payment(), id="pi_3", at=AT + timedelta(days=30))
    for kept in (
        account(payment(refunds=(1999,))),
        account(first, change),
        account(first, renewed),
    ):
        processor.account = kept
        await subscriptions.sync(counter, "usr_1")
        assert (await plan(counter), processor.ended) == ("plus", [])
    processor.account = account(first)
    await subscriptions.sync(counter, "usr_1")
    assert (await plan(counter), processor.ended) == ("free", ["sub_plus"])


async def test_an_upgrade_that_was_refunded_whole_ends_the_plan_and_says_what_was_kept(
    counter: Counter,
):
    processor = counter.billing
    assert isinstance(processor, Processor)
    up = payment(18_000, refunds=(18_000,), at=AT + timedelta(days=5))
    both = (
        replace(up, id="pi_2", subscription="sub_pro"),
        replace(payment(), subscription="sub_pro"),
    )
    processor.account = Account((subscription("pro"),), both)
    await subscriptions.sync(counter, "usr_1")
    assert (await plan(counter), processor.ended) == ("free", ["sub_pro"])
    async with counter.database.transaction() as session:
        query = "SELECT detail FROM incident WHERE kind = 'plan_ended_early'"
        [said] = (await session.execute(text(query))).scalars()
    assert "2000" in said


async def test_who_went_back_down_keeps_what_the_first_payment_covers(counter: Counter):
    processor = counter.billing
    assert isinstance(processor, Processor)
    up = payment(18_000, refunds=(18_000,), at=AT + timedelta(days=5))
    processor.account = Account((subscription(),), (replace(up, id="pi_2"), payment()))
    await subscriptions.sync(counter, "usr_1")
    assert (await plan(counter), processor.ended) == ("plus", [])


async def test_a_payment_waits_for_its_fee_and_the_reading_comes_again(counter: Counter):
    paid = payment()
    pending = Paid(paid.id, paid.bought, paid.ref, paid.amount, paid.tax, None, (), AT)
    counter.billing.account = Account((subscription(),), (pending,))
    await subscriptions.sync(counter, "usr_1")
    assert (await plan(counter), await incomes(counter)) == ("plus", [])
    async with counter.database.transaction() as session:
        row = await subscribers.of(session, "usr_1")
        assert row is not None
        assert row.next_sync_at is not None


async def test_a_fee_in_another_currency_balances_in_each(counter: Counter):
    counter.billing.account = Account((subscription(),), (payment(fee=Money(70, "EUR")),))
    await subscriptions.sync(counter, "usr_1")
    assert await incomes(counter) == [-2000]


async def test_a_plan_that_an_operator_gave_outlives_the_subscription(counter: Counter):
    await subscriptions.sync(counter, "usr_1")
    async with counter.database.transaction() as session:
        row = await session.get_one(UserAccount, "usr_1")
        row.plan = "pro"
        session.add(row)
    counter.billing.account = Account((), ())
    await subscriptions.sync(counter, "usr_1")
    assert await plan(counter) == "pro"


async def test_a_second_subscription_and_an_unknown_plan_are_for_a_person(counter: Counter):
    counter.billing.account = Account((subscription("gold"), subscription("plus")), ())
    await subscriptions.sync(counter, "usr_1")
    async with counter.database.transaction() as session:
        kinds = (await session.execute(text("SELECT kind FROM incident ORDER BY 1"))).scalars()
        assert list(kinds) == ["subscription_doubled", "subscription_unknown"]
    assert await plan(counter) == "free"


async def test_a_silent_processor_leaves_the_reading_due(counter: Counter):
    async with counter.database.transaction() as session:
        await subscribers.wake(session, "cus_1")
    counter.billing.down = True
    await subscriptions.sweep(counter)
    counter.billing.down = False
    await subscriptions.sweep(counter)
    assert await plan(counter) == "plus"


async def test_who_was_erased_can_pay_on_no_page_and_what_was_paid_is_for_a_person(
    counter: Counter,
):
    counter.billing.account = Account((), (payment(),))
    await subscriptions.sync(counter, "usr_1")
    async with counter.database.transaction() as session:
        await erasure.erase(session, "usr_1")
    await subscriptions.sync(counter, "usr_1")
    assert counter.billing.closed == [None, *counter.packs]
    late = replace(payment(), id="pi_late", at=datetime.now(UTC) + timedelta(minutes=1))
    counter.billing.account = Account((subscription(),), (payment(), late))
    await subscriptions.sync(counter, "usr_1")
    async with counter.database.transaction() as session:
        seen = await session.execute(text("SELECT kind, subject FROM incident"))
        assert [tuple(row) for row in seen] == [("payment_unknown", "pi_late")]


async def test_a_person_who_cannot_be_read_keeps_no_other_waiting(counter: Counter):
    async with counter.database.transaction() as session:
        await subscribers.wake(session, "cus_1")
        for number in range(3):  # the processor breaks over anybody but its one customer
            await subscribers.ensure(session, f"usr_x{number}")
            await subscribers.name(session, f"usr_x{number}", f"cus_x{number}")
            await subscribers.wake(session, f"cus_x{number}")
    await subscriptions.sweep(counter)
    assert await plan(counter) == "plus"


def test_a_pack_for_no_allowance_is_refused_with_its_place(tmp_path: Path):
    plans = Plans.load(ROOT / "quotas" / "plans.toml")
    file = tmp_path / "packs.toml"
    file.write_text(
        '[pack.x]\ntitle = "X"\nbucket = "gold"\nunits = 1\ndays = 1\n'
        'price = { amount = 1, currency = "USD" }\n'
    )
    with pytest.raises(PlansError, match=r"pack\.x bucket: no plan has 'gold'"):
        packs.load(plans, file)
    file.write_text('[pack.x]\ntitle = "X"\n')
    with pytest.raises(PlansError, match="bucket"):
        packs.load(plans, file)


def test_every_mistake_about_packs_is_named_with_its_pack(tmp_path: Path):
    plans = Plans.load(ROOT / "quotas" / "plans.toml")
    file = tmp_path / "packs.toml"
    file.write_text(
        '[pack.x]\ntitle = "X"\nbucket = "light"\nunits = 0\nday = 1\n'
        'price = { amount = 1, currency = "usd" }\n[pack]\ny = 3\n'
    )
    with pytest.raises(PlansError) as caught:
        packs.load(plans, file)
    said = str(caught.value)
    for part in ("pack.x units: ", "pack.x day: ", "did you mean 'days'?", "pack.x price.currency",
                 "pack.y is not a table"):  # fmt: skip
        assert part in said
    assert all(line.startswith(f"{file}: ") for line in said.splitlines())


def test_plans_with_buckets_of_their_own_start_and_sell_what_fits(tmp_path: Path):
    """The shipped packs belong to the shipped plans: nobody could edit them for other ones."""
    file = tmp_path / "plans.toml"
    shipped = (ROOT / "quotas" / "plans.toml").read_text()
    file.write_text(shipped.replace('name = "reasoning"', 'name = "thinking"'))
    plans = Plans.load(file)
    assert set(packs.load(plans)) == {"light_200"}
    free = plans.plan("free")
    assert (free.sells_more_of("light"), free.sells_more_of("thinking")) == (True, False)
