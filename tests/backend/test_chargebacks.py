"""A bank takes back what was paid for a plan or a pack: read with the payment, booked once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from backend import inbox, ledger, reconciling, reports, subscribers, subscriptions
from backend.subscribers import BillingOrder
from backend.subscriptions import Counter
from integrations.billing import Account
from integrations.money import Money
from integrations.payments import Dispute, DisputeState, PaymentEvent
from tests.backend.fakes_billing import Processor, payment, plan, subscription

LATELY = datetime.now(UTC) - timedelta(hours=1)
CASH = "cash:stripe_pending"


def usd(amount: int) -> Money:
    return Money(amount, "USD")


def bank(
    state: DisputeState, amount: int = 2000, *, id_: str = "dp_1", currency: str = "USD"
) -> Dispute:
    fee = None if state == "inquiry" else Money(1500, currency)
    return Dispute(id_, state, Money(amount, currency), fee)


async def read(counter: Counter, *disputes: Dispute, refunds: tuple[int, ...] = ()) -> None:
    """The processor has a plan and its payment, disputed like this."""
    processor = counter.billing
    assert isinstance(processor, Processor)
    live = () if processor.ended else (subscription(),)
    paid = payment(at=LATELY, disputes=disputes, refunds=refunds)
    processor.account = Account(live, (paid,))
    await subscriptions.sync(counter, "usr_1")


async def balances(counter: Counter) -> dict[str, int]:
    """All that is not zero; the books hold, and reconciliation finds nothing."""
    async with counter.database.transaction() as session:
        assert (await ledger.verify(session)).ok
        found = {(a.account, a.currency): a.balance for a in await ledger.accounts(session)}
    checked = await reconciling.reconcile(counter.database, None, counter.billing)
    assert checked.ok, checked.differences
    return {account: balance for (account, _), balance in found.items() if balance}


async def incidents(counter: Counter) -> list[str]:
    query = "SELECT kind FROM incident WHERE resolved_at IS NULL ORDER BY 1"
    async with counter.database.transaction() as session:
        return list((await session.execute(text(query))).scalars())


async def test_a_dispute_holds_the_money_and_a_won_one_gives_it_back(counter: Counter):
    await read(counter)
    before = await balances(counter)
    for _ in range(2):
        await read(counter, bank("open"))
    held = await balances(counter)
    assert (held["dispute_hold:subscription"], held["dispute_fee:subscription"]) == (2000, 1500)
    assert held[CASH] == before[CASH] - 2000 - 1500
    assert (await plan(counter), await incidents(counter)) == ("plus", ["payment_disputed"])
    for state in ("won", "open", "won"):
        await read(counter, bank(state))
    after = await balances(counter)
    assert after == before | {CASH: before[CASH] - 1500, "dispute_fee:subscription": 1500}
    assert (await plan(counter), await incidents(counter)) == ("plus", [])


@pytest.mark.parametrize("states", [("lost",), ("open", "lost"), ("inquiry", "open", "lost")])
async def test_a_lost_one_takes_the_revenue_back_and_the_plan_ends(
    counter: Counter, states: tuple[DisputeState, ...]
):
    for state in (*states, "lost"):
        await read(counter, bank(state))
    assert await balances(counter) == {
        CASH: -88 - 1500,
        "processor_fee:subscription": 88,
        "dispute_fee:subscription": 1500,
    }
    assert (await plan(counter), counter.billing.ended) == ("free", ["sub_plus"])
    assert await incidents(counter) == ["dispute_lost"]


async def test_an_inquiry_takes_nothing_and_calls_a_person(counter: Counter):
    await read(counter)
    before = await balances(counter)
    await read(counter, bank("inquiry"))
    assert (await balances(counter), await incidents(counter)) == (before, ["payment_disputed"])
    await read(counter, Dispute("dp_1", "won", usd(2000)))
    assert (await balances(counter), await incidents(counter)) == (before, [])


async def test_a_part_that_was_lost_leaves_the_plan(counter: Counter):
    await read(counter, bank("lost", 500))
    assert (await balances(counter))["subscription"] == -1500
    assert await plan(counter) == "plus"


async def test_what_was_refunded_before_is_lost_only_once_as_revenue(counter: Counter):
    await read(counter, refunds=(700,))
    await read(counter, bank("lost", 2000), refunds=(700,))
    found = await balances(counter)
    assert "subscription" not in found
    assert found["dispute_loss:subscription"] == 700


async def test_a_dispute_in_another_currency_is_all_loss_and_no_revenue_taken_back(
    counter: Counter,
):
    await read(counter, bank("lost", 1800, currency="EUR"))
    found = await balances(counter)
    assert (found["dispute_loss:subscription"], found["subscription"]) == (1800, -2000)


async def test_a_report_counts_what_a_dispute_of_a_plan_cost(counter: Counter):
    await read(counter, bank("lost"))
    day = LATELY.date()
    for name, key in (("revenue", "day"), ("margin", "plan")):
        async with counter.database.transaction() as session:
            made = await reports.run(
                session, name, from_=str(day), to=str(day + timedelta(days=1)), group_by=key
            )
        rows = [one for one in made.rows if one["currency"] == "USD"]
        assert sum(int(one["subscription"] or 0) for one in rows) == 0
        assert sum(int(one["dispute_fee"] or 0) for one in rows) == 1500


async def sold(counter: Counter, *disputes: Dispute) -> str:
    """A pack of 300 for 200 units; the order's id."""
    async with counter.database.transaction() as session:
        order = await session.get(BillingOrder, "bil_1")
        if order is None:
            session.add(BillingOrder(id="bil_1", user_id="usr_1", kind="credits", item="light_200"))
    paid = replace(
        payment(300, at=LATELY, disputes=disputes), bought="credits", ref="bil_1", subscription=None
    )
    counter.billing.account = Account((), (paid,))
    await subscriptions.sync(counter, "usr_1")
    return paid.id


async def units(counter: Counter) -> tuple[int, bool]:
    query = "SELECT remaining, revoked_at IS NOT NULL FROM quota_grant WHERE id = 'pi_1'"
    async with counter.database.transaction() as session:
        return tuple((await session.execute(text(query))).one())


async def test_a_packs_units_go_with_a_lost_dispute_and_what_was_earned_of_them_too(
    counter: Counter,
):
    await sold(counter)
    async with counter.database.transaction() as session:
        await session.execute(text("UPDATE quota_grant SET remaining = 150"))
    await subscriptions.sweep(counter)
    assert (await balances(counter))["subscription:credits"] == -75
    await sold(counter, bank("open", 300))
    assert (await units(counter))[1] is False
    for _ in range(2):
        await sold(counter, bank("lost", 300))
    assert (await units(counter))[1] is True
    await subscriptions.sweep(counter)
    assert await balances(counter) == {
        CASH: -88 - 1500,
        "processor_fee:credits": 88,
        "dispute_fee:credits": 1500,
    }


async def test_half_a_pack_that_was_lost_takes_half_of_its_units(counter: Counter):
    await sold(counter, bank("lost", 150))
    assert await units(counter) == (100, False)
    assert (await balances(counter))["user_credits"] == -150


def told(number: int, state: DisputeState) -> PaymentEvent:
    kind = "charge.dispute.created" if state == "open" else "charge.dispute.closed"
    return PaymentEvent(f"evt_{number}", kind, "pi_1", None, dispute=bank(state))


async def test_the_event_names_no_customer_and_still_wakes_who_paid(counter: Counter):
    await read(counter)
    async with counter.database.transaction() as session:
        before = await subscribers.of(session, "usr_1")
        assert before is not None
        version = before.version
        assert await inbox.payment_event(session, told(1, "open"))
        after = await subscribers.of(session, "usr_1")
        assert after is not None
        assert (after.asked, after.version) == (True, version + 1)
    assert await incidents(counter) == []


async def test_a_dispute_of_a_payment_we_do_not_know_yet_calls_a_person_and_is_booked_with_it(
    counter: Counter,
):
    async with counter.database.transaction() as session:
        await inbox.payment_event(session, told(1, "open"))
    assert await incidents(counter) == ["payment_disputed"]
    await read(counter, bank("won"))
    assert (await plan(counter), await incidents(counter)) == ("plus", [])


async def test_while_a_bank_decides_the_person_is_looked_at_daily_without_a_plan_too(
    counter: Counter,
):
    await sold(counter, bank("open", 300))
    async with counter.database.transaction() as session:
        row = await subscribers.of(session, "usr_1")
        assert row is not None
        assert row.next_sync_at is not None


async def test_reconciliation_names_a_dispute_that_was_never_read(counter: Counter):
    await read(counter)
    for state, kinds in (
        ("open", ["payment_dispute_differs"]),
        ("lost", ["payment_loss_differs"]),
    ):
        paid = payment(at=LATELY, disputes=(bank(state),))
        counter.billing.account = Account((subscription(),), (paid,))
        made = await reconciling.reconcile(counter.database, None, counter.billing)
        assert [one.kind for one in made.differences] == kinds
