"""Shared payment tokens: an agent lets a seller take at most so much, once, until then."""

import time

from integrations.simulators.stripe import customers
from integrations.simulators.stripe.rules import ApiError, mapping, only, text, whole
from integrations.simulators.stripe.store import Thing, fresh_id
from integrations.simulators.stripe.world import Params, World

_ISSUED = "payment_method usage_limits seller_details shared_metadata customer return_url"


def issue(world: World, params: Params) -> Thing:
    only(params, _ISSUED)
    limits = mapping(params, "usage_limits")
    most, currency = whole(limits, "max_amount"), text(limits, "currency")
    ends = whole(limits, "expires_at")
    if not most or not currency or not ends:
        raise ApiError("Missing required param: usage_limits.", param="usage_limits")
    if ends <= time.time():
        raise ApiError("expires_at is in the past.", param="usage_limits[expires_at]")
    method = customers.use(world, text(params, "payment_method") or "", text(params, "customer"))
    return world.store.add(
        {
            "id": fresh_id("spt"),
            "object": "shared_payment.issued_token",
            "created": int(time.time()),
            "deactivated_at": None,
            "deactivated_reason": None,
            "livemode": False,
            "next_action": None,
            "payment_method": method["id"],
            "seller_details": mapping(params, "seller_details"),
            "setup_future_usage": None,
            "shared_metadata": mapping(params, "shared_metadata") or None,
            "status": "active",
            "usage_details": {"amount_captured": {"currency": currency, "value": 0}},
            "usage_limits": {"currency": currency, "expires_at": ends, "max_amount": most},
            "use_stripe_sdk": None,
        }
    )


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("shared_payment.issued_token", id_)


def revoke(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    token = world.need("shared_payment.issued_token", id_)
    return _end(world, token, "revoked")


def redeem(world: World, id_: str, intent: Thing) -> str:
    """The seller's charge: the payment method behind a token that allows it, used up by it."""
    token = world.need("shared_payment.issued_token", id_)
    limits = token["usage_limits"]
    allowed = (
        token["status"] == "active"
        and limits["expires_at"] > time.time()
        and limits["currency"] == intent["currency"]
        and intent["amount"] <= limits["max_amount"]
    )
    if not allowed:
        raise ApiError(
            "The shared payment token does not allow this payment.",
            code="shared_payment_token_invalid",
            param="payment_method_data[shared_payment_granted_token]",
        )
    token["usage_details"]["amount_captured"]["value"] = intent["amount"]
    _end(world, token, "consumed")
    return str(token["payment_method"])


def _end(world: World, token: Thing, reason: str) -> Thing:
    token |= {
        "status": "deactivated",
        "deactivated_at": int(time.time()),
        "deactivated_reason": reason,
    }
    return world.store.save(token)
