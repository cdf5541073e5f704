"""The till: everything a purchase needs from outside, built once at start and passed along.

Ports are callables and Protocols, so that the purchase can be run against fakes with behaviour and
against the real simulators without changing a line of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backend.database import Database
from backend.fees import Commission
from integrations.money import Money
from integrations.partner import Address, BookingDetails, Buyer, Partner
from integrations.payments import Delegate, Method, Payments

Settlement = Literal["platform", "merchant", "handoff"]
Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Seller:
    """A merchant as the checkout needs it. `destination` is its account at the processor.

    `platform`: we charge and pass the rest on. `merchant`: the merchant charges a delegated token
    and owes us the commission. `handoff`: the person pays on the merchant's own site.
    """

    id: str
    name: str
    merchant_of_record: str
    settlement: Settlement
    commission: Commission
    disclosure: str = ""
    destination: str | None = None
    open: bool = True
    disclosure_zh: str = ""

    def disclosed(self, language: Language) -> str:
        """What a person who agrees is told of our commission, in their language."""
        return (language == "zh" and self.disclosure_zh) or self.disclosure


@dataclass(frozen=True, slots=True)
class Item:
    """An offer id resolved: whose it is, and the merchant's own id for it. `price` is one unit."""

    offer_id: str
    merchant_id: str
    item_id: str
    title: str
    kind: Literal["purchase", "booking"]
    price: Money
    booking: BookingDetails | None = None
    handoff_url: str | None = None
    options: tuple[str, ...] = ()  # the size, the colour: the sheet names them


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person keeps with us to save typing. None of it ever reaches a model."""

    buyer: Buyer | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Till:
    """`pause` is how the driver waits between look-ups; tests hand in one that does not.

    `delegate` makes the token that a merchant which charges by itself is given instead of a card.
    `mark` puts our mark behind a text, so that a token that comes back is known to be ours.
    """

    database: Database
    payments: Payments
    partner_for: Callable[[str], Awaitable[Partner]]
    seller_for: Callable[[str], Awaitable[Seller]]
    items_for: Callable[[Sequence[str]], Awaitable[Mapping[str, Item]]]
    profile_for: Callable[[str], Awaitable[Profile]]
    saved_method: Callable[[str, str], Awaitable[Method | None]]
    webhook_secret: Callable[[str], Awaitable[str | None]]
    mark: Callable[[str], str] = str
    delegate: Delegate | None = None
    public_url: str = ""
    wait_s: float = 20.0
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
