"""Tokens without a vocabulary at hand: a bound, for what must fit, and an estimate, for a bill."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

PICTURE_BOUND = 2_000  # more than a provider counts for one of any size
PICTURE_ESTIMATE = 800
# Common words are one token, longer ones two; signs go alone or in pairs.
_PIECES = re.compile(
    r"(?P<word>[A-Za-z]+)|(?P<digits>\d+)|(?P<cjk>[\u3000-\u9fff\uff00-\uffef]+)"
    r"|(?P<letters>[^\W\d_]+)|(?P<line>\n+)|(?P<sign>[^\w\s]{1,2}|_)"
)


def token_bound(text: str) -> int:
    """More tokens than any byte-level BPE vocabulary makes of `text`.

    A run of letters costs at most 0.6 tokens a letter, a digit or sign one, a CJK character two,
    anything else its UTF-8 bytes. Plain English comes out about twice too high, on purpose: a
    conversation that might not fit must not be sent.
    """
    bound = 0.0
    for c in text:
        if c.isascii():
            bound += 0.6 if c.isalpha() else (0.2 if c == " " else 1.0)
        elif "\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef":
            bound += 2.0
        else:
            bound += len(c.encode("utf-8", "replace"))
    return int(bound) + 1


def token_estimate(text: str) -> int:
    """About as many tokens as a current vocabulary makes of `text`: nobody should pay a bound."""
    return math.ceil(sum(_weight(str(m.lastgroup), len(m[0])) for m in _PIECES.finditer(text)))


def _weight(kind: str, length: int) -> float:
    match kind:
        case "word":
            return 1 + (length - 1) // 7
        case "digits":
            return -(-length // 3)
        case "cjk":
            return 0.8 * length
        case "letters":
            return length / 3
    return 1


def conversation_bound(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> int:
    """The bound over messages and tools, with the chat template's own tokens (8 a message)."""
    seen = [_without_pictures(m) for m in messages]
    bodies = [_json(body) for body in (*(m for m, _ in seen), *tools)]
    pictures = sum(count for _, count in seen)
    return sum(token_bound(body) + 8 for body in bodies) + pictures * PICTURE_BOUND


def conversation_estimate(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> int:
    """The estimate over messages (4 tokens each for the template) and tools."""
    seen = [_without_pictures(m) for m in messages]
    said = [str(m["content"]) if m.keys() == {"role", "content"} else _json(m) for m, _ in seen]
    pictures = sum(count for _, count in seen)
    counted = sum(token_estimate(body) + 4 for body in said)
    return counted + sum(map(token_estimate, map(_json, tools))) + pictures * PICTURE_ESTIMATE


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, default=str)


def _without_pictures(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """A picture costs by its size and not by the letters that carry it."""
    parts = message.get("content")
    if not isinstance(parts, list):
        return message, 0
    kept = [p for p in parts if not isinstance(p, dict) or p.get("type") != "image_url"]
    return {**message, "content": kept}, len(parts) - len(kept)
