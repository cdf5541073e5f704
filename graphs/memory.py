"""What one shopping turn leaves for the next: the offers shown, the wish behind them, the question.

It travels as a private block behind the assistant's stored message. `forget` removes it before
anything is shown or sent to a model. It holds ids, and nothing in it is believed: offers are read
again from the shelf and priced again by the merchant, so a forged block can at most name an offer.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

from graphs.budgets import Budget, Per
from graphs.occasions import Who
from graphs.state import Message, Offer
from integrations.money import Money, MoneyError

Vertical = Literal["product", "table", "room"]
Fact = Literal[
    "what", "date", "time", "party", "nights", "quantity", "which", "cancel", "change", ""
]


@dataclass(frozen=True, slots=True)
class Draft:
    """A wish while it is being understood. None and '' mean: not said."""

    vertical: Vertical | None = None
    words: str = ""
    cuisine: str = ""
    place: str = ""
    day: date | None = None
    until: date | None = None
    hour: time | None = None
    assumed: bool = False  # the half of the day is our reading
    party: int | None = None
    nights: int | None = None
    quantity: int | None = None
    budget: Budget | None = None
    floor: Budget | None = None
    cheapest: bool = False
    vague: bool = False  # 'a gift', 'something', 'tents': too open to propose one thing
    origin: str = ""  # where a flight begins
    also: tuple[tuple[str, int], ...] = ()  # more things of the same basket, and how many
    whom: Who = ""  # a gift's receiver


@dataclass(frozen=True, slots=True)
class OfferMemory:
    offer_id: str
    title: str
    merchant: str
    price: Money


Proposed = tuple[tuple[tuple[str, int], ...], str]
"""The lines of a proposal, and the key that gives the same checkouts again."""


@dataclass(frozen=True, slots=True)
class Memory:
    """`wanted`: the person asked to buy or book it, so the next fact may lead to a proposal.
    `asked` is the question that stands; `lines` and `key` are of the open proposal; `nth` is the
    position last picked where the offers themselves are not remembered; `beside` are proposals of
    the same sheet that other words of the same message asked for; `waiting` are errands of that
    message whose own question comes after this one."""

    offers: tuple[OfferMemory, ...] = ()
    draft: Draft = field(default_factory=Draft)
    wanted: bool = False
    asked: Fact = ""
    lines: tuple[tuple[str, int], ...] = ()
    key: str = ""
    nth: int | None = None
    beside: tuple[Proposed, ...] = ()
    waiting: tuple["Memory", ...] = ()

    @property
    def proposed(self) -> tuple[int, ...]:
        """Indices of the offers that wait for confirmation."""
        ids = {offer_id for offer_id, _ in self.lines}
        return tuple(i for i, offer in enumerate(self.offers) if offer.offer_id in ids)


_BLOCK = re.compile(r"\s*<!--emptor:v1 (?P<json>\{.*?\})-->", re.DOTALL)


def remember(
    offers: Sequence[Offer | OfferMemory],
    *,
    draft: Draft,
    wanted: bool = False,
    asked: Fact = "",
    lines: Sequence[tuple[str, int]] = (),
    key: str = "",
    beside: Sequence[Proposed] = (),
) -> str:
    """The private block to store behind the answer. Merchant text in it cannot end it early."""
    kept = [OfferMemory(o.offer_id, o.title[:80], o.merchant[:40], o.price) for o in offers]
    return _block(
        Memory(tuple(kept), draft, wanted, asked, tuple(lines), key=key, beside=tuple(beside))
    )


def again(memory: Memory) -> str:
    """The block of a memory as it is, for the next turn; '' when there is nothing to keep."""
    return "" if memory == Memory() else _block(memory)


def _block(memory: Memory) -> str:
    text = json.dumps(_data(memory), ensure_ascii=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f"\n\n<!--emptor:v1 {safe}-->"


def _data(memory: Memory) -> dict[str, Any]:
    return {
        "offers": [
            [o.offer_id, o.title, o.merchant, o.price.amount, o.price.currency]
            for o in memory.offers
        ],
        "draft": _draft_data(memory.draft),
        "wanted": memory.wanted,
        "asked": memory.asked,
        "lines": [list(line) for line in memory.lines],
        "key": memory.key,
        "beside": [[[list(line) for line in more], its_key] for more, its_key in memory.beside],
        "waiting": [_data(one) for one in memory.waiting],
    }


def forget(text: str) -> str:
    """The message without its private block: what people and models may see."""
    return _BLOCK.sub("", text)


def recall(messages: Sequence[Message]) -> Memory | None:
    """The newest readable memory, or None: in our own note behind an answer, or in the answer
    itself. What a person wrote is never read as one."""
    for message in reversed(messages):
        if message.role not in {"assistant", "system"}:
            continue
        for block in reversed(list(_BLOCK.finditer(message.text))):
            memory = _read(block["json"])
            if memory:
                return memory
    return None


def _draft_data(draft: Draft) -> dict[str, Any]:
    return {
        "vertical": draft.vertical,
        "words": draft.words,
        "cuisine": draft.cuisine,
        "place": draft.place,
        "day": draft.day.isoformat() if draft.day else None,
        "until": draft.until.isoformat() if draft.until else None,
        "hour": draft.hour.isoformat() if draft.hour else None,
        "assumed": draft.assumed,
        "party": draft.party,
        "nights": draft.nights,
        "quantity": draft.quantity,
        "budget": _budget_data(draft.budget),
        "floor": _budget_data(draft.floor),
        "cheapest": draft.cheapest,
        "vague": draft.vague,
        "origin": draft.origin,
        "also": [list(thing) for thing in draft.also],
        "whom": draft.whom,
    }


def _budget_data(budget: Budget | None) -> list[str | None] | None:
    return [str(budget.amount), budget.currency, budget.per] if budget else None


def _read(text: str) -> Memory | None:
    """A memory from its JSON, or None: clients send history back, so any of it may be broken."""
    try:
        return _memory(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, MoneyError):
        return None


def _memory(data: Mapping[str, Any], *, nested: bool = False) -> Memory:
    return Memory(
        offers=tuple(
            OfferMemory(str(i), str(t), str(m), Money(a, c)) for i, t, m, a, c in data["offers"]
        ),
        draft=_draft(data["draft"]),
        wanted=data["wanted"] is True,
        asked=data["asked"] if data["asked"] in get_args(Fact) else "",
        lines=_lines(data["lines"]),
        key=str(data["key"]),
        beside=tuple((_lines(lines), str(key)) for lines, key in data.get("beside", ())),
        waiting=() if nested else tuple(_memory(d, nested=True) for d in data.get("waiting", ())),
    )


def _lines(data: Any) -> tuple[tuple[str, int], ...]:
    return tuple((str(i), _count(q)) for i, q in data)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 < value <= 1_000_000:
        raise ValueError("a count is a positive whole number")
    return value


def _draft(data: Mapping[str, Any]) -> Draft:
    def optional(name: str) -> int | None:
        return None if data[name] is None else _count(data[name])

    vertical = data["vertical"]
    return Draft(
        vertical=vertical if vertical in get_args(Vertical) else None,
        words=str(data["words"]),
        cuisine=str(data["cuisine"]),
        place=str(data["place"]),
        day=date.fromisoformat(data["day"]) if data["day"] else None,
        until=date.fromisoformat(data["until"]) if data["until"] else None,
        hour=time.fromisoformat(data["hour"]) if data["hour"] else None,
        assumed=data["assumed"] is True,
        party=optional("party"),
        nights=optional("nights"),
        quantity=optional("quantity"),
        budget=_budget(data["budget"]),
        floor=_budget(data.get("floor")),
        cheapest=data["cheapest"] is True,
        vague=data["vague"] is True,
        origin=str(data.get("origin", "")),
        also=tuple((str(w), _count(q)) for w, q in data.get("also", ())),
        whom=_whom(data.get("whom")),
    )


def _whom(value: Any) -> Who:
    return next((known for known in get_args(Who) if known == value), "")


def _budget(data: Sequence[Any] | None) -> Budget | None:
    if not data:
        return None
    amount, currency, per = data
    if per not in get_args(Per) or not (currency is None or isinstance(currency, str)):
        raise ValueError("not a budget")
    value = Decimal(amount)
    if not value.is_finite():
        raise ValueError("not an amount")
    return Budget(value, currency, per)
