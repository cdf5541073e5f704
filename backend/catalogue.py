"""What can be had: products from feeds and live answers of booking partners, as offers in order.

Implements `graphs.state.Shelf`. Commission is not read here at all: the ranking gets facts, the
disclosure is joined afterwards by merchant.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import select
from sqlmodel import col

from backend import merchants, offers, search
from backend.database import Database
from backend.merchants import Language, Merchant
from backend.products import Product, chosen_of, identity, named
from graphs.ranking import Rankable, rank, reasons
from graphs.state import Image, Offer, Wish
from integrations.money import Money
from integrations.partner import (
    BookingDetails,
    BookingSearch,
    BookingWish,
    Found,
    PartnerError,
    clean_text,
)

log = structlog.get_logger()
_WORD = re.compile(r"\w+")

Search = asyncio.Task[Sequence[Found]]
Encode = Callable[[list[str]], NDArray[np.float32]]
SEARCH_DEADLINE_S = 4.0
# Once one partner has answered, the others are not waited for much longer.
SEARCH_GRACE_S = 1.2
# Feeds name no size; this is the shape of the place that the page keeps free for a picture.
_IMAGE_WIDTH, _IMAGE_HEIGHT = 400, 300


@dataclass(frozen=True, slots=True)
class Resolved:
    """An offer id as the checkout needs it. `price` is one unit's, as last heard."""

    offer_id: str
    merchant_id: str
    item_id: str
    title: str
    kind: Literal["purchase", "booking"]
    price: Money
    booking: BookingDetails | None = None
    handoff_url: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing at one merchant with its fit, before it is ranked and told."""

    offer_id: str
    kind: Literal["purchase", "booking"]
    merchant: Merchant
    found: Found
    fit: float = 1.0
    gtin: str = ""


class Catalogue:
    """`encode` turns texts into rows of 512 floats (CPU-heavy: it runs in a thread).

    `searcher` gives the live search of a merchant that speaks the booking API. `pictures` is the
    address under which we show a merchant's picture: a person's browser never calls a merchant.
    """

    def __init__(
        self,
        database: Database,
        encode: Encode,
        searcher: Callable[[Merchant], BookingSearch],
        *,
        pictures: str = "/media",
    ) -> None:
        self.database = database
        self._encode = encode
        self._searcher = searcher
        self._pictures = pictures

    async def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), 512), each of length 1."""
        return await asyncio.to_thread(self._encode, list(texts))

    async def search(self, wish: Wish, *, limit: int = 6) -> Sequence[Offer]:
        """Best first. Products for `product`, live answers for `table` and `room`."""
        found = await self.found(wish)
        quantity = wish.quantity if wish.vertical == "product" else 1
        by_id = {candidate.offer_id: candidate for candidate in found}
        ranked = rank(wish.query, [rankable(c, quantity) for c in by_id.values()])
        also = others([by_id[r.offer_id] for r in ranked])
        kept = [r for r in ranked if r.offer_id in also][:limit]
        why = reasons(kept, wish.language)
        return [
            self._shown(by_id[r.offer_id], wish.language, why[r.offer_id], also[r.offer_id])
            for r in kept
        ]

    async def found(self, wish: Wish) -> list[Candidate]:
        """What answers the wish, in no order that matters."""
        return await (self._products if wish.vertical == "product" else self._bookings)(wish)

    async def get(self, offer_ids: Sequence[str], *, language: Language = "en") -> Sequence[Offer]:
        """Those that are still offered, in the order asked."""
        known = await self._known(offer_ids)
        return [self._shown(known[id_], language, "") for id_ in offer_ids if id_ in known]

    async def picture_url(self, offer_id: str) -> str | None:
        """The merchant's own address of an offer's picture, for the guarded client only."""
        known = await self._known([offer_id])
        return known[offer_id].found.image_url if offer_id in known else None

    def _shown(
        self,
        candidate: Candidate,
        language: Language,
        why: str,
        also: Sequence[Candidate] = (),
    ) -> Offer:
        picture = f"{self._pictures}/{candidate.offer_id}"
        return _offer(candidate, language, why, picture=picture, also=also)

    async def resolve(self, offer_ids: Sequence[str]) -> Mapping[str, Resolved]:
        """For a checkout. An id that is unknown, expired or of a merchant not live is missing."""
        known = await self._known(offer_ids)
        return {id_: _resolved(candidate) for id_, candidate in known.items()}

    async def _products(self, wish: Wish) -> list[Candidate]:
        vector = (await self.vectors([wish.query]))[0]
        async with self.database.transaction() as session:
            hits = await search.widening(session, wish, vector)
            sellers = await _by_id(session, {hit.merchant_id for hit in hits})
        return [
            Candidate(
                hit.product["id"],
                "purchase",
                sellers[hit.merchant_id],
                _from_feed(hit.product),
                hit.fit,
                identity(hit.product["gtin"]),
            )
            for hit in hits
        ]

    async def _bookings(self, wish: Wish) -> list[Candidate]:
        if wish.date is None or wish.party is None or wish.vertical == "product":
            return []
        asked = BookingWish(
            vertical=wish.vertical,
            details=BookingDetails(wish.date, wish.party, wish.time, wish.nights),
            query=wish.query,
            place=wish.place,
            max_total=wish.max_total,
        )
        async with self.database.transaction() as session:
            partners = await merchants.live(session, protocol="booking")
        answers = await self._ask(partners, asked)
        within = [(m, f) for m, f in answers if _wanted(f, wish)]
        async with self.database.transaction() as session:
            await offers.keep(session, [(m.id, f) for m, f in within])
        fits = await self._fits(wish.query, [f for _, f in within])
        return [
            Candidate(offers.booking_id(m.id, f), "booking", m, f, fit)
            for (m, f), fit in zip(within, fits, strict=True)
        ]

    async def _ask(
        self, partners: Sequence[Merchant], asked: BookingWish
    ) -> list[tuple[Merchant, Found]]:
        """All at once, with one deadline: who fails or is late is missing, not waited for."""
        tasks = {asyncio.create_task(self._one(m, asked)): m for m in partners}
        if not tasks:
            return []
        done, late = await _answered(tasks)
        for task in late:
            task.cancel()
            log.warning("partner_search_late", merchant=tasks[task].id)
        await asyncio.gather(*late, return_exceptions=True)
        ordered = sorted(done, key=lambda task: tasks[task].id)
        return [(tasks[task], found) for task in ordered for found in task.result()]

    async def _one(self, merchant: Merchant, asked: BookingWish) -> Sequence[Found]:
        try:
            found = await self._searcher(merchant).search(asked)
        except PartnerError as error:
            log.warning("partner_search_failed", merchant=merchant.id, code=error.code)
            return []
        return [one for one in found if one.availability != "out_of_stock"]

    async def _fits(self, query: str, found: Sequence[Found]) -> list[float]:
        """How near each answer is to the words, relative to the nearest. No words: all alike."""
        if not query.strip() or not found:
            return [1.0] * len(found)
        texts = [f"{f.title}. {f.title_zh} {f.category} {f.description[:160]}" for f in found]
        vectors = await self.vectors([query, *texts])
        cosines = np.clip(vectors[1:] @ vectors[0], 0.0, 1.0)
        best = float(cosines.max())
        return [float(c) / best if best > 0 else 1.0 for c in cosines]

    async def _known(self, offer_ids: Sequence[str]) -> dict[str, Candidate]:
        ids = list(dict.fromkeys(offer_ids))[:200]
        async with self.database.transaction() as session:
            goods = await session.execute(select(Product).where(col(Product.id).in_(ids)))
            rows = list(goods.scalars())
            kept = await offers.load(session, ids)
            wanted = {row.merchant_id for row in rows} | {k.merchant_id for k in kept.values()}
            sellers = await _by_id(session, wanted)
        known = {
            row.id: Candidate(
                row.id, "purchase", sellers[row.merchant_id], _from_feed(row.model_dump())
            )
            for row in rows
            if row.merchant_id in sellers
        }
        return known | {
            id_: Candidate(id_, k.kind, sellers[k.merchant_id], k.found)
            for id_, k in kept.items()
            if k.merchant_id in sellers
        }


async def _answered(tasks: Collection[Search]) -> tuple[set[Search], set[Search]]:
    """(done, late). The first that found something starts the others' grace time."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + SEARCH_DEADLINE_S
    done: set[Search] = set()
    late = set(tasks)
    while late and (left := ends - loop.time()) > 0:
        fresh, late = await asyncio.wait(late, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        done |= fresh
        if any(task.result() for task in fresh):
            ends = min(ends, loop.time() + SEARCH_GRACE_S)
    return done, late


async def _by_id(session: Any, ids: set[str]) -> dict[str, Merchant]:
    query = select(Merchant).where(col(Merchant.id).in_(ids), col(Merchant.status) == "live")
    return {row.id: row for row in (await session.execute(query)).scalars()}


def _wanted(found: Found, wish: Wish) -> bool:
    """A live answer may be dearer, cheaper or scarcer than what was asked for."""
    price, most, least = found.price, wish.max_total, search.bounds(wish).price_min
    if most is not None and not (price.currency == most.currency and price <= most):
        return False
    if least is not None and not (price.currency == least.currency and least <= price):
        return False
    return wish.availability in ("", found.availability)


def others(ranked: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Offer ids in their order → the same thing at other merchants, which stands behind it.

    What one merchant lists twice is two things: it knows why.
    """
    leaders: dict[str, list[Candidate]] = {}  # a title's words, or a GTIN → who leads a group
    kept: dict[str, list[Candidate]] = {}
    for candidate in ranked:
        names = [name for name in (candidate.gtin, _title_key(candidate)) if name]
        known = [leader for name in names for leader in leaders.get(name, ())]
        first = next((c for c in known if _same(c, candidate, kept[c.offer_id])), None)
        if first is not None:
            kept[first.offer_id].append(candidate)
            continue
        kept[candidate.offer_id] = []
        for name in names:
            leaders.setdefault(name, []).append(candidate)
    return kept


def _same(one: Candidate, other: Candidate, behind: Sequence[Candidate]) -> bool:
    """Named alike already; but two GTINs that differ are two things, whatever they are called."""
    taken = {one.merchant.id, *(c.merchant.id for c in behind)}
    differ = bool(one.gtin and other.gtin) and one.gtin != other.gtin
    return other.merchant.id not in taken and not differ


def _title_key(candidate: Candidate) -> str:
    """A title's words in any order. Two words, or a booking, are nobody's in particular."""
    words = sorted(_WORD.findall(candidate.found.title.casefold()))
    return " ".join(words) if len(words) > 2 and candidate.kind == "purchase" else ""


def rankable(candidate: Candidate, quantity: int) -> Rankable:
    found = candidate.found
    return Rankable(
        offer_id=candidate.offer_id,
        fit=candidate.fit,
        total=found.price * max(1, quantity),
        availability=found.availability,
        # A ticket is there at once; what matters is its day.
        delivery_days=None if "date" in found.attributes else found.delivery_days,
        rating=found.rating,
    )


def _from_feed(row: Mapping[str, Any]) -> Found:
    options = dict(row["options"])
    chosen = chosen_of(options)
    return Found(
        item_id=row["item_id"],
        title=named(row["title"], chosen),
        price=Money(row["price_amount"], row["currency"]),
        availability=row["availability"],
        description=row["description"],
        category=row["category"],
        image_url=row["image_url"],
        rating=row["rating"],
        delivery_days=row["delivery_days"],
        attributes=options | row["attributes"],
        title_zh=named(row["title_zh"], chosen) if row["title_zh"] else "",
        description_zh=row["description_zh"],
        group=row["item_group_id"],
        options=chosen,
    )


def _offer(
    candidate: Candidate,
    language: Language,
    why: str,
    *,
    picture: str,
    also: Sequence[Candidate],
) -> Offer:
    found = candidate.found
    chinese = language == "zh"
    title = clean_text((chinese and found.title_zh) or found.title, 200)
    description = clean_text((chinese and found.description_zh) or found.description, 500)
    image = None
    if found.image_url:
        image = Image(picture, title, _IMAGE_WIDTH, _IMAGE_HEIGHT)
    return Offer(
        offer_id=candidate.offer_id,
        kind=candidate.kind,
        merchant=candidate.merchant.name,
        title=title,
        price=found.price,
        availability=found.availability,
        why=why,
        disclosure=merchants.disclosure(candidate.merchant, language),
        description=description,
        image=image,
        rating=found.rating,
        attributes=_attributes(found) | _also_at(also),
        group=found.group,
        options=tuple(clean_text(value, 200) for value in found.options),
    )


def _also_at(others: Sequence[Candidate]) -> dict[str, str]:
    """The same thing elsewhere, with what it costs there: nobody's price is hidden."""
    if not others:
        return {}
    told = [f"{clean_text(o.merchant.name, 60)}: {o.found.price}" for o in others[:3]]
    return {"also_at": "; ".join(told)}


def _attributes(found: Found) -> dict[str, str]:
    """The merchant's own, and when and for how many a booking is."""
    shown = {clean_text(k, 60): clean_text(v, 200) for k, v in found.attributes.items()}
    if found.category:
        shown["category"] = clean_text(found.category, 60)
    if found.delivery_days is not None:
        shown["delivery_days"] = str(found.delivery_days)
    if found.booking is not None:
        booking = {k: str(v) for k, v in (offers.write(found.booking) or {}).items() if v}
        shown |= booking
    return shown


def _resolved(candidate: Candidate) -> Resolved:
    found, merchant = candidate.found, candidate.merchant
    return Resolved(
        offer_id=candidate.offer_id,
        merchant_id=merchant.id,
        item_id=found.item_id,
        title=clean_text(found.title, 200),
        kind=candidate.kind,
        price=found.price,
        booking=found.booking,
        options=found.options,
        handoff_url=merchants.handoff_url(
            merchant, item_id=found.item_id, offer_id=candidate.offer_id
        ),
    )
