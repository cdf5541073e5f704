"""What was paid for plans and packs stays exact in the books, whatever goes back or does not."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from backend import income
from backend.subscribers import BillingPayment
from backend.subscriptions import Counter
from quotas import grants

NOW = datetime.now(UTC)


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
