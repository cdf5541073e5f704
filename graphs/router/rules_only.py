"""Routing without weights or encoder: what still answers when every learnt version is out.

It knows locks, pickers, outright words and a short list of keywords. It is plainly worse than a
trained version and cannot fail, which is what it is for: the kill switch and the last resort.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from graphs.router.baselines import by_keywords
from graphs.router.features import normalise
from graphs.router.rules import explicit_intent
from graphs.state import Ask, Kind, Role, Route

VERSION: Final = "rules-only"
READ_CHARS: Final = 4_000
"""Keywords are looked for at the beginning: this must be quick for any text."""

_ROLES: Final[Mapping[Kind, Role]] = {
    "casual": "light", "complex": "reasoning", "commercial": "agent",
}  # fmt: skip
_BY_KEYWORDS: Final[Mapping[str, Kind]] = {kind: kind for kind in _ROLES}


class RulesOnly:
    """A `RouterPort` of rules alone."""

    version = VERSION

    def route(self, ask: Ask) -> Route:
        started = time.perf_counter_ns()
        kind, cause = _decide(ask)
        made = Route(
            kind=kind,
            sub="purchase" if kind == "commercial" else "none",
            role=_ROLES[kind],
            effort=ask.effort,
            confidence=0.5 if cause == "keywords" else 1.0,
            cause=cause,
            policy_version=VERSION,
        )
        return replace(made, latency_us=(time.perf_counter_ns() - started) // 1000)


def _decide(ask: Ask) -> tuple[Kind, str]:
    if ask.locked is not None:
        return ask.locked, "state"
    if ask.kind is not None:
        return ask.kind, "user"
    text = ask.text[:READ_CHARS]
    intent = explicit_intent(text, ask.context)
    if intent.blank or intent.thanks:
        return "casual", "blank" if intent.blank else "thanks"
    if "high" in (ask.effort, intent.effort):
        return "complex", "user" if ask.effort else "effort-up"
    if (intent.answers or intent.ack) and ask.previous is not None:
        return ask.previous, "answer"
    return _BY_KEYWORDS[by_keywords(normalise(text))], "keywords"
