"""Card numbers typed into a chat: masked before they are stored, logged or sent to a model.

A number seldom stands alone: a count comes before it, an expiry date and a code after it. So what
is looked at begins and ends where a group of digits does, wherever in a run that is.
"""

import re
import unicodedata
from collections.abc import Iterator

# Who issues cards, by first digits and length (ISO/IEC 7812). Timestamps, ISBNs and most order
# numbers begin otherwise, so that one in ten of them passing the check digit does no harm.
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720|9792)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}|5[0678]\d{11,17}"
    r"|(?:35(?:2[89]|[3-8]\d)|220[0-4]|8[12]\d\d|6\d{3})\d{12,15}"
)
# The sketch of a text: its digits, ` - . / _ ,` for what may stand between groups, `f` for what
# is not seen, and `x` for all the rest.
_APART = {"/": "/／", ".": ".．·", ",": ",，\n\r\t\v\f", "_": "_＿", "-": "−"}
_KINDS = {c: kind for kind, those in _APART.items() for c in those}
_GAPS = dict.fromkeys(map(ord, " -./_,f"))
_BETWEEN = r"[ \-./_,f]{1,3}"
# As people and forms write them: in one piece, by fours with a shorter last group or two, or as
# their issuer prints them.
_USUAL = tuple(
    re.compile(rf"(?<![0-9])(?=([2-9]{shape})(?![0-9]))".replace("S", _BETWEEN))
    for shape in (
        r"[0-9]{12,18}",
        r"[0-9]{3}S[0-9]{4}S[0-9]{4}S[0-9]{1,4}",
        r"[0-9]{3}S[0-9]{4}S[0-9]{4}S[0-9]{4}S[0-9]{1,3}",
        r"[0-9]{3}S[0-9]{6}S[0-9]{4,5}",
        r"[0-9]{5}S[0-9]{10,13}",
        r"[0-9]{7}S[0-9]{8}",
    )
)
# In other groups, only from end to end of what one separator holds together: lists of numbers are
# many, and a piece of one passes the check soon.
_STRETCH = tuple(
    re.compile(rf"(?<![0-9]){group}(f?[ .\-]f?|f){group}(?:\1{group})+")
    for group in (r"[0-9]++", r"[0-9](?![0-9])")
)
# By fours in a column or between commas, it is a card only if the list is no longer than one.
_LISTED_BEFORE = re.compile(r"[0-9]{4} ?, ?$")
_LISTED_AFTER = re.compile(r"(?: ?, ?[0-9]{4}(?![0-9])){2}")
_PHONE_MAX = 14  # digits after a plus sign; cards of fifteen and more are no phone numbers
_MASKED = re.compile(r"•••• [0-9]{4}(?![0-9])")
_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED = bytes.maketrans(bytes(range(10)), bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))


def mask_cards(text: str) -> str:
    """Every card number becomes bullets with its last four digits; nothing else is touched."""
    if sum(map(str.isdigit, text)) < 13:
        return text
    for shapes in (_USUAL, _STRETCH):
        sketch = text.translate({ord(c): _sketched(c) for c in set(text)})
        sketch = _MASKED.sub("x" * 9, sketch)
        out, done = [], 0
        for start, end in _merged(sorted(_cards(text, sketch, shapes))):
            out += [text[done:start], "•••• ", _digits(sketch[start:end])[-4:]]
            done = end
        text = "".join([*out, text[done:]])
    return text


def _sketched(c: str) -> str:
    digit = unicodedata.digit(c, None)
    if digit is not None:
        return str(digit)
    kind = unicodedata.category(c)
    known = "f" if kind == "Cf" else "-" if kind == "Pd" else c if c == "•" else None
    return known or _KINDS.get(c) or (" " if c.isspace() else "x")


def _digits(piece: str) -> str:
    return piece.translate(_GAPS)


def _cards(
    text: str, sketch: str, shapes: tuple[re.Pattern[str], ...]
) -> Iterator[tuple[int, int]]:
    for shape in shapes:
        for found in shape.finditer(sketch):
            start, end = found.span(1) if shape in _USUAL else found.span()
            digits = _digits(sketch[start:end])
            if not _ISSUED.fullmatch(digits) or not _luhn(digits):
                continue
            if not _other(text, sketch, start, end, digits):
                yield start, end


def _other(text: str, sketch: str, start: int, end: int, digits: str) -> bool:
    """Whether it is an article's number, a phone's, or a piece of a list of numbers."""
    if len(digits) == 13 == end - start and _article(digits):
        return True
    if len(digits) <= _PHONE_MAX and text[start - 1 : start] in ("+", "＋"):
        return True
    if "," not in sketch[start:end]:
        return False
    before = _LISTED_BEFORE.search(sketch[max(0, start - 7) : start])
    return before is not None or _LISTED_AFTER.match(sketch, end) is not None


def _luhn(digits: str) -> bool:
    values = digits.encode().translate(_VALUES)
    return (sum(values[-1::-2]) + sum(values[-2::-2].translate(_DOUBLED))) % 10 == 0


def _article(digits: str) -> bool:
    """Whether its last digit is that of an EAN-13, which shops write in one piece."""
    return sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(digits)) % 10 == 0


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that overlap as one: which of them is the card cannot be known."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
