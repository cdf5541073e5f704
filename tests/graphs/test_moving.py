"""Moving a booking by chat: the right one, by its merchant's quote, and never the deed."""

from dataclasses import replace
from typing import Any

import pytest

from graphs.state import OrderFact
from integrations.money import Money
from tests.graphs.fakes_shopping import NOW, Conversation, FakeDesk, FakeShelf

DINNER = {"date": "2026-11-20", "time": "19:00", "party": 2}
NIGHTS = {"date": "2026-11-21", "nights": 2, "party": 2}
TABLE = OrderFact(
    "ord_table", "placed", "Osteria Lume", "Tafelrunde", Money(2000, "EUR"), NOW, DINNER, "chk_1"
)
ROOM = OrderFact(
    "ord_room", "placed", "Hotel Seehof", "Nordlicht", Money(22000, "EUR"), NOW, NIGHTS, "chk_9"
)
TENT = OrderFact("ord_tent", "placed", "Alder tent", "Fernweh", Money(12900, "EUR"), NOW)


def person(*rows: OrderFact, strict: frozenset[str] = frozenset()) -> tuple[Conversation, FakeDesk]:
    shelf = FakeShelf()
    desk = FakeDesk(shelf, rows=rows, strict=strict)
    return Conversation(shelf, desk), desk


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("move my table to 8pm", {"time": "20:00"}),
        (
            "Can you reschedule my reservation to Sunday at 6:30pm?",
            {"date": "2026-11-22", "time": "18:30"},
        ),
        ("change my booking to three people", {"party": 3}),
        ("change my dinner to 4 people please", {"party": 4}),
        ("make it three people", {"party": 3}),
        ("make it 8pm", {"time": "20:00"}),
        ("改到八点", {"time": "20:00"}),
        ("把我的预订改到晚上八点半", {"time": "20:30"}),
        ("帮我把餐厅的座位改成三个人", {"party": 3}),
        ("预订改到周日", {"date": "2026-11-22"}),
        ("改成四位", {"party": 4}),
    ],
)
async def test_the_only_booking_is_quoted_as_it_would_be(said: str, wanted: dict[str, Any]):
    talk, desk = person(TABLE, TENT)
    answered = await talk.say(said)
    assert desk.moving == [("ord_table", wanted)]
    (proposal,) = answered.proposals
    assert proposal.url in answered.text
    assert "Nothing changes until you confirm" in answered.text or "确认之前" in answered.text


async def test_what_it_costs_more_is_said_before_it_is_agreed_to():
    talk, _ = person(TABLE)
    assert "It costs €10.00 more" in (await talk.say("change my booking to three people")).text
    talk, _ = person(TABLE)
    assert "costs nothing more" in (await talk.say("move my table to 8pm")).text


async def test_of_several_bookings_the_kind_that_is_named_is_meant():
    talk, desk = person(TABLE, ROOM)
    await talk.say("extend my hotel stay by one night")
    await talk.say("move my table to 8pm")
    await talk.say("酒店房间改到下周三")
    assert [order for order, _ in desk.moving] == ["ord_room", "ord_table", "ord_room"]
    assert desk.moving[0][1] == {"nights": 3}


async def test_of_several_unnamed_ones_it_asks_and_keeps_what_was_said():
    talk, desk = person(TABLE, replace(TABLE, order_id="ord_two", title="Trattoria Miro"))
    asked = await talk.say("move my reservation to 8pm")
    assert "Which booking shall I change?" in asked.text
    assert desk.moving == []
    await talk.say("the second one")
    assert desk.moving == [("ord_two", {"time": "20:00"})]


async def test_without_a_new_fact_it_asks_for_one_and_takes_the_answer():
    talk, desk = person(TABLE)
    asked = await talk.say("I want to change my booking")
    assert "the day, the time or the number of people" in asked.text
    await talk.say("8pm")
    assert desk.moving == [("ord_table", {"time": "20:00"})]


async def test_a_merchant_that_takes_no_changes_is_named_and_canceling_is_offered():
    talk, desk = person(TABLE, strict=frozenset({"Tafelrunde"}))
    answered = await talk.say("move my table to 8pm")
    assert not answered.proposals
    assert "cancel ord_table" in answered.text
    assert desk.canceling == []


async def test_yes_shows_the_same_change_again_and_pays_nothing():
    talk, _ = person(TABLE)
    first = await talk.say("change my booking to three people")
    assert (await talk.say("yes")).proposals == first.proposals


async def test_a_change_of_the_subject_is_no_change_of_the_booking():
    talk, desk = person(TABLE)
    await talk.say("change my booking to three people")
    answered = await talk.say("buy a two-person tent")
    assert answered.bought == [("p-alder", 1)]
    assert len(desk.moving) == 1


async def test_an_open_proposal_is_revised_and_no_booking_of_before_moved():
    talk, desk = person(replace(TABLE, checkout_id="chk_other"))
    await talk.say("book a table for two tomorrow at 7pm")
    answered = await talk.say("make it 8pm")
    assert desk.moving == []
    assert "T20:00" in answered.bought[0][0]


async def test_once_it_is_paid_the_same_words_move_the_booking():
    talk, desk = person(TABLE)  # it was bought by the checkout that this conversation leads to
    await talk.say("book a table for two tomorrow at 7pm")
    answered = await talk.say("make it 8pm")
    assert desk.moving == [("ord_table", {"time": "20:00"})]
    assert len(answered.proposals) == 1


@pytest.mark.parametrize("said", ["change my order", "move my table to 8pm"])
async def test_goods_are_not_moved(said: str):
    talk, desk = person(TENT)
    await talk.say(said)
    assert desk.moving == []
