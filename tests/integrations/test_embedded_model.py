"""The real local model, end to end through the client that the product uses."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from integrations.tls import roots
from tests.servers import until
from tests.weights import eventually, local_model

pytestmark = [pytest.mark.weights, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    home: Path = tmp_path_factory.mktemp("embedded")
    async with local_model(home) as running:
        yield running


@tool
def get_weather(city: str) -> str:
    """The weather in a city now."""
    return f"{city}: 18 C and sunny"


def chat(url: str, *, model: str = "emptor-local") -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{url}/v1",
        api_key=SecretStr("none"),
        model=model,
        temperature=0,
        max_completion_tokens=80,
        timeout=120,
        max_retries=2,
        stream_usage=True,
    )


async def health(url: str) -> dict:
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as client:
        return (await client.get(f"{url}/health")).json()


async def test_words_arrive_one_by_one_with_usage_at_the_end(url: str):
    whole, pieces = AIMessageChunk(""), 0
    async for chunk in chat(url).astream("Say hello to Robin in one short sentence."):
        whole, pieces = whole + chunk, pieces + bool(chunk.content)
    assert pieces > 2
    assert "Robin" in whole.content
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] >= pieces
    assert whole.response_metadata["model_name"] == "emptor-local"


async def test_a_tool_is_called_and_its_result_comes_back_in_the_answer(url: str):
    model = chat(url).bind_tools([get_weather])
    asked = [HumanMessage("What is the weather in Paris? Use the tool.")]
    called = await model.ainvoke(asked)
    assert [(c["name"], c["args"]) for c in called.tool_calls] == [
        ("get_weather", {"city": "Paris"})
    ]
    result = ToolMessage(
        get_weather.invoke(called.tool_calls[0]["args"]), tool_call_id=called.tool_calls[0]["id"]
    )
    answered = await model.ainvoke([*asked, called, result])
    assert not answered.tool_calls
    assert "18" in answered.content


@pytest.mark.parametrize("model", ["emptor-local", "emptor-local-mini"])
async def test_a_demanded_tool_is_always_called_also_in_a_stream(url: str, model: str):
    demanded = chat(url, model=model).bind_tools([get_weather], tool_choice="any")
    whole = AIMessageChunk("")
    async for chunk in demanded.astream("Is it warm in Rome today?"):
        whole = whole + chunk
    assert [(c["name"], c["args"]) for c in whole.tool_calls] == [("get_weather", {"city": "Rome"})]
    assert whole.content == ""


async def test_a_greeting_with_tools_at_hand_is_answered_in_words(url: str):
    answer = await chat(url).bind_tools([get_weather]).ainvoke("Hello, how are you?")
    assert not answer.tool_calls
    assert answer.content


async def test_a_schema_is_kept_to_the_letter(url: str):
    schema = {
        "title": "Intent",
        "type": "object",
        "properties": {"kind": {"enum": ["casual", "complex", "commercial"]}},
        "required": ["kind"],
        "additionalProperties": False,
    }
    bound = chat(url).with_structured_output(schema, method="json_schema", strict=True)
    assert (await bound.ainvoke("Book a table for two tonight"))["kind"] in schema["properties"][
        "kind"
    ]["enum"]


async def test_chinese_is_answered_in_chinese(url: str):
    answer = await chat(url).ainvoke("你好，请用一句话介绍北京。")
    assert any("\u4e00" <= char <= "\u9fff" for char in str(answer.content))


@pytest.mark.parametrize("text", ["Write a long story about the sea.", "word " * 600])
async def test_a_client_that_leaves_stops_the_generation(url: str, text: str):
    """While it writes, and while it still reads the prompt."""
    server = (await health(url))["models"][0]["server"]
    asking = asyncio.create_task(chat(url).ainvoke(text))
    async with httpx.AsyncClient(verify=roots(), trust_env=False, timeout=30) as client:

        async def busy() -> bool:
            slots = (await client.get(f"{server}/slots")).json()
            return any(slot["is_processing"] for slot in slots)

        async def idle() -> bool:
            return not await busy()

        async def admits() -> bool:
            return not (await health(url))["running"]

        await eventually(busy, within_s=60)
        asking.cancel()
        await eventually(admits, within_s=5)
        await eventually(idle, within_s=20)  # two batches at most, however slow this machine is
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_prompt_beyond_the_window_is_refused_not_cut(url: str):
    async with httpx.AsyncClient(verify=roots(), trust_env=False, timeout=60) as client:
        body = {
            "model": "emptor-local",
            "messages": [{"role": "user", "content": "word " * 9000}],
            "max_tokens": 5,
        }
        answer = await client.post(f"{url}/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert json.loads(answer.text)["error"]["code"] == "context_length_exceeded"


async def test_a_crashed_model_server_comes_back(url: str):
    before = (await health(url))["models"][1]
    await chat(url, model="emptor-local-mini").ainvoke("Hi")
    port = int(str((await health(url))["models"][1]["server"]).rpartition(":")[2])
    pid = next(
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(port) in (process.info["cmdline"] or [])
    )
    psutil.Process(pid).kill()

    async def counted() -> bool:
        return (await health(url))["models"][1]["crashes"] > before["crashes"]

    await eventually(counted, within_s=60)
    assert (await chat(url, model="emptor-local-mini").ainvoke("Hi")).content
    await until(lambda: not psutil.pid_exists(pid), within_s=10)
