"""Needs that name no thing, and picks that go beyond what was said before."""

import pytest

from graphs.occasions import implied
from tests.graphs.fakes_shopping import Conversation, FakeShelf, product

GIFTS = (
    product("g-box", "Unicorn birthday box, ages 3 to 6", 3400, attributes={"age": "3-6"}),
    product("g-bunch", "Birthday bunch of flowers with a card", 4400),
    product("g-zh", "儿童生日惊喜盒礼物", 3900),
    product("g-zh2", "生日花束礼物", 4400),
)


@pytest.fixture
def shop() -> Conversation:
    return Conversation(FakeShelf(GIFTS))


@pytest.mark.parametrize(
    ("said", "sought"),
    [
        ("My daughter turns six on Saturday and I have nothing yet", "birthday gift for children"),
        ("It's our anniversary tomorrow and I forgot", "gift"),
        ("mum's birthday is on Sunday, no idea what to get her", "birthday gift"),
        ("女儿周六满六岁，我什么都没准备", "生日儿童礼物"),
        ("妈妈生日快到了，不知道送什么", "生日礼物"),
        ("my daughter turns six on Saturday", ""),
        ("I have nothing yet against the plan", ""),
        ("How many candles for a birthday cake?", ""),
    ],
)
def test_an_occasion_without_a_thing_is_a_search_for_gifts(said: str, sought: str):
    assert implied(said) == sought


async def test_a_child_is_shown_what_is_for_children_and_nothing_is_bought_yet(shop: Conversation):
    answered = await shop.say("My daughter turns six on Saturday and I have nothing yet")
    assert answered.cards is not None
    assert answered.cards.offers[0].offer_id == "g-box"
    assert not answered.proposals
    assert (await shop.say("the first one")).bought == [("g-box", 1)]


@pytest.mark.parametrize("said", ["find a birthday gift for my mother", "帮我找个送妈妈的生日礼物"])
async def test_a_gift_for_a_grown_up_is_none_for_children(shop: Conversation, said: str):
    answered = await shop.say(said)
    assert answered.cards is not None
    assert {o.offer_id for o in answered.cards.offers} <= {"g-bunch", "g-zh2"}


async def test_a_pick_beyond_the_limit_is_prepared_and_said(shop: Conversation):
    shown = await shop.say("find a birthday bunch of flowers under 30 euros")
    assert "within your budget" in shown.text
    answered = await shop.say("the first one")
    assert [offer for offer, _ in answered.bought] == ["g-bunch"]
    assert "not within the €30.00" in answered.text


async def test_costs_that_the_merchant_adds_still_keep_to_the_limit():
    shop = Conversation(FakeShelf(GIFTS))
    assert shop.desk is not None
    shop.desk.shipping_cents = 2_000
    await shop.say("find a birthday bunch of flowers under 50 euros")
    answered = await shop.say("the first one")
    assert not answered.proposals
    assert "above your limit" in answered.text


async def test_comparing_without_buying_compares(shop: Conversation):
    await shop.say("find birthday gifts")
    answered = await shop.say("ok, but don't buy anything yet, just compare them")
    assert answered.cards is not None
    assert answered.cards.activity == "compare"
    assert not answered.proposals


@pytest.mark.parametrize("said", ["show me cheaper ones", "anything else?"])
async def test_where_there_is_no_more_the_list_stays_and_can_be_picked_from(
    shop: Conversation, said: str
):
    await shop.say("find a unicorn birthday box")
    assert "nothing beyond those" in (await shop.say(said)).text
    assert (await shop.say("the first one")).bought == [("g-box", 1)]


async def test_half_of_a_chinese_word_is_another_thing():
    dripper = product("c-drip", "手冲咖啡滤杯", 2400, attributes={"category": "kitchen"})
    answered = await Conversation(FakeShelf([dripper])).say("我想买一台咖啡机")
    assert not answered.proposals


@pytest.mark.parametrize(
    ("first", "then"),
    [("买一台咖啡机", "有没有红色的"), ("buy a kettle", "do you have it in red?")],
)
async def test_a_quality_alone_narrows_what_was_wanted(first: str, then: str):
    goods = [
        product("k-plain", "Steel kettle 不锈钢咖啡机", 2200, attributes={"category": "kitchen"}),
        product("k-red", "Red kettle 红色咖啡机", 2400, attributes={"category": "kitchen"}),
        product("rose", "Twelve red roses 红色玫瑰", 4400, attributes={"category": "flowers"}),
    ]
    shop = Conversation(FakeShelf(goods))
    await shop.say(first)
    answered = await shop.say(then)
    assert answered.cards is not None
    assert answered.cards.offers[0].offer_id == "k-red"
