"""What a person changes before they agree: a new revision, asked and frozen anew."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from backend.basket import requested, resolved
from backend.checkout import (
    OPEN,
    Checkout,
    fetch,
    move,
    write_booking,
)
from backend.errors import (
    AlreadyCanceled,
    Conflict,
    OfferExpired,
    Unprocessable,
)
from backend.quoting import ask
from backend.till import Till
from integrations.partner import (
    Address,
    BookingDetails,
    Buyer,
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a person may change before they agree. None leaves a field as it is.

    `deliveries` chooses for single groups of goods, `delivery_id` for all that have the option.
    """

    lines: tuple[tuple[str, int], ...] | None = None
    buyer: Buyer | None = None
    address: Address | None = None
    delivery_id: str | None = None
    deliveries: Mapping[str, str] | None = None
    discount_codes: tuple[str, ...] | None = None
    booking: BookingDetails | None = None


async def revise(till: Till, *, user_id: str, checkout_id: str, changes: Changes) -> Checkout:
    """A new revision with these changes, asked and frozen anew. The old hash dies first.

    Raises `Conflict` when it is already confirmed or was changed at the same time, `OfferExpired`,
    `AlreadyCanceled`, and everything `quote` raises.
    """
    async with till.database.transaction() as session:
        row = await fetch(session, checkout_id, user_id=user_id)
    _changeable(row)
    values = await _changed(till, row, changes)
    seller = await till.seller_for(row.merchant_id)
    if not seller.open:
        raise OfferExpired(f"{seller.name} does not sell here any more")
    async with till.database.transaction() as session:
        moved = await move(
            session,
            row,
            **values,
            state="draft",
            revision=row.revision + 1,
            confirmation=None,
            confirmation_hash=None,
            messages=[],
        )
    if moved is None:
        raise Conflict("This checkout was changed at the same time; read it again")
    named = changes.delivery_id is not None or changes.deliveries is not None
    return await ask(till, moved, seller, insists=named)


def _changeable(row: Checkout) -> None:
    if row.state == "canceled":
        raise AlreadyCanceled
    if row.state == "expired":
        raise OfferExpired
    if row.state not in OPEN or row.settlement == "handoff" or row.changes is not None:
        raise Conflict("This checkout can no longer be changed")


async def _changed(till: Till, row: Checkout, changes: Changes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if changes.lines is not None:
        items = await resolved(till, changes.lines)
        item = next(iter(items.values()))
        if (item.merchant_id, item.kind) != (row.merchant_id, row.kind):
            raise Unprocessable("A checkout stays with its merchant: open another one")
        values["lines"] = requested(items, changes.lines)
    if changes.buyer is not None:
        values["buyer"] = asdict(changes.buyer)
    if changes.address is not None:
        values["address"] = asdict(changes.address)
    if changes.delivery_id is not None:
        values |= {"delivery_id": changes.delivery_id, "delivery_ids": {}}
    if changes.deliveries is not None:
        _offered(row, changes.deliveries)
        kept = row.delivery_ids if changes.delivery_id is None else {}
        values["delivery_ids"] = {**kept, **changes.deliveries}
    if changes.discount_codes is not None:
        values["discount_codes"] = list(changes.discount_codes)
    if changes.booking is not None:
        values["booking"] = write_booking(changes.booking)
    return values


def _offered(row: Checkout, deliveries: Mapping[str, str]) -> None:
    """Raises `Unprocessable` unless these groups and their options are what was shown."""
    shown = (row.quote or {}).get("deliveries", [])
    pairs = {(one["group"]["id"], one["id"]) for one in shown if one.get("group")}
    if not set(deliveries.items()) <= pairs:
        raise Unprocessable(
            "Choose a group and one of its options from fulfilment_options",
            code="unknown_delivery",
        )
