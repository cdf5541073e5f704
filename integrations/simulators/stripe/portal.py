"""The customer portal: a person changes, cancels or pays on the processor's own page."""

import time
from typing import Any

from integrations.simulators.stripe import customers, subscriptions
from integrations.simulators.stripe.rules import ApiError, mapping, metadata, only, text
from integrations.simulators.stripe.shapes import nulls
from integrations.simulators.stripe.store import Thing, fresh_id
from integrations.simulators.stripe.world import Params, World

_FEATURES = (
    "customer_update invoice_history payment_method_update subscription_cancel subscription_update"
)


def configure(world: World, params: Params) -> Thing:
    only(params, "features business_profile default_return_url metadata name")
    features = mapping(params, "features")
    only(features, _FEATURES)
    now = int(time.time())
    made = {
        "id": fresh_id("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": mapping(params, "business_profile"),
        "created": now,
        "default_return_url": text(params, "default_return_url"),
        "features": {name: features.get(name, {"enabled": False}) for name in _FEATURES.split()},
        "is_default": False,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": metadata(params),
        "name": text(params, "name"),
        "updated": now,
    }
    return world.store.add(made)


def configurations(world: World, params: Params) -> Thing:
    only(params, "active is_default limit starting_after ending_before")
    return world.page("billing_portal.configuration", params, "/v1/billing_portal/configurations")


def create(world: World, params: Params) -> Thing:
    only(params, "customer return_url configuration flow_data locale")
    customer = text(params, "customer", required=True) or ""
    world.need("customer", customer, param="customer")
    flow = mapping(params, "flow_data")
    if flow and text(flow, "type") != "subscription_update_confirm":
        raise ApiError("Of the flows, only subscription_update_confirm is simulated.")
    if flow:
        _check(world, customer, flow)
    configuration = text(params, "configuration")
    if configuration is not None:
        world.need("billing_portal.configuration", configuration, param="configuration")
    elif flow:
        raise ApiError("The default configuration does not allow subscription updates.")
    id_ = fresh_id("bps")
    session = nulls("locale on_behalf_of customer_account") | {
        "id": id_,
        "object": "billing_portal.session",
        "configuration": configuration,
        "created": int(time.time()),
        "customer": customer,
        "flow": flow or None,
        "livemode": False,
        "return_url": text(params, "return_url"),
        "url": f"{world.url}/_sim/portal/{id_}",
    }
    return world.store.add(session)


def _check(world: World, customer: str, flow: Thing) -> None:
    wanted = mapping(flow, "subscription_update_confirm")
    found = world.need("subscription", text(wanted, "subscription", required=True) or "")
    if found["customer"] != customer:
        raise ApiError("The subscription is another customer's.", param="flow_data")
    items: Any = wanted.get("items")
    if not isinstance(items, list) or len(items) != 1:
        raise ApiError("One item is changed at a time.", param="flow_data")
    world.need("price", text(items[0], "price", required=True) or "", param="flow_data")


def offered(world: World, id_: str) -> tuple[str, list[tuple[str, str]]]:
    """What the page says, and its buttons: (value, words)."""
    session = world.need("billing_portal.session", id_)
    if session["flow"]:
        wanted = session["flow"]["subscription_update_confirm"]
        found = world.need("subscription", wanted["subscription"])
        price = world.need("price", wanted["items"][0]["price"])
        due = sum(amount for _, amount, _ in subscriptions.due_now(found, price))
        return (
            f"Change to {price['lookup_key']}: {max(0, due)} {price['currency']} (minor units) now",
            [("confirm", "Confirm"), ("back", "Go back")],
        )
    return "Your subscription", [
        ("cancel", "Cancel at the end of the period"),
        ("resume", "Keep it after all"),
        ("card", "Pay with a new test card"),
        ("back", "Go back"),
    ]


def act(world: World, id_: str, choice: str) -> Thing:
    """→ the session. Raises the card's 402 when the change could not be paid."""
    session = world.need("billing_portal.session", id_)
    if choice == "confirm" and session["flow"]:
        wanted = session["flow"]["subscription_update_confirm"]
        change = {"items": wanted["items"], "proration_behavior": "always_invoice"}
        subscriptions.update(world, change, wanted["subscription"])
    elif choice in ("cancel", "resume", "card"):
        for found in world.store.newest("subscription"):
            if found["customer"] == session["customer"] and found["status"] != "canceled":
                _manage(world, found, choice)
    return session


def way_back(session: Thing, choice: str) -> str | None:
    """Where the person goes next: a change that was made has a way of its own."""
    flow = session["flow"]
    if flow and choice == "confirm":
        redirect = mapping(mapping(flow, "after_completion"), "redirect")
        return text(redirect, "return_url") or session["return_url"]
    found: str | None = session["return_url"]
    return found


def _manage(world: World, subscription: Thing, choice: str) -> None:
    if choice == "card":
        owner = {"customer": subscription["customer"]}
        method = customers.attach(world, owner, "pm_card_visa")
        params = {"default_payment_method": method["id"]}
        subscriptions.update(world, params, subscription["id"])
        subscriptions.retry(world, subscription["id"])
        return
    later = "true" if choice == "cancel" else "false"
    subscriptions.update(world, {"cancel_at_period_end": later}, subscription["id"])
