"""Duffel's amounts, as its published payloads write them: to the penny, or not at all."""

import pytest

from integrations.duffel_words import money_at
from integrations.money import Money
from integrations.wire import Unreadable
from tests.integrations.fakes_duffel import published


@pytest.mark.parametrize(
    ("name", "field", "amount"),
    [
        ("get-offer-by-id", "total", 4500),
        ("get-offer-by-id", "tax", 4080),
        ("create-hold-order", "total", 9080),
        ("create-order-cancellation", "refund", 9080),
        ("create-order-change", "change_total", 3050),
        ("create-order-change", "new_total", 12130),
    ],
)
def test_published_amounts_are_read_to_the_penny(name: str, field: str, amount: int):
    assert money_at(published(name), field) == Money(amount, "GBP")


@pytest.mark.parametrize(
    "amount",
    [45.0, 45, None, "", "45,00", "4.5e1", "45.001", "-45.00", " 45", "٤٥", "NaN", "9" * 30],
)
def test_an_amount_in_other_words_is_unreadable(amount: object):
    with pytest.raises(Unreadable):
        money_at({"total_amount": amount, "total_currency": "GBP"}, "total")
