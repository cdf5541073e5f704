"""Allowances: reserve before the model is asked, settle or release when it has answered.

Every function takes a session and never commits. The gate (`reserve`) and the meter read the same
rows with the same SQL: a bucket denies exactly when its `remaining` is less than the cost. Time is
the database's; `at` exists for the seeded simulation, which owns the clock.
"""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from quotas.holds import BIND, CLOSE, HOLD, LOCK, LOCK_GRANTS, OVERDUE, START, TAKE
from quotas.levels import Costs, Level, lasting, levels, quota_object, used_up, wait_s
from quotas.plans import Plan, Role, Unit, Viewer
from quotas.windows import MAKE, METER, costs_of, lines, people

RESERVED_LEASE_S = 300  # longer than a chain of models may be silent: see `check_files`
IN_FLIGHT_LEASE_S = 900  # longer than any answer
ONE_TURN: Mapping[Unit, int] = {"turns": 1}
TRIES = 5


class HoldConflict(Exception):
    """This turn id belongs to another subject or was reserved for another role."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The gate's answer. Not granted is an answer, not an error: nothing was taken.

    `quota` is the public quota object. `retry_after_s` is set when nothing is left on the ladder:
    seconds until a rung has room again. `state` is the hold's; on a repeat (`replayed`) it may
    have ended already, and only `start` says whether the turn may still run.
    """

    turn_id: str
    requested_role: str
    _: KW_ONLY
    granted: bool
    served_role: str | None = None
    downgrade_reason: str | None = None
    buckets: tuple[str, ...] = ()
    quota: Mapping[str, Any] = field(default_factory=dict)
    retry_after_s: int | None = None
    state: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep ended: holds refunded and holds settled in full."""

    refunded: int
    settled: int


async def reserve(
    session: AsyncSession,
    *,
    turn_id: str,
    subject: str,
    plan: Plan,
    role: str,
    timezone: str = "UTC",
    costs: Mapping[Unit, int] = ONE_TURN,
    ceilings: Mapping[Role, int] | None = None,
    among: Container[str] | None = None,
    at: datetime | None = None,
) -> Allowance:
    """Take from the first rung of the ladder with room in all its buckets.

    `ceilings` are the µUSD that an answer may cost in each role; they go before `costs`. `among`
    names the roles that may stand in (the one asked for always may): the others are stepped over.
    The same turn id again gives the same answer and takes nothing; for another subject or role it
    raises `HoldConflict`. Raises `UnknownRole` for a role that the plan does not include.
    """
    ladder = plan.ladder(role)
    if among is not None:
        ladder = (ladder[0], *(rung for rung in ladder[1:] if rung in among))
    by = Viewer(subject, plan, timezone)
    rows = await _take(
        session,
        {
            "at": at,
            "people": people([by]),
            "lines": lines([plan], ladder=ladder, costs=costs, ceilings=ceilings),
            "turn_id": turn_id,
            "subject": subject,
            "plan": plan.name,
            "role": role,
            "ladder": list(ladder),
            "lease_s": RESERVED_LEASE_S,
        },
    )
    now, each = levels(plan, rows), costs_of(plan, costs, ceilings)
    binding = await _bound(session, turn_id, rows, now, each)
    if rows[0].held_now:
        charged = {r.name: r.cost for r in rows if r.rung == rows[0].chosen}
        served = ladder[rows[0].chosen - 1]
        return granted(turn_id, quota_object(plan, now, role, served, binding, charged, each))
    if (before := await _replay(session, turn_id, by, role, each, at)) is not None:
        return before
    quota = quota_object(plan, now, role, None, binding, {}, each)
    wait = wait_s(now, ladder, each)
    return Allowance(turn_id, role, granted=False, quota=quota, retry_after_s=wait)


async def _bound(
    session: AsyncSession, turn_id: str, rows: Sequence[Any], now: Sequence[Level], costs: Costs
) -> str | None:
    """The bucket that kept the turn from the first rung; the hold is told where it was one of
    several."""
    full = [v for v, r in zip(now, rows, strict=True) if r.rung == 1 and r.room is False]
    binding = lasting(full, costs)
    if rows[0].held_now and len(full) > 1:
        await session.execute(BIND, {"turn_id": turn_id, "binding": binding})
    return binding


def granted(turn_id: str, quota: Mapping[str, Any]) -> Allowance:
    """The answer to a turn that has just taken what `quota` says."""
    return Allowance(
        turn_id,
        quota["requested_role"],
        granted=True,
        served_role=quota["served_role"],
        downgrade_reason=quota["downgrade_reason"],
        buckets=tuple(quota["charged"]),
        quota=quota,
        state="reserved",
    )


async def start(
    session: AsyncSession,
    turn_id: str,
    *,
    lease_s: int = IN_FLIGHT_LEASE_S,
    at: datetime | None = None,
) -> bool:
    """The model has been asked: from here a lost turn is settled, not refunded.

    False when the hold is not reserved any more, or not in time: the turn must not run.
    """
    values = {"turn_id": turn_id, "lease_s": lease_s, "at": at}
    return bool((await session.execute(START, values)).rowcount)  # type: ignore[attr-defined]


async def settle(
    session: AsyncSession,
    turn_id: str,
    *,
    spent: Mapping[Unit, int] | None = None,
    at: datetime | None = None,
) -> bool:
    """Count what the turn used, in the window of its reserve. False when it has ended before.

    A unit missing in `spent` counts as it was reserved. More than was reserved is counted too,
    beyond the cap if need be. Raises `ValueError` for a negative amount.
    """
    if spent and min(spent.values()) < 0:
        raise ValueError("nothing is spent below zero")
    return await _close(session, turn_id, "settled", counted=True, spent=spent or {}, at=at)


async def release(session: AsyncSession, turn_id: str, *, at: datetime | None = None) -> bool:
    """Give everything back: the turn was free of charge. False when it has ended before."""
    return await _close(session, turn_id, "released", counted=False, spent={}, at=at)


async def sweep(session: AsyncSession, *, limit: int = 100, at: datetime | None = None) -> Swept:
    """End holds whose lease ran out: never started → refunded, started → settled in full."""
    values = {"limit": limit, "at": at}
    overdue = list((await session.execute(OVERDUE, values)).all())
    ids = [bucket for hold in overdue for bucket in hold.bucket_ids]
    free = set((await session.execute(LOCK, {"ids": ids})).scalars())
    overdue = [hold for hold in overdue if free.issuperset(hold.bucket_ids)]
    await session.execute(LOCK_GRANTS, {"ids": [g for hold in overdue for g in hold.burnt_ids]})
    settled = 0
    for hold in overdue:
        counted = hold.state == "in_flight"
        settled += counted
        await _close(session, hold.turn_id, "expired", counted=counted, spent={}, at=at)
    return Swept(refunded=len(overdue) - settled, settled=settled)


async def meter(
    session: AsyncSession,
    subject: str,
    plan: Plan,
    *,
    timezone: str = "UTC",
    turn_id: str | None = None,
    ceilings: Mapping[Role, int] | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """The quota object (contract §6) as it stands, and what `turn_id` was charged.

    `ceilings` are those of the turn: with them it tells when there is room for another like it.
    """
    by, hold = Viewer(subject, plan, timezone), await _find(session, turn_id) if turn_id else None
    return await _meter(session, by, hold, costs_of(plan, ONE_TURN, ceilings), at)


async def _meter(
    session: AsyncSession, by: Viewer, hold: Any | None, costs: Costs, at: datetime | None
) -> dict[str, Any]:
    values = {"people": people([by]), "lines": lines([by.plan]), "at": at}
    rows = (await session.execute(METER, values)).all()
    return told(by, levels(by.plan, rows), hold, costs)


def told(by: Viewer, now: Sequence[Level], hold: Any | None, costs: Costs) -> dict[str, Any]:
    """The quota object of the turn that has the hold; of no turn, where it is somebody else's."""
    if hold is None or hold.subject != by.subject:
        return quota_object(by.plan, now, None, None, used_up(now), {}, costs)
    charged = {n: int(c) for n, c in zip(hold.names, hold.charged, strict=True) if c}
    asked, served = hold.requested_role, hold.served_role
    return quota_object(by.plan, now, asked, served, hold.binding, charged, costs)


async def _take(session: AsyncSession, values: dict[str, Any]) -> Sequence[Any]:
    """One statement; where windows have yet to be made they are, and it runs again."""
    for _ in range(TRIES):
        rows = (await session.execute(TAKE, values)).all()
        if not any(row.missing for row in rows):
            return rows
        await session.execute(MAKE, values)
    raise RuntimeError("the windows of a bucket could not be opened; is the clock jumping?")


async def _find(session: AsyncSession, turn_id: str) -> Any | None:
    return (await session.execute(HOLD, {"turn_id": turn_id})).one_or_none()


async def _replay(
    session: AsyncSession,
    turn_id: str,
    by: Viewer,
    role: str,
    costs: Costs,
    at: datetime | None,
) -> Allowance | None:
    hold = await _find(session, turn_id)
    if hold is None:
        return None
    if (hold.subject, hold.requested_role) != (by.subject, role):
        raise HoldConflict(f"turn {turn_id!r} was reserved for another subject or role")
    quota = await _meter(session, by, hold, costs, at)
    return Allowance(
        turn_id,
        role,
        granted=True,
        served_role=hold.served_role,
        downgrade_reason=quota["downgrade_reason"],
        buckets=tuple(hold.names),
        quota=quota,
        state=hold.state,
        replayed=True,
    )


async def _close(
    session: AsyncSession,
    turn_id: str,
    state: str,
    *,
    counted: bool,
    spent: Mapping[Unit, int],
    at: datetime | None,
) -> bool:
    values = {
        "turn_id": turn_id,
        "state": state,
        "counted": counted,
        "spent": json.dumps(dict(spent)),
        "at": at,
    }
    return bool((await session.execute(CLOSE, values)).one().ended)
