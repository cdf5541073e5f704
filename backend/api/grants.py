"""`/operator/v1/users/{id}/grants`: units on top of a plan, given and taken back by operators."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlmodel import col

from backend import auth
from backend.api.strict import INT_MAX, Moment, Strict
from backend.auth import operator_key
from backend.database import Session
from backend.errors import Conflict, NotFound, Unprocessable
from backend.idempotency import IdempotentRoute
from backend.ids import new_id
from backend.turn import Chat
from quotas import grants
from quotas.grants import PRIORITY_GIFT, GrantConflict, QuotaGrant

router = APIRouter(
    prefix="/operator/v1/users/{user_id}/grants",
    tags=["Operator"],
    route_class=IdempotentRoute,
    dependencies=[Depends(operator_key)],
)


class NewGrant(Strict):
    """`units` of the person's `bucket`: turns, or µUSD where the bucket counts cost.

    `id` is yours, to make a repeat harmless; left out, one is made. Grants burn after the plan's
    own window: lower `priority` first, then the one that expires first. Without `rollover` the
    rest ends with the window that is open, or the next one to open.
    """

    id: str | None = Field(None, min_length=1, max_length=200)
    bucket: str = Field(max_length=40)
    units: int = Field(ge=1, le=INT_MAX)
    priority: int = Field(PRIORITY_GIFT, ge=0, le=1_000)
    expires_at: Moment | None = None
    rollover: bool = True
    reason: str = Field("", max_length=500)


@router.post("", status_code=201)
async def create_grant(
    user_id: str, body: NewGrant, request: Request, session: Session
) -> dict[str, Any]:
    """Holds from this moment, also for the window that is open; its end does not move."""
    chat: Chat = request.app.state.chat
    names = [b.name for b in chat.plan_of(await auth.user(session, user_id)).buckets]
    if body.bucket not in names:
        raise Unprocessable(f"bucket: this person's plan has {', '.join(names)}")
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        raise Unprocessable("expires_at: say the time zone, as in 2027-01-31T00:00:00Z")
    grant_id = body.id or new_id("grt")
    given = body.model_dump(exclude={"id"})
    try:
        await grants.grant(session, id=grant_id, subject=user_id, **given)
    except GrantConflict as error:
        raise Conflict(str(error), code="grant_exists") from error
    return (await session.get_one(QuotaGrant, grant_id)).as_json()


@router.get("")
async def list_grants(user_id: str, session: Session) -> dict[str, Any]:
    """Every grant this person ever had, newest first."""
    await auth.user(session, user_id)
    query = select(QuotaGrant).where(col(QuotaGrant.subject) == user_id)
    newest = query.order_by(col(QuotaGrant.created_at).desc(), col(QuotaGrant.id)).limit(1_000)
    rows = (await session.execute(newest)).scalars()
    return {"data": [row.as_json() for row in rows], "next_cursor": None}


@router.delete("/{grant_id}", status_code=204)
async def revoke_grant(user_id: str, grant_id: str, session: Session) -> Response:
    """What is left of it goes; what turns have burnt stays burnt."""
    row = await session.get(QuotaGrant, grant_id)
    if row is None or row.subject != user_id:
        raise NotFound("This person has no grant with this id")
    await grants.revoke(session, id=grant_id)
    return Response(status_code=204)
