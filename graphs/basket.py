"""A basket of several things: each is searched for by itself, all are agreed to on one sheet.

One checkout a merchant, each with its own outcome; the person's limit holds for the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphs import asides, sentences
from graphs.fits import Plan, coverage, fitting, plan
from graphs.memory import Draft, remember
from graphs.proposing import propose
from graphs.state import Cards, Offer
from graphs.variants import settled, together
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
        note = asides.kept(visit) if kept else remember((), draft=draft)
        return Outcome("\n".join(_lacking(visit, found)), note)
    if not wants or not all(one.fit for one in found):
        return _show(visit, draft, found, kept)
    each = dict(visit.memory.lines) if kept else {}
    for one in found:  # the same thing named twice is more of it
        each[one.fit[0].offer_id] = each.get(one.fit[0].offer_id, 0) + one.quantity
    offers = {o.offer_id: o for o in (*kept, *(one.fit[0] for one in found))}
    frozen = replace(frozen, each=each)
    return await propose(visit, list(offers.values()), draft=draft, frozen=frozen)


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
    alone = replace(draft, words=words, quantity=quantity, also=(), budget=None, floor=None)
    query = wish(alone, language=visit.turn.language)
    frozen: Plan = plan(alone, query, key="")
    offers = await visit.context.shelf.search(query, limit=SEARCH_LIMIT)
    fit = tuple(fitting(offers, alone, frozen))
    if fit and not (chosen := settled(fit, words)):  # which size or colour has to be said
        return Found(words, quantity, (), tuple(together(fit[0], fit)[:SHOWN_EACH]))
    if fit:
        fit = (*chosen, *(o for o in fit if o not in chosen))
    return Found(words, quantity, fit, () if fit else tuple(offers[:SHOWN_EACH]))


def _show(visit: Visit, draft: Draft, found: Sequence[Found], kept: Sequence[Offer]) -> Outcome:
    """What there is of each. What is proposed already stays so, and is remembered behind it."""
    shown = [o for one in found for o in (one.fit or one.near)[:SHOWN_EACH]][:SHOWN_MAX]
    visit.emit(Cards("product-list", tuple(shown)))
    listing = sentences.listing(shown, visit.language)
    closing = sentences.refused(visit.language)
    if visit.may_propose:
        closing = sentences.which_ones(visit.language)
    memory = visit.memory
    note = remember(
        [*shown, *kept],
        draft=draft,
        wanted=memory.wanted,
        lines=memory.lines if kept else (),
        key=memory.key if kept else "",
    )
    return Outcome("\n\n".join([listing, *_lacking(visit, found), closing]), note)


def _lacking(visit: Visit, found: Sequence[Found]) -> list[str]:
    return [
        sentences.lacking(one.words, visit.language, near=bool(one.near))
        for one in found
        if not one.fit
    ]
