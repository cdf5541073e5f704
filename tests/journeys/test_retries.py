"""A turn that failed by our fault owes its answer: once, up to its own role, and to be found."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from backend.threads import give_up
from quotas.plans import Plans
from tests.journeys.conftest import Product
from tests.journeys.runs import run
from tests.journeys.test_allowance_day import HELLO, newcomer
from tests.journeys.test_charging import MATHS, bucket, level, quota_of
from tests.servers import eventually

JSON = {"accept": "application/json"}


@pytest.fixture(autouse=True)
def nobody_rests(product: Product) -> None:
    """What failed in the test before does not keep a model out of this one."""
    product.app.state.models.health.pulses.clear()


async def thread_of(http: httpx.AsyncClient) -> str:
    return str((await http.post("/api/threads", json={})).json()["id"])


async def tell(http: httpx.AsyncClient, thread: str, words: str, **more: Any) -> httpx.Response:
    body = {"text": words, **more}
    return await http.post(f"/api/threads/{thread}/turns", json=body, headers=JSON)


async def again(http: httpx.AsyncClient, turn: str, **more: Any) -> httpx.Response:
    return await http.post(f"/api/turns/{turn}/retry", json=more, headers=JSON)


async def broken(product: Product, http: httpx.AsyncClient, words: str = "Good morning!") -> str:
    """A turn that broke off after a word, by the id that the refusal itself names."""
    product.model.break_after = 1
    answer = await tell(http, await thread_of(http), words)
    product.model.break_after = None
    assert answer.status_code == 502
    return str(answer.json()["turn_id"])


async def test_a_failure_names_its_turn_and_gives_back_what_was_held(product: Product):
    async with product.client(await newcomer(product)) as http:
        product.model.fail_status = 500
        plain = await http.post("/v1/chat/completions", json=HELLO)
        told = (await tell(http, await thread_of(http), "Good morning!")).json()
        product.model.fail_status = None
        assert plain.json()["turn_id"].startswith("trn_")
        assert level(plain.json()["quota"])["used"] == level(told["quota"])["held"] == 0
        assert told["quota"]["charged"] == {}
        assert (await again(http, told["turn_id"])).json()["state"] == "done"


async def test_a_run_that_breaks_off_says_what_is_left_and_which_turn_it_was(product: Product):
    async with product.client(await newcomer(product)) as http:
        product.model.break_after = 1
        events = await run(http, "mine", text="Good morning!")
        product.model.break_after = None
        assert [e["type"] for e in events[-2:]] == ["STATE_DELTA", "RUN_ERROR"]
        [change] = events[-2]["delta"]
        assert (change["path"], level(change["value"])["held"]) == ("/quota", 0)
        turn = events[-1]["rawEvent"]["turn_id"]
        assert (await again(http, turn)).json()["quota"]["charged"] == {}


async def test_a_failed_turn_stands_in_its_thread_until_it_is_answered(product: Product):
    async with product.client(await newcomer(product)) as http:
        turn = await broken(product, http)
        thread = (await http.get("/api/threads")).json()["data"][0]["id"]

        async def shown() -> list[tuple[str, str]]:
            kept = (await http.get(f"/api/threads/{thread}")).json()["turns"]
            return [(one["state"], one["text"]) for one in kept]

        assert await shown() == [("failed", "Good morning!")]
        await again(http, turn)
        assert await shown() == [("done", "Good morning!")]


async def test_a_larger_answer_than_the_one_that_is_owed_is_a_turn_of_its_own(product: Product):
    async with product.client(await newcomer(product, "pro")) as http:
        turn = await broken(product, http)
        larger = (await again(http, turn, model="gpt-5")).json()
        assert larger["quota"]["charged"] == {"reasoning": 1}
        assert (await again(http, turn)).json()["quota"]["charged"] == {"light": 1}


async def test_who_was_refused_is_owed_nothing(product: Product):
    chat = product.app.state.chat
    table = {"title": "Free", "floor": "light", "price": {"amount": 0, "currency": "USD"}}
    buckets = [bucket("light", 0), bucket("reasoning", 5), bucket("agent", 5)]
    none = Plans.parse({"plan": {"free": table | {"bucket": buckets}}})
    async with product.client(await newcomer(product)) as http:
        thread = await thread_of(http)
        product.app.state.chat = replace(chat, plans=none)
        refused = await tell(http, thread, "Good morning!")
        product.app.state.chat = chat
        assert (refused.status_code, refused.json()["code"]) == (429, "insufficient_quota")
        assert "turn_id" not in refused.json()
        [turn] = await _turns(product, thread)
        assert (await again(http, turn)).json()["quota"]["charged"] == {"light": 1}


async def test_an_answer_that_was_read_and_left_is_the_answer(product: Product):
    async with product.client(await newcomer(product)) as http:
        turn = await broken(product, http)
        product.model.reply = lambda _: " ".join(["word"] * 200)
        product.model.pause_s = 0.02
        async with http.stream("POST", f"/api/turns/{turn}/retry", json={}) as answer:
            async for line in answer.aiter_lines():
                if "TEXT_MESSAGE_CONTENT" in line:
                    break
        product.model.pause_s = 0.0
        async with asyncio.timeout(60):
            while (second := await again(http, turn)).status_code == 409:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert second.json()["quota"]["charged"] == {"light": 1}


async def test_a_retry_that_was_stopped_before_its_first_word_leaves_the_turn_where_it_was(
    product: Product,
):
    async with product.client(await newcomer(product)) as http:
        turn = await broken(product, http)
        thread = (await http.get("/api/threads")).json()["data"][0]["id"]
        product.model.silent = set(product.app.state.chat.seats.listed())
        asked = len(product.model.asked)

        async def waiting() -> int:
            return len(product.model.asked) - asked

        async with http.stream("POST", f"/api/turns/{turn}/retry", json={}):
            await eventually(waiting, 1, within_s=60)
        product.model.silent = set()

        async def shown() -> list[tuple[str, str]]:
            kept = (await http.get(f"/api/threads/{thread}")).json()["turns"]
            return [(one["id"], one["state"]) for one in kept]

        await eventually(shown, [(turn, "failed")], within_s=60)
        assert (await again(http, turn)).json()["quota"]["charged"] == {}


async def test_a_retry_that_fails_adds_no_debt_to_the_one_it_was_to_pay(product: Product):
    async with product.client(await newcomer(product)) as http:
        first = await broken(product, http)
        product.model.fail_status = 500
        second = (await again(http, first)).json()["turn_id"]
        product.model.fail_status = None
        charged = [
            (await again(http, turn)).json()["quota"]["charged"] for turn in (second, first, second)
        ]
        assert charged == [{}, {"light": 1}, {"light": 1}]


async def test_what_is_owed_is_answered_once_however_often_it_is_asked_at_once(product: Product):
    async with product.client(await newcomer(product)) as http:
        turn = await broken(product, http)
        answers = await asyncio.gather(*(again(http, turn) for _ in range(6)))
        done = [a.json()["quota"]["charged"] for a in answers if a.status_code == 200]
        assert done.count({}) == 1
        assert {a.status_code for a in answers} <= {200, 409}


async def test_a_turn_whose_process_died_is_given_up_and_asked_again_at_no_cost(product: Product):
    async with product.client(await newcomer(product)) as http:
        thread = await thread_of(http)
        turn = (await tell(http, thread, "Good morning!")).json()["id"]
        await _die(product, turn, thread, age=timedelta(minutes=6))
        assert (await tell(http, thread, "Hello?")).status_code == 409
        async with product.database.transaction() as session:
            assert await give_up(session) == 1
        used = level(await quota_of(http))["used"]
        retried = (await again(http, turn)).json()
        assert (retried["state"], retried["quota"]["charged"]) == ("done", {})
        assert level(await quota_of(http))["used"] == used


async def test_a_turn_that_may_still_be_answered_is_not_given_up(product: Product):
    async with product.client(await newcomer(product)) as http:
        thread = await thread_of(http)
        turn = (await tell(http, thread, MATHS)).json()["id"]
        await _die(product, turn, thread, age=timedelta(minutes=6), hold="in_flight")
        async with product.database.transaction() as session:
            assert await give_up(session) == 0
        await _die(product, turn, thread, age=timedelta(minutes=4))
        async with product.database.transaction() as session:
            assert await give_up(session) == 0


async def _turns(product: Product, thread: str) -> list[str]:
    async with product.database.transaction() as session:
        found = await session.execute(
            text("SELECT id FROM turn WHERE thread_id = :id"), {"id": thread}
        )
        return list(found.scalars())


async def _die(
    product: Product, turn: str, thread: str, *, age: timedelta, hold: str = "settled"
) -> None:
    """As kill -9 leaves it: the row open, the thread taken; the hold as the sweep made it."""
    async with product.database.transaction() as session:
        for change in (
            "UPDATE turn SET state = 'open', closed_at = NULL, created_at = now() - :age,"
            " first_token_ms = NULL WHERE id = :turn",
            "UPDATE thread SET running_turn_id = :turn, running_until = now() + interval '1 hour'"
            " WHERE id = :thread",
            "UPDATE quota_hold SET state = :hold WHERE turn_id = :turn",
        ):
            given = {"turn": turn, "thread": thread, "age": age, "hold": hold}
            named = {name: value for name, value in given.items() if f":{name}" in change}
            await session.execute(text(change), named)


@pytest.mark.parametrize("effort", ["auto", None])
async def test_auto_for_one_turn_is_routed_whatever_is_preferred(product: Product, effort: Any):
    async with product.client(await newcomer(product, "pro")) as http:
        preferred = {"effort": "high", "pinned_model": "gpt-5"}
        await http.put("/api/me/preferences", json=preferred)
        thread = await thread_of(http)
        kept = (await tell(http, thread, "Good morning!")).json()["route"]
        assert kept["model"] == "gpt-5"
        said = {"effort": effort, "model": "auto"} if effort else {"model": "auto"}
        free = (await tell(http, await thread_of(http), "Good morning!", **said)).json()["route"]
        assert (free["model"] == "gpt-5-mini") == (effort == "auto")
