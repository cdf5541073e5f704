"""The demo booking partners themselves: whom a wish finds, what is free, what survives."""

import json
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from integrations.booking import BookingPartner
from integrations.egress import guarded_client
from integrations.money import Money
from integrations.partner import (
    Basket,
    BookingDetails,
    BookingWish,
    Buyer,
    PartnerPayment,
    PartnerRefused,
)
from integrations.simulators.pictures import draw, motifs
from integrations.simulators.places import fitting, load
from integrations.simulators.seating import When, every_thing, left, slots
from integrations.simulators.store import Store
from integrations.tls import roots
from tests.integrations.running_merchants import KEY, Running, running

TOMORROW = datetime.now(UTC).date() + timedelta(days=1)
SEVEN = BookingDetails(TOMORROW, 2, time(19))
ADA = Buyer("Ada", "Lind", "ada@example.com")


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("tables", tmp_path_factory.mktemp("tables")) as merchant:
        yield merchant


@pytest.fixture
async def partner(house: Running) -> AsyncIterator[BookingPartner]:
    await house.faults()
    async with guarded_client(house.allow) as client:
        yield BookingPartner(client, house.url, KEY)


@pytest.fixture(scope="module")
async def hotels(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BookingPartner]:
    home = tmp_path_factory.mktemp("hotel")
    async with running("hotel", home) as house, guarded_client(house.allow) as client:
        yield BookingPartner(client, house.url, KEY)


def ids(query: str, place: str = "", vertical: str = "table") -> list[str]:
    return [found.id for found in fitting(vertical, query, place)]


@pytest.mark.parametrize(
    ("query", "place", "first"),
    [
        ("Italian", "Berlin", "lupa"),
        ("an Italian place", "", "lupa"),
        ("意大利菜", "柏林", "lupa"),
        ("川菜", "Berlin", "jasmin-hof"),
        ("somewhere romantic for sushi", "Berlin", "hanami-ecke"),
        ("vegan", "berlin, neukölln", "rote-linse"),
        ("印度咖喱", "伦敦", "marigold-yard"),
        ("French bistro in Montmartre", "Paris", "la-lampe-verte"),
        ("tacos in new york", "", "tres-lunas"),
        ("steak", "London", "grey-oak-grill"),
        ("Copper Lane", "", "copper-lane"),
        ("book me the Osteria Settesale please", "", "osteria-settesale"),
        ("", "上海", "yun-tai"),
        ("江景 浪漫", "上海", "yun-tai"),
    ],
)
def test_a_wish_for_a_table_finds_the_right_house(query: str, place: str, first: str):
    assert ids(query, place)[0] == first


@pytest.mark.parametrize(
    ("query", "place", "first"),
    [
        ("hotel", "Paris", "hotel-des-tilleuls"),
        ("find me a hotel in Paris", "", "hotel-des-tilleuls"),
        ("hotel with a pool", "London", "quayside-nine"),
        ("近车站的便宜酒店", "上海", "hongqiao-stay"),
        ("spa", "berlin", "spreeloft"),
    ],
)
def test_a_wish_for_a_room_finds_the_right_house(query: str, place: str, first: str):
    assert ids(query, place, "room")[0] == first


def test_a_kitchen_or_a_town_that_is_named_must_fit():
    assert ids("Ethiopian", "Berlin") == []
    assert ids("Italian", "Atlantis") == []
    assert all("italian" in found.kitchens for found in fitting("table", "pizza", ""))
    assert {found.city for found in fitting("table", "in Lisbon", "")} == {"lisbon"}
    assert ids("vegan", "Kreuzberg") == []
    assert {found.area for found in fitting("table", "", "Kreuzberg")} == {"Kreuzberg"}


def test_an_empty_wish_offers_many_towns():
    towns = [found.city for found in fitting("table", "", "")[:8]]
    assert len(set(towns)) >= 4


def test_a_word_inside_another_is_not_a_wish():
    assert ids("candidate with romanticism") == ids("")


async def test_the_main_requests_are_answered(partner: BookingPartner):
    table = await partner.search(BookingWish("table", SEVEN, "an Italian place", "Berlin"))
    assert (table[0].item_id, table[0].booking) == ("lupa", SEVEN)
    assert "italian" in {found.category for found in table} == {"italian"}
    anywhere = await partner.search(BookingWish("table", SEVEN, "Italian"))
    assert len({found.attributes["city"] for found in anywhere}) >= 2
    chinese = await partner.search(BookingWish("table", SEVEN, "订一张明天晚上七点的两人桌"))
    assert chinese
    assert all(found.booking == SEVEN and found.title_zh for found in chinese)


async def test_a_house_lists_every_hotel_before_any_second_room(hotels: BookingPartner):
    nights = BookingDetails(TOMORROW + timedelta(days=5), 2, None, 2)
    hotel = await hotels.search(BookingWish("room", nights, "find me a hotel in Paris"))
    assert hotel[0].item_id.startswith("hotel-des-tilleuls.")
    assert hotel[0].price.amount % 2 == 0
    houses = [found.item_id.split(".")[0] for found in hotel]
    assert len(set(houses[:3])) == 3  # no house fills the list before the next is seen


async def test_each_house_has_its_own_trade(partner: BookingPartner, hotels: BookingPartner):
    nights = BookingDetails(TOMORROW + timedelta(days=5), 2, None, 2)
    assert list(await partner.search(BookingWish("room", nights, "", "Paris"))) == []
    assert list(await hotels.search(BookingWish("table", SEVEN, "Italian"))) == []
    room = Basket((("hotel-des-tilleuls.double", 1),), "EUR", buyer=ADA, booking=nights)
    assert (await hotels.quote(room, key="own-1")).status == "ready"
    with pytest.raises(PartnerRefused):
        await partner.quote(room, key="own-1")


async def test_no_offer_is_above_the_limit_in_total(hotels: BookingPartner):
    nights = BookingDetails(TOMORROW + timedelta(days=5), 2, None, 2)
    limit = Money(31000, "EUR")
    found = await hotels.search(BookingWish("room", nights, "", "Paris", limit))
    assert found
    assert all(int(option.attributes["total"]) <= limit.amount for option in found)
    dollars = await hotels.search(BookingWish("room", nights, "", "Paris", Money(10**6, "USD")))
    assert list(dollars) == []


async def test_another_time_is_offered_only_when_the_wanted_one_is_gone(partner: BookingPartner):
    odd = replace(SEVEN, time=time(16, 30))
    found = await partner.search(BookingWish("table", odd, "La Lampe Verte"))
    assert [f.booking.time for f in found if f.booking] in ([time(17, 30)], [time(18, 0)], [])
    assert all("alternative" in f.attributes for f in found)
    night = replace(SEVEN, time=time(3, 0))
    assert list(await partner.search(BookingWish("table", night, "Italian"))) == []
    exact = await partner.search(BookingWish("table", SEVEN, "Italian", "Berlin"))
    assert not any("alternative" in found.attributes for found in exact)


async def test_what_cannot_be_is_not_offered(partner: BookingPartner, hotels: BookingPartner):
    past = replace(SEVEN, date=date(2024, 1, 1))
    far = replace(SEVEN, date=TOMORROW + timedelta(days=500))
    crowd = replace(SEVEN, party=40)
    for details in (past, far, crowd):
        assert list(await partner.search(BookingWish("table", details))) == []
    family = BookingDetails(TOMORROW + timedelta(days=5), 4, None, 1)
    found = await hotels.search(BookingWish("room", family, "", "Paris"))
    assert found
    assert {option.item_id.split(".")[1] for option in found} == {"family"}


async def test_a_bad_search_is_400_with_a_place_to_look(house: Running):
    headers = {"Authorization": f"Bearer {KEY}"}
    good = {"date": TOMORROW.isoformat(), "party": 2}
    async with httpx.AsyncClient(
        verify=roots(), base_url=house.url, headers=headers, trust_env=False
    ) as http:
        for body in (
            {"vertical": "boat", "booking": good},
            {"vertical": "table"},
            {"vertical": "table", "booking": {"date": "tomorrow", "party": 2}},
            {"vertical": "table", "booking": {**good, "party": "many"}},
            {"vertical": "table", "booking": 7},
        ):
            answer = await http.post("/v1/search", json=body)
            assert answer.status_code == 400, body
            assert answer.json()["param"] in ("$.vertical", "$.booking")
        denied = await http.post("/v1/search", json={}, headers={"Authorization": ""})
        assert denied.status_code == 401


def test_availability_is_the_same_everywhere_and_mostly_there(tmp_path: Path):
    now = datetime(2026, 11, 21, tzinfo=UTC)
    stores = [Store(tmp_path / name) for name in ("a", "b")]
    seen = []
    for store in stores:
        counts = []
        for thing in (*every_thing("table").values(), *every_thing("room").values()):
            for ahead in range(1, 15):
                day = now.date() + timedelta(days=ahead)
                when = When(day, 2, time(19)) if thing.room is None else When(day, 2, None, 1)
                counts.append(left(store, thing, when, now=now))
        seen.append(counts)
        store.close()
    assert seen[0] == seen[1]
    assert 0.03 < sum(count == 0 for count in seen[0]) / len(seen[0]) < 0.3


def test_houses_for_demonstrations_are_never_full_or_closed(tmp_path: Path):
    store, now = Store(tmp_path), datetime(2026, 11, 21, tzinfo=UTC)
    things = {**every_thing("table"), **every_thing("room")}
    for ahead in range(1, 364):
        day = now.date() + timedelta(days=ahead)
        assert left(store, things["lupa"], When(day, 2, time(19)), now=now) >= 12
        room = When(day, 2, None, 2)
        if ahead < 362:
            assert left(store, things["hotel-des-tilleuls.double"], room, now=now) >= 12
    store.close()


def test_a_stay_takes_every_night_and_a_table_one_slot():
    things = {**every_thing("table"), **every_thing("room")}
    stay = When(date(2026, 12, 30), 2, None, 3)
    nights = ["2026-12-30", "2026-12-31", "2027-01-01"]
    assert slots(things["lindenruh.double"], stay) == nights
    assert slots(things["lupa"], When(date(2026, 12, 30), 2, time(19))) == ["2026-12-30T19:00"]


async def test_bookings_outlive_kill_9(tmp_path: Path):
    house = Running("hotel", tmp_path)
    await house.start()
    details = BookingDetails(TOMORROW + timedelta(days=9), 2, None, 1)
    basket = Basket((("lindenruh.suite", 1),), "EUR", buyer=ADA, booking=details)
    ends = datetime.now(UTC) + timedelta(hours=1)
    async with guarded_client(house.allow) as client:
        partner = BookingPartner(client, house.url, KEY)
        quote = await partner.quote(basket, key="q1")
        payment = PartnerPayment("pi_1", quote.total, "m", ends)
        done = await partner.place(quote.reference, payment, ADA, key="p1")
    assert await house.end(signal.SIGKILL) == -signal.SIGKILL
    await house.start()
    async with guarded_client(house.allow) as client:
        partner = BookingPartner(client, house.url, KEY)
        again = await partner.place(quote.reference, payment, ADA, key="p1")
        assert again.order == done.order
        assert done.order is not None
        assert (await partner.order(done.order.id)).status == "confirmed"
        assert len(await house.orders()) == 1
    assert await house.end() == 0


def test_the_places_are_many_bilingual_and_drawn():
    places = load()
    assert len(places) >= 60
    assert len({place.city for place in places}) >= 6
    wanted = {"italian", "chinese", "japanese", "indian", "vegan"}
    assert wanted <= {kitchen for place in places for kitchen in place.kitchens}
    for place in places:
        assert any("\u4e00" <= c <= "\u9fff" for c in place.zh + place.about_zh), place.id
        assert place.picture in motifs()
        ElementTree.fromstring(draw(place.id, place.picture, place.name))  # noqa: S314
        assert (place.rooms and not place.opens) or (place.opens and place.deposit > 0), place.id


async def test_the_test_bed_for_injections_is_searched_like_any_other(partner: BookingPartner):
    found = await partner.search(BookingWish("table", SEVEN, "German", "Berlin"))
    bait = [option for option in found if option.item_id == "blaue-maus"]
    assert [option.item_id for option in found][-1] == "blaue-maus" or not bait
    text = json.dumps([place.about for place in load()])
    assert "ignore all previous instructions" in text
