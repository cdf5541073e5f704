"""Checkout Sessions: a hosted payment page, finished by the simulator's own page or by a test."""

from typing import Any

from integrations.simulators.stripe import intents, shapes
from integrations.simulators.stripe.rules import (
    ApiError,
    check_amount,
    currency,
    mapping,
    metadata,
    only,
    text,
    whole,
)
from integrations.simulators.stripe.store import Thing
from integrations.simulators.stripe.world import Params, World

_CREATE = (
    "mode line_items success_url cancel_url customer customer_email "
    "client_reference_id metadata payment_intent_data payment_method_types locale"
)
_INTENT = (
    "metadata capture_method application_fee_amount transfer_data transfer_group "
    "description receipt_email on_behalf_of"
)


def create(world: World, params: Params) -> Thing:
    only(params, _CREATE)
    mode = text(params, "mode", required=True) or ""
    if mode != "payment":
        raise ApiError(f"Checkout in mode {mode} is not simulated.", param="mode")
    amount, code = _total(params)
    data = mapping(params, "payment_intent_data")
    only(data, _INTENT)
    session = shapes.checkout_session(
        mode=mode,
        amount=amount,
        currency=code,
        url=world.url,
        metadata=metadata(params),
        success_url=text(params, "success_url", required=True),
        cancel_url=text(params, "cancel_url"),
    )
    session["_intent"] = data
    for name in ("customer", "customer_email", "client_reference_id", "locale"):
        session[name] = text(params, name)
    return world.store.add(session)


def _total(params: Params) -> tuple[int, str]:
    lines: Any = params.get("line_items") or []
    if not isinstance(lines, list) or not lines:
        raise ApiError("Missing required param: line_items.", param="line_items")
    total, codes = 0, set()
    for line in lines:
        price = mapping(line, "price_data")
        if not price:
            raise ApiError("Only price_data is simulated, not prices.", param="line_items")
        codes.add(currency(price))
        total += (whole(price, "unit_amount") or 0) * (whole(line, "quantity") or 1)
    if len(codes) > 1:
        raise ApiError("All line items must have the same currency.", param="line_items")
    code = codes.pop()
    check_amount(total, code, param="line_items")
    return total, code


def complete(world: World, id_: str, token: str) -> Thing:
    """The person pays on the hosted page. A decline leaves the session open."""
    session = world.need("checkout.session", id_)
    if session["status"] != "open":
        raise ApiError(f"This session is {session['status']}.")
    intent = intents.create(
        world,
        session["_intent"]
        | {
            "amount": str(session["amount_total"]),
            "currency": session["currency"],
            "payment_method": token,
            "payment_method_types": ["card"],
            "confirm": "true",
            "error_on_requires_action": "true",
        }
        | ({"customer": session["customer"]} if session["customer"] else {}),
    )
    session |= {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"]}
    session["url"] = None
    world.store.save(session)
    world.emit("checkout.session.completed", session)
    return session


def expire(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    session = world.need("checkout.session", id_)
    if session["status"] != "open":
        raise ApiError("Only open sessions can be expired.")
    session |= {"status": "expired", "url": None}
    world.store.save(session)
    world.emit("checkout.session.expired", session)
    return session


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("checkout.session", id_)


def index(world: World, params: Params) -> Thing:
    only(params, "payment_intent customer status limit created starting_after ending_before")
    wanted = {n: params[n] for n in ("payment_intent", "customer", "status") if params.get(n)}
    return world.page(
        "checkout.session",
        params,
        "/v1/checkout/sessions",
        lambda s: all(s[n] == v for n, v in wanted.items()),
    )
