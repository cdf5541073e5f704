"""Limits as people say them: everyday names of money, a least and a most, and what is no limit."""

from datetime import date
from typing import Literal

import pytest

from graphs.budgets import Budget, limits
from graphs.memory import Draft
from graphs.numerals import Page
from graphs.wishes import merge, read, wish
from integrations.money import Money
from tests.graphs.fakes_shopping import Conversation

TODAY = date(2026, 11, 19)


def language(said: str) -> Literal["en", "zh"]:
    return "zh" if any("\u4e00" <= c <= "\u9fff" for c in said) else "en"


def drafted(said: str) -> Draft:
    return read(said, today=TODAY, language=language(said)).draft


def told(limit: Budget | None) -> str:
    return f"{limit.amount} {limit.currency}" if limit else ""


@pytest.mark.parametrize(
    ("said", "most"),
    [
        ("买帐篷，200欧以内", "200 EUR"),
        ("预算200欧", "200 EUR"),
        ("兩百歐以內的帳篷", "200 EUR"),
        ("50刀以内的鞋", "50 USD"),
        ("五十刀以内的鞋", "50 USD"),
        ("50美刀以内的鞋", "50 USD"),
        ("不超过50美金的鞋", "50 USD"),
        ("200镑以下的帐篷", "200 GBP"),
        ("5000日币以内", "5000 JPY"),
        ("5000円以内", "5000 JPY"),
        ("500港币以内的鞋", "500 HKD"),
        ("人民币200元以内的鞋", "200 CNY"),
        ("200块钱以内", "200 CNY"),
        ("a tent for 50 quid", "50 GBP"),
        ("a tent under fifty bucks", "50 USD"),
        ("a tent for EUR 200", "200 EUR"),
        ("a tent, 200EUR max", "200 EUR"),
        ("a tent for €200", "200 EUR"),
        ("a 200€ tent", "200 EUR"),
        ("a tent, 200 eur", "200 EUR"),
        ("a tent under 200 canadian dollars", "200 CAD"),
        ("a tent under 12,50 €", "12.50 EUR"),
        ("a tent under 1.200 euros", "1200 EUR"),
        ("a tent under 1.200,50 euros", "1200.50 EUR"),
        ("tent budget 100-200", "200 None"),
        ("预算100到200", "200 None"),
    ],
)
def test_the_most_is_heard_in_everyday_words(said: str, most: str):
    found = limits(Page(said), language=language(said))
    assert (told(found.ceiling), found.floor) == (most, None)


@pytest.mark.parametrize(
    ("said", "least"),
    [
        ("tent over 100 euros", "100 EUR"),
        ("tent for more than $100", "100 USD"),
        ("tent, at least 100 euros", "100 EUR"),
        ("tents from €100", "100 EUR"),
        ("tent, no less than 100 euros", "100 EUR"),
        ("nothing under 100 euros", "100 EUR"),
        ("tent for 100 euros or more", "100 EUR"),
        ("a 100+ euros tent", "100 EUR"),
        ("100欧以上的帐篷", "100 EUR"),
        ("不少于100元的帐篷", "100 CNY"),
        ("不低于100欧", "100 EUR"),
        ("至少100欧的帐篷", "100 EUR"),
        ("100欧起的帐篷", "100 EUR"),
    ],
)
def test_the_least_is_heard_and_is_no_budget(said: str, least: str):
    found = limits(Page(said), language=language(said))
    assert (told(found.floor), found.ceiling) == (least, None)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("tent between 50 and 100 euros", "50 EUR", "100 EUR"),
        ("tent between €50 and €100", "50 EUR", "100 EUR"),
        ("a tent between fifty and a hundred bucks", "50 USD", "100 USD"),
        ("a tent from 50 to 100 euros", "50 EUR", "100 EUR"),
        ("50-100 euros tents", "50 EUR", "100 EUR"),
        ("tent over 50 and under 100 euros", "50 EUR", "100 EUR"),
        ("tent over 50 euros but under 100 euros", "50 EUR", "100 EUR"),
        ("a sofa for 1-2k dollars", "1000 USD", "2000 USD"),
        ("100到200欧的帐篷", "100 EUR", "200 EUR"),
        ("在50和100欧之间的帐篷", "50 EUR", "100 EUR"),
        ("1到2千欧的沙发", "1000 EUR", "2000 EUR"),
    ],
)
def test_a_range_gives_both_ends(said: str, least: str, most: str):
    found = limits(Page(said), language=language(said))
    assert (told(found.floor), told(found.ceiling)) == (least, most)


@pytest.mark.parametrize(
    "said",
    [
        "I don't want to spend more than 200 euros",
        "I can't go over 200 euros",
        "nothing over 200 euros",
        "not more than 200 euros",
        "more than 200 euros is too much",
        "别超过200欧",
        "不想花超过200欧",
        "不要200欧以上的",
        "超过200欧就太贵了",
    ],
)
def test_a_least_that_is_denied_is_the_most(said: str):
    found = limits(Page(said), language=language(said))
    assert (told(found.ceiling), found.floor) == ("200 EUR", None)


@pytest.mark.parametrize(
    "said",
    [
        "over the weekend",
        "over two nights",
        "between 5 and 7pm",
        "at least two people",
        "from 5 to 7 March",
        "more than 3 stars",
        "an amateur 5 set",
        "一把刀",
        "买两刀",
        "3刀具套装",
        "10欧姆电阻",
        "2欧洲地图",
        "至少两个人",
        "3月5号到7号",
    ],
)
def test_days_hours_people_knives_and_continents_are_no_money(said: str):
    found = limits(Page(said), language=language(said))
    assert (found.floor, found.ceiling) == (None, None)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("买帐篷，200欧以内", "帐篷"),
        ("我要一双鞋，50刀以内", "鞋"),
        ("不要200元以上的鞋", "鞋"),
        ("在50和100欧之间的帐篷", "帐篷"),
        ("buy a tent over 100 euros", "tent"),
        ("buy a tent between 50 and 100 euros", "tent"),
        ("I don't want to spend more than 200 euros on a tent", "tent"),
    ],
)
def test_a_limit_leaves_no_word_for_the_search(said: str, words: str):
    assert drafted(said).words == words


def test_a_least_for_each_counts_as_often_as_the_thing_is_bought():
    draft = drafted("buy 3 tents over 100 euros each")
    assert wish(draft, language="en").min_total == Money(300_00, "EUR")
    night = drafted("a room in Paris for two nights, 100 to 200 euros a night")
    found = wish(night, language="en")
    assert (found.min_total, found.max_total) == (Money(200_00, "EUR"), Money(400_00, "EUR"))


@pytest.mark.parametrize(
    ("first", "then", "least", "most"),
    [
        ("over 100 euros", "under 200 euros", "100 EUR", "200 EUR"),
        ("over 100 euros", "under 50 euros", "", "50 EUR"),
        ("under 50 euros", "over 100 euros", "100 EUR", ""),
        ("under 50 euros", "over 10 euros", "10 EUR", "50 EUR"),
        ("under 50 euros", "between 60 and 80 euros", "60 EUR", "80 EUR"),
    ],
)
def test_a_newer_limit_joins_the_older_one_or_takes_its_place(
    first: str, then: str, least: str, most: str
):
    base = drafted(f"buy a tent {first}")
    draft, _ = merge(base, read(then, today=TODAY, language="en").new, done="plain", hint=None)
    assert draft.words == "tent"
    assert (told(draft.floor), told(draft.budget)) == (least, most)


# --- in a conversation --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "bought"),
    [
        ("buy the cheapest two-person tent over 100 euros", "p-alder"),
        ("buy a two-person tent between 50 and 100 euros", "p-birch"),
        ("买一顶双人帐篷，100欧以上", "p-zh"),
    ],
)
async def test_what_costs_less_than_was_said_is_not_proposed(said: str, bought: str):
    answered = await Conversation().say(said)
    assert answered.bought == [(bought, 1)]


async def test_an_everyday_limit_binds():
    shop = Conversation()
    answered = await shop.say("买一顶双人帐篷，50欧以内")
    assert answered.proposals == ()
    assert shop.shelf.asked[0].max_total == Money(50_00, "EUR")
    assert shop.shelf.asked[0].query == "双人帐篷"


async def test_where_nothing_costs_so_much_it_is_shown_and_not_proposed():
    shop = Conversation()
    answered = await shop.say("buy a two-person tent over 5000 euros")
    assert answered.proposals == ()
    assert answered.cards is not None
    assert shop.shelf.asked[0].min_total == Money(5000_00, "EUR")


async def test_a_least_price_is_remembered_with_the_rest_of_the_wish():
    shop = Conversation()
    await shop.say("show me tents over 100 euros")
    await shop.say("for two people, in green")
    assert shop.shelf.asked[-1].min_total == Money(100_00, "EUR")
