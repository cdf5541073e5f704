"""Checkouts and orders over real HTTP, with the worker that a server runs beside it."""

import asyncio
import hashlib
import json
import time

import pytest

from tests.backend.fakes_checkout import BUYER, HOME
from tests.backend.place import ADA, CARD, JSON, MUGS, sql


async def test_a_purchase_by_http_ends_in_an_order(place):
    shown = await place.quoted()
    assert shown["state"] == "awaiting_confirmation"
    assert sum(t["amount"] for t in shown["totals"] if t["type"] == "total") == shown["total"]
    answer = await place.confirm(shown)
    assert answer.status_code == 200
    assert answer.json()["state"] == "completed"
    listed = (await place.ada.get("/api/orders")).json()
    assert [order["id"] for order in listed["data"]] == [answer.json()["order_id"]]
    assert listed["data"][0]["state"] == "placed"
    assert listed["next_cursor"] is None


async def test_the_hash_is_that_of_the_canonical_json_of_the_snapshot(place):
    shown = await place.quoted()
    canonical = json.dumps(
        shown["confirmation"], separators=(",", ":"), sort_keys=True, ensure_ascii=False
    )
    assert hashlib.sha256(canonical.encode()).hexdigest() == shown["confirmation_hash"]


async def test_a_saved_card_pays(place):
    answer = await place.confirm(await place.quoted(), method={"type": "saved", "id": "sav_1"})
    assert answer.status_code == 200


async def test_another_persons_saved_card_is_unknown(place):
    answer = await place.confirm(await place.quoted(), method={"type": "saved", "id": "sav_2"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_method")


async def test_put_completes_what_was_missing(place):
    place.world.profiles.clear()
    shown = await place.quoted()
    assert (shown["state"], shown["confirmation_hash"]) == ("quoted", None)
    body = {
        "buyer": ADA,
        "address": {
            "name": "Ada Lovelace",
            "line_one": "1 Analytical Street",
            "city": "London",
            "postal_code": "N1 9GU",
            "country": "GB",
        },
        "discount_codes": ["WELCOME"],
        "fulfilment_option_id": "post",
    }
    answer = await place.ada.put(f"/api/checkouts/{shown['id']}", json=body)
    assert answer.status_code == 200
    assert answer.json()["state"] == "awaiting_confirmation"
    assert answer.json()["revision"] == 2
    assert BUYER.first_name == answer.json()["buyer"]["first_name"]
    assert HOME.city == answer.json()["address"]["city"]


async def test_a_booking_names_its_day_time_and_party(place):
    body = {
        "lines": [{"offer_id": "off_table"}],
        "booking": {"date": "2026-12-31", "time": "20:30", "party": 2},
    }
    shown = await place.quoted(body)
    assert shown["kind"] == "booking"
    assert shown["confirmation"]["booking"] == {"date": "2026-12-31", "time": "20:30", "party": 2}
    assert shown["hold"]["expires_at"]


async def test_a_drift_answers_409_with_the_new_checkout_that_can_be_confirmed(place):
    shown = await place.quoted()
    place.world.shop.prices["mug"] += 5
    answer = await place.confirm(shown)
    assert (answer.status_code, answer.json()["code"]) == (409, "offer_changed")
    fresh = answer.json()["checkout"]
    assert fresh["total"] > shown["total"]
    assert (await place.confirm(fresh, key="k2")).status_code == 200


async def test_a_decline_is_402_and_says_so_again(place):
    shown = await place.quoted()
    decline = {"type": "card", "token": "pm_card_chargeDeclined"}
    for key in ("k1", "k2"):
        answer = await place.confirm(shown, method=decline, key=key)
        assert (answer.status_code, answer.json()["code"]) == (402, "payment_declined")
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_bank_question_is_402_with_the_next_action_and_a_webhook_resumes(place):
    shown = await place.quoted()
    three_d = {"type": "card", "token": "pm_card_authenticationRequired"}
    answer = await place.confirm(shown, method=three_d)
    assert (answer.status_code, answer.json()["code"]) == (402, "authentication_required")
    assert answer.json()["next_action"]["url"]
    place.world.payments.authenticate("pi_1")
    event = {"id": "evt_1", "type": "payment_intent.amount_capturable_updated", "payment": "pi_1"}
    told = await place.ada.post(
        "/webhooks/stripe", content=json.dumps(event), headers={"Stripe-Signature": "good"}
    )
    assert told.json() == {"received": True, "duplicate": False}
    final = await place.confirm(shown, method=three_d, key="k2")
    while final.status_code != 200:
        assert final.status_code in {202, 402}
        await asyncio.sleep(0.05)
        key = f"poll{time.monotonic_ns()}"
        final = await place.confirm(shown, method=three_d, key=key)
    assert final.json()["state"] == "completed"


async def test_a_cancel_answers_the_same_twice_and_forbids_a_confirm(place):
    shown = await place.quoted()
    for _ in range(2):
        answer = await place.ada.post(f"/api/checkouts/{shown['id']}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    answer = await place.confirm(shown)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_canceled")


async def test_canceling_an_order_is_quoted_first_and_pays_back_what_was_quoted(place):
    place.world.shop.keep_back = 300
    order = await place.bought()
    path = f"/api/orders/{order['id']}/cancellation"
    quote = await place.ada.post(path)
    assert quote.status_code == 201
    assert quote.json()["refund"] + quote.json()["fee"] == order["total"]
    assert quote.json()["fee"] == 300
    done = await place.ada.post(
        f"{path}/{quote.json()['id']}/confirm", headers={"Idempotency-Key": "c1"}
    )
    assert done.status_code == 200
    assert (done.json()["state"], done.json()["refunded"]) == ("canceled", order["total"] - 300)
    assert [e["type"] for e in done.json()["events"]][-1] == "canceled"
    assert [with_fee for _, _, with_fee, _ in place.world.payments.refunds] == [True]


async def test_a_cancellation_without_a_key_is_refused(place):
    order = await place.bought()
    path = f"/api/orders/{order['id']}/cancellation"
    quote = (await place.ada.post(path)).json()
    answer = await place.ada.post(f"{path}/{quote['id']}/confirm")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    assert place.world.payments.refunds == []


async def test_an_expired_cancellation_quote_cancels_nothing(place):
    order = await place.bought()
    path = f"/api/orders/{order['id']}/cancellation"
    quote = (await place.ada.post(path)).json()
    await sql(place, "UPDATE order_refund SET expires_at = now() - interval '1 second'")
    answer = await place.ada.post(
        f"{path}/{quote['id']}/confirm", headers={"Idempotency-Key": "c1"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "offer_expired")
    assert place.world.payments.refunds == []


async def test_ten_confirms_of_one_cancellation_refund_once(place):
    order = await place.bought()
    path = f"/api/orders/{order['id']}/cancellation"
    quote = (await place.ada.post(path)).json()
    answers = await asyncio.gather(
        *(
            place.ada.post(f"{path}/{quote['id']}/confirm", headers={"Idempotency-Key": f"c{n}"})
            for n in range(10)
        )
    )
    assert {a.status_code for a in answers} == {200}
    assert len(place.world.payments.refunds) == 1


async def test_a_merchant_that_refuses_to_cancel_is_quoted_as_such(place):
    order = await place.bought()
    place.world.shop.cancel_refused = True
    answer = await place.ada.post(f"/api/orders/{order['id']}/cancellation")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_cancelable")


async def test_a_merchant_that_does_not_cancel_after_all_is_told_and_the_order_stands(place):
    order = await place.bought()
    path = f"/api/orders/{order['id']}/cancellation"
    quote = (await place.ada.post(path)).json()
    place.world.shop.cancel_refused = True
    for key in ("c1", "c1", "c2"):
        answer = await place.ada.post(
            f"{path}/{quote['id']}/confirm", headers={"Idempotency-Key": key}
        )
        said = answer.json()
        assert (answer.status_code, said["code"]) == (409, "cancellation_refused")
        assert said["detail"].endswith("your order stands: too late to cancel")
        assert (said["order"]["state"], said["order"]["refunded"]) == ("placed", 0)
        assert (said["cancellation"]["id"], said["cancellation"]["state"]) == (
            quote["id"],
            "failed",
        )
    assert place.world.payments.refunds == []


async def test_money_that_the_processor_does_not_send_back_is_no_refusal_of_the_merchant(place):
    order = await place.bought()
    path = f"/api/orders/{order['id']}/cancellation"
    quote = (await place.ada.post(path)).json()
    (charge,) = place.world.payments.charges.values()
    charge.captured = 1
    answer = await place.ada.post(
        f"{path}/{quote['id']}/confirm", headers={"Idempotency-Key": "c1"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "refund_failed")
    assert "canceled" in answer.json()["detail"]


# --- whose it is, and what is let in ------------------------------------------------------------


async def test_nobody_sees_or_moves_what_is_anothers(place):
    shown = await place.quoted()
    order = await place.bought()
    quote = (await place.ada.post(f"/api/orders/{order['id']}/cancellation")).json()
    key = {"Idempotency-Key": "e1"}
    hashed = {"confirmation_hash": shown["confirmation_hash"], "payment_method": CARD}
    answers = [
        await place.eve.get(f"/api/checkouts/{shown['id']}"),
        await place.eve.put(f"/api/checkouts/{shown['id']}", json={}),
        await place.eve.post(f"/api/checkouts/{shown['id']}/confirm", json=hashed, headers=key),
        await place.eve.post(f"/api/checkouts/{shown['id']}/cancel"),
        await place.eve.get(f"/api/orders/{order['id']}"),
        await place.eve.post(f"/api/orders/{order['id']}/cancellation"),
        await place.eve.post(
            f"/api/orders/{order['id']}/cancellation/{quote['id']}/confirm", headers=key
        ),
        await place.eve.get(f"/api/orders?cursor={order['id']}"),
    ]
    assert [a.status_code for a in answers] == [404] * len(answers)
    assert (await place.eve.get("/api/orders")).json()["data"] == []


@pytest.mark.parametrize(
    "path", ["/api/checkouts/nope", "/api/checkouts/%00", "/api/orders/chk_1", "/api/orders/%E2%98"]
)
async def test_an_id_that_cannot_be_ours_is_not_found(place, path):
    assert (await place.ada.get(path)).status_code == 404


async def test_another_role_is_forbidden(place):
    merchant = place.clients["mer_shop"]
    assert (await merchant.post("/api/checkouts", json=MUGS)).status_code == 403


async def test_a_foreign_conversation_cannot_be_named(place):
    answer = await place.ada.post("/api/checkouts", json={**MUGS, "thread_id": "thr_of_eve"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lines": []},
        {"lines": [{"offer_id": "off_mug", "quantity": "2"}]},
        {"lines": [{"offer_id": "off_mug", "quantity": True}]},
        {"lines": [{"offer_id": "off_mug", "quantity": 2.5}]},
        {"lines": [{"offer_id": "off_mug", "quantity": 0}]},
        {"lines": [{"offer_id": "off_mug", "quantity": 2**63}]},
        {"lines": [{"offer_id": "off_mug\u0000", "quantity": 1}]},
        {"lines": [{"offer_id": "off_mug"}], "price": 1},
        {"lines": [{"offer_id": "off_table"}], "booking": {"date": "2026-02-30", "party": 2}},
        {"lines": [{"offer_id": "off_table"}], "booking": {"date": "tomorrow", "party": 2}},
        [],
        None,
    ],
)
async def test_a_body_that_is_not_exactly_right_is_refused(place, body):
    answer = await place.ada.post("/api/checkouts", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422, answer.text


async def test_half_a_surrogate_pair_is_refused(place):
    body = b'{"lines":[{"offer_id":"\\ud800","quantity":1}]}'
    assert (await place.ada.post("/api/checkouts", content=body, headers=JSON)).status_code == 422


@pytest.mark.parametrize(
    "method",
    [
        {"type": "card"},
        {"type": "card", "token": "4242 4242 4242 4242"},
        {"type": "card", "token": "4242424242424242"},
        {"type": "card", "token": "pm_4242424242424242"},
        {"type": "card", "token": "pm_1", "amount": 1},
        {"type": "cash", "token": "pm_1"},
        {"type": "saved"},
        "pm_card_visa",
    ],
)
async def test_a_payment_method_of_another_shape_is_refused(place, method):
    answer = await place.confirm(await place.quoted(), method=method)
    assert answer.status_code == 422
    assert "4242" not in answer.text
    assert place.world.payments.charges == {}


async def test_orders_come_in_pages_newest_first(place):
    ids = [(await place.confirm(await place.quoted(), key=f"k{n}")).json() for n in range(3)]
    first = (await place.ada.get("/api/orders?limit=2")).json()
    rest = (await place.ada.get(f"/api/orders?limit=2&cursor={first['next_cursor']}")).json()
    seen = [order["id"] for order in first["data"] + rest["data"]]
    assert seen == [made["order_id"] for made in reversed(ids)]
    assert rest["next_cursor"] is None
