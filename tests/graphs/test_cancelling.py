"""Canceling by chat: the merchant's own quote and a link, the right order, and never the deed."""

from dataclasses import replace

import pytest

from graphs.state import OrderFact
from integrations.money import Money
from tests.graphs.fakes_shopping import NOW, Conversation, FakeDesk, FakeShelf

TENT = OrderFact("ord_tent", "placed", "Alder tent", "Fernweh", Money(12900, "EUR"), NOW)
TABLE = OrderFact("ord_table", "placed", "Osteria Lume", "Tafelrunde", Money(2000, "EUR"), NOW)
OLD = OrderFact("ord_old", "refunded", "Ember lamp", "Fernweh", Money(2400, "EUR"), NOW)


def person(*rows: OrderFact, strict: frozenset[str] = frozenset()) -> tuple[Conversation, FakeDesk]:
    shelf = FakeShelf()
    desk = FakeDesk(shelf, rows=rows, strict=strict)
    return Conversation(shelf, desk), desk


@pytest.mark.parametrize("said", ["cancel my order", "I want to cancel my booking", "取消我的订单"])
async def test_the_only_order_is_quoted_with_refund_fee_end_and_link(said: str):
    talk, desk = person(TENT, OLD)
    answered = await talk.say(said)
    assert desk.canceling == ["ord_tent"]
    assert answered.text.count("€64.50") == 2
    assert "https://shop.test/orders/ord_tent" in answered.text
    assert not answered.proposals


@pytest.mark.parametrize(
    "said", ["cancel the tent order", "cancel order ord_tent please", "取消订单 ord_tent"]
)
async def test_of_several_the_one_that_is_named_is_meant(said: str):
    talk, desk = person(TABLE, TENT)
    await talk.say(said)
    assert desk.canceling == ["ord_tent"]


async def test_of_several_unnamed_ones_it_asks_and_takes_the_number():
    talk, desk = person(TABLE, TENT)
    asked = await talk.say("cancel my order")
    assert desk.canceling == []
    assert "1. ord_table" in asked.text
    assert "Which one shall I cancel?" in asked.text
    await talk.say("the second one")
    assert desk.canceling == ["ord_tent"]


async def test_nothing_open_and_no_terms_are_said_plainly():
    talk, desk = person(OLD, replace(TENT, state="canceled"))
    assert "no order or booking that could still be canceled" in (await talk.say("cancel it")).text
    assert desk.canceling == []
    talk, desk = person(TENT, strict=frozenset({"Fernweh"}))
    assert "nothing was changed" in (await talk.say("cancel my order")).text


@pytest.mark.parametrize(
    "said",
    [
        "我那个 table 能 cancel 吗? 会退多少钱",
        "请退订12月5号的桌子",
        "我12月5号去不了了，帮我把位子退了",
        "can I get out of the Osteria Lume booking?",
        "undo my booking",
        "call off the dinner on December 5",
        "call the dinner off",
    ],
)
async def test_other_words_for_canceling_are_heard(said: str):
    talk, desk = person(TABLE)
    answered = await talk.say(said)
    assert desk.canceling == ["ord_table"]
    assert not answered.proposals


@pytest.mark.parametrize(
    "said",
    [
        "cancel my gym membership",
        "undo my git commit",
        "undo the last change in the table",
        "drop the table in SQL",
        "call off the search",
        "get out of the room",
        "免费退订的酒店",
        "怎么退订邮件",
        "我想要一个可以免费 cancel 的酒店",
    ],
)
async def test_what_is_no_order_of_ours_is_not_canceled(said: str):
    talk, desk = person(TABLE)
    await talk.say(said)
    assert desk.canceling == []


@pytest.mark.parametrize(
    "said",
    [
        "has the money come back yet",
        "has my refund gone through?",
        "did I get my refund yet?",
        "钱退回来了吗?",
        "退款什么时候到",
        "what is my order number?",
        "give me the order number",
        "我的预订号是多少?",
    ],
)
async def test_a_question_for_the_refund_or_the_number_is_answered_by_the_rows(said: str):
    talk, desk = person(OLD)
    answered = await talk.say(said)
    assert "ord_old" in answered.text
    assert "refunded" in answered.text or "退款" in answered.text
    assert desk.canceling == []


@pytest.mark.parametrize(
    "said", ["order number 2", "the order number 3 please", "is the money refundable?"]
)
async def test_a_number_that_picks_and_terms_that_are_asked_for_are_no_status(said: str):
    talk, _ = person(OLD)
    assert "ord_old" not in (await talk.say(said)).text
