"""A basket of several things: each is searched for by itself, all are agreed to on one sheet.

One checkout a merchant, each with its own outcome; the person's limit holds for the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphs import sentences
from graphs.fits import Plan, coverage, fitting, plan
from graphs.memory import Draft, remember
from graphs.proposing import propose
from graphs.state import Cards, Offer
from graphs.visit import SHOWN_MAX, Outcome, Visit
from graphs.wishes import wish

SEARCH_LIMIT = 12
SHOWN_EACH = 2


@dataclass(frozen=True, slots=True)
class Found:
    """One thing of the basket with the offers that are it, best first."""

    words: str
    quantity: int
    fit: tuple[Offer, ...]
    near: tuple[Offer, ...] = ()  # what the shelf has instead, where nothing is it


async def fill(visit: Visit, draft: Draft, *, wants: bool, kept: Sequence[Offer] = ()) -> Outcome:
    """Propose all of them, or show what there is of each and say what is missing.

    `kept` are offers that are proposed already; the new things come on top of them.
    """
    frozen = plan(draft, wish(draft, language=visit.turn.language), key=f"{visit.turn.id}:1")
    things = [(draft.words, draft.quantity or 1), *draft.also]
    if kept:
        things = things[1:]
    found = [await _found(visit, draft, words, count) for words, count in things]
    if not any(one.fit or one.near for one in found):
        return Outcome(sentences.nothing(frozen.wish, visit.language), remember((), draft=draft))
    if not wants or not all(one.fit for one in found):
        return _show(visit, draft, found)
    each = {one.fit[0].offer_id: one.quantity for one in found}
    each |= {i: q for i, q in visit.memory.lines if any(o.offer_id == i for o in kept)}
    offers = [*kept, *(one.fit[0] for one in found)]
    return await propose(visit, offers, draft=draft, frozen=replace(frozen, each=each))


def of_each(visit: Visit, draft: Draft, offers: Sequence[Offer]) -> Plan | None:
    """How many of each thing that was picked, where several were asked for; else None."""
    if not draft.also:
        return None
    things = [(draft.words, draft.quantity or 1), *draft.also]
    each = {}
    for offer in offers:
        near = [coverage(words, offer) or 0.0 for words, _ in things]
        each[offer.offer_id] = things[near.index(max(near))][1]
    frozen = plan(draft, wish(draft, language=visit.turn.language), key=f"{visit.turn.id}:1")
    return replace(frozen, each=each)


async def _found(visit: Visit, draft: Draft, words: str, quantity: int) -> Found:
    alone = replace(draft, words=words, quantity=quantity, also=(), budget=None)
    query = wish(alone, language=visit.turn.language)
    frozen: Plan = plan(alone, query, key="")
    offers = await visit.context.shelf.search(query, limit=SEARCH_LIMIT)
    fit = tuple(fitting(offers, alone, frozen))
    return Found(words, quantity, fit, () if fit else tuple(offers[:SHOWN_EACH]))


def _show(visit: Visit, draft: Draft, found: Sequence[Found]) -> Outcome:
    shown = [o for one in found for o in (one.fit or one.near)[:SHOWN_EACH]][:SHOWN_MAX]
    visit.emit(Cards("product-list", tuple(shown)))
    listing = sentences.listing(shown, visit.language)
    missing = [
        sentences.lacking(one.words, visit.language, near=bool(one.near))
        for one in found
        if not one.fit
    ]
    closing = sentences.refused(visit.language)
    if visit.may_propose:
        closing = sentences.which_ones(visit.language)
    return Outcome("\n".join([listing, *missing, closing]), remember(shown, draft=draft))
