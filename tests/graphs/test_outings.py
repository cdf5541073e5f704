"""Events and flights: found for the day, the place and the way that were asked for."""

from datetime import date
from typing import Any

import pytest

from graphs.outings import is_outing, suits
from graphs.wishes import read
from tests.graphs.fakes_shopping import Conversation, FakeShelf, product

TODAY = date(2026, 11, 26)  # a Thursday


@pytest.mark.parametrize(
    ("said", "day", "until", "way", "count"),
    [
        ("Find me two tickets for a concert next weekend", "12-05", "12-06", ("", ""), 2),
        ("Flight from Berlin to Lisbon on 12 December", "12-12", None, ("Berlin", "Lisbon"), None),
        ("book a flight to Rome from Berlin next Friday", "12-04", None, ("Berlin", "Rome"), None),
        ("fly me to New York tomorrow", "11-27", None, ("", "New York"), None),
        ("从柏林飞里斯本的机票，12月12日", "12-12", None, ("柏林", "里斯本"), None),
        ("订一张12月5日从柏林到罗马的机票", "12-05", None, ("柏林", "罗马"), 1),
        ("帮我找一张12月5日柏林到罗马的机票", "12-05", None, ("柏林", "罗马"), 1),
        ("我找柏林到里斯本12月5日的机票", "12-05", None, ("柏林", "里斯本"), None),
        ("12月5日，找一张宿务到巴拿马的机票", "12-05", None, ("宿务", "巴拿马"), 1),
        ("帮我订两张周末的音乐会门票", "11-28", "11-29", ("", ""), 2),
        ("a concert in Berlin this week", "11-26", "11-29", ("", "Berlin"), None),
        ("下周的音乐会", "11-30", "12-06", ("", ""), None),
        ("tickets for the opera in Paris on Saturday", "11-28", None, ("", "Paris"), None),
    ],
)
def test_day_way_and_count_are_read(
    said: str, day: str, until: str | None, way: tuple[str, str], count: int | None
):
    chinese = any("\u4e00" <= c <= "\u9fff" for c in said)
    draft = read(said, today=TODAY, language="zh" if chinese else "en").draft
    assert draft.vertical == "product"
    assert str(draft.day) == f"2026-{day}"
    assert str(draft.until) == (f"2026-{until}" if until else "None")
    assert (draft.origin, draft.place) == way
    assert draft.quantity == count


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("多少钱一张去里斯本的机票?", ("", "里斯本")),
        ("机票多少钱去东京", ("", "东京")),
        ("最便宜去东京的机票", ("", "东京")),
        ("有没有去东京的机票", ("", "东京")),
        ("我打算去东京的航班", ("", "东京")),
        ("什么时候去东京的航班", ("", "东京")),
        ("我想飞巴黎", ("", "巴黎")),
        ("北京到上海的机票", ("北京", "上海")),
        ("北京飞上海", ("北京", "上海")),
        ("从柏林飞里斯本", ("柏林", "里斯本")),
        ("从柏林去里斯本的机票多少钱", ("柏林", "里斯本")),
        ("由柏林去里斯本的机票", ("柏林", "里斯本")),
        ("张家界到上海的机票", ("张家界", "上海")),
        ("多伦多到多哈的机票", ("多伦多", "多哈")),
    ],
)
def test_a_question_about_the_price_is_no_town_to_leave_from(said: str, way: tuple[str, str]):
    draft = read(said, today=TODAY, language="zh").draft
    assert (draft.vertical, draft.origin, draft.place) == ("product", *way)
    assert is_outing(draft.words)


@pytest.mark.parametrize("said", ["飞利浦剃须刀", "飞盘", "从柏林来的朋友"])
def test_what_only_begins_like_a_flight_is_none(said: str):
    assert not is_outing(said)


@pytest.mark.parametrize(
    ("said", "what", "town"),
    [
        ("jazz in Berlin", "jazz", "Berlin"),
        ("live music tonight in Lisbon", "live music", "Lisbon"),
        ("what shows in Barcelona are there next week?", "shows", "Barcelona"),
        ("what shows are there in London this weekend?", "shows", "London"),
        ("events in New York next week", "events", "New York"),
        ("柏林的爵士", "爵士", "柏林"),
    ],
)
def test_an_evening_out_is_heard_where_a_town_is_named(said: str, what: str, town: str):
    chinese = any("\u4e00" <= c <= "\u9fff" for c in said)
    draft = read(said, today=TODAY, language="zh" if chinese else "en").draft
    assert (draft.vertical, draft.place) == ("product", town)
    assert what in draft.words


@pytest.mark.parametrize("said", ["music in general", "a jazz record of Berlin", "it shows in red"])
def test_where_no_town_is_named_it_is_no_evening_out(said: str):
    assert not is_outing(said)


@pytest.mark.parametrize(
    ("said", "vertical"),
    [
        ("buy me a concert guitar", "product"),
        ("I need a hotel near the concert hall in Berlin for two nights", "room"),
        ("a table for two after the opera", "table"),
    ],
)
def test_a_word_of_the_stage_does_not_take_over_another_wish(said: str, vertical: str):
    draft = read(said, today=TODAY, language="en").draft
    assert (draft.vertical, draft.day) == (vertical, None)


def flight(day: str, origin: str, target: str, **more: Any) -> Any:
    told = {"category": "flights", "date": day, "from": origin, "to": target}
    title = f"Flight {origin} to {target}, {day}"
    return product(f"f-{origin}-{target}-{day}", title, 9900, attributes=told, **more)


@pytest.fixture
def airport() -> Conversation:
    days = ("2026-11-27", "2026-12-04")
    ways = (("Berlin", "Rome"), ("Rome", "Berlin"), ("Berlin", "Lisbon"))
    return Conversation(FakeShelf([flight(day, *way) for day in days for way in ways]))


async def test_a_flight_is_proposed_for_its_day_and_its_way_alone(airport: Conversation):
    answered = await airport.say("Book a flight from Berlin to Rome on 4 December")
    assert answered.bought == [("f-Berlin-Rome-2026-12-04", 1)]
    back = await airport.say("Book a flight from Rome to Berlin on 4 December for two")
    assert back.bought == [("f-Rome-Berlin-2026-12-04", 2)]


async def test_another_day_is_shown_and_never_proposed(airport: Conversation):
    answered = await airport.say("Book a flight from Berlin to Rome on 5 December")
    assert not answered.proposals
    assert "exactly what you asked for" in answered.text


async def test_other_days_of_the_same_way_come_nearest_first(airport: Conversation):
    answered = await airport.say("Find flights from Rome to Berlin on 5 December")
    assert answered.cards is not None
    found = [o.offer_id for o in answered.cards.offers]
    assert found == ["f-Rome-Berlin-2026-12-04", "f-Rome-Berlin-2026-11-27"]


async def test_beside_a_flight_that_fits_no_other_way_is_shown(airport: Conversation):
    answered = await airport.say("Find flights from Berlin to Rome on 4 December")
    assert answered.cards is not None
    found = [o.offer_id for o in answered.cards.offers]
    assert found == ["f-Berlin-Rome-2026-12-04", "f-Berlin-Rome-2026-11-27"]


async def test_a_new_day_finds_the_flight_of_that_day(airport: Conversation):
    await airport.say("Book a flight from Berlin to Rome on 4 December")
    answered = await airport.say("make it 27 November instead")
    assert answered.bought == [("f-Berlin-Rome-2026-11-27", 1)]


def flown(day: str, *ways: tuple[str, str]) -> Conversation:
    why = {"why": "closest to what you asked for"}
    return Conversation(FakeShelf([flight(day, *way, **why) for way in ways]))


@pytest.mark.parametrize("said", ["Find me", "book", "show me", "I need"])
async def test_the_way_back_is_said_to_be_the_way_back(said: str):
    shop = flown("2026-11-20", ("Lisbon", "Berlin"), ("Berlin", "Rome"))
    answered = await shop.say(f"{said} a flight from Berlin to Lisbon tomorrow")
    none, listed, *_ = answered.text.splitlines()
    assert none == (
        "I found no flight from Berlin to Lisbon. These go the other way, from Lisbon to Berlin:"
    )
    assert listed.startswith("1. Flight Lisbon to Berlin")
    assert answered.cards is not None
    assert [o.offer_id for o in answered.cards.offers] == ["f-Lisbon-Berlin-2026-11-20"]
    assert "closest" not in answered.text
    assert not answered.proposals


async def test_the_way_back_is_said_to_be_the_way_back_in_chinese():
    shop = flown("2026-11-20", ("里斯本", "柏林"), ("柏林", "罗马"))
    answered = await shop.say("订一张明天从柏林到里斯本的机票")
    none, listed, *_ = answered.text.splitlines()
    assert none == "没有找到从柏林到里斯本的航班。以下是反方向的，从里斯本到柏林："
    assert listed.startswith("1. Flight 里斯本 to 柏林")
    assert "罗马" not in answered.text
    assert not answered.proposals


async def test_where_there_is_not_even_a_way_back_nothing_is_shown():
    shop = flown("2026-11-20", ("Berlin", "Rome"))
    answered = await shop.say("Find me a flight from Berlin to Lisbon tomorrow")
    assert answered.text == "I found no flight from Berlin to Lisbon."
    assert answered.cards is None


async def test_beside_the_right_way_the_way_back_is_not_shown():
    shop = flown("2026-11-20", ("Lisbon", "Berlin"), ("Berlin", "Lisbon"))
    answered = await shop.say("book a flight from Berlin to Lisbon tomorrow")
    assert answered.bought == [("f-Berlin-Lisbon-2026-11-20", 1)]


@pytest.mark.parametrize(
    ("title", "there"),
    [
        ("Flight Berlin to Lisbon", True),
        ("Flight Lisbon to Berlin", False),
        ("柏林—里斯本，直飞", True),
        ("里斯本—柏林，直飞", False),
        ("柏林飞里斯本，经马德里", True),
        ("里斯本飞柏林", False),
    ],
)
def test_a_flight_that_leaves_from_there_does_not_go_there(title: str, *, there: bool):
    told = {"from": "Berlin", "to": "Lisbon"} if there else {"from": "Lisbon", "to": "Berlin"}
    offer = product("f-1", title, 9900, attributes=told)
    lisbon = "Lisbon" if title.isascii() else "里斯本"
    assert suits(offer, place=lisbon) is there
    assert suits(offer, origin=lisbon) is not there


async def test_a_concert_is_no_flight_though_both_have_tickets():
    concert = product(
        "e-glass",
        "Glass orchestra concert tickets",
        3600,
        attributes={"category": "tickets", "date": "2026-11-27", "city": "Berlin"},
    )
    shop = Conversation(FakeShelf([flight("2026-11-27", "Berlin", "Rome"), concert]))
    answered = await shop.say("Find concert tickets in Berlin for 27 November")
    assert answered.cards is not None
    assert [o.offer_id for o in answered.cards.offers] == ["e-glass"]


@pytest.mark.parametrize(
    ("said", "city", "thing"),
    [
        ("柏林的音乐会", "柏林", "音乐会"),
        ("找一个柏林周六的音乐会", "柏林", "音乐会"),
        ("这周末巴黎有什么话剧", "巴黎", "话剧"),
        ("柏林古典音乐会门票两张", "柏林", "古典音乐会"),
        ("有没有下周六在柏林举行的音乐会", "柏林", "音乐会"),
        ("在柏林听音乐会", "柏林", "音乐会"),
        ("帮我找柏林十二月五号的演唱会", "柏林", "演唱会"),
        ("推荐一场周六晚上的音乐会", "", "音乐会"),
        ("柏林明天晚上的餐厅", "柏林", ""),
        ("找一家柏林的意大利餐厅", "柏林", "意大利"),
        ("订柏林周五住两晚的酒店", "柏林", ""),
        ("想吃上海菜，明天晚上七点两位", "", "上海菜"),
    ],
)
def test_a_chinese_city_before_the_thing_is_its_place(said: str, city: str, thing: str):
    draft = read(said, today=date(2026, 11, 26), language="zh").draft
    assert (draft.place, draft.words if thing != "上海菜" else thing) == (city, thing)


def test_a_day_of_the_month_is_no_number_of_an_offer():
    reading = read("帮我找柏林十二月五号的演唱会", today=date(2026, 11, 26), language="zh")
    assert (reading.choice, reading.draft.day) == (None, date(2026, 12, 5))


async def test_a_concert_of_another_city_is_said_to_be_elsewhere():
    told = {"category": "music", "date": "2026-12-02", "city": "paris"}
    concert = product("e-1", "嗅觉音乐会，巴黎，12月2日", 4200, attributes=told)
    shown = await Conversation(FakeShelf(goods=(concert,))).say("柏林的音乐会")
    assert shown.text.startswith("柏林没有找到。别处有：\n1. 嗅觉音乐会，巴黎")
    there = await Conversation(FakeShelf(goods=(concert,))).say("巴黎的音乐会")
    assert there.text.startswith("找到1个选择")
