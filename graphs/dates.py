"""Calendar days in a message, English and Chinese, settled from the person's own words.

By hand, after a comparison on 32 phrases in a sentence (dateparser, recognizers-text, ctparse,
ChineseTimeNLP, JioNLP): search in free text took 'two' of 'for two tomorrow' for a day, an hour
or a minute in every library that speaks English, and none got 下下周一 right.

Weeks run from Monday to Sunday. A bare weekday is the next one after today; 'next Friday' is the
one of next week. A day without a year is the next such day. All are said back before consent.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from graphs.numerals import NUMBER_EN, NUMBER_ZH, Page, number


@dataclass(frozen=True, slots=True)
class Day:
    """A day that was said. `until` is the day a range ends (check-out); `at` is its position."""

    day: date
    at: int
    until: date | None = None


_MONTHS = (
    "jan(?:uary)?",
    "feb(?:ruary)?",
    "mar(?:ch)?",
    "apr(?:il)?",
    "may",
    "june?",
    "july?",
    "aug(?:ust)?",
    "sep(?:t(?:ember)?)?",
    "oct(?:ober)?",
    "nov(?:ember)?",
    "dec(?:ember)?",
)
_MONTH = rf"(?:{'|'.join(_MONTHS)})\.?"
_WEEKDAYS = (
    "monday",
    "tuesday|tues",
    "wednesday|weds|wednsday|wensday",
    "thursday|thurs|thur|thrusday",
    "friday|fri",
    "saturday|saterday|satuday",
    "sunday",
)
_WEEKDAY = "(?:" + "|".join(_WEEKDAYS) + ")"
_SHORT_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_ORDINAL = r"(?:st|nd|rd|th)"
_TO = r"\s*(?:-|to|till|until|through|thru)\s*(?:the\s+)?"
_YEAR = r"(?:,?\s*(?P<y>20\d\d))?"

_NOT_EN = re.compile(r"(?:\bnot(?: on)?|instead of|rather than|isn't)\s*$")
_NOT_ZH = re.compile(r"(?:不是|不要|不在|而不是)$")


def days(page: Page, *, today: date) -> list[Day]:
    """Every day in the message in the order it stands there; their spans are taken.

    A day that is denied ('not Friday', '不是周五') is taken and left out.
    """
    found: list[Day] = []
    for pattern, resolve in _RULES:
        while match := pattern.search(page.left):
            before = page.text[: match.start()]
            page.blank(*match.span())
            denied = _NOT_EN.search(before.lower()) or _NOT_ZH.search(before)
            day = None if denied else resolve(match, today)
            if day:
                found.append(Day(day[0], match.start(), day[1]))
    return sorted(found, key=lambda d: d.at)


_Found = tuple[date, date | None] | None
_Resolver = Callable[[re.Match[str], date], _Found]


def _one(day: date | None) -> _Found:
    return (day, None) if day else None


def _make(year: int, month: int, day: int) -> date | None:
    if not (1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return None
    return date(year, month, day)


def _yearless(month: int, day: int, today: date) -> date | None:
    """The next such day: this year's if it is still to come, else the next year that has one."""
    for year in range(today.year, today.year + 9):
        candidate = _make(year, month, day)
        if candidate and candidate >= today:
            return candidate
    return None


def _dated(year: str | None, month: int, day: int, today: date) -> date | None:
    return _make(int(year), month, day) if year else _yearless(month, day, today)


def _span(start: date | None, end: date | None) -> _Found:
    if start is None:
        return None
    return (start, end if end and end > start else None)


def _month_number(name: str) -> int:
    name = name.lower().rstrip(".")
    return next(i for i, m in enumerate(_MONTHS, 1) if re.fullmatch(m, name))


def _weekday_number(name: str) -> int:
    name = name.lower()
    if name[:3] in _SHORT_DAYS:
        return _SHORT_DAYS.index(name[:3])
    return next(i for i, names in enumerate(_WEEKDAYS) if name in names.split("|"))


def in_months(day: date, months: int) -> date:
    """The same day `months` later, or the last day of a shorter month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _upcoming(weekday: int, today: date) -> date:
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def _in_week(weekday: int, weeks: int, today: date) -> date:
    """The weekday of this (0) or a later week; this week's past days mean next week's."""
    monday = today - timedelta(days=today.weekday())
    day = monday + timedelta(weeks=weeks, days=weekday)
    return day if day >= today else day + timedelta(weeks=1)


def _weekend(weeks: int, today: date) -> date:
    return today if weeks == 0 and today.weekday() == 6 else _in_week(5, weeks, today)


def _of_month(day: int, months: int, today: date) -> date | None:
    first = in_months(today.replace(day=1), months)
    return _make(first.year, first.month, day)


def _coming_day(day: int, today: date) -> date | None:
    """'the 7th': of this month if still to come, else of the next month that has such a day."""
    for months in range(4):
        candidate = _of_month(day, months, today)
        if candidate and candidate >= today:
            return candidate
    return None


# --- English ------------------------------------------------------------------------------------


def _iso(m: re.Match[str], _today: date) -> _Found:
    return _one(_make(int(m["y"]), int(m["m"]), int(m["d"])))


def _month_day(m: re.Match[str], today: date) -> _Found:
    month = _month_number(m["m"])
    start = _dated(m["y"], month, int(m["d"]), today)
    if start is None or not m["e"]:
        return _one(start)
    until_month = _month_number(m["m2"]) if m["m2"] else month
    year = start.year + (until_month < start.month)
    return _span(start, _make(year, until_month, int(m["e"])))


def _slashed(m: re.Match[str], today: date) -> _Found:
    a, b = int(m["a"]), int(m["b"])
    month, day = (b, a) if a > 12 else (a, b)
    year = m["y"]
    if year and len(year) == 2:
        year = f"20{year}"
    return _one(_dated(year, month, day, today))


def _day_of_month(m: re.Match[str], today: date) -> _Found:
    return _one(_of_month(int(m["d"]), 1 if m["w"].lower() == "next" else 0, today))


def _the_nth(m: re.Match[str], today: date) -> _Found:
    start = _coming_day(int(m["d"]), today)
    if start is None or not m["e"]:
        return _one(start)
    return _span(start, _make(start.year, start.month, int(m["e"])))


def _ahead(m: re.Match[str], today: date) -> _Found:
    words = m["n"].lower()
    amount = 1 if words in {"a", "an"} else number(words)
    if not amount or amount > 400:
        return None
    unit = m["u"].lower()
    if unit.startswith("month"):
        return _one(in_months(today, amount))
    days_each = 7 if unit.startswith("week") else 14 if unit.startswith("fort") else 1
    return _one(today + timedelta(days=amount * days_each))


def _weekday(m: re.Match[str], today: date) -> _Found:
    """Groups: w the weekday; p a word before it; s what follows or precedes about the week."""
    groups = m.groupdict()
    weekday = _weekday_number(groups["w"])
    before, week = (groups.get("p") or "").lower(), (groups.get("s") or "").lower()
    if "after next" in week:
        return _one(_in_week(weekday, 2, today))
    if "next" in before or "next" in week or "following" in before:
        return _one(_in_week(weekday, 1, today))
    if "this" in before or "this" in week:
        return _one(_in_week(weekday, 0, today))
    start = _upcoming(weekday, today)
    until = groups.get("u")
    if not until:
        return _one(start)
    return (start, _upcoming(_weekday_number(until), start))


_FIXED_EN: dict[str, Callable[[date], date | None]] = {
    r"(?:the )?day after (?:tomorrow|tomorow|tommorow|tommorrow)": lambda t: t + timedelta(days=2),
    r"tomorrow|tommorow|tomorow|tommorrow|tmrw?|2morrow": lambda t: t + timedelta(days=1),
    r"today|tonight|tonite|this (?:evening|morning|afternoon)": lambda t: t,
    r"yesterday|last night": lambda t: t - timedelta(days=1),
    r"next weekend": lambda t: _weekend(1, t),
    r"(?:(?:this|the|coming|on the) )?weekend": lambda t: _weekend(0, t),
    r"christmas eve": lambda t: _yearless(12, 24, t),
    r"christmas(?: day)?": lambda t: _yearless(12, 25, t),
    r"new year'?s eve": lambda t: _yearless(12, 31, t),
    r"new year'?s(?: day)?": lambda t: _yearless(1, 1, t),
    r"valentine'?s(?: day)?": lambda t: _yearless(2, 14, t),
    r"halloween": lambda t: _yearless(10, 31, t),
}


def _fixed(table: dict[str, Callable[[date], date | None]]) -> _Resolver:
    def resolve(m: re.Match[str], today: date) -> _Found:
        said = m[0].lower()
        return _one(next(f(today) for key, f in table.items() if re.fullmatch(key, said)))

    return resolve


# --- Chinese ------------------------------------------------------------------------------------


def _zh(text: str) -> int:
    value = number(text)
    return value if value is not None else 0


def _zh_year(word: str | None, today: date) -> str | None:
    offsets = {"今年": 0, "明年": 1, "后年": 2}
    if not word:
        return None
    return str(today.year + offsets[word] if word in offsets else _zh(word.rstrip("年")))


def _zh_month_day(m: re.Match[str], today: date) -> _Found:
    start = _dated(_zh_year(m["y"], today), _zh(m["m"]), _zh(m["d"]), today)
    if start is None or not m["e"]:
        return _one(start)
    month = _zh(m["m2"]) if m["m2"] else start.month
    return _span(start, _make(start.year + (month < start.month), month, _zh(m["e"])))


def _zh_of_month(m: re.Match[str], today: date) -> _Found:
    day = _zh(m["d"])
    named, following = m["w"], "下" in (m["w"] or "")
    start = _of_month(day, int(following), today) if named else _coming_day(day, today)
    if start is None or not m["e"]:
        return _one(start)
    return _span(start, _make(start.year, start.month, _zh(m["e"])))


def _zh_weekday(m: re.Match[str], today: date) -> _Found:
    named, before = m["w"], m["p"] or ""
    weeks = before.count("下")
    if named == "末":
        return _one(_weekend(weeks, today))
    weekday = 6 if named in "日天7" else _zh(named) - 1
    if weeks:
        return _one(_in_week(weekday, weeks, today))
    return _one(_in_week(weekday, 0, today) if before else _upcoming(weekday, today))


def _zh_ahead(m: re.Match[str], today: date) -> _Found:
    amount = _zh(m["n"])
    if not 0 < amount <= 400:
        return None
    if "月" in m["u"]:
        return _one(in_months(today, amount))
    return _one(today + timedelta(days=amount * (1 if m["u"] in "天日" else 7)))


_FIXED_ZH: dict[str, Callable[[date], date | None]] = {
    "大后天": lambda t: t + timedelta(days=3),
    "后天|后晚": lambda t: t + timedelta(days=2),
    "明天|明日|明晚|明早|明儿": lambda t: t + timedelta(days=1),
    "今天|今日|今晚|今早|今儿|今夜": lambda t: t,
    "昨天|昨晚": lambda t: t - timedelta(days=1),
    "平安夜": lambda t: _yearless(12, 24, t),
    "圣诞节?": lambda t: _yearless(12, 25, t),
    "跨年夜": lambda t: _yearless(12, 31, t),
    "元旦": lambda t: _yearless(1, 1, t),
    "情人节": lambda t: _yearless(2, 14, t),
    "国庆节?": lambda t: _yearless(10, 1, t),
}


def _keys(table: dict[str, Callable[[date], date | None]]) -> str:
    return "|".join(f"(?:{key})" for key in table)


_ZH_TO = r"\s*(?:到|至|-|~)\s*"
_STOP = r"(?=\s*(?:$|[,.!?;\x1f]|(?:at|for|in|of|to|until|till|please|and|from|with|if)\b))"

_RULES: tuple[tuple[re.Pattern[str], _Resolver], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), resolve)
    for pattern, resolve in (
        (r"(?<!\d)(?P<y>20\d\d)[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)", _iso),
        (
            rf"\b(?P<m>{_MONTH})\s*(?:the\s+)?(?P<d>\d{{1,2}}){_ORDINAL}?(?!\d|:)"
            rf"(?:{_TO}(?:(?P<m2>{_MONTH})\s*)?(?P<e>\d{{1,2}}){_ORDINAL}?(?!\d|:"
            rf"|\s*[ap]m))?{_YEAR}",
            _month_day,
        ),
        (
            rf"\b(?P<d>\d{{1,2}}){_ORDINAL}?(?:{_TO}(?P<e>\d{{1,2}}){_ORDINAL}?)?"
            rf"\s*(?:of\s+)?(?P<m>{_MONTH})\b(?P<m2>){_YEAR}",
            _month_day,
        ),
        (rf"\b(?:the\s+)?(?P<d>\d{{1,2}}){_ORDINAL}? of (?P<w>this|next) month", _day_of_month),
        (rf"\b(?P<w>this|next) month,? on the (?P<d>\d{{1,2}}){_ORDINAL}?", _day_of_month),
        (r"(?<![\d/])(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<y>20\d\d|\d\d))?(?![\d/])", _slashed),
        (
            rf"\b(?:(?:on|for|from|until|till|by) the|the|on)\s+(?P<d>\d{{1,2}}){_ORDINAL}"
            rf"(?:{_TO}(?P<e>\d{{1,2}}){_ORDINAL})?{_STOP}",
            _the_nth,
        ),
        (
            rf"\bin (?P<n>{NUMBER_EN}|an?) (?P<u>days?|weeks?|months?|fortnights?)(?: time)?\b",
            _ahead,
        ),
        (
            rf"\b(?P<n>{NUMBER_EN}|an?) (?P<u>days?|weeks?|months?|fortnights?) "
            r"(?:from (?:now|today)|later)\b",
            _ahead,
        ),
        (
            rf"\b(?P<s>next week|this week)(?:'s)?,?(?: on)? (?P<w>{_WEEKDAY})\b",
            _weekday,
        ),
        (
            rf"\b(?:(?P<p>this|next|coming|the following) (?:coming )?)?(?P<w>{_WEEKDAY})\b,?"
            rf"(?P<s> (?:of )?(?:next week|this week|after next))?"
            rf"(?:{_TO}(?P<u>{_WEEKDAY})\b)?",
            _weekday,
        ),
        (rf"\b(?:(?P<p>this|next)|on) (?P<w>{'|'.join(_SHORT_DAYS)})\b", _weekday),
        (rf"\b(?:{_keys(_FIXED_EN)})\b", _fixed(_FIXED_EN)),
        (
            rf"(?P<y>今年|明年|后年|(?:20\d\d|二[零〇]二[零〇一二三四五六七八九])年)?"
            rf"(?P<m>{NUMBER_ZH})月(?:份)?(?P<d>{NUMBER_ZH})[日号]?"
            rf"(?:{_ZH_TO}(?:(?P<m2>{NUMBER_ZH})月)?(?P<e>{NUMBER_ZH})[日号](?!楼))?",
            _zh_month_day,
        ),
        (
            rf"(?P<w>这个月|本月|这月|下个月|下月)?(?:的)?(?P<d>{NUMBER_ZH})[号日](?![楼线店])"
            rf"(?:{_ZH_TO}(?P<e>{NUMBER_ZH})[号日])?",
            _zh_of_month,
        ),
        (rf"(?P<n>{NUMBER_ZH})个?(?P<u>天|日|周|星期|礼拜|月)(?:之|以)?后", _zh_ahead),
        (
            r"(?P<p>下下个?|下个?|这个?|本)?(?:周|星期|礼拜)(?P<w>[一二三四五六日天末1-7])"
            r"(?![0-9])",
            _zh_weekday,
        ),
        (rf"(?:{_keys(_FIXED_ZH)})", _fixed(_FIXED_ZH)),
    )
)
