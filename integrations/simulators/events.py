"""The demo box office's programme: fictional evenings in real cities, in English and Chinese.

An event comes back every week on its day, so there is always something to sell. One evening is an
item: the event's name and the date. What is over is not sold any more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from integrations.simulators.places import CITIES

CURRENCY = "EUR"
WEEKS_AHEAD = 3
LOW = 6
_FILE = Path(__file__).with_name("events.jsonl")


@dataclass(frozen=True, slots=True)
class Event:
    """`price` in cents for one seat, taxes included; `weekday` 0 is Monday; `age` who is let in."""

    id: str
    title: str
    zh: str
    about: str
    about_zh: str
    category: str
    city: str
    venue: str
    price: int
    seats: int
    rating: float
    weekday: int
    time: str
    picture: str
    age: int = 0


@dataclass(frozen=True, slots=True)
class Evening:
    """One event on one day: what is sold."""

    event: Event
    day: date

    @property
    def id(self) -> str:
        return f"{self.event.id}.{self.day.isoformat()}"

    @property
    def title(self) -> str:
        return f"{self.event.title}, {self.event.venue}, {self.day:%a %d %b} {self.event.time}"

    @property
    def zh(self) -> str:
        event = self.event
        day = f"{self.day.month}月{self.day.day}日"
        return f"{event.zh}，{CITIES[event.city].zh}，{day} {event.time}"


@cache
def programme() -> Mapping[str, Event]:
    """Every event by its id. Raises `ValueError` for a bad line."""
    events: dict[str, Event] = {}
    for number, line in enumerate(_FILE.read_text(encoding="utf-8").splitlines(), 1):
        try:
            event = Event(**json.loads(line))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{_FILE.name}:{number}: {error}") from error
        if event.id in events or event.city not in CITIES:
            raise ValueError(f"{_FILE.name}:{number}: {event.id} occurs twice or is nowhere")
        events[event.id] = event
    return events


def on_sale(today: date) -> Sequence[Evening]:
    """Each event's next evenings, the nearest first."""
    evenings = [
        Evening(event, _next(today, event.weekday) + timedelta(weeks=week))
        for event in programme().values()
        for week in range(WEEKS_AHEAD)
    ]
    return sorted(evenings, key=lambda evening: (evening.day, evening.event.id))


def evening(item: str, today: date) -> Evening | None:
    """The evening that an item's id names, while it is still to come."""
    name, _, written = item.rpartition(".")
    event = programme().get(name)
    try:
        day = date.fromisoformat(written)
    except ValueError:
        return None
    if event is None or day <= today or day.weekday() != event.weekday:
        return None
    return Evening(event, day)


def _next(today: date, weekday: int) -> date:
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def feed_row(evening: Evening, *, left: int, base_url: str) -> Mapping[str, Any]:
    """One line of the feed that merchants send us."""
    event = evening.event
    attributes = {
        "date": evening.day.isoformat(),
        "time": event.time,
        "city": CITIES[event.city].name,
        "venue": event.venue,
    }
    if event.age:
        attributes["age"] = str(event.age)
    return {
        "item_id": evening.id,
        "title": evening.title,
        "title_zh": evening.zh,
        "description": event.about,
        "description_zh": event.about_zh,
        "category": f"tickets {event.category}",
        "price_amount": event.price,
        "currency": CURRENCY,
        "availability": availability(left),
        "image_url": f"{base_url}/images/{event.id}.svg",
        "rating": event.rating,
        "delivery_days": 0,
        "attributes": attributes,
    }


def availability(left: int) -> str:
    if left <= 0:
        return "out_of_stock"
    return "low_stock" if left <= LOW else "in_stock"
