"""From offers to something a person can agree to: ask the merchant, hold, freeze.

The row is written first, then the merchant is asked with a key made from the row's id and
revision, then the answer is stored by compare-and-swap. Nothing here can charge anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import confirmation, fees, merchants
from backend.basket import moved_by, requested, resolved, told
from backend.checkout import (
    Checkout,
    move,
    write_booking,
)
from backend.errors import (
    Conflict,
    MerchantFailed,
    NotFound,
)
from backend.ids import new_id
from backend.till import Item, Language, Seller, Till
from integrations.money import CurrencyMismatch, Money, processable
from integrations.partner import (
    BookingDetails,
    Note,
    Partner,
    PartnerError,
    PartnerRefused,
    Quote,
)

OFFER_LIFE = timedelta(minutes=15)
HANDOFF_LIFE = timedelta(days=30)  # how long an order on the merchant's own site counts as ours


async def quote(
    till: Till,
    *,
    user_id: str,
    lines: Sequence[tuple[str, int]],
    thread_id: str | None = None,
    booking: BookingDetails | None = None,
    request_key: str | None = None,
    language: Language = "en",
) -> Checkout:
    """A checkout at one merchant for `(offer_id, quantity)` lines, asked and frozen.

    `language` is what the person is told about our commission in; it is frozen with the rest.
    `request_key` (with the person) names the request: a repeat answers with the same checkout.
    Raises `NotFound` for an unknown offer, `Unprocessable` for several merchants or currencies,
    `MerchantFailed` when the merchant does not answer. A merchant's clear no is in `messages`.
    """
    items = await resolved(till, lines)
    first = items[lines[0][0]]
    seller = await till.seller_for(first.merchant_id)
    if not seller.open:
        raise NotFound
    profile = await till.profile_for(user_id)
    details = booking or first.booking
    row = Checkout(
        id=new_id("chk"),
        user_id=user_id,
        thread_id=thread_id,
        request_key=request_key,
        merchant_id=seller.id,
        merchant_name=seller.name,
        merchant_of_record=seller.merchant_of_record,
        settlement=seller.settlement,
        disclosure=seller.disclosed(language),
        kind=first.kind,
        currency=first.price.currency,
        lines=requested(items, lines),
        booking=write_booking(details) if details else None,
        buyer=asdict(profile.buyer) if profile.buyer else None,
        address=asdict(profile.address) if profile.address else None,
        fee_terms=fees.terms(seller.commission),
        handoff_url=first.handoff_url,
    )
    async with till.database.transaction() as session:
        kept = await insert_once(session, row)
    if kept.state != "draft" or kept.reference:
        return kept
    if seller.settlement == "handoff":
        return await _hand_off(till, kept, items, language)
    return await ask(till, kept, seller)


async def insert_once(session: AsyncSession, row: Checkout) -> Checkout:
    """The new row, or the one that the same request made before."""
    values = row.model_dump(exclude={"created_at", "updated_at"})
    query = (
        insert(Checkout)
        .values(**values, created_at=func.now(), updated_at=func.now())
        .on_conflict_do_nothing(index_elements=["user_id", "request_key"])
        .returning(Checkout)
    )
    made = (await session.execute(query)).scalar_one_or_none()
    if made is not None:
        return made
    earlier = select(Checkout).where(
        col(Checkout.user_id) == row.user_id, col(Checkout.request_key) == row.request_key
    )
    return (await session.execute(earlier)).scalar_one()


_HANDED_OFF: Mapping[Language, tuple[str, str]] = {
    "en": ("Price as listed", "You finish this purchase at {name}."),
    "zh": ("标价", "请在 {name} 完成此次购买。"),
}


async def _hand_off(
    till: Till, row: Checkout, items: Mapping[str, Item], language: Language
) -> Checkout:
    """Nothing to ask and nothing to charge: the person finishes on the merchant's own site."""
    priced = [(line, items[line["offer_id"]].price) for line in row.lines]
    total = sum((unit * line["quantity"] for line, unit in priced), Money.zero(row.currency))
    lines = [
        {
            **{name: line[name] for name in ("offer_id", "title", "quantity")},
            "unit_amount": unit.amount,
            "amount": (unit * line["quantity"]).amount,
        }
        for line, unit in priced
    ]
    label, words = _HANDED_OFF[language]
    estimate = {"type": "total", "label": label, "amount": total.amount}
    note = Note("info", "handoff", words.format(name=row.merchant_name))
    async with till.database.transaction() as session:
        moved = await move(
            session,
            row,
            state="quoted",
            total=total.amount,
            quote={"lines": lines, "totals": [estimate], "deliveries": []},
            handoff_url=merchants.credited(row.handoff_url, till.mark(row.id)),
            messages=confirmation.notes([note]),
            expires_at=func.now() + HANDOFF_LIFE,
        )
    return moved or row


async def ask(till: Till, row: Checkout, seller: Seller, *, insists: bool = True) -> Checkout:
    """The merchant's answer to this revision, held where it can be and frozen.

    A delivery chosen earlier may not be on offer for what is asked now, such as for another
    country: unless the person `insists` on it, the merchant is asked again without one.
    """
    partner = await till.partner_for(row.merchant_id)
    key = f"purchase:{row.id}:quote:{row.revision}"
    try:
        if row.changes is not None:
            answer = await moved_by(partner, row, key=key)
        elif row.reference is None:
            answer = await partner.quote(told(row), key=key)
        else:
            answer = await partner.revise(row.reference, told(row), key=key)
        answer = await _held(partner, row, answer)
    except PartnerRefused as refused:
        if refused.code == "unknown_delivery" and not insists:
            return await _without_delivery(till, row, seller)
        return await _noted(till, row, refused)
    except PartnerError as lost:
        raise MerchantFailed(extra={"checkout_id": row.id}) from lost
    async with till.database.transaction() as session:
        frozen = await store(till, session, row, answer, seller)
    if frozen is None:
        raise Conflict("This checkout was changed at the same time; read it again")
    return frozen


async def _without_delivery(till: Till, row: Checkout, seller: Seller) -> Checkout:
    """Ask as a revision of its own: what was asked with the key of this one is already said."""
    async with till.database.transaction() as session:
        moved = await move(
            session, row, revision=row.revision + 1, delivery_id=None, delivery_ids={}
        )
    if moved is None:
        raise Conflict("This checkout was changed at the same time; read it again")
    return await ask(till, moved, seller)


async def _held(partner: Partner, row: Checkout, answer: Quote) -> Quote:
    """A booking is kept for the person while they decide. What cannot be held is not offered."""
    if row.kind != "booking" or answer.status != "ready" or answer.hold_expires_at is not None:
        return answer
    try:
        return await partner.hold(answer.reference, key=f"purchase:{row.id}:hold:{row.revision}")
    except PartnerError as error:
        note = Note("error", error.code, f"This could not be held for you: {error.detail}")
        return replace(answer, status="incomplete", notes=(*answer.notes, note))


async def _noted(till: Till, row: Checkout, refused: PartnerRefused) -> Checkout:
    """A clear no: the checkout stays changeable and says why it cannot go on."""
    note = Note("error", refused.code, refused.detail)
    life = HANDOFF_LIFE if refused.continue_url else OFFER_LIFE
    async with till.database.transaction() as session:
        moved = await move(
            session,
            row,
            handoff_url=merchants.marked(refused.continue_url, till.mark(row.id)),
            messages=confirmation.notes([note]),
            expires_at=func.now() + life,
        )
    return moved or row


async def store(
    till: Till,
    session: AsyncSession,
    row: Checkout,
    answer: Quote,
    seller: Seller,
    *,
    revision: int | None = None,
    because: Sequence[Note] = (),
) -> Checkout | None:
    """The merchant's answer in the row, frozen and hashed when nothing is missing.

    None when the row moved meanwhile. `because`: what changed since the person looked.
    """
    fresh = confirmation.quoted(answer, row.lines)
    wrong = _quantities(row, fresh) + _unpayable(row, answer)
    noted = [*because, *answer.notes, *wrong]
    expires_at = await _expiry(session, answer)
    total = Money(fresh["total"], fresh["currency"])
    onwards = answer.continue_url if answer.status == "needs_handoff" else None
    values: dict[str, Any] = {
        "reference": answer.reference,
        "quote": fresh,
        "total": total.amount,
        "currency": total.currency,
        "fee": _commission(seller, total),
        "fee_terms": fees.terms(seller.commission),
        "destination": seller.destination,
        "expires_at": expires_at,
        "hold_expires_at": answer.hold_expires_at,
        "handoff_url": merchants.marked(onwards, till.mark(row.id)),
        "messages": confirmation.notes(noted),
        "revision": revision or row.revision,
        "confirmation": None,
        "confirmation_hash": None,
        "state": "quoted",
    }
    if answer.status == "ready" and not wrong:
        values |= _asking(row, fresh, values["revision"], expires_at)
    else:
        values |= _unfinished(answer, noted)
    return await move(session, row, **values)


def _asking(
    row: Checkout, fresh: Mapping[str, Any], revision: int, expires_at: datetime
) -> dict[str, Any]:
    """What is frozen and hashed, for the person to agree to."""
    nonce = confirmation.nonce()
    shown = confirmation.snapshot(row, fresh, revision=revision, expires_at=expires_at, nonce=nonce)
    return {
        "confirmation": shown,
        "confirmation_hash": confirmation.digest(shown),
        "state": "awaiting_confirmation",
        "asked_at": func.coalesce(col(Checkout.asked_at), func.now()),
    }


_OVER: Mapping[str, str] = {
    "expired": "The merchant's offer has run out already. Ask for a new one.",
    "canceled": "The merchant has called this offer off. Ask for a new one.",
}


def _unfinished(answer: Quote, noted: Sequence[Note]) -> dict[str, Any]:
    """What a quote that cannot be confirmed, or not yet, says of itself."""
    if (over := _OVER.get(answer.status)) is not None:
        return {"messages": confirmation.notes([*noted, Note("error", answer.status, over)])}
    if answer.hold_expires_at is not None:
        return {"state": "held"}
    if noted:
        return {}
    note = Note("error", "missing", "The merchant needs more before this can be confirmed.")
    return {"messages": confirmation.notes([note])}


def _commission(seller: Seller, total: Money) -> int:
    """Our fee in the order's currency, as much of it as a processor can move. Terms with a fixed
    part in another one cannot be applied."""
    try:
        return processable(fees.fee(seller.commission, total)).amount
    except CurrencyMismatch as error:
        raise MerchantFailed(
            f"{seller.name} has agreed no terms for sales in {total.currency}"
        ) from error


def _quantities(row: Checkout, fresh: Mapping[str, Any]) -> list[Note]:
    """A merchant may not change how many: the person asked for exactly these."""
    asked = {line["offer_id"]: line["quantity"] for line in row.lines}
    given: dict[str, int] = {}
    for line in fresh["lines"]:
        given[line["offer_id"]] = given.get(line["offer_id"], 0) + line["quantity"]
    if asked == given:
        return []
    text = "The merchant cannot provide exactly these items and quantities."
    return [Note("error", "quantity_changed", text, "$.lines")]


def _unpayable(row: Checkout, answer: Quote) -> list[Note]:
    """A total that our processor cannot take is said before the person agrees to it. What a
    merchant charges by itself, or has not made up its mind about, is left alone."""
    total = answer.total
    if row.settlement != "platform" or answer.status != "ready" or processable(total) == total:
        return []
    text = f"A card cannot be charged {total}: its last decimals must be zero."
    return [Note("error", "amount_unsupported", text, "$.totals")]


async def _expiry(session: AsyncSession, answer: Quote) -> datetime:
    """The earliest of our own limit, the merchant's quote and its hold, on the database's clock.

    Who was sent to the merchant's own page is bound by its clocks there, not by ours.
    """
    handed_off = answer.status == "needs_handoff"
    life = HANDOFF_LIFE if handed_off else OFFER_LIFE
    limit: datetime = (await session.execute(select(func.now() + life))).scalar_one()
    if handed_off:
        return limit
    ends = [answer.expires_at, answer.hold_expires_at]
    return min([limit, *(end for end in ends if end is not None)])
