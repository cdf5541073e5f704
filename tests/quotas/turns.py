"""Turns on paper: taken, started, settled, released and shown, each in its own transaction."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.database import Database
from quotas import usage
from quotas.plans import Plan
from quotas.usage import Allowance, Swept

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


async def take(
    database: Database,
    turn: str,
    plan: Plan,
    role: str = "light",
    *,
    subject: str = "u",
    at: datetime | None = NOON,
    **other: Any,
) -> Allowance:
    async with database.transaction() as session:
        return await usage.reserve(
            session, turn_id=turn, subject=subject, plan=plan, role=role, at=at, **other
        )


async def settle(
    database: Database,
    turn: str,
    spent: Mapping[Any, int] | None = None,
    at: datetime | None = NOON,
) -> bool:
    async with database.transaction() as session:
        return await usage.settle(session, turn, spent=spent, at=at)


async def release(database: Database, turn: str) -> bool:
    async with database.transaction() as session:
        return await usage.release(session, turn, at=NOON)


async def start(database: Database, turn: str, at: datetime | None = NOON, **other: Any) -> bool:
    async with database.transaction() as session:
        return await usage.start(session, turn, at=at, **other)


async def sweep(database: Database, at: datetime | None, **other: Any) -> Swept:
    async with database.transaction() as session:
        return await usage.sweep(session, at=at, **other)


async def shown(
    database: Database,
    plan: Plan,
    name: str = "light",
    *,
    subject: str = "u",
    at: datetime | None = NOON,
    timezone: str = "UTC",
) -> dict[str, Any]:
    async with database.transaction() as session:
        quota = await usage.meter(session, subject, plan, at=at, timezone=timezone)
    return next(b for b in quota["buckets"] if b["name"] == name)


def counts(bucket: Mapping[str, Any]) -> tuple[int, int, int]:
    return bucket["used"], bucket["held"], bucket["remaining"]
