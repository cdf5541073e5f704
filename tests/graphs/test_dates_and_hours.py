"""Days and times of day in free text, English and Chinese, seen from Thursday 19 November 2026."""

from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.dates import days, in_months
from graphs.hours import hour
from graphs.numerals import Page

TODAY = date(2026, 11, 19)
DAYS = st.dates(date(2026, 11, 19), date(2027, 11, 18))
ENGLISH = ["January", "February", "March", "April", "May", "June", "July", "August", "September"]
ENGLISH += ["October", "November", "December"]


def first_day(text: str) -> date | None:
    found = days(Page(text), today=TODAY)
    return found[0].day if found else None


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("tomorrow at 7pm", "2026-11-20"),
        ("tommorow evening", "2026-11-20"),
        ("tonight at 8", "2026-11-19"),
        ("the day after tomorrow", "2026-11-21"),
        ("on Friday", "2026-11-20"),
        ("next Friday", "2026-11-27"),
        ("this Sunday", "2026-11-22"),
        ("Thursday", "2026-11-26"),
        ("this Thursday", "2026-11-19"),
        ("Monday next week", "2026-11-23"),
        ("next week on Tuesday", "2026-11-24"),
        ("this weekend", "2026-11-21"),
        ("next weekend", "2026-11-28"),
        ("in two weeks", "2026-12-03"),
        ("in 3 days", "2026-11-22"),
        ("in a fortnight", "2026-12-03"),
        ("a month from now", "2026-12-19"),
        ("March 5th", "2027-03-05"),
        ("5 March 2028", "2028-03-05"),
        ("the 1st of December", "2026-12-01"),
        ("Dec 24", "2026-12-24"),
        ("the 7th", "2026-12-07"),
        ("on the 25th", "2026-11-25"),
        ("the 7th of next month", "2026-12-07"),
        ("2026-12-24 19:30", "2026-12-24"),
        ("12/24", "2026-12-24"),
        ("24/12/2026", "2026-12-24"),
        ("February 29", "2028-02-29"),
        ("on Christmas Eve", "2026-12-24"),
        ("not Friday, Saturday", "2026-11-21"),
        ("明天晚上七点", "2026-11-20"),
        ("今晚八点", "2026-11-19"),
        ("后天中午12点半", "2026-11-21"),
        ("大后天", "2026-11-22"),
        ("周六", "2026-11-21"),
        ("本周日", "2026-11-22"),
        ("下周五", "2026-11-27"),
        ("下个星期三", "2026-11-25"),
        ("下下周一", "2026-11-30"),
        ("下周三晚上", "2026-11-25"),
        ("礼拜天", "2026-11-22"),
        ("这个周末", "2026-11-21"),
        ("下周末", "2026-11-28"),
        ("3月5号", "2027-03-05"),
        ("三月五日", "2027-03-05"),
        ("十二月二十四日", "2026-12-24"),
        ("2027年1月2日", "2027-01-02"),
        ("明年三月五号", "2027-03-05"),
        ("二十五号", "2026-11-25"),
        ("下个月5号", "2026-12-05"),
        ("两周后", "2026-12-03"),
        ("三天之后", "2026-11-22"),
        ("下週五", "2026-11-27"),
        ("不是周五，是周六", "2026-11-21"),
        ("平安夜", "2026-12-24"),
    ],
)
def test_a_day_is_found_inside_a_sentence(said: str, day: str):
    chinese = any("\u4e00" <= c <= "\u9fff" for c in said)
    sentence = f"订一张{said}的两人桌" if chinese else f"book a table for two {said} please"
    assert first_day(sentence) == date.fromisoformat(day)


@pytest.mark.parametrize(
    "said",
    [
        "book a table for two",
        "a tent for two people",
        "I may come with 5 friends",
        "the 2nd one please",
        "room 12",
        "二人桌",
        "第二个",
        "五号线附近的餐厅",
        "30/30",
        "February 31",
        "13月5号",
    ],
)
def test_numbers_that_are_no_day_stay_numbers(said: str):
    assert first_day(said) is None


@pytest.mark.parametrize(
    ("said", "start", "end"),
    [
        ("from March 3 to March 5", "2027-03-03", "2027-03-05"),
        ("December 3rd - 5th", "2026-12-03", "2026-12-05"),
        ("3 to 5 December", "2026-12-03", "2026-12-05"),
        ("December 30 to January 2", "2026-12-30", "2027-01-02"),
        ("Friday to Sunday", "2026-11-20", "2026-11-22"),
        ("12月3号到5号", "2026-12-03", "2026-12-05"),
        ("12月30日至1月2日", "2026-12-30", "2027-01-02"),
    ],
)
def test_a_range_has_an_arrival_and_a_departure(said: str, start: str, end: str):
    found = days(Page(said), today=TODAY)[0]
    assert (found.day, found.until) == (date.fromisoformat(start), date.fromisoformat(end))


@given(DAYS)
def test_every_coming_day_survives_the_round_trip_in_both_languages(day: date):
    month = ENGLISH[day.month - 1]
    for said in (
        f"for 2 on {month} {day.day}",
        f"{day.day} {month} for 2",
        f"{day:%Y-%m-%d}, two people",
        f"{day.month}月{day.day}日两个人",
        f"{day.year}年{day.month}月{day.day}号",
    ):
        assert first_day(said) == day, said


@given(DAYS, st.integers(0, 24))
def test_months_ahead_never_overflow_a_short_month(day: date, months: int):
    later = in_months(day, months)
    assert later.day <= day.day
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months


@given(st.integers(1, 60))
def test_days_ahead_count_from_today(count: int):
    assert first_day(f"in {count} days") == TODAY + timedelta(days=count)
    assert first_day(f"{count}天后") == TODAY + timedelta(days=count)


@given(st.text(max_size=80))
def test_no_text_at_all_can_break_the_readers(text: str):
    page = Page(text)
    days(page, today=TODAY)
    hour(page, dining=True)
    assert len(page.left) == len(page.text)


@pytest.mark.parametrize(
    ("said", "at", "assumed"),
    [
        ("tomorrow at 7pm", "19:00", False),
        ("at 7 p.m.", "19:00", False),
        ("at 7:30 pm", "19:30", False),
        ("at 7.15pm", "19:15", False),
        ("12am", "00:00", False),
        ("12pm", "12:00", False),
        ("19:30", "19:30", False),
        ("at 07:30", "07:30", False),
        ("at 7", "19:00", True),
        ("at 7:30", "19:30", True),
        ("half past eight", "20:30", True),
        ("dinner at half past eight", "20:30", False),
        ("quarter to seven in the evening", "18:45", False),
        ("ten past eight tonight", "20:10", False),
        ("half eight", "20:30", True),
        ("breakfast at 9", "09:00", False),
        ("lunch at 1", "13:00", False),
        ("at noon", "12:00", False),
        ("eight o'clock", "20:00", True),
        ("make it 8pm instead", "20:00", False),
        ("make it eight", "20:00", True),
        ("move it from 7pm to 8pm", "20:00", False),
        ("not 7pm, 8pm", "20:00", False),
        ("between 7 and 8pm", "20:00", False),
        ("seven thirty pm", "19:30", False),
        ("晚上七点", "19:00", False),
        ("晚7点半", "19:30", False),
        ("今晚八点一刻", "20:15", False),
        ("中午12点半", "12:30", False),
        ("中午一点", "13:00", False),
        ("下午3点", "15:00", False),
        ("上午十点零五分", "10:05", False),
        ("早上8点", "08:00", False),
        ("七点", "19:00", True),
        ("19点", "19:00", False),
        ("12月24日19:30", "19:30", False),
        ("改到晚上八点", "20:00", False),
    ],
)
def test_an_hour_is_settled_and_a_guess_is_marked(said: str, at: str, *, assumed: bool):
    page = Page(said)
    days(page, today=TODAY)
    found = hour(page, dining=True)
    assert found is not None
    assert (found.time, found.assumed) == (time.fromisoformat(at), assumed)


@pytest.mark.parametrize(
    "said",
    ["for 4 people", "two nights", "at 7 euros", "€19.30", "make it three", "三个人"],
)
def test_other_numbers_are_no_time_of_day(said: str):
    assert hour(Page(said), dining=True) is None


@pytest.mark.parametrize(
    "said",
    [
        "tomorrow at 25:00",
        "at 25:99",
        "at 100:00",
        "at 19:61",
        "at 24:30",
        "at 7:61pm",
        "at 13pm",
        "at 0pm",
        "at 25",
        "25点",
        "下午25点",
        "晚上125点",
        "二十五点",
        "24点半",
        "晚上八点61分",
    ],
)
def test_a_time_that_no_clock_shows_is_never_guessed(said: str):
    assert hour(Page(said), dining=True) is None


@pytest.mark.parametrize(
    ("said", "at"),
    [("at 24:00", "00:00"), ("24点", "00:00"), ("at 23:59", "23:59"), ("23点59分", "23:59")],
)
def test_the_last_times_of_the_clock_are_still_times(said: str, at: str):
    found = hour(Page(said), dining=True)
    assert found is not None
    assert found.time == time.fromisoformat(at)


@given(st.times())
def test_exact_times_survive_the_round_trip(at: time):
    at = at.replace(second=0, microsecond=0)
    said = hour(Page(f"table for 2 at {at:%H:%M}"), dining=True)
    meridian = hour(Page(f"table for 2 at {at:%I:%M} {at:%p}"), dining=True)
    assert meridian is not None
    assert meridian.time == at
    assert said is not None
    if at.hour == 0 or at.hour >= 13 or f"{at:%H}".startswith("0"):
        assert (said.time, said.assumed) == (at, False)
    else:
        assert said.assumed


@given(st.integers(1, 11), st.sampled_from(["", "半", "一刻", "三刻"]))
def test_chinese_evening_hours_are_after_noon(said: int, rest: str):
    minutes = {"": 0, "半": 30, "一刻": 15, "三刻": 45}[rest]
    found = hour(Page(f"晚上{said}点{rest}"), dining=True)
    assert found is not None
    assert found.time == time(said + 12, minutes)
