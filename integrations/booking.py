"""A partner that speaks our own booking API: search, quote, hold, confirm, change, cancel.

The API is published as `booking.openapi.json` next to this file; partners implement it. Errors are
HTTP statuses with a code, states are read from the object, amounts are integer minor units.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, time
from typing import Any, Literal

import httpx

from integrations.answers import (
    Inconsistent,
    as_asked,
    hold_against,
    notes_of,
    offered,
    order_at,
    placed,
    status_of,
    totals_of,
)
from integrations.cancellations import cancellation_of
from integrations.money import Money, MoneyError
from integrations.partner import (
    Basket,
    BookingDetails,
    BookingWish,
    Buyer,
    CancellationQuote,
    Found,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    Quote,
    QuotedLine,
    Status,
    Total,
)
from integrations.wire import (
    Unreadable,
    Wire,
    integer_at,
    link_at,
    object_at,
    objects_at,
    segment,
    text_at,
    time_at,
)

SEARCH_LIMIT = 20

_STATUSES: Mapping[str, Status] = {
    "incomplete": "incomplete",
    "ready": "ready",
    "held": "ready",
    "placing": "placing",
    "completed": "completed",
    "needs_handoff": "needs_handoff",
    "canceled": "canceled",
    "expired": "expired",
}
_AVAILABILITY: Mapping[str, Literal["in_stock", "low_stock", "out_of_stock"]] = {
    "in_stock": "in_stock",
    "low_stock": "low_stock",
    "out_of_stock": "out_of_stock",
}


class BookingPartner:
    """`Partner` and `BookingSearch` over the booking API at `base_url`."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: str, key: str, *, publisher: str = "emptor"
    ) -> None:
        self._wire = Wire(http, base_url, key, {})
        self._publisher = publisher

    async def search(self, wish: BookingWish) -> Sequence[Found]:
        """What is free now, best first. Raises `PartnerError`; nothing is ever cached."""
        body: dict[str, Any] = {
            "vertical": wish.vertical,
            "booking": _booking(wish.details),
            "limit": SEARCH_LIMIT,
        }
        if wish.query:
            body["query"] = wish.query[:300]
        if wish.place:
            body["place"] = wish.place[:200]
        if wish.max_total is not None:
            amount, currency = wish.max_total.amount, wish.max_total.currency
            body["max_total"] = {"amount": amount, "currency": currency}
        answer = await self._wire.ask("/v1/search", body)
        entries = objects_at(answer, "data")
        return [_found(entry, self._wire.base_url) for entry in entries[:SEARCH_LIMIT]]

    async def quote(self, basket: Basket, *, key: str) -> Quote:
        return await self._ask_quote(basket, {}, key)

    async def revise(self, reference: str, basket: Basket, *, key: str) -> Quote:
        """A new quote in place of `reference`: its id differs, the old hold ends."""
        segment(reference)
        return await self._ask_quote(basket, {"replaces": reference}, key)

    async def read(self, reference: str) -> Quote:
        return self._quote(await self._wire.get(f"/v1/quotes/{segment(reference)}"))

    async def hold(self, reference: str, *, key: str) -> Quote:
        path = f"/v1/quotes/{segment(reference)}/hold"
        return self._quote(await self._wire.post(path, {}, key=key))

    async def place(
        self, reference: str, payment: PartnerPayment, buyer: Buyer | None, *, key: str
    ) -> Quote:
        """Confirm the booking. Anything but completed, in work or hand-off raises.

        Only a 4xx or a plain state says that nothing happened; the rest is `PartnerUnknown`.
        """
        ends = payment.expires_at.astimezone(UTC).isoformat(timespec="seconds")
        body: dict[str, Any] = {
            "payment": {
                "token": payment.token,
                "amount": payment.amount.amount,
                "currency": payment.amount.currency,
                "merchant_id": payment.merchant_id,
                "expires_at": ends.replace("+00:00", "Z"),
            },
            "attribution": {"provider": self._publisher, "token": key},
        }
        if buyer is not None:
            body["buyer"] = _buyer(buyer)
        path = f"/v1/quotes/{segment(reference)}/confirm"
        answer = await self._wire.post(path, body, key=key)
        return placed(lambda: self._quote(answer), text_at(answer, "status", 60))

    async def cancel(self, reference: str, *, key: str) -> Quote:
        path = f"/v1/quotes/{segment(reference)}/cancel"
        return self._quote(await self._wire.post(path, {}, key=key))

    async def order(self, order_id: str) -> PartnerOrder:
        return self._order(await self._wire.get(f"/v1/orders/{segment(order_id)}"))

    async def change(self, order_id: str, basket: Basket, *, key: str) -> Quote:
        if basket.booking is None:
            raise PartnerRefused("a change needs a date", code="missing")
        path = f"/v1/orders/{segment(order_id)}/changes"
        answer = await self._wire.post(path, {"booking": _booking(basket.booking)}, key=key)
        made = offered(lambda: self._quote(answer), answer, base_url=self._wire.base_url)
        same = dict(object_at(answer, "booking")) == dict(_booking(basket.booking))
        meant = text_at(answer, "changes", 200) == order_id
        return as_asked(made, basket, exactly=same and meant)

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote:
        path = f"/v1/orders/{segment(order_id)}/cancellations"
        return cancellation_of(await self._wire.post(path, {}, key=key))

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder:
        path = f"/v1/orders/{segment(order_id)}/cancellations/{segment(quote.id)}/confirm"
        return self._order(await self._wire.post(path, {}, key=key))

    async def _ask_quote(self, basket: Basket, more: Mapping[str, Any], key: str) -> Quote:
        if basket.booking is None or len(basket.lines) != 1:
            raise PartnerRefused("a booking has one item and a date", code="missing")
        item, quantity = basket.lines[0]
        body: dict[str, Any] = {
            "lines": [{"item_id": item, "quantity": quantity}],
            "currency": basket.currency,
            "booking": _booking(basket.booking),
            **more,
        }
        if basket.buyer is not None:
            body["buyer"] = _buyer(basket.buyer)
        answer = await self._wire.post("/v1/quotes", body, key=key)
        made = offered(lambda: self._quote(answer), answer, base_url=self._wire.base_url)
        same = dict(object_at(answer, "booking")) == dict(_booking(basket.booking))
        return as_asked(made, basket, exactly=same)

    def _quote(self, value: Mapping[str, Any]) -> Quote:
        return quote_of(value, base_url=self._wire.base_url)

    def _order(self, value: Mapping[str, Any]) -> PartnerOrder:
        found = order_at(value, self._wire.base_url, status="confirmed")
        if found is None:
            raise Unreadable("the order has no id")
        return found


def quote_of(value: Mapping[str, Any], *, base_url: str) -> Quote:
    """A `Quote` object of the API. Raises `Unreadable` or, unless completed, `Inconsistent`."""
    reference = value.get("id")
    if not isinstance(reference, str) or not reference:
        raise Unreadable("the quote has no id")
    currency = text_at(value, "currency", 3)
    order = order_at(object_at(value, "order"), base_url, status="confirmed")
    continue_url = link_at(value, "continue_url", base_url=base_url)
    notes = notes_of(value, severity="severity", text="text", path="path")
    word = text_at(value, "status", 60)
    status = status_of(word, _STATUSES, order=order, continue_url=continue_url, notes=notes)
    try:
        lines = tuple(_line(entry, currency) for entry in objects_at(value, "lines"))
        totals = totals_of(value, currency, label="label")
        total = Money(integer_at(value, "total"), currency)
    except MoneyError as error:
        raise Inconsistent(str(error)) from error
    wrong = _contradiction(lines, totals, total)
    hold_against(wrong, status, notes)
    return Quote(
        reference=reference,
        status=status,
        lines=lines,
        totals=totals,
        total=total,
        expires_at=time_at(value, "price_guaranteed_until"),
        hold_expires_at=time_at(value, "pay_by"),
        cancellation_policy=text_at(value, "cancellation_policy", 1000),
        notes=tuple(notes),
        continue_url=continue_url,
        order=order if status == "completed" else None,
    )


def _contradiction(lines: Sequence[QuotedLine], totals: Sequence[Total], total: Money) -> str:
    """What does not add up, or an empty text."""
    if any(line.quantity < 1 or line.unit * line.quantity != line.amount for line in lines):
        return "a line's amount is not its unit price times its quantity"
    items = sum(line.amount.amount for line in lines)
    parts: dict[str, int] = {}
    for entry in totals:
        parts[entry.type] = parts.get(entry.type, 0) + entry.amount.amount
    if parts.get("items_base_amount", items) != items:
        return "the lines do not add up to the items' amount"
    if parts.get("total", total.amount) != total.amount or total.amount < 0:
        return "there are two totals"
    known = ("items_base_amount", "subtotal", "discount", "already_paid", "total")
    more = sum(amount for kind, amount in parts.items() if kind not in known)
    less = abs(parts.get("discount", 0)) + abs(parts.get("already_paid", 0))
    if items - less + more != total.amount:
        return "the parts do not add up to the total"
    return ""


def _booking(details: BookingDetails) -> Mapping[str, Any]:
    body: dict[str, Any] = {"date": details.date.isoformat(), "party": details.party}
    if details.time is not None:
        body["time"] = details.time.strftime("%H:%M")
    if details.nights is not None:
        body["nights"] = details.nights
    return body


def details_of(value: Mapping[str, Any]) -> BookingDetails:
    """A `Booking` object of the API. Raises `Unreadable`."""
    try:
        day = date.fromisoformat(text_at(value, "date", 10))
        clock = time.fromisoformat(text_at(value, "time", 8)) if value.get("time") else None
    except ValueError as error:
        raise Unreadable("the booking has no readable date and time") from error
    nights = integer_at(value, "nights") if value.get("nights") is not None else None
    return BookingDetails(day, integer_at(value, "party"), clock, nights)


def _buyer(buyer: Buyer) -> Mapping[str, str]:
    body = {"first_name": buyer.first_name, "last_name": buyer.last_name, "email": buyer.email}
    return {**body, "phone": buyer.phone} if buyer.phone else body


def _line(entry: Mapping[str, Any], currency: str) -> QuotedLine:
    item = text_at(entry, "item_id", 200)
    if not item:
        raise Unreadable("a line names no item")
    return QuotedLine(
        item_id=item,
        title=text_at(entry, "title", 200) or item,
        quantity=integer_at(entry, "quantity"),
        unit=Money(integer_at(entry, "unit_amount"), currency),
        amount=Money(integer_at(entry, "amount"), currency),
    )


def _found(entry: Mapping[str, Any], base_url: str) -> Found:
    item = text_at(entry, "item_id", 200)
    rating = entry.get("rating")
    try:
        price = Money(integer_at(entry, "price"), text_at(entry, "currency", 3))
    except MoneyError as error:
        raise Unreadable(str(error)) from error
    if not item or price.amount < 0:
        raise Unreadable("an option has no item or a negative price")
    attributes = object_at(entry, "attributes")
    return Found(
        item_id=item,
        title=text_at(entry, "title", 200) or item,
        price=price,
        availability=_AVAILABILITY.get(text_at(entry, "availability", 20), "on_request"),
        description=text_at(entry, "description", 1000),
        category=text_at(entry, "category", 100),
        image_url=link_at(entry, "image_url", base_url=base_url),
        rating=float(rating) if isinstance(rating, int | float) and 0 <= rating <= 5 else None,
        booking=details_of(object_at(entry, "booking")),
        attributes={text_at({"k": k}, "k", 40): text_at(attributes, k, 200) for k in attributes},
        title_zh=text_at(entry, "title_zh", 200),
        description_zh=text_at(entry, "description_zh", 1000),
    )
