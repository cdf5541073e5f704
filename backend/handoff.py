"""Hand-off: a person pays on the merchant's own site, and the order that comes of it earns our fee.

Some merchants sell on their own site only; the checkouts of others can end there. What comes back
to a buyer there is told the same way, and so it is by merchants of record who charge a token.

The address carries a token that we marked: the checkout's id, which only we can have written. The
merchant sends it back with its signed order event. Both must fit before anything is booked: whose
secret signed, and whose checkout the token names. What the order cost is the merchant's word, and
so is the commission that it owes on it; nobody is charged here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import fees, incidents, ledger, orders, refunds
from backend.checkout import MOVING, Checkout, move, taken
from backend.orders import PurchaseOrder
from backend.vault import Vault
from integrations.money import CurrencyMismatch, Money, MoneyError
from integrations.partner import clean_text
from integrations.wire import Unreadable, integer_at, link_at, objects_at, text_at

_TOKENS = ("attribution", "affiliate_attribution")
# An escalated checkout is told `failed` where the merchant asked for its page only when we ordered.
_CLAIMABLE = frozenset({"draft", "quoted", "held", "failed"})
_RETURNABLE = ("placed", "fulfilled", "partially_refunded")
_AS_MONEY = frozenset({"refund", "return", "credit", "price_adjustment"})


def token_in(order: Mapping[str, Any]) -> object:
    """The token of an order event, wherever its protocol has room for one."""
    for name in _TOKENS:
        held = order.get(name)
        if isinstance(held, dict) and held.get("token"):
            return held["token"]
    return order.get("checkout_session_id")


async def sent(session: AsyncSession, vault: Vault, token: object) -> Checkout | None:
    """The handed-off checkout that a token of ours names; None for any other text."""
    named = vault.marked(token) if isinstance(token, str) and len(token) <= 200 else None
    if named is None:
        return None
    away = (col(Checkout.settlement) == "handoff") | col(Checkout.handoff_url).is_not(None)
    query = select(Checkout).where(col(Checkout.id) == named, away)
    return (await session.execute(query)).scalar_one_or_none()


def left(row: Checkout) -> bool:
    """Whether the person was sent to the merchant's own page: as agreed with the merchant, or
    because its checkout could only go on there."""
    if row.settlement == "handoff":
        return True
    return row.handoff_url is not None and row.changes is None and row.state not in MOVING


async def ordered(session: AsyncSession, row: Checkout, order: Mapping[str, Any]) -> bool:
    """Book the merchant's verified order, once. False: it is booked already, or not bookable: the
    checkout was given up, or its time is over, and with it the claim to a commission.

    The agreed terms are those of the day the person was sent. From here on the checkout is a
    hand-off, whatever it began as: the merchant has the money.
    """
    row = await session.get_one(Checkout, row.id, with_for_update=True, populate_existing=True)
    if row.order_id is not None:
        return False
    identifier, total = text_at(order, "id", 200), _total(row, order)
    claimable = row.state in _CLAIMABLE and left(row)
    if claimable and identifier and await taken(session, row, identifier):
        await incidents.report(
            session,
            "order_reused",
            subject=row.id,
            merchant_id=row.merchant_id,
            detail=f"order {identifier} belongs to another purchase; no commission is booked",
        )
        return False
    if not claimable or not identifier or total is None:
        await _strange(session, row, "an order came that cannot be booked")
        return False
    try:
        fee = fees.fee(fees.agreed(row.fee_terms or {}), total)
    except (fees.FeeError, CurrencyMismatch):
        await _strange(session, row, f"no terms are agreed for an order of {total}")
        return False
    shown = dict(row.quote or {})
    shown["totals"] = [{"type": "total", "label": "Total", "amount": total.amount}]
    shown.setdefault("lines", row.lines)
    paid = await move(
        session,
        row,
        state="placing",
        settlement="handoff",
        failure_code=None,
        failure_detail=None,
        total=total.amount,
        currency=total.currency,
        fee=fee.amount,
        merchant_order_id=identifier,
        permalink_url=_permalink(order),
        quote=shown,
    )
    return paid is not None and await orders.book(session, paid, None)


def _total(row: Checkout, order: Mapping[str, Any]) -> Money | None:
    currency = text_at(order, "currency", 3).upper() or row.currency
    try:
        stated = [t for t in objects_at(order, "totals") if t.get("type") == "total"]
        total = Money(integer_at(stated[0], "amount"), currency) if len(stated) == 1 else None
    except (MoneyError, Unreadable):
        return None
    return total if total is not None and total.amount >= 0 else None


def _permalink(order: Mapping[str, Any]) -> str | None:
    """https only, or this machine's http: a person will be sent there."""
    found = clean_text(order.get("permalink_url"), 2000)
    return link_at({"u": found}, "u", base_url=found if "://127.0.0.1" in found else "")


async def _strange(session: AsyncSession, row: Checkout, detail: str) -> None:
    await incidents.report(
        session, "total_mismatch", subject=row.id, merchant_id=row.merchant_id, detail=detail
    )


async def undone(
    session: AsyncSession, order_id: str, said: Mapping[str, Any], *, ref: str
) -> bool:
    """The merchant canceled: what it does not say that it kept came back, and our fee with it.

    ACP and UCP cancel the whole order; our booking API says in `refunded` how much came back.
    """
    order = await _returnable(session, order_id)
    if order is None or (told := await told_back(session, order, said)) is None:
        return False
    whole = [order, *await orders.parts(session, order_id)]
    if "refunded" not in said:
        told = sum(one.total for one in whole)
    elif await _too_much(session, order, told, whole):
        return False
    new = max(0, told - sum(one.refunded for one in whole))
    for one, share in orders.spread(new, whole):
        if one.state in _RETURNABLE:
            await _book(session, one, one.refunded + share, "canceled", ref=ref)
    return True


async def returned(
    session: AsyncSession, order_id: str, said: Mapping[str, Any], *, ref: str
) -> bool:
    """Part of the order came back to its buyer there: our fee goes back in proportion.

    Merchants tell the sum so far with every event, so a repeat changes nothing, and neither does
    what a refund of ours that is under way will book. A booking whose change was paid for is one
    order to its merchant: the newest payment comes back first. False: no news, or a sum that
    cannot be right, which is a person's matter.
    """
    order = await _returnable(session, order_id, more=("canceled",))
    if order is None or (told := await told_back(session, order, said)) is None:
        return False
    whole = [order, *await orders.parts(session, order_id)]
    new = told - sum(one.refunded for one in whole)
    if new > 0:
        new -= await refunds.under_way(session, [one.id for one in whole])
    if new <= 0 or await _too_much(session, order, told, whole):
        return False
    for one, share in orders.spread(new, whole):
        if share:
            await _book(session, one, one.refunded + share, _after(one, share), ref=ref)
    return True


def _after(order: PurchaseOrder, share: int) -> orders.OrderState:
    if order.state == "canceled":
        return "canceled"
    return "refunded" if share == order.remaining.amount else "partially_refunded"


async def _too_much(
    session: AsyncSession, order: PurchaseOrder, told: int, whole: Sequence[PurchaseOrder]
) -> bool:
    paid = sum(one.total for one in whole)
    if told > paid:
        await incidents.report(
            session,
            "total_mismatch",
            subject=order.id,
            merchant_id=order.merchant_id,
            detail=f"{order.merchant_order_id}: {told} came back of {paid}",
        )
    return told > paid


async def _returnable(
    session: AsyncSession, order_id: str, *, more: Sequence[str] = ()
) -> PurchaseOrder | None:
    """The order, locked, if its buyer paid the merchant and something of it can come back."""
    query = select(PurchaseOrder).where(
        col(PurchaseOrder.id) == order_id,
        col(PurchaseOrder.settlement) != "platform",
        col(PurchaseOrder.state).in_((*_RETURNABLE, *more)),
    )
    found = await session.execute(query.with_for_update().execution_options(populate_existing=True))
    return found.scalar_one_or_none()


async def _book(
    session: AsyncSession, order: PurchaseOrder, back: int, state: orders.OrderState, *, ref: str
) -> None:
    """`back` minor units came back so far. The event says how much is new: our books hold only
    the fee of it, and statements tell both."""
    part = fees.fee_refund(
        fee=Money(order.fee, order.currency),
        captured=order.amount,
        refunded_total=Money(back, order.currency),
        already=Money(order.fee_refunded, order.currency),
    )
    detail = {"refund": back - order.refunded, "refunded": back}
    order.refunded, order.fee_refunded, order.state = back, order.fee_refunded + part.amount, state
    order.updated_at = func.now()  # type: ignore[assignment]
    await session.flush()
    await orders.record(session, order.id, state, ref=ref, detail=detail)
    postings = fees.accrual_refunded(merchant_id=order.merchant_id, fee_part=part)
    if postings:
        booked = f"{order.id}:handoff:{back}"
        await ledger.post(session, kind="refunded", ref=booked, entries=postings)


async def told_back(
    session: AsyncSession, order: PurchaseOrder, said: Mapping[str, Any]
) -> int | None:
    """What the merchant says came back so far. None: in other money, which is a person's matter."""
    try:
        told = given_back(said, order.currency)
    except CurrencyMismatch as other:
        await incidents.report(
            session,
            "total_mismatch",
            subject=order.id,
            merchant_id=order.merchant_id,
            detail=f"{order.merchant_order_id}: what came back is told in other money: {other}",
        )
        return None
    # To a booking's own system a cheaper change lowers the total; it counts as no refund there.
    apart = await refunds.by_changes(session, order.id) if "refunded" in said else 0
    return told + apart


def given_back(said: Mapping[str, Any], currency: str) -> int:
    """What an order says came back so far, in minor units; 0 where it says nothing readable.

    Raises `CurrencyMismatch` for a sum in another currency than the order's.
    """
    try:
        stated = [t for t in objects_at(said, "totals") if t.get("type") == "amount_refunded"]
        told = stated[:1] or [
            _adjusted(entry)
            for entry in objects_at(said, "adjustments")
            if entry.get("type") in _AS_MONEY and entry.get("status") == "completed"
        ]
        sums = [(abs(_amount(entry)), _currency(entry, said) or currency) for entry in told]
    except Unreadable:
        return 0
    for back, named in sums:
        if back and named != currency:
            raise CurrencyMismatch(f"{back} {named}, paid in {currency}")
    return sum(back for back, _ in sums)


def _adjusted(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """ACP writes an amount beside the adjustment, UCP 2026-04-08 a negative total inside it."""
    totals = [t for t in objects_at(entry, "totals") if t.get("type") == "total"]
    return {**entry, **totals[0]} if totals else entry


def _amount(entry: Mapping[str, Any]) -> int:
    return integer_at(entry, "amount") if entry.get("amount") is not None else 0


def _currency(entry: Mapping[str, Any], order: Mapping[str, Any]) -> str:
    """Its own where it names one, else its order's."""
    return (text_at(entry, "currency", 3) or text_at(order, "currency", 3)).upper()
