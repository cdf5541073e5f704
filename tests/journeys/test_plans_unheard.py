"""Plans and packs whose every event is lost: what was paid for is there all the same."""

from typing import Any

import httpx
from sqlalchemy import text

from backend import reconciling, subscriptions
from tests.journeys.conftest import Product
from tests.journeys.subscribing import (
    booked,
    holds,
    passes,
    pay,
    plan_of,
    row_of,
    rows,
)
from tests.servers import eventually


async def looked(product: Product, http: httpx.AsyncClient, *, after: str) -> None:
    """The time passes that a look waits for."""
    me = (await http.get("/api/me")).json()["id"]
    looks = "UPDATE subscriber SET next_sync_at = next_sync_at - CAST(:by AS interval),"
    looks += " version = version + 1 WHERE user_id = :u"
    async with product.database.transaction() as session:
        await session.execute(text(looks), {"by": after, "u": me})
    await subscriptions.sweep(product.app.state.counter)


async def light(http: httpx.AsyncClient) -> int:
    buckets = (await http.get("/api/quota")).json()["buckets"]
    return int(next(b["cap"] for b in buckets if b["name"] == "light"))


async def test_who_paid_gets_the_plan_and_the_pack_without_an_event(
    product: Product, kim: httpx.AsyncClient
):
    url = (await kim.post("/api/plan", json={"plan": "plus"})).json()["url"]
    assert (await pay(url)).status_code == 303
    assert await plan_of(kim) == "free"
    await looked(product, kim, after="1 minute")
    await eventually(lambda: plan_of(kim), "plus", within_s=10)
    before = await light(kim)
    asked = (await kim.post("/api/credits", json={"pack": "light_200"})).json()
    assert (await pay(asked["url"])).status_code == 303
    await looked(product, kim, after="1 minute")

    async def more() -> int:
        return await light(kim) - before

    await eventually(more, 200, within_s=10)
    assert dict(await booked(product, kim))["subscription"] == -2000
    assert await holds(product)


async def test_a_subscription_that_ended_unheard_ends_within_a_day(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe_unheard(product, kim)
    await passes(product, (await row_of(product, kim))["subscription_id"], "give_up")
    assert await plan_of(kim) == "plus"
    await looked(product, kim, after="1 day")
    await eventually(lambda: plan_of(kim), "free", within_s=10)


async def test_what_changed_in_the_portal_is_found_without_an_event(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe_unheard(product, kim)
    page = (await kim.post("/api/portal")).json()["url"]
    assert (await pay(page, "cancel", name="choice")).status_code == 303
    await looked(product, kim, after="1 minute")

    async def ends() -> bool:
        return bool((await row_of(product, kim))["ends"])

    await eventually(ends, True, within_s=10)


async def test_reconciliation_names_a_lost_payment_and_the_next_look_books_it(
    product: Product, kim: httpx.AsyncClient
):
    asked = (await kim.post("/api/credits", json={"pack": "light_200"})).json()
    assert (await pay(asked["url"])).status_code == 303
    me = (await kim.get("/api/me")).json()["id"]
    gone = "UPDATE subscriber SET next_sync_at = NULL WHERE user_id = :u"
    async with product.database.transaction() as session:
        await session.execute(text(gone), {"u": me})

    async def mine() -> list[dict[str, Any]]:
        async with product.client("operator") as http:
            made = (await http.get("/operator/v1/reconciliation")).json()
        return [one for one in made["differences"] if one["user_id"] == me]

    [found] = await mine()
    assert (found["kind"], found["expected"], found["found"]) == ("payment_not_booked", 0, 300)
    state = product.app.state
    await reconciling.nightly(product.database, state.payments, state.counter.billing)
    told = "SELECT kind, resolved_at IS NULL FROM incident WHERE subject = :s"
    assert await rows(product, told, s=found["subject"]) == [("books_differ", True)]
    await subscriptions.sweep(state.counter)
    await eventually(lambda: light(kim), 210, within_s=10)
    assert await mine() == []
    assert await rows(product, told, s=found["subject"]) == [("books_differ", False)]


async def subscribe_unheard(product: Product, http: httpx.AsyncClient) -> None:
    url = (await http.post("/api/plan", json={"plan": "plus"})).json()["url"]
    assert (await pay(url)).status_code == 303
    await looked(product, http, after="1 minute")
    await eventually(lambda: plan_of(http), "plus", within_s=10)
