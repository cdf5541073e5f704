"""`/operator/v1/router`: which version decides for whom; change it, and take the change back."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from backend import tripwires, versions
from backend.api.strict import Strict
from backend.auth import operator_key
from backend.database import Session
from backend.idempotency import IdempotentRoute
from backend.versions import RULES_ONLY, Rollout, RouterVersion, Stage

router = APIRouter(
    prefix="/operator/v1/router",
    tags=["Operator"],
    route_class=IdempotentRoute,
    dependencies=[Depends(operator_key)],
)


class NewRollout(Strict):
    """`stage` is the percent of people that the version serves, the same people each time; `shadow`
    decides without serving. The version `rules-only` is the kill switch."""

    version: str = Field(min_length=1, max_length=64)
    stage: Literal["shadow", "1", "5", "25", "100", 1, 5, 25, 100]

    @field_validator("stage", mode="before")
    @classmethod
    def _not_a_boolean(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("choose shadow, 1, 5, 25 or 100")  # noqa: TRY004 - the answer is a 422
        return value


class NewRollback(Strict):
    reason: str = Field("", max_length=300)


@router.get("/status")
async def router_status(session: Session) -> dict[str, Any]:
    """What serves now, what is being tried beside it, and every tripwire's figure."""
    return await status(session, await versions.current(session))


@router.get("/versions")
async def router_versions(
    session: Session, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """Newest first. A version never changes; its id is the hash of its weights and policies."""
    held = await versions.current(session)
    rows = await versions.newest(session, limit=limit)
    return {"data": [document(row, held) for row in rows], "next_cursor": None}


@router.post("/rollout")
async def roll_out(body: NewRollout, session: Session) -> dict[str, Any]:
    """Serve a version to a share of people. Every process follows within seconds.

    409 `offline_gate` for a trained version that has not passed `emptor router evaluate`.
    """
    stage: Stage = str(body.stage)  # type: ignore[assignment]
    return await status(session, await versions.roll_out(session, body.version, stage))


@router.post("/rollback")
async def roll_back(session: Session, body: NewRollback | None = None) -> dict[str, Any]:
    """Back to the version before, for everyone. 409 `nothing_to_roll_back` when there is none."""
    reason = body.reason if body is not None else ""
    return await status(session, await versions.roll_back(session, reason=reason))


async def status(session: AsyncSession, held: Rollout) -> dict[str, Any]:
    found = await tripwires.look(session, held)
    return {
        "serving": held.serving,
        "rules_only": held.serving == RULES_ONLY,
        "base": held.base,
        "candidate": held.candidate,
        "stage": held.stage,
        "since": held.created_at,
        "changed_by": held.changed_by,
        "reason": held.reason,
        "tripwires": tripwires.as_json(found),
    }


def document(row: RouterVersion, held: Rollout) -> dict[str, Any]:
    stage = held.stage if row.id == held.candidate else None
    if stage is None and row.id == held.base and held.serving == held.base:
        stage = str(100 - held.share)
    return {
        "version": row.id,
        "source": row.source,
        "stage": stage,
        "learnt": row.learnt,
        "learnt_until": row.learnt_until,
        "evaluation": row.evaluation,
        "created_at": row.created_at,
    }
