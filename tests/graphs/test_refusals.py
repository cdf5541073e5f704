"""A no, in whichever words: nothing is prepared, searched or shown to be confirmed after it."""

import pytest

from tests.graphs.fakes_shopping import Conversation

NOES = [
    "on second thought, no",
    "scrap that",
    "drop it",
    "nvm",
    "forget it",
    "ok forget it then",
    "never mind",
    "actually no",
    "I don't want it anymore",
    "skip it, thanks",
    "放弃",
    "不要了谢谢",
    "还是算了",
    "我不想要了",
]
OPENED = [
    "Buy me a two-person tent",
    "book a table for two tomorrow at 7pm at an Italian place",
    "show me tents",
]


@pytest.mark.parametrize("said", NOES)
@pytest.mark.parametrize("before", OPENED)
async def test_a_no_ends_what_stands_and_starts_nothing(before: str, said: str):
    talk = Conversation()
    await talk.say(before)
    assert talk.desk is not None
    searched, prepared = len(talk.shelf.asked), len(talk.desk.asked)
    answered = await talk.say(said)
    assert answered.proposals == ()
    assert (len(talk.shelf.asked), len(talk.desk.asked)) == (searched, prepared)
    assert "Nothing was bought" in answered.text or "没有购买" in answered.text


@pytest.mark.parametrize(
    ("said", "bought"),
    [
        ("no, the second one", [("p-birch", 1)]),
        ("actually, the second one", [("p-birch", 1)]),
        ("make it two instead", [("p-alder", 2)]),
    ],
)
async def test_a_no_that_goes_on_is_a_change(said: str, bought: list[tuple[str, int]]):
    talk = Conversation()
    await talk.say("Buy me a two-person tent")
    assert (await talk.say(said)).bought == bought
