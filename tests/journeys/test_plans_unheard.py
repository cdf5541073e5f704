"""Plans and packs whose every event is lost: what was paid for is there all the same."""

from typing import Any

import httpx
from sqlalchemy import text

from backend import reconciling, subscriptions
from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.subscribing import (
    VISA,
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
    await eventually(lambda: plan_of(kim), "plus", within_s=60)
    before = await light(kim)
    asked = (await kim.post("/api/credits", json={"pack": "light_200"})).json()
    assert (await pay(asked["url"])).status_code == 303
    await looked(product, kim, after="1 minute")

    async def more() -> int:
        return await light(kim) - before

    await eventually(more, 200, within_s=60)
    assert dict(await booked(product, kim))["subscription"] == -2000
    assert await holds(product)


async def test_a_subscription_that_ended_unheard_ends_within_a_day(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe_unheard(product, kim)
    await passes(product, (await row_of(product, kim))["subscription_id"], "give_up")
    assert await plan_of(kim) == "plus"
    await looked(product, kim, after="1 day")
    await eventually(lambda: plan_of(kim), "free", within_s=60)


async def test_what_changed_in_the_portal_is_found_without_an_event(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe_unheard(product, kim)
    page = (await kim.post("/api/portal")).json()["url"]
    assert (await pay(page, "cancel", name="choice")).status_code == 303
    await looked(product, kim, after="1 minute")

    async def ends() -> bool:
        return bool((await row_of(product, kim))["ends"])

    await eventually(ends, True, within_s=60)


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
    await eventually(lambda: light(kim), 210, within_s=60)
    assert await mine() == []
    assert await rows(product, told, s=found["subject"]) == [("books_differ", False)]


async def test_who_paid_already_is_asked_for_no_second_plan(
    product: Product, kim: httpx.AsyncClient
):
    url = (await kim.post("/api/plan", json={"plan": "plus"})).json()["url"]
    assert (await pay(url)).status_code == 303
    again = await kim.post("/api/plan", json={"plan": "plus"})
    assert (again.status_code, again.json()["code"]) == (409, "plan_unchanged")
    assert await plan_of(kim) == "plus"
    other = await kim.post("/api/plan", json={"plan": "pro"})
    assert other.json()["state"] == "confirm"
    row = await row_of(product, kim)
    account = await product.app.state.counter.billing.read(row["customer_id"])
    assert (len(account.subscriptions), len(account.payments)) == (1, 1)


async def test_free_asked_for_after_an_unheard_payment_ends_that_plan_with_its_month(
    product: Product, kim: httpx.AsyncClient
):
    url = (await kim.post("/api/plan", json={"plan": "plus"})).json()["url"]
    assert (await pay(url)).status_code == 303
    ends = await kim.post("/api/plan", json={"plan": "free"})
    assert (ends.status_code, ends.json()["state"]) == (200, "ends_at_period_end")


async def test_a_pack_that_was_paid_for_is_told_before_another_is_sold(
    product: Product, kim: httpx.AsyncClient
):
    pack = {"pack": "light_200"}
    url = (await kim.post("/api/credits", json=pack)).json()["url"]
    assert (await pay(url)).status_code == 303
    again = await kim.post("/api/credits", json=pack)
    assert (again.status_code, again.json()["code"]) == (409, "pack_arrived")
    assert await light(kim) == 210
    second = await kim.post("/api/credits", json=pack)
    assert (await pay(second.json()["url"])).status_code == 303
    await looked(product, kim, after="1 minute")
    await eventually(lambda: light(kim), 410, within_s=60)


async def test_of_two_pages_for_a_pack_only_the_newer_can_be_paid(
    product: Product, kim: httpx.AsyncClient
):
    first, second = [
        (await kim.post("/api/credits", json={"pack": "light_200"})).json()["url"] for _ in range(2)
    ]
    async with httpx.AsyncClient(verify=roots(), timeout=30) as browser:
        assert (await browser.post(first, data={"payment_method": VISA})).status_code == 410
    assert (await pay(second)).status_code == 303


async def test_while_the_processor_is_silent_no_page_is_opened(
    product: Product, kim: httpx.AsyncClient
):
    await kim.post("/api/plan", json={"plan": "plus"})
    fault = {"method": "GET", "path": "/v1/subscriptions", "kind": "error_before", "times": 9}
    async with httpx.AsyncClient(verify=roots(), timeout=30) as http:
        try:
            planned = await http.post(f"{product.world.stripe}/_sim/faults", json=fault)
            assert planned.is_success, planned.text
            assert (await kim.post("/api/plan", json={"plan": "plus"})).status_code == 503
        finally:
            await http.delete(f"{product.world.stripe}/_sim/faults")


async def subscribe_unheard(product: Product, http: httpx.AsyncClient) -> None:
    url = (await http.post("/api/plan", json={"plan": "plus"})).json()["url"]
    assert (await pay(url)).status_code == 303
    await looked(product, http, after="1 minute")
    await eventually(lambda: plan_of(http), "plus", within_s=60)
