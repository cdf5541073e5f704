"""Feeds as merchants really send them: other encodings, other separators, things said twice."""

import io

import pytest

from backend.errors import Unprocessable
from backend.feed_readers import READERS, Format
from backend.feed_rows import FeedRow, from_csv

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


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *[("price_amount", given) for given in ("12_50", "+5", "-5", "５００", "٥٠", "1e3")],
        *[("rating", given) for given in ("1_0", "inf", "nan", "+4", "1e0", "４.5", "4,5", ".")],
        *[("delivery_days", given) for given in ("1_0", "+2", "２", "2.0", "9" * 20)],
    ],
)
def test_a_number_in_a_csv_is_plain_digits_and_all_else_is_reported(name: str, given: str):
    cells = {"item_id": "a", "title": "A", "price_amount": "100", "currency": "EUR", name: given}
    with pytest.raises(ValueError, match=name):
        FeedRow.model_validate(from_csv(cells))


@pytest.mark.parametrize(("given", "rating"), [("4", 4.0), (" 4.50 ", 4.5), ("0", 0.0)])
def test_plain_numbers_in_a_csv_are_read(given: str, rating: float):
    cells = {"item_id": "a", "title": "A", "price_amount": "0100", "currency": "EUR"}
    row = FeedRow.model_validate(from_csv(cells | {"rating": given, "delivery_days": "2"}))
    assert (row.price_amount, row.rating, row.delivery_days) == (100, rating, 2)


def test_zeros_in_the_place_of_a_gtin_are_none_and_no_fault():
    row = FeedRow(item_id="a", title="A", price_amount=1, currency="EUR", gtin="0000000000000")
    assert row.gtin == ""
    slip = FeedRow(item_id="a", title="A", price_amount=1, currency="EUR", gtin="4006381333930")
    assert slip.gtin == "4006381333930"
