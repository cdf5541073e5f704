"""Moving what is booked: 'move my table to 8pm', 'make it three people', '改到八点'.

The booking is one of the person's own orders. The merchant's quote says what is still due or comes
back; nothing moves before the person confirms it. Where a merchant takes no changes it is said, and
canceling by its quote is offered instead.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from graphs import asides, orders, sentences
from graphs.facts import facts
from graphs.memory import Draft, Memory, remember
from graphs.numerals import NUMBER_EN, NUMBER_ZH, Page, normalise, number
from graphs.quantities import more_people
from graphs.state import Blocked, Cards, Consent, OrderFact
from graphs.visit import Outcome, Visit

_KEPT = (
    r"(?:table|bookings?|reservations?|room|hotel|stay|dinner|lunch|breakfast|brunch|restaurant)"
)
_KEPT_ZH = (
    r"(?:预订|预定|预约|订位|餐位|座位|桌子|桌位|桌|房间|酒店|餐厅|晚餐|晚饭|午餐|午饭|订座|饭店)"
)
_NAMED: Final = re.compile(
    r"\b(?:change|move|reschedule|rebook|postpone|push(?: back)?|bring forward|shift|update|modify"
    rf"|extend|shorten) (?:my|our|the|that|this) (?:[\w-]+ ){{0,3}}?{_KEPT}\b"
    rf"|{_KEPT_ZH}[^，。,]{{0,8}}?(?:改|换|挪|推迟|提前|延|调)(?:到|成|为|至|期|后|一下|长|整)"
    rf"|(?:改|更改|修改|调整|变更)(?:一下)?(?:我们?的?)?{_KEPT_ZH}|改期|改签|改时间",
    re.IGNORECASE,
)
_SHORT: Final = re.compile(
    r"^(?:please |can you |could you |and |ok(?:ay)?,? |actually,? )*"
    r"(?:make|change|move|switch|push|shift) (?:it|that|this)\b"
    r"|^(?:请|麻烦|帮我|能不能|可以|能)*(?:把?(?:它|时间|日期|人数))?"
    r"(?:改|换|挪|推迟|提前|调)(?:到|成|为|至)",
    re.IGNORECASE,
)
_ROOM: Final = re.compile(r"\b(?:room|hotel|stay|nights?)\b|酒店|房间|住", re.IGNORECASE)
_TABLE: Final = re.compile(
    r"\b(?:table|dinner|lunch|breakfast|brunch|restaurant)\b|桌|餐|饭|位", re.IGNORECASE
)
_LONGER: Final = re.compile(
    rf"\b(?P<a>{NUMBER_EN}) (?:more|extra|additional) nights?\b|\bby (?P<b>{NUMBER_EN}) nights?\b"
    rf"|(?:多|再|延长?)(?:住|订)?(?P<c>{NUMBER_ZH})(?:个?晚上?|天)",
    re.IGNORECASE,
)
_CHANGEABLE: Final = frozenset({"placed", "partially_refunded"})


async def move(visit: Visit) -> Outcome | None:
    """The quote for moving the booking that is meant, or a question; None when it is not that."""
    text = normalise(visit.turn.ask.text)
    answering = visit.memory.asked == "change" and (
        visit.reading.act in {"plain", "confirm"} or visit.reading.choice is not None
    )
    named = _NAMED.search(text) is not None
    if visit.reading.refuses or not (answering or named or _SHORT.search(text)):
        return None
    rows = [row for row in await visit.context.desk.orders() if _movable(row, visit.today)]
    just = None if named or answering else await _just_bought(visit, rows)
    if not (named or answering or just):
        return None
    if not rows:
        return Outcome(orders.nothing_to_move(visit.language), asides.kept(visit))
    meant = just or _meant(visit, rows, text, named=named)
    said = _said(visit, text, meant or rows[0])
    if meant is None:
        return _which(visit, rows, said)
    wanted = _wanted(said, meant, text)
    if not wanted:
        note = remember((), draft=said, asked="change", key=meant.order_id)
        return Outcome(orders.move_where(visit.language), note)
    return await _quoted(visit, meant, said, wanted)


def _movable(row: OrderFact, today: date) -> bool:
    if row.state not in _CHANGEABLE or not row.booking:
        return False
    return str(row.booking.get("date", "")) >= today.isoformat()


async def _just_bought(visit: Visit, rows: Sequence[OrderFact]) -> OrderFact | None:
    """A bare 'make it 8pm' is about the booking that this conversation led to, once it is paid,
    or, where nothing else is talked about, about the only one."""
    memory = visit.memory
    if memory == Memory():
        return rows[0] if len(rows) == 1 else None
    language, found = visit.turn.language, set()
    for lines, key in [(memory.lines, memory.key), *memory.beside]:
        made = await visit.context.desk.propose(lines, key=key, language=language) if lines else ()
        found |= {one.checkout_id for one in made}
    bought = [row for row in rows if row.checkout_id in found]
    return bought[0] if len(bought) == 1 else None


def _meant(visit: Visit, rows: Sequence[OrderFact], text: str, *, named: bool) -> OrderFact | None:
    """By its number, name or kind in this message, else the one that was talked about."""
    before = next((row for row in rows if row.order_id == _before(visit)), None)
    if before is not None and not named:
        return before
    chosen = asides.meant(visit, rows)
    if chosen is not None:
        return chosen
    inn, table = _ROOM.search(text), _TABLE.search(text)
    kind = [row for row in rows if bool(inn and not table) == ("nights" in (row.booking or {}))]
    return kind[0] if (inn or table) and len(kind) == 1 else before


def _before(visit: Visit) -> str:
    """The order whose change was talked about last, or ''."""
    return visit.memory.key.split(" ")[0] if visit.memory.asked == "change" else ""


def _said(visit: Visit, text: str, row: OrderFact) -> Draft:
    """The new facts: of this message, over those of an earlier one about the same change."""
    vertical: Any = "room" if "nights" in (row.booking or {}) else "table"
    told = Page(text)
    more = more_people(told)
    new = facts(told, vertical, today=visit.today, language=visit.turn.language, memory=Memory())
    same = visit.memory.asked == "change" and _before(visit) in {"", row.order_id}
    old = visit.memory.draft if same else Draft()
    party = (row.booking or {}).get("party", 0) + more if more else new.party
    return replace(
        old,
        day=new.day or old.day,
        until=new.until or old.until,
        hour=new.hour or old.hour,
        party=party or old.party,
        nights=new.nights or old.nights,
    )


def _wanted(said: Draft, row: OrderFact, text: str) -> dict[str, Any]:
    """What differs, as the desk takes it: only facts that such a booking has."""
    booking = row.booking or {}
    wanted: dict[str, Any] = {}
    if said.day:
        wanted["date"] = said.day.isoformat()
    if said.party:
        wanted["party"] = said.party
    if said.hour and "time" in booking:
        wanted["time"] = said.hour.isoformat("minutes")
    if "nights" in booking and (nights := _nights(said, booking, text)):
        wanted["nights"] = nights
    return wanted


def _nights(said: Draft, booking: Mapping[str, Any], text: str) -> int | None:
    if match := _LONGER.search(text):
        return int(booking["nights"]) + (number(match["a"] or match["b"] or match["c"]) or 0)
    arrival = said.day or date.fromisoformat(str(booking["date"]))
    if said.until and said.until > arrival:
        return (said.until - arrival).days
    return said.nights


def _which(visit: Visit, rows: Sequence[OrderFact], said: Draft) -> Outcome:
    visit.emit(Cards("order", orders=tuple(rows)))
    told = orders.orders(rows, timezone=visit.turn.timezone, language=visit.language, numbered=True)
    text = f"{told}\n{sentences.ask('change', visit.language)}"
    return Outcome(text, remember((), draft=said, asked="change"))


async def _quoted(visit: Visit, row: OrderFact, said: Draft, wanted: Mapping[str, Any]) -> Outcome:
    memory, desk, language = visit.memory, visit.context.desk, visit.turn.language
    key = f"{visit.turn.id}:change"
    _, _, asked_before = memory.key.partition(" ")
    made = None
    if visit.reading.act == "confirm" and asked_before:  # 'yes' shows the same sheet again
        made = await desk.start_change(row.order_id, wanted, key=asked_before, language=language)
        key = asked_before
    if made is None or isinstance(made, Blocked):
        key = f"{visit.turn.id}:change"
        made = await desk.start_change(row.order_id, wanted, key=key, language=language)
    if isinstance(made, Blocked):
        return Outcome(orders.not_moved(row, made, visit.language), asides.kept(visit))
    visit.emit(Consent((made,)))
    text = orders.moving(row, made, visit.language)
    note = remember((), draft=said, asked="change", key=f"{row.order_id} {key}")
    return Outcome(text, note, (made,))
