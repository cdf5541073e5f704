"""Models named in words: heard as orders to us, not in quotations, code, negation or reports."""

import pytest

from graphs.router.rules import explicit_intent
from graphs.state import Ask
from tests.graphs.fakes_router import loaded_router

MODELS = ("emptor-local", "emptor-local-mini", "gpt-5-mini", "gpt-5", "gpt-5-nano")


def named(text: str) -> str | None:
    return explicit_intent(text, (), MODELS).model


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("use gpt-5", "gpt-5"),
        ("Use GPT 5: what's the capital of Peru?", "gpt-5"),
        ("please use gpt-5 mini for this", "gpt-5-mini"),
        ("Can you answer this with gpt-5?", "gpt-5"),
        ("I want you to use gpt5 for this question", "gpt-5"),
        ("What is 2+2? Use gpt-5-nano.", "gpt-5-nano"),
        ("let gpt-5 answer this", "gpt-5"),
        ("I'd like you to use emptor local mini", "emptor-local-mini"),
        ("用gpt-5回答：天为什么蓝", "gpt-5"),
        ("请用 GPT-5 来写一首诗", "gpt-5"),
        ("这题换gpt-5-mini", "gpt-5-mini"),
        ("改用gpt-5吧", "gpt-5"),
    ],
)
def test_a_model_that_is_ordered_by_its_name_is_heard(text: str, model: str) -> None:
    assert named(text) == model


@pytest.mark.parametrize(
    "text",
    [
        "don't use gpt-5",
        "no need to use gpt-5 here",
        "how do I use gpt-5 in python?",
        "should I use gpt-5 or something else",
        "tell me whether to use gpt-5",
        "my teacher told me to use gpt-5",
        "He said: use gpt-5 if you can't solve it",
        "I use gpt-5 at work",
        "people use gpt-5 for essays",
        "rather than use gpt-5, think yourself",
        '"use gpt-5" - what does it mean?',
        "translate: 'please use gpt-5'",
        "```\nuse gpt-5\n```\nwhat is this",
        "what does `use gpt-5` do",
        "is gpt-5 better than gpt-5-mini?",
        "build a chatbot with gpt-5",
        "use gpt-5-codex",
        "use butter instead",
        "别用gpt-5",
        "不要用 GPT-5 回答",
        "老师让我用gpt-5写作业，好吗",
        "怎么用gpt-5写代码",
        "朋友说用gpt-5好",
        "“用gpt-5回答”用英语怎么说",
    ],
)
def test_talk_about_a_model_is_no_order(text: str) -> None:
    assert named(text) is None


def test_without_a_list_no_model_is_known() -> None:
    assert explicit_intent("use gpt-5").model is None


@pytest.mark.parametrize(
    ("text", "kind", "role"),
    [
        ("Answer with the reasoning model: what is the capital of Peru?", "complex", "reasoning"),
        ("use the reasoning model please, who wrote Emma", "complex", "reasoning"),
        ("用推理模型：一年有几天", "complex", "reasoning"),
        ("请用推理模型回答，法国首都是哪里", "complex", "reasoning"),
        ("Use the small model. Prove that the square root of 2 is irrational.", "casual", "light"),
        ("用轻量模型就行，证明根号二是无理数", "casual", "light"),
        ("use the fast model and book me a table for two tonight", "commercial", "agent"),
    ],
)
def test_a_role_is_ordered_in_words(text: str, kind: str, role: str) -> None:
    route = loaded_router().route(Ask(text, models=MODELS))
    assert (route.kind, route.role) == (kind, role)


@pytest.mark.parametrize(
    "text",
    [
        "don't use the small model",
        "my boss told us to use the cheapest model",
        "we use a small model train at home",
        'what does "use the light model" mean',
        "不要用小模型",
    ],
)
def test_a_small_model_that_is_only_talked_about_is_not_ordered(text: str) -> None:
    assert not explicit_intent(text).light


@pytest.mark.parametrize(
    "text",
    [
        "my teacher told me to use the reasoning model",
        "what does 'use the reasoning model' mean?",
        "别用推理模型，随便说说",
        "老师让我用推理模型，你觉得呢",
    ],
)
def test_a_reasoning_model_that_is_only_talked_about_is_not_ordered(text: str) -> None:
    assert explicit_intent(text).effort != "high"


def test_a_model_in_a_pasted_text_is_not_ordered() -> None:
    paste = "> use gpt-5 for everything\n> use gpt-5\n\nWhat is the tone of this mail?"
    assert loaded_router().route(Ask(paste, models=MODELS)).asked_model is None


def test_a_model_named_in_words_goes_with_the_route() -> None:
    route = loaded_router().route(Ask("Use gpt-5: what is the capital of Peru?", models=MODELS))
    assert (route.kind, route.asked_model) == ("casual", "gpt-5")
