"""An ACP checkout session read as a `Quote`.

Success is the object's state, never the HTTP status. A value that we do not know makes the session
less ready, never more. Amounts that do not add up to the stated total are refused: nobody is asked
to confirm a sum that the merchant's own lines contradict.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.acp_delivery import UnknownGrouping, deliveries_of, groups_of
from integrations.answers import (
    Inconsistent,
    hold_against,
    notes_of,
    order_at,
    stated_total,
    status_of,
    totals_of,
)
from integrations.money import Money, MoneyError
from integrations.partner import (
    Note,
    PartnerOrder,
    Quote,
    QuotedLine,
    Status,
    Total,
)
from integrations.wire import (
    Unreadable,
    integer_at,
    link_at,
    object_at,
    objects_at,
    text_at,
    time_at,
)

VERSIONS = frozenset({"2026-04-17", "2026-01-30"})
# The eleven states of 2026-04-17 and what they let us do.
STATUSES: Mapping[str, Status] = {
    "incomplete": "incomplete",
    "not_ready_for_payment": "incomplete",
    "ready_for_payment": "ready",
    "requires_escalation": "needs_handoff",
    "authentication_required": "needs_handoff",
    "pending_approval": "placing",
    "in_progress": "placing",
    "complete_in_progress": "placing",
    "completed": "completed",
    "canceled": "canceled",
    "expired": "expired",
}
# These totals reduce what is paid; every other one, known or not, adds to it.
REDUCTIONS = frozenset({"items_discount", "discount", "store_credit"})
_NOT_ADDED = frozenset({"items_base_amount", "subtotal", "total", "amount_refunded"})
# An error that concerns the last attempt or an extra, not whether this session can be paid.
_NOT_BLOCKING = frozenset({"payment_declined", "coupon_invalid", "coupon_expired", "low_stock"})


def quote_of(session: Mapping[str, Any], *, base_url: str) -> Quote:
    """The session as a `Quote`. Raises `Unreadable` (its shape) or `Inconsistent` (its sums).

    A completed session with wrong sums is returned with an error note instead: the order exists,
    and calling that a refusal would void a payment that the merchant relies on.
    """
    reference = session.get("id")
    if not isinstance(reference, str) or not reference:
        raise Unreadable("the session has no id")
    currency = text_at(session, "currency", 3).upper()
    order = order_at(object_at(session, "order"), base_url, status="created")
    notes = notes_of(session, severity="type", text="content", path="param")
    said = text_at(object_at(session, "protocol"), "version", 20)
    if said and said not in VERSIONS:
        notes.append(Note("error", "version_unsupported", f"the answer is ACP {said}"))
    continue_url = link_at(session, "continue_url", base_url=base_url)
    grouped = _grouped(session, notes)
    status = status_of(
        text_at(session, "status", 60),
        STATUSES,
        order=order,
        continue_url=continue_url,
        notes=notes,
        personal=not grouped,
        harmless=_NOT_BLOCKING,
    )
    try:
        lines = tuple(_line(entry, currency) for entry in objects_at(session, "line_items"))
        totals = totals_of(session, currency, label="display_text")
        total = stated_total(totals)
        totals = _shipping_before_discount(session, lines, totals, total)
        wrong = _contradiction(lines, totals, total)
        deliveries = tuple(deliveries_of(session, currency)) if grouped else ()
    except MoneyError as error:
        raise Inconsistent(str(error)) from error
    hold_against(wrong, status, notes)
    return Quote(
        reference=reference,
        status=status,
        lines=lines,
        totals=totals,
        total=total,
        expires_at=_expiry(session),
        deliveries=deliveries,
        cancellation_policy=_returns(session, base_url),
        notes=tuple(notes),
        continue_url=continue_url,
        order=order if status == "completed" else None,
    )


def order_of(value: Mapping[str, Any], *, base_url: str) -> PartnerOrder:
    """An ACP `Order` object. Raises `Unreadable` without an id."""
    order = order_at(value, base_url, status="created")
    if order is None:
        raise Unreadable("the order has no id")
    return order


def _line(entry: Mapping[str, Any], currency: str) -> QuotedLine:
    item = object_at(entry, "item")
    item_id = text_at(item, "id", 200)
    if not item_id:
        raise Unreadable("a line names no item")
    quantity = integer_at(entry, "quantity")
    if quantity < 1:
        raise Inconsistent("a line has no quantity")
    base = next(
        (t for t in objects_at(entry, "totals") if t.get("type") == "items_base_amount"), None
    )
    priced = next((source for source in (entry, item) if "unit_amount" in source), None)
    if priced is not None:
        unit = Money(integer_at(priced, "unit_amount"), currency)
    elif base is not None and integer_at(base, "amount") % quantity == 0:
        unit = Money(integer_at(base, "amount") // quantity, currency)
    else:
        raise Inconsistent("a line has no unit price")
    if base is not None and integer_at(base, "amount") != unit.amount * quantity:
        raise Inconsistent("a line's amount is not its unit price times its quantity")
    title = text_at(entry, "name", 200) or text_at(item, "name", 200) or item_id
    return QuotedLine(item_id, title, quantity, unit, unit * quantity)


def _contradiction(lines: Sequence[QuotedLine], totals: Sequence[Total], total: Money) -> str:
    """What does not add up, or an empty text.

    The protocol does not say whether `subtotal` comes before or after the discount, and its own
    examples do both. The base amount of the items decides where it is given, else either reading.
    """
    by_type: dict[str, int] = {}
    for entry in totals:
        by_type[entry.type] = by_type.get(entry.type, 0) + entry.amount.amount
    items = sum(line.amount.amount for line in lines)
    less = sum(abs(by_type.get(kind, 0)) for kind in REDUCTIONS)
    more = sum(n for kind, n in by_type.items() if kind not in REDUCTIONS | _NOT_ADDED)
    base = by_type.get("items_base_amount")
    if base is not None and base != items:
        return "the lines do not add up to the items' amount"
    subtotal = by_type.get("subtotal", items)
    if base is None and subtotal not in (items, items - less):
        return "the lines do not add up to the subtotal"
    if items - less + more != total.amount:
        return "the parts do not add up to the total"
    return ""


def _shipping_before_discount(
    session: Mapping[str, Any],
    lines: Sequence[QuotedLine],
    totals: tuple[Total, ...],
    total: Money,
) -> tuple[Total, ...]:
    """Totals that add up where a discount on the delivery has been taken off it already.

    The protocol's own free-shipping example shows the delivery as 0 and the discount beside it.
    """
    taken = sum(
        integer_at(allocation, "amount")
        for applied in objects_at(object_at(session, "discounts"), "applied")
        for allocation in objects_at(applied, "allocations")
        if allocation.get("path") == "$.totals.fulfillment"
    )
    if not taken or not _contradiction(lines, totals, total):
        return totals
    return tuple(
        Total(entry.type, entry.label, entry.amount + Money(taken, entry.amount.currency))
        if entry.type == "fulfillment"
        else entry
        for entry in totals
    )


def _grouped(session: Mapping[str, Any], notes: list[Note]) -> bool:
    """Whether we know what travels together. If not, the person goes on at the merchant's page."""
    try:
        groups_of(session)
    except UnknownGrouping as unknown:
        notes.append(Note("error", "unknown_grouping", unknown.detail))
        return False
    return True


def _expiry(session: Mapping[str, Any]) -> datetime | None:
    ends = [time_at(session, "expires_at"), time_at(session, "quote_expires_at")]
    return min((end for end in ends if end is not None), default=None)


def _returns(session: Mapping[str, Any], base_url: str) -> str:
    for link in objects_at(session, "links"):
        if link.get("type") == "return_policy":
            # The words are the terms. An address alone may move without any term changing.
            return text_at(link, "title", 300) or link_at(link, "url", base_url=base_url) or ""
    return ""
