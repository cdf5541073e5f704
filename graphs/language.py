"""The language that a person speaks to us: of the sentence, not of the names and words it is about.

"我想买一个 zorbix gadget" is Chinese however long the brand is; "what does 你好 mean" is English.
"""

import re
from typing import Literal

Spoken = Literal["en", "zh"]

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_GREETING = re.compile(r"^\W*(?:你好|您好|嗨|哈喽)\W*")
# What only a sentence has: pronouns, particles, everyday verbs, measure words.
_ZH = re.compile(r"[我你您他她们的了吗呢吧是在想要买订给帮请把这那有没不怎么什哪几多一个会能可以]")
_ASKS = (
    r"\b(?:i|i'm|i'd|we|you|what|how|where|when|why|who|which|is|are|do|does|did|can|could|would"
    r"|buy|book|order|find|show|give|tell|get|need|want|translate|explain|write|search|cancel|move)"
    r"\b"
)
_EN = re.compile(
    rf"{_ASKS}|\b(?:the|an?|to|of|in|on|at|for|with|and|or|my|me|your|it|this|that|please|mean"
    r"|say|english|chinese)\b"
)
_STARTS_EN = re.compile(rf"\W*{_ASKS}")
_STARTS_ZH = re.compile(rf"\W*({_HAN.pattern})")
_ENDS_ZH = re.compile(rf"{_HAN.pattern}\W*$")
_QUOTED = re.compile(r"\"[^\"]+\"|“[^”]+”|「[^」]+」|‘[^’]+’")
_EDGE = 3  # how a sentence begins or ends says more than one word inside it
_READ = 1000


def spoken(text: str) -> Spoken:
    """Chinese or English, by the words that make the sentence."""
    if not _HAN.search(text):
        return "en"
    frame = _frame(_GREETING.sub("", text[:_READ].lower()))
    begins = _STARTS_ZH.match(frame)
    if begins and _ZH.search(begins[1]):
        return "zh"
    ends = _ENDS_ZH.search(frame) is not None
    chinese = len(_ZH.findall(frame)) + _EDGE * ((begins is not None) + ends)
    english = len(_EN.findall(frame)) + _EDGE * (_STARTS_EN.match(frame) is not None)
    return "en" if english > chinese else "zh"


def _frame(text: str) -> str:
    """Without what is quoted, or given after a colon: that may be in any language."""
    plain = _QUOTED.sub(" ", text)
    head, _, _ = re.sub(r"[：\n]", ":", plain).partition(":")
    told = len("".join(_HAN.findall(head))) > 1 or len(_EN.findall(head)) > 1
    return head if told else plain
