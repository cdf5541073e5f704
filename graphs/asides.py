"""What is answered from rows alone, without a search: orders, a no, a comparison."""

from collections.abc import Sequence

from graphs import sentences
from graphs.memory import Memory, remember
from graphs.state import Cards
from graphs.visit import Outcome, Visit


async def status(visit: Visit) -> Outcome | None:
    rows = tuple(await visit.context.desk.orders())
    if rows:
        visit.emit(Cards("order", orders=rows))
    text = sentences.orders(rows, timezone=visit.turn.timezone, language=visit.language)
    return Outcome(text, kept(visit))


async def cancel(visit: Visit) -> Outcome | None:
    rows = tuple(await visit.context.desk.orders())
    if rows:
        visit.emit(Cards("order", orders=rows))
    text = sentences.cancelling(rows, timezone=visit.turn.timezone, language=visit.language)
    return Outcome(text, kept(visit))


async def decline(visit: Visit) -> Outcome | None:
    """Nothing is kept open: the proposal lapses by itself, the offers may still be picked."""
    left = remember(visit.memory.offers, draft=visit.memory.draft)
    return Outcome(sentences.declined(visit.language), left)


async def compare(visit: Visit) -> Outcome | None:
    """Side by side from the rows: those that were named, or all that were shown."""
    named = visit.reading.choice.indices if visit.reading.choice else ()
    indices = named if len(named) > 1 else tuple(range(len(visit.memory.offers)))
    offers = tuple(await visit.context.shelf.get(ids(visit, indices), language=visit.turn.language))
    if len(offers) < 2:
        return None
    visit.emit(Cards("compare", offers))
    told = [f"{i}. {sentences.details(o, visit.language)}" for i, o in enumerate(offers, 1)]
    text = "\n\n".join([*told, sentences.which_one(visit.language)])
    return Outcome(text, remember(offers, draft=visit.memory.draft))


def ids(visit: Visit, indices: Sequence[int]) -> list[str]:
    shown = visit.memory.offers
    return [shown[i].offer_id for i in indices if i < len(shown)]


def kept(visit: Visit) -> str:
    """The memory as it was, for the next turn."""
    memory = visit.memory
    if memory == Memory():
        return ""
    return remember(
        memory.offers,
        draft=memory.draft,
        wanted=memory.wanted,
        asked=memory.asked,
        lines=memory.lines,
        key=memory.key,
    )
