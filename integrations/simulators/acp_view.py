"""How the demo shop writes its state in ACP 2026-04-17: sessions, orders, discovery."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from integrations.simulators.goods import CURRENCY, availability
from integrations.simulators.pricing import CODES, Price, PricedLine
from integrations.simulators.sending import Part, Way
from integrations.simulators.store import Document, rfc3339

VERSION = "2026-04-17"
HANDLER = "card_tokenized"
RETURNS = "Free returns within 30 days; cancel free of charge until the parcel leaves."
_SPEC = "https://acp.dev"


def capabilities() -> Document:
    handler = {
        "id": HANDLER,
        "name": "dev.acp.tokenized.card",
        "display_name": "Card",
        "version": "2026-01-22",
        "spec": f"{_SPEC}/handlers/tokenized.card",
        "requires_delegate_payment": True,
        "requires_pci_compliance": False,
        "psp": "stripe",
        "config_schema": f"{_SPEC}/schemas/handlers/tokenized.card/config.json",
        "instrument_schemas": [f"{_SPEC}/schemas/handlers/tokenized.card/instrument.json"],
        "config": {"accepted_brands": ["visa", "mastercard"], "supports_3ds": False},
        "display_order": 1,
    }
    return {
        "payment": {"handlers": [handler]},
        "interventions": {"supported": [], "required": [], "enforcement": "optional"},
        "extensions": ["discount"],
    }


def discovery(base_url: str, extension: str) -> Document:
    return {
        "protocol": {"name": "acp", "version": VERSION, "supported_versions": [VERSION]},
        "api_base_url": base_url,
        "transports": ["rest"],
        "capabilities": {
            "services": ["checkout", "orders"],
            "extensions": [{"name": "discount"}, {"name": extension}],
            "supported_currencies": [CURRENCY.lower()],
            "supported_locales": ["en-US", "zh-CN"],
        },
    }


def total(kind: str, text: str, amount: int) -> Document:
    return {"type": kind, "display_text": text, "amount": amount}


def line_item(line: PricedLine, *, left: int, base_url: str) -> Document:
    product = line.product
    before_tax = line.amount - line.discount
    return {
        "id": f"li_{product.id}",
        "item": {"id": product.id, "name": product.title, "unit_amount": line.unit},
        "quantity": line.quantity,
        "name": product.title,
        "description": product.about,
        "images": [f"{base_url}/images/{product.id}.svg"],
        "unit_amount": line.unit,
        "category": product.category,
        "availability_status": availability(left),
        "available_quantity": max(0, left),
        "totals": [
            total("items_base_amount", "Base amount", line.amount),
            total("discount", "Discount", line.discount),
            total("subtotal", "Subtotal", before_tax),
            total("tax", "Tax", line.tax),
            total("total", "Total", before_tax + line.tax),
        ],
    }


def totals(price: Price) -> list[Document]:
    parts = [total("items_base_amount", "Goods", price.items)]
    if price.discount:
        parts.append(total("discount", "Discount", price.discount))
    parts.append(total("subtotal", "Subtotal", price.items - price.discount))
    parts.append(total("fulfillment", "Delivery", price.delivery))
    parts.append(total("tax", "Tax", price.tax))
    parts.append(total("total", "Total", price.total))
    return parts


def sent(parts: Sequence[Part], made: datetime) -> Document:
    """The options, what goes by which, and the groups where there are two."""
    found: Document = {"fulfillment_options": [option(w, made) for p in parts for w in p.ways]}
    if any(part.ways for part in parts):
        found["selected_fulfillment_options"] = [
            {"type": part.kind, "option_id": part.option, "item_ids": list(part.items)}
            for part in parts
        ]
    if len(parts) > 1:
        found["fulfillment_groups"] = [
            {"id": part.id, "item_ids": list(part.items), "destination_type": part.kind}
            for part in parts
        ]
    return found


def option(way: Way, made: datetime) -> Document:
    first, last = (
        rfc3339(made + timedelta(days=days)) for days in (way.earliest_days, way.latest_days)
    )
    shown: Document = {
        "type": way.kind,
        "id": way.id,
        "title": way.title,
        "description": f"{way.earliest_days} to {way.latest_days} days",
        "totals": [total("total", way.title, way.amount)],
    }
    if way.kind == "local_delivery":
        return shown | {"delivery_window": {"start": first, "end": last}}
    times = {"earliest_delivery_time": first, "latest_delivery_time": last}
    return shown | {"carrier": "Postillion", **times}


def discounts(codes: Sequence[str], price: Price) -> Document:
    applied = []
    for written, amount in price.applied:
        code = CODES[written.strip().upper()]
        coupon: Document = {"id": f"coupon_{written.strip().lower()}", "name": code.name}
        if code.bps:
            coupon["percent_off"] = code.bps / 100
        else:
            coupon |= {"amount_off": code.amount, "currency": CURRENCY.lower()}
        entry = {"id": f"di_{written}", "code": written, "coupon": coupon, "amount": amount}
        applied.append(entry)
    rejected = [{"code": written, "reason": reason} for written, reason in price.rejected]
    return {"codes": list(codes), "applied": applied, "rejected": rejected}


def message(kind: str, code: str, text: str, param: str | None = None) -> Document:
    body = {"type": kind, "content_type": "plain", "content": text}
    if kind != "info":
        body["code"] = code
    if param:
        body["param"] = param
    return body


def order(
    identifier: str,
    session_id: str,
    price: Price,
    *,
    base_url: str,
    days: tuple[datetime, datetime],
) -> Document:
    lines = [
        {
            "id": f"li_{line.product.id}",
            "title": line.product.title,
            "product_id": line.product.id,
            "image_url": f"{base_url}/images/{line.product.id}.svg",
            "quantity": {"ordered": line.quantity, "current": line.quantity, "fulfilled": 0},
            "unit_price": line.unit,
            "subtotal": line.amount,
            "status": "processing",
        }
        for line in price.lines
    ]
    return {
        "type": "order",
        "id": identifier,
        "checkout_session_id": session_id,
        "order_number": identifier.removeprefix("ord_").upper()[:8],
        "permalink_url": f"{base_url}/o/{identifier}",
        "status": "created",
        "estimated_delivery": {"earliest": rfc3339(days[0]), "latest": rfc3339(days[1])},
        "line_items": lines,
        "adjustments": [],
        "totals": totals(price),
    }


def links(base_url: str) -> list[Document]:
    return [
        {"type": "return_policy", "title": RETURNS, "url": f"{base_url}/legal/returns"},
        {"type": "terms_of_use", "url": f"{base_url}/legal/terms"},
    ]
