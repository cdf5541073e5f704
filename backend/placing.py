"""The merchant's half of a purchase: place the order once, or undo it when the money fails."""

from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from backend import changes, confirmation, incidents, merchants
from backend.checkout import Checkout, buyer_of, taken
from backend.effects import Effect
from backend.lease import advance, give_up, intend, later
from backend.till import Till
from integrations.partner import (
    Note,
    PartnerError,
    PartnerGone,
    PartnerNotNow,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    PartnerUnreachable,
    Quote,
)
from integrations.payments import Method, PaymentError, PaymentRefused

# A free seat is worth a few tries; after that the person should know that it did not work.
_UNREACHABLE_MAX = 4
_NOT_NOW_MAX = 10  # it answers, so it is worth about a minute
_LOST_SESSION_MAX = 3
_TOKEN_LIFE = timedelta(hours=24)
# The words of ACP and UCP where a merchant that charges by itself could not.
_DECLINED = frozenset({"payment_declined", "payment_failed"})
_CANCELED = frozenset({"canceled", "cancelled", "refunded"})
BUYER_WANTED = "buyer_wanted"  # the merchant asks only now whom it is for: nothing is lost yet
TAKEN = "The merchant took this for somebody else's order; nothing was charged. Ask for a new offer"


async def recheck(till: Till, work: Checkout) -> Checkout | None:
    """After the bank's question the offer is looked at again: nothing was held for it meanwhile."""
    partner = await till.partner_for(work.merchant_id)
    try:
        seen = await partner.read(work.reference or "")
    except PartnerGone:
        return await give_up(till, work, "offer_expired", "The merchant's offer ran out")
    except PartnerError as error:
        return await _away(till, work, error, most=_NOT_NOW_MAX)
    if seen.status in {"placing", "completed"}:
        return await give_up(till, work, "session_taken", TAKEN)
    if seen.status not in {"ready", "incomplete"}:
        return await _placed(till, work, seen)
    if seen.status == "ready" and confirmation.drift(work, confirmation.quoted(seen, work.lines)):
        detail = "The merchant changed the offer while your bank asked; nothing was charged"
        return await give_up(till, work, "offer_changed", detail)
    return await advance(till, work, step="place")


async def place(till: Till, work: Checkout) -> Checkout | None:
    """One order at the merchant. After a lost answer its session is read before anything else."""
    intent = await intend(till, work, "place")
    if intent is None:
        return None
    partner = await till.partner_for(work.merchant_id)
    reference = work.reference or ""
    try:
        seen = await partner.read(reference) if intent.maybe else None
    except PartnerGone as gone:
        return await _lost(till, work, gone)
    except PartnerError as unseen:
        return await _unknown(till, work, unseen)
    if seen is not None and seen.status not in {"ready", "incomplete"}:
        return await _placed(till, work, seen)
    try:
        payment = await _payment(till, work, key=f"{intent.key}:delegate")
        answer = await partner.place(reference, payment, buyer_of(work), key=intent.key)
    except PaymentRefused as no:
        return await give_up(till, work, "payment_refused", no.detail)
    except PaymentError:
        return await later(till, work, state="outcome_unknown")
    except PartnerRefused as refused:
        return await _refused(till, work, refused, maybe=intent.maybe)
    except PartnerUnreachable as away:
        return await _unreachable(till, work, away, maybe=intent.maybe)
    except PartnerError as lost:
        return await _unknown(till, work, lost)
    return await _placed(till, work, answer)


async def _unknown(till: Till, work: Checkout, error: PartnerError) -> Checkout | None:
    """Nobody can say yet whether there is an order: neither paid nor given up until it shows."""
    return await later(till, work, state="outcome_unknown", wait_s=error.retry_after_s)


async def _payment(till: Till, work: Checkout, *, key: str) -> PartnerPayment:
    """The same bytes at every try: a key may not be repeated with other contents.

    A merchant that charges by itself gets a token for this one charge, never the person's card.
    Raises `PaymentError` when the processor makes none, or there is nothing to make it of.
    """
    if work.confirmed_at is None:
        raise ValueError(f"{work.id} was never confirmed")
    ends = work.confirmed_at + _TOKEN_LIFE
    token = work.payment_id if work.chargeable else (work.payment_method or {}).get("token")
    if work.settlement == "merchant" and work.total and work.payment_method and till.delegate:
        token = await till.delegate(
            purchase_id=work.id,
            amount=work.amount,
            method=Method(**work.payment_method),
            seller=work.merchant_id,
            expires_at=ends,
            key=key,
        )
    if work.payable and not token:
        raise PaymentRefused("no payment method was named", code="payment_method_required")
    return PartnerPayment(
        token=token or f"none:{work.id}",
        amount=work.amount,
        merchant_id=work.merchant_id,
        expires_at=ends,
    )


async def _placed(till: Till, work: Checkout, answer: Quote) -> Checkout | None:
    """The merchant's status decides; an order for another total is undone, never charged."""
    match answer.status:
        case "completed" if answer.order is not None:
            return await _ordered(till, work, answer)
        case "placing" | "completed":
            return await later(till, work, state="placing")
        case "canceled" | "expired":
            detail = _errors(answer) or "The merchant's offer ran out"
            return await give_up(till, work, "offer_expired", detail)
        case "needs_handoff":
            detail = "The merchant wants you to finish on its own site; nothing was charged"
            return await give_up(
                till,
                work,
                "merchant_refused",
                detail,
                handoff_url=_marked(till, work, answer.continue_url),
            )
        case _:
            detail = _errors(answer) or "The merchant did not accept the order"
            return await give_up(till, work, "merchant_refused", detail)


def _errors(answer: Quote) -> str:
    return " ".join(note.text for note in answer.notes if note.severity == "error")


async def _ordered(till: Till, work: Checkout, answer: Quote) -> Checkout | None:
    order = answer.order
    if order is None:
        raise ValueError("an order was promised")
    async with till.database.transaction() as session:
        reused = await taken(session, work, order.id)
    if reused:
        return await _reused(till, work, order)
    try:
        return await _agreed(till, work, answer, order)
    except IntegrityError as error:
        # Both were answered at the same moment: the index lets one of them have the number.
        if "checkout_theirs" not in str(error.orig):
            raise
        return await _reused(till, work, order)


async def _reused(till: Till, work: Checkout, order: PartnerOrder) -> Checkout | None:
    """One order is charged for once. It is not undone: the other purchase relies on it."""
    detail = f"order {order.id} belongs to another purchase; {work.amount} is let go"
    async with till.database.transaction() as session:
        await incidents.report(
            session, "order_reused", subject=work.id, merchant_id=work.merchant_id, detail=detail
        )
    return await advance(
        till,
        work,
        ended=("place", "refused"),
        state="placing",
        step="void",
        failure_code="order_reused",
        failure_detail="The merchant named an order that belongs to another purchase;"
        " we charged nothing. Ask for a new offer",
    )


async def _agreed(
    till: Till, work: Checkout, answer: Quote, order: PartnerOrder
) -> Checkout | None:
    """The order at the confirmed total goes on to the charge, any other is undone."""
    known = {"merchant_order_id": order.id, "permalink_url": order.permalink_url}
    if answer.total != work.amount:
        async with till.database.transaction() as session:
            await incidents.report(
                session,
                "total_mismatch",
                subject=work.id,
                merchant_id=work.merchant_id,
                detail=f"confirmed {work.amount}, ordered at {answer.total}; undoing {order.id}",
            )
        return await advance(
            till,
            work,
            ended=("place", "refused"),
            state="placing",
            step="undo",
            failure_code="offer_changed",
            failure_detail="The merchant ordered at another total; it was canceled",
            **known,
        )
    return await advance(
        till,
        work,
        ended=("place", "done"),
        state="placing",
        step="capture" if work.chargeable else "settle",
        **known,
    )


async def _refused(
    till: Till, work: Checkout, refused: PartnerRefused, *, maybe: bool
) -> Checkout | None:
    """A no to a repeat can mean "that is done already": the session has the last word."""
    partner = await till.partner_for(work.merchant_id)
    seen: Quote | None = None
    try:
        seen = await partner.read(work.reference or "")
    except PartnerError as unseen:
        # Only "no such session" is an answer; but a first try that was refused left nothing.
        if not isinstance(unseen, PartnerGone if maybe else PartnerRefused):
            return await _unknown(till, work, unseen)
    if seen is not None and seen.status in {"completed", "placing"}:
        return await _placed(till, work, seen)
    if seen is not None and seen.status == "expired":
        return await give_up(till, work, "offer_expired", refused.detail)
    if work.settlement == "merchant" and refused.code in _DECLINED:
        return await give_up(till, work, "payment_declined", refused.detail)
    if refused.wants_buyer and work.changes is None:
        asked = confirmation.notes([asks_buyer(refused)])
        return await give_up(till, work, BUYER_WANTED, refused.detail, messages=asked)
    return await give_up(
        till,
        work,
        "merchant_refused",
        refused.detail,
        handoff_url=_marked(till, work, refused.continue_url),
    )


def asks_buyer(refused: PartnerRefused) -> Note:
    """The refusal as the message that the merchant would have given with its quote."""
    return Note("error", refused.code, refused.detail, refused.path or "$.buyer")


def _marked(till: Till, work: Checkout, url: str | None) -> str | None:
    """Where the person can go on, so that what is bought there is known to have come from us."""
    return merchants.marked(url, till.mark(work.id))


async def _unreachable(
    till: Till, work: Checkout, away: PartnerUnreachable, *, maybe: bool
) -> Checkout | None:
    if maybe:
        return await _unknown(till, work, away)
    most = _NOT_NOW_MAX if isinstance(away, PartnerNotNow) else _UNREACHABLE_MAX
    return await _away(till, work, away, most=most, unreachable="place")


async def _away(
    till: Till,
    work: Checkout,
    error: PartnerError,
    *,
    most: int,
    unreachable: Effect | None = None,
) -> Checkout | None:
    """Nothing is ordered: tried `most` times, then the person is told."""
    if work.attempts + 1 >= most:
        return await give_up(
            till,
            work,
            "merchant_unreachable",
            "The merchant cannot be reached; nothing was charged",
        )
    return await later(till, work, unreachable=unreachable, wait_s=error.retry_after_s)


async def _lost(till: Till, work: Checkout, gone: PartnerGone) -> Checkout | None:
    """The merchant says it never heard of the session: believed when it says so repeatedly."""
    if work.attempts + 1 < _LOST_SESSION_MAX:
        return await later(till, work, state="outcome_unknown")
    async with till.database.transaction() as session:
        await incidents.report(
            session,
            "merchant_order_orphaned",
            subject=work.id,
            merchant_id=work.merchant_id,
            detail=f"session {work.reference} is gone after a lost answer: {gone.detail}",
        )
    return await give_up(till, work, "merchant_refused", "The merchant lost this purchase")


async def undo(till: Till, work: Checkout) -> Checkout | None:
    """Cancel an order that will not be paid. A merchant that refuses is a person's matter."""
    intent = await intend(till, work, "undo")
    if intent is None:
        return None
    if work.changes is not None:
        return await _changed_unpaid(till, work)
    partner = await till.partner_for(work.merchant_id)
    order_id = work.merchant_order_id or ""
    try:
        status = (await partner.order(order_id)).status if intent.maybe else ""
        if status not in _CANCELED:
            terms = await partner.cancellation(order_id, key=f"{intent.key}:quote")
            await partner.confirm_cancellation(order_id, terms, key=intent.key)
    except PartnerRefused as refused:
        async with till.database.transaction() as session:
            await incidents.report(
                session,
                "merchant_order_orphaned",
                subject=work.id,
                merchant_id=work.merchant_id,
                detail=f"order {order_id} is unpaid and cannot be canceled: {refused.detail}",
            )
    except PartnerError as lost:
        return await later(till, work, wait_s=lost.retry_after_s)
    return await advance(till, work, ended=("undo", "done"), step="void")


async def _changed_unpaid(till: Till, work: Checkout) -> Checkout | None:
    """A booking was moved and the difference cannot be taken. Undoing would cancel the whole of
    it, which was paid: it stays as the merchant has it, and a person settles the rest."""
    async with till.database.transaction() as session:
        await incidents.report(
            session,
            "change_unpaid",
            subject=work.id,
            merchant_id=work.merchant_id,
            detail=f"order {work.merchant_order_id} was changed and {work.amount} was not taken",
        )
        await changes.stands(session, work)
    return await advance(till, work, ended=("undo", "done"), step="void")
