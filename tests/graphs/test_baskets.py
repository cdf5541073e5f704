"""Several things at once: one sheet for all of them, and no count that the person did not say."""

from dataclasses import replace

import pytest

from graphs.things import things
from tests.graphs.fakes_shopping import GOODS, Conversation, FakeShelf

LAMP = "p-lamp"


@pytest.fixture
def shop() -> Conversation:
    return Conversation()


@pytest.mark.parametrize(
    ("said", "bought"),
    [
        ("Buy a two-person tent and a headlamp", [("p-alder", 1), (LAMP, 1)]),
        (
            "buy me a two-person tent, two headlamps and tent pegs",
            [("p-alder", 1), (LAMP, 2), ("p-peg", 1)],
        ),
        ("帮我买一顶双人帐篷和两个保温杯", [("p-zh", 1), ("p-cup", 2)]),
        ("买帐篷和保温杯", [("p-zh", 1), ("p-cup", 1)]),
    ],
)
async def test_each_thing_is_found_and_all_are_proposed_in_their_own_number(
    shop: Conversation, said: str, bought: list[tuple[str, int]]
):
    assert (await shop.say(said)).bought == bought


@pytest.mark.parametrize(
    "said",
    [
        "order a light and waterproof two-person tent",
        "buy a two-person tent for two people and a baby",
        "buy a black and white two-person tent",
        "买一顶黑色和白色的双人帐篷",
    ],
)
async def test_one_thing_described_twice_stays_one_thing(shop: Conversation, said: str):
    assert len((await shop.say(said)).bought) <= 1
    assert len(things(said)) == 1


async def test_things_of_two_merchants_are_two_checkouts_of_one_turn():
    other = replace(next(o for o in GOODS if o.offer_id == LAMP), merchant="Lichthaus")
    shop = Conversation(FakeShelf([o for o in GOODS if o.offer_id != LAMP] + [other]))
    answered = await shop.say("Buy a two-person tent and two headlamps")
    assert [len(p.lines) for p in answered.proposals] == [1, 1]
    assert answered.bought == [("p-alder", 1), (LAMP, 2)]


async def test_a_thing_that_is_not_there_is_named_and_nothing_is_prepared(shop: Conversation):
    answered = await shop.say("Buy a two-person tent and a kayak")
    assert not answered.proposals
    assert "nothing for “kayak”" in answered.text
    assert (await shop.say("the first one")).bought == [("p-alder", 1)]


async def test_the_counts_are_kept_when_the_things_are_picked_afterwards(shop: Conversation):
    await shop.say("Find me a two-person tent and three headlamps")
    answered = await shop.say("I take number 1 and number 3")
    assert answered.bought == [("p-alder", 1), (LAMP, 3)]


async def test_the_limit_is_for_everything_together(shop: Conversation):
    assert not (await shop.say("Buy a two-person tent and a headlamp under €140")).proposals
    assert (await shop.say("Buy a two-person tent and a headlamp under €160")).proposals


@pytest.mark.parametrize("said", ["add two headlamps too", "再加两个保温杯"])
async def test_one_more_thing_joins_what_is_proposed(shop: Conversation, said: str):
    await shop.say("Buy two two-person tents")
    answered = await shop.say(said)
    assert answered.bought in ([("p-alder", 2), (LAMP, 2)], [("p-alder", 2), ("p-cup", 2)])


async def test_a_change_of_number_in_a_basket_asks_of_which_thing(shop: Conversation):
    await shop.say("Buy a two-person tent and a headlamp")
    answered = await shop.say("make it two")
    assert not answered.proposals
    assert "Which one do you mean?" in answered.text


async def test_adding_more_of_the_same_thing_raises_its_number(shop: Conversation):
    await shop.say("Buy a two-person tent")
    assert (await shop.say("add two two-person tents too")).bought == [("p-alder", 3)]


async def test_an_addition_that_is_not_there_leaves_the_proposal_standing(shop: Conversation):
    first = await shop.say("Buy two two-person tents")
    missing = await shop.say("add a kayak too")
    assert not missing.proposals
    assert (await shop.say("yes, buy it")).proposals == first.proposals
