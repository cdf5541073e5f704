"""What a UCP business sells and what a person has put aside: catalogue search, look-up, carts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from integrations import ucp_requests as requests
from integrations.money import Money, MoneyError
from integrations.partner import Basket, Found, PartnerRefused
from integrations.ucp import UcpPartner, key_of, path_id
from integrations.ucp_profile import CART, LOOKUP, SEARCH
from integrations.ucp_session import refusal_of
from integrations.wire import (
    Unreadable,
    Wire,
    integer_at,
    link_at,
    object_at,
    objects_at,
    text_at,
)

SEARCH_LIMIT = 20
IDS_MAX = 50
_AVAILABILITY: Mapping[str, Literal["in_stock", "low_stock", "out_of_stock", "on_request"]] = {
    "in_stock": "in_stock",
    "low_stock": "low_stock",
    "backorder": "on_request",
    "preorder": "on_request",
    "out_of_stock": "out_of_stock",
    "discontinued": "out_of_stock",
}


@dataclass(frozen=True, slots=True)
class Cart:
    """Estimated: only a checkout made of it (`UcpPartner.quote`, `cart_id`) has a price to pay."""

    id: str
    lines: tuple[tuple[str, int], ...]
    total: Money
    continue_url: str | None = None


async def search(
    partner: UcpPartner,
    query: str,
    *,
    price_min: Money | None = None,
    price_max: Money | None = None,
    limit: int = SEARCH_LIMIT,
) -> Sequence[Found]:
    """What the business has for these words, best first, one entry for each variant.

    Raises `PartnerRefused` (`not_supported`) where it offers no search, and `PartnerError`.
    """
    wire = await _wire(partner, SEARCH)
    body: dict[str, Any] = {"query": query[:300], "pagination": {"limit": limit}}
    if said := price_max or price_min:
        told = {"min": price_min, "max": price_max}
        same = {n: p.amount for n, p in told.items() if p and p.currency == said.currency}
        body["filters"] = {"price": same}
        body["context"] = {"currency": said.currency}
    answer = _checked(await wire.ask("/catalog/search", body), wire)
    return _found(answer, wire)[:limit]


async def look_up(partner: UcpPartner, ids: Sequence[str]) -> Sequence[Found]:
    """Things by their ids as they are now; what is not sold any more is missing."""
    wire = await _wire(partner, LOOKUP)
    answer = _checked(await wire.ask("/catalog/lookup", {"ids": list(ids)[:IDS_MAX]}), wire)
    return _found(answer, wire)


async def put_aside(partner: UcpPartner, basket: Basket, *, key: str) -> Cart:
    """A new cart."""
    wire = await _wire(partner, CART)
    body = requests.contents(basket, await partner.business())
    return _cart(await wire.post("/carts", body, key=key_of(key)), wire)


async def read_cart(partner: UcpPartner, cart_id: str) -> Cart:
    wire = await _wire(partner, CART)
    return _cart(await wire.get(f"/carts/{path_id(cart_id)}"), wire)


async def change_cart(partner: UcpPartner, cart_id: str, basket: Basket, *, key: str) -> Cart:
    """The whole cart anew."""
    wire = await _wire(partner, CART)
    body = {"id": cart_id, **requests.contents(basket, await partner.business())}
    return _cart(await wire.put(f"/carts/{path_id(cart_id)}", body, key=key_of(key)), wire)


async def cancel_cart(partner: UcpPartner, cart_id: str, *, key: str) -> Cart:
    """Give it up. The answer is the cart as it was."""
    wire = await _wire(partner, CART)
    return _cart(await wire.post(f"/carts/{path_id(cart_id)}/cancel", {}, key=key_of(key)), wire)


async def _wire(partner: UcpPartner, capability: str) -> Wire:
    wire, business = await partner.wire()
    if capability not in business.active:
        raise PartnerRefused("this business takes no such request from us", code="not_supported")
    return wire


def _checked(answer: Mapping[str, Any], wire: Wire) -> Mapping[str, Any]:
    refused = refusal_of(answer, base_url=wire.base_url)
    if refused is not None:
        raise refused
    return answer


def _cart(answer: Mapping[str, Any], wire: Wire) -> Cart:
    _checked(answer, wire)
    identifier = text_at(answer, "id", 200)
    totals = [t for t in objects_at(answer, "totals") if t.get("type") == "total"]
    if not identifier or len(totals) != 1:
        raise Unreadable("the cart has no id or no total")
    lines = tuple(
        (text_at(object_at(line, "item"), "id", 200), integer_at(line, "quantity"))
        for line in objects_at(answer, "line_items")
    )
    try:
        total = Money(integer_at(totals[0], "amount"), text_at(answer, "currency", 3).upper())
    except MoneyError as error:
        raise Unreadable(str(error)) from error
    return Cart(identifier, lines, total, link_at(answer, "continue_url", base_url=wire.base_url))


def _found(answer: Mapping[str, Any], wire: Wire) -> Sequence[Found]:
    return [
        _variant(product, variant, wire)
        for product in objects_at(answer, "products")
        for variant in objects_at(product, "variants")
    ]


def _variant(product: Mapping[str, Any], variant: Mapping[str, Any], wire: Wire) -> Found:
    price = object_at(variant, "price")
    try:
        money = Money(integer_at(price, "amount"), text_at(price, "currency", 3))
    except MoneyError as error:
        raise Unreadable(str(error)) from error
    item = text_at(variant, "id", 200)
    if not item or money.amount < 0:
        raise Unreadable("a variant has no id or a negative price")
    own, name = text_at(variant, "title", 200), text_at(product, "title", 200)
    title = name if own in ("", name) else f"{name}, {own}"
    categories = objects_at(product, "categories")
    media = [*objects_at(variant, "media"), *objects_at(product, "media")]
    images = [m for m in media if m.get("type") == "image"]
    return Found(
        item_id=item,
        title=title or item,
        price=money,
        availability=_availability(object_at(variant, "availability")),
        description=_plain(variant) or _plain(product),
        category=text_at(categories[0], "value", 100) if categories else "",
        image_url=link_at(images[0], "url", base_url=wire.base_url) if images else None,
        rating=_rating(object_at(product, "rating")),
    )


def _availability(
    value: Mapping[str, Any],
) -> Literal["in_stock", "low_stock", "out_of_stock", "on_request"]:
    if value.get("available") is False:
        return "out_of_stock"
    word = text_at(value, "status", 40) or "in_stock"
    return _AVAILABILITY.get(word, "on_request")


def _plain(value: Mapping[str, Any]) -> str:
    """Text only: other formats would have to be rendered, and a merchant's markup is not ours."""
    return text_at(object_at(value, "description"), "plain", 1000)


def _rating(value: Mapping[str, Any]) -> float | None:
    """Out of five, whatever the business counts to."""
    mean, most = value.get("value"), value.get("scale_max")
    if not isinstance(mean, int | float) or not isinstance(most, int | float) or most <= 0:
        return None
    return round(mean * 5 / most, 2) if 0 <= mean <= most else None
