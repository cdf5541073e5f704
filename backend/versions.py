"""Router versions and who is served by which: two tables that only grow.

A version is its weights and policies, named by their hash, and never changes. A rollout is a row
that says what holds from now on; the newest one is the truth for every process. Nothing is edited,
so the table is also the history of who changed what, and why.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, Column, DateTime, Identity, LargeBinary, Text, func, select, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.errors import Conflict, NotFound
from graphs.router.rules_only import VERSION as RULES_ONLY

__all__ = ["RULES_ONLY", "Rollout", "RouterVersion"]

MOMENT: Any = DateTime(timezone=True)
BYTES: Any = LargeBinary()
DOCUMENT: Any = JSONB(none_as_null=True)

Stage = Literal["shadow", "1", "5", "25", "100"]
SHARES: Final = {"shadow": 0, "1": 1, "5": 5, "25": 25, "100": 100}
"""Percent of people that each stage serves."""

# One change of a rollout at a time, whoever makes it: the key is any constant of our own.
_LOCK: Final = 7_460_412


class RouterVersion(SQLModel, table=True):
    """`source`: installed (the files of this installation) or trained. `evaluation` is the newest
    offline comparison; all else is written once."""

    __tablename__ = "router_version"
    id: str = Field(primary_key=True)
    source: str
    weights: bytes = Field(sa_type=BYTES)
    policies: str = Field(sa_column=Column(Text, nullable=False))
    learnt: int = 0  # examples from people's feedback
    learnt_until: datetime | None = Field(default=None, sa_type=MOMENT)
    evaluation: dict[str, Any] | None = Field(default=None, sa_type=DOCUMENT)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


class Rollout(SQLModel, table=True):
    """From now on `candidate` serves `stage` percent of people and `base` the others.

    Without a candidate `base` serves everyone. `changed_by`: start, operator or tripwire.
    """

    __tablename__ = "router_rollout"
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    base: str
    candidate: str | None = None
    stage: str | None = None
    changed_by: str
    reason: str
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)

    @property
    def share(self) -> int:
        """Percent of people whom the candidate serves."""
        return SHARES[self.stage] if self.candidate and self.stage else 0

    @property
    def serving(self) -> str:
        """The version of most people."""
        return self.candidate if self.candidate and self.stage == "100" else self.base


def name_of(weights: bytes, policies: str) -> str:
    """A version's id: twelve hexadecimal digits of what it is made of."""
    return hashlib.sha256(
        hashlib.sha256(weights).digest() + hashlib.sha256(policies.encode()).digest()
    ).hexdigest()[:12]


async def register(
    session: AsyncSession,
    *,
    weights: bytes,
    policies: str,
    source: Literal["installed", "trained"],
    learnt: int = 0,
    learnt_until: datetime | None = None,
    evaluation: dict[str, Any] | None = None,
) -> str:
    """Keep a version and return its id. The same weights and policies are the same version."""
    version = name_of(weights, policies)
    values = {"learnt": learnt, "learnt_until": learnt_until, "evaluation": evaluation}
    await session.execute(
        insert(RouterVersion)
        .values(id=version, source=source, weights=weights, policies=policies)
        .values(created_at=func.now(), **values)
        .on_conflict_do_nothing()
    )
    return version


async def install(session: AsyncSession, weights: bytes, policies: str) -> str:
    """Register this installation's own files and let them hold: at the start, and whenever the
    policies file is edited.

    The installed weights serve unless something is rolled out or a trained version serves; the
    installed policies always do, because they are the operator's word. Returns the version that
    these files make.
    """
    installed = await register(session, weights=weights, policies=policies, source="installed")
    held = await _locked(session)
    if held is None:
        await _write(session, base=installed, by="start", reason="first start")
        return installed
    base = await _by_these_policies(session, held.base, policies)
    if held.candidate is None and await _is_installed(session, held.base):
        base = installed
    candidate = held.candidate and await _by_these_policies(session, held.candidate, policies)
    if (base, candidate) != (held.base, held.candidate):
        reason = "the installed files changed"
        await _write(
            session, base=base, candidate=candidate, stage=held.stage, by="start", reason=reason
        )
    return installed


async def _is_installed(session: AsyncSession, version_id: str) -> bool:
    row = await session.get(RouterVersion, version_id)
    return row is not None and row.source == "installed"


async def _by_these_policies(session: AsyncSession, version_id: str, policies: str) -> str:
    """The same weights beside these policies. Its comparison stands: it was of the weights."""
    row = await session.get(RouterVersion, version_id)
    if row is None or row.policies == policies:
        return version_id
    return await register(
        session,
        weights=row.weights,
        policies=policies,
        source="installed" if row.source == "installed" else "trained",
        learnt=row.learnt,
        learnt_until=row.learnt_until,
        evaluation=row.evaluation,
    )


async def current(session: AsyncSession) -> Rollout:
    """What holds now. Raises `Conflict` before the first start of the product."""
    newest = select(Rollout).order_by(col(Rollout.id).desc()).limit(1)
    found = (await session.execute(newest)).scalar_one_or_none()
    if found is None:
        raise Conflict("No router version serves yet: start the product once", code="no_router")
    return found


async def version(session: AsyncSession, version_id: str) -> RouterVersion:
    found = await session.get(RouterVersion, version_id)
    if found is None:
        raise NotFound(
            f"There is no router version {version_id!r}; GET /operator/v1/router/versions lists "
            "them",
            code="router_version_not_found",
        )
    return found


async def newest(session: AsyncSession, *, limit: int) -> Sequence[RouterVersion]:
    query = select(RouterVersion).order_by(
        col(RouterVersion.created_at).desc(), col(RouterVersion.id)
    )
    return (await session.execute(query.limit(limit))).scalars().all()


async def roll_out(
    session: AsyncSession, version_id: str, stage: Stage, *, by: str = "operator", reason: str = ""
) -> Rollout:
    """Serve `stage` percent of people by this version. `rules-only` is the kill switch.

    Raises `NotFound`, or `Conflict` (`offline_gate`) for a trained version that has not passed its
    comparison and would serve anyone.
    """
    if version_id != RULES_ONLY:
        _gate(await version(session, version_id), stage)
    held = await _locked(session) or await current(session)
    base = held.base
    if held.candidate not in (None, version_id, RULES_ONLY) and held.stage == "100":
        base = held.serving
    return await _write(
        session, base=base, candidate=version_id, stage=stage, by=by, reason=reason or "asked for"
    )


def _gate(row: RouterVersion, stage: Stage) -> None:
    passed = row.source == "installed" or bool(row.evaluation and row.evaluation.get("passed"))
    if stage != "shadow" and not passed:
        why = "; ".join((row.evaluation or {}).get("failed", [])) or "it was never compared"
        raise Conflict(
            f"Version {row.id} has not passed the offline gate ({why}): run `emptor router "
            "evaluate` with it, or roll it out as shadow",
            code="offline_gate",
        )


async def roll_back(
    session: AsyncSession, *, by: str = "operator", reason: str = "", of: int | None = None
) -> Rollout:
    """Back to the version before, for everyone. With `of` only while that rollout still holds.

    Raises `Conflict` (`nothing_to_roll_back`) when no other version serves or shadows.
    """
    held = await _locked(session) or await current(session)
    if held.candidate is None or (of is not None and held.id != of):
        raise Conflict(
            f"Version {held.base} serves everyone and nothing is rolled out beside it",
            code="nothing_to_roll_back",
        )
    told = reason or f"{held.candidate} was rolled back"
    return await _write(session, base=held.base, by=by, reason=told)


async def _locked(session: AsyncSession) -> Rollout | None:
    """The newest row, while nobody else can write a newer one."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    query = select(Rollout).order_by(col(Rollout.id).desc()).limit(1)
    return (await session.execute(query)).scalar_one_or_none()


async def _write(
    session: AsyncSession,
    *,
    base: str,
    by: str,
    reason: str,
    candidate: str | None = None,
    stage: str | None = None,
) -> Rollout:
    row = Rollout(base=base, candidate=candidate, stage=stage, changed_by=by, reason=reason[:500])
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row
