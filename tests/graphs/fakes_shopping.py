"""A shelf, a desk and a model with behaviour, for the shopping conversation."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from graphs.fits import terms
from graphs.memory import forget
from graphs.shopping import shop
from graphs.state import (
    Admission,
    Ask,
    Blocked,
    Cancellation,
    Cards,
    Consent,
    Event,
    Message,
    Offer,
    OrderFact,
    Proposal,
    Route,
    Turn,
    TurnContext,
    Wish,
)
from graphs.visit import Outcome
from integrations.models import Usage
from integrations.money import Money

NOW = datetime(2026, 11, 19, 10, 0, tzinfo=UTC)  # a Thursday


def product(offer_id: str, title: str, cents: int, **more: Any) -> Offer:
    defaults: dict[str, Any] = {"availability": "in_stock", "attributes": {"category": "tents"}}
    return Offer(offer_id, "purchase", "Fernweh", title, Money(cents, "EUR"), **(defaults | more))


GOODS = (
    product("p-alder", "Alder two-person tent", 12900, description="Weighs 2.1 kg."),
    product("p-birch", "Birch 2-person trekking tent", 8900, description="Waterproof to 3000 mm."),
    product("p-cedar", "Cedar family tent for five", 19900),
    product("p-peg", "Tent pegs, set of ten", 900, attributes={"category": "parts"}),
    product("p-lamp", "Ember headlamp", 2400, attributes={"category": "lamps"}),
    product("p-zh", "云杉双人帐篷", 11900, description="适合两人露营。"),
    product("p-cup", "保温杯 500ml", 3500, attributes={"category": "杯子"}),
    product("p-doll", "Rag doll, a gift for a daughter", 3200, attributes={"category": "toys"}),
)
HOUSES = (
    ("t-lume", "Osteria Lume", "Italian", "Lindenhafen", 2000),
    ("t-miro", "Trattoria Miro", "Italian", "Altmark", 1500),
    ("t-jade", "Jade Pavilion", "Chinese", "Lindenhafen", 1000),
)
ROOMS = (
    ("r-seehof", "Hotel Seehof, double room", "Lindenhafen", 11000),
    ("r-park", "Parkhaus Inn, double room", "Altmark", 8000),
)


@dataclass
class FakeShelf:
    """A catalogue with live tables and rooms. Every search is kept in `asked`."""

    goods: Sequence[Offer] = GOODS
    full: frozenset[str] = frozenset()  # houses with nothing free
    asked: list[Wish] = field(default_factory=list)
    _issued: dict[str, Offer] = field(default_factory=dict)

    async def search(self, wish: Wish, *, limit: int = 6) -> Sequence[Offer]:
        self.asked.append(wish)
        found = self._goods(wish) if wish.vertical == "product" else self._stays(wish)
        if wish.max_total:
            found = [
                o
                for o in found
                if o.price.currency == wish.max_total.currency
                and o.price * wish.quantity <= wish.max_total
            ]
        if wish.min_total:
            found = [
                o
                for o in found
                if o.price.currency == wish.min_total.currency
                and wish.min_total <= o.price * wish.quantity
            ]
        for offer in found:
            self._issued[offer.offer_id] = offer
        return found[:limit]

    def _goods(self, wish: Wish) -> list[Offer]:
        asked = terms(wish.query)
        scored = [(len(asked & terms(f"{o.title} {o.description}")), o) for o in self.goods]
        return [o for score, o in sorted(scored, key=lambda s: -s[0]) if score]

    def _stays(self, wish: Wish) -> list[Offer]:
        houses = (
            [(i, t, {"cuisine": c, "city": p}, cents) for i, t, c, p, cents in HOUSES]
            if wish.vertical == "table"
            else [(i, t, {"city": p}, cents) for i, t, p, cents in ROOMS]
        )
        asked = terms(wish.query)
        found = []
        for offer_id, title, attributes, cents in houses:
            if offer_id in self.full or (wish.place and wish.place != attributes["city"]):
                continue
            slot = f"{offer_id}@{wish.date}T{wish.time}x{wish.party}n{wish.nights}"
            text = terms(" ".join([title, *attributes.values()]))
            price = Money(cents, "EUR")
            offer = Offer(slot, "booking", "Tafelrunde", title, price, "in_stock")
            found.append((-len(asked & text), replace(offer, attributes=attributes)))
        return [o for _, o in sorted(found, key=lambda f: f[0])]

    async def get(self, offer_ids: Sequence[str], *, language: str = "en") -> Sequence[Offer]:
        assert language in {"en", "zh"}
        known = {o.offer_id: o for o in self.goods} | self._issued
        return [known[i] for i in offer_ids if i in known]


@dataclass
class FakeDesk:
    """Freezes checkouts. The same key gives the same checkout; nothing can be confirmed here."""

    shelf: FakeShelf
    rows: Sequence[OrderFact] = ()
    shipping_cents: int = 0
    blocked: tuple[str, ...] = ()
    policy: str = "Free until 24 hours before."
    quantity_of_merchant: int | None = None  # a merchant that quotes another quantity
    lifetime: timedelta = timedelta(minutes=15)
    strict: frozenset[str] = frozenset()  # merchants that cancel and change nothing
    canceling: list[str] = field(default_factory=list)
    moving: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    made: dict[tuple[str, str], Proposal] = field(default_factory=dict)
    asked: list[tuple[tuple[tuple[str, int], ...], str]] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)

    async def propose(
        self, lines: Sequence[tuple[str, int]], *, key: str, language: str = "en"
    ) -> Sequence[Proposal | Blocked]:
        self.asked.append((tuple(lines), key))
        self.languages.append(language)
        if self.blocked:
            return [Blocked("chk_blocked", self.blocked, "https://shop.test/checkout/chk_blocked")]
        shops = {o.offer_id: o.merchant for o in await self.shelf.get([i for i, _ in lines])}
        made = []
        for house in dict.fromkeys(shops.values()):  # one checkout a merchant
            own = [line for line in lines if shops[line[0]] == house]
            if (frozen := self.made.get((key, house))) is None:
                frozen = self.made[key, house] = await self._freeze(own, f"{key}:{house}")
            made.append(frozen)
        return made

    async def _freeze(self, lines: Sequence[tuple[str, int]], key: str) -> Proposal:
        offers = {o.offer_id: o for o in await self.shelf.get([i for i, _ in lines])}
        sheet, frozen, total = [], [], Money(self.shipping_cents, "EUR")
        for offer_id, asked in lines:
            offer, quantity = offers[offer_id], self.quantity_of_merchant or asked
            total += offer.price * quantity
            sheet.append({"title": offer.title, "qty": quantity, "unit": offer.price.amount})
            frozen.append({"offer_id": offer_id, "title": offer.title, "quantity": quantity})
        confirmation = {"lines": frozen, "cancellation_policy": self.policy}
        digest = hashlib.sha256(json.dumps([frozen, key]).encode()).hexdigest()
        checkout = f"chk_{len(self.made) + 1}"
        return Proposal(
            checkout_id=checkout,
            confirmation=confirmation,
            confirmation_hash=digest,
            merchant_of_record="Fernweh GmbH",
            lines=tuple(sheet),
            total=total,
            disclosure="",
            expires_at=NOW + self.lifetime,
            url=f"https://shop.test/checkout/{checkout}",
        )

    async def orders(self) -> Sequence[OrderFact]:
        return self.rows

    async def start_change(
        self, order_id: str, wanted: Mapping[str, Any], *, key: str, language: str = "en"
    ) -> Proposal | Blocked:
        row = next(row for row in self.rows if row.order_id == order_id)
        self.languages.append(language)
        self.moving.append((order_id, dict(wanted)))
        if row.merchant in self.strict:
            return Blocked("", ("not_changeable",), "https://shop.test")
        if (key, order_id) not in self.made:
            assert row.booking is not None
            booking = {**row.booking, **wanted}
            due = Money(1000, "EUR") * max(0, booking["party"] - row.booking["party"])
            self.made[key, order_id] = Proposal(
                checkout_id=f"chk_change_{len(self.made)}",
                confirmation={
                    "booking": booking,
                    "changes": {"order_id": order_id, "booking": row.booking},
                    "totals": [],
                },
                confirmation_hash=hashlib.sha256(key.encode()).hexdigest(),
                merchant_of_record=row.merchant,
                lines=(),
                total=due,
                disclosure="",
                expires_at=NOW + self.lifetime,
                url="https://shop.test/checkout/chk_change",
            )
        return self.made[key, order_id]

    async def start_cancellation(self, order_id: str) -> Cancellation | None:
        row = next(row for row in self.rows if row.order_id == order_id)
        self.canceling.append(order_id)
        if row.merchant in self.strict:
            return None
        fee = Money(row.total.amount // 2, row.total.currency)
        url = f"https://shop.test/orders/{order_id}"
        return Cancellation(row.total - fee, fee, NOW + timedelta(hours=1), url)


@dataclass
class ScriptedModels:
    """Answers `fill` from a script, None when it has run out. Keeps what it was shown."""

    answers: list[dict[str, Any] | None] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    async def fill(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        schema: Mapping[str, Any],
        *,
        max_tokens: int,
        timeout_s: float,
    ) -> tuple[dict[str, Any] | None, Usage]:
        assert timeout_s <= 8
        assert (model, schema["type"]) == ("local-small", "object")
        assert 0 < max_tokens <= 200
        self.shown.append(json.dumps(list(messages), ensure_ascii=False))
        return (self.answers.pop(0) if self.answers else None), Usage(input=50, output=10)

    def stream(self, *_a: Any, **_k: Any) -> AsyncIterator[Any]:
        raise AssertionError("shopping streams no model")


class NoRouter:
    def route(self, ask: Ask) -> Route:
        raise AssertionError(f"the route was decided before: {ask}")


class NoAllowances:
    async def admit(self, route: Route) -> Admission:
        raise AssertionError(f"the turn was admitted before: {route}")


@dataclass
class Answered:
    """One answered turn: what was said and emitted."""

    outcome: Outcome
    events: list[Event]

    @property
    def text(self) -> str:
        return self.outcome.text

    @property
    def cards(self) -> Cards | None:
        return next((e for e in self.events if isinstance(e, Cards)), None)

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        consents = [e for e in self.events if isinstance(e, Consent)]
        assert len(consents) <= 1, "a turn asks for consent once"
        return consents[0].proposals if consents else ()

    @property
    def bought(self) -> list[tuple[str, int]]:
        """(offer id, quantity) of everything that waits for confirmation."""
        return [
            (line["offer_id"], line["quantity"])
            for proposal in self.proposals
            for line in proposal.confirmation["lines"]
        ]


@dataclass
class Conversation:
    """A person at the shop: `say` runs one turn with the whole conversation before it."""

    shelf: FakeShelf = field(default_factory=FakeShelf)
    desk: FakeDesk | None = None
    models: ScriptedModels = field(default_factory=ScriptedModels)
    remembers: bool = True  # False: a client that keeps its own history, without our memory
    now: datetime = NOW
    timezone: str = "UTC"
    history: list[Message] = field(default_factory=list)
    turns: int = 0

    def __post_init__(self) -> None:
        self.desk = self.desk or FakeDesk(self.shelf)

    async def say(self, text: str, *, route: Route | None = None) -> Answered:
        self.turns += 1
        chinese = any("\u4e00" <= c <= "\u9fff" for c in text)
        turn = Turn(
            id=f"turn_{self.turns}",
            ask=Ask(text, context=tuple(self.history)),
            messages=({"role": "user", "content": text},),
            language="zh" if chinese else "en",
            now=self.now,
            timezone=self.timezone,
        )
        assert self.desk is not None
        context = TurnContext(NoRouter(), NoAllowances(), self.models, self.shelf, self.desk)
        events: list[Event] = []
        admission = Admission(role="agent", model="local-small")
        route = route or Route(kind="commercial")
        outcome = await shop(turn, route, admission, context, events.append)
        said = outcome.text + (outcome.memory if self.remembers else "")
        self.history += [Message("user", text), Message("assistant", said)]
        assert forget(said) == outcome.text
        return Answered(outcome, events)
