"""Events and flights: goods of a day and a place. They are found like products, on their day.

A range of days (a weekend) is kept as first and last day, both included.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from graphs.dates import days
from graphs.names import CITIES_ZH, place
from graphs.numerals import NUMBER_EN, NUMBER_ZH, Page, number
from graphs.quantities import party, pieces
from graphs.state import Offer

EVENT = re.compile(
    r"\b(?:(?:movie|cinema|concert|event|theat(?:er|re)|opera|ballet|musical|festival|exhibition"
    r"|museum|game|match|show|comedy|jazz|circus) tickets?|tickets? (?:to|for)\b"
    r"|(?<!train )(?<!bus )(?<!plane )(?<!airline )tickets\b"
    r"|concerts?(?! (?:hall|guitar|grand|band|piano))|gigs?\b|opera(?! (?:glasses|house))|ballet"
    r"(?! (?:shoes?|slippers|flats))|musicals?|theat(?:er|re) (?:play|show|performance)"
    r"|(?:stand-?up|comedy) (?:show|night)"
    # An evening out where a town is named: "jazz in Berlin", "shows this weekend in Rome".
    r"|(?:music|jazz|theat(?:er|re)|comedy|cinema|shows?|events?)"
    r"(?= (?:(?:are|is) (?:there|on) )?(?:(?:tonight|tomorrow|this \w+|next \w+) )?"
    r"in (?-i:[A-ZÀ-Þ])))\b"
    r"|演唱会|音乐会|爵士|话剧|歌剧(?!院附近)|芭蕾|门票|演出票?|电影票|展览|马戏|脱口秀",
    re.IGNORECASE,
)
_FLY_ZH = rf"飞[往去到]?(?={CITIES_ZH.pattern})"
FLIGHT = re.compile(
    r"\b(?:flights?(?! (?:bag|case|jacket|simulator))|plane tickets?|airline tickets?"
    r"|fly(?:ing)? (?:to|from|me|us))\b|机票|航班|飞机票"
    rf"|{_FLY_ZH}",
    re.IGNORECASE,
)
_NAME = r"[A-Za-zÀ-ÿ][\w'’-]+(?: (?:York|City|Angeles|Francisco|Kong|Aires|Paulo|Lumpur|Delhi))?"
_NO_NAME = (
    r"(?!(?:the|a|an|me|us|book|buy|get|go|find|one|two|next|this|tomorrow|on|in|for|flights?|fly"
    r"|flying|tickets?|planes?|back|seats?)\b)"
)
_ROUTE = re.compile(
    rf"\bfrom {_NO_NAME}(?P<a>{_NAME}) (?:to|into) {_NO_NAME}(?P<b>{_NAME})"
    rf"|\bto {_NO_NAME}(?P<d>{_NAME})(?: from {_NO_NAME}(?P<c>{_NAME}))?"
    rf"|\b{_NO_NAME}(?P<e>{_NAME}) ?(?:-|–|→|to) ?{_NO_NAME}(?P<f>{_NAME})",
    re.IGNORECASE,
)
_HAN = r"[\u4e00-\u9fff]"
# What asks for a price, a ticket or a way is in no name: "多少钱一张去里斯本的机票".
_ASKING_ZH = r"[钱票价么哪怎吗呢想要坐们没]|多少|[一两几]张|便宜|最低|打算|准备|时候|全家"
_IN_NAME_ZH = rf"(?:(?!{_ASKING_ZH}){_HAN})"
_ROUTE_ZH = re.compile(
    # A name does not begin with what runs into it: "找一张柏林", "我查柏林".
    rf"[从由]?(?P<a>(?!张(?!家)|[从由订买号日天点早晚的找帮给我请想要看]|查(?!尔)|来(?!宾)"
    rf"|[一两二三四五六七八九十]张){_IN_NAME_ZH}{{2,4}}?)(?:直?飞往?|到|去|至)"
    rf"(?P<b>{_HAN}{{2,5}}?)(?=的|机票|航班|飞机|单程|往返|一?张|$|[,，。!！?？\s\x1f\d])"
    rf"|(?:飞往?|去|到)(?P<d>{_HAN}{{2,5}}?)(?=的|机票|航班|飞机)"
)
_WAY_ZH = re.compile(
    rf"({CITIES_ZH.pattern})\s*(?:[-–—→]+|直?飞往?|到|去|至|往|to)\s*({CITIES_ZH.pattern})"
)
_TICKETS = re.compile(
    rf"\b(?P<a>{NUMBER_EN})\s+(?:\w+\s+)?(?:tickets?|seats?)\b|(?P<b>{NUMBER_ZH})张", re.IGNORECASE
)
_WEEK = re.compile(
    r"\b(?:this|(?P<b>next)) week\b"
    r"|(?:[这本]|(?P<d>下))周(?![末一二三四五六日天])",
    re.IGNORECASE,
)
_WEEKEND = re.compile(r"\bweekend\b|周末", re.IGNORECASE)
_TIME_OF_DAY = re.compile(
    r"\b(?:in the )?(?:morning|afternoon|evening|night)\b|早上|上午|中午|下午|晚上|单程|one[- ]way",
    re.IGNORECASE,
)
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Outing:
    """What one message says of an event or a flight. None and '' mean: not said."""

    day: date | None = None
    until: date | None = None
    origin: str = ""
    place: str = ""
    count: int | None = None


def is_outing(text: str) -> bool:
    return EVENT.search(text) is not None or FLIGHT.search(text) is not None


def flies(words: str) -> bool | None:
    """Whether words of an outing speak of a flight; None where they speak of no outing."""
    return FLIGHT.search(words) is not None if is_outing(words) else None


def ticketed(words: str, text: str) -> str:
    """The words to search by: "我想飞巴黎" names no ticket, though it wants one."""
    if not re.search(_FLY_ZH, text) or FLIGHT.search(words):
        return words
    return " ".join(["机票", *words.removeprefix("飞").split()])


def names_way(text: str) -> bool:
    """'From Rome to Berlin': a flight of its own, whatever was shown before."""
    page = Page(text)
    return FLIGHT.search(page.text) is not None and all(_route(page))


def outing(page: Page, *, today: date) -> Outing:
    """The spans that it read are taken from the page."""
    found = days(page, today=today)
    first = found[0] if found else None
    day, until = (first.day, first.until) if first else (None, None)
    if day and not until and day.weekday() == SATURDAY and _WEEKEND.search(page.text):
        until = day + timedelta(days=1)
    if day is None and (week := page.take(_WEEK)):
        day, until = _week(today, ahead=bool(week["b"] or week["d"]))
    origin, target = _route(page) if FLIGHT.search(page.text) else ("", "")
    page.take(_TIME_OF_DAY)
    return Outing(day, until, origin, target or place(page), _count(page))


def _week(today: date, *, ahead: bool) -> tuple[date, date]:
    """From today, or next Monday, to the Sunday of that week."""
    sunday = today + timedelta(days=6 - today.weekday())
    return (sunday + timedelta(days=1), sunday + timedelta(days=7)) if ahead else (today, sunday)


def _count(page: Page) -> int | None:
    if match := _TICKETS.search(page.left):
        page.blank(*match.span("a" if match["a"] else 0))
        return number(match["a"] or match["b"]) or None
    return pieces(page) or party(page)


def _route(page: Page) -> tuple[str, str]:
    """(origin, target): the groups a, c, e and b, d, f of either pattern."""
    match = page.take(_ROUTE_ZH) or page.take(_ROUTE)
    said = match.groupdict() if match else {}
    ends = (next((said[n] for n in names if said.get(n)), "") for names in ("ace", "bdf"))
    return next(ends), next(ends)


def suits(
    offer: Offer,
    *,
    day: date | None = None,
    until: date | None = None,
    origin: str = "",
    place: str = "",
    words: str = "",
) -> bool:
    """Whether the offer's own row names the day, the place and the way that were asked for, and
    is a flight where `words` speak of one, and none where they speak of an event.

    A name in another script than the row's cannot be compared and rules nothing out.
    """
    told = offer.attributes
    if (flight := flies(words)) is not None and ("from" in told) != flight:
        return False
    if day is not None:
        at = told.get("date", "")
        if not day.isoformat() <= at <= (until or day).isoformat():
            return False
    if origin and place and _known(origin, offer) and _known(place, offer):
        if "from" in told and origin.isascii():
            return _same(told["from"], origin) and _same(told.get("to", ""), place)
        title = offer.title
        return -1 < _find(title, origin) < _find(title, place)
    if _turned(offer, origin=origin, place=place):
        return False
    return all(not n or not _known(n, offer) or _find(_row(offer), n) >= 0 for n in (origin, place))


def _turned(offer: Offer, *, origin: str, place: str) -> bool:
    """Whether a flight begins where it was to end, or ends where it was to begin.

    A row in two scripts tells its ends in one of them, its title in the other.
    """
    told = offer.attributes
    titled = _WAY_ZH.search(offer.title) if "from" in told else None
    ways = [(told.get("from", ""), told.get("to", "")), titled.groups() if titled else ("", "")]
    return any(
        name and _same(wrong, name) and not _same(right, name)
        for begins, ends in ways
        for name, right, wrong in ((origin, begins, ends), (place, ends, begins))
    )


def other_days(
    offers: Sequence[Offer], day: date | None, *, origin: str, place: str, words: str, fits: bool
) -> list[Offer]:
    """The same way or place on other days, the nearest day first. All of the kind where there is
    none of that way, unless something `fits` already: who flies to London is not shown Tokyo.
    Of a way whose both ends are named only the way back is worth a word, and called so."""
    kind = [o for o in offers if suits(o, words=words)]
    same = [o for o in kind if suits(o, origin=origin, place=place)]
    back = [o for o in kind if suits(o, origin=place, place=origin)]
    found = same if same or fits else back if origin and place and flies(words) else kind
    return sorted(found, key=lambda o: _apart(o.attributes.get("date", ""), day)) if day else found


def _apart(told: str, day: date) -> int:
    try:
        return abs((date.fromisoformat(told) - day).days)
    except ValueError:
        return 10_000  # without a day of its own it comes last


def _row(offer: Offer) -> str:
    return " ".join([offer.title, *offer.attributes.values()])


def _find(text: str, name: str) -> int:
    return text.lower().find(name.lower())


def _same(told: str, said: str) -> bool:
    return _find(told, said) >= 0 or _find(said, told) >= 0 if told else False


def _known(name: str, offer: Offer) -> bool:
    """Whether the row is written in the script of the name."""
    han = any("\u4e00" <= c <= "\u9fff" for c in name)
    return han == any("\u4e00" <= c <= "\u9fff" for c in offer.title)
