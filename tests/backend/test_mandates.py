"""The mandate of a checkout: what it says, that it binds, and what stays of it after erasure."""

import base64
import hashlib
import json
from typing import Any

import pytest

from backend import checkout, mandates, quoting, revising
from backend.checkout import Checkout
from backend.consent import Consent, confirm
from backend.purchase import drive
from integrations.jws import verify_whole
from integrations.payments import Method
from integrations.signatures import SignatureRefused, SigningKey, public_keys
from tests.backend.buying import again
from tests.backend.fakes_checkout import World
from tests.integrations.ap2_schemas import hold_to_ap2

KEY = SigningKey.generate()
URL = "https://emptor.example"


async def agreed(world: World, card: str = "pm_card_visa", code: str = "") -> Checkout:
    row = await quoting.quote(world.till, user_id="usr_ada", lines=[("off_mug", 1)])
    if code:
        changes = revising.Changes(discount_codes=(code,))
        row = await revising.revise(
            world.till, user_id="usr_ada", checkout_id=row.id, changes=changes
        )
    said = Consent(row.confirmation_hash or "", Method(card), "198.51.100.7", "pytest")
    await confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=said)
    await drive(world.till, row.id)
    return await again(world, row)


def read(row: Checkout) -> dict[str, Any]:
    return mandates.document(row, KEY, public_url=URL)


def hold(document: dict[str, Any]) -> dict[str, Any]:
    """Every part to its schema; returns the checkout that was signed."""
    for name, value in document["ap2"].items():
        hold_to_ap2(name, value)
    token = document["ap2"]["checkout_mandate"]["checkout_jwt"]
    signed: dict[str, Any] = json.loads(verify_whole(public_keys([KEY.jwk()]), token))
    hold_to_ap2("checkout", signed, folder="")
    return signed


async def test_a_purchase_reads_as_two_mandates_bound_to_one_checkout_and_a_receipt(world):
    row = await agreed(world)
    assert row.confirmation is not None
    document = read(row)
    signed = hold(document)
    made, record = document["ap2"], document["mandate"]
    digest = hashlib.sha256(made["checkout_mandate"]["checkout_jwt"].encode()).digest()
    bound = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert made["checkout_mandate"]["checkout_hash"] == bound
    assert made["payment_mandate"]["transaction_id"] == bound
    assert made["payment_mandate"]["payment_amount"] == {"amount": row.total, "currency": "EUR"}
    assert made["payment_mandate"]["payment_instrument"]["id"] == "pm_card_visa"
    assert made["payment_mandate"]["risk_data"]["address"] == "198.51.100.7"
    assert made["checkout_receipt"]["order_id"] == row.order_id
    assert signed["dev.emptor.confirmation_hash"] == record["confirmation_hash"]
    assert added_up(signed) == row.total
    assert record["state"] == "used"
    assert read(row) == document  # the same at any time, by any process


def added_up(signed: dict[str, Any]) -> int:
    """The parts of the total, which must be one subtotal and one total with what is between."""
    kinds = [entry["type"] for entry in signed["totals"]]
    assert (kinds.count("subtotal"), kinds.count("total")) == (1, 1)
    return sum(entry["amount"] for entry in signed["totals"] if entry["type"] != "total")


async def test_what_takes_off_the_total_is_written_so_and_the_parts_add_up(world):
    row = await agreed(world, code="WELCOME")
    signed = hold(read(row))
    assert [e for e in signed["totals"] if e["type"] == "discount" and e["amount"] < 0]
    assert added_up(signed) == row.total


async def test_another_key_did_not_sign_it(world):
    token = read(await agreed(world))["ap2"]["checkout_mandate"]["checkout_jwt"]
    with pytest.raises(SignatureRefused):
        verify_whole(public_keys([SigningKey.generate().jwk()]), token)


async def test_a_declined_card_leaves_a_void_consent_and_a_receipt_that_says_so(world):
    document = read(await agreed(world, card="pm_card_chargeDeclined"))
    hold(document)
    assert document["mandate"]["state"] == "void"
    receipt = document["ap2"]["checkout_receipt"]
    assert (receipt["status"], receipt["error"]) == ("Error", "payment_declined")


async def test_nobody_agreed_to_an_open_checkout(world):
    row = await quoting.quote(world.till, user_id="usr_ada", lines=[("off_mug", 1)])
    with pytest.raises(mandates.NotConfirmed):
        read(row)


async def test_erasure_leaves_what_was_agreed_and_not_who(world):
    row = await agreed(world)
    async with world.database.transaction() as session:
        await checkout.forget(session, "usr_ada")
    document = read(await again(world, row))
    hold(document)
    assert document["mandate"]["confirmation_hash"] == row.confirmation_hash
    assert document["ap2"]["payment_mandate"]["payment_instrument"]["id"] == "erased"
    assert "198.51.100.7" not in json.dumps(document)
    assert "Ada" not in json.dumps(document)
