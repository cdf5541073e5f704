"""What came back already does not keep a person from canceling the rest."""

import secrets

import pytest

from backend import refunds
from integrations.money import Money
from tests.backend.buying import books
from tests.backend.place import Place


async def given(place: Place, order: dict, amount: int) -> None:
    """By the merchant's own hand: its booking system hears nothing of it."""
    made = await refunds.refund(
        place.world.till,
        merchant_id="mer_shop",
        order_id=order["id"],
        amount=amount,
        reason="",
        request_key=secrets.token_hex(4),
    )
    assert made.state == "completed"


async def canceled(place: Place, order: dict, quote: dict) -> dict:
    path = f"/api/orders/{order['id']}/cancellation/{quote['id']}/confirm"
    done = await place.ada.post(path, headers={"Idempotency-Key": "c1"})
    assert done.status_code == 200, done.text
    return done.json()


@pytest.mark.parametrize(
    ("keeps", "gave", "back", "kept"),
    [
        (0, 1000, 2240, 0),  # of 3240 that were paid
        (300, 1000, 1940, 300),
        (300, 2940, 0, 300),
        (300, 3100, 0, 140),  # it was more generous before than its fee is high
        (3240, 1000, 0, 2240),
    ],
)
async def test_the_rest_comes_back_and_what_the_merchant_keeps_stays_what_it_said(
    place, keeps, gave, back, kept
):
    place.world.shop.keep_back = keeps
    order = await place.bought()
    assert order["total"] == 3240
    await given(place, order, gave)
    answer = await place.ada.post(f"/api/orders/{order['id']}/cancellation")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["refund"], answer.json()["fee"]) == (back, kept)
    done = await canceled(place, order, answer.json())
    assert (done["state"], done["refunded"]) == ("canceled", gave + back)
    assert sum(money.amount for _, money, _, _ in place.world.payments.refunds) == gave + back
    assert place.world.shop.orders[order["merchant_order_id"]].status == "canceled"
    assert sum((await books(place.world)).values()) == 0


async def test_a_merchant_that_knows_what_came_back_quotes_the_rest(place):
    order = await place.bought()
    await given(place, order, 1000)
    theirs = place.world.shop.orders[order["merchant_order_id"]]
    theirs.total -= Money(1000, "EUR")
    place.world.shop.keep_back = 240
    quote = (await place.ada.post(f"/api/orders/{order['id']}/cancellation")).json()
    assert (quote["refund"], quote["fee"]) == (2000, 240)
    assert (await canceled(place, order, quote))["refunded"] == 3000


@pytest.mark.parametrize("more", [1, 1000])
async def test_a_quote_of_more_than_was_paid_is_still_refused(place, more):
    """Also where only what is kept makes it too much."""
    order = await place.bought()
    await given(place, order, 1000)
    place.world.shop.keep_back = 2000
    theirs = place.world.shop.orders[order["merchant_order_id"]]
    theirs.total += Money(more, "EUR")
    answer = await place.ada.post(f"/api/orders/{order['id']}/cancellation")
    assert (answer.status_code, answer.json()["code"]) == (502, "merchant_failed")
