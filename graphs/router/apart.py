"""The sentence at either end of a long message that has nothing to do with the rest of it.

People paste an article and then ask for a taxi, in the next line or in the same one. Such a
sentence speaks to us and shares no word with what stands beside it; a question about the text does
("why did the council pay?", "and what does she have left?") and is read together with it.
"""

import re
import tomllib
from pathlib import Path
from typing import Final

_UNIT = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")
_MAX_CHARS: Final = 240
_SHARED: Final = 0.3
"""From this share of common pairs of Han characters on, a sentence is about the text beside it."""

_TURNS_AWAY = re.compile(
    r"^(?:(?:ok(?:ay)?|so|right|well|and|but)[,. ]+)?(?:anyway|anyhow|by the way|btw|besides|also"
    r"|on another note|unrelated|different question|change of subject|separately|never ?mind"
    r"|forget)\b"
    r"|^(?:对了|另外|顺便|话说|不说这个|换个话题|先不管|言归正传|算了|还有[，,])",
    re.I,
)
_REQUEST = re.compile(
    r"^(?:(?:ok|hey|hi|so|now|then|and|please|just|could you|can you|would you|will you"
    r"|i want you to"
    r"|i need you to|let's|let us)[,:]?\s+)*(?:tell|set|play|turn|put|remind|call|text|open"
    r"|close|start|stop"
    r"|add|delete|schedule|convert|define|spell|pick|choose|show|send|get|find (?:me|us|an?"
    r"|some)|book|order|buy|reserve"
    r"|make|write|prove|derive|solve|implement|translate|draw|sing|wake|search|recommend"
    r"|suggest|check"
    r"|cancel|give (?:me|us)|list|plan|design|teach|dim|pause|skip|navigate|look)\b"
    r"|\b(?:can|could|would|will) (?:you|i|we)\b|\bi(?:'d| would) (?:like|love)\b|\bi (?:want"
    r"|need)\b"
    r"|\bi'm (?:looking|after)\b|\b(?:get|find|book|tell|show|give|send|call) (?:me|us)\b"
    r"|帮我|给我|替我|请|麻烦|我想|想要|想买|我要|我们要|需要|来(?:一|两|个|份|杯|点)|订|叫(?:个|一|辆)|买|定(?:个|一)"
    r"|设(?:个|置)|提醒|播放|放(?:首|一首|点)|打开|关(?:掉|闭|上)|讲(?:个|一)|写(?:个|一|段|首)|证明|推导|翻译",
    re.I,
)
_QUESTION = re.compile(
    r"^(?:(?:ok|hey|so|now|and)[,:]?\s+)*(?:what(?:'s| is| are| time)|who|when|where|which|how"
    r"|is|are|do"
    r"|does|did|will|any)\b.*\?\s*$|[?？吗呢]\s*$|怎么样|几点",
    re.I,
)
_COUNTS = re.compile(
    r"\bhow (?:many|much|long|far|fast|old|tall|big|often)\b|\b(?:total|probability|percent\w*"
    r"|average"
    r"|value|sum|difference|ratio|remain\w*|left)\b|多少|几(?!点)|求|共|剩"
)
_REFERS = re.compile(
    r"\b(?:this|that|these|those|it|its|he|she|they|him|her|his|them|their|above|below"
    r"|following|former"
    r"|latter|previous|attached|author|passage|text|article|document|paper|report|essay|excerpt"
    r"|paragraph"
    r"|writer|speaker|argument|statement|conclusion|claim|evidence|summar\w*|story|log|logs"
    r"|error|code"
    r"|function|output|(?:the|this) table|data|e-?mail|thread|chat|conversation|contract|clause"
    r"|letter|notes?"
    r"|transcript|everything|all of|here|there|point|points|translate)\b"
    r"|[这那它他她其]|上[文面述]|下[文面列述]|以上|以下|文中|文章|原文|作者|材料|总结|概括|归纳|论点|全文|段落|报告|合同|邮件"
    r"|日志|代码|报错|聊天|对话|翻译"
)
_FORMULA = re.compile(r"[$\\=^]")
_OWN_STORY = re.compile(r"\b(?:i|i'm|i've|i'd|my|we|our)\b|我|咱")
_GENERIC: Final = frozenset(
    tomllib.loads(Path(__file__).with_name("function_words.toml").read_text("utf-8"))[
        "generic"
    ].split()
)
_WORD = re.compile(r"[a-z][a-z']{2,}")
_HAN = re.compile(r"[\u3400-\u9fff]+")


def width(text: str) -> int:
    """Length in Latin characters: a Han character says as much as three letters."""
    return len(text) + 2 * sum("\u3400" <= c <= "\u9fff" for c in text)


def standing_apart(text: str, *, paste_width: int, foreign: bool) -> str | None:
    """The sentence at an end of `text` that stands apart from the rest, the last before the first.

    `paste_width` is what the rest must at least measure; `foreign` says that somebody else's lines
    (mail, chat) are in it, so that an "I" there is not the person's own story.
    """
    units = [u.strip() for u in _UNIT.split(text) if u and u.strip()]
    if len(units) < 3:
        return None
    for ask, rest in ((units[-1], units[:-1]), (units[0], units[1:])):
        around = "\n".join(rest)
        if len(ask) <= _MAX_CHARS and width(around) >= paste_width and _apart(ask, around, foreign):
            return ask
    return None


def _apart(ask: str, rest: str, foreign: bool) -> bool:  # noqa: FBT001 - passed through
    plain, around = ask.lower(), rest.lower()
    turns = bool(_TURNS_AWAY.search(plain))
    asks = _REQUEST.search(plain) or (_QUESTION.search(plain) and not _COUNTS.search(plain))
    if not (asks or turns) or _REFERS.search(plain) or _FORMULA.search(plain):
        return False
    if not turns and not foreign and _OWN_STORY.search(around):
        return False
    return turns or not _shares(plain, around)


def _shares(plain: str, around: str) -> bool:
    """Whether the sentence is about the text, or too bare to be about anything."""
    stems = {w[:5] for w in _WORD.findall(plain) if w not in _GENERIC and len(w) > 3}
    pairs = {run[i : i + 2] for run in _HAN.findall(plain) for i in range(len(run) - 1)}
    if not stems and len(pairs) < 3:
        return True
    if stems & {w[:5] for w in _WORD.findall(around)}:
        return True
    return bool(pairs) and sum(p in around for p in pairs) / len(pairs) >= _SHARED
