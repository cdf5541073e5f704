"""A merchant that charges by itself gets a token for one charge, never the person's card."""

from dataclasses import replace
from typing import Any

import pytest

from backend import consent, quoting
from backend.checkout import Checkout, fetch
from backend.consent import Consent, confirm
from backend.errors import Conflict, PaymentDeclined
from backend.purchase import drive
from integrations.answers import placed
from integrations.partner import Note, PartnerRefused, PartnerUnknown, Quote
from integrations.payments import Method, PaymentRefused, PaymentUnknown
from tests.backend.buying import again, sql
from tests.backend.fakes_checkout import World


@pytest.fixture
async def world(database):
    made = World.on(database)
    shop = replace(made.sellers["mer_shop"], settlement="merchant", destination=None)
    made.sellers["mer_shop"] = shop
    yield made
    await made.database.dispose()


class Delegating:
    """Makes a token a key; fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.asked = list(failures), []

    async def __call__(self, **given: Any) -> str:
        self.asked.append(given)
        if self.failures:
            raise self.failures.pop(0)
        return f"spt_for_{given['key']}"


async def bought(world: World, delegating: Delegating) -> Checkout:
    till = replace(world.till, delegate=delegating)
    row = await quoting.quote(till, user_id="usr_ada", lines=[("off_mug", 1)])
    said = Consent(row.confirmation_hash or "", Method("pm_card_visa"), "", "")
    await confirm(till, user_id="usr_ada", checkout_id=row.id, consent=said)
    for _ in range(20):
        await drive(till, row.id)
        async with world.database.transaction() as session:
            row = await fetch(session, row.id, user_id="usr_ada")
        if row.state in ("completed", "failed"):
            return row
        await world.pass_time()
    raise AssertionError(row.state)


async def test_the_merchant_is_given_a_token_for_exactly_this_purchase(world):
    delegating = Delegating()
    row = await bought(world, delegating)
    (order,) = world.shop.orders.values()
    assert order.token == f"spt_for_purchase:{row.id}:place:delegate"
    (asked,) = delegating.asked
    assert (asked["amount"].amount, asked["seller"]) == (row.total, "mer_shop")
    assert asked["expires_at"] > row.confirmed_at
    assert world.payments.charges == {}


async def test_a_lost_answer_is_asked_for_again_with_the_same_words(world):
    delegating = Delegating(PaymentUnknown("lost"), PaymentUnknown("lost"))
    row = await bought(world, delegating)
    assert row.state == "completed"
    assert len(world.shop.orders) == 1
    assert all(asked == delegating.asked[0] for asked in delegating.asked)


async def test_what_the_merchant_charges_needs_a_payment_method_too(world):
    till = replace(world.till, delegate=Delegating())
    row = await quoting.quote(till, user_id="usr_ada", lines=[("off_mug", 1)])
    said = Consent(row.confirmation_hash or "", None)
    with pytest.raises(Conflict) as refused:
        await confirm(till, user_id="usr_ada", checkout_id=row.id, consent=said)
    assert refused.value.specific_code == "payment_method_required"
    async with world.database.transaction() as session:
        now = await fetch(session, row.id, user_id="usr_ada")
    assert (now.state, now.confirmed_at) == ("awaiting_confirmation", None)
    assert world.shop.orders == {}


async def test_a_confirmed_sale_whose_payment_method_is_gone_orders_nothing(world):
    till = replace(world.till, delegate=Delegating())
    row = await quoting.quote(till, user_id="usr_ada", lines=[("off_mug", 1)])
    said = Consent(row.confirmation_hash or "", Method("pm_card_visa"))
    await confirm(till, user_id="usr_ada", checkout_id=row.id, consent=said)
    await sql(world, "UPDATE checkout SET payment_method = NULL")
    await drive(till, row.id)
    row = await again(world, row)
    assert (row.state, row.failure_code) == ("failed", "payment_refused")
    assert world.shop.orders == {}


async def test_what_costs_nothing_at_a_merchant_that_charges_needs_no_payment_method(world):
    world.shop.prices["mug"] = world.shop.delivery = 0
    till = replace(world.till, delegate=Delegating())
    row = await quoting.quote(till, user_id="usr_ada", lines=[("off_mug", 1)])
    assert row.total == 0
    said = Consent(row.confirmation_hash or "", None)
    await confirm(till, user_id="usr_ada", checkout_id=row.id, consent=said)
    await drive(till, row.id)
    assert (await again(world, row)).state == "completed"


async def test_a_card_that_cannot_be_delegated_orders_nothing(world):
    row = await bought(world, Delegating(PaymentRefused("no such card")))
    assert (row.state, row.failure_code) == ("failed", "payment_refused")
    assert world.shop.orders == {}


@pytest.mark.parametrize("word", ["payment_declined", "payment_failed"])
@pytest.mark.parametrize("lost_first", [False, True])
async def test_a_card_that_the_merchant_could_not_charge_is_declined(world, word, lost_first):
    """It answers 200 with the session as it was, ready, and says why in a message."""
    tries: list[str] = []

    async def declined(reference, payment, buyer, *, key) -> Quote:
        tries.append(key)
        if lost_first and len(tries) == 1:
            raise PartnerUnknown("the answer was lost")
        note = Note("error", word, "Your card was declined")
        seen = replace(await world.shop.read(reference), notes=(note,))
        return placed(lambda: seen, "ready_for_payment")

    world.shop.place = declined
    row = await bought(world, Delegating())
    assert (row.state, row.failure_code) == ("failed", "payment_declined")
    with pytest.raises(PaymentDeclined, match="Your card was declined") as told:
        consent.answer(row)
    assert (told.value.status, told.value.specific_code) == (402, "payment_declined")
    assert set(tries) == {f"purchase:{row.id}:place"}


async def test_a_decline_at_a_merchant_that_we_charge_for_is_no_decline_of_the_card(world):
    shop = replace(world.sellers["mer_shop"], settlement="platform")
    world.sellers["mer_shop"] = shop
    world.shop.place_refused = PartnerRefused("no", code="payment_declined")
    row = await bought(world, Delegating())
    assert (row.state, row.failure_code) == ("failed", "merchant_refused")
