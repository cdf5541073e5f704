"""From a person's words to a wish: vertical, facts, product words, over the whole conversation.

Every value comes from a span of the person's own messages; a span fills one slot. A model may
point at spans when the words settle nothing (`graphs.spans`), and what is not in the message is
dropped. `merge` lets a newer message refine an older wish or start a new one.
"""

import re
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, Literal

from graphs import acts, vocabulary
from graphs.budgets import Budget
from graphs.choices import Choice, asks_cheaper_one, choice
from graphs.facts import facts
from graphs.hours import hour
from graphs.memory import Draft, Fact, Memory, Vertical
from graphs.numerals import NUMBER_EN, NUMBER_ZH, Page, normalise, shortened
from graphs.occasions import implied
from graphs.outings import is_outing, names_way
from graphs.quantities import more_people, nights, party
from graphs.state import Wish
from integrations.money import Money

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One message, understood. `draft` is the wish that now stands, `new` what it alone said."""

    act: acts.Act
    draft: Draft
    new: Draft = field(default_factory=Draft)
    choice: Choice | None = None
    unsupported: tuple[str, str] | None = None  # (English, Chinese) name of what we cannot book
    refuses: bool = False
    fresh: bool = False  # a new subject: nothing of the older wish was kept


_KEPT_ACTS = frozenset({"status", "cancel", "confirm", "decline", "compare", "details"})


def read(
    text: str,
    *,
    today: date,
    language: Language,
    memory: Memory | None = None,
    hint: Vertical | None = None,
    goods: bool = True,
) -> Reading:
    """Understand `text` in the light of `memory`. `hint`: the router's idea, used last.

    `goods`: words that name neither a table nor a room and ask for something mean a product.
    """
    memory = memory or Memory()
    page = Page(text)
    answer = _answers(page, memory.asked)
    anew = answer or names_way(page.text)
    chosen = None if anew else choice(page, memory.offers, proposed=memory.proposed)
    vertical = _said_of(page.text, memory)
    about = vertical or memory.draft.vertical or hint
    done = acts.act(
        page.text,
        booking=about in {"table", "room"},
        shown=memory.draft.vertical is not None,
        picked=chosen is not None,
        open_proposal=bool(memory.lines),
    )
    if about is None and goods and done in {"acquire", "look"} and not _is_booking(page.text):
        vertical = about = "product"
    new = facts(page, about, today=today, language=language, memory=memory)
    new = replace(_in_light_of(new, page, memory), vertical=vertical)
    if vertical is None and about is None and goods and _names_goods(new, done):
        new = replace(new, vertical="product")
    if done in _KEPT_ACTS:
        draft, fresh = memory.draft, False
    else:
        if chosen or done in {"more", "cheaper"}:
            new = replace(new, words="", cuisine="", vertical=None, cheapest=False)
        if not memory.offers and memory.draft.vertical and asks_cheaper_one(page):
            new, done = replace(new, words="", vertical=None, cheapest=True), "acquire"
        draft, fresh = merge(memory.draft, new, done=done, hint=hint)
    return Reading(
        act=done,
        draft=draft,
        new=new,
        choice=chosen,
        unsupported=_unsupported(page.text) if vertical in {None, "table", "product"} else None,
        refuses=acts.refuses_purchase(page.text),
        fresh=fresh,
    )


_BARE = re.compile(
    rf"^(?:for |at |about |just )?(?:{NUMBER_EN}|{NUMBER_ZH})(?: please)?[.!]?$", re.I
)


def _answers(page: Page, asked: Fact) -> bool:
    """Whether the message is the bare number that our question asked for. '8' to 'At what time?'
    is read as 'at 8'."""
    if asked not in {"party", "nights", "time", "quantity"} or not _BARE.match(page.text):
        return False
    if asked == "time" and not page.text.lower().startswith("at "):
        page.text = page.left = f"at {page.text}"
    return True


def _said_of(text: str, memory: Memory) -> Vertical | None:
    said = vertical_of(text)
    return None if memory.draft.vertical == "room" and said == "table" and _only_inn(text) else said


def _only_inn(text: str) -> bool:
    """饭店 is a restaurant or a hotel; in a talk about rooms it stays a hotel."""
    return all(m[0] == "饭店" for m in vocabulary.TABLE.finditer(text))


def _is_booking(text: str) -> bool:
    return vocabulary.BOOK.search(text) is not None


def _names_goods(new: Draft, done: acts.Act) -> bool:
    """'订一个蛋糕': 订 is also to order; with a thing and no fact of a booking it is a product."""
    facts = (new.day, new.hour, new.party, new.nights)
    chinese = any("\u4e00" <= c <= "\u9fff" for c in new.words)
    return done == "acquire" and chinese and not any(facts)


def _in_light_of(new: Draft, page: Page, memory: Memory) -> Draft:
    """What only the earlier turns can settle: one more guest, 'there'."""
    base = memory.draft
    if base.party and (more := more_people(page)):
        new = replace(new, party=base.party + more)
    if base.place and not new.place and _THERE.search(page.text):
        new = replace(new, place=base.place)
    return new


def vertical_of(text: str) -> Vertical | None:
    """What the words themselves point at; None when they leave it open."""
    text = normalise(shortened(text))
    if vocabulary.GIFT.search(text) or implied(text):
        return "product"
    room, table = vocabulary.ROOM.search(text), vocabulary.TABLE.search(text)
    if is_outing(text) and not room and not table:
        return "product"
    booking = vocabulary.BOOK.search(text) is not None
    if vocabulary.BUY.search(text) and not booking:
        return "product"
    if room and table:
        return _of_two(text, room=room.start(), table=table.start())
    if room:
        return "room"
    if table:
        return "table"
    weak_table = vocabulary.TABLE_WEAK.search(text)
    if weak_table and any(pattern.search(text) for _, pattern in vocabulary.CUISINES):
        return "table"
    page = Page(text)
    if vocabulary.ROOM_WEAK.search(text) and (nights(page) or booking):
        return "room"
    if booking:
        return _of_booking(page)
    return None


def _of_two(text: str, *, room: int, table: int) -> Vertical:
    """Both are named: English puts what is wanted first ('a hotel with a restaurant'), Chinese
    last ('酒店附近的餐厅')."""
    if not re.search(r"[\u4e00-\u9fff]", text):
        return "room" if room < table else "table"
    last_room = max(m.start() for m in vocabulary.ROOM.finditer(text))
    last_table = max(m.start() for m in vocabulary.TABLE.finditer(text))
    return "room" if last_room > last_table else "table"


def _of_booking(page: Page) -> Vertical | None:
    """A booking of something unnamed: nights mean a room, a party or an hour mean a table."""
    if nights(page):
        return "room"
    if any(pattern.search(page.text) for _, pattern in vocabulary.CUISINES):
        return "table"
    said_party = party(page)
    return "table" if hour(page, dining=True) and said_party else None


def _unsupported(text: str) -> tuple[str, str] | None:
    for english, chinese, pattern in vocabulary.UNSUPPORTED:
        if pattern.search(text):
            return english, chinese
    return None


_THERE = re.compile(
    r"\b(?:there|nearby|same (?:city|town|place))\b|那里|那边|那儿|附近", re.IGNORECASE
)


def merge(base: Draft, new: Draft, *, done: acts.Act, hint: Vertical | None) -> tuple[Draft, bool]:
    """The wish that stands after a newer message, and whether it is a new subject.

    Facts override facts. Another vertical, or product words with a verb of looking or buying,
    start anew; words alone ('in red', 'waterproof') are added to a product wish. A kind of food
    replaces the kind before it.
    """
    vertical = new.vertical or base.vertical
    other = new.vertical is not None and base.vertical not in {None, new.vertical}
    named = bool(new.words) and done in {"acquire", "look"}
    goods = base.vertical == "product" and named and new.vertical in {None, "product"}
    if vocabulary.QUALITY.fullmatch(new.words) and base.words:
        goods = named = False  # 'do you have it in red?' is about the same thing
    if base == Draft() or other or goods:
        if vertical is None and (new.words or hint) and done in {"acquire", "look", "plain"}:
            vertical = hint
        if other:
            vertical = new.vertical
        return replace(new, vertical=vertical), True
    changed: dict[str, Any] = {
        f.name: getattr(new, f.name)
        for f in fields(Draft)
        if f.name not in {"vertical", "words", "assumed", "vague"} and getattr(new, f.name)
    }
    if new.hour:
        changed["assumed"] = new.assumed
    changed |= _departure(base, new) | _limits(base, new)
    kept = _merged_words(base, new, named=named)
    return replace(base, **changed, vertical=vertical, words=kept), False


def _departure(base: Draft, new: Draft) -> dict[str, Any]:
    """A new arrival keeps the nights; a departure alone settles them."""
    if new.until and not new.day and base.day and new.until > base.day:
        return {"nights": (new.until - base.day).days}
    if new.day and not new.until:
        return {"until": None}
    return {}


def _limits(base: Draft, new: Draft) -> dict[str, Any]:
    """Of a least and a most that exclude each other the one said last stands alone."""
    floor, most = new.floor or base.floor, new.budget or base.budget
    if floor is None or most is None or (new.floor and new.budget):
        return {}
    same = most.currency in (None, floor.currency) and most.per == floor.per
    if same and floor.amount <= most.amount:
        return {}
    return {"floor": None} if new.budget else {"budget": None} if new.floor else {}


def _merged_words(base: Draft, new: Draft, *, named: bool) -> str:
    if not new.words:
        return "" if new.cuisine and new.cuisine != base.cuisine else base.words
    if named or new.cuisine or not base.words:
        return new.words
    added = [w for w in new.words.split() if w.lower() not in base.words.lower().split()]
    return " ".join([base.words, *added])[:200]


def missing(draft: Draft, *, today: date) -> Fact:
    """The first fact without which nothing can be quoted, or ''. A past day counts as missing."""
    if draft.vertical == "table":
        if draft.day is None or draft.day < today:
            return "date"
        if draft.hour is None:
            return "time"
        return "" if draft.party else "party"
    if draft.vertical == "room":
        if draft.day is None or draft.day < today:
            return "date"
        if draft.nights is None:
            return "nights"
        return "" if draft.party else "party"
    return "" if draft.vertical and draft.words else "what"


def wish(draft: Draft, *, language: Language) -> Wish:
    """The frozen wish for the shelf. Raises ValueError without a vertical."""
    if draft.vertical is None:
        raise ValueError("a wish needs a vertical")
    return Wish(
        vertical=draft.vertical,
        query=_query(draft),
        language=language,
        quantity=draft.quantity or 1,
        min_total=_limit(draft, draft.floor),
        max_total=_limit(draft, draft.budget),
        place=draft.place,
        date=draft.day,
        time=draft.hour if draft.vertical == "table" else None,
        party=draft.party,
        nights=draft.nights,
        until=draft.until if draft.vertical == "product" else None,
        origin=draft.origin,
    )


def _query(draft: Draft) -> str:
    """The words to search by; of an event or a flight the places are words like any other."""
    named = (draft.origin, draft.place) if draft.vertical == "product" else ()
    return " ".join(part for part in (draft.words, *named) if part)


def _limit(draft: Draft, said: Budget | None) -> Money | None:
    """It for everything together. A meal's budget says nothing about a table's deposit."""
    if said is None or draft.vertical == "table":
        return None
    times = 1
    if said.per == "unit":
        times = draft.quantity or 1
    elif said.per == "night":
        times = (draft.nights or 1) * (draft.quantity or 1)
    elif said.per == "person":
        times = draft.party or 1
    return said.money(times)
