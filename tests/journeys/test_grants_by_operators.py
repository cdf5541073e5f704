"""Operators give units on top of a plan, over HTTP, and the person's next turn has them."""

import secrets
from typing import Any

import httpx
import pytest

from tests.journeys.conftest import Product
from tests.journeys.test_allowance_day import newcomer
from tests.journeys.test_charging import level, quota_of, say


async def give(http: httpx.AsyncClient, who: str, **grant: Any) -> httpx.Response:
    body = {"bucket": "light", "units": 2, "reason": "an outage", **grant}
    return await http.post(f"/operator/v1/users/{who}/grants", json=body)


async def me(http: httpx.AsyncClient) -> str:
    return str((await http.get("/api/me")).json()["id"])


async def test_a_gift_mid_window_is_served_and_then_the_mini_model_answers(product: Product):
    async with product.client(await newcomer(product)) as http, product.client("operator") as op:
        for _ in range(10):
            await say(http)
        before = level(await quota_of(http))
        assert (before["remaining"], before["warning"]) == (0, 95)
        made = await give(op, await me(http))
        assert made.status_code == 201, made.text
        after = level(await quota_of(http))
        assert (after["cap"], after["remaining"]) == (12, 2)
        assert after["resets_at"] == before["resets_at"]
        models = [(await say(http))["model"] for _ in range(3)]
        assert models == ["gpt-5-mini", "gpt-5-mini", "gpt-5-nano"]
        (listed,) = (await op.get(f"/operator/v1/users/{await me(http)}/grants")).json()["data"]
        assert (listed["units"], listed["remaining"]) == (2, 0)


async def test_a_repeat_with_the_same_id_gives_once_and_another_is_refused(product: Product):
    name = secrets.token_hex(6)
    async with product.client(await newcomer(product)) as http, product.client("operator") as op:
        who = await me(http)
        first, again = await give(op, who, id=name), await give(op, who, id=name)
        assert first.json() == again.json()
        other = await give(op, who, id=name, units=3)
        assert (other.status_code, other.json()["code"]) == (409, "grant_exists")
        assert level(await quota_of(http))["cap"] == 12


async def test_a_grant_can_be_taken_back(product: Product):
    async with product.client(await newcomer(product)) as http, product.client("operator") as op:
        who = await me(http)
        grant_id = (await give(op, who)).json()["id"]
        gone = await op.delete(f"/operator/v1/users/{who}/grants/{grant_id}")
        assert gone.status_code == 204
        assert level(await quota_of(http))["cap"] == 10
        strange = await op.delete(f"/operator/v1/users/{who}/grants/other")
        assert strange.status_code == 404


async def test_nonsense_and_strangers_are_refused(product: Product):
    async with product.client(await newcomer(product)) as http, product.client("operator") as op:
        who = await me(http)
        assert (await give(op, who, bucket="gold")).status_code == 422
        assert (await give(op, who, units=0)).status_code == 422
        assert (await give(op, who, expires_at="2027-01-31T00:00:00")).status_code == 422
        assert (await give(op, "usr_nobody")).status_code == 404
        assert (await give(http, who)).status_code == 403
    async with product.client("operator_read_only") as reader:
        assert (await give(reader, who)).status_code == 403
        assert (await reader.get(f"/operator/v1/users/{who}/grants")).status_code == 200


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_a_moment_that_no_calendar_has_in_utc_is_refused_in_words(product: Product, at: str):
    async with product.client(await newcomer(product)) as http, product.client("operator") as op:
        who = await me(http)
        key = {"role": "user", "user_id": who, "expires_at": at}
        for made in (
            await give(op, who, expires_at=at),
            await op.post("/operator/v1/keys", json=key),
        ):
            assert made.status_code == 422, made.text
            assert "expires_at" in made.json()["detail"]
            assert "between 1 and 9999" in made.json()["detail"]
        last = await give(op, who, expires_at="9999-12-31T23:59:59Z")
        assert last.json()["expires_at"] == "9999-12-31T23:59:59Z"
