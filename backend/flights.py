"""Flights: asked live of every Duffel account that is open, kept long enough to be chosen.

Chat understands no itineraries yet, so this is asked by places and a day. From the offer on, a
flight is a booking like any other: the same quote, consent and charge.
"""

import asyncio
from collections.abc import Sequence

import structlog

from backend import merchants, offers
from backend.catalogue import Catalogue
from backend.till import Till
from graphs.state import Offer
from integrations.duffel import DuffelPartner
from integrations.duffel_flights import FlightWish
from integrations.partner import Found, PartnerError

log = structlog.get_logger()
DEADLINE_S = 15.0


async def search(till: Till, shelf: Catalogue, wish: FlightWish) -> Sequence[Offer]:
    """Cheapest first. An account that fails or is late is missing, not waited for."""
    async with till.database.transaction() as session:
        accounts = await merchants.live(session, protocol="duffel")
    answers = await asyncio.gather(*(_one(till, row.id, wish) for row in accounts))
    found = [(row.id, one) for row, each in zip(accounts, answers, strict=True) for one in each]
    found.sort(key=lambda pair: (pair[1].price.amount, pair[1].item_id))
    async with till.database.transaction() as session:
        await offers.keep(session, found)
    return await shelf.get([offers.booking_id(merchant, one) for merchant, one in found])


async def _one(till: Till, merchant_id: str, wish: FlightWish) -> Sequence[Found]:
    partner = await till.partner_for(merchant_id)
    assert isinstance(partner, DuffelPartner)
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await partner.flights(wish)
    except (PartnerError, TimeoutError) as error:
        log.warning("flight_search_failed", merchant=merchant_id, error=type(error).__name__)
        return ()
