"""Making a proposal out of offers, and showing an open one again. Nothing here can confirm one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from graphs import sentences
from graphs.fits import Plan, plan
from graphs.memory import Draft, again, remember
from graphs.state import Blocked, Cards, Consent, Offer, Proposal
from graphs.visit import SHOWN_MAX, Outcome, Visit, activity
from graphs.wishes import wish
from integrations.money import Money


async def propose(
    visit: Visit,
    offers: Sequence[Offer],
    *,
    draft: Draft | None = None,
    frozen: Plan | None = None,
    shown: Sequence[Offer] = (),
) -> Outcome:
    """Ask the desk to freeze the merchants' totals for `offers` and let the person decide.

    `frozen` is the plan made before the offers were read; without one (a pick from what was
    shown) it is made here, from the person's words and positions alone.
    """
    draft = draft or visit.reading.draft
    if frozen is None:
        draft = replace(draft, vertical=draft.vertical or "product")
        frozen = plan(draft, wish(draft, language=visit.turn.language), key=f"{visit.turn.id}:1")
    listed = _leading(offers, shown)
    visit.emit(Cards(activity(draft), tuple(listed)))
    if not visit.may_propose:
        return Outcome(sentences.refused(visit.language), remember(listed, draft=draft))
    lines = [frozen.line(o) for o in offers]
    made = await visit.context.desk.propose(lines, key=frozen.key, language=visit.turn.language)
    standing = await _beside(visit)
    made, blocked = _one_sheet(standing, made)
    good, problems = _checked(visit, frozen, offers, made)
    if good or blocked:
        visit.emit(Consent((*standing, *good), blocked))
    if not good:
        return Outcome("\n".join(problems), remember(listed, draft=draft))
    text = _announce(visit, frozen, draft, offers, good, beside=standing, blocked=blocked)
    kept = remember(
        listed,
        draft=draft,
        wanted=True,
        lines=lines,
        key=frozen.key,
        beside=visit.memory.beside if standing else (),
    )
    return Outcome("\n".join([text, *problems]), kept, (*standing, *good))


def _one_sheet(
    standing: Sequence[Proposal], made: Sequence[Proposal | Blocked]
) -> tuple[list[Proposal | Blocked], tuple[Blocked, ...]]:
    """What was made, its unready parts told to be completed on the sheet that shows all of it, and
    those parts."""
    parts = [*standing, *(one for one in made if one.checkout_id)]
    url = sentences.sheet_url(parts) if parts else ""
    told = [
        replace(one, url=url) if isinstance(one, Blocked) and one.checkout_id else one
        for one in made
    ]
    return told, tuple(one for one in told if isinstance(one, Blocked) and one.checkout_id)


async def _beside(visit: Visit) -> tuple[Proposal, ...]:
    """What the same message asked for and still waits on the same sheet: the same keys give the
    same checkouts. Nothing of it is kept once the person turns to something else."""
    if visit.reading.fresh:
        return ()
    found = [
        one
        for lines, key in visit.memory.beside
        for one in await visit.context.desk.propose(lines, key=key, language=visit.turn.language)
        if _is_open(one, visit)
    ]
    return tuple(found)


async def propose_picked(
    visit: Visit, offers: Sequence[Offer], draft: Draft, frozen: Plan | None
) -> Outcome:
    """What the person pointed at. Where its own price is beyond the limit that they named before,
    the newer word counts, and it is said."""
    draft = replace(draft, vertical=draft.vertical or "product")
    limits = frozen or plan(draft, wish(draft, language=visit.turn.language), key="")
    if all(limits.affords(o.price * limits.line(o)[1]) for o in offers):
        return await propose(visit, offers, draft=draft, frozen=frozen)
    free = replace(draft, budget=None)
    if frozen is not None:
        frozen = replace(frozen, max_total=None, budget=None)
    made = await propose(visit, offers, draft=free, frozen=frozen)
    beyond = sentences.beyond_limit(limits.limit_text(), visit.language)
    return replace(made, text=f"{beyond}\n{made.text}") if made.proposals else made


async def show_again(visit: Visit) -> Outcome | None:
    """The open proposal once more: the same key gives the same checkout. None when none is open."""
    memory = visit.memory
    if not memory.lines or not visit.may_propose:
        return None
    made = await visit.context.desk.propose(
        list(memory.lines), key=memory.key, language=visit.turn.language
    )
    still = [*await _beside(visit), *(one for one in made if _is_open(one, visit))]
    if not still:
        return None
    visit.emit(Consent(tuple(still)))
    text = f"{sentences.button(still, visit.language)}\n{sentences.sheet_url(still)}"
    return Outcome(text, again(replace(memory, wanted=True, asked="")), tuple(still))


def _is_open(made: Proposal | Blocked, visit: Visit) -> TypeGuard[Proposal]:
    return isinstance(made, Proposal) and made.expires_at > visit.turn.now


def _leading(offers: Sequence[Offer], shown: Sequence[Offer]) -> list[Offer]:
    ids = {o.offer_id for o in offers}
    return [*offers, *(o for o in shown if o.offer_id not in ids)][:SHOWN_MAX]


def _checked(
    visit: Visit, frozen: Plan, offers: Sequence[Offer], made: Sequence[Proposal | Blocked]
) -> tuple[list[Proposal], list[str]]:
    """The proposals that keep to the plan, and a sentence for each that does not.

    The person's limit is for everything together, at however many merchants."""
    good: list[Proposal] = []
    problems: list[str] = []
    for one in made:
        if isinstance(one, Blocked):
            problems.append(sentences.blocked(one, visit.language))
        elif not frozen.kept_by(one, offers):
            problems.append(sentences.changed(visit.language))
        elif not frozen.affords(_with(good, one)):
            problems.append(sentences.over_limit(one, frozen.limit_text(), visit.language))
        else:
            good.append(one)
    if not made:
        problems.append(sentences.changed(visit.language))
    return good, list(dict.fromkeys(problems))


def _with(good: Sequence[Proposal], one: Proposal) -> Money:
    """What this and the others of its currency come to."""
    same = (p.total for p in good if p.total.currency == one.total.currency)
    return sum(same, one.total)


def _announce(
    visit: Visit,
    frozen: Plan,
    draft: Draft,
    offers: Sequence[Offer],
    good: Sequence[Proposal],
    *,
    beside: Sequence[Proposal],
    blocked: Sequence[Blocked],
) -> str:
    """Each merchant's part in words; where there are several, one sum and one link for all."""
    several = len(good) + len(beside) + len(blocked) > 1
    language = visit.language
    about = sentences.facts(frozen.wish, language) if draft.vertical != "product" else ""
    told = [
        sentences.proposal(
            one,
            about=about,
            place=next(
                (sentences.where(o, language) for o in offers if frozen.kept_by(one, [o])), ""
            ),
            language=language,
            linked=visit.alone and not several,
        )
        for one in good
    ]
    said = [sentences.ready(language), *told, sentences.assumption(draft, language)]
    if several and visit.alone:
        said.append(sentences.altogether([*beside, *good], language, blocked=blocked))
    return "\n".join(part for part in said if part)
