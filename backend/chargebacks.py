"""Disputes of what people paid for plans and packs: a bank takes a charge back, and decides.

They are read with the payment and not heard (decision 37), so an event may be late, double or
lost; each state is booked once and never taken back by an earlier one. While one is open its
amount is held out of our cash. Lost, it is revenue taken back as by a refund: we sold it.
"""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import fees, incidents, income, ledger
from backend.subscribers import BillingDispute, BillingPayment
from integrations.billing import Paid
from integrations.money import Money
from integrations.payments import Dispute

_RANK = {"inquiry": 1, "open": 2, "won": 3, "lost": 3}


async def book(session: AsyncSession, paid: Paid) -> None:
    """Every dispute of a payment as it stands. One that is not booked yet has nothing to lose."""
    if not paid.disputes:
        return
    row = await session.get(BillingPayment, paid.id, populate_existing=True, with_for_update=True)
    if row is not None:
        for said in paid.disputes:
            await _read(session, row, said)


async def _read(session: AsyncSession, paid: BillingPayment, said: Dispute) -> None:
    row = await session.get(BillingDispute, said.id, populate_existing=True)
    was = row.state if row is not None else None
    if row is None:
        row = BillingDispute(
            id=said.id,
            payment_id=paid.id,
            state=said.state,
            amount=said.amount.amount,
            currency=said.amount.currency,
        )
        session.add(row)
    await _cost(session, paid, row, said)
    if was is not None and _RANK[said.state] <= _RANK[was]:
        return
    row.state = said.state
    if was != "open":  # what is held is what will be booked back, or away
        row.amount, row.currency = said.amount.amount, said.amount.currency
    if said.state in {"open", "lost"} and was != "open":
        entries = fees.charge_disputed(of=_account(paid), amount=row.money)
        await ledger.post(session, kind="dispute_opened", ref=_ref(row), entries=entries)
    if said.state in {"inquiry", "open"}:
        detail = f"dispute {row.id} of {row.money} by {paid.user_id}: answer the bank in time"
        await incidents.report(session, "payment_disputed", subject=paid.id, detail=detail)
        return
    await _closed(session, paid, row, held=was == "open")


async def _closed(
    session: AsyncSession, paid: BillingPayment, row: BillingDispute, *, held: bool
) -> None:
    row.closed_at = func.now()  # type: ignore[assignment]
    if row.state == "lost":
        await _lost(session, paid, row)
    elif held:
        entries = fees.charge_won(of=_account(paid), amount=row.money)
        await ledger.post(session, kind="dispute_won", ref=_ref(row), entries=entries)
    await session.flush()
    undecided = select(col(BillingDispute.id)).where(
        col(BillingDispute.payment_id) == paid.id,
        col(BillingDispute.state).in_(("inquiry", "open")),
    )
    if (await session.execute(undecided.limit(1))).scalar_one_or_none() is None:
        await incidents.resolve(session, "payment_disputed", subject=paid.id)


async def _lost(session: AsyncSession, paid: BillingPayment, row: BillingDispute) -> None:
    """What of it is more than we still had of this payment is a loss and no revenue taken back."""
    left = paid.amount - paid.refunded - paid.lost
    part = Money(min(row.amount, left) if row.currency == paid.currency else 0, row.currency)
    if paid.kind == "plan":
        tax = income.tax_in(paid, part) if part.amount else part
        entries = fees.subscription_lost(amount=row.money, part=part, tax_part=tax)
        what = "a plan ends when nothing is left of its newest payment"
    else:
        earned = await income.undo(session, paid, part) if part.amount else part
        entries = fees.credits_lost(amount=row.money, part=part, earned=earned)
        what = "the units that it bought are taken back"
    paid.lost += part.amount
    session.add(paid)
    await ledger.post(session, kind="dispute_lost", ref=_ref(row), entries=entries)
    detail = f"dispute {row.id} of {row.money} by {paid.user_id}: {what}"
    await incidents.report(session, "dispute_lost", subject=paid.id, detail=detail)


async def _cost(
    session: AsyncSession, paid: BillingPayment, row: BillingDispute, said: Dispute
) -> None:
    if row.charged or said.fee is None or not said.fee.amount:
        return
    entries = fees.charge_dispute_cost(of=_account(paid), fee=said.fee)
    await ledger.post(session, kind="dispute_fee", ref=_ref(row), entries=entries)
    row.charged = True


def _account(paid: BillingPayment) -> str:
    """As the processor's own fee for the payment is kept."""
    return "subscription" if paid.kind == "plan" else "credits"


def _ref(row: BillingDispute) -> str:
    """Reports find the payment by what stands before the colon."""
    return f"{row.payment_id}:{row.id}"
