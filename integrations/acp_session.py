"""An ACP checkout session read as a `Quote`.

Success is the object's state, never the HTTP status. A value that we do not know makes the session
less ready, never more. Amounts that do not add up to the stated total are refused: nobody is asked
to confirm a sum that the merchant's own lines contradict.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

from integrations.money import Money, MoneyError
from integrations.partner import (
    Delivery,
    Note,
    PartnerOrder,
    PartnerRefused,
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
_SEVERITIES: Mapping[str, Literal["info", "warning", "error"]] = {
    "info": "info",
    "warning": "warning",
    "error": "error",
}
# These totals reduce what is paid; every other one, known or not, adds to it.
REDUCTIONS = frozenset({"items_discount", "discount", "store_credit"})
_NOT_ADDED = frozenset({"items_base_amount", "subtotal", "total", "amount_refunded"})
# An error that concerns the last attempt or an extra, not whether this session can be paid.
_NOT_BLOCKING = frozenset({"payment_declined", "coupon_invalid", "coupon_expired", "low_stock"})


class Inconsistent(PartnerRefused):
    """The session contradicts itself: amounts, totals or currencies."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="inconsistent_totals")


def quote_of(session: Mapping[str, Any], *, base_url: str) -> Quote:
    """The session as a `Quote`. Raises `Unreadable` (its shape) or `Inconsistent` (its sums).

    A completed session with wrong sums is returned with an error note instead: the order exists,
    and calling that a refusal would void a payment that the merchant relies on.
    """
    reference = session.get("id")
    if not isinstance(reference, str) or not reference:
        raise Unreadable("the session has no id")
    currency = text_at(session, "currency", 3).upper()
    order = _order(object_at(session, "order"), base_url)
    notes = list(_notes(session))
    continue_url = link_at(session, "continue_url", base_url=base_url)
    status = _status(text_at(session, "status", 60), order, continue_url, notes)
    try:
        lines = tuple(_line(entry, currency) for entry in objects_at(session, "line_items"))
        totals = tuple(_total(entry, currency) for entry in objects_at(session, "totals"))
        total = _stated_total(totals)
        totals = _shipping_before_discount(session, lines, totals, total)
        wrong = _contradiction(lines, totals, total)
    except MoneyError as error:
        raise Inconsistent(str(error)) from error
    if wrong and status != "completed":
        raise Inconsistent(wrong)
    if wrong:
        notes.append(Note("error", "inconsistent_totals", wrong))
    return Quote(
        reference=reference,
        status=status,
        lines=lines,
        totals=totals,
        total=total,
        expires_at=_expiry(session),
        deliveries=tuple(_deliveries(session, currency)),
        cancellation_policy=_returns(session, base_url),
        notes=tuple(notes),
        continue_url=continue_url,
        order=order if status == "completed" else None,
    )


def _status(
    word: str, order: PartnerOrder | None, continue_url: str | None, notes: list[Note]
) -> Status:
    status = STATUSES.get(word)
    if status is None:
        notes.append(Note("warning", "unknown_status", f"the merchant says {word or 'nothing'}"))
        return "needs_handoff" if continue_url else "incomplete"
    if status == "needs_handoff" and continue_url is None:
        notes.append(Note("error", word, "the merchant wants a step that it gives no address for"))
        return "incomplete"
    if status == "completed" and order is None:
        notes.append(Note("warning", "no_order", "completed, but no order is named yet"))
        return "placing"
    errors = [note for note in notes if note.severity == "error"]
    if status == "ready" and any(note.code not in _NOT_BLOCKING for note in errors):
        return "incomplete"
    return status


def _order(value: Mapping[str, Any], base_url: str) -> PartnerOrder | None:
    identifier = text_at(value, "id", 200)
    if not identifier:
        return None
    status = text_at(value, "status", 60) or "created"
    return PartnerOrder(identifier, status, link_at(value, "permalink_url", base_url=base_url))


def order_of(value: Mapping[str, Any], *, base_url: str) -> PartnerOrder:
    """An ACP `Order` object. Raises `Unreadable` without an id."""
    order = _order(value, base_url)
    if order is None:
        raise Unreadable("the order has no id")
    return order


def _notes(session: Mapping[str, Any]) -> Sequence[Note]:
    notes = []
    for entry in objects_at(session, "messages"):
        # An unknown kind of message is shown, and does not decide anything.
        severity = _SEVERITIES.get(text_at(entry, "type", 20), "info")
        code = text_at(entry, "code", 60) or severity
        path = text_at(entry, "param", 200) or None
        notes.append(Note(severity, code, text_at(entry, "content"), path))
    return notes


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


def _total(entry: Mapping[str, Any], currency: str) -> Total:
    kind = text_at(entry, "type", 40)
    label = text_at(entry, "display_text", 100) or kind
    return Total(kind, label, Money(integer_at(entry, "amount"), currency))


def _stated_total(totals: Sequence[Total]) -> Money:
    stated = [entry.amount for entry in totals if entry.type == "total"]
    if len(stated) != 1 or stated[0].amount < 0:
        raise Inconsistent("there must be one total, and it must not be negative")
    return stated[0]


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


def _deliveries(session: Mapping[str, Any], currency: str) -> Sequence[Delivery]:
    chosen = {
        entry.get("option_id") for entry in objects_at(session, "selected_fulfillment_options")
    }
    found = []
    for option in objects_at(session, "fulfillment_options"):
        amounts = {t.get("type"): t for t in objects_at(option, "totals")}
        priced = amounts.get("total") or amounts.get("fulfillment")
        if priced is None or not text_at(option, "id", 200):
            continue
        found.append(
            Delivery(
                id=text_at(option, "id", 200),
                title=text_at(option, "title", 100),
                amount=Money(integer_at(priced, "amount"), currency),
                earliest=_day(option, "earliest_delivery_time"),
                latest=_day(option, "latest_delivery_time"),
                selected=option.get("id") in chosen,
            )
        )
    return found


def _day(option: Mapping[str, Any], name: str) -> date | None:
    moment = time_at(option, name)
    return moment.date() if moment else None


def _expiry(session: Mapping[str, Any]) -> datetime | None:
    ends = [time_at(session, "expires_at"), time_at(session, "quote_expires_at")]
    return min((end for end in ends if end is not None), default=None)


def _returns(session: Mapping[str, Any], base_url: str) -> str:
    for link in objects_at(session, "links"):
        if link.get("type") == "return_policy":
            # The words are the terms. An address alone may move without any term changing.
            return text_at(link, "title", 300) or link_at(link, "url", base_url=base_url) or ""
    return ""
