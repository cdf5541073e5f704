"""A thing in sizes and colours: the one that was said is chosen, or it is asked which."""

import pytest

from graphs.variants import traits
from tests.graphs.fakes_shopping import Conversation, FakeShelf, product


def jackets(*sold_out: str):
    made = []
    for colour in ("Blue", "Red"):
        for size in ("M", "L"):
            offer_id = f"p-{colour.lower()}-{size.lower()}"
            made.append(
                product(
                    offer_id,
                    f"Breeze windbreaker 风衣, {colour}, {size}",
                    7900,
                    attributes={"category": "jackets", "colour": colour, "size": size},
                    availability="out_of_stock" if offer_id in sold_out else "in_stock",
                    group="breeze",
                    options=(colour, size),
                )
            )
    return (*made, product("p-cap", "Rain cap", 1900, attributes={"category": "hats"}))


@pytest.fixture
def shop() -> Conversation:
    return Conversation(FakeShelf(goods=jackets()))


@pytest.mark.parametrize(
    ("said", "bought"),
    [
        ("buy me a red windbreaker in size L", "p-red-l"),
        ("I want to buy a blue Breeze windbreaker, M", "p-blue-m"),
        ("order the windbreaker in red, size medium", "p-red-m"),
        ("买一件红色的风衣，L码", "p-red-l"),
        ("买一件蓝色中号的风衣", "p-blue-m"),
    ],
)
async def test_the_variant_that_was_said_is_proposed(shop: Conversation, said: str, bought: str):
    assert (await shop.say(said)).bought == [(bought, 1)]


@pytest.mark.parametrize(
    ("said", "asked", "answer", "bought"),
    [
        ("buy me a windbreaker", "Which of them", "the red one in L", "p-red-l"),
        ("buy me a red windbreaker", "Which of them", "size M", "p-red-m"),
        ("buy me a windbreaker", "Which of them", "number 2", "p-blue-l"),
        ("买一件红色的风衣", "您要哪一款", "中号", "p-red-m"),
    ],
)
async def test_what_was_not_said_is_asked_and_nothing_is_proposed(
    shop: Conversation, said: str, asked: str, answer: str, bought: str
):
    first = await shop.say(said)
    assert first.bought == []
    assert asked in first.text
    assert first.cards is not None
    assert all(one.options for one in first.cards.offers)
    assert "Red, L" in first.text
    assert (await shop.say(answer)).bought == [(bought, 1)]


async def test_a_size_that_is_gone_is_not_swapped_for_another():
    shop = Conversation(FakeShelf(goods=jackets("p-red-m")))
    said = await shop.say("buy me a red windbreaker in size M")
    assert said.bought == []
    assert "not have exactly that one" in said.text
    green = await shop.say("buy me a green windbreaker")
    assert green.bought == []


async def test_in_a_basket_too_the_size_is_asked(shop: Conversation):
    said = await shop.say("buy a windbreaker and a rain cap")
    assert said.bought == []
    done = await Conversation(FakeShelf(goods=jackets())).say(
        "buy a red windbreaker in size L and a rain cap"
    )
    assert done.bought == [("p-red-l", 1), ("p-cap", 1)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a gray jacket, size XL", {"grey", "xl"}),
        ("红色大号", {"red", "l"}),
        ("shoes in size 42.5", {"42.5"}),
        ("42码的鞋", {"42"}),
        ("my mother's tent for 2 m of snow", set()),
        ("orange juice", {"orange"}),
    ],
)
def test_sizes_and_colours_are_read_in_both_languages(text: str, found: set[str]):
    assert traits(text) == found
