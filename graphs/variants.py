"""Sizes and colours: the variant that the words name, or the question which one.

A thing that comes in several is never chosen for the person: another size is another thing.
"""

import re
from collections.abc import Sequence

from graphs import sentences
from graphs.memory import Draft, remember
from graphs.state import Cards, Offer
from graphs.visit import Outcome, Visit

VARIANTS_MAX = 10

_COLOURS = {
    "red": "红", "blue": "蓝", "black": "黑", "white": "白", "green": "绿", "yellow": "黄",
    "grey": "灰", "pink": "粉", "purple": "紫", "brown": "棕", "orange": "橙", "beige": "米",
}  # fmt: skip
_COLOUR = re.compile(rf"\b(?:{'|'.join(_COLOURS)}|gray)\b", re.IGNORECASE)
_COLOUR_ZH = re.compile(rf"({'|'.join(_COLOURS.values())})色?")
_SIZE = re.compile(
    r"\b(?:size|eu|in an?)\s+(?P<said>(?:[2-5]?x{0,3}[sl]|m|small|medium|large|\d{1,3}(?:\.5)?))\b"
    r"|(?<![\w'])(?P<bare>[2-5]?X{0,3}[SL]|M)(?![\w'])"
    r"|(?P<zh>[大中小])[号码]|(?P<number>\d{2}(?:\.5)?)\s*[号码]",
    re.IGNORECASE,
)
_SIZES = {"small": "s", "medium": "m", "large": "l", "小": "s", "中": "m", "大": "l"}


def settled(fit: Sequence[Offer], said: str) -> list[Offer]:
    """The first of `fit` in the variant that the person's words name. Empty: it must be asked."""
    first = fit[0]
    if not first.options:
        return [first]
    wanted = traits(said)
    exact = [o for o in together(first, fit) if wanted <= traits(" ".join(o.options), bare=True)]
    return exact if len(exact) == 1 else []


def together(first: Offer, offers: Sequence[Offer]) -> list[Offer]:
    """All variants of the same thing among the offers, in their order."""
    alike = [o for o in offers if first.group and _group(o) == _group(first)]
    return alike or [first]


def _group(offer: Offer) -> tuple[str, str]:
    return offer.merchant, offer.group


def traits(text: str, *, bare: bool = False) -> frozenset[str]:
    """Sizes and colours in either language, each as one word: 红色 is red, 'size Large' is l.

    `bare`: the text is nothing but options, so that every word and number of it is one.
    """
    found = {m[0].lower().replace("gray", "grey") for m in _COLOUR.finditer(text)}
    chinese = {zh: en for en, zh in _COLOURS.items()}
    found |= {chinese[m[1]] for m in _COLOUR_ZH.finditer(text)}
    for match in _SIZE.finditer(text):
        size = next(value for value in match.groups() if value).lower()
        if match["bare"] and not bare and not match["bare"].isupper():
            continue  # 's' after an apostrophe, 'm' in a sentence
        found.add(_SIZES.get(size, size))
    if bare:
        words = re.findall(r"[\w.]+", text.lower())
        found |= {_SIZES.get(word, word) for word in words}
    return frozenset(found)


def thing(said: str) -> str:
    """The words without sizes and colours: what it is that comes in them."""
    for pattern in (_SIZE, _COLOUR, _COLOUR_ZH):
        said = pattern.sub(" ", said)
    return " ".join(word for word in re.sub(r"(?<!\S)的|的(?!\S)", " ", said).split())


def ask_which(visit: Visit, draft: Draft, offers: Sequence[Offer]) -> Outcome:
    """Sizes and colours of the one thing, and the question which of them."""
    listed = [o for o in offers if o.availability != "out_of_stock"][:VARIANTS_MAX]
    visit.emit(Cards("product-list", tuple(listed)))
    listing = sentences.listing(listed, visit.language)
    text = f"{listing}\n{_which(listed, draft.words, visit.language)}"
    return Outcome(text, remember(listed, draft=draft, wanted=True))


def _which(offers: Sequence[Offer], said: str, language: str) -> str:
    """The question, after the list; where what was said is not there, that is said first."""
    wanted = traits(said)
    there = any(wanted <= traits(" ".join(o.options), bare=True) for o in offers)
    if there:
        return sentences.pick(
            language,
            "Which of them would you like? Tell me its number, or the size and the colour.",
            "您要哪一款？请告诉我序号，或者尺码和颜色。",
        )
    return sentences.pick(
        language,
        "I do not have exactly that one now; these are there. Which one would you like?",
        "您说的那一款现在没有；有这些。您要哪一款？",
    )
