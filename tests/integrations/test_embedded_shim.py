"""The shim in front of a stand-in for llama.cpp: OpenAI's shapes, the queue, errors, leaving."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from integrations.embedded.gate import Gate
from integrations.embedded.roster import Unavailable
from integrations.embedded.shim import create_shim, model_client
from integrations.tls import roots
from tests.integrations.fakes_llama import FakeLlama, FakeRoster
from tests.servers import serving, until

HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
CALL = ['{"tool": "get_', 'weather", "arguments": {"ci', 'ty": "Paris"}}']


@dataclass
class Scene:
    """The stand-in, the shim before it, and an official client for it."""

    llama: FakeLlama
    roster: FakeRoster
    gate: Gate
    url: str
    client: openai.AsyncOpenAI

    async def post(self, **body: Any) -> httpx.Response:
        async with httpx.AsyncClient(verify=roots(), trust_env=False) as client:
            asked = {"model": "emptor-local", "messages": HELLO} | body
            return await client.post(f"{self.url}/v1/chat/completions", json=asked)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    llama, gate = FakeLlama(), Gate(running_max=2, waiting_max=1, patience_s=5)
    async with serving(llama.app()) as upstream, model_client() as http:
        roster = FakeRoster(upstream)
        async with serving(create_shim(roster, gate, http)) as url:
            base = f"{url}/v1"
            async with openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0) as client:
                yield Scene(llama, roster, gate, url, client)


async def test_an_answer_is_a_document_with_usage_and_the_answering_model(scene: Scene):
    answer = await scene.client.chat.completions.create(model="emptor-local-mini", messages=HELLO)
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7
    assert answer.model == "emptor-local"  # the mini is missing here, and nothing hides it


async def test_a_stream_comes_in_pieces_and_has_usage_only_when_asked(scene: Scene):
    async def chunks(**more: Any) -> list[Any]:
        stream = await scene.client.chat.completions.create(
            model="emptor-local", messages=HELLO, stream=True, **more
        )
        return [chunk async for chunk in stream]

    plain = await chunks()
    assert [c.choices[0].delta.content for c in plain] == [None, "Hel", "lo", None]
    assert all(c.choices for c in plain)
    told = await chunks(stream_options={"include_usage": True})
    assert told[-1].usage.completion_tokens == 2
    assert told[-1].choices == []


async def test_a_tool_call_streams_as_openai_streams_it(scene: Scene):
    scene.llama.pieces = CALL
    stream = await scene.client.chat.completions.create(
        model="emptor-local", messages=HELLO, tools=TOOLS, tool_choice="required", stream=True
    )
    pieces, finish = [], None
    async for chunk in stream:
        pieces += chunk.choices[0].delta.tool_calls or []
        finish = chunk.choices[0].finish_reason or finish
    assert pieces[0].function.name == "get_weather"
    assert pieces[0].id.startswith("call_")
    arguments = "".join(piece.function.arguments for piece in pieces)
    assert json.loads(arguments) == {"city": "Paris"}
    assert finish == "tool_calls"
    sent = scene.llama.requests[-1]
    assert "tools" not in sent
    assert sent["response_format"]["type"] == "json_schema"


async def test_a_reply_under_auto_is_plain_text(scene: Scene):
    scene.llama.pieces = ['{"tool": "reply", "arguments": {"text": "Good', ' \\u4f60\\u597d"}}']
    answer = await scene.client.chat.completions.create(
        model="emptor-local", messages=HELLO, tools=TOOLS
    )
    assert answer.choices[0].message.content == "Good 你好"
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"


async def test_a_call_cut_by_the_token_limit_says_length(scene: Scene):
    scene.llama.pieces, scene.llama.finish = CALL[:2], "length"
    answer = await scene.client.chat.completions.create(
        model="emptor-local", messages=HELLO, tools=TOOLS
    )
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found", "model"),
        ({"model": None}, 404, "model_not_found", "model"),
        ({"messages": []}, 400, None, "messages"),
        ({"tool_choice": "required"}, 400, None, None),
        ({"n": 3}, 400, None, "n"),
    ],
)
async def test_bad_requests_are_named_in_openais_shape(
    scene: Scene, body: dict[str, Any], status: int, code: str | None, param: str | None
):
    answer = await scene.post(**body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b"\xff\xfe"])
async def test_a_body_that_is_no_json_object_is_a_400(scene: Scene, raw: bytes):
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as client:
        answer = await client.post(f"{scene.url}/v1/chat/completions", content=raw)
    assert answer.status_code == 400


async def test_a_conversation_that_is_too_long_says_so_with_openais_code(scene: Scene):
    told = {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192}
    scene.llama.refusal = (400, told)
    for stream in (False, True):
        answer = await scene.post(stream=stream)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert "9000" in answer.json()["error"]["message"]


async def test_a_failure_in_mid_stream_is_an_event_and_then_the_end(scene: Scene):
    scene.llama.break_after = 1
    answer = await scene.post(stream=True)
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert "error" in json.loads(lines[-1].removeprefix("data: "))
    assert "[DONE]" not in answer.text
    whole = await scene.post()
    assert whole.status_code == 502


async def test_no_weights_answers_at_once_and_says_what_to_do(scene: Scene):
    scene.roster.missing = Unavailable("no weights: set X", code="no_weights", retry_after_s=60)
    answer = await scene.post(stream=True)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert answer.json()["error"]["code"] == "no_weights"
    assert answer.json()["error"]["message"] == "no weights: set X"


async def test_beyond_the_queue_is_429_with_retry_after(scene: Scene):
    scene.llama.pause_s = 0.5
    first = [asyncio.create_task(scene.post()) for _ in range(3)]
    await until(lambda: scene.gate.running == 2 and scene.gate.waiting == 1, within_s=10)
    late = await scene.post()
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 0
    assert late.json()["error"]["code"] == "rate_limit_exceeded"
    assert [answer.status_code for answer in await asyncio.gather(*first)] == [200, 200, 200]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_the_model_at_once(scene: Scene, *, stream: bool):
    scene.llama.pieces, scene.llama.pause_s = ["word "] * 1000, 0.05
    asking = asyncio.create_task(scene.post(stream=stream))
    await until(lambda: scene.llama.streaming == 1, within_s=10)
    asking.cancel()
    await until(lambda: scene.llama.streaming == 0 and scene.gate.running == 0, within_s=5)
    assert scene.llama.left == 1


async def test_who_leaves_the_queue_never_reaches_the_model(scene: Scene):
    scene.llama.pieces, scene.llama.pause_s = ["word "] * 1000, 0.05
    tasks = [asyncio.create_task(scene.post(stream=True)) for _ in range(3)]
    await until(lambda: scene.gate.waiting == 1 and scene.llama.streaming == 2, within_s=10)
    tasks[2].cancel()
    await until(lambda: scene.gate.waiting == 0, within_s=5)
    for task in tasks[:2]:
        task.cancel()
    await until(lambda: scene.gate.running == 0, within_s=5)
    assert len(scene.llama.requests) == 2


async def test_the_models_are_listed_with_their_windows(scene: Scene):
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as client:
        listed = (await client.get(f"{scene.url}/v1/models")).json()["data"]
    assert [model["id"] for model in listed] == ["emptor-local", "emptor-local-mini"]
    assert all(model["context_window"] == 8192 for model in listed)
