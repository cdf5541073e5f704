"""What `usage` does for one turn, for many at once: one statement and one commit for all of them.

A turn that the batch leaves undecided (`None`) has had nothing taken or ended: `usage` decides it
alone. Whoever is decided here is shown the allowance as it stands when the batch is through.
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from quotas.functions import GIVE_ALL, START_ALL, TAKE_ALL
from quotas.levels import Costs, Level, levels, quota_object
from quotas.plans import Plan, Role, Unit, Viewer
from quotas.usage import IN_FLIGHT_LEASE_S, ONE_TURN, RESERVED_LEASE_S, Allowance, granted, told
from quotas.windows import costs_of, lines, people

# A session, or a connection whose transaction the driver keeps.
Place = AsyncSession | AsyncConnection


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
    """A turn that is over. `counted` false gives everything back; `spent` as `usage.settle` and
    `ceilings` as `usage.meter` says.

    Raises `ValueError` for a negative amount.
    """

    turn_id: str
    by: Viewer
    _: KW_ONLY
    counted: bool
    spent: Mapping[Unit, int] | None = None
    ceilings: Mapping[Role, int] | None = None

    def __post_init__(self) -> None:
        if self.spent and min(self.spent.values()) < 0:
            raise ValueError("nothing is spent below zero")


async def reserve(
    place: Place, asks: Sequence[Ask], *, at: datetime | None = None
) -> list[Allowance | None]:
    """Each turn takes from its first rung; None for one that has to go the long way.

    Raises `UnknownRole` for a role that a plan does not include.
    """
    first = {ask.turn_id: ask for ask in reversed(asks)}  # a repeat in one batch waits for it
    served = {turn: ask.by.plan.ladder(ask.role)[0] for turn, ask in first.items()}
    costs = {
        turn: costs_of(ask.by.plan, ask.costs or ONE_TURN, ask.ceilings)
        for turn, ask in first.items()
    }
    records = [
        {
            "n": n,
            "turn_id": turn,
            "subject": ask.by.subject,
            "plan": ask.by.plan.name,
            "timezone": ask.by.timezone,
            "role": ask.role,
            "served": served[turn],
            "costs": costs[turn],
        }
        for n, (turn, ask) in enumerate(reversed(first.items()))
    ]
    values = {
        "asks": json.dumps(records),
        "lease_s": RESERVED_LEASE_S,
    }
    decided, now = await _decided(place, TAKE_ALL, values, [ask.by for ask in asks], at)
    won = frozenset(decided)
    return [
        _granted(ask, served[ask.turn_id], costs[ask.turn_id], now)
        if ask.turn_id in won and first[ask.turn_id] is ask
        else None
        for ask in asks
    ]


def _plans(viewers: Iterable[Viewer]) -> Iterable[Plan]:
    return {by.plan.name: by.plan for by in viewers}.values()


def _granted(ask: Ask, served: Role, costs: Costs, now: Mapping[Any, Sequence[Level]]) -> Allowance:
    plan, seen = ask.by.plan, now[_key(ask.by)]
    charged = {b.name: costs[b.name] for b in plan.of_role(served)}
    return granted(ask.turn_id, quota_object(plan, seen, ask.role, served, None, charged, costs))


async def start(place: Place, turns: Sequence[str], *, at: datetime | None = None) -> list[bool]:
    """Which of them may run on: `usage.start` for each."""
    values = {"turns": sorted(turns), "lease_s": IN_FLIGHT_LEASE_S, "at": at}
    begun = {turn for (turn,) in await _rows(place, START_ALL, values)}
    return [turn in begun for turn in turns]


@dataclass(frozen=True, slots=True)
class Ended:
    """`now` is false for a turn that had ended before. `quota` is the object that is shown."""

    now: bool
    quota: dict[str, Any]


async def end(
    place: Place, endings: Sequence[Ending], *, at: datetime | None = None
) -> list[Ended | None]:
    """Settle or release each; None for one that has yet to go the long way."""
    first = {ending.turn_id: ending for ending in reversed(endings)}
    records = [
        {
            "turn_id": turn,
            "state": "settled" if ending.counted else "released",
            "counted": ending.counted,
            "spent": dict(ending.spent or {}),
        }
        for turn, ending in first.items()
    ]
    values, viewers = {"endings": json.dumps(records)}, [ending.by for ending in endings]
    decided, now = await _decided(place, GIVE_ALL, values, viewers, at)
    rows = {row["turn_id"]: SimpleNamespace(**row) for row in decided}
    return [
        None
        if rows[e.turn_id].ended is None or first[e.turn_id] is not e
        else Ended(rows[e.turn_id].ended, _shown(e, now, rows[e.turn_id]))
        for e in endings
    ]


def _shown(e: Ending, now: Mapping[Any, Sequence[Level]], hold: Any) -> dict[str, Any]:
    """The quota object of a turn, as `usage.meter` gives it."""
    return told(e.by, now[_key(e.by)], hold, costs_of(e.by.plan, ONE_TURN, e.ceilings))


async def _decided(
    place: Place,
    statement: str,
    values: Mapping[str, Any],
    viewers: Sequence[Viewer],
    at: datetime | None,
) -> tuple[list[Any], dict[tuple[str, str, str], list[Level]]]:
    """What the statement decided, and how the buckets of each viewer stand after it."""
    apart = {_key(by): by for by in viewers}
    seen = {"people": people(apart.values()), "lines": lines(_plans(apart.values())), "at": at}
    rows = await _rows(place, statement, {**seen, **values})
    left = iter(rows)
    now = {key: levels(by.plan, [next(left) for _ in by.plan.buckets]) for key, by in apart.items()}
    return rows[0][-1] or [], now


async def _rows(place: Place, statement: str, values: Mapping[str, Any]) -> list[Any]:
    """By the driver itself, whose plans and rows are all that is wanted: every turn waits here."""
    connection = await place.connection() if isinstance(place, AsyncSession) else place
    driver: Any = (await connection.get_raw_connection()).driver_connection
    return list(await (await driver.execute(statement, values, prepare=True)).fetchall())


def _key(by: Viewer) -> tuple[str, str, str]:
    return by.subject, by.plan.name, by.timezone
