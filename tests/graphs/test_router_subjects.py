"""What a commercial turn is about where its words say so, and questions about what was shown."""

import pytest

from graphs.router.router import UNSURE
from graphs.state import Ask
from tests.graphs.fakes_router import loaded_router, routed, said

TABLES = (
    "a table for two tomorrow at eight",
    "I found 2 options for 2 people on Friday at 8:00 PM:\n1. Osteria Lume · Tafelrunde · €20.00\n"
    "2. Trattoria Miro · Tafelrunde · €15.00\nWhich one would you like? I will prepare it.",
)
TABLES_ZH = (
    "订一张明天晚上七点的两人桌",
    "找到2个选择：\n1. 罗马小馆 · 食为天 · €20.00\n2. 玉阁 · 食为天 · €15.00\n您想要哪一个？",
)


@pytest.mark.parametrize(
    ("text", "domain", "sub"),
    [
        ("we want to eat sushi on friday, party of six", "restaurant", "booking"),
        ("周五想吃寿司，六个人", "restaurant", "booking"),
        ("hotel in Rome", "hotel", "booking"),
        ("hotels in Paris", "hotel", "booking"),
        ("罗马的酒店", "hotel", "booking"),
        ("등산화 사고 싶어", "product", "purchase"),
        ("from the hotel get me a taxi to the airport", "ride", "booking"),
        ("在希尔顿酒店打车到机场", "ride", "booking"),
        ("a solid wood table in dark brown for my living room", "product", "purchase"),
        ("I want to buy hiking boots", "product", "purchase"),
    ],
)
def test_words_that_name_the_subject_settle_it(text: str, domain: str, sub: str) -> None:
    route = routed(text)
    assert (route.kind, route.domain, route.sub) == ("commercial", domain, sub)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("make it four people", TABLES),
        ("actually make it 9pm", TABLES),
        ("改成四个人", TABLES_ZH),
    ],
)
def test_a_changed_detail_is_of_what_was_asked_for(text: str, before: tuple[str, str]) -> None:
    route = routed(text, *before)
    assert (route.kind, route.domain, route.sub) == ("commercial", "restaurant", "booking")


@pytest.mark.parametrize(
    "before", [(), ("hi", "Hello!"), ("rent a car in Seoul", "1. Kia · €40 2. Audi · €90")]
)
def test_to_buy_a_thing_is_heard_in_korean_wherever_it_is_said(before: tuple[str, ...]) -> None:
    route = routed("등산화 사고 싶어", *before)
    assert (route.kind, route.domain, route.sub) == ("commercial", "product", "purchase")


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("do they have vegetarian dishes?", TABLES),
        ("do any of them allow dogs", TABLES),
        ("are they open late?", TABLES),
        ("他们有素食吗？", TABLES_ZH),
        ("这几家可以带狗吗", TABLES_ZH),
    ],
)
def test_a_question_about_the_offers_shown_is_the_agents(
    text: str, before: tuple[str, str]
) -> None:
    route = routed(text, *before)
    assert (route.kind, route.domain) == ("commercial", "restaurant")
    assert (route.confidence >= UNSURE, route.cause) == (True, "shown")


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("do they speak Portuguese in Brazil?", TABLES),
        ("do they have free admission?", ("museums in Rome", "The Borghese Gallery is lovely.")),
        ("do they have stripes?", ("tell me about zebras", "Zebras live in Africa.")),
        ("他们会飞吗", ("鸵鸟是什么", "鸵鸟是一种大鸟。")),
    ],
)
def test_a_question_about_anything_else_is_not(text: str, before: tuple[str, str]) -> None:
    assert routed(text, *before).cause != "shown"


def test_in_a_talk_that_was_casual_no_offer_is_asked_about() -> None:
    asked = Ask("do they have rhymes?", said("two limericks", "1. A, B. 2. C."), previous="casual")
    assert loaded_router().route(asked).kind == "casual"
