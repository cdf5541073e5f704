"""Several merchants on one sheet: one press, one checkout for each, each with its own outcome."""

import secrets
from typing import Any

import pytest

from tests.journeys.conftest import Product
from tests.journeys.runs import accept, run, said
from tests.journeys.test_purchase import CARD, confirm, ledger, stripe

BOTH = "buy a two-person tent and book a table for two tomorrow at 7pm"
NEEDS_BANK = {"type": "card", "token": "pm_card_threeDSecure2Required"}


def interrupts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    outcome = events[-1]["outcome"]
    assert outcome["type"] == "interrupt", (outcome, said(events))
    found: list[dict[str, Any]] = outcome["interrupts"]
    return found


def state(events: list[dict[str, Any]], name: str) -> Any:
    deltas = [op for e in events if e["type"] == "STATE_DELTA" for op in e["delta"]]
    return next(op["value"] for op in deltas if op["path"] == f"/{name}")


async def charged(product: Product, checkout_id: str) -> int:
    return sum(one["amount_received"] for one in await stripe(product, checkout_id))


@pytest.mark.parametrize("words", [BOTH, "买一顶双人帐篷，再订一张明天晚上七点的两人桌"])
async def test_one_message_one_sheet_two_merchants_each_charged_its_own(
    product: Product, words: str
):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        events = await run(http, thread, text=words)
        tent, table = interrupts(events)
        merchants = [i["metadata"]["confirmation"]["merchant"]["id"] for i in (tent, table)]
        assert merchants == ["mer_demo_shop", "mer_demo_tables"]
        assert [part["checkout_id"] for part in state(events, "cart")] == [
            i["metadata"]["checkout_id"] for i in (tent, table)
        ]
        total = sum(i["metadata"]["total"] for i in (tent, table))
        assert state(events, "due") == [{"amount": total, "currency": "EUR"}]
        sheet = f"/checkout/{tent['metadata']['checkout_id']}?with="
        assert sheet + table["metadata"]["checkout_id"] in said(events)
        events = await run(http, thread, resume=[accept(tent), accept(table)])
        outcomes = events[-1]["result"]["outcomes"]
        assert [one["state"] for one in outcomes] == ["completed", "completed"]
        assert len({one["order_id"] for one in outcomes}) == 2
        cards = [e for e in events if e["type"] == "ACTIVITY_SNAPSHOT"]
        assert len(cards) == 2
    for asked in (tent, table):
        metadata = asked["metadata"]
        assert await charged(product, metadata["checkout_id"]) == metadata["total"]
    await ledger(product)


async def test_one_is_paid_another_waits_for_the_bank_and_is_not_tried_again(product: Product):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        tent, table = interrupts(await run(http, thread, text=BOTH))
        decisions = [accept(tent, payment_method=NEEDS_BANK), accept(table, payment_method=CARD)]
        events = await run(http, thread, resume=decisions)
        first, second = events[-1]["result"]["outcomes"]
        assert (first["code"], second["state"]) == ("authentication_required", "completed")
        assert first["next_action"]
        again = await run(http, thread, resume=decisions)
        assert [one["state"] for one in again[-1]["result"]["outcomes"]] == [
            "authorising",
            "completed",
        ]
    assert await charged(product, tent["metadata"]["checkout_id"]) == 0
    assert await charged(product, table["metadata"]["checkout_id"]) == table["metadata"]["total"]
    assert len(await stripe(product, tent["metadata"]["checkout_id"])) == 1


async def test_one_forged_hash_pays_nothing_and_the_other_is_paid(product: Product):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        tent, table = interrupts(await run(http, thread, text=BOTH))
        forged = accept(tent, confirmation_hash="0" * 64)
        events = await run(http, thread, resume=[forged, accept(table)])
        first, second = events[-1]["result"]["outcomes"]
        assert (first["code"], first["state"]) == ("confirmation_mismatch", "awaiting_confirmation")
        assert second["state"] == "completed"
        alone = (await http.get(f"/api/checkouts/{first['checkout_id']}")).json()
        assert (await confirm(http, alone)).status_code == 200, "what failed is confirmed alone"
    assert await charged(product, tent["metadata"]["checkout_id"]) == tent["metadata"]["total"]


async def test_two_decisions_about_one_checkout_are_refused_before_anything_moves(
    product: Product,
):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        tent, _table = interrupts(await run(http, thread, text=BOTH))
        body = {
            "threadId": thread,
            "runId": "twice",
            "messages": [],
            "tools": [],
            "context": [],
            "state": {},
            "forwardedProps": {},
            "resume": [accept(tent), accept(tent)],
        }
        answer = await http.post("/agui", json=body)
        assert answer.status_code == 422
    assert await stripe(product, tent["metadata"]["checkout_id"]) == []
