"""Moving a booking that is paid: another day, time, number of people or of nights.

A change is a checkout of its own: the merchant's quote says what is still due or comes back, it is
held, frozen, hashed and agreed to like any other, and the same driver places it once. At its end
the order's booking is the new one; what was due is an order of its own (`part_of`), so that every
order has one charge, and what comes back is a refund like any other.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import cast, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import fees, orders, quoting, refunds, release
from backend.checkout import MOMENT, OPEN, Checkout, read_booking, write_booking
from backend.errors import Conflict, Unprocessable
from backend.ids import new_id
from backend.lease import stop
from backend.orders import OrderEvent, PurchaseOrder
from backend.refunds import OrderRefund
from backend.till import Language, Seller, Till
from integrations.booking import details_of
from integrations.money import Money
from integrations.partner import BookingDetails
from integrations.payments import Payment
from integrations.wire import Unreadable, object_at, time_at

_CHANGEABLE = frozenset({"placed", "partially_refunded"})
_SETTLED = frozenset({"already_paid", "refund_due", "total"})


async def quote(
    till: Till,
    *,
    user_id: str,
    order_id: str,
    wanted: Mapping[str, Any],
    thread_id: str | None = None,
    request_key: str | None = None,
    language: Language = "en",
) -> Checkout:
    """A checkout that moves the booking to `wanted` (date, time, party, nights; what is left out
    stays). Nothing changes until it is confirmed.

    Raises `NotFound`, `Conflict` for an order that is over or moving, and `Unprocessable`:
    `not_changeable` where the merchant takes no changes, `nothing_to_change`, or the merchant's own
    word (`sold_out`).
    """
    async with till.database.transaction() as session:
        order = await orders.fetch(session, order_id, user_id=user_id)
        bought = await session.get_one(Checkout, order.checkout_id)
        moving = await refunds.changing(session, order.id)
    details = _wanted(order, wanted)
    if moving:
        raise Conflict("A change of this booking is under way; try again shortly")
    await _give_up_earlier(till, order.id, request_key)
    seller = await till.seller_for(order.merchant_id)
    row = _row(order, bought, seller, details, language)
    row.thread_id, row.request_key = thread_id, request_key
    async with till.database.transaction() as session:
        kept = await quoting.insert_once(session, row)
    if kept.state == "draft" and not kept.reference:
        kept = await quoting.ask(till, kept, seller)
    return _offered(kept)


async def _give_up_earlier(till: Till, order_id: str, request_key: str | None) -> None:
    """A newer change of the same booking is instead of the open ones: what they hold is freed."""
    query = (
        update(Checkout)
        .where(
            col(Checkout.changes)["order_id"].astext == order_id,
            col(Checkout.state).in_(OPEN),
            col(Checkout.request_key).is_distinct_from(request_key) if request_key else true(),
        )
        .values(state="canceled", release_at=func.now(), updated_at=func.now())
        .returning(col(Checkout.id))
    )
    async with till.database.transaction() as session:
        given_up = (await session.execute(query)).scalars().all()
    for checkout_id in given_up:
        await release.release(till, checkout_id)


def _row(
    order: PurchaseOrder,
    bought: Checkout,
    seller: Seller,
    details: BookingDetails,
    language: Language,
) -> Checkout:
    return Checkout(
        id=new_id("chk"),
        user_id=order.user_id,
        merchant_id=order.merchant_id,
        merchant_name=order.merchant_name,
        merchant_of_record=seller.merchant_of_record,
        settlement=order.settlement,
        disclosure=seller.disclosed(language),
        kind="booking",
        currency=order.currency,
        lines=bought.lines,
        booking=write_booking(details),
        changes={
            "order_id": order.id,
            "merchant_order_id": order.merchant_order_id,
            "booking": order.booking,
        },
        buyer=bought.buyer,
        fee_terms=fees.terms(seller.commission),
    )


def _wanted(order: PurchaseOrder, wanted: Mapping[str, Any]) -> BookingDetails:
    if order.part_of is not None:
        raise Conflict(f"This paid for a change of {order.part_of}: change that booking")
    if order.kind != "booking" or not order.booking or order.settlement == "handoff":
        raise Unprocessable(
            f"{order.merchant_name} takes no changes of this here", code="not_changeable"
        )
    if order.state not in _CHANGEABLE:
        raise Conflict(f"This booking is {order.state}; it can no longer be changed")
    said = {name: value for name, value in wanted.items() if value is not None}
    details = read_booking({**order.booking, **said})
    if write_booking(details) == order.booking:
        raise Unprocessable("This is how it is booked already", code="nothing_to_change")
    return details


def _offered(row: Checkout) -> Checkout:
    """A clear no is an answer of its own: there is nothing to complete about a change."""
    errors = [note for note in row.messages if note["severity"] == "error"]
    if row.state in {"draft", "quoted"} and errors:
        known = {"sold_out", "not_changeable", "nothing_to_change"}
        code = next((n["code"] for n in errors if n["code"] in known), "not_changeable")
        raise Unprocessable(
            errors[0]["text"] or "The merchant does not take this change", code=code
        )
    return row


async def busy(till: Till, work: Checkout) -> bool:
    """Whether other money of the booking is on its way back just now: then this waits."""
    async with till.database.transaction() as session:
        order_id = _order_id(work)
        ids = [order_id, *(part.id for part in await orders.parts(session, order_id))]
        query = select(col(OrderRefund.id)).where(
            col(OrderRefund.order_id).in_(ids), col(OrderRefund.state).in_(refunds.MOVING)
        )
        return (await session.execute(query.limit(1))).scalar_one_or_none() is not None


async def book(session: AsyncSession, work: Checkout, payment: Payment | None) -> bool:
    """The order as it is now, what was paid or comes back, and the checkout's end, all or
    nothing. False: another driver did it."""
    order_id = _order_id(work)
    if await stop(session, work, state="completed", step=None, order_id=order_id) is None:
        return False
    order = await stands(session, work)
    whole = [order, *await orders.parts(session, order_id)]
    if work.amount.amount:
        line = {**order.lines[0], "quantity": 1}
        line |= {"unit_amount": work.amount.amount, "amount": work.amount.amount}
        total = {"type": "total", "label": "Total", "amount": work.amount.amount}
        shown = {"lines": [line], "totals": [total]}
        await orders.enter(session, work, payment, new_id("ord"), shown, part_of=order_id)
    for paid, share in orders.spread(due_back(work).amount, whole):
        if share:
            await _give_back(session, work, paid, share)
    await session.flush()
    detail = {"paid": work.amount.amount, "refund": due_back(work).amount, "booking": work.booking}
    await orders.record(session, order_id, "changed", ref=work.id, detail=detail)
    return True


async def stands(session: AsyncSession, work: Checkout) -> PurchaseOrder:
    """The order says what the merchant has: the booking, its lines, and their terms; locked.

    What it cost by itself stays its total; the difference to the lines is said beside them.
    """
    query = select(PurchaseOrder).where(col(PurchaseOrder.id) == _order_id(work))
    order = (await session.execute(query.with_for_update())).scalar_one()
    shown = work.confirmation or {}
    own = [total for total in shown["totals"] if total["type"] not in _SETTLED]
    beside = sum(t["amount"] for t in own if t["type"] not in {"items_base_amount", "subtotal"})
    whole = sum(line["amount"] for line in shown["lines"]) + beside
    rest = order.total - whole
    settled = {"type": "change", "label": "Settled with the change", "amount": rest}
    total = {"type": "total", "label": "Total", "amount": order.total}
    order.lines, order.booking = shown["lines"], work.booking
    order.totals = [*own, *([settled] if rest else []), total]
    order.cancellation_policy = shown["cancellation_policy"]
    order.updated_at = func.now()  # type: ignore[assignment]
    return order


async def told(session: AsyncSession, order_id: str, said: Mapping[str, Any], *, ref: str) -> None:
    """The merchant has the booking at another time than we: it was moved there, such as by phone.

    The order says what the merchant has; what it cost is left alone. Events may come late, so one
    from before the newest word about the booking changes nothing.
    """
    try:
        moment = time_at(said, "created_at")
        wanted = write_booking(details_of(object_at(said, "booking")))
    except Unreadable:
        return
    query = select(PurchaseOrder).where(
        col(PurchaseOrder.id) == order_id,
        col(PurchaseOrder.kind) == "booking",
        col(PurchaseOrder.state).in_(("placed", "fulfilled", "partially_refunded")),
    )
    order = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if moment is None or order is None or order.booking in (None, wanted):
        return
    newer = select(col(OrderEvent.id)).where(
        col(OrderEvent.order_id) == order_id,
        col(OrderEvent.type) == "changed",
        func.coalesce(cast(col(OrderEvent.detail)["told_at"].astext, MOMENT), col(OrderEvent.at))
        >= moment,
    )
    late = (await session.execute(newer.limit(1))).scalar_one_or_none() is not None
    if late or await refunds.changing(session, order_id):
        return
    order.booking, order.updated_at = wanted, func.now()  # type: ignore[assignment]
    detail = {"paid": 0, "refund": 0, "booking": wanted, "told_at": moment.isoformat()}
    await orders.record(session, order_id, "changed", ref=ref, detail=detail)


async def _give_back(
    session: AsyncSession, work: Checkout, order: PurchaseOrder, amount: int
) -> None:
    row = OrderRefund(
        order_id=order.id,
        kind="change",
        amount=amount,
        currency=order.currency,
        request_key=f"change:{work.id}",
    )
    session.add(row)
    await session.flush()
    await refunds.pay_back(session, row)


def due_back(work: Checkout) -> Money:
    """What the change gives back, by the frozen quote."""
    totals = (work.confirmation or {}).get("totals", [])
    back = sum(total["amount"] for total in totals if total["type"] == "refund_due")
    return Money(back, work.currency)


def _order_id(work: Checkout) -> str:
    if work.changes is None:
        raise ValueError(f"{work.id} changes nothing")
    return str(work.changes["order_id"])
