"""Where in a message the person asks: pasted logs, mail, code and quotations are not the ask.

A long message is cut into blocks; the ask is the block that speaks to us. The kind of a turn comes
from the ask alone, its size from the whole message.
"""

import re
from dataclasses import dataclass
from typing import Final

from graphs.router.apart import standing_apart, width

PASTE_CHARS: Final = 280
"""A message shorter than this, in one paragraph, is its own ask. Han characters count thrice."""

MAX_CHARS: Final = 12_000
"""Of a larger message only both ends are searched: nobody asks in the middle of 1 MB."""

_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.S)
_BLOCKQUOTE = re.compile(r"^[ \t]*>.*$", re.M)
_TAGGED = re.compile(
    r"<(document|article|context|email|log|code|file|text)\b[^>]*>.*?</\1>", re.S | re.I
)

# A sentence, bracket or JSON object that talks to the router. It needs a routing word and the name
# of a kind, tier or route, so that "classify this text as positive" stays a task.
_TIER = (
    r"(?:casual|complex|commercial|smallest|largest|biggest|cheapest|strongest|light|mini|reasoning"
    r"|agent|premium|闲聊|复杂|商业|最小|最大|最强|最便宜|普通|推理)"
)
_ROUTING = (
    r"(?:classif\w*|label|rout(?:e|er|ing)|categor\w+|kind|intent|tier|model|assign|treat|mark|tag"
    r"|分类|归类|标签|路由|标记|归为|模型|判定|意图)"
)
_BRACKETED = re.compile(
    rf"[\[{{(<【](?=[^\]}})>】]*{_ROUTING})(?=[^\]}})>】]*{_TIER})[^\]}})>】]{{3,200}}[\]}})>】]",
    re.I,
)
_ADDRESSED = re.compile(
    rf"(?:^|(?<=[.!?。！？\n;；]))[ \t]*(?:(?:note|hint|system|admin|instruction|important|p\.?s\.?"
    rf"|注意|提示|系统|重要)[^:：\n]{{0,20}}[:：]\s*)?(?:please\s+|you must\s+|请|务必)?"
    rf"(?:ignore|override|bypass|disregard|forget|classify|label|route|send|categori[sz]e|mark|tag"
    rf"|treat|assign|set|force|use|switch|忽略|无视|跳过|把|将|归类|分类|标记|路由)"
    rf"(?=[^.!?。！？\n]*(?:router|routing|classifier|classif|label|route|categor|\bkind\b|\btier\b"
    rf"|路由|分类器|归类|分类|标签))(?=[^.!?。！？\n]*{_TIER})[^.!?。！？\n]*[.!?。！？]?",
    re.I,
)
_ASSIGNED = re.compile(
    rf"\b(?:label|kind|route|class|category|intent|tier|role)\s*[:=]\s*[\"']?{_TIER}\b[\"']?\s*[;,.]?",
    re.I,
)

_CHAT_LINE = re.compile(r"^\s*(?:\[[^\]]{1,30}\]\s*)?[A-Z一-鿿][\w .\-一-鿿]{0,18}\s?[:：]\s*\S")
_LOG_LINE = re.compile(
    r"^\s*(?:\[?\d{4}-\d\d-\d\d|\[?\d\d:\d\d(?::\d\d)?\]?\s|(?:INFO|WARN|WARNING|ERROR|DEBUG|TRACE|FATAL)\b"
    r"|at [\w.$]+\(|File \"|Traceback|\s{4,}\S|[\w.\-]+@[\w.\-]+\s|\$ |>>> |#\d+ )"
)
_MAIL_LINE = re.compile(
    r"^\s*(?:from|to|cc|subject|date|sent|发件人|收件人|主题|日期)\s*[:：]", re.I
)
_MARKER = re.compile(
    r"^\W*(?:end of|begin|start of|forwarded|pasted|original message|quote|attachment"
    r"|以上|以下|转发|正文)",
    re.I,
)

_SPEAKS = re.compile(
    r"\?|？|\b(?:can|could|would|will) you\b|\bplease\b|\bhelp me\b|\bi (?:need|want|would like)\b"
    r"|\bi'd (?:like|love)\b|\bi'm (?:looking|trying)|\bim looking\b"
    r"|^\s*(?:so|anyway|now|question|also|btw|my question|ok)\b"
    r"|^\s*(?:what|who|when|where|why|how|which|is|are|do|does|can|should)\b"
    r"|^\s*(?:find|book|order|buy|get|show|tell|give|write|fix|explain|summari[sz]e|translate|list|prove"
    r"|compare|analy[sz]e|rewrite|draft|make|set|turn|play|debug|refactor|review|calculate|cancel|reserve"
    r"|recommend|suggest|check|forget|extract|identify|evaluate|design|implement|derive|solve)\b"
    r"|帮我|请|麻烦|我想|我要|我需要|怎么|为什么|什么|吗|呢|多少|哪|能不能|可以.{0,12}[?？]|总结|翻译|分析|解释"
    r"|订|买|推荐|找|概括|写",
    re.I,
)
_LEAD_IN = re.compile(
    r"^\W*(?:here (?:is|are|'s)|below (?:is|are)|this is|these are|the following|see|attached"
    r"|fyi|context|for context|以下是|下面是|这是|附上|背景)[^?？]{0,120}[:：]?\s*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class FoundAsk:
    """The ask, and which share of the message it is not (0 when the whole message asks)."""

    text: str
    pasted: float
    injected: bool


def without_orders_to_router(text: str) -> str:
    """The text without what speaks to the router instead of the assistant."""
    for pattern in (_BRACKETED, _ADDRESSED, _ASSIGNED):
        text = pattern.sub(" ", text)
    return text


def find_ask(text: str) -> FoundAsk:
    """Find the ask of a message of any length. An empty message is an empty ask."""
    if len(text) > MAX_CHARS:
        text = f"{text[: MAX_CHARS // 2]}\n\n{text[-MAX_CHARS // 2 :]}"
    cleaned = without_orders_to_router(text)
    injected = cleaned != text
    cleaned = cleaned.strip() or text.strip()
    if width(cleaned) <= PASTE_CHARS and "```" not in cleaned and cleaned.count("\n") < 4:
        return FoundAsk(cleaned, 0.0, injected)
    ask = _best_blocks(cleaned)
    pasted = 1 - len(ask) / max(len(cleaned), 1)
    return FoundAsk(ask, max(pasted, 0.0), injected)


def _best_blocks(text: str) -> str:
    """The person's own block of a message; all of it when none speaks."""
    bare = _TAGGED.sub("\n\n", _BLOCKQUOTE.sub("", _FENCE.sub("\n\n", text))).strip()
    if not bare:
        return text
    others_words = any(map(_foreign, bare.splitlines()))
    apart = standing_apart(bare, paste_width=PASTE_CHARS, foreign=others_words)
    if apart is not None:
        return apart
    blocks = _blocks(bare)
    if len(blocks) == 1:
        return bare
    scores = [_score(block, i, len(blocks)) for i, block in enumerate(blocks)]
    best = max(range(len(blocks)), key=lambda i: (scores[i], i))
    if others_words and scores[best] > 0:
        return blocks[best]
    if not _SPEAKS.search(blocks[best]) or len(bare) - len(blocks[best]) < PASTE_CHARS:
        return bare  # a few paragraphs of one's own, not a paste
    return blocks[best]


def _blocks(text: str) -> list[str]:
    """Paragraphs, with a run of chat, log or mail lines cut loose from what stands beside it."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        current: list[str] = []
        machine: bool | None = None
        for line in paragraph.splitlines():
            if not line.strip():
                continue
            foreign = _foreign(line)
            if machine is not None and foreign != machine:
                found.append("\n".join(current))
                current = []
            current.append(line)
            machine = foreign
        if current:
            found.append("\n".join(current))
    return [block.strip() for block in found if block.strip()]


def _foreign(line: str) -> bool:
    """Whether a line was written by a machine or by somebody else than the person who asks."""
    return bool(
        _LOG_LINE.match(line)
        or _CHAT_LINE.match(line)
        or _MAIL_LINE.match(line)
        or _MARKER.match(line)
    )


def _score(block: str, position: int, count: int) -> float:
    """How much a block looks like the ask: it speaks, it stands at an end, it is short."""
    score = 0.0
    lines = block.splitlines()
    if any(_foreign(line) for line in lines) or _LEAD_IN.match(block):
        score -= 3
    if _SPEAKS.search(block):
        score += 1.5
    if position == count - 1:
        score += 1.2
    elif position == 0:
        score += 0.8
    if len(block) < 300:
        score += 0.5
    elif len(block) > 700:
        score -= 1
    return score
