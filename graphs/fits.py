"""Which offer is what was asked for, and the plan that is frozen before any offer is read.

The shelf ranks; this only keeps a proposal from being made of something else: a peg when a tent
was asked for, a French place when it had to be Italian. It sees no fees and changes no quantity.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from graphs.budgets import Budget
from graphs.memory import Draft
from graphs.numerals import number
from graphs.occasions import unsuited
from graphs.outings import suits
from graphs.sentences import where
from graphs.state import Offer, Proposal, Wish
from graphs.variants import thing
from graphs.vocabulary import ALSO_KNOWN, CUISINES
from integrations.money import Money

Rule = Literal["best", "cheapest"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What this turn may propose at most, fixed from the person's words alone.

    Merchant text is read after this exists, and nothing in it can change a field.
    """

    wish: Wish
    rule: Rule
    quantity: int
    max_total: Money | None
    budget: Budget | None
    key: str
    each: Mapping[str, int] = field(default_factory=dict)  # of a basket: how many of which offer
    min_total: Money | None = None

    def line(self, offer: Offer) -> tuple[str, int]:
        return offer.offer_id, self.each.get(offer.offer_id, self.quantity)

    def kept_by(self, made: Proposal, offers: Sequence[Offer]) -> bool:
        """Whether the frozen checkout keeps to the plan: these offers alone, each in the quantity
        that the person said, for the booking that they asked for."""
        lines = made.confirmation.get("lines")
        if not isinstance(lines, Sequence) or not lines:
            return False
        told = [(line.get("offer_id"), line.get("quantity")) for line in lines]
        wanted = {self.line(offer) for offer in offers}
        return len(set(told)) == len(told) and set(told) <= wanted and self._same_booking(made)

    def limit_text(self) -> str:
        """The person's limit as it is said back."""
        if self.max_total is not None:
            return self.max_total.text()
        return str(self.budget.amount) if self.budget else ""

    def _same_booking(self, made: Proposal) -> bool:
        booking = made.confirmation.get("booking")
        if not booking or self.wish.vertical == "product":
            return True
        at = self.wish.time.isoformat() if self.wish.time else None
        asked = {
            "date": self.wish.date.isoformat() if self.wish.date else None,
            "time": at,
            "party": self.wish.party,
            "nights": self.wish.nights,
        }
        for name, value in asked.items():
            told = booking.get(name)
            if value is None or told is None:
                continue
            same = str(told)[:5] == at[:5] if name == "time" and at else told == value
            if not same:
                return False
        return True

    def affords(self, total: Money) -> bool:
        """The person's own limit against the merchant's whole total."""
        if self.max_total is not None:
            return self.max_total.currency == total.currency and total <= self.max_total
        return self.budget is None or self.budget.currency is not None or self.budget.allows(total)


def plan(draft: Draft, wish: Wish, *, key: str) -> Plan:
    table = wish.vertical == "table"
    return Plan(
        wish=wish,
        rule="cheapest" if draft.cheapest else "best",
        quantity=1 if table else wish.quantity,
        max_total=wish.max_total,
        budget=None if table else draft.budget,
        key=key,
        min_total=wish.min_total,
    )


def terms(text: str) -> frozenset[str]:
    """Comparable words: lower case, digits for number words, no plural s, Chinese in pairs."""
    text = text.lower().replace("双人", "2人").replace("单人", "1人")
    found = set()
    for word in re.findall(r"[a-zà-ÿ0-9]+", text):
        value = number(word) if word.isalpha() and word.isascii() else None
        found.add(str(value) if value is not None else _singular(word))
    for run in re.findall(r"[\u4e00-\u9fff]+", text):
        found |= {run[i : i + 2] for i in range(max(1, len(run) - 1))}
    return frozenset(found)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def coverage(query: str, offer: Offer) -> float | None:
    """Share of the query's terms that the offer's text holds; None when they share no script."""
    asked = terms(query)
    said = terms(_text(offer))
    chinese = any(_han(t) for t in asked)
    if not asked or (chinese and not any(_han(t) for t in said)):
        return None
    if not chinese and not any(t.isascii() and t.isalpha() for t in said):
        return None
    return len(asked & said) / len(asked)


def _han(term: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in term)


def _text(offer: Offer) -> str:
    return " ".join([offer.title, offer.merchant, offer.description, *offer.attributes.values()])


def fitting(offers: Sequence[Offer], draft: Draft, frozen: Plan) -> list[Offer]:
    """The offers that may be proposed for this wish, in the shelf's order (or cheapest first)."""
    able = [
        o
        for o in offers
        if o.availability != "out_of_stock" and _within(o, frozen) and not unsuited(o, draft.whom)
    ]
    if draft.vertical == "product":
        kept = _goods([o for o in able if _on_its_day(o, draft)], draft)
    else:
        kept = _places([o for o in able if _is_when(o, frozen.wish)], draft)
    if frozen.rule == "cheapest" and len({o.price.currency for o in kept}) == 1:
        kept.sort(key=lambda o: o.price.amount)
    return kept


def _on_its_day(offer: Offer, draft: Draft) -> bool:
    return suits(
        offer,
        day=draft.day,
        until=draft.until,
        origin=draft.origin,
        place=draft.place,
        words=draft.words,
    )


def _within(offer: Offer, frozen: Plan) -> bool:
    total, least = offer.price * frozen.quantity, frozen.min_total
    dear = least is None or (least.currency == total.currency and least <= total)
    return dear and frozen.affords(total)


def _goods(offers: Sequence[Offer], draft: Draft) -> list[Offer]:
    """Those that match as well as the first match does, and are of the same kind."""
    plain = thing(draft.words)  # of a thing in sizes and colours these are settled apart
    scored = [(o, coverage(plain if o.options else draft.words, o)) for o in offers]
    if draft.day is not None:  # of one day's events the words decide: which town, which kind
        scored.sort(key=lambda pair: -(pair[1] or 0.0))
    # Chinese is compared in pairs: half of 咖啡机 is any coffee, so half is not enough there.
    least = 0.6 if any(_han(c) for c in draft.words) else 0.5
    first = next(((o, s) for o, s in scored if s is None or s >= least), None)
    if first is None:
        return []
    kind, best = first[0].attributes.get("category"), first[1]
    return [
        offer
        for offer, score in scored
        if offer.attributes.get("category") == kind
        and (score is None or best is None or score >= best)
    ]


def _places(offers: Sequence[Offer], draft: Draft) -> list[Offer]:
    """Those of the cuisine, the place and the name that were asked for."""
    kept = [o for o in offers if not draft.cuisine or _cooks(o, draft.cuisine)]
    if draft.place:
        there = [o for o in kept if _is_there(o, draft.place)]
        kept = there or [o for o in kept if not where(o, "en")]
    named = _named(draft)
    if named:
        scored = [(o, coverage(named, o)) for o in kept]
        best = max((s for _, s in scored if s is not None), default=None)
        if best:
            kept = [o for o, s in scored if s == best]
        elif best is not None and not any(_han(c) for c in named):
            kept = []  # another house than the one that was named
    return kept


def _cooks(offer: Offer, cuisine: str) -> bool:
    text = _text(offer)
    also = ALSO_KNOWN.get(cuisine)
    named = next(pattern for name, pattern in CUISINES if name == cuisine)
    return named.search(text) is not None or (also is not None and also.search(text) is not None)


def _is_when(offer: Offer, wish: Wish) -> bool:
    """The offer's own day, time and party are those asked for; an alternative is not a fit."""
    told = offer.attributes
    asked = {
        "date": wish.date.isoformat() if wish.date else None,
        "time": wish.time.isoformat()[:5] if wish.time else None,
        "party": str(wish.party) if wish.party else None,
        "nights": str(wish.nights) if wish.nights else None,
    }
    return all(
        value is None or name not in told or told[name][: len(value)] == value
        for name, value in asked.items()
    )


def _is_there(offer: Offer, place: str) -> bool:
    """The row's place names it, or is written in another script and cannot be compared."""
    spot = _text(offer).lower()
    return place.lower() in spot or any(_han(c) for c in place) != any(_han(c) for c in spot)


def _named(draft: Draft) -> str:
    """Words that may name a house: capitalised ones, or Chinese ones that are no kind of food.

    Chinese has no capitals: there such words only decide between houses, they rule none out."""
    words = [
        w
        for w in draft.words.split()
        if (w[0].isupper() or _han(w)) and not any(p.search(w) for _, p in CUISINES)
    ]
    return " ".join(words)
