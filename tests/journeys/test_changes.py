"""A booking that is paid is moved: first what it costs or gives back, then one consent to it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.journeys.conftest import Product
from tests.journeys.faults import troubled
from tests.journeys.runs import accept, asked, run, said
from tests.journeys.test_purchase import confirm, ledger, stripe


async def booked(http: httpx.AsyncClient, *, party: int, hour: str = "19:00") -> dict[str, Any]:
    """A paid table at a place that has room for walk-ins every day."""
    day = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    query = {"kind": "booking", "q": "restaurant", "date": day, "time": hour, "party": party}
    offers = (await http.get("/api/search", params=query)).json()["data"]
    line = {"offer_id": offers[0]["offer_id"], "quantity": 1}
    made = (await http.post("/api/checkouts", json={"lines": [line]})).json()
    done = await confirm(http, made)
    assert done.status_code == 200, done.text
    order: dict[str, Any] = (await http.get(f"/api/orders/{done.json()['order_id']}")).json()
    return order


async def moved(http: httpx.AsyncClient, order: dict[str, Any], **to: Any) -> dict[str, Any]:
    answer = await http.post(f"/api/orders/{order['id']}/change", json={"booking": to})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def read(http: httpx.AsyncClient, order: dict[str, Any]) -> dict[str, Any]:
    now: dict[str, Any] = (await http.get(f"/api/orders/{order['id']}")).json()
    return now


@pytest.fixture
async def http(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    async with product.client() as client:
        yield client


async def test_another_hour_costs_nothing_and_moves_only_once_it_is_confirmed(
    product: Product, http: httpx.AsyncClient
):
    order = await booked(http, party=2)
    change = await moved(http, order, time="19:30")
    assert (change["total"], change["state"]) == (0, "awaiting_confirmation")
    assert change["changes"] == {"order_id": order["id"], "booking": order["booking"]}
    assert change["confirmation"]["changes"]["order_id"] == order["id"]
    assert await read(http, order) == order, "a quote changes nothing"
    done = await confirm(http, change)
    assert (done.status_code, done.json()["order_id"]) == (200, order["id"])
    now = await read(http, order)
    assert now["booking"] == {**order["booking"], "time": "19:30"}
    assert (now["state"], now["total"], now["refunded"]) == ("placed", order["total"], 0)
    assert "19:30" in now["lines"][0]["title"]
    assert now["events"][-1]["type"] == "changed"
    assert await stripe(product, change["id"]) == []
    listed = (await http.get("/api/orders")).json()["data"]
    assert [one for one in listed if one["part_of"] == order["id"]] == [], "nothing was bought"
    again = await confirm(http, change)
    assert again.json()["state"] == "completed"
    assert await read(http, order) == now


async def test_one_more_guest_is_paid_for_and_one_less_comes_back(
    product: Product, http: httpx.AsyncClient
):
    order = await booked(http, party=2)
    each = order["total"] // 2
    more = await moved(http, order, party=3)
    assert more["total"] == each, "the difference and nothing else"
    assert (await confirm(http, more)).status_code == 200
    assert [c["amount_received"] for c in await stripe(product, more["id"])] == [each]
    extra = next(
        one
        for one in (await http.get("/api/orders")).json()["data"]
        if one["part_of"] == order["id"]
    )
    assert extra["total"] == each
    fewer = await moved(http, order, party=1)
    assert fewer["total"] == 0
    assert {t["type"]: t["amount"] for t in fewer["totals"]}["refund_due"] == 2 * each
    assert (await confirm(http, fewer)).status_code == 200
    now, extra = await ended(http, order, refunded=each), await read(http, extra)
    assert (now["refunded"], extra["refunded"]) == (each, each)
    assert now["booking"]["party"] == 1
    await ledger(product)
    await agrees(product)


async def test_canceling_gives_every_payment_of_the_booking_back(
    product: Product, http: httpx.AsyncClient
):
    order = await booked(http, party=2)
    more = await moved(http, order, party=4)
    assert (await confirm(http, more)).status_code == 200
    extra = next(
        one
        for one in (await http.get("/api/orders")).json()["data"]
        if one["part_of"] == order["id"]
    )
    alone = await http.post(f"/api/orders/{extra['id']}/cancellation")
    assert alone.status_code == 409
    quote = (await http.post(f"/api/orders/{order['id']}/cancellation")).json()
    assert quote["refund"] + quote["fee"] == 2 * order["total"]
    where = f"/api/orders/{order['id']}/cancellation/{quote['id']}/confirm"
    done = await http.post(where, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert done.status_code in {200, 202}, done.text
    now = await ended(http, order, refunded=order["total"])
    extra = await ended(http, extra, refunded=extra["total"])
    assert (now["state"], extra["state"]) == ("canceled", "canceled")
    await ledger(product)
    await agrees(product)


async def test_a_quote_to_cancel_ends_when_the_booking_changes(http: httpx.AsyncClient):
    order = await booked(http, party=2)
    quote = (await http.post(f"/api/orders/{order['id']}/cancellation")).json()
    assert (await confirm(http, await moved(http, order, party=3))).status_code == 200
    where = f"/api/orders/{order['id']}/cancellation/{quote['id']}/confirm"
    stale = await http.post(where, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert stale.status_code == 409
    assert (await read(http, order))["state"] == "placed"


async def test_another_persons_booking_is_not_there(product: Product, http: httpx.AsyncClient):
    order = await booked(http, party=2)
    async with product.client("pro") as other:
        answer = await other.post(
            f"/api/orders/{order['id']}/change", json={"booking": {"party": 3}}
        )
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("to", "code"), [({}, "nothing_to_change"), ({"time": "03:00"}, "sold_out")]
)
async def test_what_cannot_be_is_said_and_leaves_everything_as_it_is(
    http: httpx.AsyncClient, to: dict[str, Any], code: str
):
    order = await booked(http, party=2)
    answer = await http.post(f"/api/orders/{order['id']}/change", json={"booking": to})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await read(http, order) == order


async def test_goods_are_not_moved(product: Product, http: httpx.AsyncClient):
    thread = secrets.token_hex(6)
    consent = asked(await run(http, thread, text="Buy me a two-person tent"))
    await run(http, thread, resume=accept(consent))
    order = (await http.get("/api/orders")).json()["data"][0]
    answer = await http.post(f"/api/orders/{order['id']}/change", json={"booking": {"party": 3}})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_changeable")


async def ended(http: httpx.AsyncClient, order: dict[str, Any], *, refunded: int) -> dict[str, Any]:
    """The order once its refund has arrived: a job brings it."""
    for _ in range(100):
        now = await read(http, order)
        if now["refunded"] == refunded:
            return now
        await http.get("/healthz")
    raise AssertionError(now)


async def agrees(product: Product) -> None:
    async with product.client("operator") as operator:
        found = (await operator.get("/operator/v1/reconciliation")).json()
    assert found["differences"] == []


@pytest.mark.parametrize(
    ("book", "change", "told"),
    [
        (
            "Book a table for two in nine days at 7pm",
            ["make it three people", "and at 8pm"],
            ["more", "is changed"],
        ),
        ("订一张九天后晚上七点的两人桌", ["改成三个人", "改到八点"], ["补付", "已更改"]),
    ],
)
async def test_a_booking_is_moved_by_chat_to_the_same_confirmation(
    product: Product, http: httpx.AsyncClient, book: str, change: list[str], told: list[str]
):
    thread = secrets.token_hex(6)
    await run(http, thread, resume=accept(asked(await run(http, thread, text=book))))
    order = (await http.get("/api/orders")).json()["data"][0]
    assert order["booking"]["party"] == 2
    for words in change:
        events = await run(http, thread, text=words)
        assert told[0] in said(events)
    consent = asked(events)
    shown = consent["metadata"]
    assert shown["confirmation"]["changes"]["order_id"] == order["id"]
    assert shown["total"] == order["total"] // 2
    assert sum(line["qty"] * line["unit"] for line in shown["lines"]) == shown["total"]
    assert await read(http, order) == order | {"events": (await read(http, order))["events"]}
    events = await run(http, thread, resume=accept(consent))
    assert told[1] in said(events)
    now = await read(http, order)
    assert (now["booking"]["party"], now["booking"]["time"]) == (3, "20:00")


async def test_a_lost_answer_is_looked_up_and_moves_the_booking_once(
    product: Product, http: httpx.AsyncClient
):
    order = await booked(http, party=2)
    more = await moved(http, order, party=3)
    fault = {"kind": "lost_answer", "at": "confirm", "times": 1, "value": 1}
    await troubled(product.world.tables, fault)
    try:
        done = await confirm(http, more)
    finally:
        await troubled(product.world.tables)
    assert done.status_code == 200, done.text
    now = await read(http, order)
    assert [event["type"] for event in now["events"]].count("changed") == 1
    assert [c["amount_received"] for c in await stripe(product, more["id"])] == [more["total"]]
    await agrees(product)


async def test_a_declined_difference_leaves_the_booking_as_it_is(
    product: Product, http: httpx.AsyncClient
):
    order = await booked(http, party=2)
    more = await moved(http, order, party=3)
    declined = {"type": "card", "token": "pm_card_chargeDeclined"}
    assert (await confirm(http, more, payment_method=declined)).status_code == 402
    assert await read(http, order) == order


async def test_a_difference_that_cannot_be_taken_after_the_merchant_moved_it_is_a_persons_matter(
    product: Product, http: httpx.AsyncClient
):
    """The bank lets go between the merchant's yes and our capture: what was paid stays booked."""
    order = await booked(http, party=2)
    more = await moved(http, order, party=3)
    await troubled(
        product.world.tables, {"kind": "delay", "at": "confirm", "times": 1, "value": 1.5}
    )
    try:
        confirming = asyncio.create_task(confirm(http, more))
        await let_go(product, more["id"])
        answer = await confirming
    finally:
        await troubled(product.world.tables)
    assert (answer.status_code, answer.json()["code"]) == (402, "payment_declined")
    assert "settle the rest" in answer.json()["detail"]
    [charge] = await stripe(product, more["id"])
    assert (charge["status"], charge["amount_received"]) == ("canceled", 0)
    now = await read(http, order)
    assert (now["state"], now["total"], now["refunded"]) == ("placed", order["total"], 0)
    assert now["booking"] == {**order["booking"], "party": 3}, "as the merchant has it"
    assert sum(total["amount"] for total in now["totals"][:-1]) == now["totals"][-1]["amount"]
    async with product.client("operator") as operator:
        told = (await operator.get("/operator/v1/incidents")).json()["data"]
    found = {one["kind"]: one for one in told if one["subject"] == more["id"]}
    assert set(found) == {"capture_failed", "change_unpaid"}
    assert order["merchant_order_id"] in found["change_unpaid"]["detail"]
    again = await confirm(http, more)
    assert again.status_code in {402, 409}
    assert len(await stripe(product, more["id"])) == 1
    await ledger(product)
    await agrees(product)


async def let_go(product: Product, checkout_id: str) -> None:
    """The payment is voided at the processor as soon as it is authorised."""
    held: list[dict[str, Any]] = []
    for _ in range(1000):
        held = await stripe(product, checkout_id)
        if held and held[0]["status"] == "requires_capture":
            break
    async with httpx.AsyncClient(base_url=product.world.stripe, trust_env=False) as http:
        answer = await http.post(
            f"/v1/payment_intents/{held[0]['id']}/cancel",
            headers={"authorization": "Bearer sk_test_journeys"},
        )
    assert answer.status_code == 200, answer.text


async def test_a_price_that_moves_stops_the_change_and_charges_nothing(
    product: Product, http: httpx.AsyncClient
):
    order = await booked(http, party=2)
    change = await http.post(f"/api/orders/{order['id']}/change", json={"booking": {"party": 3}})
    other = await http.post(f"/api/orders/{order['id']}/change", json={"booking": {"party": 4}})
    assert (await confirm(http, other.json())).status_code == 200
    refused = await confirm(http, change.json())  # it would change what is no longer booked
    assert refused.status_code in {402, 409, 422}, refused.text
    now = await read(http, order)
    assert now["booking"]["party"] == 4
    assert sum(c["amount_received"] for c in await stripe(product, change.json()["id"])) == 0
    await agrees(product)
