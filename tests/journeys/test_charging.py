"""What a turn costs its person: what they had of it, nothing for what went wrong on our side."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from quotas.plans import Plans
from tests.journeys.conftest import Product
from tests.journeys.test_allowance_day import HELLO, newcomer
from tests.journeys.test_purchase import checkout
from tests.servers import eventually

HOUR = 3_600


def bucket(name: str, cap: int, **other: Any) -> dict[str, Any]:
    return {"name": name, "role": name, "cap": cap, "policy": "session", "window": HOUR} | other


@pytest.fixture
def priced(product: Product) -> Iterator[Product]:
    """The product with a plan that counts cost: a light answer's worth, then the mini model."""
    table = {
        "title": "Free",
        "price": {"amount": 0, "currency": "USD"},
        "bucket": [
            bucket("light", 60_000, unit="micro_usd", fallback="light_mini"),
            bucket("reasoning", 5),
            bucket("agent", 5),
            bucket("light_mini", 100),
        ],
    }
    chat = product.app.state.chat
    product.app.state.chat = replace(chat, plans=Plans.parse({"plan": {"free": table}}))
    yield product
    product.app.state.chat = chat


def level(quota: dict[str, Any], name: str = "light") -> dict[str, Any]:
    return next(b for b in quota["buckets"] if b["name"] == name)


def counted(quota: dict[str, Any]) -> list[dict[str, Any]]:
    """What does not change by waiting, as the forecast does."""
    return [{k: v for k, v in b.items() if k != "runs_out_at"} for b in quota["buckets"]]


async def quota_of(http: httpx.AsyncClient) -> dict[str, Any]:
    """The meter, which must agree with itself: what is shown as left is what is left."""
    quota: dict[str, Any] = (await http.get("/api/quota")).json()
    for one in quota["buckets"]:
        assert one["remaining"] == max(0, one["cap"] - one["used"] - one["held"]), one
    return quota


async def say(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """One turn, the gate held against the meter: it was denied what was shown as used up only."""
    before = await quota_of(http)
    answer = await http.post("/v1/chat/completions", json={**HELLO, **more})
    body: dict[str, Any] = answer.json()
    if answer.status_code == 200:
        asked, served = body["quota"]["requested_role"], body["quota"]["served_role"]
        room = [b["remaining"] >= 1 for b in before["buckets"] if b["name"] == asked]
        assert (asked == served) == all(room), (before, body["quota"])
        assert counted(body["quota"]) == counted(await quota_of(http))
    return body


async def test_an_error_of_the_provider_costs_nothing_and_its_retry_is_free(product: Product):
    async with product.client(await newcomer(product)) as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        product.model.break_after = 1
        broken = await http.post(
            f"/api/threads/{thread}/turns",
            json={"text": "Good morning!"},
            headers={"accept": "application/json"},
        )
        assert broken.status_code == 502
        assert level(await quota_of(http))["used"] == 0
        product.model.break_after = None
        failed = await _newest_turn(product, thread)
        charged = []
        for turn in (failed, failed):
            again = await http.post(
                f"/api/turns/{turn}/retry", json={}, headers={"accept": "application/json"}
            )
            assert again.status_code == 200, again.text
            charged.append(again.json()["quota"]["charged"])
        assert charged == [{}, {"light": 1}]  # the first answer is owed, a second one is a turn
        assert level(await quota_of(http))["used"] == 1


async def _newest_turn(product: Product, thread: str) -> str:
    async with product.database.transaction() as session:
        query = text("SELECT id FROM turn WHERE thread_id = :id ORDER BY created_at DESC LIMIT 1")
        return str((await session.execute(query, {"id": thread})).scalar_one())


@pytest.mark.parametrize("finish", ["content_filter"])
async def test_a_refusal_costs_nothing(product: Product, finish: str):
    product.model.finish = finish
    async with product.client(await newcomer(product)) as http:
        body = await say(http)
        assert body["choices"][0]["finish_reason"] == finish
        assert body["quota"]["charged"] == {}
        assert level(body["quota"])["used"] == 0


MATHS = "solve x^2 - 6x + 8 = 0 by completing the square"


async def _follow_up(product: Product, plan: str) -> dict[str, Any]:
    """A hard question, then a light one about it, which the router keeps with the large model."""
    async with product.client(await newcomer(product, plan)) as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        for words in (MATHS, "who invented it?"):
            answer = await http.post(
                f"/api/threads/{thread}/turns",
                json={"text": words},
                headers={"accept": "application/json"},
            )
            assert answer.status_code == 200, answer.text
        kept: dict[str, Any] = (await http.get(f"/api/threads/{thread}")).json()["turns"][-1]
        assert kept["route"]["kind"] == "casual"
        assert level(await quota_of(http), "reasoning")["used"] == 1
        return kept


async def test_going_up_by_our_own_caution_costs_nothing_of_the_larger_allowance(product: Product):
    turn = await _follow_up(product, "plus")
    assert turn["route"]["model"] == "gpt-5"
    assert (turn["route"]["role"], turn["route"]["requested_role"]) == ("reasoning", "reasoning")
    quota = turn["quota"]
    assert quota["charged"] == {"light": 1}
    assert (quota["served_role"], quota["requested_role"]) == ("reasoning", "reasoning")


async def test_where_the_larger_allowance_is_used_up_a_light_turn_is_light_and_nobody_fell(
    product: Product,
):
    turn = await _follow_up(product, "free")  # its one reasoning answer is spent
    assert turn["route"]["model"] == "gpt-5-mini"
    assert (turn["route"]["role"], turn["route"]["requested_role"]) == ("light", "light")
    assert turn["route"]["downgrade_reason"] is None
    assert turn["quota"]["charged"] == {"light": 1}


async def test_an_empty_answer_costs_nothing(product: Product):
    product.model.reply = lambda _: ""
    async with product.client(await newcomer(product)) as http:
        await say(http)
        now = level(await quota_of(http))
    assert (now["used"], now["held"]) == (0, 0)


async def test_housekeeping_costs_nothing_and_is_answered_by_the_smallest(product: Product):
    task = {"role": "user", "content": "### Task:\nGenerate a title"}
    async with product.client(await newcomer(product)) as http:
        body = (await http.post("/v1/chat/completions", json={**HELLO, "messages": [task]})).json()
        assert body["quota"]["charged"] == {}
        assert body["quota"]["served_role"] == "light_mini"
        assert all(b["used"] == 0 for b in (await quota_of(http))["buckets"])


async def test_cost_is_reserved_at_a_ceiling_and_settled_at_the_truth(priced: Product):
    async with priced.client(await newcomer(priced)) as http:
        body = await say(http)
        now = level(body["quota"])
        cost = body["usage"]["emptor"]["cost_usd_micros"]
        assert cost > 0
        assert body["quota"]["charged"] == {"light": cost}
        assert (now["unit"], now["used"], now["held"]) == ("micro_usd", cost, 0)


async def test_a_dearer_stand_in_costs_the_person_what_was_promised(priced: Product):
    priced.model.usage = {"prompt_tokens": 1_000, "completion_tokens": 1_000}
    async with priced.client(await newcomer(priced)) as http:
        usual = await say(http)
        priced.model.failing = {"gpt-5-mini": 429}
        stood_in = await say(http)
    priced.app.state.models.health.worked("gpt-5-mini")
    assert (usual["model"], stood_in["model"]) == ("gpt-5-mini", "gpt-5")
    assert stood_in["quota"]["charged"] == usual["quota"]["charged"]
    ours = [body["usage"]["emptor"]["cost_usd_micros"] for body in (usual, stood_in)]
    assert ours[1] > 4 * ours[0]


async def test_used_ten_times_its_reserve_is_counted_in_full_and_ends_the_allowance(
    priced: Product,
):
    used = {"prompt_tokens": 10, "completion_tokens": 40_000, "total_tokens": 40_010}
    priced.model.usage = used
    async with priced.client(await newcomer(priced)) as http:
        first = await say(http)
        cost = first["usage"]["emptor"]["cost_usd_micros"]
        assert level(first["quota"])["used"] == cost > 60_000
        second = await say(http)
        assert second["route"]["downgrade_reason"] == "allowance_used:light"
        assert second["model"] == "gpt-5-nano"


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -10, "completion_tokens": -5, "total_tokens": -15},
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 900},
        },
    ],
)
async def test_nonsense_from_the_provider_is_mended_and_marked(priced: Product, usage):
    priced.model.usage = usage
    async with priced.client(await newcomer(priced)) as http:
        body = await say(http)
        assert body["usage"]["emptor"]["estimated"]
        assert body["usage"]["emptor"]["cost_usd_micros"] >= 0
        assert level(body["quota"])["used"] >= 0


@pytest.mark.parametrize("silence", [None, {"prompt_tokens": 0, "completion_tokens": 0}])
async def test_a_provider_that_does_not_say_is_counted_by_us_and_marked(
    priced: Product, silence: dict[str, int] | None
):
    priced.model.without_usage, priced.model.usage = silence is None, silence
    async with priced.client(await newcomer(priced)) as http:
        body = await say(http)
    usage = body["usage"]
    assert usage["emptor"]["estimated"]
    assert usage["prompt_tokens"] > 60  # our own words to the model are read as well
    assert 6 <= usage["completion_tokens"] <= 14
    assert level(body["quota"])["used"] == usage["emptor"]["cost_usd_micros"] > 0


@pytest.mark.parametrize("fault", [{"finish": None}, {"raw": "<html>busy</html>"}])
async def test_an_answer_that_is_cut_or_none_is_no_answer_and_costs_nothing(
    product: Product, fault: dict[str, Any]
):
    vars(product.model).update(fault)
    product.app.state.models.health.pulses.clear()
    async with product.client(await newcomer(product)) as http:
        plain = await http.post("/v1/chat/completions", json=HELLO)
        assert (plain.status_code, plain.json()["error"]["code"]) == (502, "model_failed")
        streamed = await http.post("/v1/chat/completions", json={**HELLO, "stream": True})
        assert "model_failed" in streamed.text
        now = level(await quota_of(http))
    product.app.state.models.health.pulses.clear()
    assert (now["used"], now["held"]) == (0, 0)


@pytest.mark.parametrize("surface", ["stream", "whole", "rest"])
async def test_who_leaves_before_the_first_word_frees_the_model_and_is_charged_nothing(
    product: Product, surface: str
):
    async with product.client(await newcomer(product)) as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        ask: dict[str, Any] = {**HELLO, "stream": surface == "stream"}
        path, json_ = "/v1/chat/completions", {"accept": "application/json"}
        if surface == "rest":
            path, ask = f"/api/threads/{thread}/turns", {"text": "Good morning!"}
        product.model.silent = set(product.app.state.chat.seats.listed())
        asking = asyncio.create_task(http.post(path, json=ask, headers=json_))

        async def active() -> int:
            return product.model.active

        await eventually(active, 1, within_s=60)
        asking.cancel()
        await eventually(active, 0, within_s=10)

        async def stands() -> tuple[int, int]:
            now = level(await quota_of(http))
            return now["used"], now["held"]

        await eventually(stands, (0, 0), within_s=60)
    assert asking.cancelled()


async def test_a_stream_that_the_reader_leaves_costs_what_came_of_it(priced: Product):
    priced.model.pause_s = 0.02
    priced.model.reply = lambda _: "word " * 2_000  # by itself it would take most of a minute
    async with priced.client(await newcomer(priced)) as http:
        ask = {**HELLO, "stream": True}
        async with http.stream("POST", "/v1/chat/completions", json=ask) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: ") and json.loads(line[6:])["choices"][0]["delta"].get(
                    "content"
                ):
                    break

        async def held() -> int:
            return int(level(await quota_of(http))["held"])

        await eventually(held, 0, within_s=60)
        now = level(await quota_of(http))
    whole = 2_000 * 2  # µUSD that the answer would have cost at the very least
    assert 0 < now["used"] < whole


@pytest.fixture
def cramped(product: Product) -> Iterator[Product]:
    """The product with a smallest model whose window is small."""
    chat = product.app.state.chat
    models = chat.seats.catalogue.models
    small = models["gpt-5-nano"].model_copy(update={"context_window": 2_000})
    catalogue = chat.seats.catalogue.model_copy(update={"models": {**models, "gpt-5-nano": small}})
    product.app.state.chat = replace(chat, seats=type(chat.seats)(catalogue, chat.seats.endpoint))
    yield product
    product.app.state.chat = chat


async def test_a_long_conversation_never_falls_to_a_window_too_small(cramped: Product):
    """The turn waits rather than being cut."""
    long = {"role": "user", "content": "Good morning! " + "Nice weather today. " * 400}
    async with cramped.client(await newcomer(cramped)) as http:
        for _ in range(10):
            body = await say(http)
            assert body["model"] == "gpt-5-mini"
        short = await say(http)
        assert short["model"] == "gpt-5-nano"
        refused = await http.post("/v1/chat/completions", json={**HELLO, "messages": [long]})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["exits"][0]["action"] == "wait"
        ways = [way["action"] for way in refused.json()["exits"]]
        assert ways == ["wait", "buy_credits", "upgrade"]  # the mini model is no way for it
        assert "begin a new conversation" in refused.json()["error"]["message"]
        assert refused.headers["ratelimit"].startswith('"light";r=0;t=')
        assert (await say(http))["model"] == "gpt-5-nano"


async def test_an_errand_that_the_smallest_model_cannot_take_is_a_turn_like_others(
    cramped: Product,
):
    task = {"role": "user", "content": "### Task:\nSummarise. " + "Nice weather today. " * 400}
    async with cramped.client(await newcomer(cramped)) as http:
        body = await say(http, messages=[task])
        assert (body["model"], body["quota"]["charged"]) == ("gpt-5-mini", {"light": 1})
        assert body["route"]["role"] == body["quota"]["requested_role"] == "light"


async def test_nobody_is_cut_off_or_downgraded_between_confirmation_and_receipt(product: Product):
    async with product.client(await newcomer(product)) as http:
        bought = await checkout(http)
        for _ in range(10):
            await say(http)
        assert (await say(http))["model"] == "gpt-5-nano"
        await _set_state(product, bought["id"], "placing")
        inside = (await http.post("/v1/chat/completions", json=HELLO)).json()
        assert inside["model"] == "gpt-5-mini"
        assert inside["quota"]["charged"] == {}
        assert (inside["quota"]["served_role"], inside["route"]["downgrade_reason"]) == (
            "light",
            None,
        )
        await _set_state(product, bought["id"], "completed")
        assert (await say(http))["model"] == "gpt-5-nano"


async def _set_state(product: Product, checkout_id: str, state: str) -> None:
    async with product.database.transaction() as session:
        query = text("UPDATE checkout SET state = :state, confirmed_at = now() WHERE id = :id")
        await session.execute(query, {"state": state, "id": checkout_id})
