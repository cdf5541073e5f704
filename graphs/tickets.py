"""Tickets and flights: things with a day of their own, which some merchants sell like goods.

Nothing of this kind is booked live. What a merchant lists with its date is shown with it, and only
that: a flight jacket is no flight.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from graphs import sentences
from graphs.memory import Draft, remember
from graphs.numerals import NUMBER_EN, NUMBER_ZH, Page, number
from graphs.quantities import party, pieces
from graphs.state import Cards, Offer
from graphs.visit import SHOWN_MAX, Outcome, Visit, activity
from graphs.wishes import wish

SEARCH_LIMIT = 20
# What we cannot book → how the category begins that a merchant may sell it under.
_SOLD_AS: Mapping[str, str] = {"flights": "flights", "event and cinema tickets": "tickets"}


async def dated(visit: Visit) -> Outcome | None:
    """What is on sale of the kind that was asked for, the day that was named first. None: nothing.

    It is shown, never proposed at once: which day and which seat is the person's to say.
    """
    kind = _SOLD_AS.get((visit.reading.unsupported or ("", ""))[0])
    if kind is None:
        return None
    asked = visit.reading.draft
    draft = Draft(
        vertical="product",
        words=visit.turn.ask.text[:200],
        quantity=_count(visit.turn.ask.text),
        budget=asked.budget,
    )
    query = wish(draft, language=visit.turn.language)
    found = await visit.context.shelf.search(query, limit=SEARCH_LIMIT)
    sold = [o for o in found if _is(kind, o)]
    if not sold:
        return None
    day = asked.day.isoformat() if asked.day else ""
    ordered = sorted(sold, key=lambda o: o.attributes["date"] != day)[:SHOWN_MAX]
    visit.emit(Cards(activity(draft), tuple(ordered)))
    said = [
        sentences.found(len(ordered), replace(query, query=""), visit.language),
        sentences.listing(ordered, visit.language),
        sentences.which_one(visit.language),
    ]
    return Outcome("\n".join(said), remember(ordered, draft=draft))


_TICKETS = re.compile(
    rf"\b(?P<a>{NUMBER_EN})(?: \w+){{0,2}} tickets?\b|(?P<b>{NUMBER_ZH})张", re.IGNORECASE
)


def _count(text: str) -> int | None:
    """How many tickets, or for how many people."""
    found = _TICKETS.search(text)
    if found:
        return number(found["a"] or found["b"])
    return pieces(Page(text)) or party(Page(text))


def _is(kind: str, offer: Offer) -> bool:
    has_a_day = bool(offer.attributes.get("date"))
    return has_a_day and offer.attributes.get("category", "").startswith(kind)
