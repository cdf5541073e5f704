"""Which versions of its feed a merchant has sent, each with its bytes' digest and its answer.

`X-Feed-Version` is the key of a whole feed, as `Idempotency-Key` is of a POST: the same version
and bytes get the same answer and one effect, so that a repeat that comes late cannot undo what
came after it; other bytes under a known version are refused.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, delete, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.errors import IdempotencyConflict

KEPT = timedelta(days=90)
_MOMENT: Any = DateTime(timezone=True)


class FeedVersion(SQLModel, table=True):
    """A feed that was applied. `answer` is what the merchant was told."""

    __tablename__ = "feed_version"
    merchant_id: str = Field(foreign_key="merchant.id", primary_key=True)
    version: str = Field(primary_key=True)
    digest: str
    answer: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    created_at: datetime = Field(default_factory=func.now, sa_type=_MOMENT)


async def answered(session: AsyncSession, sent: FeedVersion) -> dict[str, Any] | None:
    """What this feed was answered before. Raises `IdempotencyConflict` for other bytes."""
    row = await session.get(FeedVersion, (sent.merchant_id, sent.version))
    if row is None:
        return None
    if row.digest != sent.digest:
        raise IdempotencyConflict(
            "X-Feed-Version: you sent another feed under this version; give this one a new version"
        )
    return row.answer


async def forget_old(session: AsyncSession) -> None:
    await session.execute(
        delete(FeedVersion).where(col(FeedVersion.created_at) < func.now() - KEPT)
    )
