"""A bank takes back what a person paid for a plan or a pack, told by the processor's events."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.subscribing import (
    SECRET,
    booked,
    holds,
    hooks,
    pay,
    plan_of,
    row_of,
    rows,
    subscribe,
)
from tests.servers import eventually


@pytest.fixture(autouse=True, params=[1, 3], ids=["once", "thrice-and-backwards"])
async def hooked(product: Product, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """However often and in whatever order the events come."""
    url, many = f"{product.url}/webhooks/stripe", request.param
    await hooks(product, url=url, secret=SECRET, copies=many, reversed=many > 1)
    yield
    await hooks(product, url=None, copies=1, reversed=False)


async def bank(product: Product, path: str, **given: Any) -> str:
    async with httpx.AsyncClient(verify=roots(), timeout=30) as http:
        answer = await http.post(f"{product.world.stripe}/_sim/{path}", json=given)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def paid(product: Product, http: httpx.AsyncClient) -> str:
    me = (await http.get("/api/me")).json()["id"]
    [(payment,)] = await rows(product, "SELECT id FROM billing_payment WHERE user_id = :u", u=me)
    return str(payment)


async def open_incidents(product: Product, subject: str) -> list[str]:
    query = "SELECT kind FROM incident WHERE subject = :s AND resolved_at IS NULL ORDER BY 1"
    return [kind for (kind,) in await rows(product, query, s=subject)]


async def test_a_disputed_plan_calls_a_person_and_a_won_one_goes_on(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    payment = await paid(product, kim)
    before = dict(await booked(product, kim))
    dispute = await bank(product, f"payment_intents/{payment}/dispute")
    await eventually(lambda: open_incidents(product, payment), ["payment_disputed"], within_s=60)
    made = dict(await booked(product, kim))
    assert (made["dispute_hold:subscription"], made["dispute_fee:subscription"]) == (2000, 2000)
    await bank(product, f"disputes/{dispute}/close", status="won")
    await eventually(lambda: open_incidents(product, payment), [], within_s=60)
    made = dict(await booked(product, kim))
    assert made["cash:stripe_pending"] == before["cash:stripe_pending"] - 2000
    assert made["dispute_hold:subscription"] == 0
    assert await plan_of(kim) == "plus"
    assert await holds(product)


async def test_a_plan_that_was_charged_back_ends_here_and_at_the_processor(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    payment = await paid(product, kim)
    dispute = await bank(product, f"payment_intents/{payment}/dispute")
    await bank(product, f"disputes/{dispute}/close", status="lost")
    await eventually(lambda: plan_of(kim), "free", within_s=60)
    await eventually(lambda: open_incidents(product, payment), ["dispute_lost"], within_s=60)
    made = dict(await booked(product, kim))
    assert (made["subscription"], made["dispute_hold:subscription"]) == (0, 0)
    assert (made["dispute_fee:subscription"], made["cash:stripe_pending"]) == (2000, -2088)
    row = await row_of(product, kim)
    account = await product.app.state.counter.billing.read(row["customer_id"])
    assert [one.standing for one in account.subscriptions] == ["over"]
    assert await holds(product)


async def test_a_pack_that_was_charged_back_takes_its_units_along(
    product: Product, kim: httpx.AsyncClient
):
    asked = (await kim.post("/api/credits", json={"pack": "light_200"})).json()
    assert (await pay(asked["url"])).status_code == 303

    async def cap() -> int:
        buckets = (await kim.get("/api/quota")).json()["buckets"]
        return int(next(b["cap"] for b in buckets if b["name"] == "light"))

    await eventually(cap, 210, within_s=60)
    payment = await paid(product, kim)
    dispute = await bank(product, f"payment_intents/{payment}/dispute")
    await bank(product, f"disputes/{dispute}/close", status="lost")
    await eventually(cap, 10, within_s=60)
    made = dict(await booked(product, kim))
    assert (made["user_credits"], made["dispute_fee:credits"]) == (0, 2000)
    assert await open_incidents(product, payment) == ["dispute_lost"]
    assert await holds(product)
