"""Packs of answers for money, over HTTP: what they add, what comes back, what is earned."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from backend import subscriptions
from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.subscribing import (
    ENDED,
    arriving,
    booked,
    holds,
    hooks,
    pay,
    rows,
)
from tests.servers import eventually


@pytest.fixture(autouse=True)
async def hooked(product: Product) -> AsyncIterator[None]:
    """The processor's events reach the product for the length of a test."""
    await hooks(product, **arriving(product))
    yield
    await hooks(product, **ENDED)


async def test_a_pack_is_units_on_top_and_a_refund_takes_back_both(
    product: Product, kim: httpx.AsyncClient
):
    asked = (await kim.post("/api/credits", json={"pack": "light_200"})).json()
    assert (await pay(asked["url"])).status_code == 303

    async def cap() -> int:
        buckets = (await kim.get("/api/quota")).json()["buckets"]
        return int(next(b["cap"] for b in buckets if b["name"] == "light"))

    await eventually(cap, 210, within_s=60)
    assert dict(await booked(product, kim))["user_credits"] == -300
    [(payment,)] = await rows(
        product, "SELECT id FROM billing_payment WHERE ref = :r", r=asked["id"]
    )
    async with httpx.AsyncClient(
        verify=roots(), base_url=product.world.stripe, headers={"authorization": "Bearer sk_test_1"}
    ) as stripe:
        given = {"payment_intent": payment}
        (await stripe.post("/v1/refunds", data=given)).raise_for_status()
    await eventually(cap, 10, within_s=60)
    assert dict(await booked(product, kim))["user_credits"] == 0
    assert await holds(product)


async def test_half_a_packs_money_back_is_half_its_units_and_the_books_stay_even(
    product: Product, kim: httpx.AsyncClient
):
    asked = (await kim.post("/api/credits", json={"pack": "light_200"})).json()
    assert (await pay(asked["url"])).status_code == 303

    async def cap() -> int:
        buckets = (await kim.get("/api/quota")).json()["buckets"]
        return int(next(b["cap"] for b in buckets if b["name"] == "light"))

    await eventually(cap, 210, within_s=60)
    [(payment,)] = await rows(
        product, "SELECT id FROM billing_payment WHERE ref = :r", r=asked["id"]
    )
    async with product.database.transaction() as session:
        used = "UPDATE quota_grant SET remaining = remaining - 50 WHERE id = :p"
        await session.execute(text(used), {"p": payment})
    await subscriptions.sweep(product.app.state.counter)
    assert dict(await booked(product, kim))["subscription:credits"] == -75
    async with httpx.AsyncClient(
        base_url=product.world.stripe, headers={"authorization": "Bearer sk_test_1"}
    ) as stripe:
        given = {"payment_intent": payment, "amount": "150"}
        (await stripe.post("/v1/refunds", data=given)).raise_for_status()
    await eventually(cap, 10 + 100 - 50, within_s=60)
    for _ in range(2):
        await subscriptions.sweep(product.app.state.counter)
    made = dict(await booked(product, kim))
    assert (made["user_credits"], made["subscription:credits"]) == (-75, -75)
    async with product.database.transaction() as session:
        await session.execute(
            text("UPDATE quota_grant SET remaining = 0 WHERE id = :p"), {"p": payment}
        )
    await subscriptions.sweep(product.app.state.counter)
    made = dict(await booked(product, kim))
    assert (made["user_credits"], made["subscription:credits"]) == (0, -150)
    assert await holds(product)


async def test_used_answers_of_a_pack_are_earned_and_the_rest_is_owed(
    product: Product, kim: httpx.AsyncClient
):
    asked = (await kim.post("/api/credits", json={"pack": "light_200"})).json()
    await pay(asked["url"])
    paid = "SELECT id FROM billing_payment WHERE ref = :r"

    async def there() -> int:
        return len(await rows(product, paid, r=asked["id"]))

    await eventually(there, 1, within_s=60)
    async with product.database.transaction() as session:
        used = "UPDATE quota_grant SET remaining = remaining - 50 WHERE id = :p"
        [(payment,)] = (await session.execute(text(paid), {"r": asked["id"]})).all()
        await session.execute(text(used), {"p": payment})
    for _ in range(3):
        await subscriptions.sweep(product.app.state.counter)
    made = dict(await booked(product, kim))
    assert (made["user_credits"], made["subscription:credits"]) == (-225, -75)
