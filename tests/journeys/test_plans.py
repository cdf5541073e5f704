"""Plans for money, over HTTP: the page, the pay page, the events, the books."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from backend import subscriptions
from integrations.simulators.stripe.webhooks import signature
from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.subscribing import (
    ENDED,
    SECRET,
    VISA,
    arriving,
    booked,
    holds,
    hooks,
    passes,
    pay,
    plan_of,
    row_of,
    rows,
    subscribe,
)
from tests.servers import eventually


@pytest.fixture(autouse=True)
async def hooked(product: Product) -> AsyncIterator[None]:
    """The processor's events reach the product for the length of a test."""
    await hooks(product, **arriving(product))
    yield
    await hooks(product, **ENDED)


async def test_a_plan_is_paid_for_on_the_linked_page_and_holds_when_the_money_is_there(
    product: Product, kim: httpx.AsyncClient
):
    asked = await kim.post("/api/plan", json={"plan": "plus"})
    assert (asked.status_code, asked.json()["state"]) == (201, "checkout")
    assert await plan_of(kim) == "free"
    paid = await pay(asked.json()["url"])
    assert paid.headers["location"] == f"{product.url}/?billing=done"
    await eventually(lambda: plan_of(kim), "plus", within_s=60)
    me = (await kim.get("/api/me")).json()
    assert (me["subscription"]["plan"], me["subscription"]["status"]) == ("plus", "active")
    quota = (await kim.get("/api/quota")).json()
    assert (quota["plan"], quota["buckets"][0]["cap"]) == ("plus", 160)
    assert await booked(product, kim) == [
        ("cash:stripe_pending", 2000 - 88),
        ("processor_fee:subscription", 88),
        ("subscription", -2000),
    ]
    assert await holds(product)


async def test_a_declined_card_buys_nothing_and_the_page_stays_open(
    product: Product, kim: httpx.AsyncClient
):
    url = (await kim.post("/api/plan", json={"plan": "plus"})).json()["url"]
    declined = await pay(url, "pm_card_chargeDeclined")
    assert (declined.status_code, "declined" in declined.text) == (402, True)
    assert await plan_of(kim) == "free"
    assert (await pay(url)).status_code == 303
    await eventually(lambda: plan_of(kim), "plus", within_s=60)


async def test_events_may_come_five_times_and_backwards_and_are_booked_once(
    product: Product, kim: httpx.AsyncClient
):
    await hooks(product, copies=5, reversed=True)
    await subscribe(kim)
    row = await row_of(product, kim)
    await passes(product, row["subscription_id"], "renew")
    done = ("SELECT count(*) FROM billing_payment WHERE user_id = :u", row["user_id"])
    await eventually(lambda: rows(product, done[0], u=done[1]), [(2,)], within_s=60)
    seen = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'sync_subscriber'"
    await eventually(lambda: rows(product, seen + " AND status IN ('todo', 'doing')"), [(0,)],
                     within_s=60)  # fmt: skip
    assert dict(await booked(product, kim))["subscription"] == -4000
    assert await holds(product)


async def test_a_forged_or_stale_event_is_refused(product: Product, kim: httpx.AsyncClient):
    await subscribe(kim)
    customer = (await row_of(product, kim))["customer_id"]
    thing = {"object": "subscription", "id": "sub_1", "customer": customer, "status": "canceled"}
    event = {"id": "evt_forged", "object": "event", "type": "customer.subscription.deleted",
             "data": {"object": thing}}  # fmt: skip
    body, now = json.dumps(event).encode(), int(time.time())
    async with httpx.AsyncClient(verify=roots(), base_url=product.url) as http:
        for sign in (
            "",
            signature(body, "whsec_guessed", at=now),
            signature(body, SECRET, at=now - 3600),
        ):
            told = await http.post(
                "/webhooks/stripe", content=body, headers={"stripe-signature": sign}
            )
            assert told.status_code == 400
        # Even one that is signed is only a hint: the processor says the plan goes on.
        signed = {"stripe-signature": signature(body, SECRET, at=now)}
        assert (
            await http.post("/webhooks/stripe", content=body, headers=signed)
        ).status_code == 200
    version = (await row_of(product, kim))["version"]
    await subscriptions.sync(product.app.state.counter, (await row_of(product, kim))["user_id"])
    assert (await row_of(product, kim))["version"] > version
    assert await plan_of(kim) == "plus"


async def test_a_failed_renewal_is_told_and_ends_in_free_when_the_grace_is_over(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    row = await row_of(product, kim)
    card = "pm_card_chargeCustomerFail"
    await passes(product, row["subscription_id"], "renew", payment_method=card)

    async def told() -> list[str]:
        return [n["code"] for n in (await kim.get("/api/me")).json()["notices"]]

    await eventually(told, ["payment_failed"], within_s=60)
    assert await plan_of(kim) == "plus"
    before = await booked(product, kim)
    async with product.database.transaction() as session:
        late = "UPDATE subscriber SET past_due_at = now() - interval '8 days',"
        late += " next_sync_at = now(), version = version + 1 WHERE user_id = :u"
        await session.execute(text(late), {"u": row["user_id"]})
    await subscriptions.sweep(product.app.state.counter)
    await eventually(lambda: plan_of(kim), "free", within_s=60)
    assert await told() == []
    at_stripe = await product.app.state.counter.billing.read(row["customer_id"])
    assert [s.standing for s in at_stripe.subscriptions] == ["over"]
    assert await booked(product, kim) == before


async def test_the_processor_giving_up_ends_the_plan_and_a_new_card_in_time_saves_it(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    row = await row_of(product, kim)
    card = "pm_card_chargeCustomerFail"
    await passes(product, row["subscription_id"], "renew", payment_method=card)

    async def standing() -> str:
        return str((await row_of(product, kim))["standing"])

    await eventually(standing, "past_due", within_s=60)
    page = (await kim.post("/api/portal")).json()["url"]
    assert (await pay(page, "card", name="choice")).status_code == 303
    await eventually(standing, "active", within_s=60)
    assert dict(await booked(product, kim))["subscription"] == -4000
    await passes(product, row["subscription_id"], "renew", payment_method=card)
    await passes(product, row["subscription_id"], "give_up")
    await eventually(lambda: plan_of(kim), "free", within_s=60)


async def test_a_subscriber_sees_the_proration_before_paying_it(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    asked = (await kim.post("/api/plan", json={"plan": "pro"})).json()
    assert asked["state"] == "confirm"
    assert await plan_of(kim) == "plus"
    assert (await pay(asked["url"], "confirm", name="choice")).status_code == 303
    await eventually(lambda: plan_of(kim), "pro", within_s=60)
    assert dict(await booked(product, kim))["subscription"] in (-20_000, -19_999)
    down = (await kim.post("/api/plan", json={"plan": "plus"})).json()
    await pay(down["url"], "confirm", name="choice")
    await eventually(lambda: plan_of(kim), "plus", within_s=60)
    assert dict(await booked(product, kim))["subscription"] in (-20_000, -19_999)


async def test_free_begins_when_what_was_paid_for_is_over_and_one_may_stay(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    ends = await kim.post("/api/plan", json={"plan": "free"})
    assert (ends.status_code, ends.json()["state"]) == (200, "ends_at_period_end")
    assert [n["code"] for n in (await kim.get("/api/me")).json()["notices"]] == ["plan_ends"]
    assert await plan_of(kim) == "plus"
    assert (await kim.post("/api/plan", json={"plan": "plus"})).json()["state"] == "resumed"
    assert (await kim.get("/api/me")).json()["notices"] == []
    await kim.post("/api/plan", json={"plan": "free"})
    await passes(product, (await row_of(product, kim))["subscription_id"], "renew")
    await eventually(lambda: plan_of(kim), "free", within_s=60)
    assert dict(await booked(product, kim))["subscription"] == -2000


async def test_who_pays_for_a_plan_gets_it_back_after_an_operator_took_it_away(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    me = (await row_of(product, kim))["user_id"]

    async def taken() -> None:
        async with product.client("operator") as http:
            answer = await http.patch(f"/operator/v1/users/{me}", json={"plan": "free"})
        assert answer.is_success, answer.text

    await taken()
    assert await plan_of(kim) == "free"
    again = await kim.post("/api/plan", json={"plan": "plus"})
    assert (again.status_code, again.json()["state"]) == (200, "changed")
    assert await plan_of(kim) == "plus"
    assert (await kim.post("/api/plan", json={"plan": "plus"})).status_code == 409
    await kim.post("/api/plan", json={"plan": "free"})
    await taken()
    assert (await kim.post("/api/plan", json={"plan": "plus"})).json()["state"] == "resumed"
    assert await plan_of(kim) == "plus"
    assert dict(await booked(product, kim))["subscription"] == -2000


async def test_a_plan_refunded_by_the_operator_takes_its_revenue_back_once(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    me = (await row_of(product, kim))["user_id"]
    [(payment,)] = await rows(product, "SELECT id FROM billing_payment WHERE user_id = :u", u=me)
    async with httpx.AsyncClient(
        verify=roots(), base_url=product.world.stripe, headers={"authorization": "Bearer sk_test_1"}
    ) as stripe:
        for part in ("500", "700"):
            given = {"payment_intent": payment, "amount": part}
            (await stripe.post("/v1/refunds", data=given)).raise_for_status()
    back = "SELECT refunded FROM billing_payment WHERE id = :p"
    await eventually(lambda: rows(product, back, p=payment), [(1200,)], within_s=60)
    for _ in range(2):
        await subscriptions.sync(product.app.state.counter, me)
    assert await rows(product, back, p=payment) == [(1200,)]
    assert (await kim.get("/api/me")).json()["plan"] == "plus"
    async with httpx.AsyncClient(
        verify=roots(), base_url=product.world.stripe, headers={"authorization": "Bearer sk_test_1"}
    ) as stripe:
        (await stripe.post("/v1/refunds", data={"payment_intent": payment})).raise_for_status()

    async def standing() -> tuple[str, list[Any]]:
        me_now = (await kim.get("/api/me")).json()["plan"]
        return me_now, await rows(product, back, p=payment)

    await eventually(standing, ("free", [(2000,)]), within_s=60)
    assert await holds(product)


async def test_an_upgrade_that_is_refunded_whole_leaves_nobody_up_there(
    product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    page = (await kim.post("/api/plan", json={"plan": "pro"})).json()["url"]
    assert (await pay(page, "confirm", name="choice")).status_code == 303
    await eventually(lambda: plan_of(kim), "pro", within_s=60)
    me = (await row_of(product, kim))["user_id"]
    newest = "SELECT id FROM billing_payment WHERE user_id = :u ORDER BY amount DESC LIMIT 1"
    [(payment,)] = await rows(product, newest, u=me)
    async with httpx.AsyncClient(
        verify=roots(), base_url=product.world.stripe, headers={"authorization": "Bearer sk_test_1"}
    ) as stripe:
        (await stripe.post("/v1/refunds", data={"payment_intent": payment})).raise_for_status()
    await eventually(lambda: plan_of(kim), "free", within_s=60)
    told = "SELECT count(*) FROM incident WHERE subject = :u AND kind = 'plan_ended_early'"
    assert await rows(product, told, u=me) == [(1,)]
    assert dict(await booked(product, kim))["subscription"] == -2000


async def test_who_is_erased_pays_no_more(product: Product, kim: httpx.AsyncClient):
    await subscribe(kim)
    row = await row_of(product, kim)
    assert (await kim.delete("/api/me")).status_code == 204
    billing = product.app.state.counter.billing

    async def standing() -> list[str]:
        return [s.standing for s in (await billing.read(row["customer_id"])).subscriptions]

    await eventually(standing, ["over"], within_s=60)


async def test_what_cannot_be_bought_is_said(product: Product, kim: httpx.AsyncClient):
    assert (await kim.post("/api/plan", json={"plan": "gold"})).status_code == 422
    assert (await kim.post("/api/credits", json={"pack": "gold"})).status_code == 422
    same = await kim.post("/api/plan", json={"plan": "free"})
    assert (same.status_code, same.json()["code"]) == (409, "plan_unchanged")
    assert (await kim.post("/api/portal")).json()["code"] == "no_customer"
    async with httpx.AsyncClient(verify=roots(), base_url=product.url) as guest:
        await guest.post("/api/session", json={})
        assert (await guest.post("/api/plan", json={"plan": "plus"})).status_code == 403


async def test_who_presses_six_times_gets_pages_of_which_one_can_be_paid(
    product: Product, kim: httpx.AsyncClient
):
    asked = await asyncio.gather(*(kim.post("/api/plan", json={"plan": "plus"}) for _ in range(6)))
    assert [one.status_code for one in asked] == [201] * 6, [one.text for one in asked]
    async with httpx.AsyncClient(verify=roots(), timeout=30) as browser:
        shown = [await browser.get(one.json()["url"]) for one in asked]
    [url] = [one.json()["url"] for one, page in zip(asked, shown, strict=True) if page.is_success]
    assert (await pay(url)).status_code == 303
    await eventually(lambda: plan_of(kim), "plus", within_s=60)


async def test_a_second_page_closes_the_first_and_a_repeat_is_the_same_page(
    product: Product, kim: httpx.AsyncClient
):
    key = {"idempotency-key": secrets.token_hex(8)}
    first = await kim.post("/api/plan", json={"plan": "plus"}, headers=key)
    again = await kim.post("/api/plan", json={"plan": "plus"}, headers=key)
    assert again.json()["url"] == first.json()["url"]
    second = (await kim.post("/api/plan", json={"plan": "pro"})).json()
    async with httpx.AsyncClient(verify=roots(), timeout=30) as browser:
        closed = await browser.post(first.json()["url"], data={"payment_method": VISA})
        assert closed.status_code == 410
    await pay(second["url"])
    await eventually(lambda: plan_of(kim), "pro", within_s=60)
