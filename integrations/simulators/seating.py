"""What is free at the demo booking partners: worked out from the date, less what is really booked.

The base occupancy is a hash of place, date and time, so it is the same on every machine and after
every restart; bookings and holds in the store come on top.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from datetime import time as clock

from integrations.simulators.places import Place, Room, Vertical, load
from integrations.simulators.store import Store

DAYS_AHEAD = 365
PARTY_MAX = 10
DINNER = time(19, 0)
LOW = 2


@dataclass(frozen=True, slots=True)
class When:
    """A booking's time on the place's own clock."""

    day: date
    party: int
    at: clock | None = None
    nights: int | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """What can be booked: a table at a place, or one of its kinds of room."""

    id: str
    place: Place
    room: Room | None

    @property
    def title(self) -> str:
        return f"{self.place.name}: {self.room.title}" if self.room else self.place.name

    @property
    def zh(self) -> str:
        return f"{self.place.zh}：{self.room.zh}" if self.room else self.place.zh

    def unit(self, when: When) -> int:
        """Cents for one unit: the party's deposit, or one room for all its nights."""
        if self.room:
            return self.room.price * (when.nights or 1)
        return self.place.deposit * when.party

    def starts(self, when: When) -> datetime:
        at = when.at if self.room is None else time(15, 0)
        return datetime.combine(when.day, at or DINNER, self.place.zone)


def things(place: Place) -> Sequence[Thing]:
    if place.kind == "table":
        return [Thing(place.id, place, None)]
    return [Thing(f"{place.id}.{room.id}", place, room) for room in place.rooms]


def every_thing(vertical: Vertical) -> Mapping[str, Thing]:
    """All that a house of this trade has to give, by id."""
    places = (place for place in load() if place.kind == vertical)
    return {thing.id: thing for place in places for thing in things(place)}


def slots(thing: Thing, when: When) -> Sequence[str]:
    """The slots that a booking takes: one for a table, one a night for a room."""
    if thing.room is None:
        return [f"{when.day.isoformat()}T{(when.at or DINNER).strftime('%H:%M')}"]
    nights = range(when.nights or 1)
    return [(when.day + timedelta(days=night)).isoformat() for night in nights]


def left(
    store: Store,
    thing: Thing,
    when: When,
    *,
    now: datetime,
    besides: str = "",
    replaces: str = "",
) -> int:
    """Units free for that whole time, 0 when it is closed, past, too far or too small. What the
    owners `besides` and `replaces` hold counts as free."""
    if not _possible(thing, when, now):
        return 0
    return min(
        _capacity(thing, slot)
        - store.taken(thing.id, slot, now=now, besides=besides, replaces=replaces)
        for slot in slots(thing, when)
    )


def _possible(thing: Thing, when: When, now: datetime) -> bool:
    start = thing.starts(when)
    if start <= now or (start - now).days > DAYS_AHEAD or when.party < 1:
        return False
    if thing.room is not None:
        return when.at is None and 1 <= (when.nights or 1) <= 30 and when.party <= thing.room.sleeps
    at = when.at or DINNER
    open_then = at in thing.place.slots() and when.day.weekday() not in thing.place.closed
    return open_then and when.party <= PARTY_MAX


def _capacity(thing: Thing, slot: str) -> int:
    """Units that nobody outside this program has taken. About one slot in twelve is full."""
    whole = thing.room.count if thing.room else thing.place.tables
    digest = hashlib.sha256(f"{thing.id}|{slot}".encode()).digest()
    # A place with "walk-in" in its tags keeps half its room for us, every day: a demonstration
    # that is played again and again must not book itself out.
    if "walk-in" in thing.place.tags:
        return whole - digest[1] % (whole // 2 + 1)
    return 0 if digest[0] < 21 else max(1, whole - digest[1] % whole)


def times_free(store: Store, thing: Thing, when: When, *, now: datetime) -> Sequence[time]:
    """Times of that day at which a table is free, in order of the clock."""
    return [
        at
        for at in thing.place.slots()
        if left(store, thing, When(when.day, when.party, at), now=now) > 0
    ]
