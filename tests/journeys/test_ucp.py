"""A purchase at the UCP box office, from the search to the books, and the events that follow it."""

import json
import secrets
import time
from typing import Any

import httpx
from sqlalchemy import text

from integrations.signatures import SigningKey, public_keys, sign
from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.runs import accept, asked, run, said
from tests.journeys.test_purchase import confirm, ledger, stripe
from tests.servers import eventually
from tests.simulators import MERCHANT_KEY

HOOK = "/ucp/webhooks/orders"


async def bought(
    product: Product, words: str = "glass orchestra", house: str = "Vorhang auf! Tickets"
) -> dict[str, Any]:
    """An order for two seats, paid and placed."""
    async with product.client() as http:
        made = await checkout(http, words, house)
        answer = await confirm(http, made)
        assert answer.status_code == 200, answer.text
        orders = (await http.get("/api/orders")).json()["data"]
    found: dict[str, Any] = next(o for o in orders if o["id"] == answer.json()["order_id"])
    return found


async def checkout(
    http: httpx.AsyncClient, words: str, house: str = "Vorhang auf! Tickets"
) -> dict[str, Any]:
    offers = (await http.get("/api/search", params={"q": words, "limit": 20})).json()["data"]
    first = next(offer for offer in offers if offer["merchant"] == house)
    line = {"offer_id": first["offer_id"], "quantity": 2}
    answer = await http.post("/api/checkouts", json={"lines": [line]})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert made["merchant"]["name"] == house
    return made


async def at_the_house(product: Product, order: dict[str, Any]) -> dict[str, Any]:
    """The merchant's own record of our order."""
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        headers = {"Authorization": f"Bearer {MERCHANT_KEY}"}
        held = await http.get(f"{product.world.tickets}/_sim/orders", headers=headers)
    same = [o for o in held.json()["data"] if o["id"] == order["merchant_order_id"]]
    assert len(same) == 1
    found: dict[str, Any] = same[0]
    return found


async def test_our_profile_is_public_stable_and_names_our_key(product: Product):
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        first = (await http.get("/.well-known/ucp")).json()
        again = (await http.get("/.well-known/ucp")).json()
        old = (await http.get("/.well-known/ucp/2026-01-11")).json()
        assert (await http.get("/.well-known/ucp/2031-01-01")).status_code == 404
    assert first == again
    assert first["ucp"]["version"] == "2026-04-08"
    hook = first["ucp"]["capabilities"]["dev.ucp.shopping.order"][0]["config"]["webhook_url"]
    assert hook == f"{product.url}{HOOK}"
    assert list(public_keys(first["signing_keys"])) == [product.app.state.ucp.key.kid]
    assert "d" not in first["signing_keys"][0]
    assert old["ucp"]["version"] == "2026-01-11"


async def test_tickets_are_found_confirmed_paid_placed_captured_and_booked(product: Product):
    before = await ledger(product)
    order = await bought(product)
    charges = await stripe(product, order["checkout_id"])
    assert [(c["status"], c["amount_received"]) for c in charges] == [("succeeded", order["total"])]
    theirs = await at_the_house(product, order)
    assert sum(line["quantity"] for line in theirs["lines"]) == 2
    assert theirs["attribution"]["token"].startswith(f"purchase:{order['checkout_id']}")
    after = await ledger(product)
    account = "fee_accrued:merchant:mer_demo_tickets"
    assert after[account] - before.get(account, 0) == -round(order["total"] * 0.05)


async def test_tickets_are_bought_by_chat_in_chinese(product: Product):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        events = await run(http, thread, text="我想买两张玻璃乐团音乐会的票")
        assert "玻璃乐团" in said(events)
        events = await run(http, thread, text="买第一个")
        consent = asked(events)
        assert consent["metadata"]["merchantOfRecord"] == "Vorhang auf! Tickets"
        events = await run(http, thread, resume=accept(consent))
        assert "ord_" in said(events)


async def test_an_evening_for_adults_is_handed_off_by_its_own_page(product: Product):
    async with product.client() as http:
        made = await checkout(http, "Cellar Stand-up five comics")
    assert made["state"] == "quoted"
    assert made["handoff_url"].startswith(f"{product.world.tickets}/continue/")
    assert made["confirmation_hash"] is None


async def test_the_houses_signed_events_move_the_order(product: Product):
    order = await bought(product)
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        headers = {"Authorization": f"Bearer {MERCHANT_KEY}"}
        url = f"{product.world.tickets}/_sim/orders/{order['merchant_order_id']}"
        await http.post(url, headers=headers, json={"status": "delivered"})

    async def state() -> Any:
        async with product.client() as http:
            return (await http.get(f"/api/orders/{order['id']}")).json()["state"]

    await eventually(state, "fulfilled", within_s=60)
    async with product.client() as http:
        events = (await http.get(f"/api/orders/{order['id']}")).json()["events"]
    assert [e["type"] for e in events].count("fulfilled") == 1


async def test_a_cancellation_that_we_asked_for_is_no_incident(product: Product):
    order = await bought(product)
    async with product.client() as http:
        quote = (await http.post(f"/api/orders/{order['id']}/cancellation")).json()
        assert quote["refund"] == order["total"]
        done = await http.post(
            f"/api/orders/{order['id']}/cancellation/{quote['id']}/confirm",
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        assert done.json()["state"] == "canceled", done.text

    async def told() -> bool:
        async with product.client() as http:
            events = (await http.get(f"/api/orders/{order['id']}")).json()["events"]
        seen = [e["detail"].get("status") for e in events if e["type"] == "merchant_update"]
        return "canceled" in seen

    await eventually(told, True, within_s=60)
    async with product.client("operator") as http:
        incidents = (await http.get("/operator/v1/incidents")).json()["data"]
    assert not [i for i in incidents if i["subject"] == order["id"]]


def _event(product: Product, order: dict[str, Any], key: SigningKey, **changed: str) -> Any:
    """A signed event about an order, as the box office would send it; `changed` after signing."""
    lines = [{"id": "li", "status": "fulfilled"}]
    body = json.dumps(
        {"id": order["merchant_order_id"], "checkout_id": order["reference"], "line_items": lines}
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "UCP-Agent": f'profile="{product.world.tickets}/.well-known/ucp"',
        "Webhook-Id": secrets.token_hex(8),
        "Webhook-Timestamp": str(int(time.time())),
    }
    headers |= {k: v for k, v in changed.items() if k == "Webhook-Timestamp"}
    signed = sign(key, method="POST", url=product.url + HOOK, headers=headers, body=body)
    return body, headers | signed | changed


async def _reference(product: Product, order: dict[str, Any]) -> str:
    async with product.database.transaction() as session:
        query = text("SELECT reference FROM checkout WHERE id = :id")
        found: str = (await session.execute(query, {"id": order["checkout_id"]})).scalar_one()
    return found


def _house_key(product: Product) -> SigningKey:
    return SigningKey.from_pem((product.homes / "tickets" / "signing.pem").read_text())


async def test_an_event_that_nobody_vouches_for_moves_nothing(product: Product):
    order = await bought(product)
    order["reference"] = await _reference(product, order)
    key, old = _house_key(product), str(int(time.time()) - 400)
    stranger = SigningKey.generate()
    tries = [
        (_event(product, order, stranger), 401),
        (_event(product, order, key, **{"Webhook-Timestamp": old}), 400),
        (_event(product, order, key, **{"Webhook-Id": "another"}), 401),
        (_event(product, order, key, Signature="sig1=:AAAA:"), 401),
        (_event(product, {**order, "reference": "ck_unheard_of"}, key), 401),
    ]
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        for (body, headers), status in tries:
            answer = await http.post(HOOK, content=body, headers=headers)
            assert answer.status_code == status, answer.text
        body, headers = _event(product, order, key)
        changed = body.replace(b"fulfilled", b"removed__")
        answer = await http.post(HOOK, content=changed, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
        for junk in (b"", b"[]", b"{}", b'{"id": 7}', b'{"id": "a\\u0000b"}', b"\xff"):
            assert (await http.post(HOOK, content=junk, headers=headers)).status_code == 400
    async with product.client() as http:
        assert (await http.get(f"/api/orders/{order['id']}")).json()["state"] == "placed"


async def test_a_signed_event_is_taken_in_once(product: Product):
    order = await bought(product)
    order["reference"] = await _reference(product, order)
    body, headers = _event(product, order, _house_key(product))
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        answers = [(await http.post(HOOK, content=body, headers=headers)).json() for _ in range(3)]
    assert [a["duplicate"] for a in answers] == [False, True, True]
    assert answers[0]["ucp"] == {"version": "2026-04-08"}
    async with product.client() as http:
        shown = (await http.get(f"/api/orders/{order['id']}")).json()
    assert shown["state"] == "fulfilled"
    assert [e["type"] for e in shown["events"]].count("fulfilled") == 1


async def test_a_merchants_walk_reads_its_profile_and_cancels_its_trial(product: Product):
    async with product.client(product.keys["merchants"]["mer_demo_tickets"]) as http:
        said_ = (await http.post("/merchant/v1/check")).json()
    assert said_["ok"], said_
    steps = [step["step"] for step in said_["steps"]]
    assert steps == ["profile", "discovery", "feed", "quote", "read", "cancel"]
    assert "UCP 2026-04-08" in said_["steps"][1]["detail"]
