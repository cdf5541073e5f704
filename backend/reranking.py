"""The nightly re-rank: what is shown, held against the order that the facts alone give.

The ranker cannot see a fee, and a test proves it; this looks at the whole running search, so that
nothing behind the ranker moves an offer either. Asked are titles of products that are on offer.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import text

from backend import incidents
from backend.catalogue import Catalogue, rankable
from graphs.ranking import rank
from graphs.state import Wish

QUESTIONS = 40
SHOWN = 20

# Other products each night, the same ones for a repeat of the same night.
_TITLES = text("""
SELECT title FROM product p JOIN merchant m ON m.id = p.merchant_id
WHERE m.status = 'live' AND p.availability <> 'out_of_stock'
ORDER BY md5(p.id || current_date) LIMIT :questions
""")


@dataclass(frozen=True, slots=True)
class Moved:
    """A question whose answers stood in another order than their facts give. Ids, best first."""

    query: str
    shown: tuple[str, ...]
    by_facts: tuple[str, ...]


async def rerank(catalogue: Catalogue, query: str) -> Moved | None:
    """None: every offer shown stands where its facts put it."""
    wish = Wish("product", query)
    shown = [offer.offer_id for offer in await catalogue.search(wish, limit=SHOWN)]
    facts = [rankable(candidate, 1) for candidate in await catalogue.found(wish)]
    ordered = [one.offer_id for one in rank(query, facts) if one.offer_id in shown]
    return None if ordered == shown else Moved(query, tuple(shown), tuple(ordered))


async def nightly(catalogue: Catalogue) -> list[Moved]:
    """Some questions; each that was answered in another order becomes an incident."""
    async with catalogue.database.transaction() as session:
        titles = (await session.execute(_TITLES, {"questions": QUESTIONS})).scalars().all()
    moved = [found for title in titles if (found := await rerank(catalogue, title)) is not None]
    async with catalogue.database.transaction() as session:
        for one in moved:
            subject = hashlib.sha256(one.query.encode()).hexdigest()[:24]
            detail = f"{one.query!r}: shown {one.shown[:5]}, by facts {one.by_facts[:5]}"
            await incidents.report(session, "ranking_differs", subject=subject, detail=detail)
    return moved
