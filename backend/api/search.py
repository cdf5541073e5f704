"""`GET /api/search`: offers for words, with what was asked for beside them."""

from dataclasses import replace
from datetime import date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from backend import auth
from backend.auth import Principal, UserKey
from backend.database import Database
from backend.errors import BadRequest
from backend.tally import cards_as_json
from backend.turn import Chat
from graphs.memory import Draft
from graphs.outings import is_outing, suits
from graphs.state import Cards, Offer, Wish
from graphs.wishes import missing, read, wish
from integrations.money import AMOUNT_MAX, Money

POOL = 60  # what is looked through where some of it will be left out

router = APIRouter(prefix="/api", tags=["Person"])


class Looking(BaseModel):
    """What to look for. What is given here counts before what the words say."""

    q: str = Field(min_length=1, max_length=500)
    kind: Literal["purchase", "booking"] = "purchase"
    min_price: int | None = Field(None, ge=0, le=2**53)
    max_price: int | None = Field(None, ge=1, le=2**53)
    currency: str = Field("EUR", pattern="^[A-Z]{3}$")
    day: date | None = Field(None, alias="date")
    until: date | None = None
    hour: time | None = Field(None, alias="time")
    party: int | None = Field(None, ge=1, le=100)
    nights: int | None = Field(None, ge=1, le=90)
    place: str = Field("", max_length=100)
    availability: Literal["in_stock", "low_stock", "on_request"] | None = None
    limit: int = Field(6, ge=1, le=20)

    def onto(self, draft: Draft) -> Draft:
        """The draft with what was given. A room's last day is told by its nights."""
        spent = (self.until - self.day).days if self.until and self.day else 0
        return replace(
            draft,
            day=self.day or draft.day,
            until=self.until or draft.until,
            hour=self.hour or draft.hour,
            party=self.party or draft.party,
            nights=self.nights or draft.nights or (spent if spent > 0 else None),
            place=self.place or draft.place,
        )

    def keeps(self, offer: Offer) -> bool:
        """Whether an offer found by the words is of the day and the place given beside them."""
        if self.kind == "booking" or not (self.day or self.place):
            return True
        until = self.until or self.day
        return suits(offer, day=self.day, until=until, origin="", place=self.place)

    def bounding(self, wanted: Wish) -> Wish:
        """The wish with its prices, which are for one, and what must be in stock."""

        def total(unit: int | None, said: Money | None) -> Money | None:
            if unit is None:
                return said
            return Money(min(unit * wanted.quantity, AMOUNT_MAX), self.currency)

        return replace(
            wanted,
            min_total=total(self.min_price, wanted.min_total),
            max_total=total(self.max_price, wanted.max_total),
            availability=self.availability or "",
        )

    @property
    def narrow(self) -> bool:
        """Whether `keeps` may leave something out."""
        return bool(self.day or self.place)


@router.get("/search")
async def search(
    who: UserKey, request: Request, asked: Annotated[Looking, Query()]
) -> dict[str, Any]:
    """Offers for the words, best first, which are understood as a message would be: a budget
    ("under 200 euros") is one. `min_price` and `max_price` (minor units of `currency`, for one),
    `date`, `until`, `time`, `party`, `nights`, `place` and `availability` may be given apart."""
    chat: Chat = request.app.state.chat
    if "\x00" in asked.q + asked.place:
        raise BadRequest("q, place: text must not contain NUL")
    wanted = await _wish(request, who, asked)
    try:
        wanted = asked.bounding(wanted)
    except ValueError as error:
        raise BadRequest(f"currency: {error}") from error
    found = await chat.shelf.search(wanted, limit=POOL if asked.narrow else asked.limit)
    offers = [offer for offer in found if asked.keeps(offer)][: asked.limit]
    cards = Cards("product-list" if asked.kind == "purchase" else "booking-options", tuple(offers))
    return {"data": cards_as_json(cards)["items"], "next_cursor": None}


async def _wish(request: Request, who: Principal, asked: Looking) -> Wish:
    """The words, read as a message would be; what a booking needs and they lack is refused."""
    database: Database = request.app.state.database
    async with database.transaction() as session:
        zone = (await auth.user(session, who.user_id)).timezone
    chinese = any("\u4e00" <= c <= "\u9fff" for c in asked.q)
    language: Literal["en", "zh"] = "zh" if chinese else "en"
    today = datetime.now(ZoneInfo(zone)).date()
    draft = asked.onto(read(asked.q, today=today, language=language).draft)
    if asked.kind == "purchase":
        return _goods(draft, asked, language)
    draft = draft if draft.vertical in ("table", "room") else replace(draft, vertical="table")
    if asked.day is not None and asked.day < today:
        raise BadRequest("date: that day is over", param="date")
    lacking = missing(draft, today=today)
    if lacking:
        raise BadRequest(f"q: a booking needs its {lacking}; say it in words", param="q")
    return wish(draft, language=language)


def _goods(draft: Draft, asked: Looking, language: Literal["en", "zh"]) -> Wish:
    """Goods are looked for in the person's own words; a budget among them is no word for goods.

    A town that the words name is where an evening is looked for first, not a filter.
    """
    town = draft.place if is_outing(asked.q) else ""
    place = asked.place or town
    said = wish(replace(draft, vertical="product", place=place), language=language)
    limited = draft.budget is not None or draft.floor is not None
    words = draft.words if limited and draft.words else asked.q
    return replace(
        said,
        query=f"{words} {asked.place}".strip(),
        date=asked.day,
        until=asked.until,
        party=None,
        nights=None,
        origin="",
    )
