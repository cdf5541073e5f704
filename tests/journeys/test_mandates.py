"""The evidence of a consent, read by the person who gave it and by operators."""

import secrets
from typing import Any

from integrations.jws import verify_whole
from integrations.signatures import public_keys
from tests.integrations.ap2_schemas import hold_to_ap2
from tests.journeys.conftest import Product
from tests.journeys.test_purchase import checkout, confirm


async def test_a_consent_is_read_out_by_its_person_and_by_operators_and_nobody_else(
    product: Product,
):
    async with product.client(**{"user-agent": "a trusted page"}) as http:
        made = await checkout(http)
        path = f"/checkouts/{made['id']}/mandate"
        early = await http.get(f"/api{path}")
        assert (early.status_code, early.json()["code"]) == (409, "not_confirmed")
        assert (await confirm(http, made)).status_code == 200
        mine: dict[str, Any] = (await http.get(f"/api{path}")).json()
        profile = (await http.get("/.well-known/ucp")).json()
    assert mine["mandate"]["confirmation"] == made["confirmation"]
    assert mine["mandate"]["user_agent"] == "a trusted page"
    assert mine["mandate"]["state"] == "used"
    for name, value in mine["ap2"].items():
        hold_to_ap2(name, value)
    assert set(mine["ap2"]) == {"checkout_mandate", "payment_mandate", "checkout_receipt"}
    verify_whole(
        public_keys(profile["signing_keys"]), mine["ap2"]["checkout_mandate"]["checkout_jwt"]
    )
    async with product.client("free") as http:
        assert (await http.get(f"/api{path}")).status_code == 404
        assert (await http.get(f"/operator/v1{path}")).status_code == 403
    async with product.client("operator_read_only") as http:
        assert (await http.get(f"/operator/v1{path}")).json() == mine
        missing = f"/operator/v1/checkouts/chk_{secrets.token_hex(12)}/mandate"
        assert (await http.get(missing)).status_code == 404
