"""What was paid for plans and packs stays exact in the books, whatever goes back or does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from backend import income, ledger, subscriptions
from backend.subscribers import BillingPayment
from backend.subscriptions import Counter
from integrations.billing import Account, Paid, Refunded
from integrations.money import Money
from integrations.payments import Dispute
from quotas import grants
from tests.backend.fakes_billing import AT, payment, subscription

NOW = datetime.now(UTC)


def usd(amount: int) -> Money:
    return Money(amount, "USD")


async def read(counter: Counter, paid: Paid, **refunds: int) -> None:
    """The processor tells of this payment, and of these refunds alone."""
    back = tuple(Refunded(id_, usd(amount), AT) for id_, amount in refunds.items())
    live = (subscription(),) if paid.bought == "plan" else ()
    counter.billing.account = Account(live, (replace(paid, refunds=back),))
    await subscriptions.sync(counter, "usr_1")


async def balances(counter: Counter) -> dict[str, int]:
    async with counter.database.transaction() as session:
        assert (await ledger.verify(session)).ok
        return {a.account: a.balance for a in await ledger.accounts(session) if a.balance}


async def test_packs_that_nobody_uses_hide_no_pack_that_is_used(counter: Counter):
    async with counter.database.transaction() as session:
        for number in range(201):
            id_ = f"pi_{number:04d}"
            session.add(
                BillingPayment(
                    id=id_, user_id="usr_1", kind="credits", item="x", ref=id_, amount=500,
                    currency="USD", paid_at=NOW,
                )
            )  # fmt: skip
            await grants.grant(
                session, id=id_, subject="usr_1", bucket="light", units=10, priority=20,
                expires_at=NOW + timedelta(days=300), rollover=True, reason="t",
            )  # fmt: skip
        await session.flush()
        await session.execute(text("UPDATE quota_grant SET remaining = 4 WHERE id = 'pi_0200'"))
    booked = []
    for _ in range(2):
        async with counter.database.transaction() as session:
            booked.append(await income.recognise(session))
    async with counter.database.transaction() as session:
        query = "SELECT id, recognised FROM billing_payment WHERE recognised > 0"
        earned = [tuple(row) for row in await session.execute(text(query))]
    assert (booked, earned) == ([1, 0], [("pi_0200", 300)])


@pytest.mark.parametrize("lost", [(), ("dp_1",), ("dp_1", "dp_2")])
async def test_a_payment_that_went_back_in_parts_leaves_no_tax_and_no_income(
    counter: Counter, lost: tuple[str, ...]
):
    paid = replace(payment(1000), tax=usd(150), subscription="other")
    refunds = {f"re_{n}": 250 for n in range(4 - len(lost))}
    for told in range(1, len(refunds) + 1):
        await read(counter, paid, **dict(list(refunds.items())[:told]))
    banks = tuple(Dispute(id_, "lost", usd(250)) for id_ in lost)
    await read(counter, replace(paid, disputes=banks), **refunds)
    assert await balances(counter) == {
        "cash:stripe_pending": -88,
        "processor_fee:subscription": 88,
    }
