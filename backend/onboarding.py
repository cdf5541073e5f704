"""A merchant's connection, tried step by step: reads, a quote and its cancellation. Never an order.

Each step says what was asked and what is wrong, so that a merchant can mend it alone.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from backend.database import Database
from backend.errors import AppError
from backend.ids import new_id
from backend.merchants import Merchant
from backend.products import Product
from integrations.booking import BookingPartner
from integrations.duffel import DuffelPartner
from integrations.partner import (
    Basket,
    BookingDetails,
    BookingWish,
    Found,
    Partner,
    PartnerError,
    Quote,
)
from integrations.ucp import UcpPartner
from integrations.ucp_profile import HANDLER

_TRIAL_DAYS_AHEAD = 7
_TRIAL_HOUR = clock(19, 0)
_TRIAL_PLACE = "London"  # Duffel sells the whole world and must be told where


@dataclass(frozen=True, slots=True)
class Step:
    step: str
    ok: bool
    detail: str
    latency_ms: int


@dataclass(slots=True)
class Check:
    """`ok` when every step was. A step that failed ends the walk."""

    steps: list[Step] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)

    def document(self) -> dict[str, Any]:
        return {"ok": self.ok, "steps": [asdict(step) for step in self.steps]}

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[list[str]]:
        """The block puts what it learned into the list; a partner's no ends it."""
        said: list[str] = []
        started = time.perf_counter()
        failure = ""
        try:
            yield said
        except (PartnerError, AppError) as error:
            code = error.code if isinstance(error, PartnerError) else error.specific_code
            failure = f"{code}: {error.detail}"
        spent = round((time.perf_counter() - started) * 1000)
        self.steps.append(Step(name, not failure, failure or "; ".join(said) or "fine", spent))


async def check(
    database: Database, merchant: Merchant, partner: Callable[[], Awaitable[Partner]]
) -> Check:
    """Walks the merchant's endpoints. Raises nothing that a merchant can cause."""
    walk = Check()
    if merchant.settlement == "handoff":
        await _sends_away(walk, merchant)
        await _first_product(walk, database, merchant)
        return walk
    client: Partner | None = None
    async with walk.step("profile") as said:
        client = await partner()
        said.append(f"{merchant.protocol} at {merchant.discovery_url or merchant.base_url}")
    if client is None:
        return walk
    if isinstance(client, UcpPartner) and not await _discovered(walk, client):
        return walk
    if isinstance(client, BookingPartner | DuffelPartner):
        basket = await _found_booking(walk, client)
    else:
        basket = await _first_product(walk, database, merchant)
    if basket is not None:
        await _quote_and_cancel(walk, client, basket)
    return walk


async def _sends_away(walk: Check, merchant: Merchant) -> None:
    """A merchant that sells on its own page: where people go, and how its orders reach us."""
    async with walk.step("handoff") as said:
        if not merchant.handoff_template:
            raise PartnerError("say in handoff_template where people go", code="no_template")
        if "{token}" not in merchant.handoff_template:
            said.append("the token comes as the parameter emptor_token")
        signed = merchant.discovery_url if merchant.protocol == "ucp" else merchant.webhook_secret
        if not signed:
            missing = "discovery_url" if merchant.protocol == "ucp" else "webhook_secret"
            raise PartnerError(f"set {missing}: order events must be signed", code="no_secret")
        said.append("order events with the token earn the commission")


async def _discovered(walk: Check, client: UcpPartner) -> bool:
    """What the UCP profile says, and what is left of it for us."""
    async with walk.step("discovery") as said:
        business = await client.business()
        said.append(f"UCP {business.version} at {business.endpoint}")
        said.append(", ".join(sorted(business.active)))
        if HANDLER not in business.handlers:
            raise PartnerError(f"offer the payment handler {HANDLER}", code="no_payment_handler")
        if not business.keys:
            raise PartnerError("list an ES256 key in signing_keys", code="no_signing_key")
    return walk.steps[-1].ok


async def _first_product(walk: Check, database: Database, merchant: Merchant) -> Basket | None:
    query = (
        select(Product)
        .where(
            col(Product.merchant_id) == merchant.id,
            col(Product.availability).in_(("in_stock", "low_stock")),
        )
        .order_by(col(Product.id))
        .limit(1)
    )
    async with database.transaction() as session:
        product = (await session.execute(query)).scalar_one_or_none()
    async with walk.step("feed") as said:
        if product is None:
            raise PartnerError("send a feed with something in stock", code="no_products")
        said.append(f"trying {product.item_id}")
    if product is None:
        return None
    return Basket(lines=((product.item_id, 1),), currency=product.currency)


async def _found_booking(walk: Check, client: BookingPartner | DuffelPartner) -> Basket | None:
    place = _TRIAL_PLACE if isinstance(client, DuffelPartner) else ""
    day = datetime.now(UTC).date() + timedelta(days=_TRIAL_DAYS_AHEAD)
    wishes = (
        BookingWish("table", BookingDetails(day, 2, time=_TRIAL_HOUR)),
        BookingWish("room", BookingDetails(day, 2, nights=1), place=place),
    )
    found: list[Found] = []
    async with walk.step("search") as said:
        for wish in wishes:
            answers = await client.search(wish)
            said.append(f"{len(answers)} for a {wish.vertical} on {day}")
            found += answers
        if not found:
            raise PartnerError(f"nothing is free on {day} for two", code="nothing_found")
    if not found:
        return None
    first = found[0]
    return Basket(lines=((first.item_id, 1),), currency=first.price.currency, booking=first.booking)


async def _quote_and_cancel(walk: Check, client: Partner, basket: Basket) -> None:
    trial = new_id("try")
    quote: Quote | None = None
    async with walk.step("quote") as said:
        quote = await client.quote(basket, key=f"{trial}:quote")
        missing = [note.code for note in quote.notes if note.severity == "error"]
        said.append(f"{quote.status}, total {quote.total}")
        if missing:
            said.append(f"asks for {', '.join(missing)}")
    if quote is None:
        return
    async with walk.step("read") as said:
        again = await client.read(quote.reference)
        if again.total != quote.total:
            raise PartnerError(f"quoted {quote.total}, read {again.total}", code="total_differs")
        said.append(again.status)
    async with walk.step("cancel") as said:
        gone = await client.cancel(quote.reference, key=f"{trial}:cancel")
        if gone.status != "canceled":
            raise PartnerError(f"canceled, yet its status is {gone.status}", code="not_canceled")
        said.append(gone.status)
