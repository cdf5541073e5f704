"""Several errands in one message: each is understood by itself, all wait on one sheet."""

import pytest

from graphs.errands import errands
from graphs.state import Consent
from tests.graphs.fakes_shopping import Conversation

LAMP = "p-lamp"


@pytest.fixture
def shop() -> Conversation:
    return Conversation()


def kinds(bought: list[tuple[str, int]]) -> list[str]:
    return [offer_id[0] for offer_id, _ in bought]


@pytest.mark.parametrize(
    ("look", "said"),
    [
        ("show me headlamps", "buy the first one and book a table for two tomorrow at 7pm"),
        ("看看保温杯", "买第一个，再订一张明天晚上七点的两人桌"),
    ],
)
async def test_goods_and_a_table_are_proposed_by_one_message(
    shop: Conversation, look: str, said: str
):
    await shop.say(look)
    answered = await shop.say(said)
    assert kinds(answered.bought) == ["p", "t"]
    links = [line for line in answered.text.splitlines() if "https://" in line]
    assert len(links) == 1, "one link for one sheet"
    assert "?with=" in links[0]
    assert "€44.00" in answered.text or "€55.00" in answered.text, "the sum of both"


async def test_what_is_missing_for_one_is_asked_and_the_other_waits_on_the_same_sheet(
    shop: Conversation,
):
    first = await shop.say("buy a headlamp and book a table for two tomorrow")
    assert first.bought == [(LAMP, 1)]
    assert "At what time?" in first.text
    then = await shop.say("at 7pm")
    assert kinds(then.bought) == ["p", "t"]
    assert then.proposals[0].checkout_id == first.proposals[0].checkout_id


async def test_yes_to_both_shows_both_again(shop: Conversation):
    first = await shop.say("buy a headlamp and book a table for two tomorrow at 7pm")
    again = await shop.say("yes, please")
    assert [p.checkout_id for p in again.proposals] == [p.checkout_id for p in first.proposals]


async def test_a_change_to_one_keeps_the_other_on_the_sheet(shop: Conversation):
    await shop.say("buy a headlamp and book a table for two tomorrow at 7pm")
    changed = await shop.say("make it 8pm")
    assert kinds(changed.bought) == ["p", "t"]
    assert "T20:00" in changed.bought[1][0]


async def test_another_subject_leaves_the_old_sheet_behind(shop: Conversation):
    await shop.say("buy a headlamp and book a table for two tomorrow at 7pm")
    answered = await shop.say("buy a two-person tent")
    assert answered.bought == [("p-alder", 1)]


async def test_parts_that_lack_something_stand_on_the_sheet_too():
    shop = Conversation()
    assert shop.desk is not None
    shop.desk.blocked = ("missing_address",)
    answered = await shop.say("buy a headlamp and a two-person tent")
    (asked,) = (event for event in answered.events if isinstance(event, Consent))
    assert (asked.proposals, len(asked.blocked)) == ((), 1)


@pytest.mark.parametrize(
    "said",
    [
        "Buy a two-person tent and a headlamp",
        "book a hotel with a restaurant for two nights",
        "don't buy anything, just book a table for two",
        "Please book a table for two and a baby tomorrow at 7",
        "find me a tent and book it",
        "买一顶帐篷和两个杯子",
    ],
)
def test_one_errand_stays_one(said: str):
    assert errands(said) == [said]


ROOM_AND_TABLE = "book a table for two tomorrow and a hotel room in Lindenhafen tomorrow for two"


@pytest.mark.parametrize(
    ("said", "first", "answer", "second", "last"),
    [
        (ROOM_AND_TABLE, "At what time?", "at 7pm", "Now the room: for how many nights?", "two"),
        (
            "订一张明天的两人桌，再订一个明天入住的两人房间",
            "请问几点？",
            "晚上七点",
            "接下来是房间：请问住几晚？",
            "两晚",
        ),
    ],
)
async def test_two_errands_that_lack_a_fact_each_are_asked_one_after_the_other(
    shop: Conversation, said: str, first: str, answer: str, second: str, last: str
):
    asked = await shop.say(said)
    assert (asked.text, asked.bought, asked.cards) == (first, [], None)
    then = await shop.say(answer)
    assert kinds(then.bought) == ["t"]
    assert then.text.endswith(second)
    done = await shop.say(last)
    if not done.bought:  # Chinese: 两人房间 says nothing of the guests
        assert done.text == "请问几位？"
        done = await shop.say("两位")
    assert kinds(done.bought) == ["t", "r"], "both wait on one sheet"
    assert "?with=" in done.text


async def test_a_question_between_leaves_the_other_errand_waiting(shop: Conversation):
    await shop.say("book a table for two and a hotel room")
    for answer, asked in (
        ("tomorrow", "At what time?"),
        ("where is my order?", ""),
        ("at 7pm", "Now the room: for which day?"),
        ("tomorrow for 2 nights", "For how many people?"),
    ):
        said = await shop.say(answer)
        assert said.text.endswith(asked)
    assert kinds((await shop.say("2")).bought) == ["t", "r"]


async def test_the_second_errand_may_be_answered_first(shop: Conversation):
    await shop.say(ROOM_AND_TABLE)
    turned = await shop.say("the room for three nights")
    assert kinds(turned.bought) == ["r"]
    assert turned.text.endswith("Now the table: at what time?")
    assert kinds((await shop.say("8pm")).bought) == ["r", "t"]


async def test_a_no_to_the_first_leads_to_the_second_and_a_new_subject_to_neither(
    shop: Conversation,
):
    await shop.say(ROOM_AND_TABLE)
    assert (await shop.say("no thanks")).text.endswith("Now the room: for how many nights?")
    assert kinds((await shop.say("two nights")).bought) == ["r"]
    await shop.say(ROOM_AND_TABLE)
    assert (await shop.say("buy a two-person tent")).bought == [("p-alder", 1)]
    assert "room" not in (await shop.say("yes")).text
