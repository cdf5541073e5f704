"""Models on their way out: who is told, and how an operator brings one back.

A retired model is a line in `models.toml`, still there. Restoring it is a row, so that every API
process of the database sees it within seconds and no file has to be edited in a hurry.
"""

from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.checkout import MOMENT
from backend.errors import NotFound
from backend.seats import Seats
from integrations.model_catalogue import Catalogue
from quotas.plans import Plan

REFRESH_S = 5.0


class RestoredModel(SQLModel, table=True):
    """A model that an operator keeps beyond its date."""

    __tablename__ = "restored_model"
    model: str = Field(primary_key=True)
    restored_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


async def restore(session: AsyncSession, catalogue: Catalogue, model: str) -> None:
    """Raises `NotFound` for a model that has no date on which it goes."""
    if catalogue.retiring(model) is None:
        raise NotFound(f"{model!r} is not a model that retires; see the models file")
    query = insert(RestoredModel).values(model=model, restored_at=func.now())
    await session.execute(query.on_conflict_do_nothing())


async def restored(session: AsyncSession) -> frozenset[str]:
    return frozenset((await session.execute(select(col(RestoredModel.model)))).scalars())


def notices(seats: Seats, pinned: str | None) -> list[dict[str, Any]]:
    """For somebody who pinned a model that goes, from the day of its announcement."""
    going = seats.catalogue.retiring(pinned) if pinned else None
    if going is None or pinned in seats.restored:
        return []
    assert going.retires is not None
    if pinned in seats.listed():
        said = f"{pinned} retires on {going.retires}; {going.successor} then takes over."
        code = "model_retires"
    else:
        said = f"{pinned} retired on {going.retires}; {going.successor} answers in its place."
        code = "model_retired"
    return [
        {
            "code": code,
            "text": said,
            "until": going.retires.isoformat(),
            "model": pinned,
            "successor": going.successor,
        }
    ]


def unheard(seats: Seats, plan: Plan, pinned: str | None) -> list[dict[str, Any]]:
    """For somebody whose preferred model their plan does not include any more: it is not heard."""
    if pinned is None or pinned not in seats.listed() or seats.choosable(plan, pinned):
        return []
    said = f"Your plan ({plan.name}) does not include choosing {pinned}; every turn is routed."
    return [{"code": "model_not_in_plan", "text": said, "model": pinned}]


def headers(seats: Seats, model: str) -> dict[str, str]:
    """For who asks for a model by its id, and has no page to read a banner on: since when it is
    not to be used (RFC 9745), when it goes (RFC 8594) and which one comes after it."""
    going = seats.catalogue.retiring(model)
    if going is None or model in seats.restored:
        return {}
    assert going.announced is not None
    assert going.retires is not None
    return {
        "Deprecation": f"@{int(_midnight(going.announced).timestamp())}",
        "Sunset": format_datetime(_midnight(going.retires), usegmt=True),
        "Link": f'</v1/models/{going.successor}>; rel="successor-version"',
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
