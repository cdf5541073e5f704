"""A merchant that speaks UCP as it was in January 2026: no map profiles, detached signatures."""

import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from integrations.jws import detached
from integrations.signatures import SigningKey
from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.test_ucp import HOOK, _house_key, _reference, at_the_house, bought
from tests.servers import eventually
from tests.simulators import MERCHANT_KEY

HOUSE = "January House"


@pytest.fixture(scope="module")
async def house(product: Product) -> AsyncIterator[str]:
    """The box office once more, found by its older profile, with its own feed. Its id."""
    given = {
        "name": HOUSE,
        "protocol": "ucp",
        "discovery_url": f"{product.world.tickets}/.well-known/ucp/2026-01-11",
        "outbound_key": MERCHANT_KEY,
        "status": "live",
        "commission": {"bps": 500, "fixed": 0, "currency": "EUR"},
    }
    async with (
        product.client("operator") as operator,
        httpx.AsyncClient(verify=roots(), trust_env=False) as http,
    ):
        made = (await operator.post("/operator/v1/merchants", json=given)).json()["id"]
        key = {"role": "merchant", "merchant_id": made}
        told = (await operator.post("/operator/v1/keys", json=key)).json()["key"]
        feed = (await http.get(f"{product.world.tickets}/feed.jsonl")).content
        headers = {"content-type": "application/jsonl", "x-feed-version": "1"}
        async with product.client(told) as merchant:
            taken = await merchant.put("/merchant/v1/feed", content=feed, headers=headers)
        assert taken.status_code == 200, taken.text
        yield made
        path = f"/operator/v1/merchants/{made}"
        assert (await operator.patch(path, json={"status": "paused"})).status_code == 200


async def state(product: Product, order: dict[str, Any]) -> str:
    async with product.client() as http:
        found: str = (await http.get(f"/api/orders/{order['id']}")).json()["state"]
    return found


async def test_tickets_are_bought_and_the_old_way_of_signing_moves_the_order(
    product: Product, house: str
):
    order = await bought(product, house=HOUSE)
    assert order["merchant"]["id"] == house
    theirs = await at_the_house(product, order)
    assert theirs["meta"]["version"] == "2026-01-11"
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        url = f"{product.world.tickets}/_sim/orders/{order['merchant_order_id']}"
        headers = {"Authorization": f"Bearer {MERCHANT_KEY}"}
        await http.post(url, headers=headers, json={"status": "delivered"})
    await eventually(lambda: state(product, order), "fulfilled", within_s=60)


def event(order: dict[str, Any], at: datetime | None = None) -> dict[str, Any]:
    return {
        "id": order["merchant_order_id"],
        "checkout_id": order["reference"],
        "line_items": [{"id": "li", "status": "fulfilled"}],
        "event_id": secrets.token_hex(8),
        "created_time": (at or datetime.now(UTC)).isoformat(),
    }


async def told(
    product: Product, said: dict[str, Any], key: SigningKey, **more: str
) -> httpx.Response:
    body = json.dumps(said).encode()
    headers = {"Content-Type": "application/json", "Request-Signature": detached(key, body)}
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        return await http.post(HOOK, content=body, headers=headers | more)


async def test_only_the_body_counts_and_only_from_who_speaks_the_old_version(
    product: Product, house: str
):
    order = await bought(product, house=HOUSE)
    order["reference"] = await _reference(product, order)
    key, old = _house_key(product), datetime.now(UTC) - timedelta(seconds=400)
    assert (await told(product, event(order), SigningKey.generate())).status_code == 401
    assert (await told(product, event(order, old), key)).status_code == 400
    # A header is nobody's word here: it cannot make an old event new.
    fresh = {"Webhook-Timestamp": str(int(datetime.now(UTC).timestamp())), "Webhook-Id": "x"}
    assert (await told(product, event(order, old), key, **fresh)).status_code == 400
    other = {"Request-Signature": detached(key, b"{}")}
    assert (await told(product, event(order), key, **other)).status_code == 401
    assert await state(product, order) == "placed"
    said = event(order)
    answers = [(await told(product, said, key, **{"Webhook-Id": w})).json() for w in "abc"]
    assert [answer["duplicate"] for answer in answers] == [False, True, True]
    assert await state(product, order) == "fulfilled"

    # The same evening at two houses is shown once: for this purchase there is one house only.
    async with product.client("operator") as operator:
        path = f"/operator/v1/merchants/{house}"
        await operator.patch(path, json={"status": "paused"})
        newest = await bought(product)
        await operator.patch(path, json={"status": "live"})
    newest["reference"] = await _reference(product, newest)
    assert (await told(product, event(newest), key)).status_code == 401
    assert await state(product, newest) == "placed"
