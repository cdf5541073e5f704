"""What every partner merchant can be asked for, whatever protocol it speaks.

The checkout knows this Protocol only; `acp.py`, `ucp.py` and `booking.py` translate. Success is
read from `Quote.status` and `Quote.messages`, never from an HTTP status. Merchant text inside these
types has been cleaned by `clean_text`: it is data to show, never an instruction to follow.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as clock
from typing import Literal, Protocol, runtime_checkable

from integrations.money import Money

Status = Literal[
    "incomplete",  # something is missing; `messages` say what
    "ready",  # may be confirmed and placed
    "placing",  # the merchant is still working on it: ask again
    "completed",  # an order exists: `order` is set
    "needs_handoff",  # only the merchant's own site can go on: `continue_url`
    "canceled",
    "expired",
]


# A path is what the protocols have for it; some merchants say it by the code alone.
_BUYER_CODES = frozenset(
    {"buyer_required", "missing_buyer", "buyer_info_required", "missing_email", "email_required"}
)


class PartnerError(Exception):
    """A partner did not do what was asked. `code` is the partner's or the protocol's word."""

    retry_after_s: float = 0.0  # how long it wants to be left alone; 0 where it did not say

    def __init__(self, detail: str, *, code: str = "partner_failed") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class PartnerRefused(PartnerError):
    """A clear no (4xx or an error message): nothing happened at the merchant.

    `continue_url`: where a person can go on although we cannot. `versions`: what the merchant
    speaks, where it said no to the version that we spoke. `path`: what in the request it is about.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str = "partner_failed",
        continue_url: str | None = None,
        versions: tuple[str, ...] = (),
        path: str | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.continue_url = continue_url
        self.versions = versions
        self.path = path

    @property
    def wants_buyer(self) -> bool:
        """Whether the person can answer it: it is only about whom the purchase is for."""
        return (self.path or "").startswith("$.buyer") or self.code in _BUYER_CODES


class PartnerGone(PartnerRefused):
    """404 or 410: the merchant knows nothing by this id. No other answer to a look-up says so."""


class PartnerUnreachable(PartnerError):
    """No connection was made or the breaker is open: nothing happened at the merchant."""


class PartnerNotNow(PartnerUnreachable):
    """It did not look at the request (429, or our key is not taken): ask again with the same key.

    Nothing happened, and nothing is said about what was asked.
    """

    def __init__(
        self, detail: str, *, code: str = "partner_failed", retry_after_s: float = 0.0
    ) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class PartnerUnknown(PartnerError):
    """The answer was lost (time-out, 5xx, cut, unreadable): it may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Note:
    """A merchant's message. `path` is a JSONPath into its own session, `code` its own code."""

    severity: Literal["info", "warning", "error"]
    code: str
    text: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class QuotedLine:
    item_id: str
    title: str
    quantity: int
    unit: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class Total:
    """`type` as in ACP: items_base_amount, subtotal, discount, fulfillment, tax, fee, total…"""

    type: str
    label: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Delivery:
    """One way to receive the goods; `selected` is the one in the totals.

    Goods that travel apart are chosen for apart: `group` names which, `items` are their item ids.
    Without a group an option is for the whole basket.
    """

    id: str
    title: str
    amount: Money
    earliest: date | None = None
    latest: date | None = None
    selected: bool = False
    group: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartnerOrder:
    id: str
    status: str
    permalink_url: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What the merchant says the basket costs now. `reference` is its session or quote id."""

    reference: str
    status: Status
    lines: tuple[QuotedLine, ...]
    totals: tuple[Total, ...]
    total: Money
    expires_at: datetime | None = None
    hold_expires_at: datetime | None = None
    deliveries: tuple[Delivery, ...] = ()
    cancellation_policy: str = ""
    notes: tuple[Note, ...] = ()
    continue_url: str | None = None
    order: PartnerOrder | None = None


@dataclass(frozen=True, slots=True)
class CancellationQuote:
    """Refund and fee add up to what was paid. Nothing is cancelled yet."""

    id: str
    refund: Money
    fee: Money
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Address:
    name: str
    line_one: str
    city: str
    country: str  # ISO 3166-1 alpha-2
    postal_code: str
    line_two: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Buyer:
    """The last three are for airlines only: ISO date, `m` or `f` as in the passport, `mr`, `ms`…"""

    first_name: str
    last_name: str
    email: str
    phone: str = ""
    born_on: str = ""
    gender: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class BookingDetails:
    """What a booking is for: a table (date, time, party) or a room (date, nights, party)."""

    date: date
    party: int
    time: clock | None = None
    nights: int | None = None


@dataclass(frozen=True, slots=True)
class Basket:
    """All a merchant needs to quote: item ids and quantities, and who it is for.

    `deliveries`: the option wanted for a group. `delivery_id`: for all that have it. `owner` names
    the purchase, for partners that take no idempotency keys.
    """

    lines: tuple[tuple[str, int], ...]
    currency: str
    buyer: Buyer | None = None
    address: Address | None = None
    delivery_id: str | None = None
    deliveries: Mapping[str, str] = field(default_factory=dict)
    discount_codes: tuple[str, ...] = ()
    booking: BookingDetails | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class PartnerPayment:
    """How the merchant is told about the money: our charge's id and what it may take of it."""

    token: str
    amount: Money
    merchant_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """One thing a partner offers. `price` is for one unit; for a table it is the deposit."""

    item_id: str
    title: str
    price: Money
    availability: Literal["in_stock", "low_stock", "out_of_stock", "on_request"] = "in_stock"
    description: str = ""
    category: str = ""
    image_url: str | None = None
    rating: float | None = None
    delivery_days: int | None = None
    booking: BookingDetails | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    title_zh: str = ""
    description_zh: str = ""
    group: str = ""  # what comes in several sizes or colours; `options` are this one's
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BookingWish:
    """A live search at a booking partner. Unset fields do not filter."""

    vertical: Literal["table", "room"]
    details: BookingDetails
    query: str = ""
    place: str = ""
    max_total: Money | None = None


class Partner(Protocol):
    """One merchant. Every write takes `key`, made from our own id; the same key repeats safely."""

    async def quote(self, basket: Basket, *, key: str) -> Quote: ...

    async def revise(self, reference: str, basket: Basket, *, key: str) -> Quote: ...

    async def read(self, reference: str) -> Quote: ...

    async def hold(self, reference: str, *, key: str) -> Quote:
        """Keep stock or a seat for the buyer while they decide; a no-op where there is none."""
        ...

    async def place(
        self, reference: str, payment: PartnerPayment, buyer: Buyer | None, *, key: str
    ) -> Quote: ...

    async def cancel(self, reference: str, *, key: str) -> Quote:
        """Give up a session or quote that has no order yet."""
        ...

    async def order(self, order_id: str) -> PartnerOrder: ...

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote: ...

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder: ...


@runtime_checkable
class BookingChanges(Protocol):
    """Partners that let a booking be moved. The others are canceled and booked anew."""

    async def change(self, order_id: str, basket: Basket, *, key: str) -> Quote:
        """A quote for the order as `basket.booking` would have it. It is held, placed, read and
        given up like any other quote; placing it updates that order.

        `total` is what is still due; totals of type `already_paid` and `refund_due` say what was
        paid before and what comes back. Raises `PartnerRefused` where it cannot be changed so.
        """
        ...


class BookingSearch(Protocol):
    """Partners with time-bound stock are asked live; their answers are never cached as stock."""

    async def search(self, wish: BookingWish) -> Sequence[Found]: ...


# Tag characters and zero-width or bidirectional controls hide instructions in plain sight.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean_text(text: object, limit: int = 500) -> str:
    """Merchant text as data: no control, invisible or bidirectional characters, at most `limit`."""
    if not isinstance(text, str):
        return ""
    kept = [c if c not in "\n\t" else " " for c in text[: limit * 4]]
    shown = "".join(c for c in kept if unicodedata.category(c) not in _HIDDEN)
    return " ".join(shown.split())[:limit]
