"""A confirmed purchase, driven to its end: authorise → place → capture → book.

    authorise ─ declined ───────────────────────────────► failed
        │  └─ bank asks ─► authenticate ─ too late ─► void ─► failed | canceled
        │                       └─► recheck ─ the offer is another one ─► void ─► failed
        ▼
      place ── refused, total differs (undo first) ─► void ─► failed
        │   └─ asks only now whom it is for ─► void ─► quoted, with the question
        ▼
     capture ─ refused ─► undo at the merchant ─► void ─► failed, with an incident
        ▼
     completed: order, events, ledger and state in one transaction

Every step is safe to run twice, at the same time, and after a kill at any point: the intent is
journalled before the effect, the key is made of the id, and a lost answer is looked up first. No
transaction is open while the outside is asked. Nothing here reads a merchant's words to decide
about money: only its status and its numbers.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import func

from backend import changes, effects, incidents, placing
from backend.checkout import Checkout
from backend.lease import (
    LEASE,
    advance,
    claim,
    give_up,
    intend,
    later,
    overdue,
    stop,
    unanswered,
)
from backend.orders import book
from backend.till import Till
from integrations.money import Money
from integrations.payments import (
    Method,
    Payment,
    PaymentError,
    PaymentRefused,
    PaymentUnknown,
)

__all__ = ["DRIVE", "LEASE", "drive"]

DRIVE = "drive"
_AUTHENTICATION_POLL = timedelta(seconds=10)


async def drive(till: Till, checkout_id: str) -> None:
    """Move the purchase as far as it goes now: to its end, to a pause, or to a lost lease."""
    work = await claim(till, checkout_id)
    while work is not None and work.step is not None:
        work = await _STEPS[work.step](till, work)


async def _authorise(till: Till, work: Checkout) -> Checkout | None:
    intent = await intend(till, work, "authorise")
    if intent is None:
        return None
    try:
        payment = await till.payments.find(work.id) if intent.maybe else None
        if payment is None or (intent.renewed and payment.status == "voided"):
            if await overdue(till, work):
                return await give_up(
                    till, work, "offer_expired", "The offer ran out before payment"
                )
            payment = await _charge(till, work, intent.key)
    except PaymentRefused as refused:
        return await give_up(till, work, "payment_refused", refused.detail)
    except PaymentError:
        return await later(till, work, state="outcome_unknown")
    return await _authorised(till, work, payment)


async def _charge(till: Till, work: Checkout, key: str) -> Payment:
    """The same parameters at every try: all of them were frozen with the quote."""
    fee = Money(min(work.fee or 0, work.amount.amount), work.currency)
    return await till.payments.authorise(
        purchase_id=work.id,
        amount=work.amount,
        method=Method(**(work.payment_method or {})),
        destination=work.destination,
        fee=fee if work.destination else None,
        key=key,
    )


async def _authorised(till: Till, work: Checkout, payment: Payment) -> Checkout | None:
    """What the processor says about the charge decides where the purchase goes."""
    known = {"payment_id": payment.id}
    match payment.status:
        case "authorised" | "captured" if payment.amount == work.amount:
            return await advance(
                till,
                work,
                ended=("authorise", "done"),
                state="placing",
                step="recheck" if work.step == "authenticate" else "place",
                next_action=None,
                **known,
            )
        case "authorised" | "captured":
            return await give_up(
                till, work, "payment_refused", "Another amount was authorised", **known
            )
        case "requires_action":
            return await _park(till, work, payment)
        case "processing":
            return await later(till, work, payment_id=payment.id)
        case "declined":
            code = "authentication_failed" if work.step == "authenticate" else "payment_declined"
            detail = f"The card was declined ({payment.decline_code or 'no reason given'})"
            return await give_up(till, work, code, detail, **known)
        case "voided":
            return await give_up(
                till, work, "payment_declined", "The payment was given up", **known
            )


async def _park(till: Till, work: Checkout, payment: Payment) -> Checkout | None:
    """The bank asks the card holder. A webhook wakes the purchase; a slow poll is the net.

    The effect ends when the bank asks: from then on its own clock runs.
    """
    asked_before = work.step == "authenticate"
    if asked_before and await unanswered(till, work):
        detail = "The bank's question was not answered in time"
        return await give_up(till, work, "authentication_failed", detail, payment_id=payment.id)
    async with till.database.transaction() as session:
        parked = await stop(
            session,
            work,
            state="authorising",
            step="authenticate",
            payment_id=payment.id,
            next_action=payment.next_action,
            next_drive_at=func.now() + _AUTHENTICATION_POLL,
        )
        if parked is not None and not asked_before:
            await effects.end(session, work.id, "authorise", "done")
    return None


async def _authenticate(till: Till, work: Checkout) -> Checkout | None:
    try:
        payment = await till.payments.read(work.payment_id or "")
    except PaymentError:
        return await later(till, work)
    return await _authorised(till, work, payment)


async def _capture(till: Till, work: Checkout) -> Checkout | None:
    intent = await intend(till, work, "capture")
    if intent is None:
        return None
    payment_id = work.payment_id or ""
    try:
        payment = await till.payments.read(payment_id) if intent.maybe else None
        if payment is None or payment.status == "authorised":
            payment = await till.payments.capture(payment_id, key=intent.key)
    except PaymentRefused:
        payment = await _after_refusal(till, payment_id)
        if payment is None:
            return await later(till, work, state="outcome_unknown")
    except PaymentUnknown:
        return await later(till, work, state="outcome_unknown")
    if payment.status == "processing":
        return await later(till, work, state="outcome_unknown")
    if payment.status != "captured":
        return await _capture_failed(till, work, payment)
    return await _book(till, work, payment)


async def _after_refusal(till: Till, payment_id: str) -> Payment | None:
    """A refused capture may mean that it is captured already. None: no answer yet."""
    try:
        return await till.payments.read(payment_id)
    except PaymentError:
        return None


async def _capture_failed(till: Till, work: Checkout, payment: Payment) -> Checkout | None:
    """The merchant has an order and we cannot take the money: undo the order, tell a person.

    A booking that was moved stays moved: canceling it would cancel what was paid before.
    """
    left = "the order was canceled" if work.changes is None else "we will settle the rest with you"
    async with till.database.transaction() as session:
        await incidents.report(
            session,
            "capture_failed",
            subject=work.id,
            merchant_id=work.merchant_id,
            detail=f"payment {payment.id} is {payment.status}; undoing {work.merchant_order_id}",
        )
    return await advance(
        till,
        work,
        ended=("capture", "refused"),
        state="placing",
        step="undo",
        failure_code="payment_declined",
        failure_detail=f"The bank did not release the money; {left}",
    )


async def _book(till: Till, work: Checkout, payment: Payment | None) -> Checkout | None:
    """The end that was wanted: order, ledger and state in one transaction."""
    if work.changes is not None and await changes.busy(till, work):
        return await later(till, work, state="placing")
    async with till.database.transaction() as session:
        if payment is not None and payment.captured != work.amount:
            detail = f"confirmed {work.amount}, captured {payment.captured} as {payment.id}"
            await incidents.report(session, "payment_mismatch", subject=work.id, detail=detail)
        await (changes.book if work.changes else book)(session, work, payment)
    return None


async def _settle(till: Till, work: Checkout) -> Checkout | None:
    """Nothing to capture: the booking is free, or the merchant charges the buyer itself."""
    return await _book(till, work, None)


async def _void(till: Till, work: Checkout) -> Checkout | None:
    """Let the money go, then end. A void that is refused because it is done already is done.

    A repeat looks first: where the processor stored the failure of a void that it did, its key
    answers that failure for a day.
    """
    if work.payment_id is None:
        return await _end(till, work)
    intent = await intend(till, work, "void")
    if intent is None:
        return None
    try:
        seen = await till.payments.read(work.payment_id) if intent.maybe else None
        if seen is not None and seen.status in {"voided", "declined", "captured"}:
            payment = seen
        else:
            payment = await till.payments.void(work.payment_id, key=intent.key)
    except PaymentRefused:
        found = await _after_refusal(till, work.payment_id)
        if found is None:
            return await later(till, work)
        payment = found
    except PaymentUnknown:
        return await later(till, work)
    if payment.status == "captured":
        return await _refund_stray(till, work, payment)
    if payment.status in {"voided", "declined"}:
        return await _end(till, work)
    return await later(till, work)


async def _refund_stray(till: Till, work: Checkout, payment: Payment) -> Checkout | None:
    """Captured although nothing was ordered: someone else's hand. Give it back, tell a person."""
    async with till.database.transaction() as session:
        await incidents.report(
            session,
            "payment_mismatch",
            subject=work.id,
            merchant_id=work.merchant_id,
            detail=f"payment {payment.id} was captured without an order; refunding it in full",
        )
    rest = payment.captured - payment.refunded
    if rest.amount:
        key = f"purchase:{work.id}:return"
        try:
            await till.payments.refund(payment.id, rest, with_fee=True, key=key)
        except PaymentError:
            return await later(till, work)
    return await _end(till, work)


async def _end(till: Till, work: Checkout) -> Checkout | None:
    """Nothing is charged, nothing is ordered. `release_at` frees what the merchant still holds."""
    if work.failure_code == placing.BUYER_WANTED:
        return await _ask_again(till, work)
    async with till.database.transaction() as session:
        ended = await stop(
            session,
            work,
            state="canceled" if work.failure_code == "canceled" else "failed",
            step=None,
            next_action=None,
            release_at=func.now(),
        )
        if ended is not None:
            await incidents.resolve(session, "purchase_stuck", subject=work.id)
    return None


async def _ask_again(till: Till, work: Checkout) -> Checkout | None:
    """Back to the person, who can say whom it is for. The consent is spent: its hash dies here."""
    async with till.database.transaction() as session:
        asked = await stop(
            session,
            work,
            state="quoted",
            step=None,
            revision=work.revision + 1,
            confirmation=None,
            confirmation_hash=None,
            confirmed=None,
            confirmed_at=None,
            payment_method=None,
            payment_id=None,
            next_action=None,
            failure_code=None,
            failure_detail=None,
        )
        if asked is not None:
            await effects.renew(session, work.id, asked.revision)
            await incidents.resolve(session, "purchase_stuck", subject=work.id)
    return None


_STEPS: dict[str, Callable[[Till, Checkout], Awaitable[Checkout | None]]] = {
    "authorise": _authorise,
    "authenticate": _authenticate,
    "recheck": placing.recheck,
    "place": placing.place,
    "capture": _capture,
    "settle": _settle,
    "undo": placing.undo,
    "void": _void,
}
