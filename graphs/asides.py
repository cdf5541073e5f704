"""What is answered from rows alone, without a search: orders, a no, a comparison, a count."""

import re
from collections.abc import Sequence

from graphs import orders, sentences
from graphs.choices import choice
from graphs.fits import terms
from graphs.memory import Draft, OfferMemory, again, remember
from graphs.numerals import Page
from graphs.quantities import no_count
from graphs.state import Cards, OrderFact
from graphs.visit import Outcome, Visit


async def status(visit: Visit) -> Outcome | None:
    rows = tuple(await visit.context.desk.orders())
    if rows:
        visit.emit(Cards("order", orders=rows))
    text = orders.orders(rows, timezone=visit.turn.timezone, language=visit.language)
    return Outcome(text, kept(visit))


_COMMON = frozenset(
    {"cancel", "my", "the", "order", "booking", "please", "a", "for", "at", "取消", "订单", "预订"}
    | {"change", "move", "to", "make", "it", "people", "person", "reservation", "table", "room"}
)
_NOT_SOLD = re.compile(  # kept elsewhere: the only order here is not what is meant
    r"\b(?:memberships?|subscriptions?|accounts?|contracts?|alarms?)\b|会员|订阅|账[号户]|闹钟",
    re.I,
)
CANCELABLE = frozenset({"placed", "fulfilled", "partially_refunded"})


async def cancel(visit: Visit) -> Outcome | None:
    """The merchant's quote for canceling the order that is meant, or the question which one."""
    rows = [row for row in await visit.context.desk.orders() if row.state in CANCELABLE]
    if not rows or _NOT_SOLD.search(visit.turn.ask.text):
        return Outcome(orders.nothing_to_cancel(visit.language), kept(visit))
    one = meant(visit, rows)
    shown = (one,) if one else tuple(rows)
    visit.emit(Cards("order", orders=shown))
    if one is None:
        told = orders.orders(
            shown, timezone=visit.turn.timezone, language=visit.language, numbered=True
        )
        text = f"{told}\n{sentences.ask('cancel', visit.language)}"
        return Outcome(text, remember((), draft=Draft(), asked="cancel"))
    quote = await visit.context.desk.start_cancellation(one.order_id)
    if quote is None:
        return Outcome(orders.not_cancelable(one, visit.language), kept(visit))
    text = orders.cancelling(one, quote, timezone=visit.turn.timezone, language=visit.language)
    return Outcome(text, kept(visit))


def meant(visit: Visit, rows: Sequence[OrderFact]) -> OrderFact | None:
    """By its number, its place in the list, or its name; the only one needs no name."""
    text = visit.turn.ask.text
    named = next((row for row in rows if row.order_id in text), None)
    if named or len(rows) == 1:
        return named or rows[0]
    listed = [OfferMemory(r.order_id, r.title, r.merchant, r.total) for r in rows]
    chosen = choice(Page(text), listed)
    if chosen and len(chosen.indices) == 1:
        return rows[chosen.indices[0]]
    asked = terms(text) - _COMMON
    shared = [len(asked & terms(f"{row.title} {row.merchant}")) for row in rows]
    best = max(shared)
    return rows[shared.index(best)] if best and shared.count(best) == 1 else None


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


def how_many(visit: Visit) -> Outcome | None:
    """'Buy -2 of them', 'buy 0.5 tents': how many is asked, never guessed."""
    reading = visit.reading
    goods = reading.draft.vertical == "product" and reading.act in {"acquire", "plain"}
    if not goods or not no_count(Page(visit.turn.ask.text)):
        return None
    picked = reading.choice.indices if reading.choice else ()
    kept = [visit.memory.offers[i] for i in picked if i < len(visit.memory.offers)]
    text = sentences.ask("quantity", visit.language)
    return Outcome(text, remember(kept, draft=reading.draft, wanted=True, asked="quantity"))


def ids(visit: Visit, indices: Sequence[int]) -> list[str]:
    shown = visit.memory.offers
    return [shown[i].offer_id for i in indices if i < len(shown)]


def kept(visit: Visit) -> str:
    """The memory as it was, for the next turn."""
    return again(visit.memory)
