"""Several evenings in one cart at the box office, and the checkout that is made of it."""

from typing import Any

import httpx

from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.test_purchase import confirm, stripe
from tests.journeys.test_ucp import at_the_house
from tests.simulators import MERCHANT_KEY

HOUSE = "Vorhang auf! Tickets"


async def evening(http: httpx.AsyncClient, words: str) -> str:
    found = (await http.get("/api/search", params={"q": words, "limit": 20})).json()["data"]
    offer = next(o for o in found if o["merchant"] == HOUSE and words in o["title"])
    return str(offer["offer_id"])


async def asked(http: httpx.AsyncClient, **seats: int) -> dict[str, Any]:
    lines = [
        {"offer_id": await evening(http, words.replace("_", " ")), "quantity": quantity}
        for words, quantity in seats.items()
    ]
    answer = await http.post("/api/checkouts", json={"lines": lines})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def faults(product: Product, *faults: dict[str, Any]) -> None:
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        answer = await http.post(
            f"{product.world.tickets}/_sim/faults",
            headers={"Authorization": f"Bearer {MERCHANT_KEY}"},
            json={"faults": list(faults)},
        )
    assert answer.status_code == 200


async def test_two_evenings_are_one_cart_one_checkout_one_charge_and_one_order(product: Product):
    async with product.client() as http:
        made = await asked(http, Glass_Orchestra=2, Tram_Tales=1)
        assert made["state"] == "awaiting_confirmation", made["messages"]
        assert [line["quantity"] for line in made["lines"]] == [2, 1]
        answer = await confirm(http, made)
        assert answer.status_code == 200, answer.text
        orders = (await http.get("/api/orders")).json()["data"]
    order = next(o for o in orders if o["id"] == answer.json()["order_id"])
    assert [c["amount_received"] for c in await stripe(product, made["id"])] == [made["total"]]
    theirs = await at_the_house(product, order)
    assert [line["quantity"] for line in theirs["lines"]] == [2, 1]
    assert theirs["cart_id"].startswith("cart_")


async def test_a_cart_with_fewer_seats_wins_is_shown_and_bought_only_when_agreed_to(
    product: Product,
):
    async with product.client() as http:
        made = await asked(http, Chess_in_the_Park=50, Glass_Orchestra=1)
        assert (made["state"], made["confirmation_hash"]) == ("quoted", None)
        there = {line["offer_id"]: line["quantity"] for line in made["lines"]}
        assert "quantity_changed" in [note["code"] for note in made["messages"]]
        assert 0 < min(there.values()) < max(there.values()) < 50
        lines = [{"offer_id": offer, "quantity": n} for offer, n in there.items()]
        agreed = (await http.put(f"/api/checkouts/{made['id']}", json={"lines": lines})).json()
        assert agreed["state"] == "awaiting_confirmation", agreed["messages"]
        await http.post(f"/api/checkouts/{made['id']}/cancel", json={})


async def test_a_price_that_rises_after_the_cart_is_shown_before_anything_is_charged(
    product: Product,
):
    async with product.client() as http:
        made = await asked(http, Glass_Orchestra=1, Tram_Tales=1)
        await faults(product, {"kind": "price_drift", "at": "price", "times": -1, "value": 500})
        try:
            answer = await confirm(http, made)
            assert (answer.status_code, answer.json()["code"]) == (409, "offer_changed")
            fresh = answer.json()["checkout"]
            assert fresh["total"] > made["total"]
            assert await stripe(product, made["id"]) == []
            assert (await confirm(http, fresh)).status_code == 200
        finally:
            await faults(product)


async def test_without_its_carts_the_box_office_still_sells_several_evenings(product: Product):
    await faults(product, {"kind": "error_before", "at": "create_cart", "times": -1})
    try:
        async with product.client() as http:
            made = await asked(http, Glass_Orchestra=1, Tram_Tales=2)
            assert made["state"] == "awaiting_confirmation", made["messages"]
    finally:
        await faults(product)
