"""A message that is nothing but a thing that is bought: "a two-person tent", "一把红色的雨伞".

Only general nouns (`goods.toml`), only the bare phrase, in the forms that no order, question, idiom
or title has. Where in doubt it is no thing: the classifier then decides as it would have.
"""

import re
import tomllib
from pathlib import Path
from typing import Final

from graphs.numerals import NUMBER_EN

_WORDS: Final = tomllib.loads(Path(__file__).with_name("goods.toml").read_text("utf-8"))


def _listed(lang: str, name: str) -> list[str]:
    text = _WORDS[lang][name]
    entries = text.split(",") if lang == "en" else text.lower().split()
    return sorted({" ".join(e.split()) for e in entries}, key=len, reverse=True)


def _one_of(lang: str, name: str) -> str:
    return "|".join(map(re.escape, _listed(lang, name)))


_HEADS: Final = rf"(?:{_one_of('en', 'heads')})(?:e?s)?"
_NEVER: Final = rf"(?!(?:{_one_of('en', 'never')})(?![\w'-]))"
_PERSONS: Final = (
    rf"(?:{NUMBER_EN})[- ]?(?:person|man|men|people|seater|piece|inch|litre|liter|pack)"
)
_ARTICLE: Final = (
    r"(?:an?|some|any|another|one|(?:a|one|two|three|\d{1,2}) (?:new |good )?"
    r"(?:pairs?|sets?|packs?|boxe?s?|bags?|bottles?|tins?|jars?|rolls?) of)"
)
_OF_A_KIND: Final = rf"(?:{_PERSONS}|size \w+|(?:{_one_of('en', 'kinds')})(?![\w'-]))"
# For whom, with what, in which size or colour, for how much: nothing that begins a tale.
_BEHIND: Final = (
    r"(?: for the (?:living room|bedroom|bathroom|kitchen|office|garden|balcony|beach|kids|baby)"
    r"| for (?!(?:the|that|this|his|its|free|loop|each|granted)\b)[\w'-]+(?: [\w'-]+){0,3}"
    r"| with (?:an? )?[\w'-]+(?: [\w'-]+)?"
    rf"| in (?:size \w+|(?:{_one_of('en', 'kinds')}|[smlx]{{1,3}}|\d{{1,2}}))"
    r"| (?:under|below|up to|for less than|around|about) [€$£¥]?\d+"
    r"(?: ?(?:euros?|dollars?|pounds?|€|\$|£))?)"
)
_ENDS: Final = rf"(?:{_BEHIND}){{0,2}}(?:,? please)?[.!]?"
_NO_TALE: Final = (
    r"(?!.*\b(?:is|was|are|were|that|who|which|because|walks?|says?|means?|why|how|poem|story"
    r"|song|novel|essay|joke|riddle|speech|homework|app|website|function|about (?![\d€$£]))\b)"
)
_THING = re.compile(
    rf"{_NO_TALE}(?:{_ARTICLE} (?:{_NEVER}[\w'’-]+ ){{0,4}}?{_HEADS}"
    rf"|(?:{_OF_A_KIND} ){{1,4}}{_HEADS}|{_HEADS} for {_PERSONS}){_ENDS}"
)
_IDIOM = re.compile(rf"\b(?:{_one_of('en', 'idioms')})\b")

_MEASURE: Final = "[个件顶双条台部瓶包盒把只套支袋副款辆块床盏枚张对箱束本罐]"
_NEVER_ZH: Final = rf"(?!.*(?:{'|'.join(_listed('zh', 'never'))}))"
_HEAD_ZH: Final = rf"(?:{_one_of('zh', 'heads')})"
_KIND_ZH: Final = rf"(?:{_one_of('zh', 'kinds')}|[\da-z]{{1,4}}(?:码|寸|升|毫升|厘米|公斤))"
_FOR_ZH: Final = r"(?:给|送|适合)[\u4e00-\u9fff\d]{1,6}?的"
_COUNT_ZH: Final = rf"(?:[一两二三四五六七八九十几]|\d{{1,2}}){_MEASURE}"
_PRICE_ZH: Final = r"\d{2,5}(?:元|块|欧)?(?:以内|以下|左右)"
_THING_ZH = re.compile(
    rf"{_NEVER_ZH}(?:(?:{_FOR_ZH})?{_COUNT_ZH}(?:{_FOR_ZH})?[\u4e00-\u9fff\w]{{0,10}}?{_HEAD_ZH}"
    rf"|{_FOR_ZH}{_KIND_ZH}*?{_HEAD_ZH}|{_KIND_ZH}+?{_HEAD_ZH}|{_HEAD_ZH}(?=[,，]))"
    rf"(?:[,，]?(?:{_KIND_ZH}+|{_PRICE_ZH})){{0,2}}[。！!.]?"
)


def names_goods(plain: str) -> bool:
    """Whether an ask in plain form names a thing that is bought, and says nothing besides."""
    if len(plain) > 80:
        return False
    if _THING_ZH.fullmatch(plain):
        return True
    return bool(_THING.fullmatch(plain)) and not _IDIOM.search(plain)
