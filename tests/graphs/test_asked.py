"""Questions about what was shown are answered by the rows, or not at all."""

from dataclasses import replace

import pytest

from tests.graphs.fakes_shopping import GOODS, Conversation, FakeShelf

TABLES = "show me tables for two tomorrow at 8pm"
TABLES_ZH = "我想找明晚七点两个人的餐厅"


@pytest.mark.parametrize(
    ("shown", "question", "answer"),
    [
        (TABLES, "do they have vegetarian dishes?", "I do not know"),
        (TABLES, "do any of them have parking", "I do not know"),
        (TABLES, "are they dog friendly?", "I do not know"),
        (TABLES_ZH, "他们有素食吗？", "我不知道"),
        (TABLES_ZH, "有停车位吗", "我不知道"),
        ("show me tents", "do they have a porch?", "I do not know"),
    ],
)
async def test_what_no_row_says_is_not_known(shown: str, question: str, answer: str):
    talk = Conversation()
    await talk.say(shown)
    searched = len(talk.shelf.asked)
    answered = await talk.say(question)
    assert answer in answered.text
    assert (len(talk.shelf.asked), answered.proposals) == (searched, ())


async def test_what_a_row_says_is_told_in_the_merchants_words():
    porch = replace(GOODS[0], offer_id="p-porch", title="Porch tent", description="A deep porch.")
    talk = Conversation(FakeShelf((*GOODS, porch)))
    await talk.say("show me tents")
    answered = await talk.say("do any of them have a porch?")
    assert "The merchant writes: “A deep porch.”" in answered.text
    assert "Alder" not in answered.text


async def test_after_the_answer_one_of_them_may_still_be_picked():
    talk = Conversation()
    await talk.say(TABLES)
    await talk.say("do they have vegetarian dishes?")
    answered = await talk.say("book the second one")
    assert [offer.split("@")[0] for offer, _ in answered.bought] == ["t-miro"]


@pytest.mark.parametrize(
    ("shown", "wish"),
    [
        ("show me tents", "do they come in red?"),
        ("show me tents", "are they waterproof?"),
        ("看看双人帐篷", "有红色的吗"),
        (TABLES, "do they have a table for four?"),
        (TABLES_ZH, "有帐篷吗"),
    ],
)
async def test_a_size_a_colour_or_another_thing_is_a_wish(shown: str, wish: str):
    red = replace(GOODS[0], offer_id="p-red", title="Red two-person tent")
    talk = Conversation(FakeShelf((*GOODS, red)))
    await talk.say(shown)
    searched = len(talk.shelf.asked)
    await talk.say(wish)
    assert len(talk.shelf.asked) > searched
