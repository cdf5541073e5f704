"""Plans and credit packs at the processor: links a person pays at, and what has become of them.

Nothing here decides who may use what. `read` tells everything that matters about one customer, so
that events may come in any order, twice or not at all: the newest reading is the truth.
`stripe_billing.py` fills the Protocol.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from integrations.money import Money
from integrations.payments import Dispute

# `over` is every state in which nothing is owed to the person: ended, unpaid, never begun.
Standing = Literal["active", "past_due", "over"]
Bought = Literal["plan", "credits"]


@dataclass(frozen=True, slots=True)
class Link:
    """A page at the processor. `id` is the processor's own name for it."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """`plan` is what its price says it is for; empty when the price is not one of ours."""

    id: str
    standing: Standing
    plan: str
    item_id: str
    period_end: datetime
    ends: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Refunded:
    id: str
    amount: Money
    at: datetime


@dataclass(frozen=True, slots=True)
class Paid:
    """Money that arrived. `ref` is the invoice of a plan, or our own order of a credit pack.

    `fee` is the processor's, None while it is not known yet; its currency may be another one.
    `subscription` is what a plan's invoice was for.
    """

    id: str
    bought: Bought
    ref: str
    amount: Money
    tax: Money
    fee: Money | None
    refunds: tuple[Refunded, ...]
    at: datetime
    subscription: str | None = None
    disputes: tuple[Dispute, ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether a bank has yet to say whose the money is."""
        return any(one.state in {"inquiry", "open"} for one in self.disputes)

    @property
    def left(self) -> int:
        """What neither we gave back nor a bank that decided against us, in minor units."""
        lost = [one.amount for one in self.disputes if one.state == "lost"]
        back = [refund.amount for refund in self.refunds] + lost
        own = sum(money.amount for money in back if money.currency == self.amount.currency)
        return self.amount.amount - own

    @property
    def given_back(self) -> bool:
        return self.left <= 0 < self.amount.amount


@dataclass(frozen=True, slots=True)
class Account:
    """One customer, as the processor has it now. The newest of each comes first."""

    subscriptions: tuple[Subscription, ...]
    payments: tuple[Paid, ...]


@dataclass(frozen=True, slots=True)
class Ware:
    """What is sold: `name` is the plan's or pack's own, `title` what a person reads."""

    name: str
    title: str
    price: Money


class Billing(Protocol):
    """Every write takes a key made from an id of ours. Raises `PaymentError`'s kinds."""

    async def customer(self, *, user_id: str, email: str | None, key: str) -> str: ...

    async def subscribe(
        self, *, customer: str, plan: Ware, order_id: str, back: str, key: str
    ) -> Link:
        """A page for a monthly plan; of this customer's pages for plans only the newest stays."""
        ...

    async def sell(self, *, customer: str, pack: Ware, order_id: str, back: str, key: str) -> Link:
        """A page for a pack; of this customer's pages for this pack only the newest stays."""
        ...

    async def close_pages(self, customer: str, *, pack: str | None = None) -> None:
        """Nobody can pay there any more: every open page for a plan, or for this pack."""
        ...

    async def change(
        self, *, customer: str, subscription: Subscription, plan: Ware, offered: list[Ware],
        back: str, key: str,
    ) -> Link:  # fmt: skip
        """A page that shows what the rest of the month costs and asks before it is charged."""
        ...

    async def portal(self, *, customer: str, back: str, key: str) -> Link: ...

    async def end(self, subscription_id: str, *, later: bool, key: str) -> None:
        """At the end of what was paid for, or (`later=False`) go on after all."""
        ...

    async def end_now(self, subscription_id: str) -> None:
        """At once. One that is over already is no error."""
        ...

    async def read(self, customer: str) -> Account: ...
