"""Feeds as merchants really send them: other encodings, other separators, things said twice."""

import io

import pytest

from backend.errors import Unprocessable
from backend.feed_readers import READERS, Format
from backend.feed_rows import FeedRow

HEAD = b"item_id,title,price_amount,currency\n"


def read(content: bytes, form: Format = "csv") -> list[tuple[bool, str]]:
    """Whether each row could be read, and what is wrong with it."""
    return [(raw.fields is not None, raw.problem) for raw in READERS[form](io.BytesIO(content))]


def test_a_row_that_is_not_utf8_is_left_out_and_the_next_one_stays():
    rows = read(HEAD + "a,Müller,100,EUR\n".encode("latin-1") + "b,Müller,100,EUR\n".encode())
    assert rows == [(False, "title is not UTF-8"), (True, "")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((HEAD + b"a,A,1,EUR\n").decode().encode("utf-16"), "not UTF-8"),
        (HEAD.replace(b",", b";") + b"a;A;1;EUR\n", "separated by commas"),
        (b"item_id,title, title,price_amount,currency\na,A,B,1,EUR\n", "twice"),
    ],
)
def test_a_header_that_no_row_can_be_read_by_is_said_once(content: bytes, said: str):
    with pytest.raises(Unprocessable, match=said):
        read(content)


def test_a_mark_before_the_first_byte_is_no_part_of_the_header():
    assert read(b"\xef\xbb\xbf" + HEAD + b"a,A,1,EUR\n") == [(True, "")]


def test_a_price_given_twice_is_no_price():
    assert read(b'{"item_id": "a", "price_amount": 9, "price_amount": 1}\n', "jsonl") == [
        (False, "a field occurs twice")
    ]


@pytest.mark.parametrize("currency", ["XAG", "XAU", "DEM", "XTS", "HRK"])
def test_what_nobody_can_be_charged_in_is_no_currency(currency: str):
    with pytest.raises(ValueError, match="money in use"):
        FeedRow(item_id="a", title="A", price_amount=1, currency=currency)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD", "ISK", "CNY", "CHF"])
def test_money_in_use_is_taken_whatever_its_decimals(currency: str):
    row = FeedRow(item_id="a", title="A", price_amount=1, currency=currency)
    assert row.currency == currency
