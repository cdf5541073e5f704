"""A merchant's orders (contract §8): what people bought there, and giving money back."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import orders, refunds, statements
from backend.api.strict import Positive, Strict
from backend.auth import MerchantKey
from backend.database import Session
from backend.errors import NotFound
from backend.idempotency import KeyedRoute
from backend.orders import PurchaseOrder
from backend.till import Till

router = APIRouter(prefix="/merchant/v1", tags=["Merchant"], route_class=KeyedRoute)


class Refund(Strict):
    """`amount` in minor units of the order's currency: nothing is given back unsaid."""

    amount: Positive
    reason: str = Field("", max_length=500)


async def _own(session: AsyncSession, merchant_id: str, order_id: str) -> PurchaseOrder:
    row = await session.get(PurchaseOrder, order_id) if "\x00" not in order_id else None
    if row is None or row.merchant_id != merchant_id:
        raise NotFound
    return row


def _document(row: PurchaseOrder) -> dict[str, Any]:
    """The order, and what is owed to us for it."""
    return orders.document(row) | {"fee": row.fee, "fee_refunded": row.fee_refunded}


@router.get("/orders")
async def list_orders(
    who: MerchantKey,
    session: Session,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> dict[str, Any]:
    """Newest first."""
    query = select(PurchaseOrder).where(col(PurchaseOrder.merchant_id) == who.merchant_id)
    if cursor is not None:
        last = await _own(session, who.merchant_id, cursor)
        key = tuple_(col(PurchaseOrder.placed_at), col(PurchaseOrder.id))
        query = query.where(key < tuple_(last.placed_at, last.id))
    newest = query.order_by(col(PurchaseOrder.placed_at).desc(), col(PurchaseOrder.id).desc())
    rows = (await session.execute(newest.limit(limit + 1))).scalars().all()
    more = rows[limit - 1].id if len(rows) > limit else None
    return {"data": [_document(row) for row in rows[:limit]], "next_cursor": more}


@router.get("/orders/{order_id}")
async def read_order(order_id: str, who: MerchantKey, session: Session) -> dict[str, Any]:
    row = await _own(session, who.merchant_id, order_id)
    return _document(row) | {"events": await orders.events(session, row.id)}


@router.get("/statements", response_model=None)
async def read_statement(
    who: MerchantKey,
    session: Session,
    month: Annotated[str, Query(max_length=20)],
    format: Literal["json", "csv"] = "json",
) -> Response:
    """A month (UTC) of bookings between us, from the ledger: what was sold, our fee, what is owed.

    `change` and the balances are what we owe you; below zero, you owe us. Amounts in minor units.
    """
    made = await statements.statement(session, who.merchant_id or "", month)
    if format == "csv":
        name = f'attachment; filename="statement-{made.month}.csv"'
        return Response(made.csv(), media_type="text/csv", headers={"Content-Disposition": name})
    return JSONResponse(made.document())


@router.post("/orders/{order_id}/refund")
async def refund_order(
    order_id: str, body: Refund, request: Request, who: MerchantKey
) -> dict[str, Any]:
    """Give money back to the person; our fee comes back in proportion. Needs an Idempotency-Key."""
    till: Till = request.app.state.till
    async with till.database.transaction() as session:
        await _own(session, who.merchant_id, order_id)
    made = await refunds.refund(
        till,
        merchant_id=who.merchant_id,
        order_id=order_id,
        amount=body.amount,
        reason=body.reason,
        request_key=request.headers["idempotency-key"],
    )
    async with till.database.transaction() as session:
        row = await _own(session, who.merchant_id, order_id)
    return _document(row) | {"refund": {"id": made.id, "state": made.state, "amount": made.amount}}
