"""The commercial turn: understand → freeze a plan → search → compare → propose, or ask one thing.

The person's words settle every fact; a model may only point at words. A proposal waits for the
person's own confirmation, and no sentence of the chat, whoever wrote it, can stand in for that.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from graphs import acts, asides, sentences
from graphs.asked import about
from graphs.basket import fill, of_each
from graphs.choices import Choice
from graphs.errands import errands, next_question, together, turned_to
from graphs.fits import Plan, fitting, plan
from graphs.headings import heading, no_flight, on_the_way
from graphs.memory import Draft, Fact, Memory, Vertical, forget, recall, remember
from graphs.moves import move
from graphs.numerals import shortened
from graphs.occasions import unsuited
from graphs.outings import other_days
from graphs.proposing import propose, propose_picked, show_again
from graphs.spans import EXAMPLES, SPAN_SCHEMA, with_spans
from graphs.state import Admission, Called, Cards, Event, Offer, Route, Turn, TurnContext
from graphs.variants import ask_which, settled
from graphs.variants import together as variants_of
from graphs.visit import SHOWN_MAX, Outcome, Visit, activity
from graphs.wishes import Reading, missing, read, vertical_of, wish

FILL_TIMEOUT_S = 8.0
SEARCH_LIMIT = 12
REPLAYED_MAX = 20
_FACTS = ("day", "until", "hour", "party", "nights", "place", "cuisine")


async def shop(
    turn: Turn,
    route: Route,
    admission: Admission,
    context: TurnContext,
    emit: Callable[[Event], None],
) -> Outcome:
    """Answer one commercial turn. Emits cards, model calls and consent; says the rest as text."""
    parts = errands(turn.ask.text)
    if len(parts) == 1:
        return await _errand(turn, route, admission, context, emit)

    async def one(part: Turn, emit: Callable[[Event], None]) -> Outcome:
        return await _errand(part, route, admission, context, emit, alone=False)

    return await together(parts, turn, emit, one)


async def _errand(
    turn: Turn,
    route: Route,
    admission: Admission,
    context: TurnContext,
    emit: Callable[[Event], None],
    *,
    alone: bool = True,
) -> Outcome:
    today = turn.now.astimezone(ZoneInfo(turn.timezone)).date()
    memory = recall(turn.ask.context) or _replay(turn, today)
    memory = turned_to(memory, turn.ask.text)
    reading = read(
        turn.ask.text,
        today=today,
        language=turn.language,
        memory=memory,
        hint=_hint(route),
        goods=route.sub != "booking" or acts.browses(shortened(turn.ask.text)),
    )
    visit = Visit(turn, route, admission, context, emit, memory, reading, today, alone)
    outcome = await _answered(visit)
    return next_question(visit, outcome) if alone else outcome


async def _answered(visit: Visit) -> Outcome:
    memory, reading = visit.memory, visit.reading
    moved = await move(visit) or await about(visit)
    if moved is not None:
        return moved
    answering = memory.asked == "cancel" and reading.choice is not None
    step = asides.cancel if answering else _STEPS.get(reading.act)
    outcome = await step(visit) if step else None
    if outcome is not None:
        return outcome
    if reading.unsupported:
        return Outcome(sentences.unsupported(reading.unsupported, visit.language))
    if uncounted := asides.how_many(visit):
        return uncounted
    if reading.choice:
        return await _chosen(visit, reading.choice)
    nth = memory.nth if not reading.fresh else None
    return await _added(visit) or await _revised(visit) or await _search(visit, nth=nth)


def _hint(route: Route) -> Vertical | None:
    """The router's idea of the vertical, for messages whose own words leave it open."""
    domain = route.domain.lower()
    if any(word in domain for word in ("restaurant", "dining", "table")):
        return "table"
    if any(word in domain for word in ("hotel", "lodging", "room", "stay")):
        return "room"
    if any(word in domain for word in ("event", "ticket", "flight")):
        return "product"
    return "product" if route.sub == "purchase" else None


def _replay(turn: Turn, today: date) -> Memory:
    """Without a stored memory (a client that keeps its own history) the person's earlier messages
    are read again. Nothing shown is remembered then, so a pick searches again."""
    memory = Memory()
    said = [m for m in turn.ask.context if m.role == "user"]
    for message in said[-REPLAYED_MAX:]:
        text = shortened(forget(message.text))
        chinese = any("\u4e00" <= c <= "\u9fff" for c in text)
        language: Literal["en", "zh"] = "zh" if chinese else "en"
        goods = acts.browses(text)
        reading = read(text, today=today, language=language, memory=memory, goods=goods)
        if reading.act == "look" and not goods and vertical_of(text) is None:
            continue  # a question about the world, not about what is for sale
        picked = reading.choice.indices[:1] if reading.choice else ()
        if reading.draft.vertical is None or (reading.draft == memory.draft and not picked):
            continue  # small talk, or nothing that changes the wish
        wanted = reading.act == "acquire" or (memory.wanted and not reading.fresh)
        asked = missing(reading.draft, today=today) if wanted else ""
        nth = picked[0] if picked else (None if reading.fresh else memory.nth)
        memory = Memory(draft=reading.draft, wanted=wanted, asked=asked, nth=nth)
    return memory


# --- acts that need no search -------------------------------------------------------------------


async def _confirm(visit: Visit) -> Outcome | None:
    """'Yes, buy it': the open proposal again, a lapsed one anew, else a pick or a question."""
    memory = visit.memory
    again = await show_again(visit)
    if again:
        return again
    if memory.lines:
        return await _pick(visit, memory.proposed or (0,))
    if len(memory.offers) == 1:
        return await _pick(visit, (0,))
    return await _ask_which(visit) if memory.offers else None


async def _details(visit: Visit) -> Outcome | None:
    chosen = visit.reading.choice
    if chosen is None:
        return None
    if chosen.unclear:
        return await _ask_which(visit)
    offers = await visit.context.shelf.get(
        asides.ids(visit, chosen.indices), language=visit.turn.language
    )
    if not offers:  # not remembered or gone: the list again
        return await _search(visit)
    told = "\n\n".join(sentences.details(o, visit.language) for o in offers)
    return Outcome(told, asides.kept(visit))


async def _ask_which(visit: Visit) -> Outcome:
    offers = await visit.shown()
    text = sentences.ask("which", visit.language)
    if offers:
        text += "\n" + sentences.listing(offers, visit.language)
    return Outcome(text, asides.kept(visit))


# --- picking one of what was shown, or changing what is proposed --------------------------------


async def _chosen(visit: Visit, chosen: Choice) -> Outcome:
    if chosen.unclear:
        return await _ask_which(visit)
    if not visit.memory.offers:
        return await _search(visit, nth=chosen.indices[0])
    if chosen.indices == visit.memory.proposed and visit.reading.draft == visit.memory.draft:
        again = await show_again(visit)
        if again:
            return again
    return await _pick(visit, chosen.indices)


async def _pick(visit: Visit, indices: Sequence[int]) -> Outcome:
    """Propose what was picked, read again from the shelf. Changed facts mean a new search."""
    ids = asides.ids(visit, indices)
    draft = visit.reading.draft
    if _facts_changed(visit):
        return await _search(visit, same_as=ids[0])
    fact = _unmet(draft, visit)
    if fact:
        text = sentences.ask(fact, visit.language)
        shown = await visit.context.shelf.get(ids, language=visit.turn.language)
        return Outcome(text, remember(shown, draft=draft, wanted=True, asked=fact))
    offers = list(await visit.context.shelf.get(ids, language=visit.turn.language))
    if not offers:
        return await _search(visit)
    return await propose_picked(visit, offers, draft, of_each(visit, draft, offers))


async def _added(visit: Visit) -> Outcome | None:
    """One more thing for the basket that is proposed: 'add a headlamp too', '再加一个水壶'."""
    memory, new = visit.memory, visit.reading.new
    goods = memory.draft.vertical == "product" and new.vertical in {None, "product"}
    if not (memory.offers and goods and new.words and acts.adds(visit.turn.ask.text)):
        return None
    more = ((new.words, new.quantity or 1), *new.also)
    if not memory.lines:
        draft = replace(memory.draft, also=(*memory.draft.also, *more))
        return await fill(visit, draft, wants=memory.wanted)
    draft = replace(memory.draft, also=more)
    kept = await visit.context.shelf.get([i for i, _ in memory.lines], language=visit.turn.language)
    return await fill(visit, draft, wants=True, kept=kept)


async def _revised(visit: Visit) -> Outcome | None:
    """A change to what is already proposed or picked: 'make it two', 'make it 8pm instead'."""
    memory, draft = visit.memory, visit.reading.draft
    started = [i for i, _ in memory.lines] or [o.offer_id for o in memory.offers[:1]]
    pending = bool(memory.lines) or (memory.wanted and len(memory.offers) == 1)
    if not pending or visit.reading.fresh or visit.reading.act not in {"plain", "acquire"}:
        return None
    if _facts_changed(visit):
        return await _search(visit, same_as=started[0])
    if replace(memory.draft, quantity=draft.quantity) != draft or draft == memory.draft:
        return None
    if len(started) > 1:  # of a basket, two of which?
        return await _ask_which(visit)
    offers = list(await visit.context.shelf.get(started, language=visit.turn.language))
    return await propose(visit, offers, draft=draft) if offers else None


def _facts_changed(visit: Visit) -> bool:
    """Whether a booking's facts differ from those that the shown offers were found for."""
    old, new = visit.memory.draft, visit.reading.draft
    dated = new.vertical != "product" or new.day is not None
    return dated and any(getattr(old, n) != getattr(new, n) for n in _FACTS)


def _unmet(draft: Draft, visit: Visit) -> Fact:
    """The fact that a booking still needs; a picked product needs none."""
    return "" if draft.vertical in {None, "product"} else missing(draft, today=visit.today)


# --- searching ----------------------------------------------------------------------------------


async def _search(visit: Visit, *, nth: int | None = None, same_as: str = "") -> Outcome:
    """Freeze the plan, search, and either propose the best fit, show what there is, or ask."""
    draft = await _settled(visit)
    wants = visit.may_propose and _wants(visit, draft, nth=nth)
    fact = missing(draft, today=visit.today)
    if fact == "what" or (fact and wants) or (draft.day and draft.day < visit.today):
        return _question(visit, draft, fact)
    if draft.also:
        return await fill(visit, draft, wants=wants)
    query = wish(draft, language=visit.turn.language)
    frozen = plan(draft, query, key=f"{visit.turn.id}:1")
    offers = await _offers(visit, frozen)
    over = not offers and bool(query.min_total or query.max_total)
    if over:
        frozen = replace(frozen, wish=replace(query, min_total=None, max_total=None))
        offers = await _offers(visit, frozen)
    if not offers:
        if fact:
            return _question(visit, draft, fact)
        if visit.reading.act in {"more", "cheaper"} and visit.memory.offers:
            return Outcome(sentences.no_more(visit.language), asides.kept(visit))
        kept = remember((), draft=draft, wanted=wants)
        return Outcome(sentences.nothing(query, visit.language), kept)
    fit = _narrowed(visit, fitting(offers, draft, frozen), offers, nth=nth, same_as=same_as)
    if wants and fit:
        chosen = fit[:1] if nth is not None or same_as else settled(fit, draft.words)
        if not chosen:
            return ask_which(visit, draft, variants_of(fit[0], offers))
        return await propose(visit, chosen, draft=draft, frozen=frozen, shown=fit)
    return _show(visit, draft, frozen, offers, fit=fit, over=over)


def _wants(visit: Visit, draft: Draft, *, nth: int | None) -> bool:
    """Whether the person asked for one thing to be bought or booked, not for a look around."""
    reading = visit.reading
    pending = visit.memory.wanted and not reading.fresh and reading.act == "plain"
    asked = reading.act in {"acquire", "confirm"} or pending
    return asked and (nth is not None or not draft.vague)


def _question(visit: Visit, draft: Draft, fact: Fact) -> Outcome:
    """One short question; the wish so far is kept for the answer."""
    text = sentences.ask(fact, visit.language)
    if fact == "date" and draft.day is not None:
        text = sentences.past_day(draft.day, visit.language)
        draft = replace(draft, day=None)
    wanted = visit.reading.act == "acquire" or (visit.memory.wanted and not visit.reading.fresh)
    return Outcome(text, remember((), draft=draft, wanted=wanted, asked=fact))


async def _settled(visit: Visit) -> Draft:
    """The draft, with a model's pointing where the words left the kind or the thing open."""
    draft, text = visit.reading.draft, visit.turn.ask.text
    open_kind = draft.vertical is None or (draft.vertical == "product" and not draft.words)
    if not open_kind or visit.memory.asked not in {"", "what"} or not text.strip():
        return draft
    answer, usage = await visit.context.models.fill(
        visit.admission.model,
        [*EXAMPLES, {"role": "user", "content": text[:1000]}],
        SPAN_SCHEMA,
        max_tokens=120,
        timeout_s=FILL_TIMEOUT_S,
    )
    visit.emit(Called(visit.admission.model, usage))
    return with_spans(draft, text, answer)


async def _offers(visit: Visit, frozen: Plan) -> list[Offer]:
    """What the shelf has; for 'anything else?' what was not shown, for 'cheaper' what is below."""
    found = list(await visit.context.shelf.search(frozen.wish, limit=SEARCH_LIMIT))
    if visit.reading.act == "more":
        seen = {o.offer_id for o in visit.memory.offers}
        return [o for o in found if o.offer_id not in seen]
    if visit.reading.act == "cheaper" and visit.memory.offers:
        proposed = [visit.memory.offers[i] for i in visit.memory.proposed]
        mark = (proposed or list(visit.memory.offers))[0].price
        below = [o for o in found if o.price.currency == mark.currency and o.price < mark]
        return sorted(below, key=lambda o: o.price.amount)
    return found


def _narrowed(
    visit: Visit, fit: list[Offer], offers: list[Offer], *, nth: int | None, same_as: str
) -> list[Offer]:
    """The position that was named, or the same house at the new time if it has one."""
    if nth is not None:
        return [offers[nth]] if -len(offers) <= nth < len(offers) else []
    old = next((o for o in visit.memory.offers if o.offer_id == same_as), None)
    if old is None:
        return fit
    return [o for o in fit if (o.title, o.merchant) == (old.title, old.merchant)] or fit


def _show(
    visit: Visit,
    draft: Draft,
    frozen: Plan,
    offers: Sequence[Offer],
    *,
    fit: Sequence[Offer],
    over: bool,
) -> Outcome:
    """Cards, the numbered list, and one question."""
    fitting_ids = {o.offer_id for o in fit}
    rest = [o for o in offers if not (o.offer_id in fitting_ids or unsuited(o, draft.whom))]
    if draft.vertical == "product" and (draft.day or draft.place):
        way = {"origin": draft.origin, "place": draft.place, "words": draft.words}
        rest = other_days(rest, draft.day, **way, fits=bool(fit))
    ordered = [*fit, *rest][:SHOWN_MAX]
    there = on_the_way(draft, ordered)
    if not ordered:
        kept, none = remember((), draft=draft), sentences.nothing(frozen.wish, visit.language)
        return Outcome(none if there else no_flight(draft, visit.language), kept)
    if not there:  # "closest to what you asked for" is no word for the way back
        ordered = [replace(offer, why="") for offer in ordered]
    visit.emit(Cards(activity(draft), tuple(ordered)))
    fact = _unmet(draft, visit)
    head = heading(draft, frozen.wish, ordered, visit.language)
    listing = sentences.listing(ordered, visit.language)
    closing = _closing(visit, fact, fits=bool(fit), over=over)
    wanted = visit.reading.act == "acquire" and not draft.vague
    kept = remember(ordered, draft=draft, asked=fact, wanted=wanted and bool(fact))
    return Outcome(f"{head}\n{listing}\n\n{closing}", kept)  # no part of the last offer


def _closing(visit: Visit, fact: Fact, *, fits: bool, over: bool) -> str:
    if over:
        return sentences.above_budget(visit.language)
    if not visit.may_propose:
        return sentences.refused(visit.language)
    if visit.reading.act == "acquire" and not fits:
        return sentences.not_quite(visit.language)
    return sentences.ask(fact, visit.language) if fact else sentences.which_one(visit.language)


_Step = Callable[[Visit], Awaitable[Outcome | None]]
_STEPS: dict[acts.Act, _Step] = {
    "status": asides.status,
    "cancel": asides.cancel,
    "decline": asides.decline,
    "confirm": _confirm,
    "compare": asides.compare,
    "details": _details,
}
__all__ = ["FILL_TIMEOUT_S", "Outcome", "Reading", "shop"]
