"""The order of offers: fit, total price, availability, delivery, rating. It cannot see a fee.

`Rankable` has no field for what a merchant pays, and this module may import nothing that knows it;
so a commission can neither buy a place nor break a tie. Ties go by a hash of query and offer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from integrations.money import Money

# What counts how much. Fit outweighs the rest together: cheap pegs are no tent.
FIT, PRICE, AVAILABILITY, DELIVERY, RATING = 0.82, 0.05, 0.04, 0.04, 0.05
_STOCK: Mapping[str, float] = {"in_stock": 1.0, "low_stock": 0.8, "on_request": 0.4}
_DELIVERY_WORST_DAYS = 14
_RATING_WORST, _RATING_BEST = 2.5, 5.0
_UNKNOWN = 0.5  # neither punished nor praised for what a merchant did not say


@dataclass(frozen=True, slots=True)
class Rankable:
    """`fit` from 0 to 1, how well it answers the words; `total` for the quantity asked for."""

    offer_id: str
    fit: float
    total: Money
    availability: str
    delivery_days: int | None = None
    rating: float | None = None


def rank(query: str, offers: Sequence[Rankable]) -> list[Rankable]:
    """Best first. The same offers give the same order, however they were arranged before."""
    cheapest: dict[str, int] = {}
    for offer in offers:
        known = cheapest.get(offer.total.currency, offer.total.amount)
        cheapest[offer.total.currency] = min(known, offer.total.amount)
    return sorted(
        offers,
        key=lambda o: (-_score(o, cheapest[o.total.currency]), _lot(query, o.offer_id)),
    )


def _score(offer: Rankable, cheapest: int) -> float:
    price = cheapest / offer.total.amount if offer.total.amount else 1.0
    days, rating = offer.delivery_days, offer.rating
    delivery = _UNKNOWN if days is None else max(0.0, 1 - days / _DELIVERY_WORST_DAYS)
    span = _RATING_BEST - _RATING_WORST
    praise = _UNKNOWN if rating is None else min(1.0, max(0.0, (rating - _RATING_WORST) / span))
    return (
        FIT * offer.fit
        + PRICE * price
        + AVAILABILITY * _STOCK.get(offer.availability, 0.0)
        + DELIVERY * delivery
        + RATING * praise
    )


def _lot(query: str, offer_id: str) -> bytes:
    return hashlib.sha256(f"{query}\x00{offer_id}".encode()).digest()


_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "cheapest": "cheapest of {n}",
        "fastest": "arrives first, in {days} days",
        "tomorrow": "arrives first, within a day",
        "best": "best rated ({rating:.1f})",
        "days": "arrives in {days} days",
        "day": "arrives within a day",
        "low": "only a few left",
        "fit": "closest to what you asked for",
        "join": "; ",
    },
    "zh": {
        "cheapest": "{n} 个中最便宜",
        "fastest": "最快送达，{days} 天",
        "tomorrow": "最快送达，一天内",
        "best": "评分最高（{rating:.1f}）",
        "days": "{days} 天送达",
        "day": "一天内送达",
        "low": "所剩不多",
        "fit": "最符合您的要求",
        "join": "；",
    },
}


def reasons(ranked: Sequence[Rankable], language: Literal["en", "zh"]) -> dict[str, str]:
    """Why each offer stands where it stands, from its own facts: offer id → words.

    A superlative is only said when no other offer shares it.
    """
    return {offer.offer_id: _why(offer, ranked, language) for offer in ranked}


def _why(offer: Rankable, ranked: Sequence[Rankable], language: Literal["en", "zh"]) -> str:
    words = _WORDS[language]
    others = [other for other in ranked if other.offer_id != offer.offer_id]
    peers = [other for other in others if other.total.currency == offer.total.currency]
    said: list[str] = []
    if peers and len(peers) == len(others) and all(offer.total < other.total for other in peers):
        said.append(words["cheapest"].format(n=len(ranked)))
    if _leads(offer.rating, [other.rating for other in others]):
        said.append(words["best"].format(rating=offer.rating))
    if offer.delivery_days is not None:
        behind = [-o.delivery_days for o in others if o.delivery_days is not None]
        first = len(behind) == len(others) and _leads(-offer.delivery_days, behind)
        soon = offer.delivery_days <= 1
        name = ("tomorrow" if soon else "fastest") if first else ("day" if soon else "days")
        said.append(words[name].format(days=offer.delivery_days))
    if offer.availability == "low_stock":
        said.append(words["low"])
    if not said and offer is ranked[0]:
        said.append(words["fit"])
    return words["join"].join(said[:2])


def _leads(mine: float | None, others: Sequence[float | None]) -> bool:
    return mine is not None and bool(others) and all(o is None or mine > o for o in others)
