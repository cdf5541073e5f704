"""A key makes a request one request: one effect, one answer, however often it is sent."""

import asyncio
import hashlib
import json

import pytest

from backend import jobs
from tests.backend.place import JSON, MUGS, sql


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
    await sql(
        place,
        "INSERT INTO idempotency_key (scope, key, request_hash, claim, lease_until, headers,"
        " created_at) SELECT 'usr_ada POST /api/checkouts', 'new-1', :hash, 'dead',"
        " now() + interval '1 minute', '{}', now()",
        hash=_hash(MUGS),
    )
    key = {"Idempotency-Key": "new-1"}
    assert (await place.ada.post("/api/checkouts", json=MUGS, headers=key)).status_code == 409
    await sql(place, "UPDATE idempotency_key SET lease_until = now() - interval '1 second'")
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
    await sql(place, "UPDATE idempotency_key SET created_at = now() - interval '25 hours'")
    await jobs.sweep(place.world.till)
    kept = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    assert kept.headers["idempotent-replayed"] == "true"
    await sql(place, "UPDATE idempotency_key SET created_at = now() - interval '49 hours'")
    await jobs.sweep(place.world.till)
    fresh = await place.ada.post("/api/checkouts", json=MUGS, headers=key)
    assert "idempotent-replayed" not in fresh.headers


def _hash(body: dict) -> str:
    canonical = json.dumps(body, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
