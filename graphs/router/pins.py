"""A model that the person names: "use gpt-5", "answer with claude-4", "用 gpt-5 回答".

Only models of the list are known, and only where the person tells us to use one now: as an order
at a sentence's beginning, or beside a word for answering. Whether the plan allows the model is
decided elsewhere; words grant nothing.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_LEADS: Final = (
    r"(?:please|pls|now|ok(?:ay)?|hey|hi|just|for (?:this|that)(?: one)?|this time|next time)[, ]+"
    r"|(?:can|could|would|will) (?:you|we) (?:please )?"
    r"|(?:i want|i'd like|i would like|i need) (?:you )?to |let's |you should "
)
_ORDERS: Final = (
    r"use|try|switch (?:over |back )?to|change to|go with|pick|choose|call|ask|let|have|take"
    r"|run (?:it|this|that) (?:on|with|through)|hand (?:it|this|that) to|think with"
)
_CLAUSE: Final = r"(?:^|[.!?,;:\n]\s*|\b(?:and|then|but)\s+)"
_BEFORE: Final = rf"{_CLAUSE}(?:{_LEADS})*(?:{_ORDERS})\s+(?:the\s+)?(?:model\s+)?"
_ANSWERS: Final = (
    r"answer|reply|respond|solve|explain|do|write|think|handle|check|translate|summari[sz]e"
)
_BESIDE: Final = (
    rf"\b(?:{_ANSWERS})(?: (?:it|this|that|me|everything|the (?:question|rest)))?,?"
    r" (?:using|with|by|via|on)\s+(?:the\s+)?(?:model\s+)?"
)
_AFTER: Final = (
    r"(?:\s+model)?(?=\s*(?:$|[.,:;!?，。：]"
    r"|(?:please|here|now|for|to|and|on (?:this|that|it)|instead|from now|this time|answer|reply"
    r"|solve|explain|write|tell|think|do|help)\b))"
)
_ZH_BEFORE: Final = (
    r"(?:^|[，。,.!！?？；;：:]\s*|请|麻烦|帮我|这[次题回]|现在|改|就|那|给我)"
    r"(?:用|使用|换成?|换到|切换到|切到|改用|让|叫|请|选|调用)\s*(?:一下|模型)?\s*"
)
_ZH_AFTER: Final = (
    r"\s*(?:这个|那个)?(?:大?模型)?"
    r"(?=\s*(?:$|[，。,.!！?？；;：:]|[来去帮给回答解做写想思处算分翻说吧]))"
)
# Talk about a model, not an order to use one.
_TALK: Final = re.compile(
    r"\b(?:don'?t|do not|never|not|no need to|without|stop|instead of|rather than"
    r"|how (?:do|can|to|should)|why|should (?:i|we)|whether|if (?:i|we|you)|when (?:i|we)"
    r"|he|she|they|people|everyone|who|which|told|tells|says?|said|asked|wants?|heard|read"
    r"|suggest\w*|recommend\w*|i|we)\b"
    r"(?! (?:want|would|need|'d))(?:(?!\b(?:you|please)\b)[^.!?;\n]){0,40}$"
    r"|(?:不要|(?<![区特性类级分识差告个辨鉴])别(?![的人处名])|不用|不必|不想|没有?|怎么|如何|为什么|要不要|该不该|是否|他|她|老师|老板|朋友|同事"
    r"|大家|有人|说|建议|让我)[^，。！？；\n]{0,12}$"
)


def named_model(own: str, models: Sequence[str]) -> str | None:
    """The model of `models` that the person's own words (normalised) order, the last one named."""
    if not models:
        return None
    chosen = None
    for found in _pattern(tuple(models)).finditer(own):
        start = found.start()
        if not _TALK.search(own[max(0, start - 60) : start] + _order(found)):
            chosen = next(name for name in found.groups() if name)
    return _known(chosen, models) if chosen else None


def _order(found: re.Match[str]) -> str:
    """The words of the order before the name: a "not" among them counts."""
    named = next(n for n in found.groups() if n)
    return found[0][: found[0].index(named)]


@lru_cache(maxsize=8)
def _pattern(models: tuple[str, ...]) -> re.Pattern[str]:
    # The longest first, so that "gpt-5-mini" is not read as "gpt-5".
    names = "|".join(_spelt(m) for m in sorted(models, key=len, reverse=True))
    english = rf"(?:{_BEFORE}|{_BESIDE})({names})(?![\w.-]*\w){_AFTER}"
    chinese = rf"{_ZH_BEFORE}({names})(?![a-z0-9]){_ZH_AFTER}"
    return re.compile(f"{english}|{chinese}")


def _spelt(model: str) -> str:
    """A model's name with any of the marks that people write between its parts."""
    parts = re.split(r"[-_ /.:]+", model.lower())
    return r"[-_ /.:]?".join(re.escape(part) for part in parts)


def _known(name: str, models: Sequence[str]) -> str:
    plain = re.sub(r"[-_ /.:]", "", name.lower())
    return next(m for m in models if re.sub(r"[-_ /.:]", "", m.lower()) == plain)
