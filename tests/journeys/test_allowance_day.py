"""A free person's day: the light allowance, the mini model, and what every surface says of it."""

import asyncio

import pytest
from sqlalchemy import text

from tests.journeys.conftest import Product

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Good morning!"}]}


async def newcomer(product: Product, plan: str = "free") -> str:
    async with product.client("operator") as http:
        made = await http.post("/operator/v1/users", json={"name": "Kim", "plan": plan})
    assert made.status_code == 201, made.text
    key: str = made.json()["key"]
    return key


async def test_the_eleventh_turn_is_answered_by_the_mini_model_and_says_why(product: Product):
    async with product.client(await newcomer(product)) as http:
        for used in range(1, 11):
            body = (await http.post("/v1/chat/completions", json=HELLO)).json()
            light = next(b for b in body["quota"]["buckets"] if b["name"] == "light")
            assert (light["used"], light["remaining"]) == (used, 10 - used)
            assert body["route"]["downgrade_reason"] is None
            assert light["warning"] == {8: 80, 9: 80, 10: 95}.get(used)
        answer = await http.post("/v1/chat/completions", json=HELLO)
        body = answer.json()
        assert body["model"] == "gpt-5-nano"
        assert body["route"]["role"] == "light_mini"
        assert body["route"]["requested_role"] == "light"
        assert "light" in body["route"]["downgrade_reason"]
        assert body["quota"]["binding"] == "light"
        assert answer.headers["x-emptor-role"] == "light_mini"
        assert answer.headers["x-emptor-requested-role"] == "light"
        assert answer.headers["x-emptor-downgrade-reason"] == "allowance_used:light"
        ways = [way["action"] for way in body["quota"]["exits"]]
        assert ways == ["wait", "use_mini", "buy_credits", "upgrade"]


async def test_twenty_turns_at_once_take_ten_light_ones_and_no_more(product: Product):
    async with product.client(await newcomer(product)) as http:
        answers = await asyncio.gather(
            *(http.post("/v1/chat/completions", json=HELLO) for _ in range(20))
        )
        roles = [a.json()["route"]["role"] for a in answers]
    assert sorted(roles) == ["light"] * 10 + ["light_mini"] * 10


async def test_the_headers_say_what_is_left_and_for_how_long(product: Product):
    async with product.client(await newcomer(product)) as http:
        answer = await http.post("/v1/chat/completions", json=HELLO)
    assert answer.headers["ratelimit"].startswith('"light";r=9;t=1')
    assert answer.headers["ratelimit-policy"] == '"light";q=10;w=18000'
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert answer.headers["x-ratelimit-reset-requests"].startswith(("5h", "4h59m"))


async def test_every_surface_says_in_its_headers_what_is_left_and_why_a_rung_was_left(
    product: Product,
):
    async with product.client(await newcomer(product)) as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        rest = {"path": f"/api/threads/{thread}/turns", "json": {"text": "Good morning!"}}
        run = {"threadId": "t", "runId": "r", "state": {}, "tools": [], "context": []}
        said = [{"id": "m", "role": "user", "content": "Good morning!"}]
        agui = {"path": "/agui", "json": {**run, "messages": said, "forwardedProps": {}}}
        for n, surface in enumerate((rest, agui, rest), start=1):
            accept = "application/json" if n == 3 else "text/event-stream"
            answer = await http.post(
                surface["path"], json=surface["json"], headers={"accept": accept}
            )
            assert answer.status_code == 200, answer.text
            assert answer.headers["ratelimit"].startswith(f'"light";r={10 - n};t=1')
            assert answer.headers["x-emptor-role"] == "light"
        for _ in range(7):
            await http.post("/v1/chat/completions", json=HELLO)
        for surface in (rest, agui):
            answer = await http.post(surface["path"], json=surface["json"])
            assert answer.headers["x-emptor-downgrade-reason"] == "allowance_used:light"
            assert answer.headers["x-emptor-requested-role"] == "light"


async def test_nobody_is_answered_below_the_floor_of_their_plan_by_choice(product: Product):
    async with product.client(await newcomer(product, "plus")) as http:
        small = {**HELLO, "model": "gpt-5-nano"}
        refused = (await http.post("/v1/chat/completions", json=small)).json()["error"]
        assert refused["code"] == "model_not_allowed"
        kept = await http.put("/api/me/preferences", json={"pinned_model": "gpt-5-nano"})
        assert (kept.status_code, kept.json()["code"]) == (403, "model_not_allowed")
        assert "gpt-5-nano" not in (await http.get("/api/me")).json()["models"]


async def test_a_model_that_was_preferred_on_another_plan_is_not_heard_and_said(product: Product):
    key = await newcomer(product)
    async with product.client(key) as http, product.client("operator") as operator:
        await http.put("/api/me/preferences", json={"pinned_model": "gpt-5-nano"})
        me = (await http.get("/api/me")).json()
        assert (me["notices"], me["preferences"]["pinned_model"]) == ([], "gpt-5-nano")
        await operator.patch(f"/operator/v1/users/{me['id']}", json={"plan": "plus"})
        answered = (await http.post("/v1/chat/completions", json=HELLO)).json()
        assert answered["model"] == "gpt-5-mini"
        [notice] = (await http.get("/api/me")).json()["notices"]
        assert (notice["code"], notice["model"]) == ("model_not_in_plan", "gpt-5-nano")


async def test_a_pinned_model_is_no_way_round_the_cap_of_its_role(product: Product):
    """The reasoning model stands in for the light one; chosen, it spends what it always does."""
    pinned = {**HELLO, "model": "gpt-5"}
    async with product.client(await newcomer(product)) as http:
        first = (await http.post("/v1/chat/completions", json=pinned)).json()
        again = (await http.post("/v1/chat/completions", json=pinned)).json()
    assert (first["model"], first["quota"]["charged"]) == ("gpt-5", {"reasoning": 1})
    assert again["model"] == "gpt-5-mini"
    assert again["route"]["downgrade_reason"] == "allowance_used:reasoning"


async def test_an_effort_beyond_the_plans_ceiling_is_served_at_it_and_said(product: Product):
    hard = {"role": "user", "content": "Think hard: prove that there are infinitely many primes."}
    ask = {**HELLO, "messages": [hard], "reasoning_effort": "high"}
    for plan, served in (("free", "medium"), ("plus", "high")):
        async with product.client(await newcomer(product, plan)) as http:
            route = (await http.post("/v1/chat/completions", json=ask)).json()["route"]
        assert (route["effort"], route["requested_effort"]) == (served, "high")
        assert product.model.asked[-1]["reasoning_effort"] == served


async def test_the_meter_and_the_answer_tell_the_same(product: Product):
    async with product.client(await newcomer(product)) as http:
        told = (await http.post("/v1/chat/completions", json=HELLO)).json()["quota"]
        read = (await http.get("/api/quota")).json()
    assert [(b["name"], b["used"], b["cap"]) for b in told["buckets"]] == [
        (b["name"], b["used"], b["cap"]) for b in read["buckets"]
    ]


async def test_a_larger_plan_raises_the_open_windows_cap_and_keeps_its_end(product: Product):
    key = await newcomer(product)
    async with product.client(key) as http, product.client("operator") as operator:
        await http.post("/v1/chat/completions", json=HELLO)
        before = _light((await http.get("/api/quota")).json())
        person = (await http.get("/api/me")).json()["id"]
        changed = await operator.patch(f"/operator/v1/users/{person}", json={"plan": "plus"})
        assert changed.json()["plan"] == "plus"
        after = _light((await http.get("/api/quota")).json())
    assert (before["cap"], after["cap"]) == (10, 160)
    assert after["used"] == 1
    assert after["resets_at"] == before["resets_at"]


def _light(quota: dict) -> dict:
    return next(b for b in quota["buckets"] if b["name"] == "light")


async def test_the_explanation_is_one_line_in_the_persons_words(product: Product):
    async with product.client() as http:
        body = (await http.post("/v1/chat/completions", json=HELLO)).json()
    assert body["route"]["explanation"] == "Answered by light: everyday question"


@pytest.mark.parametrize("words", ["think hard: what is 2+2?", "请深度思考：为什么天空是蓝色的？"])
async def test_an_explicit_effort_request_gets_the_reasoning_model(product: Product, words):
    ask = {"role": "user", "content": words}
    async with product.client() as http:
        body = (await http.post("/v1/chat/completions", json={**HELLO, "messages": [ask]})).json()
    assert body["route"]["kind"] == "complex"
    assert body["model"] == "gpt-5"


async def test_a_conversation_too_long_for_every_window_is_refused_before_it_is_counted(product):
    key = await newcomer(product)
    long = {"role": "user", "content": "数学" * 200_000}
    async with product.client(key) as http:
        answer = await http.post("/v1/chat/completions", json={**HELLO, "messages": [long]})
        assert answer.status_code in (400, 413)
        assert _light((await http.get("/api/quota")).json())["used"] == 0


@pytest.mark.parametrize(
    ("column", "status", "code"),
    [("plan", 409, "plan_unknown"), ("pinned_model", 404, "model_not_found")],
)
async def test_a_plan_or_pin_that_outlived_its_file_is_said_plainly(product, column, status, code):
    key = await newcomer(product)
    async with product.client(key) as http:
        person = (await http.get("/api/me")).json()["id"]
        async with product.database.transaction() as session:
            query = text(f"UPDATE user_account SET {column} = 'retired' WHERE id = :id")  # noqa: S608
            await session.execute(query, {"id": person})
        answer = await http.post("/v1/chat/completions", json=HELLO)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
