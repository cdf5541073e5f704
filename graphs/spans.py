"""What a model may add to a wish: words that it points at, as far as the message says them.

Small models invent budgets, move numbers and copy their examples; so they may point, not tell.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graphs.memory import Draft, Vertical
from graphs.numerals import normalise

_KINDS: Mapping[str, Vertical] = {"product": "product", "table": "table", "room": "room"}

SPAN_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["product", "table", "room", "unclear"]},
        "item": {"type": "string", "maxLength": 60},
        "place": {"type": "string", "maxLength": 40},
    },
    "required": ["kind", "item", "place"],
    "additionalProperties": False,
}


def with_spans(draft: Draft, text: str, answer: Mapping[str, Any] | None) -> Draft:
    """`draft` with what a model pointed at, as far as the message says it word for word.

    The model settles a vertical only where the words left it open; it can set no number, date,
    price or quantity, because no such field is read.
    """
    if not answer:
        return draft
    vertical = draft.vertical
    kind = answer.get("kind")
    if vertical is None and isinstance(kind, str) and kind in _KINDS:
        vertical = _KINDS[kind]
    item = _verbatim(answer.get("item"), text)
    place = _verbatim(answer.get("place"), text)
    if place and item and place.lower() in item.lower():
        place = ""  # one span fills one slot
    return replace(
        draft,
        vertical=vertical,
        words=draft.words or item,
        place=draft.place or (place if vertical != "product" else ""),
    )


def _verbatim(span: Any, text: str) -> str:
    if not isinstance(span, str):
        return ""
    said = normalise(span)[:60]
    if not re.search(r"[^\W\d_]", said) or said.lower() not in normalise(text).lower():
        return ""
    return said


EXAMPLES: tuple[dict[str, Any], ...] = (
    {
        "role": "system",
        "content": "Copy words from the message. kind: product, table, room or unclear. "
        "item: the thing or kind of food wanted, copied. place: the town, copied, or empty.",
    },
    {"role": "user", "content": "could you sort out somewhere nice for our anniversary in Bremen"},
    {"role": "assistant", "content": '{"kind":"table","item":"","place":"Bremen"}'},
    {"role": "user", "content": "my feet get cold on the balcony in winter"},
    {"role": "assistant", "content": '{"kind":"unclear","item":"","place":""}'},
    {"role": "user", "content": "家里的水壶坏了，得换一把"},
    {"role": "assistant", "content": '{"kind":"product","item":"水壶","place":""}'},
)
