"""Payments: authorise → capture | void, refund, look up. What the checkout needs, in its own words.

Every write carries a key made from the purchase id, so a repeat is the same act. A lost answer is
`PaymentUnknown`: look the purchase up, then repeat with the same key; never with a new one.
`stripe_payments.py` fills the Protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from integrations.money import Money

PaymentStatus = Literal[
    "authorised", "requires_action", "declined", "captured", "voided", "processing"
]


# `inquiry`: the bank asks and takes nothing yet. `won` is also an inquiry that came to nothing.
DisputeState = Literal["inquiry", "open", "won", "lost"]


class PaymentError(Exception):
    """The processor said no or said nothing. `code` is the processor's own word."""

    def __init__(self, detail: str, *, code: str = "payment_failed") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class PaymentRefused(PaymentError):
    """A clear 4xx that is not a decline (bad method, bad amount): nothing happened."""


class PaymentUnknown(PaymentError):
    """Time-out, 5xx or cut: it may have happened. Look up before anything else."""


@dataclass(frozen=True, slots=True)
class Method:
    """`token` is a processor's payment method id such as `pm_card_visa`; `customer` owns it."""

    token: str
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """The processor's own state of one charge. `processor_fee` is known after capture.

    `fee` and `fee_refunded` are the application fee as the processor has it, for reconciliation.
    `disputed`: it was disputed at some time, whatever became of it.
    """

    id: str
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    decline_code: str | None = None
    next_action: dict[str, Any] | None = None
    processor_fee: Money | None = None
    purchase_id: str | None = None
    fee: Money | None = None
    fee_refunded: Money | None = None
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Dispute:
    """A card holder's bank wants a charge back. `fee` is what the processor takes for it."""

    id: str
    state: DisputeState
    amount: Money
    fee: Money | None = None


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """A verified webhook. Its object is only a hint: read the payment again before acting."""

    id: str
    type: str
    payment_id: str | None
    purchase_id: str | None
    customer_id: str | None = None
    dispute: Dispute | None = None
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A card that the processor keeps. `customer` is whose it is; None once it was let go."""

    token: str
    customer: str | None
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class CardPage:
    """A page of the processor's where a person types a card in. `card` is there once it is kept."""

    id: str
    state: Literal["open", "complete", "expired"]
    url: str = ""
    card: KeptCard | None = None


class Cards(Protocol):
    """Cards kept for later. No card number ever comes to us. Raises `PaymentError`'s kinds."""

    async def ask(self, *, customer: str, card_id: str, back: str, key: str) -> CardPage:
        """A page that keeps a card for this customer; `card_id` is our own name for the wish."""
        ...

    async def look(self, page_id: str) -> CardPage:
        """What has become of a page. One that nobody knows any more is `expired`."""
        ...

    async def close(self, page_id: str) -> None:
        """Nobody can finish it any more. One that is over already is no error."""
        ...

    async def kept(self, customer: str) -> tuple[KeptCard, ...]: ...

    async def forget(self, token: str) -> None:
        """Let a card go for good. One that is gone already is no error."""
        ...


class Delegate(Protocol):
    """A token by which `seller` may take at most `amount`, once, until then. It charges nothing."""

    async def __call__(
        self,
        *,
        purchase_id: str,
        amount: Money,
        method: Method,
        seller: str,
        expires_at: datetime,
        key: str,
    ) -> str: ...


class Payments(Protocol):
    async def authorise(
        self,
        *,
        purchase_id: str,
        amount: Money,
        method: Method,
        destination: str | None,
        fee: Money | None,
        key: str,
    ) -> Payment:
        """Block `amount`. `destination` and `fee`: a destination charge with application fee."""
        ...

    async def read(self, payment_id: str) -> Payment: ...

    async def find(self, purchase_id: str) -> Payment | None:
        """By our id in the charge's metadata: how a lost answer is found again."""
        ...

    async def capture(self, payment_id: str, *, key: str) -> Payment: ...

    async def void(self, payment_id: str, *, key: str) -> Payment: ...

    async def refund(self, payment_id: str, amount: Money, *, with_fee: bool, key: str) -> Payment:
        """`with_fee`: give the application fee back in proportion (Stripe does not by itself)."""
        ...

    async def disputes(self, payment_id: str) -> Sequence[Dispute]:
        """All that there were of this charge, as they stand now."""
        ...

    async def touched(self, since: datetime) -> frozenset[str]:
        """The payments of which something was given back, or asked by a bank, from then on."""
        ...

    def event(self, body: bytes, signature: str) -> PaymentEvent:
        """Verify a webhook on its raw bytes. Raises `PaymentRefused` (`bad_signature`)."""
        ...

    async def ready(self) -> bool: ...
