"""The least and the most a person wants to spend, from their own words, or nothing.

A party of four, a size or a date never becomes a price: without a currency, a money word or a
limit in front of a bare number, there is no budget. Amounts are exact; nothing is converted.
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from graphs.currencies import AFTER, BEFORE, END, code_of
from graphs.numerals import NUMBER_ZH, WORDS_EN, Page, number
from integrations.money import Money, MoneyError, exponent

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
        scaled = (self.amount * times).scaleb(exponent(self.currency))
        if scaled != scaled.to_integral_value():
            return None
        try:
            return Money(int(scaled), self.currency)
        except MoneyError:
            return None


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the most that was said; None where nothing was."""

    floor: Budget | None = None
    ceiling: Budget | None = None


# Digits with either sign for thousands and decimals: 1,200.50 and 1.200,50.
_PLAIN = (
    r"(?<![\d.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?"
    r"|\d{1,9}(?:[.,]\d{1,2})?)(?!\d)"
)
_THOUSAND = r"(?:\s?(?P<k{0}>k|千|万)(?![a-z]))?"
_NUMBER = rf"(?:{_PLAIN}|{WORDS_EN}|{NUMBER_ZH})"
_SUM = (
    rf"(?:(?P<c1>{BEFORE})\s?(?P<n1>{_PLAIN}){_THOUSAND.format(1)}(?:元|块钱?)?"
    # 'one knife' is said as 'one buck' would be; larger numbers of knives have a measure word.
    rf"|(?![一二两三四五六七八九]刀)(?P<n2>{_NUMBER}){_THOUSAND.format(2)}\+?\s?-?"
    rf"(?P<c2>{AFTER}){END})"
)
_UPPER_EN = (
    r"(?:under|below|(?<!no )(?<!not )less than|no more than|not more than|at most|up to"
    r"|max(?:imum)?(?: of)?|within|(?<!no )(?<!not )cheaper than|not over|no higher than"
    r"|budget(?: is| of|:)?|spend(?:ing)?(?: up to)?|<=?)"
)
_UPPER_ZH = (
    r"(?:不超过|最多|最高|不高于|(?<![不别要能])(?:低于|少于|小于)|预算(?:是|为|大概|大约|在)?"
    r"|控制在|別超过|别超过)"
)
_UPPER_ZH_AFTER = r"(?:以内|之内|以下|内|封顶|预算)"
_LOWER = (
    r"(?:\b(?:over|above|more than|at least|from|starting (?:at|from)|(?:no|not) less than"
    r"|(?:no|not|nothing) (?:cheaper than|under|below)|minimum(?: of)?|upwards of)|>=?"
    r"|超过|高于|多于|大于|至少|最少|最低|起码|[不别][要能]?(?:低于|少于|小于))"
)
_LOWER_BEFORE = re.compile(rf"{_LOWER}\s*$", re.IGNORECASE)
_LOWER_TAIL = (
    r"(?:以上|起步|起(?![来床飞])|往上|\+|or (?:more|above|higher)|and (?:up|above)|minimum)"
)
_LOWER_AFTER = re.compile(rf"^\s*{_LOWER_TAIL}", re.IGNORECASE)
# 'I do not want to pay more than', 'nothing over', 不想花超过: a floor that is denied is a ceiling.
_DENIED = re.compile(
    r"(?:(?:\b(?:not|no|never|nothing|without|cannot|dont)|n't)(?: (?:want|wanna|like|need|to|go"
    r"|going|spend|spending|pay|paying|be|is|cost|costs|costing|priced|anything|any|something|one"
    r"|that|which|it|for|much|at|all)){0,6}\s*|[不别没勿][^\s,，。;；!！?？]{0,3})$",
    re.IGNORECASE,
)
_TOO_MUCH = re.compile(
    r"^[^,.;!?，。；！？]{0,8}(?:too (?:much|expensive|dear|pricey)|太贵|不要|不行|不考虑|免谈)",
    re.IGNORECASE,
)
_RANGE = re.compile(
    rf"(?:(?P<both>\bbetween|{_LOWER}|介于|在|从)\s*)?(?:(?P<c0>{BEFORE})\s?)?"
    rf"(?P<low>{_PLAIN}|{NUMBER_ZH}|(?(both){WORDS_EN}|(?!))){_THOUSAND.format(0)}"
    rf"\s?(?:{AFTER})?\s?(?:-|to|~|到|至|(?(both)(?:and|but|和|与),?|(?!)))\s?"
    rf"(?:(?:{_UPPER_EN}|{_UPPER_ZH})\s?)?{_SUM}",
    re.IGNORECASE,
)
_EXACT = re.compile(_SUM, re.IGNORECASE)
_AFTER_LIMIT = (
    r"(?=\s*(?:$|[,.!?;，。！？；\x1f]|for\b|please\b|with\b|that\b|and\b|or\b|in\b|each\b|per\b|a\b|"
    r"total\b|if\b|i\b|的|左右|请))"
)
_BARE_LOW = rf"(?:{_PLAIN}\s?(?:-|to|~|到|至)\s?)?"
_BARE = re.compile(
    rf"(?:\b{_UPPER_EN}|{_UPPER_ZH})\s*{_BARE_LOW}(?P<n>{_PLAIN}|{NUMBER_ZH}){_AFTER_LIMIT}"
    rf"|{_BARE_LOW}(?P<z>{_PLAIN}|{NUMBER_ZH}){_UPPER_ZH_AFTER}",
    re.IGNORECASE,
)
_PERS: tuple[tuple[Per, re.Pattern[str]], ...] = (
    ("night", re.compile(r"\b(?:per|a|each|every|/) ?night|nightly|每晚|一晚|每夜|每天", re.I)),
    ("person", re.compile(r"\b(?:per|a|each) (?:person|head)|人均|每人|每位|一个人", re.I)),
    ("unit", re.compile(r"\beach\b|\bapiece\b|\bper (?:piece|item|unit)\b|每个|每件|单价", re.I)),
)
_CARD = re.compile(r"^\s*(?:gift ?cards?|vouchers?|礼品卡|代金券)", re.IGNORECASE)
_FILLER = re.compile(
    rf"(?:\bfor\s+)?(?:(?:{_LOWER}|{_UPPER_EN}|{_UPPER_ZH}|about|around|roughly|大概|大约|差不多"
    r"|[不别](?:想|要|能|会|得|可以)?(?:花|付|出|买|看)?)\s*){1,3}$",
    re.IGNORECASE,
)
_TAIL = re.compile(
    rf"^\s*(?:{_UPPER_ZH_AFTER}|{_LOWER_TAIL}|之间|左右|上下|or less|or under|max(?:imum)?|tops)",
    re.IGNORECASE,
)


def budget(page: Page, *, language: Literal["en", "zh"]) -> Budget | None:
    """The upper limit alone: what a person would spend at most."""
    return limits(page, language=language).ceiling


def limits(page: Page, *, language: Literal["en", "zh"]) -> Limits:
    """The limits that were said; every sum in the message is taken.

    A sum by itself is the most; after 'over' or before 以上 it is the least, and 'between' gives
    both. Of several the last counts.
    """
    found = Limits()
    for pattern in (_RANGE, _EXACT):
        while match := pattern.search(page.left):
            before, after = page.text[: match.start()], page.text[match.end() :]
            if _CARD.match(after):  # a $50 gift card is the thing itself
                return found
            _take(page, match)
            amount = _amount(match)
            if amount is None:
                continue
            said = Budget(amount, _currency(match, language), _per(before, after))
            if pattern is _RANGE:
                low = _low(match, amount)
                found = Limits(replace(said, amount=low) if low else found.floor, said)
            elif _is_floor(before, match[0], after):
                found = replace(found, floor=said)
            else:
                found = replace(found, ceiling=said)
    if found.ceiling is None and (match := _BARE.search(page.left)):
        value = _value(match["n"] or match["z"])
        if value:
            per = _per("", page.text[match.end() :])
            found = replace(found, ceiling=Budget(value, None, per))
            page.blank(*match.span())
    return found


def _is_floor(before: str, said: str, after: str) -> bool:
    if _TOO_MUCH.match(after):
        return False
    if lower := _LOWER_BEFORE.search(before):
        return not _DENIED.search(before[: lower.start()])
    return bool(_LOWER_AFTER.match(after) or "+" in said) and not _DENIED.search(before)


def _take(page: Page, match: re.Match[str]) -> None:
    filler = _FILLER.search(page.left[: match.start()])
    tail = _TAIL.match(page.left[match.end() :])
    page.blank(
        filler.start() if filler else match.start(), match.end() + (tail.end() if tail else 0)
    )


_DIGITS = re.compile(r"(\d{1,3}(?:[.,]\d{3})+|\d+)(?:[.,](\d{1,2}))?")
_SCALES = {"k": 1000, "千": 1000, "万": 10_000}


def _value(text: str) -> Decimal | None:
    if digits := _DIGITS.fullmatch(text):
        whole = re.sub(r"\D", "", digits[1])
        return Decimal(f"{whole}.{digits[2]}" if digits[2] else whole)
    spelt = number(text)
    return None if spelt is None else Decimal(spelt)


def _amount(match: re.Match[str]) -> Decimal | None:
    value = _value(match["n1"] or match["n2"])
    return value * _scale(match["k1"] or match["k2"]) if value else None


def _low(match: re.Match[str], most: Decimal) -> Decimal | None:
    """The lower end of a range. Of '1-2k' it is a thousand too."""
    value = _value(match["low"]) or Decimal(0)
    scaled = value * _scale(match["k0"] or match["k1"] or match["k2"])
    low = scaled if match["k0"] or scaled < most else value
    return low if 0 < low < most else None


def _scale(said: str | None) -> int:
    return _SCALES.get((said or "").lower(), 1)


def _currency(match: re.Match[str], language: Literal["en", "zh"]) -> str:
    return code_of(match["c1"] or match["c2"], language=language)


def _per(before: str, after: str) -> Per:
    near = before[-8:] + " " + after[:14]
    return next((per for per, pattern in _PERS if pattern.search(near)), "total")
