"""Wings: an account at Duffel, behind the very fake that our client's tests speak to.

Duffel takes no idempotency keys, so what arrives after its sender has given it up happens all the
same: no wire of a world brings a request there late, or two times.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from integrations.duffel import DuffelPartner
from integrations.duffel_flights import FlightWish
from integrations.partner import Found
from tests.integrations.fakes_duffel import TOKEN, Duffel, app
from tests.simulation.clock import BEGINNING

__all__ = ["TOKEN", "TRAVELLER", "Wings", "found"]

TRAVELLER = {"born_on": "1987-07-24", "gender": "f", "title": "mrs"}
SEATS = 16
_DEPOSIT = Decimal(100_000)


class Wings:
    """The account, and the server that stands for it."""

    def __init__(self, duffel: Duffel) -> None:
        self.duffel = duffel

    @classmethod
    def on_sale(cls) -> "Wings":
        """Every other seat can be held before it is paid."""
        duffel = Duffel(now=BEGINNING, balance=_DEPOSIT)
        for n in range(SEATS):
            ends = (BEGINNING + timedelta(days=3)).isoformat()
            rules = {"payment_required_by": ends, "price_guarantee_expires_at": ends}
            duffel.offer(
                id=f"off_{n:04}",
                total_amount=f"{45 + n}.00",
                expires_at=ends,
                payment_requirements=rules | {"requires_instant_payment": n % 2 == 0},
            )
        return cls(duffel)

    def app(self) -> Any:
        served = app(self.duffel)

        async def on_time(scope: Any, receive: Any, send: Any) -> None:
            self.duffel.now = datetime.now(UTC)
            await served(scope, receive, send)

        return on_time

    def documents(self) -> list[dict[str, Any]]:
        """Every order as the other merchants have theirs: what it is called, and how it stands."""
        return [
            {
                "id": order["id"],
                "status": _status(order),
                "offer": order["metadata"]["emptor_offer"],
                "amount": order["total_amount"],
            }
            for order in self.duffel.orders
        ]


def _status(order: Mapping[str, Any]) -> str:
    if order["cancelled_at"]:
        return "canceled"
    return "held" if order["payment_status"]["awaiting_payment"] else "confirmed"


async def found() -> list[Found]:
    """The seats, as our own client finds them."""
    transport = httpx.ASGITransport(Wings.on_sale().app())
    async with httpx.AsyncClient(transport=transport, base_url="http://wings") as http:
        partner = DuffelPartner(http, "http://wings", TOKEN)
        wish = FlightWish("LHR", "JFK", (BEGINNING + timedelta(days=30)).date())
        return list(await partner.flights(wish))
