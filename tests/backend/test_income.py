"""What was paid for plans and packs stays exact in the books, whatever goes back or does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from backend import income, ledger, subscriptions
from backend.subscribers import BillingOrder, BillingPayment
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


async def seen(counter: Counter) -> tuple[int, list[str]]:
    """What of the payment counts as refunded, and which incidents are open."""
    async with counter.database.transaction() as session:
        refunded = await session.execute(text("SELECT refunded FROM billing_payment"))
        query = "SELECT kind FROM incident WHERE resolved_at IS NULL ORDER BY 1"
        return refunded.scalar_one(), list((await session.execute(text(query))).scalars())


async def test_a_refund_that_failed_is_booked_back_once_and_again_when_it_is_told_again(
    counter: Counter,
):
    paid = replace(payment(1000), tax=usd(150), subscription="other")
    await read(counter, paid)
    whole = await balances(counter)
    for _ in range(2):
        await read(counter, paid, re_0=1000)
        gone = await balances(counter)
        for _ in range(2):
            await read(counter, paid)
            assert await balances(counter) == whole
            assert await seen(counter) == (0, ["refund_failed"])
    for _ in range(2):
        await read(counter, paid, re_1=1000)
        assert await balances(counter) == gone
        assert (await seen(counter))[0] == 1000


async def test_one_refund_in_place_of_another_is_read_and_keeps_tax_exact(counter: Counter):
    paid = replace(payment(1000), tax=usd(150), subscription="other")
    await read(counter, paid, re_0=250, re_1=250)
    await read(counter, paid, re_1=250, re_2=750)
    assert await balances(counter) == {"cash:stripe_pending": -88, "processor_fee:subscription": 88}
    await read(counter, paid, re_1=250)
    assert (await balances(counter))["tax_payable"] == -112


async def test_a_refund_of_what_a_bank_took_already_is_a_loss_and_blocks_no_reading(
    counter: Counter,
):
    banks = (Dispute("dp_1", "lost", usd(1500)),)
    paid = replace(payment(), subscription="other", disputes=banks)
    await read(counter, paid)
    for _ in range(2):
        await read(counter, paid, re_0=700)
        assert (await balances(counter))["dispute_loss:subscription"] == 200
        assert await seen(counter) == (500, ["dispute_lost", "payment_mismatch"])
    await read(counter, paid)
    found = await balances(counter)
    assert ("dispute_loss:subscription" in found, found["subscription"]) == (False, -500)


@pytest.mark.parametrize("order", [("re_0", "re_1"), ("re_1", "re_0")])
async def test_a_packs_units_come_back_with_a_refund_that_failed(
    counter: Counter, order: tuple[str, str]
):
    async with counter.database.transaction() as session:
        session.add(BillingOrder(id="bil_1", user_id="usr_1", kind="credits", item="light_200"))
    paid = replace(payment(300), bought="credits", ref="bil_1", subscription=None, at=NOW)
    await read(counter, paid)
    async with counter.database.transaction() as session:
        await session.execute(text("UPDATE quota_grant SET remaining = remaining - 20"))
    await subscriptions.sweep(counter)
    before = await balances(counter)
    refunds = {"re_0": 90, "re_1": 210}
    for told in ({"re_0": 90}, refunds):
        await read(counter, paid, **told)
    for failed in order:
        del refunds[failed]
        await read(counter, paid, **refunds)
        async with counter.database.transaction() as session:
            query = "SELECT units, remaining, revoked_at IS NULL FROM quota_grant"
            [grant] = [tuple(row) for row in await session.execute(text(query))]
        units = (300 - sum(refunds.values())) * 200 // 300
        assert grant == (units, units - 20, True)
    await subscriptions.sweep(counter)
    assert await balances(counter) == before
