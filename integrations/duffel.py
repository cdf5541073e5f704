"""Duffel (API v2): flights and stays of many airlines and hotels behind one account of ours.

We pay Duffel out of our balance there, so no card and no token travels. Ids say what a thing is
and decide who is asked: `off_` and `ord_` are flights, `srr_`, `quo_` and `bok_` are stays. Duffel
takes no idempotency keys: what was ordered is looked up before anything is ordered.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import httpx

from integrations.duffel_flights import Flights, FlightWish
from integrations.duffel_stays import Stays
from integrations.duffel_words import Account
from integrations.partner import (
    Basket,
    BookingWish,
    Buyer,
    CancellationQuote,
    Found,
    PartnerGone,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    Quote,
)

API = "https://api.duffel.com"
_FLIGHTS = ("off_", "ord_")
_STAYS = ("srr_", "quo_", "bok_")


class DuffelPartner:
    """`Partner` and `BookingSearch` over the account whose access token is `key`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        key: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        account = Account(http, base_url, key)
        self._flights = Flights(account, clock)
        self._stays = Stays(account, clock)

    async def search(self, wish: BookingWish) -> Sequence[Found]:
        """Rooms near a place. Tables are not sold here."""
        return await self._stays.search(wish) if wish.vertical == "room" else ()

    async def flights(self, wish: FlightWish) -> Sequence[Found]:
        """Flights between two airports or cities, cheapest first. Raises `PartnerError`."""
        return await self._flights.search(wish)

    async def quote(self, basket: Basket, *, key: str) -> Quote:
        if len(basket.lines) != 1 or basket.lines[0][1] != 1:
            raise PartnerRefused("a flight or a room is booked alone", code="one_item")
        return await self._of(basket.lines[0][0]).quote(basket, key=key)

    async def revise(self, reference: str, basket: Basket, *, key: str) -> Quote:
        """A new quote. What was held for the old one is given up first."""
        await self._of(reference).let_go(reference, key=f"{key}:old")
        return await self.quote(basket, key=key)

    async def read(self, reference: str) -> Quote:
        return await self._of(reference).read(reference)

    async def hold(self, reference: str, *, key: str) -> Quote:  # noqa: ARG002 (nothing to write)
        """A flight that can be held was held with the quote; this reads it."""
        return await self.read(reference)

    async def place(
        self, reference: str, payment: PartnerPayment, buyer: Buyer | None, *, key: str
    ) -> Quote:
        """Order and pay from our balance, unless it is ordered already: then that is the answer."""
        return await self._of(reference).place(reference, payment, buyer, key=key)

    async def cancel(self, reference: str, *, key: str) -> Quote:
        return await self._of(reference).cancel(reference, key=key)

    async def order(self, order_id: str) -> PartnerOrder:
        return await self._of(order_id).order(order_id)

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote:
        return await self._of(order_id).cancellation(order_id, key=key)

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder:
        return await self._of(order_id).confirm_cancellation(order_id, quote, key=key)

    def _of(self, identifier: str) -> Flights | Stays:
        if identifier.startswith(_FLIGHTS):
            return self._flights
        if identifier.startswith(_STAYS):
            return self._stays
        raise PartnerGone("that is nothing Duffel sells", code="not_found")
