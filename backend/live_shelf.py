"""The shelf of a conversation: the catalogue, after partners with a search of their own were asked.

What a UCP business finds for the words becomes rows of its feed: new things whole, known ones by
price and availability. From there on they are found, ranked and quoted like everything else, so a
live answer gains no position by being live.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from sqlalchemy import select
from sqlmodel import col

from backend import feeds, merchants
from backend.catalogue import Catalogue
from backend.merchants import Client, Language, Merchant
from backend.products import Product, offer_id
from backend.search import bounds
from graphs.state import Offer, Wish
from integrations import ucp_shelf
from integrations.partner import Found, PartnerError, PartnerRefused
from integrations.ucp import UcpPartner

log = structlog.get_logger()
DEADLINE_S = 1.5  # a person waits for the slowest of them
REST_S = 60.0  # how long one that failed or searches nothing is left alone


class LiveShelf:
    """`graphs.state.Shelf` over `catalogue`; `client` speaks to a merchant in its protocol."""

    def __init__(
        self,
        catalogue: Catalogue,
        client: Callable[[Merchant], Client],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._client = client
        self._clock = clock
        self._rests: dict[str, float] = {}

    async def search(self, wish: Wish, *, limit: int = 6) -> Sequence[Offer]:
        if wish.vertical == "product":
            await self._ask(wish)
        return await self._catalogue.search(wish, limit=limit)

    async def get(self, offer_ids: Sequence[str], *, language: Language = "en") -> Sequence[Offer]:
        return await self._catalogue.get(offer_ids, language=language)

    async def _ask(self, wish: Wish) -> None:
        """All at once, with one deadline: who fails or is late is missing, not waited for."""
        async with self._catalogue.database.transaction() as session:
            rows = await merchants.live(session, protocol="ucp")
        now = self._clock()
        asked = [row for row in rows if self._rests.get(row.id, 0.0) <= now]
        await asyncio.gather(*(self._one(row, wish) for row in asked))

    async def _one(self, row: Merchant, wish: Wish) -> None:
        partner = self._client(row)
        assert isinstance(partner, UcpPartner)
        within = bounds(wish)
        try:
            async with asyncio.timeout(DEADLINE_S):
                found = await ucp_shelf.search(
                    partner, wish.query, price_min=within.price_min, price_max=within.price_max
                )
        except (PartnerError, TimeoutError) as error:
            self._rests[row.id] = self._clock() + REST_S
            if not (isinstance(error, PartnerRefused) and error.code == "not_supported"):
                log.warning("live_search_failed", merchant=row.id, error=type(error).__name__)
            return
        await self._take_in(row.id, found)

    async def _take_in(self, merchant_id: str, found: Sequence[Found]) -> None:
        ids = [offer_id(merchant_id, one.item_id) for one in found]
        async with self._catalogue.database.transaction() as session:
            query = select(Product).where(col(Product.id).in_(ids))
            known = {row.item_id: row for row in (await session.execute(query)).scalars()}
        rows = [row for one in found if (row := _row(one, known.get(one.item_id)))]
        if not rows:
            return
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        taken = await feeds.upsert(self._catalogue, merchant_id, lines.encode())
        if taken.rejected:
            log.info("live_rows_rejected", merchant=merchant_id, rejected=taken.rejected)


def _row(one: Found, known: Product | None) -> dict[str, Any] | None:
    """What is new about it as a row of a feed; None when nothing is."""
    now = {
        "item_id": one.item_id,
        "price_amount": one.price.amount,
        "currency": one.price.currency,
        "availability": one.availability,
    }
    if known is not None:
        same = all(getattr(known, name) == value for name, value in now.items())
        return None if same else now
    more = {"image_url": one.image_url, "rating": one.rating}
    return {
        **now,
        "title": one.title,
        "description": one.description,
        "category": one.category,
        **{name: value for name, value in more.items() if value is not None},
    }
