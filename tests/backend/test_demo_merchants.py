"""The demo's merchants together: five trades, every way of connecting, two languages."""

from collections import Counter
from datetime import date

from backend.demo import MERCHANTS
from backend.supervise import DEMO_MERCHANTS
from integrations.simulators import events, flights, goods, hotel, places, shop, tables, tickets

OWN_PAGES = (shop, tables, hotel, tickets, flights)
CHINESE = range(0x4E00, 0x9FFF)


def chinese(text: str) -> bool:
    return any(ord(letter) in CHINESE for letter in text)


def latin(text: str) -> bool:
    return any("a" <= letter <= "z" for letter in text.casefold())


def test_one_speaks_acp_one_ucp_two_the_booking_api_and_one_sells_on_its_own_page():
    spoken = Counter("handoff" if m.handoff else m.protocol for m in MERCHANTS)
    assert spoken == {"acp": 1, "ucp": 1, "booking": 2, "handoff": 1}
    assert {m.id for m in MERCHANTS} == set(DEMO_MERCHANTS)


def test_a_merchant_is_called_the_same_here_and_on_its_own_page():
    modules = {f"mer_demo_{m.__name__.rpartition('.')[2]}": m.NAME for m in OWN_PAGES}
    assert {m.id: m.name for m in MERCHANTS} == modules


def test_three_hundred_products_are_told_in_english_and_chinese():
    products = goods.load().values()
    assert len(products) >= 300
    for product in products:
        assert latin(product.title), product.id
        assert latin(product.about), product.id
        assert chinese(product.zh), product.id
        assert chinese(product.about_zh), product.id
    for told in ("title", "zh"):  # sizes and colours of one product are called the same
        kinds = {(getattr(p, told), p.group) for p in products}
        assert len(kinds) == len({p.group or p.id for p in products})
        assert len({(getattr(p, told), *p.options.values()) for p in products}) == len(products)


def test_sixty_places_are_told_in_english_and_chinese():
    kept = places.load()
    assert len(kept) >= 60
    assert {place.kind for place in kept} == {"table", "room"}
    for place in kept:
        assert latin(place.name), place.id
        assert latin(place.about), place.id
        assert chinese(place.zh), place.id
        assert chinese(place.about_zh), place.id
    assert len({place.about for place in kept}) == len(kept)


def test_evenings_and_flights_are_told_in_english_and_chinese():
    shows = events.programme().values()
    assert len(shows) >= 30
    assert all(chinese(show.zh) and chinese(show.about_zh) for show in shows)
    row = flights.feed_row(flights.flights(date(2026, 11, 26))[0], "http://127.0.0.1:1")
    assert chinese(str(row["title_zh"]))
