"""What a basket costs at the demo shop: discount codes, delivery, tax by destination.

Prices are before tax. The discount is spread over the lines by the largest remainder, so each
line's tax base is exact and the parts always add up to the total.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from integrations.money import Money
from integrations.simulators.goods import CURRENCY, Product
from integrations.simulators.sending import EU

# Basis points: (standard, reduced for books, food and flowers). Elsewhere goods leave untaxed.
_TAX_BPS: Mapping[str, tuple[int, int]] = {
    "DE": (1900, 700), "AT": (2000, 1000), "FR": (2000, 550), "IT": (2200, 1000),
    "ES": (2100, 1000), "NL": (2100, 900), "BE": (2100, 600), "PT": (2300, 600),
    "IE": (2300, 1350), "PL": (2300, 800), "GB": (2000, 0), "SE": (2500, 1200),
}  # fmt: skip
_TAX_BPS_EU = (2100, 1000)


@dataclass(frozen=True, slots=True)
class Code:
    """A discount code: `bps` of the goods, or a fixed `amount` from a minimum on."""

    name: str
    bps: int = 0
    amount: int = 0
    minimum: int = 0
    ends: datetime | None = None


CODES: Mapping[str, Code] = {
    "WELCOME10": Code("10 % off your order", bps=1000),
    "FIVE": Code("5 euros off from 30 euros", amount=500, minimum=3000),
    "SUMMER24": Code("Summer sale", bps=2500, ends=datetime.fromisoformat("2024-09-01T00:00:00Z")),
}


@dataclass(frozen=True, slots=True)
class PricedLine:
    product: Product
    quantity: int
    unit: int
    discount: int
    tax: int

    @property
    def amount(self) -> int:
        return self.unit * self.quantity


@dataclass(frozen=True, slots=True)
class Price:
    """All in cents. `delivery` and its tax are 0 until a destination is known."""

    lines: Sequence[PricedLine]
    applied: Sequence[tuple[str, int]]
    rejected: Sequence[tuple[str, str]]
    delivery: int
    tax: int

    @property
    def items(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def discount(self) -> int:
        return sum(amount for _, amount in self.applied)

    @property
    def total(self) -> int:
        return self.items - self.discount + self.delivery + self.tax


def price(
    wanted: Sequence[tuple[Product, int]],
    *,
    country: str | None,
    delivery: int,
    codes: Sequence[str],
    drift_bps: int,
    now: datetime,
) -> Price:
    """The price of `wanted`, sent to `country` for `delivery` cents. `drift_bps` is a test's."""
    units = [p.price + Money(p.price, CURRENCY).share(bps=drift_bps).amount for p, _ in wanted]
    amounts = [unit * quantity for unit, (_, quantity) in zip(units, wanted, strict=True)]
    applied, rejected = _discounts(codes, sum(amounts), now)
    taken = Money(sum(amount for _, amount in applied), CURRENCY)
    shares = [s.amount for s in taken.split(amounts)] if sum(amounts) else [0] * len(amounts)
    bps = _tax_bps(country)
    lines = []
    for (product, quantity), unit, amount, share in zip(
        wanted, units, amounts, shares, strict=True
    ):
        rate = bps[1] if product.reduced_tax else bps[0]
        tax = Money(amount - share, CURRENCY).share(bps=rate).amount
        lines.append(PricedLine(product, quantity, unit, share, tax))
    sending = delivery if country else 0
    sending_tax = Money(sending, CURRENCY).share(bps=bps[0]).amount
    tax = sum(line.tax for line in lines) + sending_tax
    return Price(lines, applied, rejected, sending, tax)


def _tax_bps(country: str | None) -> tuple[int, int]:
    if country is None:
        return (0, 0)
    return _TAX_BPS.get(country, _TAX_BPS_EU if country in EU else (0, 0))


def _discounts(
    codes: Sequence[str], goods: int, now: datetime
) -> tuple[Sequence[tuple[str, int]], Sequence[tuple[str, str]]]:
    """One code an order: the first that holds. The others are told why not."""
    applied: list[tuple[str, int]] = []
    rejected: list[tuple[str, str]] = []
    for written in codes:
        code = CODES.get(written.strip().upper())
        if code is None:
            rejected.append((written, "discount_code_invalid"))
        elif code.ends is not None and now >= code.ends:
            rejected.append((written, "discount_code_expired"))
        elif goods < code.minimum:
            rejected.append((written, "discount_code_minimum_not_met"))
        elif applied:
            rejected.append((written, "discount_code_combination_disallowed"))
        else:
            share = Money(goods, CURRENCY).share(bps=code.bps).amount
            applied.append((written, min(goods, share + code.amount)))
    return applied, rejected
