"""A UCP checkout read as a `Quote`, and a UCP order read as a `PartnerOrder`.

Success is the object's state, never the HTTP status. What we do not know makes a checkout less
ready, never more: another version, another state, a missing part or a step that only a person can
take all lead to the business's own page, where it gives one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.answers import (
    Inconsistent,
    day_at,
    hold_against,
    notes_of,
    order_at,
    stated_total,
    status_of,
    totals_of,
)
from integrations.money import Money, MoneyError
from integrations.partner import (
    Delivery,
    Note,
    PartnerGone,
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
    said_of,
    text_at,
    time_at,
)

STATUSES: Mapping[str, Status] = {
    "incomplete": "incomplete",
    "requires_escalation": "needs_handoff",
    "ready_for_complete": "ready",
    "complete_in_progress": "placing",
    "completed": "completed",
    "canceled": "canceled",
}
# Only a person on the business's own page can do these.
_PERSONAL = frozenset({"requires_buyer_input", "requires_buyer_review"})
# 2026-01-11 writes reductions as positive amounts, 2026-04-08 as negative ones.
REDUCTIONS = frozenset({"items_discount", "discount"})
_NOT_ADDED = frozenset({"subtotal", "total"})
_NOT_BLOCKING = frozenset({"payment_failed", "payment_declined"})
_POLICIES = ("refund_policy", "return_policy", "cancellation_policy")


def refusal_of(body: Mapping[str, Any], *, base_url: str) -> PartnerRefused | None:
    """The business's no, where the answer is one: `ucp.status` is `error`, and no object."""
    if text_at(object_at(body, "ucp"), "status", 20) != "error":
        return None
    code, detail = said_of(body)
    kind = PartnerGone if code == "not_found" else PartnerRefused
    return kind(
        detail or "the business said no",
        code=code or "business_error",
        continue_url=link_at(body, "continue_url", base_url=base_url),
    )


def quote_of(session: Mapping[str, Any], *, version: str, base_url: str) -> Quote:
    """The checkout as a `Quote`. Raises `Unreadable` (its shape) or `Inconsistent` (its sums).

    A completed checkout with wrong sums is returned with an error note instead: the order exists.
    """
    reference = session.get("id")
    if not isinstance(reference, str) or not reference:
        raise Unreadable("the checkout has no id")
    currency = text_at(session, "currency", 3).upper()
    if not currency or not text_at(session, "status", 60):
        raise Unreadable("the checkout has no currency or no status")
    continue_url = link_at(session, "continue_url", base_url=base_url)
    order = order_at(object_at(session, "order"), base_url, status="created")
    notes = notes_of(session, severity="type", text="content", path="path")
    said = text_at(object_at(session, "ucp"), "version", 20)
    if said != version:
        notes.append(Note("error", "version_unsupported", f"the answer is UCP {said or 'unknown'}"))
    status = status_of(
        text_at(session, "status", 60),
        STATUSES,
        order=order,
        continue_url=continue_url,
        notes=notes,
        personal=_personal(session),
        harmless=_NOT_BLOCKING,
    )
    try:
        lines = tuple(_line(entry, currency) for entry in objects_at(session, "line_items"))
        totals = totals_of(session, currency, label="display_text")
        total = stated_total(totals)
        wrong = _contradiction(lines, totals, total)
    except MoneyError as error:
        raise Inconsistent(str(error)) from error
    hold_against(wrong, status, notes)
    return Quote(
        reference=reference,
        status=status,
        lines=lines,
        totals=totals,
        total=total,
        expires_at=time_at(session, "expires_at"),
        deliveries=tuple(_deliveries(session, currency)),
        cancellation_policy=_policy(session, base_url),
        notes=tuple(notes),
        continue_url=continue_url,
        order=order if status == "completed" else None,
    )


def _personal(session: Mapping[str, Any]) -> bool:
    return any(m.get("severity") in _PERSONAL for m in objects_at(session, "messages"))


def _line(entry: Mapping[str, Any], currency: str) -> QuotedLine:
    item = object_at(entry, "item")
    item_id = text_at(item, "id", 200)
    if not item_id:
        raise Unreadable("a line names no item")
    quantity = integer_at(entry, "quantity")
    unit = Money(integer_at(item, "price"), currency)
    if quantity < 1 or unit.amount < 0:
        raise Inconsistent("a line has no quantity or a negative price")
    before = next((t for t in objects_at(entry, "totals") if t.get("type") == "subtotal"), None)
    if before is not None and integer_at(before, "amount") != unit.amount * quantity:
        raise Inconsistent("a line's amount is not its unit price times its quantity")
    title = text_at(item, "title", 200) or item_id
    return QuotedLine(item_id, title, quantity, unit, unit * quantity)


def _contradiction(lines: Sequence[QuotedLine], totals: Sequence[Total], total: Money) -> str:
    """What does not add up, or an empty text."""
    by_type: dict[str, int] = {}
    for entry in totals:
        by_type[entry.type] = by_type.get(entry.type, 0) + entry.amount.amount
    items = sum(line.amount.amount for line in lines)
    on_items = abs(by_type.get("items_discount", 0))
    less = sum(abs(by_type.get(kind, 0)) for kind in REDUCTIONS)
    more = sum(n for kind, n in by_type.items() if kind not in REDUCTIONS | _NOT_ADDED)
    if by_type.get("subtotal", items) not in (items, items - on_items):
        return "the lines do not add up to the subtotal"
    if items - less + more != total.amount:
        return "the parts do not add up to the total"
    return ""


def option_cost(option: Mapping[str, Any]) -> int | None:
    """What a way of delivery costs, in minor units; None when it does not say."""
    amounts = {t.get("type"): t for t in objects_at(option, "totals")}
    priced = amounts.get("total") or amounts.get("fulfillment") or amounts.get("subtotal")
    return integer_at(priced, "amount") if priced is not None else None


def package_name(method: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    """A package by a name of its own: the business's id is one within its method only."""
    return f"{text_at(method, 'id', 90)}/{text_at(group, 'id', 90)}"


def _deliveries(session: Mapping[str, Any], currency: str) -> Sequence[Delivery]:
    """The choices for the one package, or for each of several."""
    packages = {
        package_name(method, group): group
        for method in objects_at(object_at(session, "fulfillment"), "methods")
        for group in objects_at(method, "groups")
    }
    goods = {
        text_at(line, "id", 200): text_at(object_at(line, "item"), "id", 200)
        for line in objects_at(session, "line_items")
    }
    found: list[Delivery] = []
    for name, group in packages.items():
        apart = name if len(packages) > 1 else ""
        held = group.get("line_item_ids") if apart else None
        items = tuple(goods[i] for i in held if i in goods) if isinstance(held, list) else ()
        found += _choices(group, currency, group_name=apart, items=items)
    return found


def _choices(
    group: Mapping[str, Any], currency: str, *, group_name: str, items: tuple[str, ...]
) -> Sequence[Delivery]:
    return [
        Delivery(
            id=text_at(option, "id", 200),
            title=text_at(option, "title", 100),
            amount=Money(amount, currency),
            earliest=day_at(option, "earliest_fulfillment_time"),
            latest=day_at(option, "latest_fulfillment_time"),
            selected=group.get("selected_option_id") == option.get("id"),
            group=group_name,
            items=items,
        )
        for option in objects_at(group, "options")
        if text_at(option, "id", 200) and (amount := option_cost(option)) is not None
    ]


def _policy(session: Mapping[str, Any], base_url: str) -> str:
    for link in objects_at(session, "links"):
        if link.get("type") in _POLICIES:
            # The words are the terms. An address alone may move without any term changing.
            return text_at(link, "title", 300) or link_at(link, "url", base_url=base_url) or ""
    return ""


def order_of(value: Mapping[str, Any], *, base_url: str) -> PartnerOrder:
    """A UCP `Order`. Raises `Unreadable` without an id."""
    order = order_at(value, base_url, status="created")
    if order is None:
        raise Unreadable("the order has no id")
    return PartnerOrder(order.id, order_status(value), order.permalink_url)


def order_status(order: Mapping[str, Any]) -> str:
    """`canceled`, `fulfilled` or `processing`: an order has no state of its own, its lines have."""
    lines = objects_at(order, "line_items")
    states = {text_at(line, "status", 20) for line in lines}
    undone = any(
        entry.get("type") == "cancellation"
        and entry.get("status") == "completed"
        and not entry.get("line_items")  # else only some of it was canceled
        for entry in objects_at(order, "adjustments")
    )
    if undone or (lines and states == {"removed"}):
        return "canceled"
    if lines and states <= {"fulfilled", "removed"}:
        return "fulfilled"
    return "processing"
