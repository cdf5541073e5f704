"""A UCP merchant that sent no feed, searched while a person asks."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from backend.live_shelf import REST_S, LiveShelf
from backend.merchants import Client, Merchant
from backend.wiring import clients
from graphs.state import Wish
from integrations.egress import guarded_client
from tests.journeys.conftest import Product
from tests.journeys.runs import run
from tests.journeys.test_purchase import confirm
from tests.simulators import MERCHANT_KEY

HOUSE = "Live House"


@asynccontextmanager
async def live(product: Product, name: str, discovery_url: str) -> AsyncIterator[str]:
    """A live UCP merchant that pays us nothing and sent no feed; its id."""
    given = {
        "name": name,
        "protocol": "ucp",
        "discovery_url": discovery_url,
        "outbound_key": MERCHANT_KEY,
        "status": "live",
        "commission": {"bps": 0, "fixed": 0, "currency": "EUR"},
    }
    async with product.client("operator") as operator:
        made = (await operator.post("/operator/v1/merchants", json=given)).json()["id"]
        yield made
        path = f"/operator/v1/merchants/{made}"
        assert (await operator.patch(path, json={"status": "paused"})).status_code == 200


@pytest.fixture
async def house(product: Product) -> AsyncIterator[str]:
    """The box office under another name, found by its profile alone."""
    async with live(product, HOUSE, product.world.tickets) as made:
        yield made


async def found(product: Product, words: str) -> list[dict[str, Any]]:
    async with product.client() as http:
        answer = await http.get("/api/search", params={"q": words, "limit": 20})
    return [offer for offer in answer.json()["data"] if offer["merchant"] == HOUSE]


async def test_what_a_partner_finds_now_is_offered_and_bought_like_anything_else(
    product: Product, house: str
):
    (offer, *_) = await found(product, "glass orchestra plays winter")
    assert offer["disclosure"].startswith(f"{HOUSE} pays Emptor nothing")
    async with product.client() as http:
        line = {"offer_id": offer["offer_id"], "quantity": 1}
        made = (await http.post("/api/checkouts", json={"lines": [line]})).json()
        done = await confirm(http, made)
        assert (done.status_code, done.json()["state"]) == (200, "completed")
        events = await run(
            http, secrets.token_hex(6), text="show me The Glass Orchestra plays winter"
        )
    cards = next(e for e in events if e["type"] == "ACTIVITY_SNAPSHOT")["content"]["items"]
    # Two merchants sell the same evening, which is shown once and names both; paying us nothing is
    # no reason to be missing.
    [evening] = [card for card in cards if card["title"] == offer["title"]]
    elsewhere = evening["attributes"]["also_at"].split(": ")[0]
    assert {evening["merchant"], elsewhere} == {HOUSE, "Vorhang auf! Tickets"}


async def test_a_price_that_moved_is_the_partners_own_at_the_next_search(
    product: Product, house: str
):
    (offer, *_) = await found(product, "glass orchestra plays winter")
    query = "UPDATE product SET price_amount = 1, title = :t WHERE merchant_id = :m"
    async with product.database.transaction() as session:
        await session.execute(text(query), {"m": house, "t": "The Glass Orchestra, by us"})
    offers = await found(product, "glass orchestra")
    again = next(one for one in offers if one["offer_id"] == offer["offer_id"])
    assert again["price"] == offer["price"]
    assert again["title"] == "The Glass Orchestra, by us"  # its feed's words stay


async def test_a_partner_that_does_not_answer_is_missed_and_left_alone_for_a_while(
    product: Product,
):
    app, now, asked = product.app.state, [time.monotonic()], []
    client = clients(app.vault, guarded_client(frozenset()), app.ucp)

    def counted(row: Merchant) -> Client:
        asked.append(row.name)
        return client(row)

    shelf = LiveShelf(app.catalogue, counted, clock=lambda: now[0])
    nowhere = f"http://127.0.0.1:{product.partner_port}"
    async with live(product, "Silent House", nowhere):
        for _ in range(2):
            offers = await shelf.search(Wish("product", "glass orchestra", "en"))
            assert "Vorhang auf! Tickets" in [offer.merchant for offer in offers]
        assert asked.count("Silent House") == 1
        now[0] += REST_S
        await shelf.search(Wish("product", "glass orchestra", "en"))
        assert asked.count("Silent House") == 2
