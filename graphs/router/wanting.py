"""Words of buying that want nothing: a wish denied, a purchase told.

The classifier hears "buy" and thinks of a purchase. Whoever says "I don't want to buy anything" or
tells what a brother booked last year wants company, and a sheet of offers would be none.
"""

import re
import tomllib
from pathlib import Path
from typing import Final, Literal

_CUES: Final = tomllib.loads(Path(__file__).with_name("wanting.toml").read_text("utf-8"))
_TOLD_MAX: Final = 300

Idle = Literal["", "denied", "told", "chat"]
"""`chat`: denied for the sake of company. The others count only where no purchase is talked about:
inside one, "my wife ordered the other" may mean anything, and the agent knows what was shown."""


def _any(name: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{cue})" for cue in _CUES[name]))


_DENIED, _TOLD, _COMPANY = _any("denied"), _any("told"), _any("company")
_WANTS, _OF_OURS = _any("wants"), _any("of_ours")


def idle(own: str) -> Idle:
    """Which of them an ask in plain form is; '' where it wants something after all."""
    rest = _DENIED.sub(" ", own)
    if rest != own and not _WANTS.search(rest):
        return "chat" if _COMPANY.search(rest) else "denied"
    told = len(own) <= _TOLD_MAX and _TOLD.search(own)
    asked = _WANTS.search(own) or _OF_OURS.search(own)
    return "told" if told and not asked else ""
