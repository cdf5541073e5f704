"""Booking offers as partners answered them, kept long enough to be chosen and quoted.

They are answers of one moment, never stock: the quote asks the partner again. The id is made from
what is offered and when, so the same search twice shows the same offers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import DateTime, Index, delete, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from integrations.money import Money
from integrations.partner import BookingDetails, Found

LIFE = timedelta(minutes=30)
_MOMENT: Any = DateTime(timezone=True)


class OfferRow(SQLModel, table=True):
    """`snapshot` is the partner's `Found` without its booking, which has a column of its own."""

    __tablename__ = "offer"
    __table_args__ = (Index("offer_expiry", "expires_at"),)
    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchant.id", index=True)
    kind: str = "booking"
    item_id: str
    snapshot: dict[str, Any] = Field(sa_type=JSONB)
    booking: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    created_at: datetime = Field(default_factory=func.now, sa_type=_MOMENT)
    expires_at: datetime = Field(sa_type=_MOMENT)


@dataclass(frozen=True, slots=True)
class Kept:
    """One stored offer, read back."""

    id: str
    merchant_id: str
    kind: Literal["purchase", "booking"]
    found: Found


def booking_id(merchant_id: str, found: Found) -> str:
    named = json.dumps([merchant_id, found.item_id, write(found.booking)], sort_keys=True)
    return f"off_{hashlib.sha256(named.encode()).hexdigest()[:24]}"


async def keep(session: AsyncSession, found: Sequence[tuple[str, Found]]) -> None:
    """`found`: (merchant id, answer). A newer answer about the same thing replaces the older."""
    if not found:
        return
    rows = {booking_id(merchant, one): (merchant, one) for merchant, one in found}
    values = [
        {
            "id": id_,
            "merchant_id": merchant,
            "kind": "booking",
            "item_id": one.item_id,
            "snapshot": _snapshot(one),
            "booking": write(one.booking),
            "created_at": func.now(),
            "expires_at": func.now() + LIFE,
        }
        for id_, (merchant, one) in sorted(rows.items())
    ]
    query = insert(OfferRow).values(values)
    fresh = {name: query.excluded[name] for name in ("snapshot", "expires_at")}
    await session.execute(query.on_conflict_do_update(index_elements=["id"], set_=fresh))


async def load(session: AsyncSession, ids: Sequence[str]) -> dict[str, Kept]:
    """Those that have not expired, by id."""
    query = select(OfferRow).where(
        col(OfferRow.id).in_(list(ids)), col(OfferRow.expires_at) > func.now()
    )
    rows = (await session.execute(query)).scalars()
    return {row.id: Kept(row.id, row.merchant_id, "booking", _found(row)) for row in rows}


async def sweep(session: AsyncSession) -> int:
    """Forget what nobody can choose any more: a day past its end. How many."""
    done = await session.execute(
        delete(OfferRow)
        .where(col(OfferRow.expires_at) < func.now() - timedelta(days=1))
        .returning(col(OfferRow.id))
    )
    return len(done.all())


def _snapshot(found: Found) -> dict[str, Any]:
    fields = {k: v for k, v in asdict(found).items() if k not in ("booking", "price")}
    return fields | {"price": {"amount": found.price.amount, "currency": found.price.currency}}


def _found(row: OfferRow) -> Found:
    fields = dict(row.snapshot)
    price = fields.pop("price")
    return Found(
        price=Money(price["amount"], price["currency"]), booking=read(row.booking), **fields
    )


def write(details: BookingDetails | None) -> dict[str, Any] | None:
    if details is None:
        return None
    return {
        "date": details.date.isoformat(),
        "party": details.party,
        "time": details.time.isoformat() if details.time else None,
        "nights": details.nights,
    }


def read(stored: Mapping[str, Any] | None) -> BookingDetails | None:
    if stored is None:
        return None
    return BookingDetails(
        date=date.fromisoformat(stored["date"]),
        party=stored["party"],
        time=time.fromisoformat(stored["time"]) if stored["time"] else None,
        nights=stored["nights"],
    )
