"""Goods of one purchase that travel apart: shown, chosen for apart, agreed to, and paid once."""

import hashlib
from typing import Any

import httpx
import pytest
import rfc8785
from playwright.async_api import Page, expect

from tests.journeys.conftest import Product
from tests.journeys.test_purchase import confirm
from tests.web.journey import enter


async def both(http: httpx.AsyncClient) -> dict[str, Any]:
    """A tent that only the van can carry, and a book, in one checkout at the demo shop."""
    lines = []
    for words in ("Hallig Village six-person tent", "The Cartographer of Small Islands"):
        found = (await http.get("/api/search", params={"q": words})).json()["data"]
        offer = next(one for one in found if one["title"] == words)
        lines.append({"offer_id": offer["offer_id"], "quantity": 1})
    made: dict[str, Any] = (await http.post("/api/checkouts", json={"lines": lines})).json()
    return made


def ways(checkout: dict[str, Any]) -> dict[str, str]:
    options = checkout["fulfilment_options"]
    return {one["group"]["id"]: one["id"] for one in options if one["selected"]}


async def test_each_group_is_chosen_for_and_the_hash_covers_the_choice(product: Product):
    async with product.client() as http:
        made = await both(http)
        url = f"/api/checkouts/{made['id']}"
        assert ways(made) == {"parcel": "standard", "van": "kerb"}
        goods = {o["group"]["id"]: o["group"]["goods"] for o in made["fulfilment_options"]}
        assert goods["van"] == ["Hallig Village six-person tent"]
        wish = {"fulfilment_option_ids": {"van": "upstairs"}}
        chosen = (await http.put(url, json=wish)).json()
        assert ways(chosen) == {"parcel": "standard", "van": "upstairs"}
        assert chosen["total"] == made["total"] + 2500 + 475
        covered = {one["group"]["id"]: one["id"] for one in chosen["confirmation"]["delivery"]}
        assert covered == ways(chosen)
        digest = hashlib.sha256(rfc8785.dumps(chosen["confirmation"])).hexdigest()
        assert digest == chosen["confirmation_hash"] != made["confirmation_hash"]
        assert (await confirm(http, made)).status_code == 422
        faster = (await http.put(url, json={"fulfilment_option_ids": {"parcel": "express"}})).json()
        assert ways(faster) == {"parcel": "express", "van": "upstairs"}
        paid = await confirm(http, faster)
        assert paid.status_code == 200, paid.text
        order = (await http.get(f"/api/orders/{paid.json()['order_id']}")).json()
        assert order["total"] == faster["total"]


@pytest.mark.parametrize(
    "wish", [{"van": "express"}, {"balloon": "kerb"}, {"parcel": ""}, {"": "standard"}]
)
async def test_a_group_or_an_option_that_was_not_shown_is_refused(
    product: Product, wish: dict[str, str]
):
    async with product.client() as http:
        made = await both(http)
        url = f"/api/checkouts/{made['id']}"
        answer = await http.put(url, json={"fulfilment_option_ids": wish})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_delivery")
        assert (await http.get(url)).json()["confirmation_hash"] == made["confirmation_hash"]


async def test_a_choice_made_for_other_goods_does_not_stand_in_the_way(product: Product):
    async with product.client() as http:
        made = await both(http)
        url = f"/api/checkouts/{made['id']}"
        await http.put(url, json={"fulfilment_option_id": "upstairs"})
        book = {"lines": [line for line in made["lines"] if "Cartographer" in line["title"]]}
        book["lines"] = [{"offer_id": x["offer_id"], "quantity": 2} for x in book["lines"]]
        left = (await http.put(url, json=book)).json()
        assert left["state"] == "awaiting_confirmation"
        assert [o["id"] for o in left["fulfilment_options"] if o["selected"]] == ["standard"]
        assert not any("group" in one for one in left["fulfilment_options"])


@pytest.mark.browser
async def test_a_person_chooses_on_the_sheet_for_each_group(page: Page, product: Product):
    async with product.client() as http:
        made = await both(http)
    await enter(page, product.url, product.keys["plus"])
    await page.goto(f"{product.url}/checkout/{made['id']}")
    await page.get_by_label("Delivery of Hallig Village").select_option("upstairs")
    more = f"{(made['total'] + 2975) / 100:,.2f}"
    await expect(page.locator("tfoot")).to_contain_text(more)
    await expect(page.get_by_label("Delivery of The Cartographer")).to_have_value("standard")
