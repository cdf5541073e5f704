"""Checkouts, orders and webhooks over real HTTP, with the worker that a server runs beside it."""

import asyncio
import hashlib
import hmac
import json
import time

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from backend import auth, jobs
from backend.api import checkouts, problems, webhooks
from backend.auth import UserAccount
from backend.purchase import drive
from backend.refunding import drive_refund
from backend.vault import Vault
from integrations.payments import Method
from tests.backend.fakes_checkout import BUYER, HOME, World
from tests.servers import serving

MUGS = {"lines": [{"offer_id": "off_mug", "quantity": 2}]}
CARD = {"type": "card", "token": "pm_card_visa"}
ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
}


class Place:
    """A served application, its world, and one client a person."""

    def __init__(self, world: World, url: str, keys: dict[str, str]) -> None:
        self.world, self.url, self.keys = world, url, keys
        self.clients = {
            who: httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60
            )
            for who, key in keys.items()
        }
        self.ada = self.clients["usr_ada"]
        self.eve = self.clients["usr_eve"]

    async def quoted(self, body=None) -> dict:
        answer = await self.ada.post("/api/checkouts", json=body or MUGS)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def confirm(self, shown: dict, *, method=CARD, key="k1", **changes) -> httpx.Response:
        return await self.ada.post(
            f"/api/checkouts/{shown['id']}/confirm",
            json={
                "confirmation_hash": shown["confirmation_hash"],
                "payment_method": method,
                **changes,
            },
            headers={"Idempotency-Key": key} if key else {},
        )

    async def bought(self) -> dict:
        answer = await self.confirm(await self.quoted())
        assert answer.status_code == 200, answer.text
        order = await self.ada.get(f"/api/orders/{answer.json()['order_id']}")
        return order.json()


@pytest.fixture(scope="module")
async def served():
    """One server for all tests here; each puts its own world behind it."""
    app = FastAPI()
    problems.install(app)
    app.include_router(checkouts.router)
    app.include_router(webhooks.router)
    async with serving(app) as url:
        yield app, url


@pytest.fixture
async def place(database, served, tmp_path):
    app, url = served
    world = World.on(database, wait_s=20)
    world.saved["usr_ada", "sav_1"] = Method("pm_card_visa", "cus_ada")
    keys = {}
    async with database.transaction() as session:
        session.add_all([UserAccount(id=who, name=who) for who in ("usr_ada", "usr_eve")])
        await session.flush()
        for who in ("usr_ada", "usr_eve"):
            keys[who] = await auth.create_key(session, role="user", user_id=who)
        keys["mer_shop"] = await auth.create_key(session, role="merchant", merchant_id="mer_shop")
    app.state.database, app.state.till = database, world.till
    app.state.vault = Vault.at(tmp_path)
    worker = asyncio.create_task(work(world))
    made = Place(world, url, keys)
    yield made
    for client in made.clients.values():
        await client.aclose()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await world.database.dispose()


async def work(world: World) -> None:
    """A worker in small: takes the queue's jobs as they come."""
    take = text("DELETE FROM procrastinate_jobs WHERE status = 'todo' RETURNING task_name, args")
    while True:
        async with world.database.transaction() as session:
            taken = (await session.execute(take)).all()
        for task, args in taken:
            drive_it = {"drive": drive, "refund": drive_refund}[task]
            await drive_it(world.till, *args.values())
        await asyncio.sleep(0.02)


# --- the road to an order -----------------------------------------------------------------------


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
    await _sql(place, "UPDATE order_refund SET expires_at = now() - interval '1 second'")
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


JSON = {"Content-Type": "application/json"}


async def test_half_a_surrogate_pair_is_refused(place):
    body = b'{"lines":[{"offer_id":"\\ud800","quantity":1}]}'
    assert (await place.ada.post("/api/checkouts", content=body, headers=JSON)).status_code == 422


@pytest.mark.parametrize(
    "method",
    [
        {"type": "card"},
        {"type": "card", "token": "4242 4242 4242 4242"},
        {"type": "card", "token": "pm_1", "amount": 1},
        {"type": "cash", "token": "pm_1"},
        {"type": "saved"},
        "pm_card_visa",
    ],
)
async def test_a_payment_method_of_another_shape_is_refused(place, method):
    answer = await place.confirm(await place.quoted(), method=method)
    assert answer.status_code == 422
    assert place.world.payments.charges == {}


async def test_orders_come_in_pages_newest_first(place):
    ids = [(await place.confirm(await place.quoted(), key=f"k{n}")).json() for n in range(3)]
    first = (await place.ada.get("/api/orders?limit=2")).json()
    rest = (await place.ada.get(f"/api/orders?limit=2&cursor={first['next_cursor']}")).json()
    seen = [order["id"] for order in first["data"] + rest["data"]]
    assert seen == [made["order_id"] for made in reversed(ids)]
    assert rest["next_cursor"] is None


# --- Idempotency-Key ----------------------------------------------------------------------------


async def test_confirm_refuses_a_request_without_a_key(place):
    answer = await place.confirm(await place.quoted(), key=None)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    assert place.world.payments.charges == {}


async def test_the_same_key_and_json_get_the_same_answer_and_one_effect(place):
    key = {"Idempotency-Key": "new-1", **JSON}
    first = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    spelled = b'{ "lines": [ {"quantity": 2.0, "offer_id": "off_mug"} ] }'
    again = await place.ada.post("/api/checkouts", content=spelled, headers=key)
    assert again.status_code == first.status_code == 201
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert place.world.shop.calls.count("quote") == 1


async def test_the_same_key_with_other_json_is_a_conflict(place):
    key = {"Idempotency-Key": "new-1"}
    await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    other = {"lines": [{"offer_id": "off_mug", "quantity": 3}]}
    answer = await place.ada.post("/api/checkouts", json=other, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_conflict")


async def test_null_is_not_the_same_as_absent(place):
    key = {"Idempotency-Key": "new-1"}
    await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    answer = await place.ada.post("/api/checkouts", json={**MUGS, "thread_id": None}, headers=key)
    assert answer.status_code == 422


async def test_a_key_belongs_to_its_caller_and_address(place):
    key = {"Idempotency-Key": "new-1"}
    mine = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    place.world.profiles["usr_eve"] = place.world.profiles["usr_ada"]
    hers = await place.eve.post("/api/checkouts", json=MUGS, headers=key)
    assert hers.status_code == 201
    assert hers.json()["id"] != mine.json()["id"]
    assert (await place.confirm(mine.json(), key="new-1")).status_code == 200


async def test_while_the_first_runs_a_second_is_told_to_wait(place):
    shop, begun, gone = place.world.shop, asyncio.Event(), asyncio.Event()
    quote = shop.quote

    async def slow(basket, *, key):
        begun.set()
        await gone.wait()
        return await quote(basket, key=key)

    shop.quote = slow
    key = {"Idempotency-Key": "new-1"}
    first = asyncio.create_task(place.ada.post("/api/checkouts", json=MUGS, headers=key))
    await begun.wait()
    second = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    gone.set()
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_flight")
    assert int(second.headers["retry-after"]) > 0
    assert (await first).status_code == 201


async def test_a_5xx_is_never_replayed(place):
    key = {"Idempotency-Key": "new-1"}
    place.world.shop.unreachable = {"quote"}
    assert (await place.ada.post("/api/checkouts", json=MUGS, headers=key)).status_code == 502
    place.world.shop.unreachable = set()
    answer = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers


async def test_a_refusal_is_an_answer_to_replay(place):
    shown = await place.quoted()
    wrong = {**shown, "confirmation_hash": "0" * 64}
    first = await place.confirm(wrong)
    again = await place.confirm(wrong)
    assert (first.status_code, first.json()["code"]) == (422, "confirmation_mismatch")
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_body_that_was_refused_as_malformed_may_be_corrected_under_its_key(place):
    key = {"Idempotency-Key": "new-1"}
    wrong = await place.ada.post("/api/checkouts", json={"lines": []}, headers=key)
    right = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    assert (wrong.status_code, right.status_code) == (422, 201)


async def test_a_claim_of_a_dead_process_is_taken_over_when_its_lease_is_over(place):
    await _sql(
        place,
        "INSERT INTO idempotency_key (scope, key, request_hash, claim, lease_until, headers,"
        " created_at) SELECT 'usr_ada POST /api/checkouts', 'new-1', :hash, 'dead',"
        " now() + interval '1 minute', '{}', now()",
        hash=_hash(MUGS),
    )
    key = {"Idempotency-Key": "new-1"}
    assert (await place.ada.post("/api/checkouts", json=MUGS, headers=key)).status_code == 409
    await _sql(place, "UPDATE idempotency_key SET lease_until = now() - interval '1 second'")
    assert (await place.ada.post("/api/checkouts", json=MUGS, headers=key)).status_code == 201


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
async def test_a_key_that_cannot_be_kept_is_refused(place, key):
    answer = await place.ada.post("/api/checkouts", json=MUGS, headers={"Idempotency-Key": key})
    assert answer.status_code == 400


async def test_twenty_posts_with_one_key_make_one_checkout(place):
    key = {"Idempotency-Key": "new-1"}
    answers = await asyncio.gather(
        *(place.ada.post("/api/checkouts", json=MUGS, headers=key) for _ in range(20))
    )
    assert {a.status_code for a in answers} <= {201, 409}
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1
    assert place.world.shop.calls.count("quote") == 1


async def test_old_keys_are_forgotten_after_two_days_not_one(place):
    key = {"Idempotency-Key": "new-1"}
    await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    await _sql(place, "UPDATE idempotency_key SET created_at = now() - interval '25 hours'")
    await jobs.sweep(place.world.till)
    kept = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    assert kept.headers["idempotent-replayed"] == "true"
    await _sql(place, "UPDATE idempotency_key SET created_at = now() - interval '49 hours'")
    await jobs.sweep(place.world.till)
    fresh = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    assert "idempotent-replayed" not in fresh.headers


# --- webhooks -----------------------------------------------------------------------------------


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


def _hash(body: dict) -> str:
    canonical = json.dumps(body, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


async def _sql(place, statement: str, **values) -> None:
    async with place.world.database.transaction() as session:
        await session.execute(text(statement), values)
