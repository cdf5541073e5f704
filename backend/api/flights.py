"""`GET /api/flights`: what airlines offer for a way and a day, as offers that a checkout takes."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from backend import flights
from backend.auth import UserKey
from backend.errors import BadRequest
from backend.tally import cards_as_json
from graphs.state import Cards
from integrations.duffel_flights import FlightWish

router = APIRouter(prefix="/api", tags=["checkouts"])
Place = Annotated[str, Query(pattern=r"^[A-Z]{3}$")]
Day = Annotated[str, Query(pattern=r"^\d{4}-\d{2}-\d{2}$")]


@router.get("/flights")
async def search(
    who: UserKey,
    request: Request,
    origin: Place,
    destination: Place,
    date: Day,
    return_date: Day | None = None,
) -> dict[str, Any]:
    """One traveller, economy. `origin` and `destination` are IATA codes of airports or cities."""
    del who
    try:
        day = dt.date.fromisoformat(date)
        back = dt.date.fromisoformat(return_date) if return_date else None
    except ValueError as error:
        raise BadRequest("date: there is no such day") from error
    state = request.app.state
    found = await flights.search(
        state.till, state.catalogue, FlightWish(origin, destination, day, back)
    )
    cards = Cards("booking-options", tuple(found))
    return {"data": cards_as_json(cards)["items"], "next_cursor": None}
