"""Operators and merchants: one suspended in the middle sells nothing new, and what is sold goes on;
one that could never be called is not made."""

import secrets

from tests.journeys.conftest import Product
from tests.journeys.test_purchase import checkout, confirm, stripe

SHOP = "/operator/v1/merchants/mer_demo_shop"


async def test_what_was_not_agreed_to_yet_is_not_charged_and_orders_go_on(product: Product):
    async with product.client() as http, product.client("operator") as operator:
        paid = (await confirm(http, await checkout(http))).json()
        waiting, changed = await checkout(http), await checkout(http)
        await operator.patch(SHOP, json={"status": "paused"})
        try:
            refused = await confirm(http, waiting)
            assert (refused.status_code, refused.json()["code"]) == (409, "offer_expired")
            assert "Fernweh" in refused.json()["detail"]
            assert await stripe(product, waiting["id"]) == []
            url = f"/api/checkouts/{changed['id']}"
            late = await http.put(url, json={"discount_codes": ["WELCOME10"]})
            assert (late.status_code, late.json()["code"]) == (409, "offer_expired")
            order = f"/api/orders/{paid['order_id']}"
            quote = (await http.post(f"{order}/cancellation", json={})).json()
            ended = await http.post(
                f"{order}/cancellation/{quote['id']}/confirm",
                json={},
                headers={"Idempotency-Key": secrets.token_hex(8)},
            )
            assert ended.status_code in (200, 202), ended.text
        finally:
            await operator.patch(SHOP, json={"status": "live"})
        assert (await confirm(http, changed)).status_code == 200


async def test_a_merchant_is_not_made_with_a_secret_that_could_not_be_used(product: Product):
    given = {"name": "Kontor", "protocol": "acp", "base_url": "https://shop.example"}
    async with product.client("operator") as operator:
        for wrong in ("ключ", "out\r\nX-Admin: 1", "two words", ""):
            answer = await operator.post(
                "/operator/v1/merchants", json=given | {"outbound_key": wrong}
            )
            assert answer.status_code == 422, answer.text
            assert "outbound_key" in answer.json()["detail"]
        unsigned = given | {"webhook_secret": ""}  # anybody could sign with it
        answer = await operator.post("/operator/v1/merchants", json=unsigned)
        assert answer.status_code == 422
