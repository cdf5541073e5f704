"""Which of the offers shown is meant where a message leaves some out, or only asks about one."""

import pytest

from graphs.choices import Choice, choice
from graphs.memory import OfferMemory
from graphs.numerals import Page
from integrations.money import Money
from tests.graphs.fakes_shopping import Conversation

TENTS = (
    OfferMemory("p1", "Alder two-person tent", "Fernweh", Money(12900, "EUR")),
    OfferMemory("p2", "Birch trekking tent", "Fernweh", Money(8900, "EUR")),
    OfferMemory("p3", "Cedar family tent", "Fernweh", Money(19900, "EUR")),
)
UNCLEAR = Choice(unclear=True)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("not the second but the third", (2,)),
        ("not the first or the second, the third", (2,)),
        ("the second one, not the first", (1,)),
        ("I don't want the first one, give me the second", (1,)),
        ("instead of the first one the second one", (1,)),
        ("the first one is out, the third one please", (2,)),
        ("not the Birch one but the third one", (2,)),
        ("第二个不要，要第三个", (2,)),
        ("不要第二个，要第三个", (2,)),
        ("不是第一个，是第二个", (1,)),
        ("第一个，不要第二个", (0,)),
    ],
)
def test_what_is_named_to_be_left_out_is_not_picked(said: str, meant: tuple[int, ...]):
    assert choice(Page(said), TENTS) == Choice(meant)


@pytest.mark.parametrize(
    "said",
    [
        "not the second one, the other",
        "anything but the first",
        "neither the first nor the second",
        "anything except the first and the second",
        "any of them but the last one",
        "not the first two",
        "not the cheapest one",
        "anything but the Birch one",
        "not this one",
        "除了第一个都行",
        "除了第一个和第二个都行",
        "第二个就算了",
        "第二个我不喜欢",
        "除第一个以外",
    ],
)
def test_what_is_left_of_three_is_asked_for(said: str):
    assert choice(Page(said), TENTS) == UNCLEAR


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("not the second one, the other", Choice((0,))),
        ("anything but the first", Choice((1,))),
        ("anything but the Birch one", Choice((0,))),
        ("除了第一个都行", Choice((1,))),
        ("不要第一个，另一个", Choice((1,))),
        ("not the second one", UNCLEAR),
        ("第二个不要", UNCLEAR),
    ],
)
def test_of_two_the_other_is_meant_only_when_it_is_asked_for(said: str, found: Choice):
    assert choice(Page(said), TENTS[:2]) == found


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("nothing but the first one", (0,)),
        ("why not the second one?", (1,)),
        ("not bad, the second one", (1,)),
        ("not only the first one, the second one too", (0, 1)),
        ("no, the third one", (2,)),
        ("no, but the third one is nice", (2,)),
        ("要不第二个吧", (1,)),
        ("第二个不错", (1,)),
        ("第二个不要辣", (1,)),
    ],
)
def test_a_no_about_something_else_leaves_the_pick(said: str, meant: tuple[int, ...]):
    assert choice(Page(said), TENTS) == Choice(meant)


@pytest.mark.parametrize(
    "said",
    [
        "not the second one, the other",
        "anything but the first",
        "the first one, is it any good? tell me everything about it",
        "the first one, tell me everything about it",
        "the second one? what is it made of",
        "not this one",
    ],
)
async def test_nothing_is_prepared_of_what_was_left_out_or_asked_about(said: str):
    talk = Conversation()
    await talk.say("show me tents")
    answered = await talk.say(said)
    assert answered.bought == []
    assert "Alder" in answered.text or "Birch" in answered.text


@pytest.mark.parametrize(
    "said", ["can I have the second one? thanks", "I'll take the second one, is that ok?"]
)
async def test_a_question_that_asks_for_it_is_a_pick(said: str):
    talk = Conversation()
    await talk.say("show me tents")
    assert (await talk.say(said)).bought == [("p-birch", 1)]


@pytest.mark.parametrize("said", ["buy 0.5 two-person tents", "buy -2 two-person tents"])
async def test_a_count_that_is_none_is_asked_for_and_the_answer_taken(said: str):
    shop = Conversation()
    asked = await shop.say(said)
    assert asked.bought == []
    assert "How many" in asked.text
    assert (await shop.say("2")).bought == [("p-alder", 2)]


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("the second one, two of them", 2),
        ("I'll take the second one. Two of them, please.", 2),
        ("number 2, a dozen please", 12),
        ("二号来一打", 12),
    ],
)
async def test_a_pick_takes_its_count_along(said: str, count: int):
    shop = Conversation()
    await shop.say("show me tents")
    assert (await shop.say(said)).bought == [("p-birch", count)]


async def test_a_pick_without_a_whole_count_waits_for_one():
    shop = Conversation()
    await shop.say("show me tents")
    assert "How many" in (await shop.say("the second one, -2 of them")).text
    assert (await shop.say("3")).bought == [("p-birch", 3)]
