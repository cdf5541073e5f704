"""Counted without a vocabulary: never too little where it must fit, about right for a bill."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.tokens import (
    conversation_bound,
    conversation_estimate,
    token_bound,
    token_estimate,
)

HELLO = [{"role": "user", "content": "Hello there"}]


@given(st.text(max_size=300))
def test_the_bound_never_shrinks_when_text_is_added(text):
    assert token_bound(text) <= token_bound(text + "x")
    assert token_bound(text) >= 1


def test_chinese_counts_at_least_one_token_a_character():
    assert token_bound("我想订一张明天晚上七点的两人桌") >= 15


def test_digits_count_one_token_each():
    assert token_bound("1234567890") >= 10


def test_a_conversation_counts_its_tools_too():
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
    assert conversation_bound(HELLO, [tool]) > conversation_bound(HELLO)
    assert conversation_estimate(HELLO, [tool]) > conversation_estimate(HELLO)


@given(st.text(max_size=300))
def test_nobody_is_billed_more_than_the_bound(text):
    assert 0 <= token_estimate(text) <= token_bound(text) + len(text)


# By rule of thumb: a word, a sign or a Chinese character is about a token, a long word two.
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("This is a fake answer from m-reason.", 10),
        ("The quick brown fox jumps over the lazy dog, and nobody minds at all.", 16),
        ("今天天气很好，我们去公园散步吧。", 11),
        ("for (let i = 0; i < items.length; i++) { total += items[i]; }", 23),
        ("Пожалуйста, забронируйте столик на двоих на завтра вечером.", 16),
    ],
)
def test_the_estimate_is_about_what_a_vocabulary_makes_of_it(text, tokens):
    assert tokens * 0.66 <= token_estimate(text) <= tokens * 1.34


def test_a_picture_is_estimated_by_its_size_and_not_by_its_letters():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 90_000}}
    seen = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}]
    assert conversation_estimate(seen) < 1_000
