"""The demo shop itself: idempotency to the letter, true stock, orders that outlive kill -9."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from integrations.simulators.goods import load
from integrations.simulators.pictures import draw, motifs
from integrations.tls import roots
from tests.integrations.running_merchants import KEY, Running, running

ADDRESS = {
    "name": "Ada", "line_one": "Weg 1", "city": "Berlin", "state": "", "country": "DE",
    "postal_code": "10999",
}  # fmt: skip
CARD = {
    "handler_id": "card_tokenized",
    "instrument": {"type": "card", "credential": {"type": "spt", "token": "pi_1"}},
}


def basket(item: str = "mug-steinzeug", units: int = 1) -> dict[str, Any]:
    return {
        "line_items": [{"id": item}] * units,
        "currency": "eur",
        "capabilities": {},
        "buyer": {"email": "ada@example.com"},
        "fulfillment_details": {"address": ADDRESS},
    }


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("shop", tmp_path_factory.mktemp("shop")) as merchant:
        yield merchant


def client_of(shop: Running) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}", "API-Version": "2026-04-17"}
    return httpx.AsyncClient(
        verify=roots(), base_url=shop.url, headers=headers, trust_env=False, timeout=20
    )


@pytest.fixture
async def http(shop: Running) -> AsyncIterator[httpx.AsyncClient]:
    await shop.faults()
    async with client_of(shop) as client:
        yield client


async def post(http: httpx.AsyncClient, path: str, body: Any, key: str | None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await http.post(path, json=body, headers=headers)


async def made(
    http: httpx.AsyncClient, key: str, item: str = "mug-steinzeug", units: int = 1
) -> str:
    answer = await post(http, "/checkout_sessions", basket(item, units), key)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_key_replays_the_same_status_and_body(http: httpx.AsyncClient):
    first = await post(http, "/checkout_sessions", basket(), "replay-1")
    again = await post(http, "/checkout_sessions", basket(), "replay-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Idempotency-Key"] == "replay-1"


async def test_equal_json_is_equal_but_null_and_order_of_lists_are_not(http: httpx.AsyncClient):
    first = {"codes": ["A", "B"]}
    session = await made(http, "sem-0")
    path = f"/checkout_sessions/{session}"
    headers = {"Idempotency-Key": "sem-1", "Content-Type": "application/json"}
    original = '{"discounts": {"codes": ["A", "B"]}, "order_notes": "x", "n": 1}'
    same = '{"n": 1.0, "order_notes": "x",\n "discounts":{"codes":["A","B"]}}'
    assert (await http.post(path, content=original, headers=headers)).status_code == 200
    again = await http.post(path, content=same, headers=headers)
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (200, "true")
    for other in (
        {"discounts": {"codes": ["B", "A"]}, "order_notes": "x", "n": 1},
        {"discounts": first, "order_notes": "x", "n": 1, "buyer": None},
        {"discounts": first, "order_notes": "y", "n": 1},
    ):
        refused = await post(http, path, other, "sem-1")
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_conflict")


async def test_a_key_belongs_to_its_path(http: httpx.AsyncClient):
    one, two = await made(http, "path-0"), await made(http, "path-00")
    for session in (one, two):
        answer = await post(http, f"/checkout_sessions/{session}/cancel", {}, "path-1")
        assert answer.status_code == 200
        assert answer.json()["id"] == session
        assert "Idempotent-Replayed" not in answer.headers


async def test_a_missing_or_endless_key_is_400(http: httpx.AsyncClient):
    missing = await post(http, "/checkout_sessions", basket(), None)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_required")
    long = await post(http, "/checkout_sessions", basket(), "k" * 256)
    assert (long.status_code, long.json()["code"]) == (400, "idempotency_key_invalid")


async def test_a_request_still_at_work_is_409_with_retry_after(
    http: httpx.AsyncClient, shop: Running
):
    await shop.faults({"kind": "delay", "at": "create", "value": 0.8})
    first = asyncio.create_task(post(http, "/checkout_sessions", basket(), "flight-1"))
    await shop.struck()
    other = await post(http, "/checkout_sessions", basket("book-brot"), "flight-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    refused = await post(http, "/checkout_sessions", basket(), "flight-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_in_flight")
    assert refused.headers["Retry-After"] == "1"
    assert (await first).status_code == 201
    assert (await post(http, "/checkout_sessions", basket(), "flight-1")).status_code == 201


async def test_a_4xx_is_replayed_and_a_5xx_is_not(http: httpx.AsyncClient, shop: Running):
    for replayed in (None, "true"):
        bad = await post(http, "/checkout_sessions", basket("no-such-thing"), "kept-4xx")
        assert (bad.status_code, bad.json()["code"]) == (400, "invalid_item_id")
        assert bad.json()["param"] == "$.line_items[0].id"
        assert bad.headers.get("Idempotent-Replayed") == replayed
    await shop.faults({"kind": "error_before", "at": "create"})
    failed = await post(http, "/checkout_sessions", basket(), "kept-5xx")
    assert (failed.status_code, failed.json()["type"]) == (500, "processing_error")
    fresh = await post(http, "/checkout_sessions", basket(), "kept-5xx")
    assert fresh.status_code == 201
    assert "Idempotent-Replayed" not in fresh.headers


async def test_bad_requests_have_the_protocols_flat_error(http: httpx.AsyncClient):
    headers = {"Idempotency-Key": "bad", "Content-Type": "application/json"}
    for content, code in (
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"n": 123456789012345678901234567890}', "invalid_json"),
        (b'{"currency": "usd"}', "unsupported_currency"),
        (b'{"currency": "eur"}', "missing"),
        (b'{"currency": "eur", "line_items": [{"id": 5}]}', "invalid_item_id"),
        (b'{"currency": "eur", "line_items": ["x"]}', "invalid_item_id"),
    ):
        answer = await http.post(
            "/checkout_sessions",
            content=content,
            headers=headers | {"Idempotency-Key": str(content)},
        )
        assert (answer.status_code, answer.json()["code"]) == (400, code), content
        assert set(answer.json()) <= {"type", "code", "message", "param"}
    huge = await http.post("/checkout_sessions", content=b" " * 300_000, headers=headers)
    assert huge.status_code == 413
    old = await http.get("/checkout_sessions/x", headers={"API-Version": "2025-09-29"})
    assert old.json()["supported_versions"] == ["2026-04-17"]
    assert (await http.get("/orders/x", headers={"Authorization": "Bearer no"})).status_code == 401


async def test_two_buyers_of_the_last_one_make_one_order(http: httpx.AsyncClient, shop: Running):
    item = "pflanze-bonsai"  # three in stock
    sessions = [await made(http, f"race-{n}", item, 2) for n in range(2)]
    answers = await asyncio.gather(
        *(
            post(http, f"/checkout_sessions/{s}/complete", {"payment_data": CARD}, f"race-p-{s}")
            for s in sessions
        )
    )
    outcomes = sorted(answer.json()["status"] for answer in answers)
    assert outcomes == ["completed", "not_ready_for_payment"]
    loser = next(a.json() for a in answers if a.json()["status"] != "completed")
    assert [m["code"] for m in loser["messages"]] == ["out_of_stock"]
    assert loser["line_items"][0]["available_quantity"] == 1
    feed = [json.loads(line) for line in (await http.get("/feed.jsonl")).text.splitlines()]
    assert {r["item_id"]: r["availability"] for r in feed}[item] == "low_stock"


async def test_twenty_completions_of_one_session_make_one_order(
    http: httpx.AsyncClient, shop: Running
):
    session = await made(http, "storm")
    before = len(await shop.orders())
    answers = await asyncio.gather(
        *(
            post(
                http, f"/checkout_sessions/{session}/complete", {"payment_data": CARD}, f"s{n % 5}"
            )
            for n in range(20)
        )
    )
    done = [a.json()["order"]["id"] for a in answers if a.status_code == 200]
    assert len(set(done)) == 1
    assert {a.status_code for a in answers} <= {200, 409}
    assert len(await shop.orders()) == before + 1


async def test_a_second_payment_for_a_completed_session_is_refused(http: httpx.AsyncClient):
    session = await made(http, "second")
    path = f"/checkout_sessions/{session}/complete"
    assert (await post(http, path, {"payment_data": CARD}, "second-1")).json()["order"]
    again = await post(http, path, {"payment_data": CARD}, "second-1b")
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    other = json.loads(json.dumps(CARD).replace("pi_1", "pi_2"))
    refused = await post(http, path, {"payment_data": other}, "second-2")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_orders_keys_and_stock_outlive_kill_9(tmp_path: Path):
    shop = Running("shop", tmp_path)
    await shop.start()
    async with client_of(shop) as http:
        session = await made(http, "kill-0", "pflanze-bonsai", 2)
        path = f"/checkout_sessions/{session}/complete"
        done = await post(http, path, {"payment_data": CARD}, "kill-1")
    assert await shop.end(signal.SIGKILL) == -signal.SIGKILL
    await shop.start()
    async with client_of(shop) as http:
        again = await post(http, path, {"payment_data": CARD}, "kill-1")
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.json() == done.json()
        assert [order["id"] for order in await shop.orders()] == [done.json()["order"]["id"]]
        more = await post(http, "/checkout_sessions", basket("pflanze-bonsai", 2), "kill-2")
        assert more.json()["messages"][0]["code"] == "out_of_stock"
    assert await shop.end() == 0


async def test_a_key_whose_process_died_at_work_starts_afresh(tmp_path: Path):
    shop = Running("shop", tmp_path)
    await shop.start()
    await shop.faults({"kind": "delay", "at": "create", "value": 30})
    async with client_of(shop) as http:
        slow = asyncio.create_task(post(http, "/checkout_sessions", basket(), "dead-1"))
        await shop.struck()
        await shop.end(signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            await slow
    await shop.start()
    async with client_of(shop) as http:
        assert (await post(http, "/checkout_sessions", basket(), "dead-1")).status_code == 201
    await shop.end()


async def test_the_leash_and_sigterm_end_it_cleanly(tmp_path: Path):
    shop = Running("shop", tmp_path)
    await shop.start()
    async with client_of(shop) as http:
        assert (await http.get("/healthz")).json()["status"] == "ok"
    assert await shop.let_go() == 0
    await shop.start()
    assert await shop.end(signal.SIGTERM) == 0


async def test_the_feed_has_every_product_in_both_languages_with_a_picture(http: httpx.AsyncClient):
    answer = await http.get("/feed.jsonl", headers={"Authorization": ""})
    assert answer.headers["content-type"].startswith("application/jsonl")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert len(rows) == len(load()) >= 120
    names = {
        "item_id", "title", "title_zh", "description", "description_zh", "category",
        "price_amount", "currency", "availability", "image_url", "rating", "delivery_days",
        "attributes",
    }  # fmt: skip
    for row in rows:
        variant = {"item_group_id", "options"} if row["item_id"].startswith("boe-") else set()
        assert set(row) == names | variant
        assert row["currency"] == "EUR"
        assert row["price_amount"] > 0
        assert any("\u4e00" <= c <= "\u9fff" for c in row["title_zh"]), row["item_id"]
        assert any("\u4e00" <= c <= "\u9fff" for c in row["description_zh"]), row["item_id"]
        assert all(isinstance(value, str) for value in row["attributes"].values())
    picture = await http.get(rows[0]["image_url"])
    assert picture.headers["content-type"] == "image/svg+xml"
    assert (await http.get("/images/nothing.svg")).status_code == 404


def test_every_picture_is_well_formed_and_carries_no_script():
    for product in load().values():
        svg = draw(product.id, product.picture, product.title)
        root = ElementTree.fromstring(svg)  # noqa: S314 (our own drawing)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not {"script", "image", "foreignObject", "a"} & {
            element.tag.rsplit("}", 1)[1] for element in root.iter()
        }
        assert "{" not in svg.split(">", 1)[1]
    assert {p.picture for p in load().values()} <= motifs()


def test_the_main_requests_have_a_clear_answer_and_the_test_bed_stays():
    products = load()
    tents = [p for p in products.values() if p.id.startswith("tent-")]
    assert len(tents) >= 8
    two = [p for p in tents if p.tags.get("persons") == "2"]
    assert max(two, key=lambda p: (p.rating - p.days / 10, -p.price)).id == "tent-fjell-2"
    assert sum("IGNORE ALL PREVIOUS INSTRUCTIONS" in p.about for p in products.values()) >= 1
    assert sum(p.tags.get("gift") == "birthday" for p in products.values()) >= 8
    assert sum(p.picture == "headphones" for p in products.values()) >= 3
    assert sum(p.picture == "coffee" for p in products.values()) >= 3


def _listening(port: int) -> list[str]:
    """Local addresses in LISTEN state on `port`, as the kernel writes them."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]


async def test_nothing_is_served_beyond_loopback(shop: Running):
    port = int(shop.url.rsplit(":", 1)[1])
    assert _listening(port) == [f"0100007F:{port:04X}"]
