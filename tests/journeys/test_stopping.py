"""A server that is stopped while it answers: the turn is broken off, settled, and said so."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from backend import supervise
from backend.app import create_app
from backend.parts import Parts
from backend.serve import breaking_off
from backend.settings import Settings
from tests.fakes_model import FakeModel
from tests.journeys.conftest import Product
from tests.servers import free_port, serving

LONG = "word " * 400


@dataclass
class Another:
    """One more API process on the product's database, as `emptor up --api-only` makes it."""

    app: FastAPI
    task: "asyncio.Task[None]"
    product: Product
    url: str


@pytest.fixture
async def another(product: Product) -> AsyncIterator[Another]:
    model = FakeModel(reply=lambda _: LONG, pause_s=0.05)
    port = free_port()
    home = product.app.state.settings.home
    settings = Settings(home=home, port=port, openai_base_url="http://127.0.0.1:9/v1", demo=True)
    async with serving(model.app()) as model_url:
        parts = Parts(
            database_url=product.database.url,
            model_base_url=f"{model_url}/v1",
            model_api_key=SecretStr("sk-test"),
            stripe_api_key=SecretStr("sk_test_journeys"),
            stripe_webhook_secret=SecretStr("whsec_journeys"),
            stripe_base_url=product.world.stripe,
            merchants={},
        )
        app = create_app(settings, parts)
        listener = socket.create_server(("127.0.0.1", port))
        task = asyncio.create_task(supervise.serve(app, listener, break_off=breaking_off(app)))
        yield Another(app, task, product, f"http://127.0.0.1:{port}")
        task.cancel()
        await asyncio.wait([task])


async def told(another: Another, path: str, body: dict[str, Any]) -> list[str]:
    """The lines of an answer whose server is stopped after the first words."""
    lines = []
    async with another.product.client("plus") as http:
        url = f"{another.url}{path}"
        async with http.stream("POST", url, json=body, timeout=30) as answer:
            async for line in answer.aiter_lines():
                lines.append(line)
                if "word" in line and not another.task.cancelling():
                    another.task.cancel()
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


async def newest(product: Product) -> tuple[str, str, int]:
    """How the newest turn ended, and its hold; how many of that person's are still open."""
    query = """
      SELECT t.state, h.state, (SELECT count(*) FROM turn o
        WHERE o.state = 'open' AND o.user_id = t.user_id)
      FROM turn t JOIN quota_hold h ON h.turn_id = t.id ORDER BY t.created_at DESC LIMIT 1
    """
    async with product.database.transaction() as session:
        return tuple((await session.execute(text(query))).one())


async def test_a_turn_in_mid_stream_is_aborted_settled_and_said(
    another: Another, product: Product, capfd: pytest.CaptureFixture[str]
):
    message = {"id": "m", "role": "user", "content": "Good morning!"}
    body = {"threadId": "stopped", "runId": "r", "messages": [message], "tools": []}
    body |= {"context": [], "state": {}, "forwardedProps": {}}
    events = [json.loads(line) for line in await told(another, "/agui", body)]
    await asyncio.wait([another.task], timeout=20)
    assert another.task.cancelled()
    assert events[-1]["type"] == "RUN_ERROR"
    assert "stopping" in events[-1]["message"]
    assert await newest(product) == ("aborted", "settled", 0)
    assert capfd.readouterr().err == ""


async def test_an_openai_client_is_told_as_well(another: Another, product: Product):
    messages = [{"role": "user", "content": "Good morning!"}]
    body = {"model": "auto", "stream": True, "messages": messages}
    lines = await told(another, "/v1/chat/completions", body)
    await asyncio.wait([another.task], timeout=20)
    assert "stopping" in json.loads(lines[-2])["error"]["message"]
    assert await newest(product) == ("aborted", "settled", 0)
