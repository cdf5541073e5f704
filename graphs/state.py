"""The words the conversation is told in: a turn, its route, what the graph emits, and its ports.

Nothing here knows SQL, HTTP or a payment provider. The ports are Protocols; `backend` fills them.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date as day
from datetime import datetime
from datetime import time as clock
from typing import Any, Literal, Protocol

from integrations.chunk import Chunk
from integrations.money import Money
from integrations.usage import Usage

Kind = Literal["casual", "complex", "commercial"]
Sub = Literal["booking", "purchase", "none"]
Role = Literal["light", "reasoning", "agent", "light_mini", "reasoning_mini"]
Effort = Literal["low", "medium", "high"]
Style = Literal["warm", "neutral", "balanced"]


@dataclass(frozen=True, slots=True)
class Message:
    """One earlier message, as the router and the shopping agent read it."""

    role: Literal["user", "assistant", "system", "tool"]
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What the router sees. `text` is the newest user message; `context` is oldest first.

    `effort` and `kind` are what a picker or an API field asked for (stronger than any words);
    `locked` is the kind that an open confirmation or tool loop holds the conversation to;
    `ratchet` says that the conversation stands at the reasoning model and that no turn since was
    confidently lighter: one more such turn, and it may go down. `models` may be named in words.
    """

    text: str
    context: tuple[Message, ...] = ()
    effort: Effort | None = None
    kind: Kind | None = None
    locked: Kind | None = None
    previous: Kind | None = None
    idle_s: float | None = None
    ratchet: bool = False
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Where a turn goes and why. `cause` is a rule's name, `classifier`, `judge`, `state`, `user`.

    `role` is what the turn deserves; `alternatives` are the kinds not taken, likelier first;
    `propensity` is the probability of this decision for this ask (1: no lots are drawn); `features`
    is a hash of all that the classifier read; `layers_us` is each layer's time.
    `asked_model` is a model named in words: a wish, granted where the plan does. `lifted_from` is
    the role that the turn would have without our own caution: that one's allowance is charged.
    """

    kind: Kind
    sub: Sub = "none"
    domain: str = "general"
    action: str = "answer"
    role: Role = "light"
    effort: Effort | None = None
    confidence: float = 1.0
    cause: str = "classifier"
    policy_version: str = ""
    probabilities: Mapping[Kind, float] = field(default_factory=dict)
    latency_us: int = 0
    no_purchase: bool = False  # "don't buy": offers may be shown, nothing is proposed for payment
    alternatives: tuple[Kind, ...] = ()
    propensity: float = 1.0
    features: str = ""
    layers_us: Mapping[str, int] = field(default_factory=dict)
    asked_model: str | None = None
    lifted_from: Role | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as it enters the graph.

    `messages` are OpenAI-shaped dicts for the model, newest last, card numbers already masked.
    `tools` are the client's own: passed through to the model and back, never to commerce.
    """

    id: str
    ask: Ask
    messages: tuple[Mapping[str, Any], ...]
    language: Literal["en", "zh"]
    now: datetime
    timezone: str
    requested_model: str = "auto"
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    style: Style = "balanced"
    warmth: int = 50
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    response_format: Mapping[str, Any] | None = None
    housekeeping: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """The allowance's answer to a route: the role that may serve it, and why not the other."""

    role: Role
    model: str
    downgrade_reason: str | None = None
    quota: Mapping[str, Any] = field(default_factory=dict)
    answer_tokens: int | None = None
    effort: Effort | None = None  # the route's, or the plan's highest
    fallbacks: tuple[str, ...] = ()  # who answers when the model cannot, in this order
    first_token_s: float = 120.0
    instead_of: str | None = None  # the model that should have answered and could not
    ceilings: Mapping[Role, int] = field(default_factory=dict)  # µUSD of an answer in each role

    def max_tokens(self, asked: int | None) -> int | None:
        """The shorter of what was asked for and what the role's answers may have."""
        return min((n for n in (asked, self.answer_tokens) if n is not None), default=None)


# --- commerce -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person wants, settled by code from their own words. Unset fields do not filter."""

    vertical: Literal["product", "table", "room"]
    query: str
    language: Literal["en", "zh"] = "en"
    quantity: int = 1
    min_total: Money | None = None  # of all units together, as is the most
    max_total: Money | None = None
    place: str = ""
    date: day | None = None
    time: clock | None = None
    party: int | None = None
    nights: int | None = None
    until: day | None = None  # the last day, where any of several would do
    origin: str = ""  # where a journey begins; `place` is where it ends
    availability: Literal["", "in_stock", "low_stock", "on_request"] = ""


@dataclass(frozen=True, slots=True)
class Image:
    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing at one merchant, as the person sees it. It knows no commission, by type."""

    offer_id: str
    kind: Literal["purchase", "booking"]
    merchant: str
    title: str
    price: Money
    availability: str
    why: str = ""
    disclosure: str = ""
    description: str = ""
    image: Image | None = None
    rating: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    group: str = ""  # what comes in several sizes or colours; `options` are this one's
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A frozen checkout that waits for consent. `lines` (`title, qty, unit`) add up to `total`."""

    checkout_id: str
    confirmation: Mapping[str, Any]
    confirmation_hash: str
    merchant_of_record: str
    lines: tuple[Mapping[str, Any], ...]
    total: Money
    disclosure: str
    expires_at: datetime
    url: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """A checkout that cannot be confirmed yet; `missing` names what (address, buyer, stock…)."""

    checkout_id: str
    missing: tuple[str, ...]
    url: str
    handoff_url: str | None = None


@dataclass(frozen=True, slots=True)
class OrderFact:
    """An order as its row has it. The only source for any sentence about an order."""

    order_id: str
    state: str
    title: str
    merchant: str
    total: Money
    placed_at: datetime
    booking: Mapping[str, Any] | None = None  # its date, party, and time or nights
    checkout_id: str = ""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What canceling an order would give back and cost. The person confirms it at `url`."""

    refund: Money
    fee: Money
    expires_at: datetime
    url: str


class Shelf(Protocol):
    async def search(self, wish: Wish, *, limit: int = 6) -> Sequence[Offer]:
        """Best first; the order depends on fit, total price, availability, delivery, rating."""

    async def get(
        self, offer_ids: Sequence[str], *, language: Literal["en", "zh"] = "en"
    ) -> Sequence[Offer]: ...


class Desk(Protocol):
    async def propose(
        self,
        lines: Sequence[tuple[str, int]],
        *,
        key: str,
        language: Literal["en", "zh"] = "en",
    ) -> Sequence[Proposal | Blocked]:
        """Ask the merchants for their own totals and freeze them: one checkout a merchant.

        `language` is the one in which the person is told who pays us.
        """
        ...

    async def orders(self) -> Sequence[OrderFact]:
        """This person's newest orders, newest first."""

    async def start_change(
        self,
        order_id: str,
        wanted: Mapping[str, Any],
        *,
        key: str,
        language: Literal["en", "zh"] = "en",
    ) -> Proposal | Blocked:
        """A frozen quote for the booking with `wanted` (date, time, party, nights) in place of what
        it has; `Blocked.missing` says why there is none (`not_changeable`, `sold_out`…)."""
        ...

    async def start_cancellation(self, order_id: str) -> Cancellation | None:
        """A fresh quote for canceling, or None where the merchant gives none."""


class Models(Protocol):
    def stream(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        fallbacks: Sequence[str] = (),
        first_token_s: float = 120.0,
        effort: Effort | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        tool_choice: Any = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
        response_format: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """The model's answer as it comes. Closing the iterator frees the model.

        A model that fails before its first token is answered for by the next of `fallbacks`; the
        first piece names the one that answers.
        """
        ...

    async def fill(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        schema: Mapping[str, Any],
        *,
        max_tokens: int,
        timeout_s: float,
    ) -> tuple[dict[str, Any] | None, Usage]:
        """One JSON object by `schema`, or None in time-out or nonsense: callers must do without."""
        ...


class Allowances(Protocol):
    async def admit(self, route: Route) -> Admission:
        """Reserve for this turn, or for the next rung of the ladder. Raises when all are used."""
        ...


class RouterPort(Protocol):
    def route(self, ask: Ask) -> Route: ...


class JudgePort(Protocol):
    async def settle(self, ask: Ask, route: Route, models: Models) -> "tuple[Route, Called | None]":
        """The route, judged where it was unsure, and the model call that this took."""
        ...


@dataclass(frozen=True, slots=True)
class TurnContext:
    """Everything a node may touch, built once a turn by `backend.chat`."""

    router: RouterPort
    allowances: Allowances
    models: Models
    shelf: Shelf
    desk: Desk
    judge: JudgePort | None = None


# --- what a turn emits, in order ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Routed:
    route: Route
    admission: Admission
    language: Literal["en", "zh"] = "en"


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a client tool's call: the first piece has id and name, the rest arguments."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Cards:
    activity: Literal["product-list", "booking-options", "compare", "order"]
    offers: tuple[Offer, ...] = ()
    orders: tuple[OrderFact, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """The turn ends here: only the person can go on, with the hashes that they were shown, all on
    one sheet. `blocked` are parts that still lack something or that the merchant finishes."""

    proposals: tuple[Proposal, ...]
    blocked: tuple[Blocked, ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """The agent's note to itself (offers shown, wish so far): stored, never shown."""

    note: str


@dataclass(frozen=True, slots=True)
class Called:
    """One model call, done or cut: what it used. A judge's verdict is no part of the answer."""

    model: str
    usage: Usage
    seconds: float | None = None
    by: Literal["answer", "judge"] = "answer"


@dataclass(frozen=True, slots=True)
class Finished:
    reason: str = "stop"  # the model's word: stop, length, tool_calls, content_filter


Event = Routed | TextDelta | ToolCallDelta | Cards | Consent | Remembered | Called | Finished
