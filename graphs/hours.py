"""The time of day in a message, English and Chinese, settled from the person's own words.

An hour without am or pm is settled by the meal or part of the day that was named; for a table
with nothing named it is the evening (7 is 19:00), and `assumed` makes the answer say so.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time

from graphs.numerals import Page, number


@dataclass(frozen=True, slots=True)
class Hour:
    """A time of day. `assumed`: the half of the day is our reading, so it must be said back."""

    time: time
    at: int
    assumed: bool = False


_Part = str  # "morning" | "noon" | "evening" | "night" | ""
_PARTS: tuple[tuple[re.Pattern[str], _Part], ...] = (
    (
        re.compile(
            r"\b(?:breakfast|morning|brunch)\b|凌晨|早上|早晨|上午|清晨|早餐|[今明]早", re.I
        ),
        "morning",
    ),
    (re.compile(r"\b(?:lunch(?:time)?|midday|noon)\b|中午|正午|午饭|午餐", re.I), "noon"),
    (
        re.compile(
            r"\b(?:dinner|supper|evening|tonight|tonite|night|afternoon|drinks)\b"
            r"|下午|傍晚|晚上|今晚|明晚|后晚|晚饭|晚餐|夜里|夜宵|晚(?=[\d一二三四五六七八九十])",
            re.I,
        ),
        "evening",
    ),
)

_H = r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_MERIDIAN = r"(?P<m>[ap])\.?\s?m\b\.?"
_MINUTE_WORDS = r"five|ten|fifteen|twenty|twenty[- ]five|thirty|forty|forty[- ]five|fifty"
_H_ZH = r"(?:二?十[一二三四五六七八九]?|[一二两三四五六七八九])"
_LEAD = (
    r"(?:\b(?:at|by|around|about|from|after|before|till|until|to|evening|afternoon|morning|night"
    r"|tonight)|@)"
)

_NOT = re.compile(r"(?:\bnot(?: at)?|instead of|rather than|isn't|不是|不要)\s*$", re.IGNORECASE)
_CHANGE = re.compile(r"\b(?:move|change|switch|push|shift)\b|改|换|推迟|提前", re.IGNORECASE)


def hour(page: Page, *, dining: bool) -> Hour | None:
    """The time that was asked for, or None; every time in the message is taken.

    `dining`: an hour with nothing said about the half of the day means lunch (11, 12) or evening.
    With several, the first counts ('between 7 and 8'), or the last after a word of change.
    """
    part = _named_part(page.text)
    found: list[Hour] = []
    for pattern, read in _RULES:
        while match := pattern.search(page.left):
            before = page.text[: match.start()]
            page.blank(*match.span())
            said = read(match)
            if said is None or _NOT.search(before):
                continue
            settled = _settle(*said, part=_near_part(page.text, match) or part, dining=dining)
            if settled:
                found.append(Hour(settled[0], match.start(), settled[1]))
    if not found:
        return None
    found.sort(key=lambda h: h.at)
    return found[-1] if _CHANGE.search(page.text) else found[0]


def _named_part(text: str) -> _Part:
    named = [part for pattern, part in _PARTS if pattern.search(text)]
    return named[0] if len(named) == 1 else ""


def _near_part(text: str, match: re.Match[str]) -> _Part:
    """The part of the day right before or after the hour: 早上七点, '8 in the evening'."""
    near = text[max(0, match.start() - 3) : match.end()] + text[match.end() : match.end() + 18]
    return _named_part(near)


_Said = tuple[int, int, str] | None  # hour, minute, meridian: "a", "p", "24" or ""


def _settle(
    hours: int, minutes: int, meridian: str, *, part: _Part, dining: bool
) -> tuple[time, bool] | None:
    if hours == 24 and minutes == 0 and meridian not in {"a", "p"}:
        hours, meridian = 0, "24"
    if hours == 0 and meridian == "p":
        return None
    if not (0 <= hours < 24 and 0 <= minutes < 60) or (meridian in {"a", "p"} and hours > 12):
        return None
    if meridian in {"a", "p"}:
        return time(hours % 12 + (12 if meridian == "p" else 0), minutes), False
    if meridian == "24" or hours > 12 or hours == 0:
        return time(hours, minutes), False
    if part == "morning":
        return time(hours, minutes), False
    if part == "noon":
        return time(hours if hours >= 10 else hours + 12, minutes), False
    if part == "evening":
        return time(hours + 12 if hours < 12 else 12, minutes), False
    if dining:
        return time(hours if hours >= 11 else hours + 12, minutes), True
    return time(hours, minutes), True


def _digits(m: re.Match[str]) -> _Said:
    groups = m.groupdict()
    return int(m["h"]), int(groups.get("n") or 0), (groups.get("m") or "").lower()


def _clock(m: re.Match[str]) -> _Said:
    exact = m["h"].startswith("0") or int(m["h"]) > 12
    return int(m["h"]), int(m["n"]), "24" if exact else ""


def _words(m: re.Match[str]) -> _Said:
    groups = m.groupdict()
    minutes = number(groups["n"].replace("-", " ")) if groups.get("n") else 0
    return number(m["h"]) or 0, minutes or 0, (groups.get("m") or "").lower()


def _past(m: re.Match[str]) -> _Said:
    fixed = {"half": 30, "quarter": 15, "a quarter": 15}
    said = m["n"].lower()
    minutes = fixed[said] if said in fixed else number(said) or 0
    hours = number(m["h"]) or 0
    meridian = (m["m"] or "").lower()
    if m["w"].lower() == "past":
        return hours, minutes, meridian
    return (hours - 1) or 12, 60 - minutes, meridian


def _noon(_m: re.Match[str]) -> _Said:
    return 12, 0, "24"


def _chinese(m: re.Match[str]) -> _Said:
    rest = m["r"] or ""
    quarters = {"半": 30, "一刻": 15, "三刻": 45, "整": 0, "钟": 0, "": 0}
    minutes = quarters[rest] if rest in quarters else number(rest.rstrip("分").lstrip("零过")) or 0
    hours = number(m["h"]) or 0
    return hours, minutes, "24" if hours > 12 else ""


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], _Said]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), read)
    for pattern, read in (
        (rf"(?<![\d$€£¥.])(?P<h>\d{{1,2}})[:.](?P<n>\d\d)\s*{_MERIDIAN}", _digits),
        (rf"(?<![\d$€£¥.:])(?P<h>\d{{1,2}})\s*(?:o['\"]?clock\s*)?{_MERIDIAN}", _digits),
        (r"(?<![\d$€£¥.])(?P<h>[01]?\d|2[0-3]):(?P<n>[0-5]\d)(?!\d)", _clock),
        (
            rf"\b(?P<n>half|a quarter|quarter|five|ten|twenty|twenty[- ]five|5|10|20|25)"
            rf"(?: minutes)? (?P<w>past|to) (?P<h>{_H}|\d{{1,2}})\b(?:\s*{_MERIDIAN})?",
            _past,
        ),
        (
            rf"\b(?P<n>half) (?P<h>{_H})\b(?P<w>past)?(?P<m>)",
            lambda m: (number(m["h"]) or 0, 30, ""),
        ),
        (rf"\b(?P<h>{_H})(?: (?P<n>{_MINUTE_WORDS}))?\s*{_MERIDIAN}", _words),
        (rf"\b(?P<h>{_H}|\d{{1,2}}) o['\"]?clock(?:\s*{_MERIDIAN})?", _words),
        (
            rf"\b(?P<h>{_H}|\d{{1,2}})"
            r"(?= (?:in the (?:morning|evening|afternoon)|at night|tonight)\b)",
            _words,
        ),
        (rf"(?<=\bat )(?P<h>{_H}) (?P<n>thirty|fifteen|forty[- ]five)\b", _words),
        (
            rf"{_LEAD}\s+(?P<h>\d{{1,2}})(?!\d|[./:]\d|[%-]|\s*(?:people|persons?|guests?|adults?"
            rf"|of us|"
            r"nights?|days?|weeks?|months?|friends|seats?|pax|ppl|rooms?|minutes|hours?|stars?|"
            r"dollars|euros|pounds|yuan|eur|usd|gbp|th\b|st\b|nd\b|rd\b|kids?|[$€£]))",
            _digits,
        ),
        (
            # 'make it three' is people; 'make it eight' is a time of day
            r"\bmake it (?P<h>[6-9]|1[0-2]|six|seven|eight|nine|ten|eleven|twelve)"
            r"(?=\s*(?:$|[,.!]|instead|please|\x1f))",
            _words,
        ),
        (
            rf"\b(?:at|by|around|about)\s+(?P<h>{_H})\b"
            r"(?!\s*(?:people|persons?|guests|adults|of us|nights?|rooms?|hundred|stars?|-))",
            _words,
        ),
        (r"\b(?:at |around )?(?:noon|midday)\b", _noon),
        (
            # the whole number, so that 25点 or 25:00 is refused: its 5 alone would be an hour
            rf"(?P<h>(?<!\d)\d{{1,3}}|{_H_ZH})(?:点钟?|时|:)(?!\d{{3}}|[多个人儿])(?P<r>半|一刻|三刻|整|"
            r"零?过?[一二三四五六七八九十\d]{1,3}分?(?![个人位号]))?",
            _chinese,
        ),
        (r"(?:正|中)午(?!\s*[\d一二两三四五六七八九十\x1f])", _noon),
    )
)
