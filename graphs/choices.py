"""Which of the offers that were shown a message means: by number, by price, by name, or 'this one'.

A pick is an index into what was shown, never a name that a merchant wrote: merchant text can
make an offer easier to name, it cannot make anybody pick it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphs import vocabulary
from graphs.memory import OfferMemory
from graphs.numerals import NUMBER_ZH, Page, number


@dataclass(frozen=True, slots=True)
class Choice:
    """`indices` into the offers shown (0-based; -1 is the last). Empty with `unclear` set: the
    message points at one of several and does not say which."""

    indices: tuple[int, ...] = ()
    unclear: bool = False


_ORDINALS = "first second third fourth fifth sixth seventh eighth".split()  # noqa: SIM905
_NOUN = r"(?:one|option|offer|choice|result|item|hotel|restaurant|place|tent|room|table|product)"
_NTH = re.compile(
    rf"\b(?:the )?(?P<w>{'|'.join(_ORDINALS)}|last)(?: {_NOUN})\b"
    rf"|\b(?:the )(?P<x>{'|'.join(_ORDINALS)}|last)\b(?! (?:week|month|day|night|of|floor|time"
    rf"|two|three|class))"
    rf"|\b(?:the )?(?P<d>[1-9])(?:st|nd|rd|th) {_NOUN}\b"
    rf"|\b(?:the )(?P<e>[1-9])(?:st|nd|rd|th)(?=\s*(?:$|[,.!?]|please\b))"
    r"|(?:\b(?:number|no\.|option|#|offer|choice) ?)(?P<n>[1-9])\b|^#?(?P<b>[1-9])[.)]?$"
    rf"|第(?P<z>{NUMBER_ZH})(?:个|家|间|款|项|种|张|顶|件|双|台|本|条)?(?!天|晚|次|季)"
    rf"|(?P<l>最后)(?:一)?[个家间款]"
    r"|(?<![月十])(?P<h>[一二三四五六])号(?!楼)|选(?:择)?(?P<s>[1-9一二三四五六])",
    re.IGNORECASE,
)
_FIRST_N = re.compile(
    r"\b(?:the )?(?:first|top) (?P<a>two|three|four|2|3|4)\b|前(?P<b>[两二三四234])[个家间款]", re.I
)
_BOTH = re.compile(r"\bboth(?: of them)?\b|\b(?:all|each) of them\b|两个都|都要", re.IGNORECASE)
_THIS = re.compile(
    r"\b(?:this|that) one\b|\bthe one (?:you|that you|above|i)\b|\b(?:book|buy|order|take|reserve"
    r"|get|want|"
    r"with|for) (?:it|that|this)\b|^(?:yes,? )?(?:that|this|it)(?: one)?(?: please)?[.!]?$"
    r"|\b(?:does|is|has|can|will|about) it\b|\bit(?:'s|s)?\b(?= (?:have|come|include|in stock"
    r"|available))"
    r"|就(?:要|选|买|订)?(?:这|那)(?:个|家|间|款|件|张|顶)?|就它|(?:^|[,，])?(?:这|那)(?:个|家|间"
    r"|款|件|顶)(?=$|[,，。!]|吧|好|可以|行|多少|怎么|有|防)"
    r"|它",
    re.IGNORECASE,
)
_CHEAPER_ONE = re.compile(
    r"\b(?:the )?cheaper (?:one|of)\b|\bthe cheaper\b(?! (?:tent|hotel)s)|便宜的(?:那|这)?(?:个"
    r"|家|间|款)?(?=$|[,，。!吧])|(?:那个|要)便宜的",
    re.IGNORECASE,
)
_DEARER_ONE = re.compile(
    r"\b(?:the )?(?:more expensive|pricier|dearer) one\b|贵的(?:那)?[个家间款]", re.I
)
# What turns a pick into its opposite: before it ('not', 'anything but', '除了'), or behind it.
_AGAINST = re.compile(
    r"(?:(?<!why )\bnot(?! only)(?: (?:for|about|interested in|keen on|going (?:with|for)|into))?"
    r"|\bn(?:either|or)|n't(?: (?:want|like|need|take|get|buy|book|order|fancy|love|think|care for"
    r"|go for))?"
    r"|\bdont(?: (?:want|like|need))?|\b(?:any|every)(?:thing|one)? but(?: for)?"
    r"|\b(?:all|any|either)(?: of (?:them|these|those))? but(?: for)?"
    r"|\bexcept(?:ing)?(?: for)?"
    r"|\bexcluding|\b(?:other|rather) than|\binstead of|\bapart from"
    r"|\baside from|\bbesides|\bskip"
    r"|\bhate|\bleave out|\bno to|除了?(?:开|去)?"
    r"|(?<!要)不(?:是|要|想要|喜欢|考虑|选|买|订)|别(?:要|选|买|订))"
    r"(?: (?:that|this|it(?:'s)?))? ?(?:the )?$",
    re.IGNORECASE,
)
_AGAINST_AFTER = re.compile(
    r"(?: ?(?:one|option))?,? (?:is(?:n't| not) (?:for me|what|my|ok|okay|right)"
    r"|(?:won't|will not|doesn't|does not) (?:do|work|suit)|is out\b|no\b(?! (?:problem|doubt)))"
    r"|的?(?:我们?|就|也|可以|,)*(?:不(?:要|想要|考虑|喜欢|行|合适|好)|除外|[以之]?外|就?算了|别要|免了)"
    r"(?:了|吧|啦|的)*(?=$|[\s,，。.;!我要都也])",
    re.IGNORECASE,
)
_GOES_WITH = re.compile(r"\s*(?:,? ?(?:or|nor|and)|和|或者?|跟|与|、)\s*(?:the )?", re.IGNORECASE)
_THE_REST = re.compile(
    r"\bthe other\b|\b(?:any|every)(?:thing|one)? but\b|\bother than\b|\bexcept\b"
    r"|另(?:外|一)|其[他它]|都(?:行|可|好)|别的",
    re.IGNORECASE,
)
_NAMING = re.compile(
    r"\b(?:the|take|that|i'll|want|go with|book|buy|order|reserve|about|at|prefer)\b|就|要|选|订"
    r"|买|那",
    re.I,
)
_COMMON = frozenset(
    """the and with for hotel room table restaurant tent person night from bed double set pack size
    large small black white blue green light house place""".split()  # noqa: SIM905
)


def choice(
    page: Page, shown: Sequence[OfferMemory], *, proposed: Sequence[int] = ()
) -> Choice | None:
    """The offers meant, or None when the message points at none of them.

    `proposed`: indices of what waits for confirmation; 'this one' means these. The span that
    named them is taken from the page. Without offers only an ordinal counts ('the second one').
    What is named to be left out is never meant.
    """
    if first := page.take(_FIRST_N):
        meant = tuple(range(number(first["a"] or first["b"]) or 0))
        return _without(meant, page, shown) if _denied(page, first) else _within(meant, shown)
    if page.has(_NTH):
        return _by_position(page, shown)
    if not shown:
        return None
    by_price = _by_price(page, shown)
    if by_price is not None:
        index, said = by_price
        return _without((index,), page, shown) if _denied(page, said) else Choice((index,))
    if len(shown) == 2 and page.take(_BOTH):
        return Choice((0, 1))
    by_name = _by_name(page, shown)
    if by_name is not None:
        return _without((by_name[0],), page, shown) if by_name[1] else Choice((by_name[0],))
    if this := page.take(_THIS):
        meant = tuple(proposed) or ((0,) if len(shown) == 1 else ())
        return Choice(unclear=True) if _denied(page, this) or not meant else Choice(meant)
    return None


def _by_position(page: Page, shown: Sequence[OfferMemory]) -> Choice:
    """Every position that is named, without those that are denied ('not the second, the third').

    A denial goes on over 'or' and 'and', and ends at a comma.
    """
    named: list[int] = []
    left_out: list[int] = []
    end, denied = -1, False
    for nth in list(_NTH.finditer(page.left)):
        page.blank(*nth.span())
        goes_on = denied and _GOES_WITH.fullmatch(page.text[end : nth.start()])
        denied, end = bool(goes_on) or _denied(page, nth), nth.end()
        (left_out if denied else named).append(_index(nth))
    meant = tuple(dict.fromkeys(i for i in named if i not in left_out))
    return _within(meant, shown) if meant else _without(left_out, page, shown)


def _denied(page: Page, said: re.Match[str]) -> bool:
    before, after = page.text[: said.start()], page.text[said.end() :]
    return bool(_AGAINST.search(before) or _AGAINST_AFTER.match(after))


def _without(left_out: Sequence[int], page: Page, shown: Sequence[OfferMemory]) -> Choice:
    """What is left when these are not wanted: the other of two if it is asked for, else unclear."""
    not_these = {i % len(shown) for i in left_out} if shown else set()
    rest = tuple(i for i in range(len(shown)) if i not in not_these)
    sure = len(shown) == 2 and len(rest) == 1 and _THE_REST.search(page.text)
    return Choice(rest) if sure else Choice(unclear=True)


def asks_cheaper_one(page: Page) -> bool:
    """'The cheaper one', where what was shown is not remembered: the cheapest that fits."""
    return page.has(_CHEAPER_ONE)


def _within(indices: tuple[int, ...], shown: Sequence[OfferMemory]) -> Choice:
    """Positions that were really shown; pointing past the list is unclear, never the nearest."""
    if shown and any(i >= len(shown) for i in indices):
        return Choice(unclear=True)
    if shown:
        indices = tuple(i % len(shown) for i in indices)
    return Choice(indices)


def _index(match: re.Match[str]) -> int:
    name, said = next((k, v) for k, v in match.groupdict().items() if v)
    if said.lower() == "last" or name == "l":
        return -1
    if said.lower() in _ORDINALS:
        return _ORDINALS.index(said.lower())
    return max((number(said) or 1) - 1, 0)


def _by_price(page: Page, shown: Sequence[OfferMemory]) -> tuple[int, re.Match[str]] | None:
    """The cheapest or the dearest, and the words that say so."""
    if len({o.price.currency for o in shown}) > 1:
        return None  # two currencies have no order
    order = sorted(range(len(shown)), key=lambda i: (shown[i].price.amount, i))
    if cheap := page.take(_CHEAPER_ONE) or page.take(vocabulary.CHEAPEST):
        return order[0], cheap
    if dear := page.take(_DEARER_ONE) or page.take(vocabulary.DEAREST):
        return order[-1], dear
    return None


def _words(title: str) -> set[str]:
    latin = {w for w in re.findall(r"[a-z][a-z'-]{3,}", title.lower()) if w not in _COMMON}
    chinese = {title[i : i + 2] for i in range(len(title) - 1) if "\u4e00" <= title[i] <= "\u9fff"}
    return latin | {c for c in chinese if "\u4e00" <= c[1] <= "\u9fff"}


def _by_name(page: Page, shown: Sequence[OfferMemory]) -> tuple[int, bool] | None:
    """An offer whose title holds words of the message that no other shown title holds, and
    whether it is named to be left out."""
    text = page.left.lower()
    if len(text.split()) > 4 and not _NAMING.search(text):
        return None
    titles = [_words(f"{o.title} {o.merchant}") for o in shown]
    score = []
    for i, own in enumerate(titles):
        others = set().union(*(t for j, t in enumerate(titles) if j != i))
        score.append(sum(1 for w in own - others if _said(w, text)))
    best = max(score)
    if best == 0 or score.count(best) > 1:
        return None
    index, denied = score.index(best), False
    for word in titles[index]:
        for match in list(re.finditer(re.escape(word), page.left, re.IGNORECASE)):
            page.blank(*match.span())
            denied = denied or _denied(page, match)
    return index, denied


def _said(word: str, text: str) -> bool:
    return (
        re.search(rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word), text)
        is not None
    )
