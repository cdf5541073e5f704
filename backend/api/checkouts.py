"""Checkouts and orders (contract §7): thin routes over quoting, consent and refunds.

No route holds a transaction while a merchant or the processor is asked. `confirm` is the only one
that can lead to a charge, and it takes the hash of what the person was shown.
"""

import datetime as dt
import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, field_validator

from backend import (
    changes,
    checkout,
    consent,
    incidents,
    orders,
    quoting,
    refunds,
    revising,
    threads,
)
from backend.api.payment_method import PaymentMethod, method_for
from backend.api.strict import Strict
from backend.auth import UserKey
from backend.consent import Consent
from backend.database import Session
from backend.errors import BadRequest, Conflict
from backend.idempotency import IdempotentRoute, KeyedRoute
from backend.refunds import OrderRefund
from backend.revising import Changes
from backend.till import Till
from integrations import partner

Text = Annotated[str, Field(max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{2}:\d{2}")


class Line(Strict):
    offer_id: Annotated[str, Field(min_length=1, max_length=200)]
    quantity: Annotated[int, Field(ge=1, le=999)] = 1


class Moved(Strict):
    """A booking as it shall be; what is left out stays."""

    date: str | None = None
    party: Annotated[int, Field(ge=1, le=99)] | None = None
    time: str | None = None
    nights: Annotated[int, Field(ge=1, le=60)] | None = None

    @field_validator("date")
    @classmethod
    def _real_date(cls, value: str | None) -> str | None:
        if value is not None:
            if not _DATE.fullmatch(value):
                raise ValueError("a date is written YYYY-MM-DD")
            dt.date.fromisoformat(value)
        return value

    @field_validator("time")
    @classmethod
    def _real_time(cls, value: str | None) -> str | None:
        if value is not None:
            if not _TIME.fullmatch(value):
                raise ValueError("a time is written HH:MM")
            dt.time.fromisoformat(value)
        return value


class Booking(Moved):
    """A table: date, time, party. A room: date, nights, party."""

    date: str
    party: Annotated[int, Field(ge=1, le=99)]

    def details(self) -> partner.BookingDetails:
        return partner.BookingDetails(
            date=dt.date.fromisoformat(self.date),
            party=self.party,
            time=dt.time.fromisoformat(self.time) if self.time else None,
            nights=self.nights,
        )


class Buyer(Strict):
    """The last three only where an airline asks for them."""

    first_name: Name
    last_name: Name
    email: Email
    phone: Annotated[str, Field(max_length=40)] = ""
    born_on: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    gender: Literal["", "m", "f"] = ""
    title: Literal["", "mr", "ms", "mrs", "miss", "dr"] = ""

    @field_validator("born_on")
    @classmethod
    def _real_date(cls, value: str) -> str:
        if value:
            dt.date.fromisoformat(value)
        return value


class Address(Strict):
    name: Name
    line_one: Name
    line_two: Annotated[str, Field(max_length=100)] = ""
    city: Name
    state: Annotated[str, Field(max_length=100)] = ""
    postal_code: Annotated[str, Field(min_length=1, max_length=20)]
    country: Country


class NewCheckout(Strict):
    lines: Annotated[list[Line], Field(min_length=1, max_length=50)]
    thread_id: Text | None = None
    booking: Booking | None = None


class CheckoutChanges(Strict):
    """What is left out stays as it is.

    Goods that travel apart have options with a `group`: `fulfilment_option_ids` chooses by group
    (`{group id: option id}`), `fulfilment_option_id` for every group that has the option.
    """

    lines: Annotated[list[Line], Field(min_length=1, max_length=50)] | None = None
    buyer: Buyer | None = None
    address: Address | None = None
    fulfilment_option_id: Text | None = None
    fulfilment_option_ids: Annotated[dict[Text, Text], Field(max_length=50)] | None = None
    discount_codes: Annotated[list[Text], Field(max_length=10)] | None = None
    booking: Booking | None = None

    def changes(self) -> Changes:
        return Changes(
            lines=_pairs(self.lines) if self.lines is not None else None,
            buyer=partner.Buyer(**self.buyer.model_dump()) if self.buyer else None,
            address=partner.Address(**self.address.model_dump()) if self.address else None,
            delivery_id=self.fulfilment_option_id,
            deliveries=self.fulfilment_option_ids,
            discount_codes=tuple(self.discount_codes) if self.discount_codes is not None else None,
            booking=self.booking.details() if self.booking else None,
        )


class BookingChange(Strict):
    booking: Moved


class Confirmation(Strict):
    confirmation_hash: Annotated[str, Field(min_length=1, max_length=200)]
    payment_method: PaymentMethod | None = None


class Nothing(Strict):
    """A body that may be left out."""


def _pairs(lines: list[Line]) -> tuple[tuple[str, int], ...]:
    return tuple((line.offer_id, line.quantity) for line in lines)


def _till(request: Request) -> Till:
    till: Till = request.app.state.till
    return till


open_router = APIRouter(prefix="/api", tags=["checkouts"], route_class=IdempotentRoute)
money_router = APIRouter(prefix="/api", tags=["checkouts"], route_class=KeyedRoute)


@open_router.post("/checkouts", status_code=201)
async def create_checkout(
    body: NewCheckout,
    who: UserKey,
    request: Request,
    accept_language: Annotated[str, Header(max_length=200)] = "",
) -> dict[str, Any]:
    """Ask the merchant for its own total and freeze it. Nothing is charged.

    `Accept-Language: zh…` asks for the disclosure in Chinese.
    """
    till, thread_id = _till(request), None
    if body.thread_id is not None:
        async with till.database.transaction() as session:
            thread_id = (await threads.thread(session, who.user_id, body.thread_id)).id
    row = await quoting.quote(
        till,
        user_id=who.user_id,
        lines=_pairs(body.lines),
        thread_id=thread_id,
        booking=body.booking.details() if body.booking else None,
        language="zh" if accept_language.strip().lower().startswith("zh") else "en",
    )
    return checkout.document(row)


@open_router.get("/checkouts/{checkout_id}")
async def get_checkout(checkout_id: str, who: UserKey, session: Session) -> dict[str, Any]:
    """The checkout as it is now."""
    return checkout.document(await checkout.fetch(session, checkout_id, user_id=who.user_id))


@open_router.put("/checkouts/{checkout_id}")
async def put_checkout(
    checkout_id: str, body: CheckoutChanges, who: UserKey, request: Request
) -> dict[str, Any]:
    """A new revision with these changes; the old confirmation hash is void."""
    row = await revising.revise(
        _till(request), user_id=who.user_id, checkout_id=checkout_id, changes=body.changes()
    )
    return checkout.document(row)


@money_router.post("/checkouts/{checkout_id}/confirm")
async def confirm_checkout(
    checkout_id: str, body: Confirmation, who: UserKey, request: Request
) -> Response:
    """Consent to exactly what the hash covers. 200 final, 202 still moving, else a problem."""
    till = _till(request)
    given = Consent(
        confirmation_hash=body.confirmation_hash,
        method=await method_for(till, who.user_id, body.payment_method),
        address=request.client.host if request.client else "",
        user_agent=request.headers.get("user-agent", ""),
    )
    status, shown = await consent.confirm(
        till, user_id=who.user_id, checkout_id=checkout_id, consent=given
    )
    return JSONResponse(shown, status)


@open_router.post("/checkouts/{checkout_id}/cancel")
async def cancel_checkout(
    checkout_id: str, who: UserKey, request: Request, body: Nothing | None = None
) -> dict[str, Any]:
    """Give it up before it is placed."""
    del body
    row = await consent.cancel(_till(request), user_id=who.user_id, checkout_id=checkout_id)
    return checkout.document(row)


@open_router.get("/orders")
async def list_orders(
    who: UserKey,
    session: Session,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> dict[str, Any]:
    """This person's orders, newest first."""
    if cursor is not None and "\x00" in cursor:
        raise BadRequest("The cursor is one that an earlier page gave")
    rows = await orders.newest(session, user_id=who.user_id, limit=limit + 1, after=cursor)
    page = rows[:limit]
    data = [orders.document(row, await orders.events(session, row.id)) for row in page]
    return {"data": data, "next_cursor": page[-1].id if len(rows) > limit else None}


@open_router.get("/orders/{order_id}")
async def get_order(order_id: str, who: UserKey, session: Session) -> dict[str, Any]:
    """An order with everything that happened to it."""
    row = await orders.fetch(session, order_id, user_id=who.user_id)
    return orders.document(row, await orders.events(session, row.id))


@open_router.post("/orders/{order_id}/change", status_code=201)
async def quote_change(
    order_id: str,
    body: BookingChange,
    who: UserKey,
    request: Request,
    accept_language: Annotated[str, Header(max_length=200)] = "",
) -> dict[str, Any]:
    """A checkout that moves the booking: what is still due, or comes back. The booking stays as it
    is until `confirm` with this checkout's hash. What is left out stays."""
    till = _till(request)
    async with till.database.transaction() as session:
        order = await orders.fetch(session, order_id, user_id=who.user_id)
    row = await changes.quote(
        till,
        user_id=who.user_id,
        order_id=order_id,
        wanted=body.booking.model_dump(exclude_none=True),
        thread_id=order.thread_id,
        language="zh" if accept_language.strip().lower().startswith("zh") else "en",
    )
    return checkout.document(row)


@open_router.post("/orders/{order_id}/cancellation", status_code=201)
async def quote_cancellation(
    order_id: str, who: UserKey, request: Request, body: Nothing | None = None
) -> dict[str, Any]:
    """What canceling would give back and cost. Nothing changes until it is confirmed."""
    del body
    row = await refunds.quote_cancellation(_till(request), user_id=who.user_id, order_id=order_id)
    return refunds.document(row)


@money_router.post("/orders/{order_id}/cancellation/{quote_id}/confirm")
async def confirm_cancellation(
    order_id: str, quote_id: str, who: UserKey, request: Request, body: Nothing | None = None
) -> Response:
    """Cancel for the quoted refund. 200 final, 202 while the merchant or the bank still works, 409
    `cancellation_refused` where the merchant does not cancel after all: then the order stands."""
    del body
    till = _till(request)
    row = await refunds.confirm_cancellation(
        till, user_id=who.user_id, order_id=order_id, quote_id=quote_id
    )
    async with till.database.transaction() as session:
        order = await orders.fetch(session, order_id, user_id=who.user_id)
        shown = orders.document(order, await orders.events(session, order_id))
        unpaid = await incidents.reported(session, "refund_failed", subject=row.id)
    if row.state == "failed":
        raise _not_canceled(row, shown, unpaid=unpaid)
    status = 202 if row.state in refunds.MOVING else 200
    return JSONResponse(shown | {"cancellation": refunds.document(row)}, status)


def _not_canceled(row: OrderRefund, order: dict[str, Any], *, unpaid: bool) -> Conflict:
    """Why nothing came back: the merchant's no, or the processor's after the merchant's yes."""
    extra = {"order": order, "cancellation": refunds.document(row)}
    why = row.failure or "no reason was given"
    if unpaid:
        text = f"It is canceled, but the money could not be sent back yet ({why}); we look into it"
        return Conflict(text, code="refund_failed", extra=extra)
    text = f"The merchant did not cancel, and your order stands: {why}"
    return Conflict(text, code="cancellation_refused", extra=extra)


router = APIRouter()
router.include_router(open_router)
router.include_router(money_router)
