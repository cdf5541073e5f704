"""Checkout Sessions: a hosted page where somebody pays, subscribes or has a card kept.

Finished by the simulator's own page or by a test.
"""

from typing import Any

from integrations.simulators.stripe import customers, intents, setups, shapes, subscriptions
from integrations.simulators.stripe.rules import (
    ApiError,
    allowed_types,
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
    "client_reference_id metadata payment_intent_data allowed_payment_method_types locale "
    "subscription_data setup_intent_data currency allow_promotion_codes payment_method_types"
)
_INTENT = (
    "metadata capture_method application_fee_amount transfer_data transfer_group "
    "description receipt_email on_behalf_of"
)


def create(world: World, params: Params) -> Thing:
    only(params, _CREATE)
    mode = text(params, "mode", required=True) or ""
    if mode not in ("payment", "subscription", "setup"):
        raise ApiError(f"Checkout in mode {mode} is not simulated.", param="mode")
    allowed_types(params)
    amount, code, price = setups.terms(params) if mode == "setup" else _total(world, params, mode)
    data = mapping(params, "payment_intent_data")
    only(data, _INTENT)
    if data and mode != "payment":
        raise ApiError("payment_intent_data is for mode payment.", param="payment_intent_data")
    lasting = mapping(params, "subscription_data")
    only(lasting, "metadata description")
    session = shapes.checkout_session(
        mode=mode,
        amount=amount,
        currency=code,
        url=world.url,
        metadata=metadata(params),
        success_url=text(params, "success_url", required=True),
        cancel_url=text(params, "cancel_url"),
    )
    session |= {"_intent": data, "_price": price, "_lasting": metadata(lasting)}
    for name in ("customer", "customer_email", "client_reference_id", "locale"):
        session[name] = text(params, name)
    if session["customer"]:
        world.need("customer", session["customer"], param="customer")
    if mode == "setup":
        session |= setups.begin(world, session, params)
    return world.store.add(session)


def _total(world: World, params: Params, mode: str) -> tuple[int, str, str | None]:
    """→ amount, currency, and of a subscription its price."""
    lines: Any = params.get("line_items") or []
    if not isinstance(lines, list) or not lines:
        raise ApiError("Missing required param: line_items.", param="line_items")
    total, codes, kept = 0, set(), None
    for line in lines:
        count = whole(line, "quantity") or 1
        if named := text(line, "price"):
            price = world.need("price", named, param="line_items")
            kept = price["id"]
            codes.add(price["currency"])
            total += price["unit_amount"] * count
        else:
            given = mapping(line, "price_data")
            codes.add(currency(given))
            total += (whole(given, "unit_amount") or 0) * count
    if len(codes) > 1:
        raise ApiError("All line items must have the same currency.", param="line_items")
    if mode == "subscription" and (kept is None or len(lines) > 1):
        raise ApiError("A subscription of one price is simulated.", param="line_items")
    code = codes.pop()
    check_amount(total, code, param="line_items")
    return total, code, kept


def complete(world: World, id_: str, token: str) -> Thing:
    """The person pays on the hosted page. A decline leaves the session open."""
    session = world.need("checkout.session", id_)
    if session["status"] != "open":
        raise ApiError(f"This session is {session['status']}.")
    match session["mode"]:
        case "setup":
            setups.finish(world, session, token)
        case "subscription":
            session |= _subscribe(world, session, token) | {"payment_status": "paid"}
        case _:
            intent = _pay(world, session, token)
            session |= {"payment_intent": intent["id"], "payment_status": "paid"}
    session |= {"status": "complete", "url": None}
    world.store.save(session)
    world.emit("checkout.session.completed", session)
    return session


def _subscribe(world: World, session: Thing, token: str) -> Thing:
    customer = session["customer"] or customers.create(world, {})["id"]
    method = customers.attach(world, {"customer": customer}, token)
    subscription, invoice = subscriptions.begin(
        world,
        world.need("customer", customer),
        world.need("price", session["_price"]),
        method["id"],
        session["_lasting"],
    )
    return {"customer": customer, "subscription": subscription["id"], "invoice": invoice["id"]}


def _pay(world: World, session: Thing, token: str) -> Thing:
    return intents.create(
        world,
        session["_intent"]
        | {
            "amount": str(session["amount_total"]),
            "currency": session["currency"],
            "payment_method": token,
            "allowed_payment_method_types": ["card"],
            "confirm": "true",
            "error_on_requires_action": "true",
        }
        | ({"customer": session["customer"]} if session["customer"] else {}),
    )


def expire(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    session = world.need("checkout.session", id_)
    if session["status"] != "open":
        raise ApiError("Only open sessions can be expired.")
    session |= {"status": "expired", "url": None}
    world.store.save(session)
    if session["setup_intent"]:
        setups.give_up(world, session)
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
