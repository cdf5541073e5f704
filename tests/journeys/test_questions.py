"""What is missing is asked for by one short question at a time, in the person's language."""

import secrets

import pytest

from tests.journeys.conftest import Product
from tests.journeys.runs import asked, run, said


@pytest.mark.parametrize(
    ("words", "questions", "answers"),
    [
        (
            "Book me a table at an Italian place",
            ["For which day?", "At what time?", "For how many people?"],
            ["in twelve days", "7pm", "two"],
        ),
        (
            "订一张意大利餐厅的桌子",
            ["请问是哪一天？", "请问几点？", "请问几位？"],
            ["十二天后", "晚上七点", "两位"],
        ),
        (
            "book a hotel room in Berlin",
            ["For which day?", "For how many nights?", "For how many people?"],
            ["in twelve days", "two nights", "2"],
        ),
        (
            "订一间柏林的酒店",
            ["请问是哪一天？", "请问住几晚？", "请问几位？"],
            ["十二天后", "两晚", "2"],
        ),
    ],
)
async def test_a_booking_is_asked_for_its_facts_and_then_proposed(
    product: Product, words: str, questions: list[str], answers: list[str]
):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        events = await run(http, thread, text=words)
        for question, answer in zip(questions, answers, strict=True):
            assert said(events) == question
            assert events[-1]["outcome"] == {"type": "success"}, "nothing is proposed before"
            events = await run(http, thread, text=answer)
        booking = asked(events)["metadata"]["confirmation"]["booking"]
    assert booking["party"] == 2
