"""Card numbers typed into a chat: masked before they are stored, logged or sent to a model."""

import re

# 13 to 19 digits, possibly in groups, as people and forms write them (ISO/IEC 7812).
_CANDIDATE = re.compile(r"(?<![\d])\d(?:[ \u00a0.\-–]?\d){12,18}(?![\d])")
_DIGITS = str.maketrans("０１２３４５６７８９", "0123456789")


def mask_cards(text: str) -> str:
    """Every run that passes the Luhn check becomes bullets with its last four digits."""
    return _CANDIDATE.sub(_masked, text.translate(_DIGITS) if _wide(text) else text)


def _wide(text: str) -> bool:
    return any("０" <= c <= "９" for c in text)


def _masked(match: re.Match[str]) -> str:
    digits = [int(c) for c in match.group() if c.isdigit()]
    if not _luhn(digits):
        return match.group()
    return "•••• " + "".join(str(d) for d in digits[-4:])


def _luhn(digits: list[int]) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
