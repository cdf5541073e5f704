"""How a basket of the demo shop travels: by parcel, and what is too heavy for that by our van.

A basket of both goes in two groups, each by an option of its own. The van is a `local_delivery`
with a window, a parcel is `shipping`, so that each option says what it can carry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.simulators.goods import Product
from integrations.simulators.merchant import Refusal

EU = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()  # noqa: SIM905
)
HOME = "DE"
FREE_DELIVERY_FROM = 6000
EXPRESS_EXTRA, UPSTAIRS_EXTRA = 800, 2500
FIRST: Mapping[str, str] = {"parcel": "standard", "van": "kerb"}
_CARRIER = {"standard": "parcel", "express": "parcel", "kerb": "van", "upstairs": "van"}


@dataclass(frozen=True, slots=True)
class Way:
    """`amount` in cents before tax; days from the session's start."""

    id: str
    title: str
    amount: int
    earliest_days: int
    latest_days: int
    kind: str = "shipping"


@dataclass(frozen=True, slots=True)
class Part:
    """Goods that travel together. `ways` is empty until a destination is known."""

    id: str
    kind: str
    items: tuple[str, ...]
    ways: Sequence[Way]
    option: str

    @property
    def way(self) -> Way | None:
        return next((way for way in self.ways if way.id == self.option), None)


def parts(
    wanted: Sequence[tuple[Product, int]], country: str | None, options: Mapping[str, str]
) -> Sequence[Part]:
    """One part or two, the parcel first."""
    made = []
    for carrier, kind in (("parcel", "shipping"), ("van", "local_delivery")):
        goods = [(p, n) for p, n in wanted if p.bulky == (carrier == "van")]
        if not goods:
            continue
        worth = sum(product.price * n for product, n in goods)
        days = max(product.days for product, _ in goods)
        ways: Sequence[Way] = ()
        if country is not None:
            ways = _by_van(country, days) if carrier == "van" else _by_post(country, worth, days)
        made.append(Part(carrier, kind, tuple(p.id for p, _ in goods), ways, options[carrier]))
    return made


def _by_post(country: str, worth: int, days: int) -> Sequence[Way]:
    if country == HOME:
        standard, away = (0 if worth >= FREE_DELIVERY_FROM else 490), 0
    elif country in EU:
        standard, away = 990, 2
    elif country in ("GB", "CH", "NO"):
        standard, away = 1490, 3
    else:
        standard, away = 2490, 6
    return (
        Way("standard", "Standard", standard, days + away, days + away + 2),
        Way("express", "Express", standard + EXPRESS_EXTRA, 1 + away // 2, 2 + away // 2),
    )


def _by_van(country: str, days: int) -> Sequence[Way]:
    fare, away = (2900, 0) if country == HOME else (5900, 3) if country in EU else (14900, 9)
    kind, first, last = "local_delivery", days + away, days + away + 4
    return (
        Way("kerb", "Our van, to the kerb", fare, first, last, kind),
        Way("upstairs", "Our van, to your room", fare + UPSTAIRS_EXTRA, first, last, kind),
    )


def chosen(entries: Any, lines: Mapping[str, Product]) -> Mapping[str, str]:
    """Carrier → option of `selected_fulfillment_options`. Raises `Refusal` 400."""
    found: dict[str, str] = {}
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        at = f"$.selected_fulfillment_options[{place}]"
        option = entry.get("option_id") if isinstance(entry, dict) else None
        carrier = _CARRIER.get(str(option))
        if carrier is None:
            raise Refusal(400, "invalid", "There is no such delivery", param=f"{at}.option_id")
        named = {str(name).removeprefix("li_") for name in entry.get("item_ids") or []}
        if any(item not in lines or lines[item].bulky != (carrier == "van") for item in named):
            raise Refusal(400, "invalid", "That does not go this way", param=f"{at}.item_ids")
        found[carrier] = str(option)
    return found
