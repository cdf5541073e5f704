"""Questions beside the shopping are answered from rows, and nothing else is claimed."""

import pytest

from graphs.state import OrderFact
from integrations.money import Money
from tests.graphs.fakes_shopping import (
    NOW,
    Conversation,
    FakeDesk,
    FakeShelf,
)

ORDER = OrderFact("ord_7h2k", "placed", "Alder tent", "Fernweh", Money(12900, "EUR"), NOW)


@pytest.fixture
def shop() -> Conversation:
    return Conversation()


async def test_questions_about_an_offer_are_answered_from_its_row(shop: Conversation):
    await shop.say("show me tents")
    answered = await shop.say("is the second one waterproof?")
    assert "Birch" in answered.text
    assert "Waterproof to 3000 mm" in answered.text
    assert answered.proposals == ()


async def test_two_offers_are_compared_from_their_rows(shop: Conversation):
    await shop.say("show me tents")
    answered = await shop.say("compare the first two")
    assert answered.cards is not None
    assert answered.cards.activity == "compare"
    assert [o.offer_id for o in answered.cards.offers] == ["p-alder", "p-birch"]


@pytest.mark.parametrize("said", ["where is my order", "我的订单到哪了"])
async def test_order_status_states_the_rows_and_nothing_else(said: str):
    shelf = FakeShelf()
    shop = Conversation(shelf=shelf, desk=FakeDesk(shelf, rows=[ORDER]))
    answered = await shop.say(said)
    assert "ord_7h2k" in answered.text
    assert answered.cards is not None
    assert answered.cards.orders == (ORDER,)
    none = await Conversation().say(said)
    assert "ord_" not in none.text
    assert none.cards is None


@pytest.mark.parametrize(
    ("said", "named"), [("book me a haircut", "appointments"), ("帮我买张火车票", "火车票")]
)
async def test_what_we_cannot_arrange_is_said_plainly(shop: Conversation, said: str, named: str):
    answered = await shop.say(said)
    assert named in answered.text
    assert answered.proposals == ()
