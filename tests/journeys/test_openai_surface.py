"""`/v1` as an outside client meets it."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from graphs.state import Called
from integrations.models import Usage
from tests.journeys.conftest import Product
from tests.servers import eventually, until

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Good morning!"}]}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


async def chunks(product: Product, body: dict[str, Any], who: str = "plus") -> list[dict[str, Any]]:
    async with (
        product.client(who) as http,
        http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        lines = [line async for line in answer.aiter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


async def test_the_answer_names_the_model_that_answered_the_route_and_the_allowance(product):
    async with product.client() as http:
        answer = await http.post("/v1/chat/completions", json=HELLO)
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["model"] == "gpt-5-mini"
    assert body["choices"][0]["message"]["content"] == "I am gpt-5-mini and I heard you."
    assert body["route"]["kind"] == "casual"
    assert body["route"]["requested"] == "auto"
    assert body["quota"]["charged"] == {"light": 1}
    assert body["usage"]["emptor"]["cost_usd_micros"] > 0
    assert answer.headers["x-emptor-role"] == "light"
    assert answer.headers["x-emptor-model"] == "gpt-5-mini"
    assert int(answer.headers["x-ratelimit-remaining-requests"]) >= 0
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_stream_carries_the_route_first_and_the_quota_last(product):
    got = await chunks(product, {**HELLO, "stream_options": {"include_usage": True}})
    assert got[0]["route"]["role"] == "light"
    assert got[0]["choices"][0]["delta"]["role"] == "assistant"
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in got if c["choices"])
    assert text == "I am gpt-5-mini and I heard you."
    finishing = [c for c in got if c["choices"] and c["choices"][0]["finish_reason"]]
    assert [c["choices"][0]["finish_reason"] for c in finishing] == ["stop"]
    assert finishing[0]["quota"]["charged"] == {"light": 1}
    assert got[-1]["choices"] == []
    assert got[-1]["usage"]["total_tokens"] == 17


async def test_no_chunk_has_empty_choices_unless_usage_was_asked_for(product):
    assert all(c["choices"] for c in await chunks(product, HELLO))


async def test_a_pinned_model_answers_and_an_unknown_one_is_404(product):
    async with product.client() as http:
        pinned = await http.post("/v1/chat/completions", json={**HELLO, "model": "gpt-5"})
        assert pinned.json()["model"] == "gpt-5"
        unknown = await http.post("/v1/chat/completions", json={**HELLO, "model": "nope"})
        assert unknown.status_code == 404
        assert unknown.json()["error"]["code"] == "model_not_found"
        listed = (await http.get("/v1/models")).json()["data"]
        assert [m["id"] for m in listed][:1] == ["auto"]
        assert (await http.get("/v1/models/gpt-5")).json()["id"] == "gpt-5"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"temperature": 9}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages.0.role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "a\u0000b"}]}, None),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
    ],
)
async def test_bad_input_is_a_400_in_openais_shape_with_its_place(product, change, param):
    async with product.client() as http:
        answer = await http.post("/v1/chat/completions", json={**HELLO, **change})
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert set(error) == {"message", "type", "param", "code"}
    if param:
        assert error["param"] == param
    assert not product.model.asked


async def test_a_wrong_key_is_401_and_another_role_403(product):
    async with product.client("sk-wrong") as http:
        answer = await http.post("/v1/chat/completions", json=HELLO)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    async with product.client("operator") as http:
        assert (await http.post("/v1/chat/completions", json=HELLO)).status_code == 403


async def test_a_clients_tool_reaches_the_model_and_comes_back_and_is_not_commerce(product):
    product.model.tool_call = {"name": "get_weather", "arguments": {"city": "Paris"}}
    ask = {"role": "user", "content": "What is the weather in Paris? Use the tool."}
    body = {"model": "auto", "messages": [ask], "tools": [TOOL], "tool_choice": "required"}
    async with product.client() as http:
        first = (await http.post("/v1/chat/completions", json=body)).json()
        assert first["route"]["kind"] != "commercial"
        assert first["choices"][0]["finish_reason"] == "tool_calls"
        call = first["choices"][0]["message"]["tool_calls"][0]
        assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
        assert product.model.asked[0]["tools"] == [TOOL]
        product.model.tool_call = None
        product.model.reply = lambda body: f"It is {body['messages'][-1]['content']}"
        again = [
            ask,
            first["choices"][0]["message"],
            {"role": "tool", "tool_call_id": call["id"], "content": "18 C"},
        ]
        second = (
            await http.post(
                "/v1/chat/completions", json={**body, "messages": again, "tool_choice": "auto"}
            )
        ).json()
    assert second["choices"][0]["message"]["content"] == "It is 18 C"


async def test_tool_deltas_come_in_openais_order(product):
    product.model.tool_call = {"name": "get_weather", "arguments": {"city": "Paris"}}
    ask = {"role": "user", "content": "Weather in Paris? Use the tool."}
    got = await chunks(
        product, {"model": "auto", "messages": [ask], "tools": [TOOL], "tool_choice": "required"}
    )
    pieces = [t for c in got for t in c["choices"][0]["delta"].get("tool_calls", [])]
    assert pieces[0]["id"]
    assert pieces[0]["function"]["name"] == "get_weather"
    assert all("id" not in p for p in pieces[1:])
    assert json.loads("".join(p["function"]["arguments"] for p in pieces)) == {"city": "Paris"}
    assert got[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_failing_model_is_a_502_and_costs_nothing(product):
    product.model.fail_status = 500
    async with product.client("pro") as http:
        before = _used((await http.get("/api/quota")).json())
        answer = await http.post("/v1/chat/completions", json=HELLO)
        product.app.state.models.health.pulses.clear()
        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "model_failed"
        assert "scripted" not in answer.text  # a provider's own words may name the key
        assert _used((await http.get("/api/quota")).json()) == before


class AlwaysJudged:
    """Every turn is looked at by a small model first."""

    async def settle(self, _ask: Any, route: Any, _models: Any) -> tuple[Any, Called]:
        return route, Called("gpt-5-nano", Usage(10, 0, 5, 0), by="judge")


@pytest.fixture
def judged(product):
    chat = product.app.state.chat
    product.app.state.chat = replace(chat, judge=AlwaysJudged())
    product.app.state.models.health.pulses.clear()
    yield
    product.app.state.chat = chat
    product.app.state.models.health.pulses.clear()


@pytest.mark.parametrize("stream", [False, True])
async def test_after_a_judge_too_the_model_that_answered_is_named(product, judged, stream):
    product.model.failing = {"gpt-5-mini": 503}
    async with product.client("pro") as http:
        answer = await http.post("/v1/chat/completions", json={**HELLO, "stream": stream})
    first = answer.text.split("\n")[0].removeprefix("data: ")
    said = json.loads(first if stream else answer.text)
    assert answer.headers["x-emptor-model"] == said["model"] == said["route"]["model"]
    assert product.model.asked[-1]["model"] == said["model"] != "gpt-5-mini"
    assert said["route"]["instead_of"] == "gpt-5-mini"


async def test_after_a_judge_too_a_failure_has_its_status(product, judged):
    product.model.fail_status = 503
    async with product.client("pro") as http:
        answer = await http.post("/v1/chat/completions", json={**HELLO, "stream": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unavailable")


async def _light(http: httpx.AsyncClient) -> tuple[int, int]:
    return _used((await http.get("/api/quota")).json())["light"]


def _used(quota: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {b["name"]: (b["used"], b["held"]) for b in quota["buckets"]}


async def test_a_model_that_breaks_mid_stream_ends_with_an_error_event_and_costs_nothing(product):
    async with product.client("pro") as http:
        before = _used((await http.get("/api/quota")).json())
        product.model.break_after = 5
        async with http.stream(
            "POST", "/v1/chat/completions", json={**HELLO, "stream": True}
        ) as answer:
            lines = [x async for x in answer.aiter_lines() if x.startswith("data: ")]
        assert lines[-1] == "data: [DONE]"
        assert "error" in json.loads(lines[-2].removeprefix("data: "))
        assert _used((await http.get("/api/quota")).json()) == before


async def test_a_client_that_leaves_frees_the_model_at_once_and_is_charged(product):
    product.model.pause_s = 0.05
    product.model.reply = lambda _: "word " * 400
    async with product.client("pro") as http:
        before = _used((await http.get("/api/quota")).json())["light"][0]
        async with http.stream(
            "POST", "/v1/chat/completions", json={**HELLO, "stream": True}
        ) as answer:
            lines = answer.aiter_lines()
            seen = 0
            async for line in lines:
                seen += line.startswith("data: ")
                if seen == 5:
                    break
            assert product.model.active == 1
        await until(lambda: product.model.active == 0, within_s=5)
        await eventually(lambda: _light(http), (before + 1, 0), within_s=10)


async def test_a_housekeeping_call_goes_to_the_smallest_model_and_is_free(product):
    task = {"role": "user", "content": "### Task:\nGenerate a title for: buy me a tent"}
    async with product.client("pro") as http:
        before = _used((await http.get("/api/quota")).json())
        told = await http.post("/v1/chat/completions", json={"model": "auto", "messages": [task]})
        answer = told.json()
        assert told.headers["x-emptor-quota-remaining"].isdigit()
        assert told.headers["x-ratelimit-remaining-requests"].isdigit()
        assert answer["model"] == "gpt-5-nano"
        assert answer["route"]["kind"] == "casual"
        assert answer["quota"]["charged"] == {}
        assert _used((await http.get("/api/quota")).json()) == before


@pytest.mark.parametrize("model", ["auto", "gpt-5"])
async def test_an_effort_that_was_asked_for_reaches_the_model_of_a_casual_turn_too(product, model):
    ask = {"model": model, "messages": [{"role": "user", "content": "Good morning!"}]}
    async with product.client("pro") as http:
        answer = await http.post("/v1/chat/completions", json={**ask, "reasoning_effort": "low"})
        assert answer.json()["route"]["kind"] == "casual"
        assert product.model.asked[-1]["reasoning_effort"] == "low"
        await http.post("/v1/chat/completions", json=ask)
        assert "reasoning_effort" not in product.model.asked[-1]


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SOUND = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"response_format": {"type": "bogus"}},
        {"response_format": {"type": "json_schema"}},
        {"tool_choice": "bogus"},
        {"tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "none"}}},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"messages": [{"role": "user", "content": [SOUND]}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    ],
)
async def test_what_no_model_can_serve_is_refused_before_one_is_asked(product, wrong):
    ask = {"model": "auto", "messages": [{"role": "user", "content": "Good morning!"}]}
    async with product.client() as http:
        answer = await http.post("/v1/chat/completions", json=ask | wrong)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert product.model.asked == []


async def test_what_a_model_refuses_as_wrong_is_its_senders_mistake(product):
    ask = {"model": "auto", "messages": [{"role": "user", "content": "Good morning!"}]}
    product.model.fail_status = 400
    async with product.client() as http:
        answer = await http.post("/v1/chat/completions", json=ask)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert "scripted failure" in answer.json()["error"]["message"]


async def test_a_busy_provider_says_for_how_long(product):
    ask = {"model": "auto", "messages": [{"role": "user", "content": "Good morning!"}]}
    product.model.fail_status, product.model.headers = 429, {"retry-after": "7"}
    async with product.client() as http:
        answer = await http.post("/v1/chat/completions", json=ask)
    product.app.state.models.health.pulses.clear()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize("arguments", ["{", "not json", "[1]", '{"city": "Par'])
async def test_arguments_that_a_model_cut_short_go_back_to_it_as_they_are(product, arguments):
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    told = [
        {"role": "user", "content": "Look at it"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "these arguments are no JSON"},
    ]
    async with product.client() as http:
        ask = {"model": "auto", "messages": told, "tools": [TOOL]}
        answer = await http.post("/v1/chat/completions", json=ask)
    assert answer.status_code == 200, answer.text
    sent = next(m for m in product.model.asked[-1]["messages"] if m["role"] == "assistant")
    assert sent["tool_calls"][0]["function"] == {"name": "look", "arguments": arguments}


async def test_a_card_number_reaches_neither_the_model_nor_a_row(product):
    said = "Hello, my card is 4242 4242 4242 4242, remember it"
    async with product.client() as http:
        await http.post(
            "/v1/chat/completions",
            json={"model": "auto", "messages": [{"role": "user", "content": said}]},
        )
        export = (await http.get("/api/export")).text
    assert "4242 4242 4242" not in json.dumps(product.model.asked)
    assert "4242 4242 4242" not in export
    assert "•••• 4242" in export


async def test_a_commercial_turn_answers_with_a_link_and_charges_no_card(product):
    ask = {"role": "user", "content": "Buy me a two-person tent"}
    async with product.client() as http:
        before = (await http.get("/api/orders")).json()
        answer = (
            await http.post("/v1/chat/completions", json={"model": "auto", "messages": [ask]})
        ).json()
        said = answer["choices"][0]["message"]["content"]
        assert answer["route"]["kind"] == "commercial"
        assert answer["route"]["sub"] == "purchase"
        assert said.count(f"{product.app.state.settings.url}/checkout/chk_") == 1
        assert (await http.get("/api/orders")).json() == before


@pytest.mark.parametrize(("status", "code"), [(429, "model_busy"), (503, "model_unavailable")])
async def test_a_model_that_is_busy_or_loading_is_a_503_that_says_when_to_try_again(
    product, status, code
):
    product.model.fail_status = status
    async with product.client() as http:
        answer = await http.post("/v1/chat/completions", json=HELLO)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == code
    assert answer.headers["retry-after"] == "3"


async def test_a_pick_from_offers_shown_before_is_understood_in_a_clients_own_history(product):
    ask = {"role": "user", "content": "Show me two-person tents"}
    async with product.client() as http:
        body = {"model": "auto", "messages": [ask]}
        shown = (await http.post("/v1/chat/completions", json=body)).json()
        assert shown["route"]["kind"] == "commercial"
        said = shown["choices"][0]["message"]
        picked = [ask, said, {"role": "user", "content": "the second one please"}]
        answer = (await http.post("/v1/chat/completions", json={**body, "messages": picked})).json()
    assert answer["route"]["kind"] == "commercial"
    assert "/checkout/chk_" in answer["choices"][0]["message"]["content"]
