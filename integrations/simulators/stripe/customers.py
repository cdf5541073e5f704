"""Customers and their payment methods. A test token such as `pm_card_visa` is a card to copy."""

import time
from typing import Any

from integrations.simulators.stripe import shapes
from integrations.simulators.stripe.rules import (
    CARDS_BY_NUMBER,
    ApiError,
    Card,
    mapping,
    metadata,
    missing,
    only,
    test_card_number,
    text,
    whole,
)
from integrations.simulators.stripe.store import Thing
from integrations.simulators.stripe.world import Params, World

_PLAIN = "email name phone description"
_CUSTOMER = f"{_PLAIN} metadata address shipping invoice_settings payment_method"


def create(world: World, params: Params) -> Thing:
    only(params, _CUSTOMER)
    customer = world.store.add(shapes.customer(metadata=metadata(params)))
    _describe(customer, params)
    if token := text(params, "payment_method"):
        attach(world, {"customer": customer["id"]}, token)
    world.store.save(customer)
    world.emit("customer.created", customer)
    return customer


def update(world: World, params: Params, id_: str) -> Thing:
    only(params, _CUSTOMER)
    customer = world.need("customer", id_)
    customer["metadata"] = metadata(params, customer["metadata"])
    _describe(customer, params)
    world.store.save(customer)
    world.emit("customer.updated", customer)
    return customer


def _describe(customer: Thing, params: Params) -> None:
    for name in _PLAIN.split():
        if name in params:
            customer[name] = text(params, name)
    for name in ("address", "shipping"):
        if name in params:
            customer[name] = mapping(params, name) or None
    default = mapping(params, "invoice_settings").get("default_payment_method")
    if default is not None:
        customer["invoice_settings"]["default_payment_method"] = default


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("customer", id_)


def index(world: World, params: Params) -> Thing:
    only(params, "email limit created starting_after ending_before")
    email = text(params, "email")
    return world.page(
        "customer", params, "/v1/customers", lambda c: email is None or c["email"] == email
    )


def create_method(world: World, params: Params) -> Thing:
    only(params, "type card billing_details metadata allow_redisplay")
    if text(params, "type", required=True) != "card":
        raise ApiError("Only cards are simulated.", param="type")
    given = mapping(params, "card")
    number = (text(given, "number") or "").replace(" ", "")
    if token := text(given, "token"):
        number = test_card_number(token.replace("tok_", "pm_card_", 1)) or ""
    expiry = (whole(given, "exp_month") or 12, whole(given, "exp_year") or _next_year())
    _check_card(number, expiry)
    return world.store.add(
        shapes.payment_method(
            CARDS_BY_NUMBER[number],
            number=number,
            expiry=expiry,
            metadata=metadata(params),
            billing=shapes.billing_details(mapping(params, "billing_details")),
        )
    )


def _check_card(number: str, expiry: tuple[int, int]) -> None:
    def refuse(code: str, message: str, param: str) -> ApiError:
        return ApiError(message, status=402, type_="card_error", code=code, param=param)

    if number not in CARDS_BY_NUMBER:
        raise refuse("incorrect_number", "Your card number is not a test card.", "number")
    if not 1 <= expiry[0] <= 12:
        raise refuse("invalid_expiry_month", "The expiration month is invalid.", "exp_month")
    if expiry[1] < _next_year() - 1:
        raise refuse("invalid_expiry_year", "The expiration year is invalid.", "exp_year")


def _next_year() -> int:
    return time.gmtime().tm_year + 1


def _token(world: World, token: str, *, param: str) -> Thing:
    """An own payment method, or a fresh copy of the test card of that name."""
    number = test_card_number(token)
    if number is None:
        return world.need("payment_method", token, param=param)
    card: Card = CARDS_BY_NUMBER[number]
    method = shapes.payment_method(
        card,
        number=number,
        expiry=(12, _next_year()),
        billing=shapes.billing_details(),
        metadata={},
    )
    return world.store.add(method)


def use(world: World, token: str, customer: str | None) -> Thing:
    """For a payment: a method belongs to one customer, or may be used once."""
    method = _token(world, token, param="payment_method")
    if method["customer"] is not None and customer is None:
        raise ApiError(
            f"{method['id']} is attached to {method['customer']}: name that customer as well.",
            code="parameter_missing",
            param="customer",
        )
    if method["customer"] is not None and method["customer"] != customer:
        raise ApiError(
            "The customer does not have a payment method with the ID " + method["id"] + ". The"
            " payment method must be attached to the customer.",
            code="resource_missing",
            param="payment_method",
        )
    if method["customer"] is None and method["_used"]:
        raise ApiError(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer"
            " attachment and may not be used again.",
            param="payment_method",
        )
    return method


def retrieve_method(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return _token(world, id_, param="payment_method")


def attach(world: World, params: Params, id_: str) -> Thing:
    only(params, "customer")
    customer = text(params, "customer", required=True) or ""
    world.need("customer", customer, param="customer")
    method = _token(world, id_, param="payment_method")
    if method["customer"] is not None and method["customer"] != customer:
        raise ApiError("The payment method is attached to another customer.")
    card = CARDS_BY_NUMBER[method["_number"]]
    # 0341 is the card that attaches well and fails later; authentication waits for the charge.
    if card.decline is not None and card.last4 != "0341" and not card.authenticate:
        raise ApiError(
            "Your card was declined.",
            status=402,
            type_="card_error",
            code="card_declined",
            decline_code=card.decline,
        )
    method["customer"] = customer
    world.store.save(method)
    world.emit("payment_method.attached", method)
    return method


def detach(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    method = world.need("payment_method", id_)
    if method["customer"] is None:
        raise ApiError("This payment method is not attached to a customer.")
    method |= {"customer": None, "_used": True}
    world.store.save(method)
    world.emit("payment_method.detached", method)
    return method


def list_methods(world: World, params: Params, id_: str | None = None) -> Thing:
    only(params, "customer type limit starting_after ending_before")
    customer: Any = id_ or text(params, "customer")
    if customer is None:
        raise missing("customer", "", param="customer")
    return world.page(
        "payment_method", params, "/v1/payment_methods", lambda m: m["customer"] == customer
    )
