"""A turn that is sent again with its key is told again, and neither asked nor charged twice."""

from typing import Any

import httpx
import pytest

from tests.journeys.conftest import Product
from tests.journeys.test_allowance_day import newcomer
from tests.journeys.test_charging import level, quota_of

KEY = {"idempotency-key": "turn-1"}


def run_of(thread: str, text: str) -> dict[str, Any]:
    said = {"id": "msg_1", "role": "user", "content": text}
    own = {"tools": [], "context": [], "state": {}, "forwardedProps": {}}
    return {"threadId": thread, "runId": "run_1", "messages": [said], **own}


@pytest.fixture(params=["rest", "agui"])
async def surface(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def say(http: httpx.AsyncClient, surface: str, thread: str, text: str) -> httpx.Response:
    if surface == "agui":
        return await http.post("/agui", json=run_of(thread, text), headers=KEY)
    return await http.post(f"/api/threads/{thread}/turns", json={"text": text}, headers=KEY)


async def thread_of(http: httpx.AsyncClient) -> str:
    return str((await http.post("/api/threads", json={})).json()["id"])


async def test_the_same_stream_is_told_again_and_counted_once(product: Product, surface: str):
    async with product.client(await newcomer(product)) as http:
        thread = await thread_of(http)
        first = await say(http, surface, thread, "Good morning!")
        again = await say(http, surface, thread, "Good morning!")
        other = await say(http, surface, thread, "Good evening!")
        now = level(await quota_of(http))
        turns = (await http.get(f"/api/threads/{thread}")).json()["turns"]
    assert (again.text, again.headers["idempotent-replayed"]) == (first.text, "true")
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert (len(product.model.asked), now["used"], len(turns)) == (1, 1, 1)


async def test_a_stream_that_broke_may_be_asked_for_again(product: Product, surface: str):
    async with product.client(await newcomer(product)) as http:
        thread = await thread_of(http)
        product.model.break_after = 1
        broken = await say(http, surface, thread, "Good morning!")
        product.model.break_after = None
        product.app.state.models.health.pulses.clear()
        again = await say(http, surface, thread, "Good morning!")
    assert "RUN_ERROR" in broken.text
    assert "RUN_FINISHED" in again.text
    assert "idempotent-replayed" not in again.headers
