"""An airline that sells on its own page only: the person is sent there, the fee finds its way."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.runs import run, said
from tests.journeys.test_purchase import ledger, stripe
from tests.servers import eventually
from tests.simulators import MERCHANT_KEY

FEE = "fee_accrued:merchant:mer_demo_flights"
OWED = "receivable:merchant:mer_demo_flights"
EVENTS = "/agentic_checkout/webhooks/order_events"


async def sent(product: Product) -> dict[str, Any]:
    """A checkout that ends on the airline's page."""
    async with product.client() as http:
        answer = await http.get("/api/search", params={"q": "flight Berlin to Lisbon"})
        offer = next(o for o in answer.json()["data"] if o["merchant"] == "Wolkenweg Airways")
        line = {"offer_id": offer["offer_id"], "quantity": 1}
        made: dict[str, Any] = (await http.post("/api/checkouts", json={"lines": [line]})).json()
    assert (made["state"], made["settlement"], made["confirmation_hash"]) == (
        "quoted",
        "handoff",
        None,
    )
    return made


def token(made: dict[str, Any]) -> str:
    return parse_qs(urlsplit(made["handoff_url"]).query)["ref"][0]


async def shown(product: Product, checkout_id: str) -> dict[str, Any]:
    async with product.client() as http:
        found: dict[str, Any] = (await http.get(f"/api/checkouts/{checkout_id}")).json()
    return found


async def completed(product: Product, made: dict[str, Any]) -> dict[str, Any]:
    async def state() -> Any:
        return (await shown(product, made["id"]))["state"]

    await eventually(state, "completed", within_s=60)
    order_id = (await shown(product, made["id"]))["order_id"]
    async with product.client() as http:
        found: dict[str, Any] = (await http.get(f"/api/orders/{order_id}")).json()
    return found


async def tell(
    product: Product, kind: str, order: dict[str, Any], *, key: str = MERCHANT_KEY
) -> int:
    body = json.dumps({"type": kind, "data": order}).encode()
    at = str(int(time.time()))
    made = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Merchant-Signature": f"t={at},v1={made}"}
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        return (await http.post(EVENTS, content=body, headers=headers)).status_code


def order_of(made: dict[str, Any], identifier: str, total: int = 20000) -> dict[str, Any]:
    return {
        "id": identifier,
        "status": "created",
        "currency": "EUR",
        "totals": [{"type": "total", "amount": total}],
        "affiliate_attribution": {"provider": "emptor", "token": token(made)},
    }


async def test_a_flight_bought_on_the_airlines_page_earns_the_agreed_fee(product: Product):
    before = await ledger(product)
    made = await sent(product)
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        assert "Pay and book" in (await http.get(made["handoff_url"])).text
        await http.post(made["handoff_url"].partition("?")[0], data={"ref": token(made)})
    order = await completed(product, made)
    assert order["total"] == made["total"]
    assert order["permalink_url"].startswith(product.world.flights)
    assert sum(line["amount"] for line in order["lines"]) == order["total"]
    after = await ledger(product)
    fee = round(order["total"] * 0.03)
    assert after[OWED] - before.get(OWED, 0) == fee
    assert after[FEE] - before.get(FEE, 0) == -fee
    assert await stripe(product, made["id"]) == []


async def test_what_the_merchant_charged_decides_and_a_repeat_books_nothing_more(product: Product):
    made = await sent(product)
    before = await ledger(product)
    events = [tell(product, "order_create", order_of(made, "ext_1", 30000)) for _ in range(5)]
    assert set(await asyncio.gather(*events)) == {200}
    order = await completed(product, made)
    assert (order["total"], order["merchant_order_id"]) == (30000, "ext_1")
    after = await ledger(product)
    assert after[OWED] - before.get(OWED, 0) == 900
    gone = {**order_of(made, "ext_1", 30000), "status": "canceled"}
    assert await tell(product, "order_update", gone) == 200
    async with product.client() as http:
        undone = (await http.get(f"/api/orders/{order['id']}")).json()
        refused = await http.post(f"/api/orders/{order['id']}/cancellation")
    assert (undone["state"], undone["refunded"]) == ("canceled", 30000)
    assert refused.status_code == 409
    assert (await ledger(product))[OWED] == before.get(OWED, 0)


async def test_an_order_that_belongs_to_another_purchase_earns_nothing_twice(product: Product):
    first, second = await sent(product), await sent(product)
    assert await tell(product, "order_create", order_of(first, "ext_twice", 30000)) == 200
    await completed(product, first)
    before = await ledger(product)
    assert await tell(product, "order_create", order_of(second, "ext_twice", 30000)) == 200
    async with product.client() as http:
        assert (await http.get(f"/api/checkouts/{second['id']}")).json()["state"] == "quoted"
    assert await ledger(product) == before
    async with product.client("operator") as http:
        found = (await http.get("/operator/v1/incidents")).json()["data"]
    assert [i["kind"] for i in found if i["subject"] == second["id"]] == ["order_reused"]


async def test_what_comes_back_at_the_airline_takes_our_fee_back_in_proportion(product: Product):
    made, before = await sent(product), await ledger(product)
    bought = order_of(made, "ext_5", 30000)
    assert await tell(product, "order_create", bought) == 200
    order = await completed(product, made)

    def back(amount: int, status: str = "completed") -> dict[str, Any]:
        entry = {"id": f"adj_{amount}", "type": "refund", "status": status, "amount": amount}
        return {**bought, "adjustments": [entry]}

    async def owed() -> int:
        return (await ledger(product))[OWED] - before.get(OWED, 0)

    for told, left in ((back(9000, "pending"), 900), (back(10000), 600), (back(10000), 600)):
        assert await tell(product, "order_update", told) == 200
        assert await owed() == left
    shown_ = await completed(product, made)
    assert (shown_["state"], shown_["refunded"]) == ("partially_refunded", 10000)
    assert await tell(product, "order_update", back(30001)) == 200
    assert await owed() == 600
    # The rest by the merchant's own hand, as on any order.
    async with product.client(product.keys["merchants"]["mer_demo_flights"]) as http:
        given = await http.post(
            f"/merchant/v1/orders/{order['id']}/refund",
            json={"amount": 20000, "reason": "the flight was canceled"},
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
    assert (given.status_code, given.json()["state"]) == (200, "refunded")
    assert await owed() == 0


async def test_a_token_that_is_not_ours_or_not_signed_by_its_merchant_books_nothing(
    product: Product,
):
    made = await sent(product)
    forged = order_of(made, "ext_2")
    forged["affiliate_attribution"]["token"] = token(made)[:-2] + "xx"
    bare = order_of(made, "ext_2")
    bare["affiliate_attribution"]["token"] = made["id"]
    assert await tell(product, "order_create", forged) == 401
    assert await tell(product, "order_create", bare) == 401
    assert await tell(product, "order_create", order_of(made, "ext_2"), key="another") == 401
    assert (await shown(product, made["id"]))["state"] == "quoted"


async def test_an_order_that_cannot_be_priced_is_a_persons_matter(product: Product):
    made = await sent(product)
    for total in (None, -5):
        odd = order_of(made, "ext_3")
        odd["totals"] = [{"type": "total", "amount": total}]
        assert await tell(product, "order_create", odd) == 200
    assert (await shown(product, made["id"]))["state"] == "quoted"
    async with product.client("operator") as http:
        incidents = (await http.get("/operator/v1/incidents")).json()["data"]
    assert [i["kind"] for i in incidents if i["subject"] == made["id"]] == ["total_mismatch"]


async def test_the_airlines_walk_needs_no_endpoint_of_its_own(product: Product):
    async with product.client(product.keys["merchants"]["mer_demo_flights"]) as http:
        walk = (await http.post("/merchant/v1/check")).json()
    assert walk["ok"], walk
    assert [step["step"] for step in walk["steps"]] == ["handoff", "feed"]


async def test_a_checkout_that_was_given_up_earns_nothing(product: Product):
    made = await sent(product)
    async with product.client() as http:
        assert (await http.post(f"/api/checkouts/{made['id']}/cancel")).status_code == 200
    assert await tell(product, "order_create", order_of(made, "ext_4")) == 200
    assert (await shown(product, made["id"]))["order_id"] is None


@pytest.mark.parametrize(
    ("asks", "picks", "place"),
    [
        ("I need a flight from Berlin to Lisbon", "book the first one", "Lisbon"),
        ("帮我找一张柏林到里斯本的机票", "买第一个", "里斯本"),
    ],
)
async def test_a_flight_is_asked_for_in_chat_and_finished_at_the_airline(
    product: Product, asks: str, picks: str, place: str
):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        events = await run(http, thread, text=asks)
        cards = next(e for e in events if e["type"] == "ACTIVITY_SNAPSHOT")["content"]["items"]
        assert cards[0]["merchant"] == "Wolkenweg Airways"
        assert place in cards[0]["title"]
        events = await run(http, thread, text=picks)
    # Nothing to agree to here: the airline takes the money on its own page.
    assert events[-1]["type"] == "RUN_FINISHED"
    assert "outcome" not in events[-1] or events[-1]["outcome"]["type"] != "interrupt"
    assert "/book/" in said(events)
