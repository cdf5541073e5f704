"""Numbers in words, people, nights, pieces and limits of money in free text."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.budgets import Budget, budget
from graphs.numerals import Page, normalise, number
from graphs.quantities import more_people, nights, no_count, party, pieces, rooms
from integrations.money import Money

DIGITS = "零一二三四五六七八九"
SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
SMALL += ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"]
SMALL += ["eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def english(n: int) -> str:
    if n < 20:
        return SMALL[n]
    if n < 100:
        return TENS[n // 10 - 2] + (f"-{SMALL[n % 10]}" if n % 10 else "")
    head, rest = divmod(n, 100) if n < 1000 else divmod(n, 1000)
    word = "hundred" if n < 1000 else "thousand"
    tail = "" if not rest else f" and {english(rest)}" if rest < 100 else f" {english(rest)}"
    return f"{english(head)} {word}{tail}"


def chinese(n: int) -> str:
    if n >= 10_000:
        rest = n % 10_000
        return chinese(n // 10_000) + "万" + (_padded(rest, 1000) if rest else "")
    for scale, sign in ((1000, "千"), (100, "百")):
        if n >= scale:
            rest = n % scale
            return DIGITS[n // scale] + sign + (_padded(rest, scale // 10) if rest else "")
    if n >= 10:
        return ("" if n < 20 else DIGITS[n // 10]) + "十" + (DIGITS[n % 10] if n % 10 else "")
    return DIGITS[n]


def _padded(rest: int, scale: int) -> str:
    """After a gap a zero is said; inside a number ten is 一十."""
    text = chinese(rest)
    if 10 <= rest < 20:
        text = "一" + text
    return text if rest >= scale else "零" + text


@given(st.integers(0, 99_999))
def test_chinese_numbers_survive_the_round_trip(n: int):
    assert number(chinese(n)) == n


@given(st.integers(0, 999))
def test_english_numbers_survive_the_round_trip(n: int):
    assert number(english(n)) == n
    assert number(english(n).replace("-", " ")) == n
    assert number(str(n)) == n


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("两百五", 250),
        ("三千五", 3500),
        ("两", 2),
        ("俩", 2),
        ("二〇二六", 2026),
        ("a dozen", 12),
        ("two dozen", 24),
        ("3 dozen", 36),
    ],
)
def test_spoken_short_forms_are_numbers(word: str, value: int):
    assert number(word) == value


@pytest.mark.parametrize("word", ["", "tent", "and", "一二十三", "twelve hundred and", "十个"])
def test_what_is_no_number_is_none(word: str):
    assert number(word) is None


@given(st.text(max_size=60))
def test_reading_twice_changes_nothing(text: str):
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("said", "people"),
    [
        ("a table for two", 2),
        ("for 4 people", 4),
        ("party of six", 6),
        ("there will be three of us", 3),
        ("me and my wife", 2),
        ("my boss and I", 2),
        ("just me", 1),
        ("two adults and a child", 3),
        ("2 adults, 2 kids", 4),
        ("our family of four", 4),
        ("a two-person table", 2),
        ("not for two, for three please", 3),
        ("两人桌", 2),
        ("四位", 4),
        ("我们五个", 5),
        ("我和女朋友", 2),
        ("两大一小", 3),
        ("一家三口", 3),
        ("不是两个人，是三个人", 3),
        ("訂一張兩人桌", 2),
    ],
)
def test_people_are_counted(said: str, people: int):
    assert party(Page(said)) == people


@pytest.mark.parametrize("said", ["a table", "under 200", "人均两百", "at 7", "第二个", "今晚八点"])
def test_nobody_is_invented(said: str):
    assert party(Page(said)) is None


@pytest.mark.parametrize(
    ("said", "more"), [("one more person", 1), ("add two guests", 2), ("再加一个人", 1)]
)
def test_more_people_come_on_top(said: str, more: int):
    assert more_people(Page(said)) == more


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("3 nights", 3),
        ("for two nights", 2),
        ("a week", None),
        ("for a week", 7),
        ("住两晚", 2),
        ("住三天", 3),
        ("两个晚上", 2),
        ("今晚八点", None),
        ("周三晚上七点", None),
        ("night light", None),
    ],
)
def test_nights_are_counted(said: str, count: int | None):
    assert nights(Page(said)) == count


@pytest.mark.parametrize(
    ("said", "count"), [("two double rooms", 2), ("两间房", 2), ("a room", None)]
)
def test_rooms_are_counted(said: str, count: int | None):
    assert rooms(Page(said)) == count


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("buy two tents", 2),
        ("two tents please", 2),
        ("buy 3 red mugs", 3),
        ("3 bottles of wine", 3),
        ("2x headlamp", 2),
        ("qty: 4", 4),
        ("make it three", 3),
        ("I'll take two", 2),
        ("I want two of them", 2),
        ("the second one, two of them", 2),
        ("I'll take the second one. Two of them, please.", 2),
        ("the second one, a dozen please", 12),
        ("buy two dozen roses", 24),
        ("二号来一打", 12),
        ("来半打", 6),
        ("买两个帐篷", 2),
        ("三瓶红酒", 3),
        ("买两顶双人帐篷", 2),
        ("买一顶双人帐篷", 1),
        ("两双袜子", 2),
        ("来3个", 3),
    ],
)
def test_pieces_are_counted(said: str, count: int):
    assert pieces(Page(said)) == count


@pytest.mark.parametrize(
    "said",
    [
        "buy me a two-person tent",
        "get me the cheapest two-person tent",
        "buy a 2 person tent",
        "a 10 inch pan",
        "buy 500 ml of shampoo",
        "I need a 4 season sleeping bag",
        "a 12-pack of socks",
        "is one of them waterproof?",
        "这个打折吗",
        "打八折",
        "iPhone 15 case",
        "两人帐篷",
        "双人帐篷",
        "500ml保温杯",
    ],
)
def test_a_number_of_the_thing_itself_is_no_quantity(said: str):
    assert pieces(Page(said)) is None


@pytest.mark.parametrize(
    "said",
    [
        "buy 0.5 tents",
        "buy -2 tents",
        "get me minus 2 mugs",
        "order 0 lamps",
        "the second, -2 of them",
        "买0.5个杯子",
        "买-2个杯子",
        "take 2.5 of them",
    ],
)
def test_a_count_that_nothing_can_be_bought_by_is_heard(said: str):
    assert no_count(Page(said))


@pytest.mark.parametrize(
    "said",
    [
        "buy 0.5 l of shampoo",
        "buy a 1.5 m rope",
        "buy 10 tents",
        "buy 2 tents under 10.50",
        "买2个杯子",
        "buy half a dozen eggs",
        "buy tents - 2 please",
        "buy 1.75mm filament",
        "买1.5米的绳子",
    ],
)
def test_a_whole_count_or_a_measure_is_no_such_count(said: str):
    assert not no_count(Page(said))


@pytest.mark.parametrize(
    ("said", "amount", "currency"),
    [
        ("a tent under $100", "100", "USD"),
        ("between €50 and €80", "80", "EUR"),
        ("no more than 1,200.50 EUR", "1200.50", "EUR"),
        ("budget of 300 euros", "300", "EUR"),
        ("at most fifty dollars", "50", "USD"),
        ("I have £40", "40", "GBP"),
        ("a $1.2k laptop", "1200", "USD"),
        ("a tent under 100", "100", None),
        ("my budget is 250", "250", None),
        ("100元以内", "100", "CNY"),
        ("两百块以下", "200", "CNY"),
        ("不超过三百元", "300", "CNY"),
        ("预算三千", "3000", None),
        ("500-600元的酒店", "600", "CNY"),
        ("一百欧元左右", "100", "EUR"),
    ],
)
def test_a_limit_of_money_is_read(said: str, amount: str, currency: str | None):
    chinese_text = any("\u4e00" <= c <= "\u9fff" for c in said)
    found = budget(Page(said), language="zh" if chinese_text else "en")
    assert found is not None
    assert (found.amount, found.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    "said",
    [
        "a table for four",
        "for 2 people",
        "party of 100",
        "less than 5 people",
        "under 2 kg",
        "under 20 minutes away",
        "over $100",
        "at least 50 euros",
        "100元以上",
        "a $50 gift card",
        "room 100",
        "at 7",
        "两人桌",
        "3月5号",
        "four people in Europe",
    ],
)
def test_no_other_number_becomes_a_price(said: str):
    assert budget(Page(said), language="en") is None


@pytest.mark.parametrize(
    ("said", "per"),
    [
        ("€120 per night", "night"),
        ("每晚不超过800元", "night"),
        ("$20 each", "unit"),
        ("30 euros per person", "person"),
        ("人均200元", "person"),
        ("under $90", "total"),
    ],
)
def test_a_limit_says_what_it_is_for(said: str, per: str):
    found = budget(Page(said), language="en")
    assert found is not None
    assert found.per == per


@given(st.integers(1, 10**7), st.sampled_from(["USD", "EUR", "GBP", "JPY"]))
def test_a_limit_is_exact_money(amount: int, currency: str):
    found = budget(Page(f"under {amount} {currency.lower()}"), language="en")
    assert found is not None
    assert found.money() == Money.from_decimal(str(amount), currency)


def test_a_limit_in_another_currency_is_never_met():
    limit = Budget(Decimal(100), "USD")
    assert not limit.allows(Money(1, "EUR"))
    assert limit.allows(Money(10_000, "USD"))
    assert not limit.allows(Money(10_001, "USD"))


def test_a_number_fills_one_slot_only():
    page = Page("a table for 4 under $40")
    assert budget(page, language="en") == Budget(Decimal(40), "USD")
    assert party(page) == 4
    assert nights(page) is None
    assert pieces(page) is None
