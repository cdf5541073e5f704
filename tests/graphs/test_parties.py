"""How many people: a number that seats nobody is asked about, and a dash is not always a minus."""

from datetime import date

import pytest

from graphs.wishes import missing, read

TODAY = date(2026, 11, 19)


@pytest.mark.parametrize(
    "said",
    [
        "book a table for -3 people tomorrow at 7pm",
        "book a table for -3 tomorrow at 7pm",
        "book a table for minus three people tomorrow at 7pm",
        "book a table for 0 people tomorrow at 7pm",
        "book a table for zero people tomorrow at 7pm",
        "book a table for 2.5 people tomorrow at 7pm",
        "book a table for 2,5 people tomorrow at 7pm",
        "book a table tomorrow at 7pm for 2.5",
        "book a table for two and a half people tomorrow at 7pm",
        "订明天晚上七点的餐厅，要-3人",
        "订明天晚上七点的餐厅，负三个人",
        "订明天晚上七点2.5人的餐厅",
        "订明天晚上七点0人的餐厅",
    ],
)
def test_a_party_that_no_table_seats_is_asked_about(said: str):
    chinese = any("\u4e00" <= c <= "\u9fff" for c in said)
    draft = read(said, today=TODAY, language="zh" if chinese else "en").draft
    assert (draft.party, str(draft.hour)) == (None, "19:00:00")
    assert missing(draft, today=TODAY) == "party"


@pytest.mark.parametrize(
    ("said", "people"),
    [
        ("table tomorrow at 7pm - 3 people", 3),
        ("table tomorrow 7pm -3 people", 3),
        ("book a table for 7.15pm for two tomorrow", 2),
        ("a table for 2,7pm tomorrow", 2),
        ("a table tomorrow at 7pm for 4.", 4),
        ("明晚7点-3人的餐桌", 3),
        ("明晚7点，3人的餐桌", 3),
    ],
)
def test_a_dash_or_a_dot_beside_a_party_is_no_part_of_it(said: str, people: int):
    chinese = any("\u4e00" <= c <= "\u9fff" for c in said)
    assert read(said, today=TODAY, language="zh" if chinese else "en").draft.party == people
