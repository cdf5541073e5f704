"""Tools become a grammar, and what the model writes under it becomes OpenAI's deltas again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.embedded.toolcalls import BadTools, chosen, simplified
from integrations.embedded.toolreader import ToolReader, answered

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}


def read(text: str, *, cut: list[int] | None = None) -> tuple[dict[str, Any], ToolReader]:
    reader, deltas, at = ToolReader("reply"), [], 0
    for end in [*sorted(c for c in cut or [] if c < len(text)), len(text)]:
        deltas += reader.feed(text[at:end])
        at = end
    return answered(deltas), reader


def names(grammar: dict[str, Any]) -> list[str]:
    return [option["properties"]["tool"]["const"] for option in grammar["anyOf"]]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ["get_weather", "get_time", "reply"]),
        ("auto", ["get_weather", "get_time", "reply"]),
        ("required", ["get_weather", "get_time"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
    ],
)
def test_the_choice_decides_what_the_grammar_admits(choice: Any, expected: list[str]):
    found = chosen([WEATHER, TIME], choice)
    assert found is not None
    assert names(found.grammar) == expected


def test_a_clients_own_tool_named_reply_stays_a_tool():
    own = {"type": "function", "function": {"name": "reply"}}
    found = chosen([own], "auto")
    assert found is not None
    assert found.reply not in (None, "reply")
    assert names(found.grammar) == ["reply", found.reply]


def test_none_and_no_tools_leave_the_answer_free():
    assert chosen([WEATHER], "none") is None
    assert chosen([], "auto") is None
    assert chosen([], None) is None


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([], "required"),
        ([WEATHER], {"type": "function", "function": {"name": "other"}}),
        ([WEATHER], "sometimes"),
        ([{"type": "function"}], "auto"),
        (["get_weather"], "auto"),
        ([{"type": "function", "function": {"name": 3}}], "auto"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(tools: list[Any], choice: Any):
    with pytest.raises(BadTools):
        chosen(tools, choice)


def test_references_are_resolved_and_what_a_grammar_cannot_hold_is_left_out():
    schema = {
        "type": "object",
        "$defs": {"Day": {"type": "string", "enum": ["mon", "tue"], "title": "Day"}},
        "properties": {
            "day": {"$ref": "#/$defs/Day"},
            "free": {"type": "string", "pattern": "[a-z]+", "format": "slug", "default": "x"},
            "code": {"type": "string", "pattern": "^[a-z]{2}$"},
            "people": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        },
        "required": ["day"],
    }
    assert simplified(schema, root=schema) == {
        "type": "object",
        "properties": {
            "day": {"type": "string", "enum": ["mon", "tue"]},
            "free": {"type": "string"},
            "code": {"type": "string", "pattern": "^[a-z]{2}$"},
            "people": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        },
        "additionalProperties": False,
        "required": ["day"],
    }


def test_a_schema_that_contains_itself_ends():
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert "next" in simplified(schema, root=schema)["properties"]


def test_the_same_tools_give_the_same_bytes_for_the_prefix_cache():
    first, second = chosen([WEATHER, TIME], "auto"), chosen([WEATHER, TIME], "auto")
    assert first is not None
    assert second is not None
    assert first.instructions == second.instructions


ARGUMENTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


@given(arguments=ARGUMENTS, cut=st.lists(st.integers(0, 200), max_size=12), pretty=st.booleans())
def test_a_call_reads_the_same_however_it_is_cut(
    arguments: dict[str, Any], cut: list[int], *, pretty: bool
):
    text = json.dumps({"tool": "f", "arguments": arguments}, indent=2 if pretty else None)
    message, reader = read(text, cut=cut)
    assert message["content"] is None
    assert message["tool_calls"][0]["function"]["name"] == "f"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == arguments
    assert reader.called
    assert reader.complete


def as_reply(words: str, *, ascii_only: bool) -> str:
    called = {"tool": "reply", "arguments": {"text": words}}
    return json.dumps(called, ensure_ascii=ascii_only)


@given(
    words=st.text(st.characters(codec="utf-8"), max_size=40),
    cut=st.lists(st.integers(0, 200), max_size=12),
    ascii_only=st.booleans(),
)
def test_a_reply_reads_the_same_however_it_is_cut(words: str, cut: list[int], *, ascii_only: bool):
    message, reader = read(as_reply(words, ascii_only=ascii_only), cut=cut)
    assert message["content"] == words
    assert "tool_calls" not in message
    assert reader.complete
    assert not reader.called


@pytest.mark.parametrize("indent", [None, 1])
def test_one_character_at_a_time_reads_the_same(indent: int | None):
    call = json.dumps({"tool": "f", "arguments": {"a": ["]}", {"b": 1}]}}, indent=indent)
    message, _ = read(call, cut=list(range(len(call))))
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"a": ["]}", {"b": 1}]}
    reply = json.dumps({"tool": "reply", "arguments": {"text": 'é "quoted" 😀 \n'}}, indent=indent)
    message, reader = read(reply, cut=list(range(len(reply))))
    assert message["content"] == 'é "quoted" 😀 \n'
    assert reader.complete


def test_half_a_surrogate_pair_is_shown_as_unreadable_and_not_waited_for():
    message, _ = read('{"tool": "reply", "arguments": {"text": "a\\ud83d then words"}}')
    assert message["content"] == "a\ufffd then words"


def test_a_call_cut_off_by_the_token_limit_is_not_complete():
    _, reader = read('{"tool": "f", "arguments": {"a": "unfinish')
    assert reader.called
    assert not reader.complete


def test_the_first_piece_has_id_and_name_and_the_rest_only_arguments():
    reader = ToolReader("reply")
    pieces = reader.feed('{"tool": "f", "arg') + reader.feed('uments": {"a"') + reader.feed(": 1}}")
    calls = [piece["tool_calls"][0] for piece in pieces]
    assert calls[0]["function"] == {"name": "f", "arguments": ""}
    assert calls[0]["id"].startswith("call_")
    assert all(set(call) == {"index", "function"} for call in calls[1:])
    assert "".join(call["function"]["arguments"] for call in calls) == '{"a": 1}'
