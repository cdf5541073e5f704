"""How many: people at a table, nights, pieces of a thing, rooms. English and Chinese.

The quantity is the person's alone. A number that belongs to the thing itself ('two-person tent',
'12-pack', '双人帐篷', '10 inch') is never a quantity, and one number fills one slot.
"""

import re

from graphs.numerals import DOZENS_EN, NUMBER_EN, NUMBER_ZH, Page, number

_PEOPLE = (
    r"(?:people|persons?|guests?|diners?|adults?|pax|ppl|of us|heads?|friends|seats?|folks"
    r"|travell?ers?|colleagues|ladies|guys|peeps)"
)
_ZH_PEOPLE = r"(?:个大人|个人|位客人|位|人|名|个朋友|个成人|口)"
_FAMILY = re.compile(r"一家([三四五六七八]|\d)口")
_ZH_SIZES = re.compile(r"([一二两三四五六])大([一二两三四五六])小")
_PARTY = re.compile(
    rf"\b(?:party|group|family|table|reservation|booking|total|us) (?:of|for) (?P<a>{NUMBER_EN})\b"
    rf"|\b(?P<b>{NUMBER_EN})[ -]?{_PEOPLE}\b"
    r"|\b(?:we are|we're|we will be|we'll be|there are|there will be|there'll be) "
    rf"(?P<c>{NUMBER_EN})"
    r"\b(?! (?:rooms?|nights?))"
    rf"|(?P<d>{NUMBER_ZH}){_ZH_PEOPLE}(?!民|气|均)"
    rf"|我们(?:一共|总共|有)?(?P<e>{NUMBER_ZH})个(?!房|晚)",
    re.IGNORECASE,
)
_FOR_N = re.compile(
    rf"\bfor (?:just |only |about )?(?P<a>{NUMBER_EN})"
    r"(?=\s*(?:$|[,.!?;\x1f]|at\b|on\b|in\b|for\b|and\b|please\b|tomorrow\b|tonight\b|this\b"
    r"|next\b|"
    r"near\b|around\b|under\b|with\b|to\b|from\b|by\b|instead\b|today\b|would\b|maybe\b|or\b))",
    re.IGNORECASE,
)
_CHILDREN = re.compile(
    rf"\b(?P<a>{NUMBER_EN}|a|an) (?:kids?|child(?:ren)?|babies|baby|toddlers?|infants?)\b"
    rf"|(?P<b>{NUMBER_ZH})个?(?:小孩|孩子|儿童|宝宝|小朋友)",
    re.IGNORECASE,
)
_ONE = re.compile(
    r"\b(?:just|only) (?:for )?me\b|\bfor myself\b|\bby myself\b|\bjust myself\b|\bfor me alone\b"
    r"|就我自己|我一个人|单人桌|只有我",
    re.IGNORECASE,
)
_TWO = re.compile(
    r"\bmy (?:wife|husband|partner|girlfriend|boyfriend|mum|mom|mother|dad|father|friend|sister|"
    r"brother|daughter|son|boss|fianc[eé]e?|date|colleague) and (?:i|me|myself)\b"
    r"|\bme and my \w+\b|\bi and my \w+\b|\bthe two of us\b|\bboth of us\b"
    r"|(?:我和|跟|和)(?:我的?)?(?:女朋友|男朋友|老婆|老公|妻子|丈夫|太太|先生|朋友|妈妈|爸爸|女儿"
    r"|儿子"
    r"|同事|闺蜜|对象)"
    r"|我们俩|我俩|咱俩|双人桌|二人世界|情侣座",
    re.IGNORECASE,
)
_NIGHTS = re.compile(
    rf"\b(?P<a>{NUMBER_EN}|a|one)[ -]nights?\b(?! (?:stand|light|shirt))"
    rf"|(?P<b>{NUMBER_ZH})(?:个晚上|晚(?![上餐饭点\d])|夜(?!宵))"
    rf"|住(?:上)?(?P<c>{NUMBER_ZH})(?:天|日)"
    rf"|\b(?:stay|staying|room|hotel)? ?for (?P<d>{NUMBER_EN}|a) days?\b",
    re.IGNORECASE,
)
_WEEKS = re.compile(
    rf"\bfor (?P<a>{NUMBER_EN}|a) weeks?\b|住(?P<b>{NUMBER_ZH})(?:个)?(?:周|星期|礼拜)",
    re.IGNORECASE,
)
_ROOMS = re.compile(
    rf"\b(?P<a>{NUMBER_EN}) (?:(?:double|single|twin|family|separate|hotel|standard) )?"
    rf"(?:rooms?|suites?)\b|(?P<b>{NUMBER_ZH})(?:间|个房间|个标间|套房)",
    re.IGNORECASE,
)

# What a number in front of makes it a measure or a kind, not a count of pieces.
_MEASURE = (
    r"(?:person|people|man|men|seat|season|inch(?:es)?|cm|mm|m|km|kg|g|lbs?|oz|l|ml|litres?"
    r"|liters?|"
    r"gb|tb|mb|mah|w|watts?|v|volts?|hz|hours?|minutes?|days?|weeks?|months?|years?|year|nights?|"
    r"pack|piece|pieces set|stars?|ply|burner|room|bedrooms?|doors?|player|players|in|ft|feet|foot|"
    r"size|dollars?|euros?|pounds?|yuan|usd|eur|gbp|percent|%|am|pm|way|speed|sided|thousand)"
)
_UNITS_EN = (
    r"(?:pieces?|units?|pcs|bottles?|packs?|boxes|box|pairs?|copies|sets?|bags?|cans?|tins?)"
)
_VERB_EN = (
    r"(?:buy|order|get|purchase|need|want|take|grab|have|bring|send|add|i'd like|i would like"
    r"|make it"
    r"|make that|change (?:it|that|the quantity) to|actually)"
)
_CLASSIFIERS = "个件顶双条台部本瓶包盒把只套支袋罐箱副款辆块顶床盏幅枚颗粒份杯"
_COUNT = re.compile(
    rf"\b(?:quantity|qty)\s*(?:of|:|=|is)?\s*(?P<a>{NUMBER_EN})\b"
    rf"|\bx\s?(?P<b>\d{{1,3}})\b|\b(?P<c>\d{{1,3}})\s?x\b(?!\s?\d)"
    rf"|\b(?P<d>{NUMBER_EN}) {_UNITS_EN}\b"
    rf"|\b{_VERB_EN}(?: (?:me|us|him|her|them))? (?P<e>{NUMBER_EN})\b"
    rf"(?![-\d.]| ?{_MEASURE}\b)(?! (?:for|of these days)\b)"
    rf"|^(?:(?:just|only|actually|ok|okay|yes|no|and|make that),? )*(?P<f>{NUMBER_EN})\b"
    rf"(?![-\d.:]| ?{_MEASURE}\b)(?= (?:please|of (?:them|these|those)|more|[a-z]+s\b)|\s*$|[.!,])"
    rf"|\b(?P<i>(?!one\b){NUMBER_EN}) of (?:them|these|those)\b"
    rf"|\b(?P<j>{DOZENS_EN})\b(?! (?:people|guests|times|reasons))"
    rf"|(?P<k>{NUMBER_ZH}|半)打(?![折包开听算电车球扫印火底败扮扰])"
    rf"|(?P<g>{NUMBER_ZH})[{_CLASSIFIERS}](?!人|月|小时|星期|礼拜|钟|晚|位|大人|小孩|钱|季)"
    rf"|(?:买|来|要|订购|数量)(?:是|为)?(?P<h>\d{{1,3}})(?=$|[,.!\x1f]|[^\d人点号月日年元块寸升])",
    re.IGNORECASE,
)
_NEVER_MANY = r"(?:(?:[-\u2212]|minus|负) ?\d+|\d*\.\d+|0)(?![\d.])"
_NO_COUNT = re.compile(
    rf"(?<=\b)(?:{_VERB_EN})(?: (?:me|us|him|her|them))? (?P<a>{_NEVER_MANY})\b(?!-| ?{_MEASURE}\b)"
    rf"|(?<![\w.])(?P<b>{_NEVER_MANY}) (?:of (?:them|these|those)|{_UNITS_EN})\b"
    rf"|(?:买|来|要|订购)(?P<c>{_NEVER_MANY})[{_CLASSIFIERS}]",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"^\s*(?:(?:just|only|about|we are|for|there are|maybe) )?(?P<a>{NUMBER_EN}|{NUMBER_ZH})"
    r"\s*(?:please|个|位|人|晚|吧|的)*\s*[.!]?\s*$",
    re.IGNORECASE,
)


def _first(match: re.Match[str]) -> int | None:
    said = next(value for value in match.groupdict().values() if value)
    return 1 if said.lower() in {"a", "an"} else number(said)


def alone(page: Page) -> int | None:
    """A message that is nothing but a number: the answer to the question that we just asked."""
    match = _ALONE.match(page.left)
    if not match:
        return None
    page.blank(*match.span("a"))
    return number(match["a"])


_MORE_PEOPLE = re.compile(
    rf"\b(?:add |plus )?(?P<a>{NUMBER_EN}|a) more (?:people|persons?|guests?|friends?)\b"
    rf"|\badd (?P<b>{NUMBER_EN}|an?) (?:people|persons?|guests?|friends?)\b"
    rf"|(?:再加|多加|多来|再来|多)(?P<c>{NUMBER_ZH})个?(?:人|位|朋友)",
    re.IGNORECASE,
)
_DENIED = re.compile(r"(?:\bnot(?: for)?|instead of|rather than|不是|而不是)\s*$", re.IGNORECASE)


def more_people(page: Page) -> int | None:
    """How many people come on top of those said before: 'one more person', '再加一个人'."""
    match = page.take(_MORE_PEOPLE)
    return _first(match) if match else None


def _people(page: Page) -> int | None:
    while match := page.take(_PARTY):
        if not _DENIED.search(page.text[: match.start()]):
            return _first(match)
    return None


def party(page: Page) -> int | None:
    """How many people, for a table or a room. None when it was not said."""
    if sizes := page.take(_ZH_SIZES):
        return (number(sizes[1]) or 0) + (number(sizes[2]) or 0)
    if family := page.take(_FAMILY):
        return number(family[1])
    children = 0
    while match := page.take(_CHILDREN):
        children += _first(match) or 0
    people = _people(page)
    if people is None and page.take(_TWO):
        people = 2
    if people is None and page.take(_ONE):
        people = 1
    while people is None and (match := page.take(_FOR_N)):
        if not _DENIED.search(page.text[: match.start()]):
            people = number(match["a"])
    if people is None:
        return None
    return people + children or None


def nights(page: Page) -> int | None:
    """How many nights; a week is seven."""
    if weeks := page.take(_WEEKS):
        return 7 * (_first(weeks) or 1)
    match = page.take(_NIGHTS)
    return (_first(match) or None) if match else None


def rooms(page: Page) -> int | None:
    match = page.take(_ROOMS)
    return (_first(match) or None) if match else None


def pieces(page: Page) -> int | None:
    """How many of a product; its span is taken. None when no count was said."""
    match = _COUNT.search(page.left)
    if not match:
        return None
    name = next(key for key, value in match.groupdict().items() if value)
    # 两顶: the measure word goes with its number, or it would stick to the thing
    page.blank(*match.span(0 if name in {"g", "k"} else name))
    if name == "k":
        return 6 if match[name] == "半" else 12 * (number(match[name]) or 0) or None
    return number(match[name]) or None


def no_count(page: Page) -> bool:
    """Whether a count is said that nothing can be bought by: 'buy 0.5 tents', '买-2个'. Its span
    is taken."""
    return page.take(_NO_COUNT) is not None
