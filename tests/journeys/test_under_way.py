"""What happens to an answer, its thread and its key while it is still being written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from backend import idempotency, threads
from backend.chat import stay
from tests.journeys.conftest import Product
from tests.journeys.subscribing import rows
from tests.journeys.test_allowance_day import newcomer
from tests.journeys.test_repeated_turns import KEY, run_of, say, thread_of
from tests.servers import eventually, until

JSON = {"accept": "application/json"}
A_SECOND = timedelta(seconds=1)


@pytest.fixture
def slowly(product: Product) -> None:
    """An answer takes some three seconds, and more than one lease of a second."""
    product.model.pause_s = 0.1
    product.model.reply = lambda _: "secret words " * 15


async def tell(http: httpx.AsyncClient, thread: str, **headers: str) -> httpx.Response:
    body = {"text": "Good morning!"}
    return await http.post(f"/api/threads/{thread}/turns", json=body, headers=JSON | headers)


@asynccontextmanager
async def answering(product: Product, key: str, thread: str, **headers: str) -> AsyncIterator[Any]:
    """The task of a turn that is being answered."""
    async with product.client(key) as http:
        asking = asyncio.create_task(tell(http, thread, **headers))
        await until(lambda: product.model.active == 1, within_s=60)
        yield asking
        await asking


@pytest.mark.parametrize("gone", ["thread", "person"])
async def test_words_do_not_come_back_to_who_had_them_deleted(
    product: Product, slowly: None, gone: str
):
    key = await newcomer(product)
    async with product.client(key) as http:
        thread = await thread_of(http)
        me = (await http.get("/api/me")).json()["id"]
        async with answering(product, key, thread):
            path = f"/api/threads/{thread}" if gone == "thread" else "/api/me"
            assert (await http.delete(path)).status_code == 204
    query = "SELECT state, text, answer, memory, output_tokens > 0 FROM turn WHERE user_id = :u"
    assert await rows(product, query, u=me) == [("done", "", "", "", True)]


async def test_nothing_that_was_answered_to_an_erased_person_is_kept_for_a_repeat(
    product: Product,
):
    async with product.client(await newcomer(product)) as http:
        me = (await http.get("/api/me")).json()["id"]
        await tell(http, await thread_of(http), **KEY)
        kept = "SELECT count(*) FROM idempotency_key WHERE scope LIKE :u || ' %'"
        assert await rows(product, kept, u=me) == [(1,)]
        await http.delete("/api/me")
    assert await rows(product, kept, u=me) == [(0,)]


async def test_a_key_is_held_for_as_long_as_its_answer_takes(
    product: Product, slowly: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(idempotency, "LEASE", A_SECOND)
    key = await newcomer(product)
    async with product.client(key) as http:
        thread = await thread_of(http)
        async with answering(product, key, thread, **KEY) as asking:
            meanwhile = set()
            while product.model.active:
                meanwhile.add((await tell(http, thread, **KEY)).json().get("code"))
        again = await tell(http, thread, **KEY)
    assert "idempotency_in_flight" in meanwhile
    assert "turn_in_flight" not in meanwhile
    assert again.content == asking.result().content
    assert again.headers["idempotent-replayed"] == "true"


async def test_not_now_is_no_answer_to_keep(product: Product, slowly: None):
    key = await newcomer(product)
    async with product.client(key) as http:
        thread = await thread_of(http)
        async with answering(product, key, thread):
            busy = await tell(http, thread, **KEY)
        free = await tell(http, thread, **KEY)
    assert (busy.status_code, busy.json()["code"]) == (409, "turn_in_flight")
    assert (free.status_code, free.json()["state"]) == (200, "done")


@pytest.mark.parametrize("surface", ["rest", "agui"])
async def test_who_leaves_a_stream_may_ask_for_it_again_at_once(
    product: Product, slowly: None, surface: str
):
    key = await newcomer(product)
    async with product.client(key) as http, product.client(key) as leaving:
        thread = await thread_of(http)
        asking = asyncio.create_task(say(leaving, surface, thread, "Good morning!"))
        await until(lambda: product.model.active == 1, within_s=60)
        asking.cancel()
        left = "SELECT count(*) FROM idempotency_key WHERE status IS NULL"
        await eventually(lambda: rows(product, left), [(0,)], within_s=20)
        product.model.pause_s = 0.0
        assert (await say(http, surface, thread, "Good morning!")).status_code == 200


async def test_a_thread_is_held_for_as_long_as_its_answer_takes(
    product: Product, slowly: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threads, "LEASE", A_SECOND)
    staying = asyncio.create_task(stay(product.app.state.chat))
    key = await newcomer(product)
    async with product.client(key) as http:
        thread = await thread_of(http)
        async with answering(product, key, thread):
            while product.model.active:
                assert product.model.active == 1
                other = await tell(http, thread)
                if product.model.active:
                    assert other.status_code == 409
    staying.cancel()


async def test_first_runs_of_one_thread_at_once_make_one_thread(product: Product, slowly: None):
    async with product.client(await newcomer(product)) as http:
        asked = [http.post("/agui", json=run_of("new", "Good morning!")) for _ in range(6)]
        answers = await asyncio.gather(*asked)
        made = (await http.get("/api/threads")).json()
    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409, 409, 409]
    assert len(made["data"]) == 1


@pytest.mark.parametrize("which", ["threadId", "runId"])
async def test_a_clients_own_ids_have_a_longest_length(product: Product, which: str):
    async with product.client(await newcomer(product)) as http:
        run = run_of("t", "Good morning!")
        answer = await http.post("/agui", json=run | {which: "x" * 20_000})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert (await http.post("/agui", json=run | {which: "x" * 255})).status_code == 200
