"""What we send to a UCP business, in the words of either version. Pure functions.

The same basket gives the same bytes, because a key may not be repeated with another body: nothing
here reads a clock or makes an id.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.partner import Address, Basket, Buyer, PartnerPayment, PartnerRefused
from integrations.ucp_profile import DISCOUNT, FULFILLMENT, HANDLER, Business
from integrations.ucp_session import option_cost, package_name
from integrations.wire import object_at, objects_at, text_at

OLD = "2026-01-11"
_DESTINATION = "emptor_destination"


def creation(
    basket: Basket, business: Business, attribution: Mapping[str, str], *, cart_id: str | None
) -> dict[str, Any]:
    """A new checkout. From a cart, the business takes the cart's contents over these."""
    body = {**contents(basket, business), **_credit(business, attribution)}
    if basket.address is not None and FULFILLMENT in business.active:
        method = {"type": "shipping", "destinations": [destination(basket.address)]}
        body["fulfillment"] = {"methods": [method]}
    return body if cart_id is None else {**body, "cart_id": cart_id}


def contents(basket: Basket, business: Business) -> dict[str, Any]:
    """What create, update and carts share."""
    body: dict[str, Any] = {
        "line_items": [
            {"item": {"id": item}, "quantity": quantity} for item, quantity in basket.lines
        ]
    }
    if basket.buyer is not None:
        body["buyer"] = buyer(basket.buyer)
    if DISCOUNT in business.active:
        body["discounts"] = {"codes": list(basket.discount_codes)}
    if business.version == OLD:
        return {**body, "currency": basket.currency, "payment": {}}
    context = {"currency": basket.currency}
    if basket.address is not None:
        context["address_country"] = basket.address.country
    return {**body, "context": context}


def change(
    basket: Basket, business: Business, session: Mapping[str, Any], attribution: Mapping[str, str]
) -> dict[str, Any]:
    """The whole checkout again: PUT replaces. Lines that it has keep their ids."""
    body = {**contents(basket, business), **_credit(business, attribution)}
    ids = line_ids(session)
    for line in body["line_items"]:
        if line["item"]["id"] in ids:
            line["id"] = ids[line["item"]["id"]]
    if business.version == OLD:
        body["id"] = session.get("id")
    if basket.address is not None and FULFILLMENT in business.active:
        body["fulfillment"] = {"methods": [_method(session, basket.address)]}
    return body


def _method(session: Mapping[str, Any], address: Address) -> dict[str, Any]:
    """The shipping method as it is, with the place to go to named anew."""
    known = _methods(session)
    shipping = next((m for m in known if m.get("type") == "shipping"), None)
    place = destination(address)
    method: dict[str, Any] = {
        "type": "shipping",
        "line_item_ids": list(line_ids(session).values()),
        "destinations": [place],
        "selected_destination_id": place["id"],
    }
    return method if shipping is None else {"id": text_at(shipping, "id", 200), **method}


def selection(
    basket: Basket, business: Business, session: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The change that chooses where to and how; None when nothing is left to choose.

    What is wanted of a package, or of all that have it; in the others what is chosen already, or
    the cheapest. Raises `PartnerRefused` for a wanted delivery that is not on offer.
    """
    if FULFILLMENT not in business.active:
        return None
    methods = [_chosen(method, basket) for method in _methods(session)]
    offered = {
        option.get("id")
        for method in _methods(session)
        for group in objects_at(method, "groups")
        for option in objects_at(group, "options")
    }
    if basket.delivery_id and basket.delivery_id not in offered:
        raise _not_offered()
    if not any(changed for _, changed in methods):
        return None
    body = change(basket, business, session, {})
    body["fulfillment"] = {"methods": [method for method, _ in methods]}
    return body


def _methods(session: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return objects_at(object_at(session, "fulfillment"), "methods")


def _chosen(method: Mapping[str, Any], basket: Basket) -> tuple[dict[str, Any], bool]:
    """The method with everything in it chosen, and whether that changes it.

    Raises `PartnerRefused` for a delivery wanted of a package that has no such option.
    """
    places = [text_at(place, "id", 200) for place in objects_at(method, "destinations")]
    place = method.get("selected_destination_id") or (places[0] if places else None)
    groups, changed = [], place != method.get("selected_destination_id")
    for group in objects_at(method, "groups"):
        wanted = basket.deliveries.get(package_name(method, group))
        option = _option(group, wanted or basket.delivery_id)
        if wanted and option != wanted:
            raise _not_offered()
        changed = changed or option != group.get("selected_option_id")
        groups.append({"id": text_at(group, "id", 200), "selected_option_id": option})
    made: dict[str, Any] = {
        "id": text_at(method, "id", 200),
        "type": text_at(method, "type", 40),
        "line_item_ids": list(method.get("line_item_ids") or []),
        "destinations": [dict(place) for place in objects_at(method, "destinations")],
        "selected_destination_id": place,
    }
    return (made | {"groups": groups} if groups else made), changed


def _not_offered() -> PartnerRefused:
    return PartnerRefused("that delivery is not on offer", code="unknown_delivery")


def _option(group: Mapping[str, Any], wanted: str | None) -> str | None:
    options = {text_at(o, "id", 200): option_cost(o) for o in objects_at(group, "options")}
    if wanted in options:
        return wanted
    if group.get("selected_option_id") in options:
        return str(group["selected_option_id"])
    priced = [(cost, name) for name, cost in options.items() if cost is not None and name]
    return min(priced)[1] if priced else None


def line_ids(session: Mapping[str, Any]) -> dict[str, str]:
    """Item id → line id, of the lines that the checkout has."""
    return {
        text_at(object_at(line, "item"), "id", 200): text_at(line, "id", 200)
        for line in objects_at(session, "line_items")
    }


def completion(
    session: Mapping[str, Any],
    business: Business,
    payment: PartnerPayment,
    attribution: Mapping[str, str],
) -> dict[str, Any]:
    """The order, paid by our charge's id. Raises `PartnerRefused` where that is no way to pay."""
    handler = _handler(session, business)
    if handler is None:
        raise PartnerRefused("no way of paying that we can use", code="no_payment_handler")
    instrument: dict[str, Any] = {
        "id": "emptor_charge",
        "handler_id": handler,
        "type": "card",
        "credential": {"type": HANDLER, "token": payment.token},
    }
    if business.version == OLD:
        # The card is the processor's secret; the schema wants words for what we do not know.
        return {"payment_data": {**instrument, "brand": "unknown", "last_digits": ""}}
    instrument["selected"] = True
    return {"payment": {"instruments": [instrument]}, **_credit(business, attribution)}


def _handler(session: Mapping[str, Any], business: Business) -> str | None:
    if business.version == OLD:
        listed = objects_at(object_at(session, "payment"), "handlers")
        ours = [handler for handler in listed if handler.get("name") == HANDLER]
    else:
        ours = list(objects_at(object_at(object_at(session, "ucp"), "payment_handlers"), HANDLER))
    return min((text_at(handler, "id", 200) for handler in ours), default=None)


def buyer(of: Buyer) -> dict[str, str]:
    body = {"first_name": of.first_name, "last_name": of.last_name, "email": of.email}
    return {**body, "phone_number": of.phone} if of.phone else body


def destination(of: Address) -> dict[str, str]:
    first, _, last = of.name.partition(" ")
    lines = {
        "id": _DESTINATION,
        "first_name": first,
        "last_name": last,
        "street_address": of.line_one,
        "extended_address": of.line_two,
        "address_locality": of.city,
        "address_region": of.state,
        "postal_code": of.postal_code,
        "address_country": of.country,
    }
    return {name: value for name, value in lines.items() if value}


def _credit(business: Business, attribution: Mapping[str, str]) -> dict[str, Any]:
    return {"attribution": dict(attribution)} if attribution and business.version != OLD else {}
