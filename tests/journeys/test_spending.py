"""A day's spending limit, held by every device at once and freed by what fails."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.journeys.conftest import Product
from tests.journeys.runs import accept, asked, run, said
from tests.journeys.test_purchase import CARD, checkout, confirm

OWN = "/api/me/spending-limit"
DECLINED = {"type": "card", "token": "pm_card_chargeDeclined"}
BUYER = {"first_name": "Kim", "last_name": "Lee", "email": "kim@example.com", "phone": "+49 30 1"}
HOME = {"name": "Kim Lee", "line_one": "Weg 1", "city": "Berlin", "country": "DE",
        "postal_code": "10115"}  # fmt: skip


@pytest.fixture
async def kim(product: Product) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A person who has spent nothing yet, and her id."""
    async with product.client("operator") as operator:
        new = {"name": "Kim", "plan": "plus"}
        who = (await operator.post("/operator/v1/users", json=new)).json()["id"]
        key = {"role": "user", "user_id": who}
        told = (await operator.post("/operator/v1/keys", json=key)).json()["key"]
    async with product.client(told) as http:
        yield http, who


async def ready(http: httpx.AsyncClient) -> dict[str, Any]:
    made = await checkout(http)
    given = {"buyer": BUYER, "address": HOME}
    shown: dict[str, Any] = (await http.put(f"/api/checkouts/{made['id']}", json=given)).json()
    assert shown["state"] == "awaiting_confirmation", shown["messages"]
    return shown


async def limit(http: httpx.AsyncClient, amount: int, currency: str = "EUR") -> dict[str, Any]:
    answer = await http.put(OWN, json={"amount": amount, "currency": currency})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_what_fits_is_bought_and_what_does_not_charges_nothing(
    kim: tuple[httpx.AsyncClient, str],
):
    http, _ = kim
    first, second = await ready(http), await ready(http)
    price = first["total"]
    await limit(http, 2 * price - 1)
    assert (await confirm(http, first)).status_code == 200
    refused = await confirm(http, second)
    assert (refused.status_code, refused.json()["code"]) == (409, "spending_limit")
    day = refused.json()["spending"]
    assert day["limits"]["person"] == {"amount": 2 * price - 1, "currency": "EUR",
                                       "remaining": price - 1}  # fmt: skip
    assert (await http.get(OWN)).json()["spent"] == {"EUR": price}
    still = (await http.get(f"/api/checkouts/{second['id']}")).json()
    assert still["state"] == "awaiting_confirmation"
    assert (await http.delete(OWN)).status_code == 204
    assert (await confirm(http, second)).status_code == 200
    # A repeat of what was bought is the same answer, whatever the limit is now.
    await limit(http, 0)
    assert (await confirm(http, second)).status_code == 200


async def test_devices_that_race_for_the_last_of_it_do_not_both_get_it(
    kim: tuple[httpx.AsyncClient, str],
):
    http, _ = kim
    made = [await ready(http) for _ in range(4)]
    await limit(http, 2 * made[0]["total"])
    answers = await asyncio.gather(*(confirm(http, one) for one in made for _ in range(2)))
    by_checkout = {one["id"]: set() for one in made}
    for place, answer in enumerate(answers):
        by_checkout[made[place // 2]["id"]].add(answer.status_code)
    assert sorted(max(codes) for codes in by_checkout.values()) == [200, 200, 409, 409]
    assert (await http.get(OWN)).json()["spent"] == {"EUR": 2 * made[0]["total"]}


async def test_a_purchase_that_fails_frees_its_part_by_failing(
    kim: tuple[httpx.AsyncClient, str],
):
    http, _ = kim
    first, second = await ready(http), await ready(http)
    await limit(http, first["total"])
    assert (await confirm(http, first, payment_method=DECLINED)).status_code == 402
    assert (await http.get(OWN)).json()["spent"] == {}
    assert (await confirm(http, second)).status_code == 200


async def test_the_smaller_of_two_limits_binds_and_another_currency_lets_nothing_through(
    product: Product, kim: tuple[httpx.AsyncClient, str]
):
    http, who = kim
    made = await ready(http)
    theirs = f"/operator/v1/users/{who}/spending-limit"
    async with product.client("operator") as operator:
        body = {"amount": made["total"] - 1, "currency": "EUR"}
        assert (await operator.put(theirs, json=body)).status_code == 200
        await limit(http, 10**6)
        refused = await confirm(http, made)
        assert refused.json()["detail"].startswith("Your operator has set a limit of")
        assert (await operator.delete(theirs)).status_code == 204
    await limit(http, 10**6, "USD")
    assert (await confirm(http, made)).json()["code"] == "spending_limit"
    async with product.client("operator_read_only") as reader:
        assert (await reader.put(theirs, json=body)).status_code == 403
    for wrong in ({"amount": -1}, {"amount": 1, "currency": "XXQ"}, {"amount": 1.5}, {}):
        assert (await http.put(OWN, json=wrong)).status_code in (400, 422)


async def test_chat_says_why_and_moves_nothing(
    kim: tuple[httpx.AsyncClient, str], product: Product
):
    http, who = kim
    async with product.database.transaction() as session:
        known = text("UPDATE user_account SET buyer = CAST(:buyer AS jsonb) WHERE id = :id")
        await session.execute(known, {"buyer": json.dumps(BUYER), "id": who})
    await limit(http, 1)
    thread = secrets.token_hex(6)
    events = await run(http, thread, text="book the Trattoria Lupa Blu for two tomorrow at 7pm")
    agreed = accept(asked(events), payment_method=CARD)
    assert "limit of €0.01 a day" in said(await run(http, thread, resume=agreed))
    assert (await http.get(OWN)).json()["spent"] == {}


async def test_moving_to_another_time_zone_gives_no_second_day(
    kim: tuple[httpx.AsyncClient, str], product: Product
):
    """Bought yesterday evening at home; further east the day is young and nothing is spent."""
    http, who = kim
    bought = await ready(http)
    await limit(http, bought["total"])
    assert (await confirm(http, bought)).status_code == 200
    async with product.database.transaction() as session:
        earlier = "UPDATE checkout SET confirmed_at = now() - interval '20 hours' WHERE id = :id"
        await session.execute(text(earlier), {"id": bought["id"]})
    ahead = (2 - datetime.now(UTC).hour) % 24  # hours to where it is two in the morning
    behind = -ahead if ahead <= 14 else 24 - ahead
    moved = await http.put("/api/me/preferences", json={"timezone": f"Etc/GMT{behind:+d}"})
    assert moved.status_code == 200
    day = (await http.get(OWN)).json()
    assert day["limits"]["person"]["remaining"] == 0
    in_a_day = datetime.now(UTC) + timedelta(hours=23, minutes=59)
    assert datetime.fromisoformat(day["resets_at"]) > in_a_day
    async with product.database.transaction() as session:
        long_ago = "UPDATE user_account SET timezone_since = now() - interval '25 hours'"
        await session.execute(text(long_ago + " WHERE id = :id"), {"id": who})
    day = (await http.get(OWN)).json()
    assert day["limits"]["person"]["remaining"] == bought["total"]
