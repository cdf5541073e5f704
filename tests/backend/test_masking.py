"""Card numbers in chats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.masking import mask_cards


@pytest.mark.parametrize(
    "text",
    [
        "my card is 4242424242424242 thanks",
        "my card is 4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "amex 378282246310005",
        "我的卡号是４２４２４２４２４２４２４２４２。",
        "4242.4242.4242.4242",
    ],
)
def test_a_card_number_loses_all_but_its_last_four_digits(text):
    masked = mask_cards(text)
    assert "4242424" not in masked.replace(" ", "").replace("-", "").replace(".", "")
    assert "•••• " in masked


@pytest.mark.parametrize(
    "text",
    [
        "call me at 030 1234567",
        "order 1234567890123456",  # not a card: the check digit is wrong
        "pi is 3.14159265358979",
        "2026-11-21 19:00 for 2 people",
        "",
    ],
)
def test_other_numbers_stay_as_they_are(text):
    assert mask_cards(text) == text


@given(st.text(max_size=200))
def test_masking_twice_changes_nothing_more(text):
    once = mask_cards(text)
    assert mask_cards(once) == once
