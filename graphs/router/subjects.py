"""What a commercial turn is about where its words say so outright: a table, a room, goods.

The policies' descriptions are only like a turn: "hotel in Rome" is near to flights to Rome, and
"make it four people" near to anything that comes in fours.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from graphs.router.features import normalise
from graphs.state import Message
from graphs.vocabulary import BUY
from graphs.wishes import vertical_of

_CUES: Final = tomllib.loads(Path(__file__).with_name("subjects.toml").read_text("utf-8"))
_EARLIER_CHARS: Final = 300
_READ_CHARS: Final = 400
_SHOWN_CHARS: Final = 1500
_DOMAINS: Final = {"table": "restaurant", "room": "hotel"}


def _any(name: str) -> re.Pattern[str]:
    cues = (cue.replace("{those}", _CUES["those"]) for cue in _CUES[name])
    return re.compile("|".join(f"(?:{cue})" for cue in cues))


_ASKS, _OFFERS, _AMENDS = _any("asks_of_shown"), _any("offers"), _any("amends")
_BUYS, _NO_GOODS, _ELSEWHERE = _any("buys"), _any("no_goods"), _any("elsewhere")


def asks_of_shown(plain: str) -> bool:
    """ "Do they have vegetarian dishes?": of whatever was shown, if something was."""
    return len(plain) <= 120 and _ASKS.search(plain) is not None


def shows_offers(context: Sequence[Message]) -> bool:
    """Whether the assistant's newest message lists what may be had."""
    if not context or context[-1].role != "assistant":
        return False
    return _OFFERS.search(normalise(context[-1].text[:_SHOWN_CHARS])) is not None


def buys_goods(plain: str) -> bool:
    """ "등산화 사고 싶어": to buy, and no ticket or room, in a language without a list of goods."""
    return _BUYS.search(plain) is not None and not _NO_GOODS.search(plain)


def named_domain(plain: str, context: Sequence[Message]) -> str:
    """The domain that the words name, or that the words which they amend or ask about named.

    '' where they leave it open.
    """
    plain = plain[:_READ_CHARS]
    if named := _own_domain(plain):
        return named
    if not (_AMENDS.search(plain) or asks_of_shown(plain)):
        return ""
    said = [m.text for m in context if m.role == "user"]
    earlier = (_own_domain(normalise(text[:_EARLIER_CHARS])) for text in reversed(said))
    return next(filter(None, earlier), "")


def _own_domain(plain: str) -> str:
    if buys_goods(plain):
        return "product"
    if BUY.search(plain) or _ELSEWHERE.search(plain):
        return ""
    return _DOMAINS.get(vertical_of(plain) or "", "")
