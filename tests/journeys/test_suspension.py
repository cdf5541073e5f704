"""A merchant that is suspended in the middle: nothing new is sold, what is sold goes on."""

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
