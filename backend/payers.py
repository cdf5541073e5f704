"""Who pays us, held against the processor: what it took, what went back, what is disputed, and who
subscribes.

A reading of the person mends each difference; that one was needed means that events were lost.
Who is about to be read anyhow is no difference yet, unless that has been so for an hour.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.abreast import abreast
from backend.database import Database
from backend.differences import Difference
from backend.subscribers import BillingDispute, BillingPayment, Subscriber
from integrations.billing import Account, Billing, Paid
from integrations.payments import PaymentError

_COUNTED = "plans"
_UNDECIDED = frozenset(("inquiry", "open"))

_KNOWN = text("""
SELECT user_id, customer_id, version FROM subscriber s
WHERE customer_id IS NOT NULL
  AND (next_sync_at IS NULL
    OR next_sync_at NOT BETWEEN now() - interval '1 hour' AND now() + interval '1 hour')
  AND (granted <> ''
    OR EXISTS (SELECT 1 FROM billing_order o WHERE o.user_id = s.user_id AND o.created_at >= :since)
    OR EXISTS (SELECT 1 FROM billing_payment p WHERE p.user_id = s.user_id AND p.paid_at >= :since))
ORDER BY updated_at DESC, user_id LIMIT :most
""")


async def compare(
    database: Database, billing: Billing, *, since: datetime, until: datetime, most: int
) -> list[list[Difference] | None]:
    """One answer for each person; None where the processor gave none."""
    async with database.transaction() as session:
        known = (await session.execute(_KNOWN, {"since": since, "most": most})).mappings().all()

    async def one(row: Mapping[Any, Any]) -> list[Difference] | None:
        try:
            account = await billing.read(row["customer_id"])
        except PaymentError:
            return None
        async with database.transaction() as session:
            return await _of(session, row, account, since, until)

    return await abreast([one(row) for row in known])


async def _of(
    session: AsyncSession,
    known: Mapping[Any, Any],
    account: Account,
    since: datetime,
    until: datetime,
) -> list[Difference]:
    row = await session.get_one(Subscriber, known["user_id"], populate_existing=True)
    if row.version != known["version"]:
        return []  # something happened between the two looks: it is being acted on
    query = select(BillingPayment).where(
        col(BillingPayment.user_id) == row.user_id,
        col(BillingPayment.paid_at) >= since,
        col(BillingPayment.paid_at) < until,
    )
    ours = {one.id: one for one in (await session.execute(query)).scalars()}
    theirs = {one.id: one for one in account.payments if since <= one.at < until}
    banks = select(BillingDispute).where(col(BillingDispute.payment_id).in_(ours))
    disputed = (await session.execute(banks)).scalars().all()
    found = _subscribes(row, account)
    for id_ in sorted(ours.keys() | theirs.keys()):
        mine = [(one.state, one.amount) for one in disputed if one.payment_id == id_]
        found += _payment(row.user_id, ours.get(id_), theirs.get(id_), mine)
    return found


def _subscribes(row: Subscriber, account: Account) -> list[Difference]:
    live = [one.plan for one in account.subscriptions if one.standing != "over"]
    pairs: Sequence[tuple[str, int, int]] = (
        ("subscription_differs", int(bool(row.granted)), len(live)),
        ("plan_differs", int(bool(live and row.granted)), live[:1].count(row.granted)),
    )
    of = (row.user_id, None)
    return [
        Difference(kind, *of, expected, found, _COUNTED, row.user_id)
        for kind, expected, found in pairs
        if expected != found
    ]


def _payment(
    user_id: str,
    ours: BillingPayment | None,
    theirs: Paid | None,
    disputed: Sequence[tuple[str, int]],
) -> list[Difference]:
    if theirs is None:
        assert ours is not None
        missing = ("payment_missing", ours.id, None, ours.amount, 0, ours.currency)
        return [Difference(*missing, user_id)]
    money = theirs.amount
    if ours is None:
        of = ("payment_not_booked", theirs.id, None, 0, money.amount, money.currency)
        return [Difference(*of, user_id)]
    back = sum(one.amount.amount for one in theirs.refunds)
    banks = [(one.state, one.amount.amount) for one in theirs.disputes]
    pairs = (
        ("payment_differs", ours.amount, money.amount),
        ("payment_refund_differs", ours.refunded, back),
        ("payment_loss_differs", _sum(disputed, {"lost"}), _sum(banks, {"lost"})),
        ("payment_dispute_differs", _sum(disputed, _UNDECIDED), _sum(banks, _UNDECIDED)),
    )
    return [
        Difference(kind, ours.id, None, expected, found, money.currency, user_id)
        for kind, expected, found in pairs
        if (expected, ours.currency) != (found, money.currency)
    ]


def _sum(banks: Sequence[tuple[str, int]], states: Collection[str]) -> int:
    return sum(amount for state, amount in banks if state in states)
