"""Money: integers, exact splits, the processor's own exponents."""

from fractions import Fraction

import pytest
from babel.numbers import list_currencies
from hypothesis import given
from hypothesis import strategies as st

from integrations.money import (
    AMOUNT_MAX,
    CurrencyMismatch,
    Money,
    MoneyError,
    divide_half_even,
    exponent,
    from_processor,
    processable,
    processor_exponent,
    to_processor,
)

amounts = st.integers(min_value=-(10**12), max_value=10**12)


def test_amounts_of_one_currency_add_up():
    assert Money(1050, "EUR") + Money(950, "EUR") == Money(2000, "EUR")


@pytest.mark.parametrize("amount", [1.0, "1", True, None, AMOUNT_MAX + 1])
def test_only_bounded_integers_are_amounts(amount):
    with pytest.raises(MoneyError):
        Money(amount, "EUR")


@pytest.mark.parametrize("code", ["eur", "EURO", "XX", "", "€"])
def test_only_iso_codes_in_capitals_are_currencies(code):
    with pytest.raises(MoneyError):
        Money(1, code)


def test_two_currencies_never_meet_in_a_sum_or_a_comparison():
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR") + Money(1, "USD")
    with pytest.raises(CurrencyMismatch):
        assert Money(1, "EUR") < Money(1, "USD")


def test_money_is_not_multiplied_by_a_fraction():
    with pytest.raises(MoneyError):
        Money(100, "EUR") * 0.5


@given(amounts, st.integers(min_value=0, max_value=10_000))
def test_a_share_is_within_half_a_unit_and_ties_go_to_even(amount, bps):
    share = Money(amount, "EUR").share(bps=bps).amount
    exact = Fraction(amount * bps, 10_000)
    assert abs(share - exact) <= Fraction(1, 2)
    if abs(share - exact) == Fraction(1, 2):
        assert share % 2 == 0


@given(amounts, st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=12))
def test_the_parts_of_a_split_add_up_and_each_is_within_one_unit(amount, weights):
    if not sum(weights):
        with pytest.raises(MoneyError):
            Money(amount, "JPY").split(weights)
        return
    parts = [p.amount for p in Money(amount, "JPY").split(weights)]
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, sum(weights))) < 1


def test_a_split_by_thirds_gives_the_odd_cent_to_the_first():
    assert [p.amount for p in Money(100, "EUR").split([1, 1, 1])] == [34, 33, 33]


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (1, 3, 0), (2, 3, 1), (0, 7, 0)],
)
def test_division_rounds_half_to_even_for_either_sign(numerator, denominator, expected):
    assert divide_half_even(numerator, denominator) == expected


@pytest.mark.parametrize(
    ("money", "wire"),
    [
        (Money(1234, "EUR"), 1234),
        (Money(1234, "JPY"), 1234),
        (Money(1230, "KWD"), 1230),
        (Money(15, "ISK"), 1500),
        (Money(15, "UGX"), 1500),
    ],
)
def test_the_processor_counts_in_its_own_exponents(money, wire):
    assert to_processor(money) == wire
    assert from_processor(wire, money.currency.lower()) == money


def test_a_third_decimal_that_the_processor_refuses_is_refused_here():
    with pytest.raises(MoneyError, match="last digit"):
        to_processor(Money(1234, "KWD"))


def test_malagasy_ariary_has_no_decimals_at_the_processor():
    assert processor_exponent("MGA") == 0


@pytest.mark.parametrize(
    ("text", "code", "amount"),
    [("12.34", "EUR", 1234), ("12", "JPY", 12), ("1.234", "KWD", 1234), ("-0.50", "USD", -50)],
)
def test_decimal_strings_become_minor_units_exactly(text, code, amount):
    assert Money.from_decimal(text, code).amount == amount


def test_more_decimals_than_the_currency_has_are_an_error_not_a_rounding():
    with pytest.raises(MoneyError, match="decimals"):
        Money.from_decimal("1.005", "EUR")


def test_people_read_their_own_format():
    assert Money(13400, "EUR").text("en") == "€134.00"
    assert "134.00" in Money(13400, "CNY").text("zh_Hans_CN")


# ISO 4217: all that do not count hundredths.
NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
THREE = "BHD IQD JOD KWD LYD OMR TND"


def test_decimals_are_those_that_merchants_count_by():
    iso = dict.fromkeys(NONE.split(), 0) | dict.fromkeys(THREE.split(), 3) | {"CLF": 4, "UYW": 4}
    assert {c: exponent(c) for c in list_currencies() if exponent(c) != 2} == iso


@pytest.mark.parametrize("locale", ["en", "de", "zh_Hans_CN"])
def test_no_language_leaves_a_decimal_unsaid(locale):
    for code in sorted(list_currencies()):
        shown = Money(98765, code).text(locale)
        assert "".join(c for c in shown if c.isdigit()) == "98765", shown


@pytest.mark.parametrize(
    ("money", "wire", "text"),
    [
        (Money(12345, "RSD"), 12345, "RSD123.45"),
        (Money(12300, "LBP"), 12300, "LBP123.00"),
        (Money(12340, "IQD"), 12340, "IQD12.340"),
        (Money(12340, "LYD"), 12340, "LYD12.340"),
        (Money(12345, "HUF"), 12345, "HUF123.45"),
        (Money(12345, "TWD"), 12345, "NT$123.45"),
        (Money(12345, "MRU"), 12345, "MRU123.45"),
        (Money(15, "UGX"), 1500, "UGX15"),
        (Money(12300, "MGA"), 123, "MGA123.00"),
        (Money(123400, "JPY"), 123400, "¥123,400"),
        (Money(12340, "KWD"), 12340, "KWD12.340"),
    ],
)
def test_what_is_counted_shown_and_charged_is_the_same_sum(money, wire, text):
    assert to_processor(money) == wire
    assert from_processor(wire, money.currency.lower()) == money
    assert money.text() == text
    assert Money.from_decimal(str(money.decimal), money.currency) == money


@given(amounts, st.sampled_from(["EUR", "JPY", "KWD", "MGA", "IQD", "ISK"]))
def test_what_can_be_charged_of_an_amount_is_the_most_that_can(amount, currency):
    money = Money(amount, currency)
    most = processable(money)
    assert from_processor(to_processor(most), currency) == most
    assert abs(most.amount) <= abs(amount)
    assert abs(amount) - abs(most.amount) < 100
    if most != money:
        with pytest.raises(MoneyError):
            to_processor(money)
