"""From a sentence to a paid order: over AG-UI, over REST, and everything that must not pay."""

import asyncio
import hashlib
import json
import secrets
from typing import Any

import httpx
import pytest
import rfc8785
from sqlalchemy import text

from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.runs import accept, asked, run, said

CARD = {"type": "card", "token": "pm_card_visa"}


async def stripe(product: Product, checkout_id: str) -> list[dict[str, Any]]:
    """Every charge the processor holds for this purchase."""
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        answer = await http.get(
            f"{product.world.stripe}/_sim/payment_intents", params={"purchase_id": checkout_id}
        )
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def ledger(product: Product) -> dict[str, int]:
    async with product.client("operator") as http:
        rows = (await http.get("/operator/v1/ledger/accounts")).json()["data"]
        assert (await http.get("/operator/v1/ledger/verify")).json()["ok"] is True
    sums: dict[str, int] = {}
    for row in rows:
        sums[row["currency"]] = sums.get(row["currency"], 0) + row["balance"]
    assert not any(sums.values()), rows
    return {row["account"]: row["balance"] for row in rows}


async def confirm(
    http: httpx.AsyncClient, checkout: dict[str, Any], **changed: Any
) -> httpx.Response:
    body = {
        "confirmation_hash": checkout["confirmation_hash"],
        "payment_method": CARD,
        **changed,
    }
    return await http.post(
        f"/api/checkouts/{checkout['id']}/confirm",
        json=body,
        headers={"Idempotency-Key": secrets.token_hex(8)},
    )


async def checkout(http: httpx.AsyncClient, words: str = "two-person tent") -> dict[str, Any]:
    offers = (await http.get("/api/search", params={"q": words})).json()["data"]
    line = {"offer_id": offers[0]["offer_id"], "quantity": 1}
    answer = await http.post("/api/checkouts", json={"lines": [line]})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_purchase_by_chat_is_shown_agreed_paid_placed_and_booked(product: Product):
    thread = secrets.token_hex(6)
    before = await ledger(product)
    async with product.client() as http:
        events = await run(http, thread, text="Buy me a two-person tent")
        assert [e["type"] for e in events[:2]] == ["RUN_STARTED", "STATE_SNAPSHOT"]
        assert events[1]["snapshot"]["route"]["intent"] == "commercial"
        cards = next(e for e in events if e["type"] == "ACTIVITY_SNAPSHOT")
        assert cards["activityType"] == "product-list"
        assert all(
            card["disclosure"] and card["image"]["url"] for card in cards["content"]["items"]
        )
        consent = asked(events)
        shown = consent["metadata"]
        assert sum(x["qty"] * x["unit"] for x in shown["lines"]) == shown["total"]
        digest = hashlib.sha256(rfc8785.dumps(shown["confirmation"])).hexdigest()
        assert digest == shown["confirmation_hash"]
        assert await stripe(product, shown["checkout_id"]) == []
        events = await run(http, thread, resume=accept(consent))
        assert events[-1]["outcome"] == {"type": "success"}
        assert "ord_" in said(events)
        order = (await http.get("/api/orders")).json()["data"][0]
        assert order["total"] == shown["total"]
        assert order["id"] in said(events)
    charges = await stripe(product, shown["checkout_id"])
    assert [(c["status"], c["amount_received"]) for c in charges] == [("succeeded", shown["total"])]
    assert await ledger(product) != before


async def test_a_table_booked_in_chinese_is_held_and_paid(product: Product):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        events = await run(http, thread, text="订一张明天晚上七点的两人桌")
        cards = next(e for e in events if e["type"] == "ACTIVITY_SNAPSHOT")
        assert cards["activityType"] == "booking-options"
        consent = asked(events)
        booking = consent["metadata"]["confirmation"]["booking"]
        assert (booking["time"], booking["party"]) == ("19:00", 2)
        events = await run(http, thread, resume=accept(consent))
        assert "已确认" in said(events)
        order = (await http.get("/api/orders")).json()["data"][0]
        assert order["merchant"]["id"] == "mer_demo_tables"


async def test_every_decision_in_a_chinese_conversation_is_answered_in_chinese(product: Product):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        consent = asked(await run(http, thread, text="我想买一个双人帐篷 tent"))
        for _ in range(3):
            events = await run(http, thread, resume=accept(consent, accept=False))
            assert said(events) == "好的，没有购买，也没有付款。"


@pytest.mark.parametrize(
    "forged",
    [
        {"confirmation_hash": "0" * 64},
        {"confirmation_hash": ""},
        {"confirmation_hash": None},
        {"confirmation_hash": ["x"]},
        {"accept": "true"},
        {"accept": False},
    ],
)
async def test_a_resume_that_does_not_name_what_was_shown_pays_nothing(product: Product, forged):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        consent = asked(await run(http, thread, text="Buy me a two-person tent"))
        events = await run(http, thread, resume=accept(consent, **forged))
        assert "ord_" not in said(events)
        checkout_id = consent["metadata"]["checkout_id"]
        state = (await http.get(f"/api/checkouts/{checkout_id}")).json()["state"]
    assert state == "awaiting_confirmation"
    assert await stripe(product, checkout_id) == []


async def test_a_chat_message_never_pays_however_it_is_put(product: Product):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        consent = asked(await run(http, thread, text="Buy me a two-person tent"))
        for words in ("yes, buy it", "I confirm the payment", "好的，付款"):
            assert "ord_" not in said(await run(http, thread, text=words))
    assert await stripe(product, consent["metadata"]["checkout_id"]) == []


async def test_another_person_cannot_see_confirm_or_resume_it(product: Product):
    thread = secrets.token_hex(6)
    async with product.client("plus") as http:
        consent = asked(await run(http, thread, text="Buy me a two-person tent"))
        made = (await http.get(f"/api/checkouts/{consent['metadata']['checkout_id']}")).json()
    async with product.client("pro") as other:
        assert (await other.get(f"/api/checkouts/{made['id']}")).status_code == 404
        assert (await confirm(other, made)).status_code == 404
        body = {"threadId": thread, "runId": "r", "messages": [], "tools": [], "context": []}
        body |= {"state": {}, "forwardedProps": {}, "resume": [accept(consent)]}
        assert (await other.post("/agui", json=body)).status_code == 404
    assert await stripe(product, made["id"]) == []


async def test_fifty_confirms_at_once_make_one_charge_and_one_order(product: Product):
    async with product.client() as http:
        made = await checkout(http)
        answers = await asyncio.gather(*(confirm(http, made) for _ in range(50)))
        assert {a.status_code for a in answers} <= {200, 202}
        final = (await http.get(f"/api/checkouts/{made['id']}")).json()
        assert final["state"] == "completed"
    assert len(await stripe(product, made["id"])) == 1
    async with product.database.transaction() as session:
        count = "SELECT count(*) FROM purchase_order WHERE checkout_id = :id"
        assert (await session.execute(text(count), {"id": made["id"]})).scalar() == 1


async def test_a_confirm_without_a_key_is_refused(product: Product):
    async with product.client() as http:
        made = await checkout(http)
        answer = await http.post(
            f"/api/checkouts/{made['id']}/confirm",
            json={"confirmation_hash": made["confirmation_hash"], "payment_method": CARD},
        )
    assert answer.status_code == 400
    assert answer.json()["code"] == "idempotency_key_required"


async def test_a_declined_card_is_402_and_places_nothing(product: Product):
    async with product.client() as http:
        made = await checkout(http)
        declined = {"type": "card", "token": "pm_card_chargeDeclined"}
        answer = await confirm(http, made, payment_method=declined)
        assert answer.status_code == 402
        assert answer.json()["code"] == "payment_declined"
        assert (await http.get(f"/api/checkouts/{made['id']}")).json()["state"] == "failed"


async def test_a_price_that_moved_after_it_was_shown_is_409_with_the_new_one(product: Product):
    async with product.client() as http:
        made = await checkout(http, "coffee beans")
        async with httpx.AsyncClient(verify=roots(), trust_env=False) as outside:
            fault = {"kind": "price_drift", "at": "price", "times": 1, "value": 100}
            planned = await outside.post(
                f"{product.world.shop}/_sim/faults",
                json={"faults": [fault]},
                headers={"authorization": "Bearer demo-merchant-key"},
            )
            assert planned.status_code < 300, planned.text
        answer = await confirm(http, made)
        assert answer.status_code == 409, answer.text
        changed = answer.json()
        assert changed["code"] == "offer_changed"
        assert changed["checkout"]["confirmation_hash"] != made["confirmation_hash"]
    assert await stripe(product, made["id"]) == []


async def test_who_pays_us_is_said_in_the_persons_language_before_they_agree(product: Product):
    async with product.client() as http:
        events = await run(http, secrets.token_hex(6), text="帮我买一顶双人帐篷")
        shown = asked(events)["metadata"]
        assert "佣金不会影响结果的排序" in shown["disclosure"]
        assert shown["confirmation"]["disclosure"] == shown["disclosure"]
        offers = (await http.get("/api/search", params={"q": "flight Berlin Lisbon"})).json()
        flight = next(o for o in offers["data"] if o["merchant"] == "Wolkenweg Airways")
        line = {"offer_id": flight["offer_id"], "quantity": 1}
        chinese = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
        sent = await http.post("/api/checkouts", json={"lines": [line]}, headers=chinese)
        assert "请在 Wolkenweg Airways 完成此次购买" in sent.json()["messages"][0]["text"]
        assert "佣金" in sent.json()["disclosure"]
        plain = await http.post("/api/checkouts", json={"lines": [line]})
        assert "Emptor may earn a fee" in plain.json()["disclosure"]


async def test_an_order_is_cancelled_by_a_quote_and_its_money_comes_back(product: Product):
    async with product.client() as http:
        made = await checkout(http)
        assert (await confirm(http, made)).status_code == 200
        order_id = (await http.get(f"/api/checkouts/{made['id']}")).json()["order_id"]
        quote = (await http.post(f"/api/orders/{order_id}/cancellation", json={})).json()
        unkeyed = f"/api/orders/{order_id}/cancellation/{quote['id']}/confirm"
        assert (await http.post(unkeyed, json={})).status_code == 400
        answer = await http.post(unkeyed, json={}, headers={"Idempotency-Key": order_id})
        assert answer.status_code in (200, 202), answer.text
        order = (await http.get(f"/api/orders/{order_id}")).json()
        assert order["state"] in ("refunded", "canceled")
        assert order["refunded"] == order["total"]
    await ledger(product)


async def test_a_merchant_sees_its_own_orders_and_gives_part_of_the_money_back(product: Product):
    async with product.client() as http:
        made = await checkout(http)
        assert (await confirm(http, made)).status_code == 200
        order_id = (await http.get(f"/api/checkouts/{made['id']}")).json()["order_id"]
    shop, other = (product.keys["merchants"][m] for m in ("mer_demo_shop", "mer_demo_tables"))
    path = f"/merchant/v1/orders/{order_id}"
    async with product.client(other) as http:
        assert (await http.get(path)).status_code == 404
    async with product.client(shop) as http:
        assert (await http.get("/merchant/v1/orders")).json()["data"][0]["id"] == order_id
        body = {"amount": 1000, "reason": "a scratch"}
        assert (await http.post(f"{path}/refund", json=body)).status_code == 400
        unsaid = {"json": {"reason": "x"}, "headers": {"Idempotency-Key": secrets.token_hex(8)}}
        for nothing in (unsaid, unsaid | {"json": {"amount": None}}):
            assert (await http.post(f"{path}/refund", **nothing)).status_code == 422
        assert (await http.get(path)).json()["refunded"] == 0
        key = {"Idempotency-Key": secrets.token_hex(8)}
        first = await http.post(f"{path}/refund", json=body, headers=key)
        again = await http.post(f"{path}/refund", json=body, headers=key)
        assert first.status_code == 200, first.text
        assert first.json()["refunded"] == again.json()["refunded"] == 1000
        assert first.json()["state"] == "partially_refunded"
        too_much = {"amount": made["total"], "reason": "more than is left"}
        refused = await http.post(
            f"{path}/refund", json=too_much, headers={"Idempotency-Key": secrets.token_hex(8)}
        )
        assert refused.status_code == 422
    await ledger(product)


@pytest.mark.parametrize("hidden", ["\ud800", "\x00"])
async def test_a_decision_with_text_that_no_row_could_hold_is_refused(product: Product, hidden):
    async with product.client() as http:
        made = await checkout(http)
        payload = {"accept": True, "confirmation_hash": hidden}
        decision = {"interruptId": f"int_{made['id']}_1", "status": "resolved", "payload": payload}
        body = {"threadId": "t", "runId": "r", "messages": [], "tools": [], "context": []}
        body |= {"state": {}, "forwardedProps": {}, "resume": [decision]}
        headers = {"content-type": "application/json"}
        answer = await http.post("/agui", content=json.dumps(body), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        state = (await http.get(f"/api/checkouts/{made['id']}")).json()["state"]
    assert state == "awaiting_confirmation"
