"""Products and prices: what a subscription costs and how often."""

import time
from typing import Any

from integrations.simulators.stripe.rules import (
    ApiError,
    check_amount,
    currency,
    flag,
    mapping,
    metadata,
    only,
    text,
    whole,
)
from integrations.simulators.stripe.shapes import nulls
from integrations.simulators.stripe.store import Thing, fresh_id
from integrations.simulators.stripe.world import Params, World

_CREATE = (
    "currency unit_amount recurring lookup_key transfer_lookup_key metadata nickname product"
    " product_data active tax_behavior"
)


def create(world: World, params: Params) -> Thing:
    only(params, _CREATE)
    code, amount = currency(params), whole(params, "unit_amount")
    if amount is None:
        raise ApiError("Missing required param: unit_amount.", param="unit_amount")
    check_amount(amount, code, param="unit_amount")
    key = text(params, "lookup_key")
    if key is not None and any(p["lookup_key"] == key for p in world.store.newest("price")):
        raise ApiError(f"A price already uses the lookup key {key}.", param="lookup_key")
    price = nulls("custom_unit_amount nickname tiers_mode transform_quantity") | {
        "id": fresh_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": int(time.time()),
        "currency": code,
        "livemode": False,
        "lookup_key": key,
        "metadata": metadata(params),
        "product": _product(world, params)["id"],
        "recurring": _recurring(params),
        "tax_behavior": text(params, "tax_behavior") or "unspecified",
        "type": "recurring" if params.get("recurring") else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    world.store.add(price)
    world.emit("price.created", price)
    return price


def _recurring(params: Params) -> Thing | None:
    given = mapping(params, "recurring")
    if not given:
        return None
    if (
        text(given, "interval", required=True) != "month"
        or (whole(given, "interval_count") or 1) > 1
    ):
        raise ApiError("Only monthly prices are simulated.", param="recurring")
    usage: Thing = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    return usage | nulls("meter trial_period_days")


def _product(world: World, params: Params) -> Thing:
    if named := text(params, "product"):
        return world.need("product", named, param="product")
    data = mapping(params, "product_data")
    name = text(data, "name", required=True)
    now = int(time.time())
    unset = nulls(
        "default_price description package_dimensions shippable statement_descriptor tax_code"
        " unit_label url"
    )
    product = unset | {
        "id": fresh_id("prod"),
        "object": "product",
        "active": True,
        "created": now,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": metadata(data),
        "name": name,
        "type": "service",
        "updated": now,
    }
    return world.store.add(product)


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("price", id_)


def retrieve_product(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("product", id_)


def index(world: World, params: Params) -> Thing:
    only(params, "lookup_keys active product limit created starting_after ending_before")
    keys: Any = params.get("lookup_keys")
    active = flag(params, "active") if "active" in params else None
    product = text(params, "product")
    return world.page(
        "price",
        params,
        "/v1/prices",
        lambda p: (
            (not keys or p["lookup_key"] in keys)
            and active in (None, p["active"])
            and product in (None, p["product"])
        ),
    )
