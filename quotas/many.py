"""What `usage` does for one turn, for many at once: one statement and one commit for all of them.

A turn that the batch leaves undecided (`None`) has had nothing taken or ended: `usage` decides it
alone. Whoever is decided here is shown the allowance as it stands when the batch is through.
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from quotas.levels import Level, levels, quota_object
from quotas.plans import Plan, Role, Unit
from quotas.together import GIVE_ALL, HOLDS, START_ALL, TAKE_ALL
from quotas.usage import IN_FLIGHT_LEASE_S, ONE_TURN, RESERVED_LEASE_S, Allowance, charged_by
from quotas.windows import METER, arguments, cost_of


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose allowance is shown, by which plan and in whose days."""

    subject: str
    plan: Plan
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Ask:
    """A turn that wants its allowance; the fields are those of `usage.reserve`."""

    turn_id: str
    by: Viewer
    role: str
    _: KW_ONLY
    costs: Mapping[Unit, int] | None = None
    ceilings: Mapping[Role, int] | None = None
    among: Container[str] | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """A turn that is over. `counted` false gives everything back; `spent` as `usage.settle` says.

    Raises `ValueError` for a negative amount.
    """

    turn_id: str
    by: Viewer
    _: KW_ONLY
    counted: bool
    spent: Mapping[Unit, int] | None = None

    def __post_init__(self) -> None:
        if self.spent and min(self.spent.values()) < 0:
            raise ValueError("nothing is spent below zero")


async def reserve(
    session: AsyncSession, asks: Sequence[Ask], *, at: datetime | None = None
) -> list[Allowance | None]:
    """Each turn takes from its first rung; None for one that has to go the long way.

    Raises `UnknownRole` for a role that a plan does not include.
    """
    first = {ask.turn_id: ask for ask in reversed(asks)}  # a repeat in one batch waits for it
    fresh = [ask for ask in asks if first[ask.turn_id] is ask]
    ladders = {ask.turn_id: ask.by.plan.ladder(ask.role) for ask in fresh}
    wanted = {ask.turn_id: _costs(ask, ladders[ask.turn_id][0]) for ask in fresh}
    values = _columns(fresh, ladders, wanted) | {"lease_s": RESERVED_LEASE_S, "at": at}
    won = set((await session.execute(TAKE_ALL, values)).scalars())
    now = await meters(session, (ask.by for ask in fresh if ask.turn_id in won), at=at)
    return [
        _granted(ask, ladders[ask.turn_id][0], wanted[ask.turn_id], now)
        if ask.turn_id in won and first[ask.turn_id] is ask
        else None
        for ask in asks
    ]


def _costs(ask: Ask, role: Role) -> dict[str, int]:
    costs, ceilings = ask.costs or ONE_TURN, ask.ceilings or {}
    return {b.name: cost_of(b, costs, ceilings) for b in ask.by.plan.of_role(role)}


def _columns(
    asks: Sequence[Ask],
    ladders: Mapping[str, Sequence[Role]],
    wanted: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """Turns as arrays; `lines` says whose each bucket is, counted from 1."""
    lines = [
        (n, bucket, wanted[ask.turn_id][bucket.name])
        for n, ask in enumerate(asks, start=1)
        for bucket in ask.by.plan.of_role(ladders[ask.turn_id][0])
    ]
    return {
        "turns": [ask.turn_id for ask in asks],
        "subjects": [ask.by.subject for ask in asks],
        "plans": [ask.by.plan.name for ask in asks],
        "roles": [ask.role for ask in asks],
        "served": [ladders[ask.turn_id][0] for ask in asks],
        "lines": [n for n, _, _ in lines],
        "names": [bucket.name for _, bucket, _ in lines],
        "caps": [bucket.cap for _, bucket, _ in lines],
        "costs": [cost for _, _, cost in lines],
        "units": [bucket.unit for _, bucket, _ in lines],
    }


def _granted(
    ask: Ask, served: Role, charged: Mapping[str, int], now: Mapping[Any, Sequence[Level]]
) -> Allowance:
    seen = now[_key(ask.by)]
    return Allowance(
        ask.turn_id,
        ask.role,
        granted=True,
        served_role=served,
        buckets=tuple(charged),
        quota=quota_object(ask.by.plan, seen, ask.role, served, None, charged),
        state="reserved",
    )


async def start(
    session: AsyncSession, turns: Sequence[str], *, at: datetime | None = None
) -> list[bool]:
    """Which of them may run on: `usage.start` for each."""
    values = {"turns": sorted(turns), "lease_s": IN_FLIGHT_LEASE_S, "at": at}
    begun = set((await session.execute(START_ALL, values)).scalars())
    return [turn in begun for turn in turns]


async def end(
    session: AsyncSession, endings: Sequence[Ending], *, at: datetime | None = None
) -> list[bool | None]:
    """Settle or release each. False for one that has ended before, None for one that has yet to
    go the long way."""
    first = {ending.turn_id: ending for ending in reversed(endings)}
    values = {
        "turns": list(first),
        "states": ["settled" if e.counted else "released" for e in first.values()],
        "counted": [e.counted for e in first.values()],
        "spent": [json.dumps(dict(e.spent or {})) for e in first.values()],
        "at": at,
    }
    ended = {row.turn_id: row.ended for row in await session.execute(GIVE_ALL, values)}
    return [ended[e.turn_id] if first[e.turn_id] is e else None for e in endings]


async def quotas(
    session: AsyncSession, turns: Mapping[str, Viewer], *, at: datetime | None = None
) -> dict[str, dict[str, Any]]:
    """The quota object of each turn, as `usage.meter` gives it."""
    now = await meters(session, turns.values(), at=at)
    holds = {row.turn_id: row for row in await session.execute(HOLDS, {"turns": list(turns)})}
    shown = {}
    for turn_id, by in turns.items():
        seen, hold = now[_key(by)], holds.get(turn_id)
        if hold is None or hold.subject != by.subject:
            full = next((level.bucket.name for level in seen if not level.remaining), None)
            shown[turn_id] = quota_object(by.plan, seen, None, None, full, {})
        else:
            asked, served = hold.requested_role, hold.served_role
            charged = charged_by(hold)
            shown[turn_id] = quota_object(by.plan, seen, asked, served, hold.binding, charged)
    return shown


async def meters(
    session: AsyncSession, viewers: Iterable[Viewer], *, at: datetime | None = None
) -> dict[tuple[str, str, str], list[Level]]:
    """How the buckets of each stand, all read at once."""
    apart = {_key(by): by for by in viewers}
    if not apart:
        return {}
    values: dict[str, Any] = {"at": at}
    for by in apart.values():
        known = arguments(by.plan, subject=by.subject, timezone=by.timezone, at=at, costs=ONE_TURN)
        for name, column in known.items():
            if isinstance(column, list):
                values.setdefault(name, []).extend(column)
    rows = iter((await session.execute(METER, values)).all())
    return {
        key: levels(by.plan, [next(rows) for _ in by.plan.buckets]) for key, by in apart.items()
    }


def _key(by: Viewer) -> tuple[str, str, str]:
    return by.subject, by.plan.name, by.timezone
