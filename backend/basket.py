"""What a person asked for: offer ids made into items, kept as lines, told to the merchant."""

from collections.abc import Mapping, Sequence
from typing import Any

from backend.checkout import Checkout, address_of, booking_of, buyer_of
from backend.errors import NotFound, Unprocessable
from backend.till import Item, Till
from integrations.partner import (
    Basket,
    BookingChanges,
    Partner,
    PartnerRefused,
    Quote,
)


async def resolved(till: Till, lines: Sequence[tuple[str, int]]) -> Mapping[str, Item]:
    """What each offer id means. Raises `NotFound`, or `Unprocessable` for what one checkout cannot
    hold: several merchants, several currencies, goods and a booking.
    """
    if not lines:
        raise Unprocessable("Name at least one offer")
    items = await till.items_for([offer_id for offer_id, _ in lines])
    if any(offer_id not in items for offer_id, _ in lines):
        raise NotFound("One of these offers does not exist or is no longer offered")
    if len({item.merchant_id for item in items.values()}) > 1:
        raise Unprocessable(
            "These offers belong to several merchants: open one checkout for each",
            code="several_merchants",
        )
    if len({(item.price.currency, item.kind) for item in items.values()}) > 1:
        raise Unprocessable(
            "One checkout has one currency and either goods or a booking",
            code="mixed_lines",
        )
    return items


def requested(items: Mapping[str, Item], lines: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """The lines as a checkout keeps them, each offer once."""
    counts: dict[str, int] = {}
    for offer_id, quantity in lines:
        counts[offer_id] = counts.get(offer_id, 0) + quantity
    return [
        {
            "offer_id": offer_id,
            "item_id": items[offer_id].item_id,
            "title": items[offer_id].title,
            "quantity": quantity,
        }
        | ({"options": list(items[offer_id].options)} if items[offer_id].options else {})
        for offer_id, quantity in counts.items()
    ]


def told(row: Checkout) -> Basket:
    """What the merchant is told: item ids, quantities, and who it is for."""
    return Basket(
        lines=tuple((line["item_id"], line["quantity"]) for line in row.lines),
        currency=row.currency,
        buyer=buyer_of(row),
        address=address_of(row),
        delivery_id=row.delivery_id,
        deliveries=row.delivery_ids,
        discount_codes=tuple(row.discount_codes),
        booking=booking_of(row),
        owner=row.id,
    )


async def moved_by(partner: Partner, row: Checkout, *, key: str) -> Quote:
    """The booking that was paid before, as it would be; it stays as it is until this is placed."""
    if row.changes is None or not isinstance(partner, BookingChanges):
        raise PartnerRefused(f"{row.merchant_name} takes no changes here", code="not_changeable")
    return await partner.change(row.changes["merchant_order_id"], told(row), key=key)
