"""The most a person wants to spend, from their own words: a number with money words, or nothing.

A party of four, a size or a date never becomes a price: without a currency, a money word or a
limit in front of a bare number, there is no budget. Amounts are exact; nothing is converted.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from babel.numbers import get_currency_precision

from graphs.numerals import NUMBER_ZH, WORDS_EN, Page, number
from integrations.money import Money, MoneyError

Per = Literal["total", "unit", "night", "person"]


@dataclass(frozen=True, slots=True)
class Budget:
    """`amount` in major units. `currency` is None when only a number was said: the offers' own
    currency then decides, since nothing is ever converted. `per`: for all, or for each."""

    amount: Decimal
    currency: str | None
    per: Per = "total"

    def allows(self, price: Money) -> bool:
        """Whether this total is within it. Another currency is never within: it is unknown."""
        if self.currency and self.currency != price.currency:
            return False
        return price.decimal <= self.amount

    def money(self, times: int = 1) -> Money | None:
        """The limit as money, for `times` units; None without a currency or with odd decimals."""
        if self.currency is None:
            return None
        scaled = (self.amount * times).scaleb(get_currency_precision(self.currency))
        if scaled != scaled.to_integral_value():
            return None
        try:
            return Money(int(scaled), self.currency)
        except MoneyError:
            return None


_SYMBOLS = (
    ("USD", r"us\$|usd|us dollars?|dollars?|bucks|美元|美金|\$"),
    ("EUR", r"€|eur|euros?|欧元"),
    ("GBP", r"£|gbp|pounds?|quid|英镑"),
    ("CNY", r"cny|rmb|yuan|人民币|元人民币|块钱?|元"),
    ("JPY", r"jpy|yen|日元|日圆"),
    ("HKD", r"hk\$|hkd|港币|港元"),
    ("CHF", r"chf|francs?|瑞郎|瑞士法郎"),
    ("CAD", r"ca\$|cad"),
    ("AUD", r"au\$|aud"),
    ("INR", r"₹|inr|rupees?"),
    ("KRW", r"₩|krw|won|韩元"),
    ("YEN_OR_YUAN", r"¥"),
)
_BEFORE = "|".join(
    r"us\$ hk\$ ca\$ au\$ \$ € £ ¥ ₹ ₩ usd eur gbp cny rmb jpy hkd chf cad aud inr krw".replace(
        "$", r"$"
    ).split()
)
_AFTER = "|".join(pattern for _, pattern in _SYMBOLS)
_PLAIN = r"(?<![\d.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,9}(?:\.\d{1,2})?)(?![\d])"
_THOUSAND = r"(?:\s?(?P<k{0}>k|千|万)(?![a-z]))?"
_NUMBER = rf"(?:{_PLAIN}|{WORDS_EN}|{NUMBER_ZH})"
# The letters of a code must not run into a word: 'eur' but not 'europe'.
_END = r"(?![a-z])"

_SUM = (
    rf"(?:(?P<c1>{_BEFORE})\s?(?P<n1>{_PLAIN}){_THOUSAND.format(1)}"
    rf"|(?P<n2>{_NUMBER}){_THOUSAND.format(2)}\s?-?(?P<c2>{_AFTER}){_END})"
)
_UPPER_EN = (
    r"(?:under|below|less than|no more than|not more than|at most|up to|max(?:imum)?(?: of)?|within"
    r"|cheaper than|not over|no higher than|budget(?: is| of|:)?|spend(?:ing)?(?: up to)?|<=?)"
)
_UPPER_ZH = (
    r"(?:不超过|最多|最高|不高于|低于|少于|小于|预算(?:是|为|大概|大约|在)?|控制在|別超过|别超过)"
)
_UPPER_ZH_AFTER = r"(?:以内|之内|以下|内|封顶|预算)"
_LOWER = re.compile(
    r"(?:(?<!not )over|above|(?<!no )(?<!not )more than|at least|from|minimum(?: of)?|>=?"
    r"|(?<!不)超过|(?<!不)高于|至少|不低于)\s*$",
    re.IGNORECASE,
)
_LOWER_AFTER = re.compile(r"^\s*(?:以上|起|\+|or more|and up)", re.IGNORECASE)
_RANGE = re.compile(
    rf"(?:(?P<c0>{_BEFORE})\s?)?(?P<low>{_PLAIN}|{NUMBER_ZH})\s?(?:{_AFTER})?\s?"
    rf"(?:-|to|and|~|到|至)\s?{_SUM}",
    re.IGNORECASE,
)
_EXACT = re.compile(_SUM, re.IGNORECASE)
_AFTER_LIMIT = (
    r"(?=\s*(?:$|[,.!?;，。！？；\x1f]|for\b|please\b|with\b|that\b|and\b|or\b|in\b|each\b|per\b|a\b|"
    r"total\b|if\b|i\b|的|左右|请))"
)
_BARE = re.compile(
    rf"(?:\b{_UPPER_EN}|{_UPPER_ZH})\s*(?P<n>{_PLAIN}|{NUMBER_ZH}){_AFTER_LIMIT}"
    rf"|(?P<z>{_PLAIN}|{NUMBER_ZH}){_UPPER_ZH_AFTER}",
    re.IGNORECASE,
)
_PERS: tuple[tuple[Per, re.Pattern[str]], ...] = (
    ("night", re.compile(r"\b(?:per|a|each|every|/) ?night|nightly|每晚|一晚|每夜|每天", re.I)),
    ("person", re.compile(r"\b(?:per|a|each) (?:person|head)|人均|每人|每位|一个人", re.I)),
    ("unit", re.compile(r"\beach\b|\bapiece\b|\bper (?:piece|item|unit)\b|每个|每件|单价", re.I)),
)
_CARD = re.compile(r"^\s*(?:gift ?cards?|vouchers?|礼品卡|代金券)", re.IGNORECASE)
_FILLER = re.compile(
    rf"(?:\bfor\s+)?(?:{_UPPER_EN}|{_UPPER_ZH}|about|around|roughly|大概|大约|差不多)\s*$", re.I
)
_TAIL = re.compile(rf"^\s*(?:{_UPPER_ZH_AFTER}|左右|上下|or less|or under|max(?:imum)?|tops)", re.I)


def budget(page: Page, *, language: str) -> Budget | None:
    """The upper limit that was said, or None; every sum in the message is taken.

    A lower limit ('over $50', '100元以上') is no budget. Of several limits the last counts.
    """
    found: Budget | None = None
    for pattern in (_RANGE, _EXACT):
        while match := pattern.search(page.left):
            before, after = page.text[: match.start()], page.text[match.end() :]
            if _CARD.match(after):  # a $50 gift card is the thing itself
                return found
            _take(page, match)
            amount = _amount(match)
            lower = _LOWER.search(before) and pattern is _EXACT
            if amount is None or lower or _LOWER_AFTER.match(after):
                continue
            found = Budget(amount, _currency(match, language), _per(before, after))
    if found is None and (match := _BARE.search(page.left)):
        value = _value(match["n"] or match["z"])
        if value:
            found = Budget(value, None, _per("", page.text[match.end() :]))
            page.blank(*match.span())
    return found


def _take(page: Page, match: re.Match[str]) -> None:
    filler = _FILLER.search(page.left[: match.start()])
    tail = _TAIL.match(page.left[match.end() :])
    page.blank(
        filler.start() if filler else match.start(), match.end() + (tail.end() if tail else 0)
    )


def _value(text: str) -> Decimal | None:
    digits = text.replace(",", "")
    if re.fullmatch(r"\d+(?:\.\d+)?", digits):
        return Decimal(digits)
    whole = number(text)
    return None if whole is None else Decimal(whole)


def _amount(match: re.Match[str]) -> Decimal | None:
    value = _value(match["n1"] or match["n2"])
    factor = {"k": 1000, "千": 1000, "万": 10_000}
    scale = (match["k1"] or match["k2"] or "").lower()
    return value * factor.get(scale, 1) if value else None


def _currency(match: re.Match[str], language: str) -> str:
    said = (match["c1"] or match["c2"]).lower()
    code = next(code for code, pattern in _SYMBOLS if re.fullmatch(pattern, said, re.I))
    if code == "YEN_OR_YUAN":
        return "CNY" if language == "zh" else "JPY"
    return code


def _per(before: str, after: str) -> Per:
    near = before[-8:] + " " + after[:14]
    return next((per for per, pattern in _PERS if pattern.search(near)), "total")
