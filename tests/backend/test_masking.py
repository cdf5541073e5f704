"""Card numbers in chats."""

import random
import time

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


CARDS = [
    "4242{0}4242{0}4242{0}4242",
    "3782{0}822463{0}10005",
    "3622{0}720627{0}1667",
    "6222{0}0212{0}3456{0}7894",
    "4000{0}0000{0}0000{0}0000{0}006",
]
BETWEEN = [
    "", " ", "  ", " - ", "\t", "\n", "\r\n", "-", "\u2011", "–", "—", "−", "\u00a0", "\u3000",
    "/", ",", ", ", "_", ".", "·", "\u200b", "\u2060", "\u00ad", "\u200b \u200b",
]  # fmt: skip


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_masked_whatever_stands_between_its_groups_and_around_it(card, between):
    number = card.format(between)
    last = number.replace(between, "")[-4:] if between else number[-4:]
    for around in (
        "{}",
        "My card is {} 12/28 123",
        "卡号 {} 05/27 333",
        "buy 2 {}",
        "2 {}",
        "{} 1228 123",
        "{}\nexp 12/28",
        "+{}",
    ):
        if around == "+{}" and card == CARDS[2]:
            continue  # fourteen digits after a plus sign are a phone number
        masked = mask_cards(around.format(number))
        assert number not in masked
        assert f"•••• {last}" in masked or (card == CARDS[0] and "•••• " in masked), masked
        assert sum(map(str.isdigit, masked)) <= sum(map(str.isdigit, around)) + 4


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("My card is 4242 4242 4242 4242 12/28 123", "My card is •••• 4242 12/28 123"),
        ("卡号 4000056655665556 05/27 333", "卡号 •••• 5556 05/27 333"),
        ("buy 2 4242424242424242", "buy 2 •••• 4242"),
        ("4242 4242 4242 4242 4000 0566 5566 5556", "•••• 4242 •••• 5556"),
        ("4242424242424242, 378282246310005", "•••• 4242, •••• 0005"),
        ("4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2 12/28", "•••• 4242 12/28"),
        ("42 4242 424242 4242", "•••• 4242"),
        ("٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", "•••• 4242"),
        ("４２４２ ４２４２ ４２４２ ４２４２ １２／２８", "•••• 4242 １２／２８"),
    ],
)
def test_what_stands_around_a_card_stays(text, masked):
    assert mask_cards(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "1795132800000 and 20261121193000",  # times
        "ISBN 978-3-16-148410-0, 9783161484100",
        "4006381333931 4016138851526",  # EAN-13
        "+4915112345676",
        "１２３ pieces and ４５６７８９０１２３４５６７８９",
        "0123456789012345678942424242424242420123",  # too long to be one
        "3, 14, 22, 31, 45, 52, 6, 17, 28, 39, 41, 53, 67, 72, 4, 12",
        "4500, 5200, 6100, 3800, 4700, 4242, 4242, 4242, 4242, 5100",
        "52.520008, 13.404954",
        "550e8400-e29b-41d4-a716-446655440000",
        "chk_00000000000000000000a17b",
    ],
)
def test_numbers_that_shops_and_people_write_are_no_cards(text):
    assert mask_cards(text) == text


def test_few_numbers_of_other_kinds_are_taken_for_cards():
    draw = random.Random(7)
    orders = [str(draw.randrange(10**15, 10**16)) for _ in range(2000)]
    phones = [f"+49 {draw.randrange(150, 180)} {draw.randrange(10**7, 10**8)}" for _ in range(2000)]
    prices = [", ".join(f"{draw.uniform(1, 999):.2f}" for _ in range(9)) for _ in range(2000)]
    taken = [sum(mask_cards(t) != t for t in texts) for texts in (orders, phones, prices)]
    assert taken[0] <= 0.06 * len(orders)
    assert taken[1:] == [0, 0]


@pytest.mark.parametrize(
    "piece", ["4", "4 ", "4242 ", "4242424242424242 ", "4   ", "5 0 6 ", "12/"]
)
def test_a_long_message_of_digits_takes_time_by_its_length_only(piece):
    def seconds(size: int) -> float:
        text = (piece * size)[:size]
        began = time.perf_counter()
        mask_cards(text)
        return time.perf_counter() - began

    assert min(seconds(100_000) for _ in range(3)) < 5
    assert min(seconds(400_000) for _ in range(2)) < 10 * min(seconds(100_000) for _ in range(3))


@given(st.text(alphabet="4269 -,/\u200b•x", max_size=60))
def test_masking_digits_twice_changes_nothing_more(text):
    once = mask_cards(text)
    assert mask_cards(once) == once


@given(st.text(max_size=200))
def test_masking_twice_changes_nothing_more(text):
    once = mask_cards(text)
    assert mask_cards(once) == once
