"""Flights by Duffel: an offer is quoted, held where the airline holds, ordered, canceled by quote.

An order is made for the person at once where the airline keeps a seat unpaid: it has two clocks,
one for the seat and one for the price. Elsewhere the order is made when it is paid. An offer can be
ordered once; our order carries its id and whose purchase it is, so a lost answer is found by them
and nobody is ever given a seat that was ordered for another purchase.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from integrations.duffel_words import (
    NEWEST,
    Account,
    missing,
    money_at,
    one,
    parts_of,
    reference,
    same_currency,
    written,
)
from integrations.money import Money
from integrations.partner import (
    Basket,
    BookingDetails,
    Buyer,
    CancellationQuote,
    Found,
    Note,
    PartnerError,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    Quote,
    QuotedLine,
    Status,
    Total,
)
from integrations.wire import Unreadable, object_at, objects_at, segment, text_at, time_at

SEARCH_LIMIT = 20
_MARK = "emptor_offer"  # in our orders' metadata: the offer they were made of
_OWNER = "emptor_purchase"  # and the purchase that they were made for
_TRAVELLER = ("first_name", "last_name", "email", "phone", "born_on", "gender", "title")
# Where a refund goes so that it comes back to us as money. A voucher would not.
_AS_MONEY = frozenset(
    {"arc_bsp_cash", "balance", "card", "original_form_of_payment", "awaiting_payment"}
)


@dataclass(frozen=True, slots=True)
class FlightWish:
    """One way, or there and `back`. Places are IATA codes of airports or cities."""

    origin: str
    destination: str
    day: date
    back: date | None = None
    adults: int = 1
    cabin: str = "economy"


class Flights:
    """What `Partner` asks, for ids that begin with `off_` and `ord_`."""

    def __init__(self, account: Account, clock: Callable[[], datetime]) -> None:
        self._account = account
        self._now = clock

    async def search(self, wish: FlightWish) -> Sequence[Found]:
        legs = [(wish.origin, wish.destination, wish.day)]
        if wish.back is not None:
            legs.append((wish.destination, wish.origin, wish.back))
        answer = await self._account.ask(
            "/air/offer_requests?return_offers=true",
            {
                "slices": [
                    {"origin": a, "destination": b, "departure_date": day.isoformat()}
                    for a, b, day in legs
                ],
                "passengers": [{"type": "adult"}] * wish.adults,
                "cabin_class": wish.cabin,
            },
        )
        found = [_found(offer) for offer in objects_at(answer, "offers")]
        return sorted(found, key=lambda one: (one.price.amount, one.item_id))[:SEARCH_LIMIT]

    async def quote(self, basket: Basket, *, key: str) -> Quote:
        item, owner = basket.lines[0][0], basket.owner
        ordered, taken = await self._ordered(item, owner)
        if ordered is not None:
            return same_currency(self._of_order(ordered, item, owner), basket)
        if taken:
            raise PartnerRefused("this flight was just taken: search again", code="sold_out")
        offer = await self._account.get(f"/air/offers/{segment(item)}")
        quote = same_currency(self._of_offer(offer, owner, basket.buyer), basket)
        if quote.status != "ready" or not _can_be_held(offer) or basket.buyer is None:
            return quote
        body = {**self._order(offer, basket.buyer, owner), "type": "hold"}
        held = await self._account.post("/air/orders", body, key=key)
        return same_currency(self._of_order(held, item, owner), basket)

    async def read(self, at: str) -> Quote:
        theirs, item, owner = _parts(at)
        if theirs.startswith("ord_"):
            order = await self._account.get(f"/air/orders/{segment(theirs)}")
            return self._of_order(order, item, owner)
        ordered, taken = await self._ordered(item, owner)
        if ordered is not None:
            return self._of_order(ordered, item, owner)
        offer = await self._account.get(f"/air/offers/{segment(item)}")
        quote = self._of_offer(offer, owner, _ANYBODY)
        return replace(quote, status="expired") if taken else quote

    async def place(
        self, at: str, payment: PartnerPayment, buyer: Buyer | None, *, key: str
    ) -> Quote:
        now = await self.read(at)
        if now.status in ("completed", "placing"):
            return now
        if now.status != "ready":
            raise PartnerRefused(f"the flight is {now.status}", code=now.status)
        if now.total != payment.amount:
            raise PartnerRefused(
                f"the total is {now.total}, not {payment.amount}", code="price_changed"
            )
        theirs, item, owner = _parts(now.reference)
        money = {"type": "balance", **written(payment.amount)}
        if theirs.startswith("ord_"):
            paid = {"order_id": theirs, "payment": money}
            await self._account.post("/air/payments", paid, key=key)
            return await self._paid(now.reference)
        notes = missing(buyer, _TRAVELLER)
        if buyer is None or notes:
            raise PartnerRefused(notes[0].text, code="missing", path=notes[0].path)
        offer = await self._account.get(f"/air/offers/{segment(item)}")
        body = {**self._order(offer, buyer, owner), "type": "instant", "payments": [money]}
        return self._of_order(await self._account.post("/air/orders", body, key=key), item, owner)

    async def _paid(self, at: str) -> Quote:
        """The order that was just paid. Raises `PartnerUnknown`: no failed look undoes that."""
        try:
            seen = await self.read(at)
        except PartnerError as error:
            raise PartnerUnknown(error.detail, code=error.code) from error
        return replace(seen, status="placing") if seen.status == "ready" else seen

    async def let_go(self, at: str, *, key: str) -> None:
        """Give up what is held, if anything is. Raises `PartnerRefused` for a paid order."""
        theirs, item, owner = _parts(at)
        ordered: Mapping[str, Any] | None = None
        if theirs.startswith("ord_"):
            ordered = await self._account.get(f"/air/orders/{segment(theirs)}")
        else:
            ordered, _ = await self._ordered(item, owner)
        if ordered is None or ordered.get("cancelled_at"):
            return
        if self._of_order(ordered, item, owner).status == "completed":
            raise PartnerRefused("Cancel the order instead", code="already_completed")
        asked = {"order_id": one(ordered, "ord_")}
        quote = await self._account.post("/air/order_cancellations", asked, key=f"{key}:quote")
        path = f"/air/order_cancellations/{segment(text_at(quote, 'id', 200))}/actions/confirm"
        await self._account.post(path, {}, key=key)

    async def cancel(self, at: str, *, key: str) -> Quote:
        await self.let_go(at, key=key)
        return replace(await self.read(at), status="canceled")

    async def order(self, order_id: str) -> PartnerOrder:
        order = await self._account.get(f"/air/orders/{segment(order_id)}")
        if order.get("cancelled_at"):
            return PartnerOrder(one(order, "ord_"), "canceled")
        return PartnerOrder(one(order, "ord_"), "held" if _unpaid(order) else "confirmed")

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote:
        order = await self._account.get(f"/air/orders/{segment(order_id)}")
        if "cancel" not in (order.get("available_actions") or ()):
            raise PartnerRefused("the airline takes no cancellation here", code="not_cancelable")
        asked = {"order_id": one(order, "ord_")}
        quote = await self._account.post("/air/order_cancellations", asked, key=key)
        if text_at(quote, "refund_to", 60) not in _AS_MONEY:
            raise PartnerRefused("the airline gives no money back", code="refund_not_in_money")
        refund, paid = money_at(quote, "refund"), money_at(order, "total")
        ends = time_at(quote, "expires_at")
        if ends is None or refund.currency != paid.currency or refund.amount > paid.amount:
            raise Unreadable("the airline's refund cannot be right")
        return CancellationQuote(text_at(quote, "id", 200), refund, paid - refund, ends)

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder:
        path = f"/air/order_cancellations/{segment(quote.id)}/actions/confirm"
        done = await self._account.post(path, {}, key=key)
        if money_at(done, "refund") != quote.refund or not done.get("confirmed_at"):
            raise Unreadable("the airline confirmed something else")
        return await self.order(order_id)

    async def _ordered(self, offer_id: str, owner: str) -> tuple[Mapping[str, Any] | None, bool]:
        """This purchase's order of the offer among the newest ones, and whether another purchase
        has it. What was canceled is nobody's."""
        taken = False
        for order in await self._account.listed(f"/air/orders?limit={NEWEST}"):
            marks = object_at(order, "metadata")
            if marks.get(_MARK) != offer_id or order.get("cancelled_at"):
                continue
            if marks.get(_OWNER, "") == owner:
                return order, False
            taken = True
        return None, taken

    def _order(self, offer: Mapping[str, Any], buyer: Buyer, owner: str) -> dict[str, Any]:
        (passenger,) = objects_at(offer, "passengers")
        return {
            "selected_offers": [one(offer, "off_")],
            "passengers": [
                {
                    "id": text_at(passenger, "id", 200),
                    "given_name": buyer.first_name,
                    "family_name": buyer.last_name,
                    "email": buyer.email,
                    "phone_number": buyer.phone,
                    "born_on": buyer.born_on,
                    "gender": buyer.gender,
                    "title": buyer.title,
                }
            ],
            "metadata": {_MARK: one(offer, "off_"), _OWNER: owner},
        }

    def _of_offer(self, offer: Mapping[str, Any], owner: str, buyer: Buyer | None) -> Quote:
        item = one(offer, "off_")
        rules = object_at(offer, "payment_requirements")
        ends = [time_at(offer, "expires_at"), time_at(rules, "price_guarantee_expires_at")]
        notes = missing(buyer, _TRAVELLER) + _beyond_us(offer)
        expires_at = min((end for end in ends if end is not None), default=None)
        status: Status = "incomplete" if notes else "ready"
        if expires_at is None:
            raise Unreadable("the offer has no end")
        if expires_at <= self._now():
            status = "expired"
        at = _at(item, item, owner)
        return _quote(offer, at, item, status, expires_at=expires_at, notes=tuple(notes))

    def _of_order(self, order: Mapping[str, Any], item: str, owner: str) -> Quote:
        identifier = one(order, "ord_")
        at = _at(identifier, item, owner)
        if order.get("cancelled_at"):
            return _quote(order, at, item, "canceled")
        if not _unpaid(order):
            done = PartnerOrder(identifier, "confirmed")
            return replace(_quote(order, at, item, "completed"), order=done)
        state = object_at(order, "payment_status")
        keeps, price = (
            time_at(state, "payment_required_by"),
            time_at(state, "price_guarantee_expires_at"),
        )
        if keeps is None:
            raise Unreadable("an unpaid order without a time to pay by")
        status: Status = "expired" if keeps <= self._now() else "ready"
        return replace(
            _quote(order, at, item, status, expires_at=price or keeps), hold_expires_at=keeps
        )


# Reading an offer again asks nobody's name: who travels was settled with the quote.
_ANYBODY = Buyer("-", "-", "-", "-", born_on="-", gender="-", title="-")


def _at(theirs: str, item: str, owner: str) -> str:
    """The order or the offer, the offer that was picked, and whose purchase it is."""
    return f"{reference(theirs, item)}:{owner}"


def _parts(at: str) -> tuple[str, str, str]:
    """The parts of an `_at`. A reference from before purchases were told apart is nobody's."""
    theirs, rest = parts_of(at)
    item, _, owner = rest.partition(":")
    return theirs, item, owner


def _can_be_held(offer: Mapping[str, Any]) -> bool:
    return object_at(offer, "payment_requirements").get("requires_instant_payment") is False


def _unpaid(order: Mapping[str, Any]) -> bool:
    waits = object_at(order, "payment_status").get("awaiting_payment")
    if not isinstance(waits, bool):
        raise Unreadable("the order does not say whether it is paid")
    return waits


def _beyond_us(offer: Mapping[str, Any]) -> list[Note]:
    """What makes an offer one that only the airline's own page can sell."""
    notes = []
    if len(objects_at(offer, "passengers")) != 1:
        text = "Several travellers cannot be booked together here yet."
        notes.append(Note("error", "several_passengers", text))
    if offer.get("passenger_identity_documents_required") is not False:
        notes.append(Note("error", "identity_documents", "The airline wants identity documents."))
    if offer.get("partial") is True:
        notes.append(Note("error", "partial_offer", "This is only a part of a journey."))
    return notes


def _quote(
    value: Mapping[str, Any],
    at: str,
    item: str,
    status: Status,
    *,
    expires_at: datetime | None = None,
    notes: tuple[Note, ...] = (),
) -> Quote:
    """The whole fare as one line: its parts are the airline's words, its total is what is paid."""
    total = money_at(value, "total")
    return Quote(
        reference=at,
        status=status,
        lines=(QuotedLine(item, _title(value), 1, total, total),),
        totals=(Total("items_base_amount", "Fare with taxes", total), Total("total", "", total)),
        total=total,
        expires_at=expires_at,
        cancellation_policy=_policy(value),
        notes=notes,
    )


def _policy(value: Mapping[str, Any]) -> str:
    rule = object_at(object_at(value, "conditions"), "refund_before_departure")
    if rule.get("allowed") is False:
        return "Not refundable."
    if rule.get("allowed") is not True:
        return "The airline does not say whether this is refundable."
    if rule.get("penalty_amount") is None:
        return "Refundable before departure; the airline names the fee when you ask."
    kept = money_at(rule, "penalty")
    return f"Refundable before departure for {kept.text()}." if kept.amount else "Refundable."


def _legs(value: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    legs = objects_at(value, "slices")
    if not legs or any(not objects_at(leg, "segments") for leg in legs):
        raise Unreadable("a journey without a flight")
    return legs


def _title(value: Mapping[str, Any]) -> str:
    airline = text_at(object_at(value, "owner"), "name", 80) or "Flight"
    ways = [
        f"{text_at(object_at(leg, 'origin'), 'iata_code', 4)}–"
        f"{text_at(object_at(leg, 'destination'), 'iata_code', 4)} {_departs(leg):%Y-%m-%d %H:%M}"
        for leg in _legs(value)
    ]
    return f"{airline} {', '.join(ways)}"


def _departs(leg: Mapping[str, Any]) -> datetime:
    """The airport's own clock, which is what a ticket says."""
    first = objects_at(leg, "segments")[0]
    try:
        return datetime.fromisoformat(text_at(first, "departing_at", 30))
    except ValueError as error:
        raise Unreadable("a flight without a time") from error


def _found(offer: Mapping[str, Any]) -> Found:
    legs = _legs(offer)
    first = _departs(legs[0])
    stops = sum(len(objects_at(leg, "segments")) - 1 for leg in legs)
    price: Money = money_at(offer, "total")
    return Found(
        item_id=one(offer, "off_"),
        title=_title(offer),
        price=price,
        category="flights",
        booking=BookingDetails(first.date(), len(objects_at(offer, "passengers")), first.time()),
        attributes={
            "from": text_at(object_at(legs[0], "origin"), "city_name", 60),
            "to": text_at(object_at(legs[0], "destination"), "city_name", 60),
            "stops": str(stops),
            "refund": _policy(offer),
        },
    )
