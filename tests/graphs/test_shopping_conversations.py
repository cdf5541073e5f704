"""Whole shopping conversations: what is shown, proposed and asked, and what can never happen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from graphs.state import Offer, Route, Wish
from integrations.money import Money
from tests.graphs.fakes_shopping import (
    GOODS,
    Conversation,
    FakeDesk,
    FakeShelf,
)


@pytest.fixture
def shop() -> Conversation:
    return Conversation()


@pytest.mark.parametrize(
    ("said", "bought"),
    [
        ("Buy me a two-person tent", [("p-alder", 1)]),
        ("get me the cheapest two-person tent", [("p-birch", 1)]),
        ("please order two two-person tents", [("p-alder", 2)]),
        ("buy a two-person tent under €100", [("p-birch", 1)]),
        ("帮我买一顶双人帐篷", [("p-zh", 1)]),
        ("买两个保温杯", [("p-cup", 2)]),
        (
            "book a table for two tomorrow at 7pm at an Italian place",
            [("t-lume@2026-11-20T19:00:00x2nNone", 1)],
        ),
        ("订一张明天晚上七点的两人桌", [("t-lume@2026-11-20T19:00:00x2nNone", 1)]),
        ("帮我订下周五晚上八点的中餐厅，四个人", [("t-jade@2026-11-27T20:00:00x4nNone", 1)]),
        (
            "book a table at Trattoria Miro for 3 on Saturday at 8pm",
            [("t-miro@2026-11-21T20:00:00x3nNone", 1)],
        ),
        (
            "I'd like a table for two tonight at half past eight",
            [("t-lume@2026-11-19T20:30:00x2nNone", 1)],
        ),
        (
            "reserve a room in Altmark from 3 to 5 December for two",
            [("r-park@2026-12-03TNonex2n2", 1)],
        ),
        ("订一间下周五入住两晚的房间，两个人", [("r-seehof@2026-11-27TNonex2n2", 1)]),
    ],
)
async def test_a_clear_request_is_proposed_at_once(
    shop: Conversation, said: str, bought: list[tuple[str, int]]
):
    answered = await shop.say(said)
    assert answered.bought == bought
    assert answered.cards is not None
    (proposal,) = answered.proposals
    assert proposal.total.text("zh_Hans" if "合计" in answered.text else "en") in answered.text
    assert proposal.url in answered.text
    assert "until you confirm" in answered.text or "在您确认之前" in answered.text
    assert "24 hours" in answered.text


@pytest.mark.parametrize(
    ("said", "activity"),
    [
        ("show me tents", "product-list"),
        ("what hotels are there in Lindenhafen", "booking-options"),
        ("recommend an Italian restaurant", "booking-options"),
        ("where can I buy a tent?", "product-list"),
        ("推荐一家意大利餐厅", "booking-options"),
        ("我想买帐篷", "product-list"),
        ("a gift for my daughter", "product-list"),
        ("buy a present for my daughter", "product-list"),
    ],
)
async def test_a_look_around_shows_cards_and_asks(shop: Conversation, said: str, activity: str):
    answered = await shop.say(said)
    assert answered.cards is not None
    assert answered.cards.activity == activity
    assert answered.proposals == ()
    assert shop.desk is not None
    assert shop.desk.asked == []
    assert answered.text.rstrip().endswith(("?", "？", ".", "。"))


@pytest.mark.parametrize(
    ("talk", "bought"),
    [
        (["show me tents", "the second one"], ("p-birch", 1)),
        (["show me tents", "I'll take two of the first one"], ("p-alder", 2)),
        (["show me tents", "the Cedar one please"], ("p-cedar", 1)),
        (["Buy me a two-person tent", "make it two"], ("p-alder", 2)),
        (["Buy me a two-person tent", "the cheaper one"], ("p-birch", 1)),
        (["有什么帐篷", "第一个"], ("p-zh", 1)),
        (
            ["I need two-person tents", "tell me about the second", "ok, the second one"],
            ("p-birch", 1),
        ),
        (
            ["book a table for two tomorrow at 7pm", "make it 8pm instead"],
            ("t-lume@2026-11-20T20:00:00x2nNone", 1),
        ),
        (
            ["book a table for two tomorrow at 7pm", "the second one", "three people"],
            ("t-miro@2026-11-20T19:00:00x3nNone", 1),
        ),
        (
            ["订一张明天晚上七点的两人桌", "第二个", "换成周六"],
            ("t-miro@2026-11-21T19:00:00x2nNone", 1),
        ),
        (["book a table", "tomorrow", "at 8", "4"], ("t-lume@2026-11-20T20:00:00x4nNone", 1)),
        (["订个桌", "明天", "七点半", "两个人"], ("t-lume@2026-11-20T19:30:00x2nNone", 1)),
        (
            ["what hotels are there in Altmark", "the first one", "tomorrow", "2 nights", "two"],
            ("r-park@2026-11-20TNonex2n2", 1),
        ),
        (
            ["Buy me a two-person tent", "book a table for two tonight at 8"],
            ("t-lume@2026-11-19T20:00:00x2nNone", 1),
        ),
    ],
)
async def test_a_conversation_refines_and_picks(
    shop: Conversation, talk: list[str], bought: tuple[str, int]
):
    for said in talk:
        answered = await shop.say(said)
    assert answered.bought == [bought]


@pytest.mark.parametrize(
    ("talk", "bought"),
    [
        (["show me tents", "the second one"], ("p-birch", 1)),
        (["show me two-person tents", "the cheaper one"], ("p-birch", 1)),
        (["Buy me a two-person tent", "make it two"], ("p-alder", 2)),
        (["book a table", "tomorrow", "at 8", "4"], ("t-lume@2026-11-20T20:00:00x4nNone", 1)),
        (
            ["book a table for two tomorrow at 7pm", "thanks!", "make it 8pm instead"],
            ("t-lume@2026-11-20T20:00:00x2nNone", 1),
        ),
        (
            ["订一张明天晚上七点的两人桌", "第二个", "换成周六"],
            ("t-miro@2026-11-21T19:00:00x2nNone", 1),
        ),
    ],
)
async def test_a_client_that_keeps_its_own_history_gets_the_same(
    talk: list[str], bought: tuple[str, int]
):
    client = Conversation(remembers=False)
    for said in talk:
        answered = await client.say(said)
    assert answered.bought == [bought]


async def test_small_talk_in_between_does_not_change_the_wish(shop: Conversation):
    await shop.say("show me tents")
    shop.history = [m for m in shop.history if m.role == "user"]
    await shop.say("what is the capital of France?", route=Route(kind="casual"))
    shop.history = [m for m in shop.history if m.role == "user"]
    answered = await shop.say("the second one")
    assert answered.bought == [("p-birch", 1)]


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("book a table", "For which day?"),
        ("book a table for tomorrow", "At what time?"),
        ("book a table tomorrow at 7pm", "For how many people?"),
        ("book a hotel room for tomorrow", "For how many nights?"),
        ("book a table for two yesterday at 8pm", "is already past"),
        ("订个位子，今晚", "请问几点？"),
        ("订一间明天的房间", "请问住几晚？"),
    ],
)
async def test_a_missing_fact_is_one_short_question(shop: Conversation, said: str, question: str):
    answered = await shop.say(said)
    assert question in answered.text
    assert answered.text.count("?") + answered.text.count("？") == 1
    assert answered.proposals == ()


async def test_an_unclear_pick_is_asked_back(shop: Conversation):
    await shop.say("show me tents")
    answered = await shop.say("好的，就这个")
    assert "哪一个" in answered.text
    assert answered.proposals == ()


@pytest.mark.parametrize("said", ["yes, buy it", "confirm", "I confirm, pay now", "好的，确认下单"])
async def test_a_message_never_pays_but_shows_the_same_proposal_again(
    shop: Conversation, said: str
):
    first = await shop.say("Buy me a two-person tent")
    again = await shop.say(said)
    assert again.proposals == first.proposals
    assert "cannot pay" in again.text or "不能付款" in again.text
    assert shop.desk is not None
    assert {key for _, key in shop.desk.asked} == {"turn_1:1"}


async def test_a_lapsed_proposal_is_made_anew():
    shelf = FakeShelf()
    desk = FakeDesk(shelf, lifetime=timedelta(minutes=1))
    shop = Conversation(shelf=shelf, desk=desk)
    first = await shop.say("Buy me a two-person tent")
    shop.now += timedelta(minutes=5)
    desk.lifetime = timedelta(minutes=15)
    second = await shop.say("yes, buy it")
    assert second.bought == first.bought
    assert second.proposals[0].checkout_id != first.proposals[0].checkout_id
    assert second.proposals[0].expires_at > shop.now


@pytest.mark.parametrize(
    "said", ["don't buy it", "no thanks", "never mind", "先别下单", "算了，不买了"]
)
async def test_a_refusal_leaves_nothing_open(shop: Conversation, said: str):
    await shop.say("Buy me a two-person tent")
    answered = await shop.say(said)
    assert answered.proposals == ()
    assert "Nothing was bought" in answered.text or "没有购买" in answered.text
    assert (await shop.say("yes")).proposals == ()


@pytest.mark.parametrize(
    "said", ["don't buy anything, just show me tents", "show me tents but do not order yet"]
)
async def test_looking_without_buying_shows_and_proposes_nothing(shop: Conversation, said: str):
    answered = await shop.say(said)
    assert answered.cards is not None
    assert answered.proposals == ()


async def test_the_routers_no_purchase_holds_whatever_the_words_say(shop: Conversation):
    route = Route(kind="commercial", no_purchase=True)
    answered = await shop.say("Buy me a two-person tent", route=route)
    assert answered.cards is not None
    assert answered.proposals == ()
    await shop.say("show me tents", route=route)
    assert (await shop.say("the first one", route=route)).proposals == ()
    assert shop.desk is not None
    assert shop.desk.asked == []


async def test_an_hour_that_was_guessed_is_said_back(shop: Conversation):
    answered = await shop.say("book a table for two tomorrow at 7")
    assert answered.bought == [("t-lume@2026-11-20T19:00:00x2nNone", 1)]
    assert "I took the time as 7:00" in answered.text
    sure = await Conversation().say("book a table for two tomorrow at 7pm")
    assert "I took" not in sure.text


async def test_the_day_is_the_persons_day_and_not_the_servers():
    shop = Conversation(timezone="Asia/Shanghai")
    shop.now = datetime(2026, 11, 19, 23, 30, tzinfo=ZoneInfo("UTC"))  # the 20th in Shanghai
    await shop.say("订一张明天晚上七点的两人桌")
    assert shop.shelf.asked[-1].date == date(2026, 11, 21)


async def test_the_wish_reaches_the_shelf_with_every_fact(shop: Conversation):
    await shop.say("book an Italian restaurant in Altmark for 3 people on Saturday at 8pm")
    asked = shop.shelf.asked[-1]
    assert (asked.vertical, asked.query, asked.place) == ("table", "Italian", "Altmark")
    assert (asked.date, asked.time, asked.party) == (date(2026, 11, 21), time(20), 3)


async def test_the_place_is_said_when_none_was_asked_for(shop: Conversation):
    answered = await shop.say("book a table for two tomorrow at 7pm")
    assert "Lindenhafen" in answered.text


async def test_nothing_is_proposed_that_is_not_what_was_asked_for(shop: Conversation):
    french = await shop.say("book a French restaurant for two tomorrow at 7pm")
    assert french.proposals == ()
    named = await shop.say("book a table at Chez Nobody for two tomorrow at 7pm")
    assert named.proposals == ()
    assert "exactly what you asked for" in named.text
    thing = await shop.say("buy a carbon racing bicycle")
    assert thing.proposals == ()


async def test_another_time_than_asked_for_is_shown_and_not_proposed():
    class Late(FakeShelf):
        async def search(self, wish: Wish, *, limit: int = 6) -> Sequence[Offer]:
            found = await super().search(wish, limit=limit)
            more = {"date": "2026-11-20", "time": "20:30:00", "party": "2"}
            return [replace(o, attributes={**o.attributes, **more}) for o in found]

    answered = await Conversation(shelf=Late()).say("book a table for two tomorrow at 7pm")
    assert answered.proposals == ()
    assert "8:30" in answered.text
    assert "exactly what you asked for" in answered.text
    same = await Conversation(shelf=Late()).say("book a table for two tomorrow at 8:30pm")
    assert len(same.proposals) == 1


async def test_what_is_sold_out_is_shown_but_not_proposed():
    goods = tuple(
        replace(o, availability="out_of_stock") if o.offer_id == "p-alder" else o for o in GOODS
    )
    answered = await Conversation(shelf=FakeShelf(goods=goods)).say("Buy me a two-person tent")
    assert answered.bought == [("p-birch", 1)]


async def test_a_limit_below_everything_is_said_and_shown(shop: Conversation):
    answered = await shop.say("buy a two-person tent under €5")
    assert "within your budget" in answered.text
    assert answered.cards is not None
    assert answered.proposals == ()


async def test_a_limit_without_a_currency_is_in_the_offers_own(shop: Conversation):
    assert (await shop.say("buy a two-person tent under 100")).bought == [("p-birch", 1)]
    assert shop.shelf.asked[-1].max_total is None


async def test_a_total_that_grows_above_the_limit_is_not_proposed():
    shelf = FakeShelf()
    shop = Conversation(shelf=shelf, desk=FakeDesk(shelf, shipping_cents=2000))
    answered = await shop.say("buy a two-person tent under €100")
    assert answered.proposals == ()
    assert "€109.00" in answered.text
    assert "€100.00" in answered.text


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("missing_address", "a delivery address"),
        ("out_of_stock", "no longer has it"),
        ("merchant_unreachable", "could not quote"),
    ],
)
async def test_a_blocked_checkout_says_what_is_missing(code: str, told: str):
    shelf = FakeShelf()
    shop = Conversation(shelf=shelf, desk=FakeDesk(shelf, blocked=(code,)))
    answered = await shop.say("Buy me a two-person tent")
    assert told in answered.text
    assert answered.proposals == ()


async def test_a_fully_booked_evening_is_said():
    shelf = FakeShelf(full=frozenset({"t-lume", "t-miro", "t-jade"}))
    answered = await Conversation(shelf=shelf).say("book a table for two tomorrow at 7pm")
    assert "no free table for 2 people" in answered.text
    assert answered.cards is None


@pytest.mark.parametrize("said", ["anything else?", "还有别的吗"])
async def test_more_shows_what_was_not_shown(shop: Conversation, said: str):
    first = await shop.say("Buy me a rag doll")
    assert first.cards is not None
    answered = await shop.say(said)
    shown = {o.offer_id for o in first.cards.offers}
    new = {o.offer_id for o in answered.cards.offers} if answered.cards else set()
    assert not shown & new


async def test_cheaper_stays_below_what_was_proposed(shop: Conversation):
    await shop.say("Buy me a two-person tent")
    answered = await shop.say("anything cheaper?")
    assert answered.cards is not None
    assert all(o.price < Money(12900, "EUR") for o in answered.cards.offers)
