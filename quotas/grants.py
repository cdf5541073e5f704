"""Grants: units that come on top of a plan, such as gifts and credit packs.

A turn uses its plan's window first. What the window lacks is burnt from grants in one order:
lower priority number, then earlier expiry (never comes last), then earlier made. The hold keeps
that order; what a turn gives back returns in reverse, so the last grant touched is refilled first.

A grant raises the cap of the window that is open and never moves its end. With `rollover` the rest
stays for later windows until it expires; without, it goes when the window does (a rolling window
never ends: there only `expires_at` ends it).
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from quotas.buckets import COUNT, MOMENT, TEXT

PRIORITY_GIFT = 10  # a gift is burnt before what was paid for
PRIORITY_PAID = 20


class GrantConflict(Exception):
    """This id names a grant with other contents; nothing was granted."""


class QuotaGrant(SQLModel, table=True):
    """`remaining` of `units` are neither held nor used. `ordinal` binds it to one window."""

    __tablename__ = "quota_grant"
    __table_args__ = (
        CheckConstraint("units > 0 AND remaining BETWEEN 0 AND units", name="quota_grant_counts"),
        Index(
            "quota_grant_live",
            "subject",
            postgresql_where=text("remaining > 0 AND revoked_at IS NULL"),
        ),
        Index("quota_grant_of_subject", "subject", "created_at"),
    )
    id: str = Field(sa_type=TEXT, primary_key=True)
    subject: str = Field(sa_type=TEXT)
    bucket: str = Field(sa_type=TEXT)
    units: int = Field(sa_type=COUNT)
    remaining: int = Field(sa_type=COUNT)
    priority: int
    expires_at: datetime | None = Field(default=None, sa_type=MOMENT)
    rollover: bool
    ordinal: int | None = None
    reason: str = Field(sa_type=TEXT)
    created_at: datetime | None = Field(
        default=None,
        sa_type=MOMENT,
        nullable=False,
        sa_column_kwargs={"server_default": func.now()},
    )
    revoked_at: datetime | None = Field(default=None, sa_type=MOMENT)

    def as_json(self) -> dict[str, Any]:
        """A grant as people and operators see it. Units are the bucket's."""
        return {
            "id": self.id,
            "bucket": self.bucket,
            "units": self.units,
            "remaining": 0 if self.revoked_at else self.remaining,
            "priority": self.priority,
            "expires_at": _utc(self.expires_at),
            "rollover": self.rollover,
            "reason": self.reason,
            "created_at": _utc(self.created_at),
            "revoked_at": _utc(self.revoked_at),
        }


def _utc(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


# Which grants `g` may be burnt now (`k` is the clock), and in which order.
LIVE = "g.remaining > 0 AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > k.t)"
BURN_ORDER = "g.bucket, g.priority, g.expires_at, g.created_at, g.id"

# One that ends with its window belongs to the one that is open, else to the next one to open.
ADD = text("""
INSERT INTO quota_grant (id, subject, bucket, units, remaining, priority, expires_at, rollover,
  reason, ordinal, created_at)
SELECT :id, :subject, :bucket, :units, :units, :priority, CAST(:expires_at AS timestamptz),
  :rollover, :reason, CASE WHEN NOT :rollover THEN COALESCE((
    SELECT b.ordinal + CASE WHEN b.resets_at <= k.t THEN 1 ELSE 0 END FROM quota_bucket b
    WHERE b.subject = :subject AND b.name = :bucket ORDER BY b.ordinal DESC LIMIT 1
  ), 1) END, k.t
FROM (SELECT COALESCE(CAST(:at AS timestamptz), now()) AS t) k
ON CONFLICT (id) DO NOTHING
""")
REVOKE = text("""
UPDATE quota_grant SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL RETURNING remaining
""")

# What was burnt stays burnt; the part is rounded down, in the person's favour.
_KEPT = """GREATEST(1, units - remaining,
    units - CAST(floor(CAST(units AS numeric) * :part / :whole) AS bigint))"""
CUT = text(f"""
UPDATE quota_grant SET units = {_KEPT}, remaining = {_KEPT} - (units - remaining)
WHERE id = :id AND revoked_at IS NULL
""")  # noqa: S608 - built from a constant; every value is bound
# One that was revoked comes back only where the caller knows why it was.
RESTORE = text("""
UPDATE quota_grant SET units = GREATEST(1, units - remaining, :units),
  remaining = GREATEST(1, units - remaining, :units) - (units - remaining), revoked_at = NULL
WHERE id = :id AND (:revoked OR revoked_at IS NULL)
""")

HAND_OVER = text("UPDATE quota_grant SET subject = :to WHERE subject = :of AND rollover")


async def grant(
    session: AsyncSession,
    *,
    id: str,
    subject: str,
    bucket: str,
    units: int,
    priority: int,
    expires_at: datetime | None,
    rollover: bool,
    reason: str,
    at: datetime | None = None,
) -> bool:
    """Give `units` (turns, or µUSD in a bucket of cost) of `bucket` to `subject`.

    True when it was made; False when this id was made before, with the same contents. Raises
    `GrantConflict` for the same id with others, `ValueError` for less than one unit or a time
    without a zone. `at` is for the seeded simulation, which owns the clock.
    """
    if units < 1:
        raise ValueError("a grant has at least one unit")
    if expires_at is not None and expires_at.tzinfo is None:
        raise ValueError("expires_at needs a time zone")
    wanted = {
        "subject": subject,
        "bucket": bucket,
        "units": units,
        "priority": priority,
        "expires_at": expires_at,
        "rollover": rollover,
    }
    made = await session.execute(ADD, wanted | {"id": id, "reason": reason, "at": at})
    if made.rowcount:  # type: ignore[attr-defined]
        return True
    row = await session.get_one(QuotaGrant, id)
    if any(getattr(row, key) != value for key, value in wanted.items()):
        raise GrantConflict(f"the grant {id!r} exists with other contents")
    return False


async def revoke(session: AsyncSession, *, id: str) -> int:
    """Take back what is left of a grant; what turns have burnt stays burnt.

    The units taken back; 0 for one that is unknown or was revoked before.
    """
    return (await session.execute(REVOKE, {"id": id})).scalar_one_or_none() or 0


async def cut(session: AsyncSession, *, id: str, part: int, whole: int) -> None:
    """Take back `part` of `whole` of a grant, as far as it is not burnt: its price was refunded so.

    Raises `ValueError` for a part that is not within the whole.
    """
    if not 0 <= part <= whole or not whole:
        raise ValueError("a part lies between nothing and the whole")
    await session.execute(CUT, {"id": id, "part": part, "whole": whole})


async def restore(session: AsyncSession, *, id: str, units: int, revoked: bool) -> None:
    """A grant has `units` again, less what was burnt: its price was not refunded after all.

    `revoked`: it was revoked for that refund, and is no more.
    """
    await session.execute(RESTORE, {"id": id, "units": units, "revoked": revoked})


async def hand_over(session: AsyncSession, *, of: str, to: str) -> None:
    """What one subject was given is the other's now; what is bound to a window stays behind."""
    await session.execute(HAND_OVER, {"of": of, "to": to})
