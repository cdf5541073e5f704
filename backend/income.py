"""What people paid for plans and packs: booked once, taken back once, earned as it is used."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import fees, incidents, ledger
from backend.subscribers import BillingOrder, BillingPayment
from integrations.billing import Paid, Refunded
from integrations.money import Money
from quotas import grants
from quotas.packs import Pack


async def book(
    session: AsyncSession, user_id: str, paid: Paid, *, plan: str, packs: Mapping[str, Pack]
) -> bool:
    """A payment with its refunds, as often as it is told. False: its fee is not known yet.

    `plan` is what a plan's invoice counts for in the reports.
    """
    if paid.fee is None:
        return False
    item = plan
    if paid.bought == "credits":
        order = await session.get(BillingOrder, paid.ref)
        if order is None or order.user_id != user_id:
            await incidents.report(
                session, "payment_unknown", subject=paid.id, detail=f"no order {paid.ref}"
            )
            return True
        item = order.item
    if await _first(session, user_id, paid, item):
        await _book(session, user_id, paid, packs.get(item))
        await incidents.resolve(session, "books_differ", subject=paid.id)
    await _refunds(session, paid, packs.get(item))
    return True


async def _first(session: AsyncSession, user_id: str, paid: Paid, item: str) -> bool:
    assert paid.fee is not None
    own = paid.fee.currency == paid.amount.currency
    row = {
        "id": paid.id,
        "user_id": user_id,
        "kind": paid.bought,
        "item": item,
        "ref": paid.ref,
        "amount": paid.amount.amount,
        "tax": paid.tax.amount,
        "fee": paid.fee.amount if own else 0,
        "refunded": 0,
        "lost": 0,
        "recognised": 0,
        "currency": paid.amount.currency,
        "paid_at": paid.at,
    }
    query = insert(BillingPayment).values(row).on_conflict_do_nothing()
    made = await session.execute(query.returning(col(BillingPayment.id)))
    return made.scalar_one_or_none() is not None


async def _book(session: AsyncSession, user_id: str, paid: Paid, pack: Pack | None) -> None:
    assert paid.fee is not None
    own = paid.fee.currency == paid.amount.currency
    fee = paid.fee if own else Money.zero(paid.amount.currency)
    if paid.bought == "plan":
        entries = fees.subscription_paid(amount=paid.amount, processor_fee=fee, tax=paid.tax)
    else:
        entries = fees.credits_sold(amount=paid.amount, processor_fee=fee)
        await _hand_over(session, user_id, paid, pack)
    kind = "subscription_paid" if paid.bought == "plan" else "credits_sold"
    await ledger.post(session, kind=kind, ref=paid.id, entries=entries, effective_at=paid.at)
    if not own and paid.fee.amount:
        entries = fees.processor_cost(of="subscription", fee=paid.fee)
        await ledger.post(
            session, kind="processor_cost", ref=paid.id, entries=entries, effective_at=paid.at
        )


async def _hand_over(session: AsyncSession, user_id: str, paid: Paid, pack: Pack | None) -> None:
    """The pack's units, under the payment's id: one payment, one grant."""
    if pack is None:
        await incidents.report(
            session,
            "payment_unknown",
            subject=paid.id,
            detail="a pack was paid for that is sold no longer; refund it or grant it by hand",
        )
        return
    await grants.grant(
        session,
        id=paid.id,
        subject=user_id,
        bucket=pack.bucket,
        units=pack.units,
        priority=grants.PRIORITY_PAID,
        expires_at=paid.at + timedelta(days=pack.days),
        rollover=True,
        reason=f"credits:{pack.name}",
    )


# What of each refund of a payment is booked now. One that failed is booked back, and one that is
# told of again is booked again: `times` counts both and numbers the next.
_BACK = text("""
SELECT split_part(t.ref, ':', 2) AS id, count(DISTINCT t.id) AS times,
  -sum(e.amount) FILTER (WHERE e.account = 'cash:stripe_pending') AS back,
  COALESCE(sum(e.amount) FILTER (WHERE e.account LIKE 'dispute_loss:%'), 0) AS beyond
FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
WHERE t.kind IN ('subscription_refunded', 'subscription_refund_failed',
  'credits_refunded', 'credits_refund_failed') AND split_part(t.ref, ':', 1) = :id
GROUP BY 1
""")


async def _refunds(session: AsyncSession, paid: Paid, pack: Pack | None) -> None:
    """Every refund as it stands. A bank can send one back days after it went out: then it is read
    no longer, and what was booked of it must not stay booked."""
    row = await session.get(BillingPayment, paid.id, populate_existing=True, with_for_update=True)
    if row is None or not (paid.refunds or row.refunded or row.lost):
        return
    booked = {one.id: one for one in (await session.execute(_BACK, {"id": row.id})).all()}
    told = {refund.id for refund in paid.refunds}
    for one in booked.values():  # first, so that there is room for what was paid back instead
        if one.back and one.id not in told:
            await _failed(session, row, one, pack)
    for refund in paid.refunds:
        known = booked.get(refund.id)
        if known is None or not known.back:
            await _take_back(session, row, refund, times=known.times if known else 0)


def _ref(row: BillingPayment, refund_id: str, times: int) -> str:
    """Reports find the payment by what stands before the colon."""
    return f"{row.id}:{refund_id}:{times}" if times else f"{row.id}:{refund_id}"


def _of(row: BillingPayment) -> str:
    return "subscription" if row.kind == "plan" else "credits"


async def _take_back(
    session: AsyncSession, row: BillingPayment, refund: Refunded, *, times: int
) -> None:
    part = Money(min(refund.amount.amount, row.amount - row.refunded - row.lost), row.currency)
    beyond = refund.amount - part
    if row.kind == "plan":
        entries = fees.subscription_refunded(refund=part, tax_part=tax_in(row, part))
    else:
        earned = await undo(session, row, part) if part.amount else part
        entries = fees.credits_refunded(refund=part, earned=earned)
    entries += fees.refunded_beyond(of=_of(row), amount=beyond)
    row.refunded += part.amount
    session.add(row)
    kind, ref = f"{_of(row)}_refunded", _ref(row, refund.id, times)
    await ledger.post(session, kind=kind, ref=ref, entries=entries, effective_at=refund.at)
    await incidents.resolve(session, "books_differ", subject=row.id)
    if beyond.amount:
        detail = f"refund {refund.id} is {beyond} more than was left; it is booked as a loss"
        await incidents.report(session, "payment_mismatch", subject=row.id, detail=detail)


async def _failed(session: AsyncSession, row: BillingPayment, one: Any, pack: Pack | None) -> None:
    """The money is with us again, and owed: a person must bring it to its owner another way."""
    back, beyond = Money(int(one.back), row.currency), Money(int(one.beyond), row.currency)
    part, nothing_left = back - beyond, row.refunded + row.lost == row.amount
    row.refunded -= part.amount
    session.add(row)
    if row.kind == "plan":
        entries = fees.subscription_refunded(refund=part, tax_part=tax_in(row, part))
    else:  # owed as a whole; what was used of it is earned with the next `recognise`
        entries = fees.credits_refunded(refund=part, earned=Money.zero(row.currency))
    entries = fees.undone(entries + fees.refunded_beyond(of=_of(row), amount=beyond))
    kind, ref = f"{_of(row)}_refund_failed", _ref(row, one.id, one.times)
    await ledger.post(session, kind=kind, ref=ref, entries=entries)
    if pack is not None and part.amount:
        left = row.amount - row.refunded - row.lost
        units = -(-pack.units * left // row.amount)  # up, as `grants.cut` takes them down
        await grants.restore(session, id=row.id, units=units, revoked=nothing_left)
    await incidents.resolve(session, "books_differ", subject=row.id)
    detail = f"refund {one.id} of {back} to {row.user_id} failed: it is booked as not made"
    await incidents.report(session, "refund_failed", subject=row.id, detail=detail)


def tax_in(row: BillingPayment, part: Money) -> Money:
    """The tax in `part` of a plan's payment, which goes back next."""
    return fees.tax_step(
        tax=Money(row.tax, row.currency),
        whole=Money(row.amount, row.currency),
        before=Money(row.refunded + row.lost, row.currency),
        part=part,
    )


async def undo(session: AsyncSession, row: BillingPayment, amount: Money) -> Money:
    """Take back the units that `amount` of a pack's price bought. Returns what of it had been
    earned, and is not any more; the caller writes down who has the money now."""
    left = row.amount - row.refunded - row.lost
    earned = max(0, amount.amount - (left - row.recognised))
    row.recognised -= earned
    if amount.amount >= left:
        await grants.revoke(session, id=row.id)
    else:
        await grants.cut(session, id=row.id, part=amount.amount, whole=left)
    return Money(earned, row.currency)


# What is due is compared before the limit: packs that nobody uses must not hide the others.
_EARNED = text("""
SELECT p.id, p.currency, p.recognised, d.due
FROM billing_payment p JOIN quota_grant g ON g.id = p.id CROSS JOIN LATERAL (
  SELECT LEAST(p.amount - p.refunded - p.lost,
    CASE WHEN g.expires_at <= now() OR g.revoked_at IS NOT NULL THEN p.amount
    ELSE (p.amount - p.refunded - p.lost) * (g.units - g.remaining) / g.units END) AS due
) d
WHERE p.kind = 'credits' AND p.recognised < p.amount - p.refunded - p.lost AND d.due > p.recognised
ORDER BY p.id FOR UPDATE OF p SKIP LOCKED LIMIT 200
""")


async def recognise(session: AsyncSession) -> int:
    """Earn what of sold packs has been used or has lapsed. Returns how many were booked."""
    count = 0
    for row in (await session.execute(_EARNED)).all():
        step = int(row.due) - row.recognised
        await session.execute(
            update(BillingPayment)
            .where(col(BillingPayment.id) == row.id)
            .values(recognised=int(row.due))
        )
        entries = fees.credits_recognised(amount=Money(step, row.currency))
        moment = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        # In microseconds: what was earned, taken back and earned again is booked each time.
        ref = f"{row.id}:{int(row.due)}:{int(moment.timestamp() * 1_000_000)}"
        await ledger.post(session, kind="credits_recognised", ref=ref, entries=entries)
        count += 1
    return count


def as_json(row: BillingPayment) -> dict[str, Any]:
    """A payment as its owner's export has it."""
    return row.model_dump(mode="json", exclude={"fee", "recognised"})
