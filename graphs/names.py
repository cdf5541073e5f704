"""The place and the thing itself: what a message names when its facts and courtesies are gone."""

import re

from graphs import vocabulary
from graphs.memory import Vertical
from graphs.numerals import TAKEN, Page

_PLACE_EN = re.compile(
    r"\b(?:in|near|around|close to|within|visiting|going to|travel(?:l?ing)? to|trip to)\s+"
    r"(?P<p>(?:the\s+)?[A-Za-zÀ-ÿ][\w'.-]*(?:\s+[A-Za-zÀ-ÿ][\w'.-]*){0,3})",
    re.IGNORECASE,
)
_PLACE_STOP = re.compile(
    r"\b(?:for|on|at|with|that|which|please|under|below|and|or|next|this|from|between|tomorrow"
    r"|tonight"
    r"|today|by|to|in|near|around|is|are|has|have|where|who|serving|if|about|but|so|because|i|we"
    r"|you"
    r"|area|can|would|could|my|our|checking|check|starting|until|till|hotels?|restaurants?)\b.*$",
    re.IGNORECASE,
)
_NO_PLACE = re.compile(
    r"^(?:the )?(?:a|an|it|that|there|here|me|us|total|advance|case|general|particular|english"
    r"|chinese"
    r"|cash|stock|time|mind|evening|morning|afternoon|night|price|cost|future|meantime|same|days?"
    r"|weeks?"
    r"|months?|something|anything|moderate|budget|book|booking|reserve|eat|dinner|lunch|one|two"
    r"|three"
    r"|finding|looking|getting|making|need|advance)\b",
    re.IGNORECASE,
)
_HAN = r"[\u4e00-\u9fff]"
_PLACE_ZH = re.compile(
    rf"(?:在|去|到)(?P<a>{_HAN}{{2,6}}?)(?=的|找|订|预订|预定|住|吃|有没有|有什么|有|玩|附近|周边"
    rf"|旁边|市中心|$|[,，。！!?？\x1f\s])"
    rf"|(?:找|推荐|订|想要|有没有)?(?:一[家间个])?(?P<b>{_HAN}{{2,8}}?)(?:附近|周边|旁边)"
)
_NO_PLACE_ZH = re.compile(r"^(?:这|那|我|你|哪|什么|时候|一|家里|网上|今|明|后天|景点|酒店|餐|晚)")


def place(page: Page) -> str:
    """The place in the person's own words; its span is taken."""
    match = _PLACE_EN.search(page.left)
    while match:
        name = _PLACE_STOP.sub("", match["p"]).strip(" .,")
        if name and name.lower() != "the" and not _NO_PLACE.match(name):
            page.blank(match.start(), match.start("p") + len(name))
            return re.sub(r"^the\s+", "", name, flags=re.IGNORECASE)
        match = _PLACE_EN.search(page.left, match.start() + 2)
    chinese = _PLACE_ZH.search(page.left)
    if chinese:
        name = chinese["a"] or chinese["b"]
        if not _NO_PLACE_ZH.match(name):
            start = chinese.start("a") if chinese["a"] else chinese.start("b")
            page.blank(start, start + len(name))
            return name
    return ""


def words(page: Page, vertical: Vertical | None) -> str:
    """What is left when facts, verbs and courtesies are gone: the product or kind of place."""
    left = page.left.replace(TAKEN, " ")
    if re.search(_HAN, left):
        left = _chinese_words(left, vertical)
    stop = set(vocabulary.STOP_EN)
    if vertical == "table":
        stop |= vocabulary.STOP_TABLE
    elif vertical == "room":
        stop |= vocabulary.STOP_ROOM
    kept = []
    for raw in re.findall(rf"[A-Za-zÀ-ÿ0-9][\w'&./-]*|{_HAN}+", left):
        word = raw.strip(".-'/")
        bare = word.lower().removesuffix("'s")
        if word and bare not in stop and not (vertical != "product" and word.isdigit()):
            kept.append(word)
    return " ".join(kept)[:200]


def _chinese_words(left: str, vertical: Vertical | None) -> str:
    if vertical == "table":
        left = vocabulary.STOP_TABLE_ZH.sub(" ", left)
    elif vertical == "room":
        left = vocabulary.STOP_ROOM_ZH.sub(" ", left)
    runs = vocabulary.STOP_ZH.sub(" ", left).split()
    return " ".join(run.strip(vocabulary.EDGES_ZH) for run in runs)
