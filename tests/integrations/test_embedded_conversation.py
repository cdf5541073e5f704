"""A client's request in the form that the small model can use."""

from typing import Any

import pytest

from integrations.embedded.conversation import BadRequest, rewritten, upstream
from integrations.embedded.toolcalls import chosen

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather"}}]
ASKED = {"role": "user", "content": "Weather in Paris?"}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "18 C and sunny"}


def test_a_tool_result_becomes_words_that_name_its_tool():
    turns = rewritten([ASKED, CALLED, RESULT], None)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert "get_weather" in turns[2]["content"]
    assert "18 C and sunny" in turns[2]["content"]
    assert all(set(turn) == {"role", "content"} for turn in turns)


def test_several_results_make_one_message():
    turns = rewritten([ASKED, CALLED, RESULT, RESULT | {"content": "wind 3"}], None)
    assert len(turns) == 3
    assert "18 C" in turns[2]["content"]
    assert "wind 3" in turns[2]["content"]


def test_earlier_answers_stand_in_the_format_that_the_grammar_demands():
    choice = chosen(TOOLS, "auto")
    turns = rewritten([ASKED, CALLED, RESULT, {"role": "assistant", "content": "18 C"}], choice)
    assert turns[-3]["content"] == '{"tool": "get_weather", "arguments": {"city": "Paris"}}'
    assert turns[-1]["content"] == '{"tool": "reply", "arguments": {"text": "18 C"}}'


def test_there_is_one_system_prompt_and_it_comes_first():
    messages = [ASKED, {"role": "developer", "content": "B"}, {"role": "system", "content": "A"}]
    turns = rewritten(messages, chosen(TOOLS, "auto"))
    assert [turn["role"] for turn in turns].count("system") == 1
    assert turns[0]["content"].startswith("B\n\nA\n\n")
    assert "get_weather" in turns[0]["content"]


def test_parts_of_text_are_joined():
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert rewritten([{"role": "user", "content": parts}], None)[0]["content"] == "one\ntwo"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": "hi"},
        {"messages": ["hi"]},
        {"messages": [{"role": "oracle", "content": "hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [ASKED], "n": 2},
        {"messages": [ASKED], "max_tokens": -1},
        {"messages": [ASKED], "max_tokens": "many"},
        {"messages": [{"role": "assistant", "tool_calls": ["x"]}]},
    ],
)
def test_what_cannot_be_read_is_refused(body: dict[str, Any]):
    with pytest.raises(BadRequest):
        upstream(body, token_cap=100)


def test_tokens_are_capped_and_strange_fields_stay_here():
    body = {"messages": [ASKED], "max_completion_tokens": 9000, "store": True, "temperature": 0}
    request, choice = upstream(body, token_cap=100)
    assert request["max_tokens"] == 100
    assert request["temperature"] == 0
    assert "store" not in request
    assert choice is None


def test_a_schema_of_the_client_passes_through_and_a_tool_choice_takes_its_place():
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    free, _ = upstream({"messages": [ASKED], "response_format": schema}, token_cap=10)
    assert free["response_format"] == schema
    bound, choice = upstream({"messages": [ASKED], "tools": TOOLS}, token_cap=10)
    assert choice is not None
    assert bound["response_format"]["json_schema"]["schema"] == choice.grammar
