"""A flight through a Duffel account: found, agreed to, held, paid once, given back."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integrations.fakes_duffel import TOKEN, Duffel, app
from tests.journeys.conftest import Product
from tests.journeys.test_purchase import confirm
from tests.servers import serving

TRAVELLER = {
    "first_name": "Amelia",
    "last_name": "Earhart",
    "email": "amelia@example.com",
    "phone": "+442080160509",
    "born_on": "1987-07-24",
    "gender": "f",
    "title": "mrs",
}


@pytest.fixture
async def duffel(product: Product) -> AsyncIterator[Duffel]:
    """A live Duffel account where the guard lets us go."""
    ends = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    fake = Duffel(now=datetime.now(UTC))
    rules = {"payment_required_by": ends, "price_guarantee_expires_at": ends}
    fake.offer(expires_at=ends, payment_requirements={**rules, "requires_instant_payment": False})
    async with (
        serving(app(fake), port=product.partner_port) as url,
        product.client("operator") as operator,
    ):
        given = {
            "name": "Wings by Duffel",
            "protocol": "duffel",
            "base_url": url,
            "outbound_key": TOKEN,
            "status": "live",
            "commission": {"bps": 200, "fixed": 0, "currency": "GBP"},
        }
        made = await operator.post("/operator/v1/merchants", json=given)
        assert made.status_code == 201, made.text
        yield fake
        path = f"/operator/v1/merchants/{made.json()['id']}"
        assert (await operator.patch(path, json={"status": "paused"})).status_code == 200


async def test_a_flight_is_found_asked_for_who_flies_held_paid_once_and_given_back(
    product: Product, duffel: Duffel
):
    async with product.client() as http:
        way = {"origin": "LHR", "destination": "JFK", "date": "2027-04-24"}
        (offer,) = (await http.get("/api/flights", params=way)).json()["data"]
        assert offer["price"] == {"amount": 4500, "currency": "GBP"}
        assert "Emptor may earn a fee from Wings by Duffel" in offer["disclosure"]
        line = {"offer_id": offer["offer_id"], "quantity": 1}
        made = (await http.post("/api/checkouts", json={"lines": [line]})).json()
        asked = {note["path"] for note in made["messages"]}
        assert asked == {"$.buyer.born_on", "$.buyer.gender", "$.buyer.title"}
        assert (made["state"], duffel.orders) == ("quoted", [])
        path = f"/api/checkouts/{made['id']}"
        ready = (await http.put(path, json={"buyer": TRAVELLER})).json()
        assert (ready["state"], ready["total"]) == ("awaiting_confirmation", 4500)
        assert ready["hold"]["expires_at"]
        assert duffel.balance == 1000
        for _ in range(2):
            done = await confirm(http, ready)
            assert (done.status_code, done.json()["state"]) == (200, "completed")
        assert (duffel.balance, len(duffel.orders)) == (955, 1)
        order_id = done.json()["order_id"]
        quote: dict[str, Any] = (await http.post(f"/api/orders/{order_id}/cancellation")).json()
        assert (quote["refund"], quote["fee"]) == (4500, 0)
        back = await http.post(
            f"/api/orders/{order_id}/cancellation/{quote['id']}/confirm",
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        assert back.json()["state"] == "canceled"
    assert duffel.balance == 1000


async def test_a_way_and_a_day_are_read_strictly_and_a_silent_account_is_missing(
    product: Product, duffel: Duffel
):
    del duffel.offers["off_00009htYpSCXrwaB9DnUm0"]
    async with product.client() as http:
        good = {"origin": "LHR", "destination": "JFK", "date": "2027-04-24"}
        for wrong in ({"origin": "lhr"}, {"date": "2027-02-30"}, {"return_date": "soon"}):
            assert (await http.get("/api/flights", params=good | wrong)).status_code in (400, 422)
        assert (await http.get("/api/flights", params=good)).json()["data"] == []
