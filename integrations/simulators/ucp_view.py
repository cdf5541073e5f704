"""How the demo box office writes its state in UCP: profile, checkout, cart, catalogue, order.

2026-04-08 and 2026-01-11 differ in how they list capabilities and handlers, and in the sign of a
discount. Everything else is the same object.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from integrations.signatures import SigningKey
from integrations.simulators.events import CURRENCY, Evening, availability
from integrations.simulators.merchant import Refusal
from integrations.simulators.places import CITIES
from integrations.simulators.store import Document, rfc3339
from integrations.simulators.ucp_gate import Agent
from integrations.ucp_profile import (
    FULFILLMENT,
    HANDLER,
    SHOPPING,
    VERSIONS,
    WELL_KNOWN,
    platform_profile,
)

OLD = "2026-01-11"
HANDLER_ID = "box_office_card"
REFUNDS = "Cancel until the day before: full refund. After that, no refund."
OPTIONS = (("eticket", "E-ticket by e-mail", 0, 0), ("post", "Printed ticket by post", 390, 4))
BOOKING_FEE = 150


def profile(version: str, *, base_url: str, key: SigningKey) -> Document:
    """A business's profile has the shape of a platform's, with endpoints and no webhook."""
    made = platform_profile(version, base_url=base_url, webhook_url="", keys=[key])
    ucp = made["ucp"]
    endpoint = f"{base_url}/ucp/{version}"
    if version == OLD:
        ucp["services"][SHOPPING]["rest"]["endpoint"] = endpoint
        for entry in ucp["capabilities"]:
            entry.pop("config", None)
        made["payment"] = {"handlers": [handler(version)]}
        return made
    ucp["services"][SHOPPING][0]["endpoint"] = endpoint
    for entries in ucp["capabilities"].values():
        entries[0].pop("config", None)
    ucp["supported_versions"] = {v: f"{base_url}{WELL_KNOWN}/{v}" for v in VERSIONS[1:]}
    ucp["payment_handlers"] = {HANDLER: [{"id": HANDLER_ID, "version": version}]}
    return made


def handler(version: str) -> Document:
    spec = "https://ucp.dev"
    return {
        "id": HANDLER_ID,
        "name": HANDLER,
        "version": version,
        "spec": f"{spec}/specification/payment-handler-guide",
        "config_schema": f"{spec}/schemas/payment_handler.json",
        "instrument_schemas": [f"{spec}/schemas/shopping/types/card_payment_instrument.json"],
        "config": {},
    }


def meta(agent: Agent, *, payments: bool = False) -> Document:
    """`ucp` of an answer: the version and what is active, echoed."""
    names = sorted(agent.active)
    if agent.version == OLD:
        listed = [{"name": name, "version": agent.version} for name in names]
        return {"version": agent.version, "capabilities": listed}
    active = {name: [{"version": agent.version}] for name in names}
    made: Document = {"version": agent.version, "status": "success", "capabilities": active}
    if payments:
        made["payment_handlers"] = {HANDLER: [{"id": HANDLER_ID, "version": agent.version}]}
    return made


def error(refusal: Refusal, version: str) -> Document:
    """Any refusal as the protocol's error answer."""
    said = {
        "type": "error",
        "code": str(refusal.body["code"]),
        "content": str(refusal.body["message"]),
        "severity": "recoverable" if refusal.status in (409, 503) else "unrecoverable",
    }
    return {"ucp": {"version": version, "status": "error"}, "messages": [said]}


def message(
    kind: str, code: str, text: str, path: str | None = None, *, severity: str = "recoverable"
) -> Document:
    body = {"type": kind, "code": code, "content": text}
    if kind == "error":
        body["severity"] = severity
    return body | ({"path": path} if path else {})


def total(kind: str, text: str, amount: int) -> Document:
    return {"type": kind, "display_text": text, "amount": amount}


def line_item(evening: Evening, quantity: int, unit: int, *, base_url: str) -> Document:
    amount = unit * quantity
    return {
        "id": f"li_{evening.id}",
        "item": item(evening, unit, base_url=base_url),
        "quantity": quantity,
        "totals": [total("subtotal", "Seats", amount), total("total", "Seats", amount)],
    }


def item(evening: Evening, unit: int, *, base_url: str) -> Document:
    picture = f"{base_url}/images/{evening.event.id}.svg"
    return {"id": evening.id, "title": evening.title, "price": unit, "image_url": picture}


def totals(
    seats: int, discount: int, posting: int, fee: int, *, version: str
) -> tuple[list[Document], int]:
    """The parts and their sum, in cents. A discount is negative, except in 2026-01-11."""
    due = seats - discount + posting + fee
    parts = [total("subtotal", "Seats", seats)]
    if discount:
        parts.append(total("discount", "Discount", discount if version == OLD else -discount))
    if posting:
        parts.append(total("fulfillment", "Delivery", posting))
    if fee:
        parts.append(total("fee", "Booking fee", fee))
    return [*parts, total("total", "Total", due)], due


def fulfillment(session: Document, lines: Sequence[str], made: datetime) -> Document:
    """One package: sent by e-mail, or printed and posted to the address given."""
    options = [
        {
            "id": identifier,
            "title": title,
            "description": title,
            "earliest_fulfillment_time": rfc3339(made + timedelta(days=days)),
            "latest_fulfillment_time": rfc3339(made + timedelta(days=days + 1)),
            "totals": [total("total", title, amount)],
        }
        for identifier, title, amount, days in OPTIONS
    ]
    group = {
        "id": "package_1",
        "line_item_ids": list(lines),
        "options": options,
        "selected_option_id": session["option"],
    }
    method = {
        "id": "shipping_1",
        "type": "shipping",
        "line_item_ids": list(lines),
        "destinations": [session["destination"]],
        "selected_destination_id": session["destination"]["id"] if session["going"] else None,
        "groups": [group],
    }
    return {"methods": [method]}


def discounts(codes: Sequence[str], applied: int) -> Document:
    found = [{"code": codes[0], "title": "Applause", "amount": applied}] if applied else []
    return {"codes": list(codes), "applied": found}


def links(base_url: str) -> list[Document]:
    return [
        {"type": "refund_policy", "title": REFUNDS, "url": f"{base_url}/legal/refunds"},
        {"type": "terms_of_service", "url": f"{base_url}/legal/terms"},
    ]


def product(evening: Evening, *, left: int, base_url: str, asked: str | None = None) -> Document:
    event = evening.event
    price = {"amount": event.price, "currency": CURRENCY}
    about = {"plain": event.about}
    media = [{"type": "image", "url": f"{base_url}/images/{event.id}.svg", "alt_text": event.title}]
    stock = {"available": left > 0, "status": availability(left)}
    variant: dict[str, Any] = {
        "id": evening.id,
        "title": evening.title,
        "description": about,
        "price": price,
        "availability": stock,
    }
    if asked is not None:
        variant["inputs"] = [{"id": asked, "match": "exact"}]
    return {
        "id": event.id,
        "title": evening.title,
        "description": about,
        "categories": [{"value": event.category, "taxonomy": "merchant"}],
        "price_range": {"min": price, "max": price},
        "media": media,
        "rating": {"value": event.rating, "scale_max": 5},
        "tags": [CITIES[event.city].name],
        "variants": [variant],
    }


def order(stored: Document, *, base_url: str, agent_meta: Document) -> Document:
    """An order of the box office as the protocol's object. It has no status of its own."""
    states = {"fulfilled": "fulfilled", "delivered": "fulfilled", "canceled": "removed"}
    state = states.get(str(stored["status"]), "processing")
    lines = []
    for line in stored["lines"]:
        count = line["quantity"]
        kept = 0 if state == "removed" else count
        done = count if state == "fulfilled" else 0
        lines.append(
            {
                "id": line["id"],
                "item": line["item"],
                "quantity": {"original": count, "total": kept, "fulfilled": done},
                "totals": line["totals"],
                "status": state,
            }
        )
    shown: Document = {
        "ucp": agent_meta,
        "id": stored["id"],
        "checkout_id": stored["checkout_id"],
        "permalink_url": f"{base_url}/o/{stored['id']}",
        "line_items": lines,
        "fulfillment": {"expectations": [], "events": []},
        "adjustments": stored["adjustments"],
        "currency": CURRENCY,
        "totals": stored["totals"],
    }
    return shown | ({"attribution": stored["attribution"]} if stored.get("attribution") else {})


def has_delivery(agent: Agent, session: Mapping[str, Any]) -> bool:
    return FULFILLMENT in agent.active and session.get("destination") is not None
