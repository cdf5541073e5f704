"""Rows as the turn, the purchase and the subscription write them, for reports to read."""

from datetime import UTC, datetime
from typing import Any

from backend import fees, ledger, reports
from backend.checkout import Checkout
from backend.database import Database
from backend.orders import PurchaseOrder
from backend.reports import Report
from backend.subscribers import BillingPayment
from backend.threads import TurnRow
from integrations.money import Money
from quotas import usage
from tests.quotas.fakes_plans import light, plan

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def run(
    database: Database,
    name: str,
    *,
    from_: str = "2026-11-01",
    to: str = "2026-11-30",
    **other: Any,
) -> Report:
    async with database.transaction() as session:
        return await reports.run(session, name, from_=from_, to=to, **other)


async def sell(
    database: Database,
    ref: str,
    gross: Money,
    *,
    fee: int,
    processor: int = 0,
    merchant: str = "m1",
    at: datetime = NOON,
) -> None:
    """An order and its capture, as the purchase writes them."""
    checkout, order = _sold(ref, gross, fee, merchant, at)
    entries = fees.captured(
        merchant_id=merchant,
        gross=gross,
        fee=Money(fee, gross.currency),
        tax=Money.zero(gross.currency),
        processor_fee=Money(processor, gross.currency),
    )
    async with database.transaction() as session:
        session.add(checkout)
        await session.flush()
        session.add(order)
        await ledger.post(
            session, kind="captured", ref=checkout.id, entries=entries, effective_at=at
        )


def _sold(
    ref: str, gross: Money, fee: int, merchant: str, at: datetime
) -> tuple[Checkout, PurchaseOrder]:
    shared: dict[str, Any] = {
        "user_id": "usr_1",
        "merchant_id": merchant,
        "merchant_name": merchant,
        "settlement": "platform",
        "kind": "purchase",
        "lines": [],
        "total": gross.amount,
        "currency": gross.currency,
        "fee": fee,
    }
    checkout = Checkout(
        id=f"chk_{ref}",
        merchant_of_record=merchant,
        state="completed",
        order_id=f"ord_{ref}",
        confirmation={},
        asked_at=at,
        confirmed_at=at,
        created_at=at,
        **shared,
    )
    order = PurchaseOrder(
        id=f"ord_{ref}",
        checkout_id=checkout.id,
        merchant_order_id=ref,
        totals=[],
        placed_at=at,
        **shared,
    )
    return checkout, order


async def refund(database: Database, ref: str, amount: Money, fee: int, at: datetime) -> None:
    entries = fees.refunded(
        merchant_id="m1",
        refund=amount,
        fee_part=Money(fee, amount.currency),
        tax_part=Money.zero(amount.currency),
    )
    async with database.transaction() as session:
        await ledger.post(session, kind="refunded", ref=ref, entries=entries, effective_at=at)


async def say(database: Database, turn: str, **columns: Any) -> None:
    row = {
        "user_id": "usr_1",
        "plan": "free",
        "surface": "rest",
        "state": "done",
        "text": "hello",
        "kind": "casual",
        "role": "light",
        "served_role": "light",
        "model": "small",
        "cost_usd_micros": 100,
        "latency_ms": 200,
        "first_token_ms": 20,
        "energy_wh_min": 0.1,
        "energy_wh_max": 0.3,
        "created_at": NOON,
    }
    async with database.transaction() as session:
        session.add(TurnRow(id=turn, **(row | columns)))


async def fill(database: Database) -> None:
    """Something in every report, and odd sums: no rate or mean is a whole number."""
    await sell(database, "x", Money(300, "EUR"), fee=7, processor=3)
    await refund(database, "x", Money(100, "EUR"), 2, NOON)
    await pay(database, "pi_x", "plus", Money(2000, "USD"), 88)
    shown = [{"activity": "product-list"}]
    await say(database, "x1", kind="commercial", cards=shown, cost_usd_micros=10)
    await say(database, "x2", kind="commercial", cost_usd_micros=11, input_tokens=7)
    async with database.transaction() as session:
        for turn in ("x1", "x2"):
            await usage.reserve(
                session, turn_id=turn, subject="usr_1", plan=plan(light(3)), role="light", at=NOON
            )


async def pay(database: Database, payment: str, plan: str, amount: Money, fee: int) -> None:
    """A month of a plan, as the subscription books it."""
    at = NOON
    async with database.transaction() as session:
        session.add(
            BillingPayment(
                id=payment,
                user_id="usr_1",
                kind="plan",
                item=plan,
                ref="in_1",
                amount=amount.amount,
                currency=amount.currency,
                fee=fee,
                paid_at=at,
            )
        )
        entries = fees.subscription_paid(
            amount=amount,
            processor_fee=Money(fee, amount.currency),
            tax=Money.zero(amount.currency),
        )
        await ledger.post(
            session, kind="subscription_paid", ref=payment, entries=entries, effective_at=at
        )
