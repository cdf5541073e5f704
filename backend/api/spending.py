"""A day's spending limit: one's own, and the one that operators set for somebody."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from backend import spending
from backend.api.strict import INT_MAX, Currency, Strict
from backend.auth import UserKey, operator_key
from backend.database import Session
from backend.errors import BadRequest
from backend.idempotency import IdempotentRoute
from integrations.money import Money, MoneyError

router = APIRouter(route_class=IdempotentRoute)
OWN, OPERATORS = "/api/me/spending-limit", "/operator/v1/users/{user_id}/spending-limit"


class Limit(Strict):
    """The most that may be agreed to in one day, in minor units."""

    amount: Annotated[int, Field(ge=0, le=INT_MAX)]
    currency: Currency = "EUR"

    def money(self) -> Money:
        try:
            return Money(self.amount, self.currency)
        except MoneyError as error:
            raise BadRequest(f"currency: {error}") from error


@router.get(OWN, tags=["sessions"])
async def own(who: UserKey, session: Session) -> dict[str, Any]:
    """`{limits{person|operator: {amount, currency, remaining}}, spent{currency: n}, resets_at}`.

    A purchase must keep within every limit; one in another currency than a limit's is refused.
    """
    return (await spending.day(session, who.user_id)).document()


@router.put(OWN, tags=["sessions"])
async def set_own(body: Limit, who: UserKey, session: Session) -> dict[str, Any]:
    """From now on, for every device and every chat. `confirm` answers 409 `spending_limit`."""
    await spending.limit(session, who.user_id, "person", body.money())
    return (await spending.day(session, who.user_id)).document()


@router.delete(OWN, tags=["sessions"], status_code=204)
async def lift_own(who: UserKey, session: Session) -> Response:
    await spending.limit(session, who.user_id, "person", None)
    return Response(status_code=204)


@router.put(OPERATORS, tags=["Operator"], dependencies=[Depends(operator_key)])
async def set_theirs(user_id: str, body: Limit, session: Session) -> dict[str, Any]:
    """Beside the person's own limit; the smaller one binds."""
    await spending.limit(session, user_id, "operator", body.money())
    return (await spending.day(session, user_id)).document()


@router.delete(OPERATORS, tags=["Operator"], status_code=204, dependencies=[Depends(operator_key)])
async def lift_theirs(user_id: str, session: Session) -> Response:
    await spending.limit(session, user_id, "operator", None)
    return Response(status_code=204)
