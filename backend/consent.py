"""Consent: the only door to a charge. A person names the hash of what they were shown.

The merchant is asked once more; if anything differs, nothing is charged and the new offer is
shown. Otherwise one transaction takes the consent (compare-and-swap on revision and hash, by the
database's clock), stores the evidence and enqueues the job. The request then only waits.
"""

import asyncio
import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, true, update
from sqlmodel import col

from backend import confirmation, quoting, spending
from backend.checkout import ENDED, MOVING, OPEN, Checkout, document, fetch, move
from backend.errors import (
    AlreadyCanceled,
    AppError,
    AuthenticationRequired,
    ConfirmationMismatch,
    Conflict,
    MerchantFailed,
    OfferChanged,
    OfferExpired,
    PaymentDeclined,
)
from backend.placing import TAKEN
from backend.purchase import DRIVE, LEASE
from backend.queue import enqueue
from backend.till import Till
from integrations.partner import Note, PartnerError, PartnerGone, Quote
from integrations.payments import Method

_FIRST_POLL_S = 0.02
_LAST_POLL_S = 0.4


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person sent. `method` is None only where no money goes through us."""

    confirmation_hash: str
    method: Method | None
    address: str = ""
    user_agent: str = ""


async def confirm(
    till: Till, *, user_id: str, checkout_id: str, consent: Consent
) -> tuple[int, dict[str, Any]]:
    """Take the consent and wait, bounded, for the outcome: `(200 | 202, checkout)`.

    Raises what contract §7 lists: 402 `PaymentDeclined`, `AuthenticationRequired`; 404; 409
    `OfferChanged`, `OfferExpired`, `AlreadyCanceled`; 422 `ConfirmationMismatch`; and 502
    `MerchantFailed` when the merchant cannot be asked (nothing is charged then).
    """
    async with till.database.transaction() as session:
        row = await fetch(session, checkout_id, user_id=user_id)
    _judge(row, consent)
    if row.state in OPEN:
        await _stands(till, row)
        await _take(till, row, consent)
    return answer(await settled(till, user_id=user_id, checkout_id=checkout_id))


def _judge(row: Checkout, consent: Consent) -> None:
    """Whether this consent can be about this checkout at all."""
    if row.state == "canceled":
        raise AlreadyCanceled
    if row.state == "expired":
        raise OfferExpired
    if row.state in OPEN and row.confirmation_hash is None:
        raise _lacking(row)
    if not confirmation.same(row.confirmation_hash, consent.confirmation_hash):
        raise ConfirmationMismatch
    if row.state in OPEN and row.payable and consent.method is None:
        raise Conflict("Name a payment_method", code="payment_method_required")


def _lacking(row: Checkout) -> Conflict:
    return Conflict(
        "Something is still missing before this can be confirmed; see its messages",
        code="not_confirmable",
        extra={"checkout": document(row)},
    )


async def _stands(till: Till, row: Checkout) -> None:
    """Ask the merchant again. Raises unless it still offers exactly what was shown.

    When someone else's confirm moved the row meanwhile, the row's own story is told instead.
    """
    await _lapse(till, row, col(Checkout.expires_at) <= func.now())
    if not (await till.seller_for(row.merchant_id)).open:
        return await _lapse(till, row, true(), f"{row.merchant_name} does not sell here any more")
    partner = await till.partner_for(row.merchant_id)
    try:
        now = await partner.read(row.reference or "")
    except PartnerGone:
        return await _lapse(till, row, true())
    except PartnerError as lost:
        if await _still_open(till, row):
            wait_s = math.ceil(lost.retry_after_s)
            raise MerchantFailed(headers={"Retry-After": str(wait_s)} if wait_s else {}) from lost
        return None
    if now.status in {"expired", "canceled"}:
        return await _lapse(till, row, true())
    if now.status in {"placing", "completed"}:
        # Another confirm may be ahead of this one. Where none is, the order is somebody else's.
        said = confirmation.notes([Note("error", "session_taken", TAKEN)])
        return await _lapse(till, row, true(), TAKEN, failure_code="session_taken", messages=said)
    changes = confirmation.drift(row, confirmation.quoted(now, row.lines))
    if changes or now.status != "ready":
        await _change(till, row, now, changes)
    return None


async def _still_open(till: Till, row: Checkout) -> bool:
    async with till.database.transaction() as session:
        return (await fetch(session, row.id, user_id=row.user_id)).state in OPEN


async def _lapse(
    till: Till, row: Checkout, when: ColumnElement[bool], why: str = "", **known: Any
) -> None:
    """Ends the offer if `when` holds and nobody moved it; raises `OfferExpired` if it did so."""
    async with till.database.transaction() as session:
        query = select(col(Checkout.id)).where(col(Checkout.id) == row.id, when).with_for_update()
        if (await session.execute(query)).scalar_one_or_none() is None:
            return
        over = await move(session, row, state="expired", release_at=func.now(), **known)
    if over is not None:
        raise OfferExpired(why, extra={"checkout": document(over)})


async def _change(till: Till, row: Checkout, now: Quote, changes: list[Note]) -> None:
    """Freeze what the merchant offers now as a new revision, unless someone moved the row first."""
    seller = await till.seller_for(row.merchant_id)
    async with till.database.transaction() as session:
        renewed = await quoting.store(
            till, session, row, now, seller, revision=row.revision + 1, because=changes
        )
        if renewed is None:
            renewed = await fetch(session, row.id, user_id=row.user_id)
    if renewed.state in OPEN:
        raise OfferChanged(extra={"checkout": document(renewed)})


async def _take(till: Till, row: Checkout, consent: Consent) -> None:
    """One transaction: the consent, its evidence and the job, or nothing of it."""
    step, state = ("authorise", "authorising") if row.chargeable else ("place", "placing")
    evidence = {
        "hash": consent.confirmation_hash,
        "revision": row.revision,
        "address": consent.address,
        "user_agent": consent.user_agent[:300],
    }
    query = (
        update(Checkout)
        .where(
            col(Checkout.id) == row.id,
            col(Checkout.user_id) == row.user_id,
            col(Checkout.state) == "awaiting_confirmation",
            col(Checkout.revision) == row.revision,
            col(Checkout.confirmation_hash) == consent.confirmation_hash,
            col(Checkout.expires_at) > func.now(),
        )
        .values(
            state=state,
            step=step,
            attempts=0,
            payment_method=asdict(consent.method) if consent.method else None,
            confirmed=evidence,
            confirmed_at=func.now(),
            next_drive_at=func.now() + LEASE,
            updated_at=func.now(),
        )
        .returning(col(Checkout.id))
    )
    async with till.database.transaction() as session:
        await spending.reserve(session, row)
        if (await session.execute(query)).scalar_one_or_none() is not None:
            await enqueue(session, DRIVE, args={"checkout_id": row.id})


async def settled(till: Till, *, user_id: str, checkout_id: str) -> Checkout:
    """The row when it stands still, or after `till.wait_s` as it is. Holds no transaction."""
    waited, pause = 0.0, _FIRST_POLL_S
    while True:
        async with till.database.transaction() as session:
            row = await fetch(session, checkout_id, user_id=user_id)
        if row.state in ENDED or row.step == "authenticate" or waited >= till.wait_s:
            return row
        if row.state in OPEN:
            return row
        await asyncio.sleep(pause)
        waited += pause
        pause = min(pause * 1.5, _LAST_POLL_S)


def answer(row: Checkout) -> tuple[int, dict[str, Any]]:
    """What `confirm` says about a row that stands still or still moves."""
    shown = document(row)
    if row.state == "completed":
        return 200, shown
    if row.step == "authenticate":
        raise AuthenticationRequired(extra={"next_action": row.next_action, "checkout": shown})
    if row.state in MOVING:
        return 202, shown
    if row.state == "failed":
        raise failed(row)
    if row.state == "canceled":
        raise AlreadyCanceled(extra={"checkout": shown})
    if row.state == "expired":
        raise OfferExpired(extra={"checkout": shown})
    if row.confirmation_hash is None:  # the merchant asked for more when it was to be placed
        raise _lacking(row)
    raise OfferChanged(extra={"checkout": shown})


_FAILURES: dict[str, type[AppError]] = {
    "payment_declined": PaymentDeclined,
    "payment_refused": PaymentDeclined,
    "authentication_failed": PaymentDeclined,
    "offer_changed": OfferChanged,
    "offer_expired": OfferExpired,
    "session_taken": OfferExpired,
    "merchant_refused": OfferChanged,
    "merchant_unreachable": MerchantFailed,
}


def failed(row: Checkout) -> AppError:
    """The error that tells how a confirmed purchase ended without a charge."""
    kind = _FAILURES.get(row.failure_code or "")
    extra = {"checkout": document(row), "failure_code": row.failure_code}
    if kind is None:
        return Conflict(row.failure_detail or "", code=row.failure_code, extra=extra)
    return kind(row.failure_detail or "", extra=extra)


async def cancel(till: Till, *, user_id: str, checkout_id: str) -> Checkout:
    """Give the checkout up. A repeat answers the same; once it is being placed it is too late.

    A purchase parked for the bank's question is voided by its driver, so it ends `canceled` soon.
    """
    async with till.database.transaction() as session:
        row = await fetch(session, checkout_id, user_id=user_id)
        if row.state == "canceled":
            return row
        if row.state in OPEN:
            moved = await move(session, row, state="canceled", release_at=func.now())
        elif row.step == "authenticate" and row.lease is None:
            moved = await move(
                session, row, step="void", failure_code="canceled", next_drive_at=func.now()
            )
            await enqueue(session, DRIVE, args={"checkout_id": row.id})
        else:
            raise Conflict("It is too late to cancel this checkout; cancel the order instead")
    if moved is None:
        raise Conflict("This checkout was changed at the same time; read it again")
    return await settled(till, user_id=user_id, checkout_id=checkout_id)
