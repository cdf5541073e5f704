"""One customer at a processor that answers from memory, and whether they have a plan here."""

import asyncio
from datetime import UTC, datetime

from backend.auth import UserAccount
from backend.subscriptions import Counter
from integrations.billing import Account, Paid, Refunded, Standing, Subscription
from integrations.money import Money
from integrations.payments import Dispute, PaymentUnknown

AT = datetime(2026, 11, 1, tzinfo=UTC)


def subscription(plan: str = "plus", standing: Standing = "active") -> Subscription:
    return Subscription(f"sub_{plan}", standing, plan, "si_1", AT, False, AT)


def payment(
    amount: int = 2000,
    *,
    fee: Money | None = None,
    refunds: tuple[int, ...] = (),
    at: datetime = AT,
    disputes: tuple[Dispute, ...] = (),
) -> Paid:
    back = tuple(Refunded(f"re_{n}", Money(r, "USD"), at) for n, r in enumerate(refunds))
    cost = Money(88, "USD") if fee is None else fee
    none, paid = Money(0, "USD"), Money(amount, "USD")
    return Paid("pi_1", "plan", "in_1", paid, none, cost, back, at, "sub_plus", disputes)


class Processor:
    """One customer. `slow` holds the first reading back until it is let go."""

    def __init__(self) -> None:
        self.account = Account((subscription(),), ())
        self.slow: asyncio.Event | None = None
        self.reading = asyncio.Event()
        self.ended: list[str] = []
        self.closed: list[str | None] = []
        self.down = False

    async def read(self, customer: str) -> Account:
        assert customer == "cus_1"
        if self.down:
            raise PaymentUnknown("no answer")
        found, slow, self.slow = self.account, self.slow, None
        self.reading.set()
        if slow is not None:
            await slow.wait()
        return found

    async def close_pages(self, customer: str, *, pack: str | None = None) -> None:
        assert customer == "cus_1"
        self.closed.append(pack)

    async def end_now(self, subscription_id: str) -> None:
        self.ended.append(subscription_id)
        self.account = Account((), self.account.payments)


async def plan(counter: Counter) -> str:
    async with counter.database.transaction() as session:
        return (await session.get_one(UserAccount, "usr_1")).plan
