"""Money: integer minor units plus an ISO 4217 code. No float ever touches an amount.

Two exponent tables exist on purpose: ISO 4217's, by which merchants count and people read, and
what the card processor expects. They differ for ISK, UGX and MGA, and that difference has cost
others money.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from babel import Locale
from babel.numbers import format_currency, list_currencies, parse_pattern

BPS = 10_000
AMOUNT_MAX = 2**53 - 1

_KNOWN = frozenset(list_currencies())
# A table of our own, for it says what every stored amount means. Babel's counts the decimals of
# price tags, where some currencies have none in daily use, and moves with its releases.
_DECIMALS = {
    code: decimals
    for decimals, codes in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for code in codes.split()
}
# Stripe: "zero-decimal currencies" and "special cases". ISK and UGX stay two-decimal in the API
# although ISO counts none, and their last two digits must be zero.
_PROCESSOR_ZERO = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905
)
# IQD and LYD are in no list of Stripe's. Should they be taken one day, a thousandth read as a
# hundredth would be a tenth of the price: it is better refused.
_PROCESSOR_THREE = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_PROCESSOR_WHOLE_UNITS = frozenset({"ISK", "UGX"})


class MoneyError(ValueError):
    """An amount or a currency that cannot be used as it stands."""


class CurrencyMismatch(MoneyError):
    """Two currencies met in one sum. Nothing is ever converted silently."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`amount` in minor units of `currency` (cents, yen, fils). Immutable and hashable.

    Raises `MoneyError` for an unknown code, a non-integer or an amount beyond ±2^53.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise MoneyError(f"amount must be an integer in minor units, not {self.amount!r}")
        if abs(self.amount) > AMOUNT_MAX:
            raise MoneyError("amount is beyond 2^53 minor units")
        if self.currency not in _KNOWN:
            raise MoneyError(f"{self.currency!r} is not an ISO 4217 code in capitals")

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(0, currency)

    @classmethod
    def from_decimal(cls, text: str, currency: str) -> Self:
        """'12.34' in major units, as Duffel and people write it. Excess digits are an error."""
        decimals = exponent(currency) if currency in _KNOWN else 2
        scaled = Decimal(text).scaleb(decimals)
        if scaled != scaled.to_integral_value():
            raise MoneyError(f"{text} has more decimals than {currency} allows ({decimals})")
        return cls(int(scaled), currency)

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not add up")

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __mul__(self, quantity: int) -> "Money":
        if type(quantity) is not int:
            raise MoneyError("money is multiplied by whole numbers only; use share() for rates")
        return Money(self.amount * quantity, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount <= other.amount

    def share(self, *, bps: int) -> "Money":
        """`bps` basis points of this amount, rounded half to even, in integers throughout."""
        return Money(divide_half_even(self.amount * bps, BPS), self.currency)

    def split(self, weights: Sequence[int]) -> list["Money"]:
        """Parts in proportion to `weights` that add up to the whole: largest remainder method.

        Ties go to the earlier part. Weights are non-negative and not all zero (`MoneyError`).
        """
        total = sum(weights)
        if total <= 0 or min(weights) < 0:
            raise MoneyError("weights must be non-negative and not all zero")
        floors = [self.amount * w // total for w in weights]
        remainders = [self.amount * w % total for w in weights]
        order = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
        for i in order[: self.amount - sum(floors)]:
            floors[i] += 1
        return [Money(part, self.currency) for part in floors]

    @property
    def decimal(self) -> Decimal:
        """In major units, for display and for partners that speak decimals."""
        return Decimal(self.amount).scaleb(-exponent(self.currency))

    def text(self, locale: str = "en") -> str:
        """As a person reads it: '€134.00', 'JP¥1,200'. Never parsed back."""
        written = parse_pattern(Locale.parse(locale).currency_formats["standard"].pattern)
        # The language's notation with all decimals: nothing that is charged is left unsaid.
        written.frac_prec = (exponent(self.currency),) * 2
        return format_currency(
            self.decimal, self.currency, written, locale=locale, currency_digits=False
        )

    def __str__(self) -> str:
        return f"{self.decimal} {self.currency}"


def divide_half_even(numerator: int, denominator: int) -> int:
    """Integer division rounded half to even, exact for either sign."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def exponent(currency: str) -> int:
    """Decimals of a known currency. Source: ISO 4217, "minor unit"."""
    return _DECIMALS.get(currency, 2)


def processor_exponent(currency: str) -> int:
    """Decimals that the card processor's API counts, which is not always ISO's number.

    Source: Stripe documentation, "Supported currencies", zero- and three-decimal lists.
    """
    if currency in _PROCESSOR_ZERO:
        return 0
    return 3 if currency in _PROCESSOR_THREE else 2


def to_processor(money: Money) -> int:
    """The integer that the processor's API takes for this amount.

    Raises `MoneyError` where the processor would refuse: a third decimal that is not zero
    (KWD and friends) or a fraction of a krona or shilling (ISK, UGX).
    """
    shift = processor_exponent(money.currency) - exponent(money.currency)
    amount: int
    if shift >= 0:
        amount = money.amount * 10**shift
    else:
        amount, rest = divmod(money.amount, 10**-shift)
        if rest:
            raise MoneyError(f"{money} cannot be charged: the processor counts fewer decimals")
    if money.currency in _PROCESSOR_THREE and amount % 10:
        raise MoneyError(f"{money} cannot be charged: the last digit must be 0")
    if money.currency in _PROCESSOR_WHOLE_UNITS and amount % 100:
        raise MoneyError(f"{money} cannot be charged: whole units only")
    return amount


def processable(money: Money) -> Money:
    """The most of this amount that `to_processor` takes: rounded towards zero to its step."""
    step = 10 ** max(exponent(money.currency) - processor_exponent(money.currency), 0)
    if money.currency in _PROCESSOR_THREE:
        step = 10
    sign = -1 if money.amount < 0 else 1
    return Money(sign * (abs(money.amount) // step * step), money.currency)


def from_processor(amount: int, currency: str) -> Money:
    """The inverse of `to_processor`. `currency` in either case, as the processor writes it."""
    code = currency.upper()
    shift = exponent(code) - processor_exponent(code)
    if shift >= 0:
        return Money(amount * 10**shift, code)
    whole, rest = divmod(amount, 10**-shift)
    if rest:
        raise MoneyError(f"{amount} {code} from the processor is not a whole minor unit")
    return Money(whole, code)


def due(totals: Sequence[Money]) -> tuple[Money, ...]:
    """What several amounts come to, one sum for each currency in the order of their coming."""
    currencies = dict.fromkeys(money.currency for money in totals)
    return tuple(
        sum((m for m in totals if m.currency == currency), Money.zero(currency))
        for currency in currencies
    )
