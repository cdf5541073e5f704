"""The facts of one message alone: day, hour, people, pieces, place, limit and the words left over.

Every value comes from a span of the message, and a span fills one slot.
"""

import re
from dataclasses import replace
from datetime import date
from typing import Any, Literal

from graphs import vocabulary
from graphs.budgets import limits
from graphs.dates import days
from graphs.hours import hour
from graphs.memory import Draft, Fact, Memory, Vertical
from graphs.names import place, words
from graphs.numerals import NUMBER_EN, NUMBER_ZH, Page
from graphs.occasions import implied, who
from graphs.outings import is_outing, outing, ticketed
from graphs.quantities import alone, nights, no_count, party, pieces, rooms
from graphs.things import things

Language = Literal["en", "zh"]


def facts(
    page: Page,
    vertical: Vertical | None,
    *,
    today: date,
    language: Language,
    memory: Memory,
) -> Draft:
    """The facts of one message alone. Readers run from the surest span to the loosest.

    Of `memory` only the question that stands and the kind of the wish count: where it is an event
    or a flight, days and places belong to it.
    """
    asked, before = memory.asked, memory.draft
    going = before.vertical == "product" and bool(before.day or before.origin)
    said = limits(page, language=language)
    cheapest = page.take(vocabulary.CHEAPEST) is not None
    if vertical == "product" and (going or is_outing(page.text)):
        found = outing(page, today=today)
        draft = Draft(day=found.day, until=found.until, origin=found.origin, quantity=found.count)
        draft = replace(draft, place=found.place)
        page.take(_TICKET)  # '音乐会门票' is found by the concert
    elif vertical == "product":
        no_count(page)  # asked for elsewhere; here it must not stick to the thing
        also = _more_things(page)
        count = pieces(page) or (alone(page) if asked in {"", "quantity"} else None)
        draft = Draft(quantity=count, also=also)
    else:
        draft = _booking_facts(page, vertical, today=today, asked=asked)
    cuisine = _cuisine(page) if vertical == "table" else ""
    gift = vertical == "product" and vocabulary.GIFT.search(page.text) is not None
    needed = implied(page.text) if vertical == "product" else ""
    spot = place(page) if vertical in {"table", "room"} else draft.place
    named = words(page, vertical)
    if vertical == "product":
        named = ticketed(named, page.text)
    return replace(
        draft,
        budget=said.ceiling,
        floor=said.floor,
        cheapest=cheapest,
        cuisine=cuisine,
        place=spot,
        words=needed or named,
        vague=bool(needed) or _vague(page.text, vertical),
        whom=who(page.text) if gift or needed else "",
    )


def _more_things(page: Page) -> tuple[tuple[str, int], ...]:
    """The things after the first one, with their counts; the page keeps the first alone."""
    first, *others = things(page.left)
    if not others:
        return ()
    start, end = page.left.find(first), len(page.left)
    page.blank(0, start)
    page.blank(start + len(first), end)
    more = []
    for part in map(Page, others):
        count = pieces(part) or 1
        if named := words(part, "product"):
            more.append((named, count))
    return tuple(more)


def _booking_facts(page: Page, vertical: Vertical | None, *, today: date, asked: Fact) -> Draft:
    single = alone(page) if asked in {"party", "nights"} else None
    count = rooms(page) if vertical == "room" else None
    found = days(page, today=today)
    page.take(_NO_PARTY)
    at = hour(page, dining=vertical != "room")
    length = nights(page) if vertical in {"room", None} else None
    people = None if _MORE.search(page.left) else party(page)
    day, until = _stay(found, page.text) if vertical == "room" else _sitting(found, page.text)
    if vertical == "room" and day and until and until > day:
        length = (until - day).days
    if single:
        people, length = (single, length) if asked == "party" else (people, single)
    return Draft(
        day=day,
        until=until,
        hour=at.time if at else None,
        assumed=at.assumed if at else False,
        party=people,
        nights=length,
        quantity=count,
    )


_TICKET = re.compile(r"(?<=[会剧唱展览秀赛节戏蕾])的?(?:门|演出)?票")
_MORE = re.compile(r"\bmore (?:people|persons?|guests?|friends?)\b|再加|多加|多来", re.IGNORECASE)
# Taken before anyone reads it, so that "-3 people" is asked about and not read as 3. A dash counts
# as a sign only where nothing else can: "7pm -3 people" is a list. "For 7.15pm" is an hour.
_HEADS = r"(?:people|persons?|guests?|diners?|adults?|pax|ppl|of us)\b"
_NO_PARTY = re.compile(
    rf"(?:^|\b(?:for|of|with|it) )(?:just |only |about )?-\d+(?:[.,]\d+)?\b(?:\s*{_HEADS})?"
    rf"|\b(?:minus|negative) {NUMBER_EN}\b(?:\s*{_HEADS})?"
    rf"|(?<![\d.,])\d+[.,]\d+[ -]?{_HEADS}|\b{NUMBER_EN} and a half {_HEADS}"
    r"|\b(?:for|of) (?:just |only |about )?\d+\.\d+(?![.\d]*\d|\s*[ap]\.?m\b)"
    rf"|(?:负|(?:^|[订给为要共])-){NUMBER_ZH}个?[人位]|(?<![\d.])\d+\.\d+个?[人位]",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:move|change|switch|instead|actually|rather)\b|改|换|还是", re.IGNORECASE
)
_LEAVING = re.compile(
    r"(?:check(?:ing)?[- ]?out|leav(?:e|ing)|until|till|depart\w*|to)\s*(?:is|on"
    r"|date)?\s*(?:the)?\s*$"
    r"|(?:退房|离开|到|至)\s*(?:是|在)?\s*$",
    re.IGNORECASE,
)


def _sitting(found: list[Any], text: str) -> tuple[date | None, date | None]:
    """One day: the first that was said, or the last after a word of change."""
    if not found:
        return None, None
    return (found[-1] if _CHANGE.search(text) else found[0]).day, None


def _stay(found: list[Any], text: str) -> tuple[date | None, date | None]:
    """Arrival and departure. A lone day after 'check out' or 'until' is the departure."""
    if not found:
        return None, None
    first = found[0]
    if first.until:
        return first.day, first.until
    if len(found) == 1:
        before, after = text[: first.at], text[first.at :]
        leaving = _LEAVING.search(before) or re.search(r"^\S{0,8}(?:退房|离开)", after)
        return (None, first.day) if leaving else (first.day, None)
    last = found[-1]
    if _CHANGE.search(text) or last.day <= first.day:
        return last.day, None
    return first.day, last.day


def _cuisine(page: Page) -> str:
    for name, pattern in vocabulary.CUISINES:
        if pattern.search(page.left):
            return name
    return ""


def _vague(text: str, vertical: Vertical | None) -> bool:
    """Too open to settle on one thing: a gift, something, a plural without a number."""
    if vertical != "product":
        return False
    if vocabulary.GOODS_FOR_GIFT.search(text):
        return False
    return vocabulary.VAGUE.search(text) is not None
