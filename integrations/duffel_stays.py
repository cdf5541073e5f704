"""Stays by Duffel: found near a place, quoted at the cheapest prepaid rate, booked, canceled.

There is no cancellation quote: what comes back is written into the rate's own timeline, and it is
read again before anything is canceled. A booking carries the quote it was made of; one that may be
ours but does not say so is never booked a second time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote as urlquote

from integrations.duffel_words import (
    NEWEST,
    Account,
    missing,
    money,
    money_at,
    one,
    parts_of,
    reference,
    same_currency,
)
from integrations.money import Money
from integrations.partner import (
    Basket,
    BookingDetails,
    BookingWish,
    Buyer,
    CancellationQuote,
    Found,
    Note,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    Quote,
    QuotedLine,
    Total,
)
from integrations.wire import Unreadable, link_at, object_at, objects_at, segment, text_at, time_at

SEARCH_LIMIT = 20
RADIUS_KM = 5
CANCELLATION_LIFE = timedelta(minutes=30)
_MARK = "emptor_quote"  # in our bookings' metadata: the quote they were made of
_GUEST = ("first_name", "last_name", "email", "phone")
_PREPAID = frozenset({"prepaid", "pay_now"})
_CANCELED = frozenset({"cancelled", "cancellation_confirmed"})


class Stays:
    """What `Partner` asks, for ids that begin with `srr_`, `quo_` and `bok_`."""

    def __init__(self, account: Account, clock: Callable[[], datetime]) -> None:
        self._account = account
        self._now = clock

    async def search(self, wish: BookingWish) -> Sequence[Found]:
        where = await self._place(wish.place or wish.query)
        if where is None:
            return ()
        nights = wish.details.nights or 1
        body = {
            "rooms": 1,
            "guests": [{"type": "adult"}] * wish.details.party,
            "check_in_date": wish.details.date.isoformat(),
            "check_out_date": (wish.details.date + timedelta(days=nights)).isoformat(),
            "location": {"radius": RADIUS_KM, "geographic_coordinates": where},
        }
        answer = await self._account.ask("/stays/search", body)
        booking = replace(wish.details, nights=nights, time=None)
        found = [_found(result, booking) for result in objects_at(answer, "results")]
        most = wish.max_total
        if most is not None:
            found = [f for f in found if f.price.currency == most.currency and f.price <= most]
        return sorted(found, key=lambda one: (one.price.amount, one.item_id))[:SEARCH_LIMIT]

    async def _place(self, words: str) -> Mapping[str, float] | None:
        """Where that is on earth, by Duffel's own suggestions; None when it knows no such place."""
        if not words.strip():
            return None
        path = f"/places/suggestions?query={urlquote(words.strip()[:100], safe='')}"
        for place in await self._account.listed(path):
            latitude, longitude = place.get("latitude"), place.get("longitude")
            if isinstance(latitude, int | float) and isinstance(longitude, int | float):
                return {"latitude": float(latitude), "longitude": float(longitude)}
        return None

    async def quote(self, basket: Basket, *, key: str) -> Quote:
        item = basket.lines[0][0]
        path = f"/stays/search_results/{segment(item)}/actions/fetch_all_rates"
        rate = _cheapest(await self._account.ask(path, {}), basket.currency)
        made = await self._account.post("/stays/quotes", {"rate_id": one(rate, "rat_")}, key=key)
        quote = same_currency(_of_quote(made, reference(one(made, "quo_"), item)), basket)
        notes = missing(basket.buyer, _GUEST)
        return replace(quote, status="incomplete", notes=tuple(notes)) if notes else quote

    async def read(self, at: str) -> Quote:
        quoted = await self._quoted(at)
        booked = await self._booked(at, quoted)
        return _of_quote(quoted, at) if booked is None else _of_booking(booked, quoted, at)

    async def _quoted(self, at: str) -> Mapping[str, Any]:
        return await self._account.get(f"/stays/quotes/{segment(parts_of(at)[0])}")

    async def place(
        self, at: str, payment: PartnerPayment, buyer: Buyer | None, *, key: str
    ) -> Quote:
        notes = missing(buyer, _GUEST)
        if buyer is None or notes:
            raise PartnerRefused(notes[0].text, code="missing", path=notes[0].path)
        quoted = await self._quoted(at)
        booked = await self._booked(at, quoted, email=buyer.email)
        if booked is not None:
            return _of_booking(booked, quoted, at)
        now = _of_quote(quoted, at)
        if now.total != payment.amount:
            raise PartnerRefused(
                f"the total is {now.total}, not {payment.amount}", code="price_changed"
            )
        theirs = parts_of(at)[0]
        body = {
            "quote_id": theirs,
            "guests": [{"given_name": buyer.first_name, "family_name": buyer.last_name}],
            "email": buyer.email,
            "phone_number": buyer.phone,
            "metadata": {_MARK: theirs},
        }
        return _of_booking(await self._account.post("/stays/bookings", body, key=key), quoted, at)

    async def _booked(
        self, at: str, quoted: Mapping[str, Any], *, email: str = ""
    ) -> Mapping[str, Any] | None:
        """Our booking of this quote. Raises `PartnerUnknown` where one may be it or not."""
        theirs, nights = parts_of(at)[0], _nights(quoted)
        for booking in await self._account.listed(f"/stays/bookings?limit={NEWEST}"):
            mark = object_at(booking, "metadata").get(_MARK)
            if mark == theirs:
                return booking
            alike = email and booking.get("email") == email and _nights(booking) == nights
            if mark is None and alike and text_at(booking, "status", 40) not in _CANCELED:
                raise PartnerUnknown("a booking there may be this one", code="look_up_unclear")
        return None

    async def let_go(self, at: str, *, key: str) -> None:
        """A quote holds nothing."""

    async def cancel(self, at: str, *, key: str) -> Quote:  # noqa: ARG002 (nothing to write)
        seen = await self.read(at)
        if seen.order is not None:
            raise PartnerRefused("Cancel the order instead", code="already_completed")
        return replace(seen, status="canceled")

    async def order(self, order_id: str) -> PartnerOrder:
        return _order(await self._account.get(f"/stays/bookings/{segment(order_id)}"))

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote:  # noqa: ARG002
        booking = await self._account.get(f"/stays/bookings/{segment(order_id)}")
        rate, now = _rate(booking), self._now()
        if rate is None or not isinstance(rate.get("cancellation_timeline"), list):
            raise PartnerRefused("the hotel says nothing of cancellation", code="not_cancelable")
        paid = money_at(rate, "total")
        refund, until = Money.zero(paid.currency), now + CANCELLATION_LIFE
        for entry in _timeline(rate):
            ends = time_at(entry, "before")
            if ends is not None and now < ends:
                refund = money(entry.get("refund_amount"), entry.get("currency"), "refund")
                until = min(until, ends)
                break
        if refund.currency != paid.currency or refund.amount > paid.amount:
            raise Unreadable("the hotel's refund cannot be right")
        identifier = reference(one(booking, "bok_"), str(refund.amount))
        return CancellationQuote(identifier, refund, paid - refund, until)

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder:
        now = await self.order(order_id)
        if now.status == "canceled":
            return now
        fresh = await self.cancellation(order_id, key=key)
        if fresh.refund != quote.refund:
            raise PartnerRefused("the refund is not what it was", code="expired")
        path = f"/stays/bookings/{segment(order_id)}/actions/cancel"
        return _order(await self._account.post(path, {}, key=key))


def _cheapest(result: Mapping[str, Any], currency: str) -> Mapping[str, Any]:
    """The cheapest rate that we can pay whole and now. Raises `PartnerRefused` for none."""
    rates = [
        rate
        for room in objects_at(object_at(result, "accommodation"), "rooms")
        for rate in objects_at(room, "rates")
        if rate.get("payment_type") in _PREPAID and rate.get("total_currency") == currency
    ]
    if not rates:
        raise PartnerRefused("no room here can be paid in advance", code="no_rate")
    return min(rates, key=lambda rate: (money_at(rate, "total").amount, str(rate.get("id"))))


def _nights(value: Mapping[str, Any]) -> tuple[date, date]:
    try:
        return (
            date.fromisoformat(text_at(value, "check_in_date", 10)),
            date.fromisoformat(text_at(value, "check_out_date", 10)),
        )
    except ValueError as error:
        raise Unreadable("a stay without its days") from error


def _of_quote(quoted: Mapping[str, Any], at: str) -> Quote:
    total = money_at(quoted, "total")
    start, end = _nights(quoted)
    name = text_at(object_at(quoted, "accommodation"), "name", 120) or "Hotel"
    line = QuotedLine(parts_of(at)[1], f"{name}, {start} to {end}", 1, total, total)
    return Quote(
        reference=at,
        status="ready",
        lines=(line,),
        totals=(Total("items_base_amount", "Stay", total), Total("total", "", total)),
        total=total,
        expires_at=time_at(quoted, "expires_at"),
        cancellation_policy=_policy(quoted),
    )


def _of_booking(booking: Mapping[str, Any], quoted: Mapping[str, Any], at: str) -> Quote:
    seen, order = _of_quote(quoted, at), _order(booking)
    match order.status:
        case "confirmed":
            return replace(seen, status="completed", order=order)
        case "canceled":
            return replace(seen, status="canceled")
        case "requested":
            return replace(seen, status="placing")
        case "failed":
            note = Note("error", "booking_failed", "The hotel did not take the booking")
            return replace(seen, status="canceled", notes=(note,))
        case _:
            raise PartnerUnknown(f"the hotel says {order.status}", code="unknown_status")


def _order(booking: Mapping[str, Any]) -> PartnerOrder:
    word = text_at(booking, "status", 40)
    if not word:
        raise Unreadable("the booking has no status")
    return PartnerOrder(one(booking, "bok_"), "canceled" if word in _CANCELED else word)


def _rate(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    rooms = objects_at(object_at(value, "accommodation"), "rooms")
    rates = [rate for room in rooms for rate in objects_at(room, "rates")]
    return rates[0] if len(rates) == 1 else None


def _timeline(rate: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return sorted(
        objects_at(rate, "cancellation_timeline"), key=lambda entry: text_at(entry, "before", 40)
    )


def _policy(quoted: Mapping[str, Any]) -> str:
    """What comes back until when, and what is still to be paid at the hotel."""
    told = []
    if quoted.get("due_at_accommodation_amount") is not None:
        due = money_at(quoted, "due_at_accommodation")
        if due.amount:
            told.append(f"You pay {due.text()} more at the hotel.")
    rate = _rate(quoted)
    for entry in _timeline(rate) if rate else ():
        back = money(entry.get("refund_amount"), entry.get("currency"), "refund")
        ends = time_at(entry, "before")
        if ends is not None:
            told.append(f"{back.text()} back until {ends:%Y-%m-%d %H:%M} UTC.")
    if rate is not None and not _timeline(rate):
        told.append("Not refundable.")
    return " ".join(told)


def _found(result: Mapping[str, Any], booking: BookingDetails) -> Found:
    house = object_at(result, "accommodation")
    price = money(
        house.get("cheapest_rate_total_amount"), house.get("cheapest_rate_currency"), "price"
    )
    address = object_at(object_at(house, "location"), "address")
    photos = objects_at(house, "photos")
    stars = [r.get("value") for r in objects_at(house, "ratings")]
    counted = [float(s) for s in stars if isinstance(s, int | float) and 0 <= s <= 5]
    return Found(
        item_id=one(result, "srr_"),
        title=text_at(house, "name", 200) or "Hotel",
        price=price,
        description=text_at(house, "description", 1000),
        category="hotel",
        image_url=link_at(photos[0], "url", base_url="") if photos else None,
        rating=sum(counted) / len(counted) if counted else None,
        booking=booking,
        attributes={"city": text_at(address, "city_name", 60), "total": str(price.amount)},
    )
