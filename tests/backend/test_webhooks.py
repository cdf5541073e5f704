"""What Stripe and merchants tell is taken in once, and only from them."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import text

from integrations.money import Money
from integrations.payments import Dispute
from tests.backend.place import JSON


async def test_a_forged_stripe_event_is_refused_and_wakes_nothing(place):
    answer = await place.ada.post(
        "/webhooks/stripe", content=b'{"id":"evt_1"}', headers={"Stripe-Signature": "forged"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")


async def test_a_stripe_event_is_taken_in_once(place):
    event = {"id": "evt_9", "type": "charge.succeeded", "payment": "pi_unknown"}
    said = [
        await place.ada.post(
            "/webhooks/stripe", content=json.dumps(event), headers={"Stripe-Signature": "good"}
        )
        for _ in range(3)
    ]
    assert [a.json()["duplicate"] for a in said] == [False, True, True]


async def test_a_dispute_marks_the_order_and_calls_for_a_person(place):
    order = await place.bought()
    event = {"id": "evt_d", "type": "charge.dispute.created", "payment": "pi_1"}
    await place.ada.post(
        "/webhooks/stripe", content=json.dumps(event), headers={"Stripe-Signature": "good"}
    )
    shown = (await place.ada.get(f"/api/orders/{order['id']}")).json()
    assert shown["state"] == "disputed"
    assert shown["events"][-1]["type"] == "dispute.created"


async def test_an_event_without_a_payment_is_about_no_purchase_that_has_none_either(place):
    order = await place.bought()
    async with place.world.database.transaction() as session:
        for statement in (
            "UPDATE purchase_order SET payment_id = NULL",
            "UPDATE checkout SET payment_id = NULL, state = 'failed', release_at = NULL",
        ):
            await session.execute(text(statement))
    place.world.payments.banks["dp_1"] = Dispute("dp_1", "open", Money(100, "EUR"))
    for name, more in (("customer.subscription.updated", {}),
                       ("charge.dispute.created", {"dispute": "dp_1"})):  # fmt: skip
        event = {"id": f"evt_{name}", "type": name, **more}
        answer = await place.ada.post(
            "/webhooks/stripe", content=json.dumps(event), headers={"Stripe-Signature": "good"}
        )
        assert answer.is_success, answer.text
    async with place.world.database.transaction() as session:
        woken = await session.execute(text("SELECT release_at IS NOT NULL FROM checkout"))
        assert list(woken.scalars()) == [False]
        states = await session.execute(
            text("SELECT state FROM purchase_order WHERE id = :o"), {"o": order["id"]}
        )
        assert states.scalar_one() != "disputed"


def signed(place, order: dict, data: dict, *, at: float | None = None, by="mer_shop"):
    checkout = place.world.shop.orders[order["merchant_order_id"]].reference
    body = json.dumps(
        {"type": "order_update", "data": {"checkout_session_id": checkout, **data}}
    ).encode()
    moment = int(at or time.time())
    made = hmac.new(
        f"whsec_{by}".encode(), f"{moment}.".encode() + body, hashlib.sha256
    ).hexdigest()
    return body, f"t={moment},v1={made}"


async def tell(place, body: bytes, signature: str) -> httpx.Response:
    return await place.ada.post(
        "/agentic_checkout/webhooks/order_events",
        content=body,
        headers={"Merchant-Signature": signature, **JSON},
    )


async def test_a_merchants_delivery_fulfils_the_order_and_earns_the_fee_once(place):
    order = await place.bought()
    for _ in range(2):
        assert (await tell(place, *signed(place, order, {"status": "shipped"}))).is_success
    shown = (await place.ada.get(f"/api/orders/{order['id']}")).json()
    assert shown["state"] == "fulfilled"
    async with place.world.database.transaction() as session:
        query = text("SELECT count(*) FROM ledger_transaction WHERE kind = 'recognised'")
        assert (await session.execute(query)).scalar_one() == 1


async def test_a_repeated_merchant_event_is_one_event(place):
    order = await place.bought()
    event = signed(place, order, {"status": "processing"})
    said = [(await tell(place, *event)).json() for _ in range(2)]
    assert [one["duplicate"] for one in said] == [False, True]


@pytest.mark.parametrize("kind", ["forged", "stale", "future", "altered", "none", "other_merchant"])
async def test_a_merchant_event_that_is_not_its_own_changes_nothing(place, kind):
    order = await place.bought()
    now = time.time()
    made = {
        "forged": lambda: signed(place, order, {"status": "shipped"}, by="guess"),
        "stale": lambda: signed(place, order, {"status": "shipped"}, at=now - 301),
        "future": lambda: signed(place, order, {"status": "shipped"}, at=now + 302),
        "other_merchant": lambda: signed(place, order, {"status": "shipped"}, by="mer_table"),
    }.get(kind, lambda: signed(place, order, {"status": "shipped"}))
    body, signature = made()
    if kind == "altered":
        body = body.replace(b"shipped", b"refunded")
    answer = await tell(place, body, "" if kind == "none" else signature)
    assert answer.status_code == 401
    shown = (await place.ada.get(f"/api/orders/{order['id']}")).json()
    assert shown["state"] == "placed"


def resigned(body: bytes, *, at: float, by: str = "mer_shop") -> str:
    made = hmac.new(f"whsec_{by}".encode(), f"{int(at)}.".encode() + body, hashlib.sha256)
    return f"t={int(at)},v1={made.hexdigest()}"


async def test_an_event_of_an_order_that_nobody_knows_is_refused_and_kept_nowhere(place):
    await place.bought()
    for session in ("cs_stranger", "", "x" * 5000, "' OR 1=1 --"):
        body = json.dumps(
            {"type": "order_update", "data": {"checkout_session_id": session}}
        ).encode()
        answer = await tell(place, body, resigned(body, at=time.time()))
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    async with place.world.database.transaction() as session:
        count = text("SELECT count(*) FROM webhook_event WHERE source LIKE 'merchant:%'")
        assert (await session.execute(count)).scalar_one() == 0


async def test_a_signature_that_was_overheard_signs_no_other_body_and_no_other_time(place):
    order = await place.bought()
    body, signature = signed(place, order, {"status": "processing"})
    assert (await tell(place, body, signature)).is_success
    other = body.replace(b"processing", b"delivered")
    later = signature.replace(signature[2:12], str(int(time.time()) + 60))
    old = resigned(other, at=time.time() - 4000)
    for replayed in ((other, signature), (body, later), (other, later), (other, old)):
        assert (await tell(place, *replayed)).status_code == 401
    shown = (await place.ada.get(f"/api/orders/{order['id']}")).json()
    assert shown["state"] == "placed"
    assert [event["type"] for event in shown["events"]].count("merchant_update") == 1


async def test_a_merchants_own_cancellation_moves_no_money_and_calls_for_a_person(place):
    order = await place.bought()
    assert (await tell(place, *signed(place, order, {"status": "canceled"}))).is_success
    shown = (await place.ada.get(f"/api/orders/{order['id']}")).json()
    assert (shown["state"], shown["refunded"]) == ("placed", 0)
    async with place.world.database.transaction() as session:
        kinds = (await session.execute(text("SELECT kind FROM incident"))).scalars().all()
    assert kinds == ["merchant_canceled"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type":1,"data":{}}', b"\xff"])
async def test_a_merchant_event_of_another_shape_is_refused(place, body):
    assert (await tell(place, body, "t=1,v1=" + "0" * 64)).status_code == 400


UNSTORABLE = {
    "nul": '"\\u0000"',
    "half a pair": '"\\ud800"',
    "half a pair in a token": '"\\ud800.x"',
    "not finite": "1e400",
    "not a number": "NaN",
    "beyond a BIGINT": str(2**63),
}
WHERE = (
    '{"type": "x", "data": {"checkout_session_id": %s}}',
    '{"type": "x", "data": {"attribution": {"token": %s}}}',
    '{"type": %s, "data": {"checkout_session_id": "KNOWN"}}',
    '{"type": "x", "data": {"checkout_session_id": "KNOWN", "status": %s}}',
    '{"type": "x", "data": {"checkout_session_id": "KNOWN", "totals": [{"amount": %s}]}}',
    '{"type": "x", "data": {"checkout_session_id": "KNOWN", "extra": {"deep": [%s]}}}',
)


@pytest.mark.parametrize("where", WHERE)
async def test_an_event_that_no_row_could_hold_is_refused_signed_or_not(place, where):
    await place.bought()
    (known,) = place.world.shop.sessions
    for wrong in UNSTORABLE.values():
        body = (where % wrong).replace("KNOWN", known).encode()
        for signature in ("", resigned(body, at=time.time())):
            answer = await tell(place, body, signature)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), wrong


async def test_a_ucp_event_that_no_row_could_hold_is_refused(place):
    for wrong in UNSTORABLE.values():
        for field in ("id", "checkout_id", "event_id", "anything"):
            now = json.dumps(datetime.now(UTC).isoformat())
            order = {"id": '"o1"', "event_id": '"e1"', "created_time": now, field: wrong}
            body = ", ".join(f'"{name}": {value}' for name, value in order.items())
            answer = await place.ada.post(
                "/ucp/webhooks/orders", content=f"{{{body}}}", headers=JSON
            )
            assert answer.status_code == 400, answer.text


async def test_a_stripe_event_that_no_row_could_hold_is_refused(place):
    for field in ("id", "type", "payment", "purchase"):
        event = {"id": "evt_1", "type": "charge.succeeded", field: "\ud800\x00"}
        answer = await place.ada.post(
            "/webhooks/stripe", content=json.dumps(event), headers={"Stripe-Signature": "good"}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
