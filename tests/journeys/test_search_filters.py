"""What `GET /api/search` leaves out: by price, place, day and stock, in either language."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.journeys.conftest import Product


async def found(product: Product, **asked: Any) -> list[dict[str, Any]]:
    async with product.client() as http:
        answer = await http.get("/api/search", params=asked)
    assert answer.status_code == 200, answer.text
    offers: list[dict[str, Any]] = answer.json()["data"]
    return offers


@pytest.mark.parametrize(
    "words", ["tent under 200 euros", "200欧元以下的帐篷", "帐篷 200欧元以内", "帐篷 150到200欧元"]
)
async def test_a_budget_in_the_words_is_a_budget_and_no_word_for_goods(
    product: Product, words: str
):
    offers = await found(product, q=words)
    assert offers
    assert all(offer["price"]["amount"] <= 20_000 for offer in offers)
    assert all("tent" in o["title"].lower() or "帐篷" in o["title"] for o in offers)


@pytest.mark.parametrize("words", ["tent over 150 euros", "150欧以上的帐篷", "帐篷，150欧到300欧"])
async def test_a_least_price_in_the_words_is_one_and_no_word_for_goods(
    product: Product, words: str
):
    offers = await found(product, q=words)
    assert offers
    assert all(offer["price"]["amount"] >= 15_000 for offer in offers)
    assert all("tent" in o["title"].lower() or "帐篷" in o["title"] for o in offers)


async def test_prices_are_bounded_below_and_above_in_their_own_currency(product: Product):
    asked = {"q": "tent", "min_price": 9_900, "max_price": 18_000, "limit": 20}
    offers = await found(product, **asked)
    assert len(offers) >= 3
    assert all(9_900 <= offer["price"]["amount"] <= 18_000 for offer in offers)
    assert await found(product, **asked, currency="USD") == []
    assert await found(product, q="tent", min_price=0, currency="USD") == []


async def test_given_prices_are_for_one_however_many_are_asked_for(product: Product):
    asked = {"min_price": 9_900, "max_price": 18_000, "limit": 20}
    one = await found(product, q="tent", **asked)
    three = await found(product, q="3 tents", **asked)
    assert one
    assert {offer["offer_id"] for offer in one} == {offer["offer_id"] for offer in three}


@pytest.mark.parametrize(("words", "place"), [("concert", "Berlin"), ("jazz", "Berlin")])
async def test_a_place_looks_further_than_the_first_few(product: Product, words: str, place: str):
    offers = await found(product, q=words, place=place)
    assert offers
    assert all(place in str(offer) for offer in offers)


async def test_only_what_is_as_available_as_asked_is_shown(product: Product):
    offers = await found(product, q="tent", availability="in_stock", limit=20)
    assert offers
    assert {offer["availability"] for offer in offers} == {"in_stock"}


async def test_a_room_until_a_day_is_for_the_nights_between(product: Product):
    first = datetime.now(UTC).date() + timedelta(days=20)
    asked = {"q": "hotel", "kind": "booking", "party": 2, "place": "Paris", "date": str(first)}
    until = await found(product, **asked, until=str(first + timedelta(days=3)))
    nights = await found(product, **asked, nights=3)
    assert until
    assert [offer["price"] for offer in until] == [offer["price"] for offer in nights]


async def test_a_day_that_is_over_is_said_to_be_over(product: Product):
    async with product.client() as http:
        asked = {"q": "table for two", "kind": "booking", "date": "2020-01-01", "time": "19:00"}
        answer = await http.get("/api/search", params=asked)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "date: that day is over"
