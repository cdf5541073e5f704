"""Several things in one message: 'a tent and two mugs', '买一顶帐篷和两个杯子'.

Only what plainly begins a thing of its own is one: 'light and waterproof' describes a tent, and
'black and white socks' are one pair. When in doubt it stays one thing.
"""

import re

from graphs.numerals import NUMBER_EN, NUMBER_ZH, TAKEN

_HAN = r"[\u4e00-\u9fff]"
_BETWEEN = re.compile(
    r"\s*(?:,\s*(?:and\s+|plus\s+)?|\band\b|\bplus\b|\bas well as\b|&|\btogether with\b)\s*"
    rf"(?:also\s+)?(?=(?:an?|some|another|{NUMBER_EN})\s+(?!of\b|more\b|people\b|persons?\b|nights?\b|guests?\b)"
    r"(?!(?:baby|babies|child|children|kids?|toddlers?|friends?|dogs?|cats?)\b)[A-Za-z])",
    re.IGNORECASE,
)
_ABOUT = re.compile(r"\b(?:about|for|with|of|on|from|against)\s+(?:\w+\s+)?$", re.IGNORECASE)
_PLURALS = re.compile(
    r"(?P<head>\b[a-z-]+[^s\W]s)\s+and\s+(?P<tail>(?:[a-z-]+\s+)?[a-z-]+[^s\W]s)\b", re.IGNORECASE
)
_BETWEEN_ZH = re.compile(
    rf"\s*(?:和|跟|以及|还有|外加|加上|、|，\s*(?:再|还要|另外)?(?:来|买|要|加)?)\s*"
    rf"(?={NUMBER_ZH}[个件顶双条台部本瓶包盒把只套支袋罐箱副款辆块床盏枚颗份杯张])"
)
_BARE_ZH = re.compile(rf"(?<=[^色\s{TAKEN}])(?:和|、|以及|还有)(?={_HAN}{{2}})")
_DESCRIBES_ZH = re.compile(r"的[^的]{1,8}$|[色款]$")
THINGS_MAX = 6


def things(left: str) -> list[str]:
    """The stretches of text that name one thing each; a single one when there is only one."""
    pattern = _BETWEEN_ZH if re.search(_HAN, left) else _BETWEEN
    parts = [part for part in pattern.split(left) if _names(part)]
    parts = [one for part in parts for one in _bare(part) or [part]]
    return parts[:THINGS_MAX] if len(parts) > 1 else [left]


def _bare(left: str) -> list[str]:
    """Without a count: two plurals ('socks and gloves'), or two Chinese nouns ('帐篷和睡袋')."""
    match = _PLURALS.search(left)
    if match and not _ABOUT.search(left[: match.start()]):
        return [left[: match.end("head")], left[match.start("tail") :]]
    parts = _BARE_ZH.split(left)
    if len(parts) == 2 and not _DESCRIBES_ZH.search(parts[0]) and "的" not in parts[1]:
        return parts
    return []


def _names(part: str) -> bool:
    return re.search(rf"[A-Za-z]{{3}}|{_HAN}", part.replace(TAKEN, " ")) is not None
