"""The decision log: one row for each routed turn, written when the turn has ended.

What a version decided, with which probability, what the other version would have done, and what the
person made of it. It holds no words and no money of ours: a turn's cost is the model's, and what a
merchant pays is in the books, which nothing here can read.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.rollout import Pick
from backend.tally import Tally
from backend.threads import TurnRow
from backend.turn import Request
from graphs.router.judge import unsure
from graphs.state import Ask, Route
from integrations.models import ModelUnavailable

MOMENT: Any = DateTime(timezone=True)
DOCUMENT: Any = JSONB(none_as_null=True)
AGAIN: Final = timedelta(seconds=120)
TIERS: Final[Mapping[str, int]] = {
    "light_mini": 0, "reasoning_mini": 1, "light": 2, "agent": 2, "reasoning": 3,
}  # fmt: skip
"""Roles from the smallest model to the largest."""


class RouterDecision(SQLModel, table=True):
    """`kind`, `role` and `cause` are what held in the end, a judge's verdict included; a `cause`
    of `unsure` is a classifier that could not tell and was not judged. `other_*` is the version
    that decided without serving. `retried`, `repeated` and `switched_up` are what the person did
    next, within two minutes or by the retry button."""

    __tablename__ = "router_decision"
    __table_args__ = (
        Index("router_decision_rollout", "rollout_id", "number"),
        Index("router_decision_version", "version", "arm", "number"),
    )
    turn_id: str = Field(primary_key=True)
    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False)
    )
    rollout_id: int = Field(sa_type=BigInteger)
    version: str
    arm: str
    plan: str
    kind: str
    role: str
    effort: str | None = None
    served_role: str | None = None
    confidence: float
    cause: str
    propensity: float
    probabilities: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    feature_hash: str
    latency_us: int
    failed: list[str] = Field(default_factory=list, sa_type=JSONB)
    other_version: str | None = None
    other_kind: str | None = None
    other_role: str | None = None
    other_cause: str | None = None
    other_latency_us: int | None = None
    overridden: bool = False
    overflow: bool = False
    tool_success: bool | None = None
    retried: bool = False
    repeated: bool = False
    switched_up: bool = False
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


def too_long(error: ModelUnavailable) -> bool:
    """Whether a model refused a conversation for its length."""
    return error.status in (400, 413) and "context" in error.detail.lower()


async def record(
    session: AsyncSession,
    request: Request,
    tally: Tally,
    pick: Pick,
    shadow: tuple[Route, int] | None,
    *,
    overflow: bool,
) -> int | None:
    """Write a turn's decision and mark the earlier one that it corrects. Returns its number, or
    None for a turn that was not routed."""
    if pick.made is None or pick.asked is None:
        return None
    made = pick.made
    route = tally.routed.route if tally.routed else made.route
    served = tally.routed.admission.role if tally.routed else None
    named = tally.routed is not None and tally.routed.admission.model == route.asked_model
    row = RouterDecision(
        turn_id=tally.turn_id,
        rollout_id=pick.plan.rollout_id,
        version=made.version,
        arm=made.arm,
        plan=request.user.plan,
        kind=route.kind,
        role=route.role,
        effort=route.effort,
        served_role=served,
        confidence=route.confidence,
        cause=cause_of(pick.asked, route),
        propensity=propensity(pick, shadow),
        probabilities={str(k): v for k, v in route.probabilities.items()},
        feature_hash=feature_hash(pick, route),
        latency_us=made.latency_us,
        failed=list(made.failed),
        overridden=request.model != "auto" or request.effort is not None or named,
        overflow=overflow,
        tool_success=bool(tally.cards) if route.kind == "commercial" else None,
        **_other(pick, shadow),
    )
    session.add(row)
    await session.flush()
    await session.refresh(row, ["number"])
    await _correct(session, request, tally.turn_id, served)
    return row.number


def _other(pick: Pick, shadow: tuple[Route, int] | None) -> dict[str, Any]:
    if shadow is None:
        return {"other_version": pick.other}
    route, latency_us = shadow
    return {
        "other_version": pick.other,
        "other_kind": route.kind,
        "other_role": route.role,
        "other_cause": cause_of(pick.asked, route),
        "other_latency_us": latency_us,
    }


def cause_of(ask: Ask | None, route: Route) -> str:
    """What decided; `unsure` where a judge would have been asked and was not."""
    return "unsure" if ask is not None and unsure(ask, route) else route.cause


def propensity(pick: Pick, shadow: tuple[Route, int] | None) -> float:
    """The probability of this action for this turn, over the lot that picks the version.

    1 where both versions decide the same; else the share of people whom this version serves.
    """
    share = pick.plan.share / 100
    if pick.made is None or shadow is None or not 0 < share < 1:
        return 1.0
    ours, theirs = pick.made.route, shadow[0]
    same = (ours.kind, ours.role, ours.effort) == (theirs.kind, theirs.role, theirs.effort)
    if same:
        return 1.0
    return share if pick.made.arm == "candidate" else 1 - share


def feature_hash(pick: Pick, route: Route) -> str:
    """Names what the layers saw, as numbers: never the words, so it may outlive them."""
    ask = pick.asked
    assert ask is not None
    seen = {
        "p": dict(route.probabilities),
        "asked": [ask.effort, ask.kind, ask.locked, ask.previous],
        "context": len(ask.context),
        "refused": route.no_purchase,
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


async def _correct(
    session: AsyncSession, request: Request, turn_id: str, served: str | None
) -> None:
    """A turn that asks the same again says that the earlier decision did not serve."""
    earlier = request.retry_of or await _same_before(session, request, turn_id)
    row = await session.get(RouterDecision, earlier) if earlier else None
    if row is None:
        return
    changes: dict[str, Any] = {"retried" if request.retry_of else "repeated": True}
    if TIERS.get(served or "", 0) > TIERS.get(row.served_role or "", 0):
        changes["switched_up"] = True
    await session.execute(
        update(RouterDecision).where(col(RouterDecision.turn_id) == row.turn_id).values(**changes)
    )


async def _same_before(session: AsyncSession, request: Request, turn_id: str) -> str | None:
    """This person's turn of the last two minutes with the same words."""
    same = (
        select(func.lower(func.btrim(col(TurnRow.text))))
        .where(col(TurnRow.id) == turn_id)
        .scalar_subquery()
    )
    query = (
        select(col(TurnRow.id))
        .where(
            col(TurnRow.user_id) == request.user.id,
            col(TurnRow.id) != turn_id,
            col(TurnRow.created_at) > func.now() - AGAIN,
            col(TurnRow.text) != "",
            func.lower(func.btrim(col(TurnRow.text))) == same,
        )
        .order_by(col(TurnRow.created_at).desc())
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none()
