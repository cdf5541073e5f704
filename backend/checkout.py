"""The checkout's row: one purchase or booking at one merchant, and how it may change.

    draft → quoted → (held) → awaiting_confirmation → authorising → placing → completed
                                        │                  └──┬──────┘ ⇄ outcome_unknown
                          canceled | expired                failed

Every change is one compare-and-swap from exactly what was seen (`move`), so that any number of
people, workers and restarts can act on the same row. `step` is what the driver does next.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.database import RETURNED
from backend.errors import NotFound
from backend.ids import new_id
from integrations.money import Money
from integrations.partner import Address, BookingDetails, Buyer

State = Literal[
    "draft",
    "quoted",
    "held",
    "awaiting_confirmation",
    "authorising",
    "placing",
    "completed",
    "failed",
    "outcome_unknown",
    "canceled",
    "expired",
]
OPEN: tuple[State, ...] = ("draft", "quoted", "held", "awaiting_confirmation")
MOVING: tuple[State, ...] = ("authorising", "placing", "outcome_unknown")
ENDED: tuple[State, ...] = ("completed", "failed", "canceled", "expired")

_WITHOUT_ORDER: tuple[State, ...] = ("failed", "canceled", "expired")

Step = Literal["authorise", "authenticate", "recheck", "place", "capture", "settle", "undo", "void"]

DRAFT_LIFE = timedelta(hours=1)
_ID = re.compile(r"[a-z]{2,8}_[0-9a-f]{24}")
MOMENT: Any = DateTime(timezone=True)


class Checkout(SQLModel, table=True):
    """`quote` is the merchant's answer, `confirmation` what the person is shown (and its hash).

    `changes` is set where it moves a booking that was paid before: `{order_id, merchant_order_id,
    booking}`, the booking as it was. `fee` and `fee_terms` are ours alone: neither a model nor a
    ranker nor the page sees them.
    `lease` names the one driver that may move the row until `lease_until` (database clock).
    """

    __tablename__ = "checkout"
    __table_args__ = (
        CheckConstraint(f"state IN {(*OPEN, *MOVING, *ENDED)!r}", name="checkout_state"),
        CheckConstraint("total IS NULL OR total >= 0", name="checkout_total"),
        CheckConstraint("fee IS NULL OR fee >= 0", name="checkout_fee"),
        Index("checkout_request", "user_id", "request_key", unique=True),
        Index("checkout_reference", "reference"),
        Index(
            "checkout_theirs",
            "merchant_order_id",
            "merchant_id",
            unique=True,
            postgresql_where="(changes ->> 'order_id') IS NULL AND NOT doubled"
            f" AND state NOT IN {_WITHOUT_ORDER!r}",
        ),
        Index("checkout_due", "next_drive_at", postgresql_where="next_drive_at IS NOT NULL"),
        Index("checkout_release", "release_at", postgresql_where="release_at IS NOT NULL"),
        Index("checkout_expiry", "expires_at", postgresql_where=f"state IN {OPEN!r}"),
    )
    id: str = Field(default_factory=lambda: new_id("chk"), primary_key=True)
    user_id: str = Field(index=True)
    thread_id: str | None = Field(default=None, index=True)
    request_key: str | None = None
    merchant_id: str = Field(index=True)
    merchant_name: str
    merchant_of_record: str
    settlement: str
    disclosure: str = ""
    kind: str
    state: str = "draft"
    step: str | None = None
    revision: int = 1

    lines: list[dict[str, Any]] = Field(sa_type=JSONB)
    booking: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    changes: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    buyer: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    address: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    delivery_id: str | None = None
    delivery_ids: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    discount_codes: list[str] = Field(default_factory=list, sa_type=JSONB)

    reference: str | None = None
    quote: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    total: int | None = Field(default=None, sa_type=BigInteger)
    currency: str = Field(max_length=3)
    fee: int | None = Field(default=None, sa_type=BigInteger)
    fee_terms: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    destination: str | None = None
    confirmation: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    confirmation_hash: str | None = None
    expires_at: datetime | None = Field(default=None, sa_type=MOMENT)
    hold_expires_at: datetime | None = Field(default=None, sa_type=MOMENT)
    handoff_url: str | None = None
    messages: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)

    asked_at: datetime | None = Field(default=None, sa_type=MOMENT)  # the first time, and for good
    confirmed: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    confirmed_at: datetime | None = Field(default=None, sa_type=MOMENT)
    payment_method: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    payment_id: str | None = Field(default=None, index=True)
    next_action: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    merchant_order_id: str | None = None
    # From before a merchant's order could belong to one purchase only.
    doubled: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    permalink_url: str | None = None
    order_id: str | None = None
    failure_code: str | None = None
    failure_detail: str | None = None

    attempts: int = 0
    next_drive_at: datetime | None = Field(default=None, sa_type=MOMENT)
    lease: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=MOMENT)
    release_at: datetime | None = Field(default=None, sa_type=MOMENT)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    updated_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)

    @property
    def amount(self) -> Money:
        """The confirmed total. Only a quoted checkout has one."""
        if self.total is None:
            raise ValueError(f"{self.id} has not been quoted")
        return Money(self.total, self.currency)

    @property
    def chargeable(self) -> bool:
        """Whether we are the ones to charge: a free booking and a merchant's own charge are not."""
        return self.settlement == "platform" and bool(self.total)

    @property
    def payable(self) -> bool:
        """Whether money goes through us: by our charge, or by a token that the merchant charges."""
        return self.settlement != "handoff" and bool(self.total)


async def move(session: AsyncSession, seen: Checkout, **changes: Any) -> Checkout | None:
    """The row after the change, or None when it is no longer as `seen`: somebody else moved it."""
    query = (
        update(Checkout)
        .where(
            col(Checkout.id) == seen.id,
            col(Checkout.state) == seen.state,
            col(Checkout.revision) == seen.revision,
            col(Checkout.step).is_not_distinct_from(seen.step),
            col(Checkout.lease).is_not_distinct_from(seen.lease),
        )
        .values(**changes, updated_at=func.now())
        .returning(Checkout)
        .execution_options(**RETURNED)
    )
    return (await session.execute(query)).scalar_one_or_none()


def known(row_id: str) -> str:
    """An id as ours look. Raises `NotFound` for anything else: no row can have it."""
    if not _ID.fullmatch(row_id):
        raise NotFound
    return row_id


async def fetch(session: AsyncSession, checkout_id: str, *, user_id: str) -> Checkout:
    """This person's checkout. Raises `NotFound` for a foreign or missing one alike."""
    query = select(Checkout).where(
        col(Checkout.id) == known(checkout_id), col(Checkout.user_id) == user_id
    )
    row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        raise NotFound
    return row


async def taken(session: AsyncSession, row: Checkout, merchant_order_id: str) -> bool:
    """Whether this order of the merchant belongs to another purchase. A booking's changes are one
    purchase with it, and may share its number."""
    query = select(col(Checkout.id)).where(
        col(Checkout.merchant_id) == row.merchant_id,
        col(Checkout.merchant_order_id) == merchant_order_id,
        col(Checkout.id) != row.id,
        col(Checkout.state).not_in(_WITHOUT_ORDER),
    )
    if row.changes is not None:
        whole = func.coalesce(col(Checkout.changes)["order_id"].astext, col(Checkout.order_id))
        query = query.where(whole.is_distinct_from(str(row.changes["order_id"])))
    return (await session.execute(query.limit(1))).scalar_one_or_none() is not None


async def expire_due(session: AsyncSession, *, limit: int = 200) -> int:
    """Offers whose time is up (database clock) end here; `release_at` frees the merchant's side.

    Returns how many ended. A confirmed purchase never expires: its driver decides.
    """
    due = (
        select(col(Checkout.id))
        .where(
            col(Checkout.state).in_(OPEN),
            func.coalesce(col(Checkout.expires_at), col(Checkout.updated_at) + DRAFT_LIFE)
            <= func.now(),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    query = (
        update(Checkout)
        .where(col(Checkout.id).in_(due))
        .values(state="expired", release_at=func.now(), updated_at=func.now())
        .returning(col(Checkout.id))
    )
    return len((await session.execute(query)).all())


async def newest(session: AsyncSession, *, user_id: str, limit: int) -> Sequence[Checkout]:
    """This person's checkouts, newest first."""
    query = (
        select(Checkout)
        .where(col(Checkout.user_id) == user_id)
        .order_by(col(Checkout.created_at).desc(), col(Checkout.id))
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def forget(session: AsyncSession, user_id: str) -> None:
    """Erasure: names, addresses and evidence go; amounts and hashes stay, as the books must.

    What is being paid or placed just now keeps what its next step needs, and loses it at its end.
    """
    await session.execute(
        update(Checkout)
        .where(col(Checkout.user_id) == user_id, col(Checkout.state).not_in(MOVING))
        .values(
            buyer=None,
            address=None,
            payment_method=None,
            next_action=None,
            confirmed=func.jsonb_build_object("hash", col(Checkout.confirmation_hash)),
            updated_at=func.now(),
        )
    )


def buyer_of(row: Checkout) -> Buyer | None:
    return Buyer(**row.buyer) if row.buyer else None


def address_of(row: Checkout) -> Address | None:
    return Address(**row.address) if row.address else None


def booking_of(row: Checkout) -> BookingDetails | None:
    return read_booking(row.booking) if row.booking else None


def read_booking(stored: dict[str, Any]) -> BookingDetails:
    """The inverse of `write_booking`."""
    day = datetime.fromisoformat(stored["date"]).date()
    at = stored.get("time")
    return BookingDetails(
        date=day,
        party=stored["party"],
        time=datetime.fromisoformat(f"{stored['date']}T{at}").time() if at else None,
        nights=stored.get("nights"),
    )


def write_booking(details: BookingDetails) -> dict[str, Any]:
    """As it is stored and shown: ISO date and HH:MM, fields that do not apply left out."""
    stored: dict[str, Any] = {"date": details.date.isoformat(), "party": details.party}
    if details.time is not None:
        stored["time"] = details.time.isoformat("minutes")
    if details.nights is not None:
        stored["nights"] = details.nights
    return stored


def document(row: Checkout) -> dict[str, Any]:
    """The public checkout (contract §7). It is built from the same bytes that were hashed."""
    shown = row.confirmation or row.quote or {}
    waits = row.state == "awaiting_confirmation"
    return {
        "id": row.id,
        "state": row.state,
        "revision": row.revision,
        "kind": row.kind,
        "merchant": {"id": row.merchant_id, "name": row.merchant_name},
        "merchant_of_record": row.merchant_of_record,
        "settlement": row.settlement,
        "lines": shown.get("lines", row.lines),
        "totals": shown.get("totals", []),
        "total": row.total,
        "currency": row.currency,
        "booking": row.booking,
        "changes": changed(row),
        "buyer": row.buyer,
        "address": row.address,
        "fulfilment_options": (row.quote or {}).get("deliveries", []),
        "discount_codes": row.discount_codes,
        "expires_at": instant(row.expires_at),
        "hold": {"expires_at": instant(row.hold_expires_at)} if row.hold_expires_at else None,
        "confirmation": row.confirmation,
        "confirmation_hash": row.confirmation_hash,
        "confirmable": waits,
        "disclosure": row.disclosure,
        "cancellation_policy": shown.get("cancellation_policy", ""),
        "handoff_url": row.handoff_url,
        "next_action": row.next_action if row.step == "authenticate" else None,
        "order_id": row.order_id,
        "failure": failure(row),
        "messages": row.messages,
        "thread_id": row.thread_id,
        "created_at": instant(row.created_at),
    }


def changed(row: Checkout) -> dict[str, Any] | None:
    """What a change is of: the order, and the booking as it is until the change is confirmed."""
    if row.changes is None:
        return None
    return {"order_id": row.changes["order_id"], "booking": row.changes["booking"]}


def failure(row: Checkout) -> dict[str, str] | None:
    if row.state != "failed":
        return None
    return {"code": row.failure_code or "failed", "detail": row.failure_detail or ""}


def instant(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with a Z."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
