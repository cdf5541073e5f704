"""The search over products: words and meaning, fused by rank, by bounded work at any size.

Meaning: the nearest by the index of bits, put in order by the vectors themselves. Words: what has
at least one of the rarer words, in the order of how well all of them fit. A word that thousands of
products share tells nothing about which ones are looked at; it still counts for their order.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.products import DIMENSIONS, grams, literal
from graphs.outings import flies
from graphs.state import Wish
from integrations.money import Money

CANDIDATES = 60
# So many are read from the index of bits to choose the nearest from: 99 in 100 of the ten nearest.
NEAR_READ = 160
# A word in more products than this is common. All words together bring in `WORDS_READ` at most.
COMMON_DOCS = 1500
WORDS_READ = 4000
QUERY_CHARS = 300
# Reciprocal rank fusion, 1 / (K + rank): small, because here the first few ranks must differ.
FUSION_K = 10
# Below this cosine, meaning alone makes nothing an answer: with this encoder, unrelated goods
# stand at 0.1 to 0.35 and the same thing in other words or another language at 0.5 to 0.8.
COSINE_MIN = 0.45
COSINE_MIN_WITH_WORDS = 0.3
# Beside a title that has all the words, meaning alone must be surer, and is worth less: of a name
# or a rare word the encoder knows nothing, and puts an apron next to a skillet.
COSINE_MIN_BESIDE = 0.55
_BESIDE = 0.7
# Only this much of the best one's fit is still an answer.
FIT_MIN = 0.35
_RANKS, _MEANING, _SAID = 0.3, 0.4, 0.3
_LATIN = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A product and how well it fits the words, 0 to 1."""

    product: Mapping[str, Any]
    merchant_id: str
    fit: float

    @property
    def price(self) -> Money:
        return Money(self.product["price_amount"], self.product["currency"])


# What the words are to this catalogue, and how this transaction reads the index. The planner's own
# statistics know which words are common; before the first ones, every word counts as rare.
_ASKED = text("""
WITH said AS (
  SELECT tsvector_to_array(to_tsvector('english', :english)) AS stems
)
SELECT stems, ARRAY(SELECT id FROM merchant WHERE status = 'live') AS live,
  (SELECT jsonb_object_agg(lexeme, frequency * greatest(c.reltuples, 0))
   FROM pg_stats s JOIN pg_class c ON c.oid = 'product'::regclass,
     unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS e(lexeme, frequency)
   WHERE s.tablename = 'product' AND s.attname = 'words'
     AND lexeme = ANY(stems || CAST(:grams AS text[]))) AS docs,
  set_config('hnsw.ef_search', :near, true), set_config('jit', 'off', true),
  set_config('hnsw.iterative_scan', 'relaxed_order', true)
FROM said
""")

_ELIGIBLE = """
  p.merchant_id = ANY(CAST(:live AS text[])) AND p.availability <> 'out_of_stock'
  AND (:availability = '' OR p.availability = :availability)
  AND (CAST(:price_max AS bigint) IS NULL
       OR (p.currency = :currency_max AND p.price_amount <= CAST(:price_max AS bigint)))
  AND (CAST(:price_min AS bigint) IS NULL
       OR (p.currency = :currency_min AND p.price_amount >= CAST(:price_min AS bigint)))
  AND (CAST(:first AS text) IS NULL OR p.attributes ->> 'date' BETWEEN :first AND :last)
  AND (CAST(:flights AS boolean) IS NULL
       OR jsonb_exists(p.attributes, 'from') = CAST(:flights AS boolean))
  AND (:place = '' OR strpos(
    lower(concat_ws(' ', p.title, p.title_zh, p.attributes)), lower(:place)) > 0)
"""
_BITS = f"bit({DIMENSIONS})"
_SEARCH = text(f"""
WITH by_words AS (
  SELECT id, score, rank() OVER (ORDER BY score DESC) AS place FROM (
    SELECT id, ts_rank('{{0.05, 0.1, 0.3, 1.0}}', words, CAST(:said AS tsquery)) AS score FROM (
      SELECT p.id, p.words FROM product p
      WHERE p.words @@ CAST(:match AS tsquery) AND {_ELIGIBLE} LIMIT :words_read
    ) AS matched
  ) AS scored ORDER BY place, id LIMIT :candidates
), by_meaning AS (
  SELECT id, rank() OVER (ORDER BY distance) AS place FROM (
    SELECT id, embedding <=> CAST(:vector AS vector) AS distance FROM (
      SELECT p.id, p.embedding FROM product p WHERE {_ELIGIBLE}
      ORDER BY binary_quantize(p.embedding)::{_BITS}
        <~> binary_quantize(CAST(:vector AS vector))::{_BITS} LIMIT :near_read
    ) AS read ORDER BY distance, id LIMIT :candidates
  ) AS nearest
)
SELECT e.id, e.merchant_id, e.item_id, e.title, e.title_zh, e.description, e.description_zh,
       e.category, e.price_amount, e.currency, e.availability, e.image_url, e.rating, e.gtin,
       e.delivery_days, e.attributes, e.item_group_id, e.options, w.place AS words_place,
       coalesce(w.score, 0) AS words_score,
       coalesce(n.place, :candidates + 1) AS meaning_place,
       1 - (e.embedding <=> CAST(:vector AS vector)) AS cosine,
       (SELECT count(*) FROM unnest(CAST(:terms AS text[])) AS term
        WHERE w.id IS NOT NULL AND e.words @@ CAST(term AS tsquery)) AS terms_found,
       ARRAY(SELECT term FROM unnest(CAST(:terms AS text[]), CAST(:titles AS text[]))
               AS asked(term, title)
             WHERE w.id IS NOT NULL AND e.words @@ CAST(title AS tsquery)) AS titled
FROM by_words w FULL JOIN by_meaning n USING (id) JOIN product e USING (id)
""")  # noqa: S608  (our own parts; every value is bound)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What every hit keeps to. Prices are for one unit, and leave only their own currency: nothing
    is converted here.

    `days`, both included, leave only what has such a day (an event, a flight); `place` leaves
    only what names it, in its title or its facts; `flights` only those, or none of them.
    """

    price_min: Money | None = None
    price_max: Money | None = None
    days: tuple[date, date] | None = None
    place: str = ""
    availability: str = ""
    flights: bool | None = None

    @property
    def narrow(self) -> bool:
        """Whether a day or a town is given, so that little is left; less is then enough."""
        return self.days is not None or self.place != ""

    def values(self) -> dict[str, Any]:
        least, most = self.price_min, self.price_max
        return {
            "price_min": least.amount if least else None,
            "currency_min": least.currency if least else "",
            "price_max": most.amount if most else None,
            "currency_max": most.currency if most else "",
            "first": self.days[0].isoformat() if self.days else None,
            "last": self.days[1].isoformat() if self.days else None,
            "place": self.place,
            "availability": self.availability,
            "flights": self.flights,
        }


def bounds(wish: Wish) -> Bounds:
    """What the wish says of all its units, for one: the least rounded up, the most down."""
    count = max(1, wish.quantity)
    words = wish.query.removesuffix(wish.place).strip()
    least, most = wish.min_total, wish.max_total
    return Bounds(
        price_min=Money(-(-least.amount // count), least.currency) if least else None,
        price_max=Money(most.amount // count, most.currency) if most else None,
        days=(wish.date, wish.until or wish.date) if wish.date else None,
        place=wish.place,
        availability=wish.availability,
        flights=flies(f"{words} in {wish.place.title()}" if wish.place else words),
    )


async def widening(session: AsyncSession, wish: Wish, vector: NDArray[np.float32]) -> list[Hit]:
    """What is there and then, else there on other days, else then elsewhere, else anything.

    Prices and what is in stock are never widened: they were asked for as such.
    """
    asked = bounds(wish)
    days, place = asked.days, asked.place
    for then, there in dict.fromkeys([(days, place), (None, place), (days, ""), (None, "")]):
        within = replace(asked, days=then, place=there)
        hits = await search(session, wish.query, vector, within=within)
        if hits:
            return hits
    return []


async def search(
    session: AsyncSession,
    query: str,
    vector: NDArray[np.float32],
    *,
    within: Bounds,
    limit: int = CANDIDATES,
) -> list[Hit]:
    """Live merchants' products that answer `query`, best fit first. `vector`: its encoding."""
    words = query[:QUERY_CHARS]
    pairs = list(dict.fromkeys(grams(words)))
    asked = (
        await session.execute(
            _ASKED,
            {
                "english": " ".join(_LATIN.findall(words.lower())),
                "grams": pairs,
                "near": str(NEAR_READ),
            },
        )
    ).one()
    terms = [_term(stem) for stem in asked.stems] + [_term(pair) for pair in pairs]
    docs = {_term(lexeme): count for lexeme, count in (asked.docs or {}).items()}
    rows = await session.execute(
        _SEARCH,
        {
            "said": " | ".join(terms),
            "match": _match(terms, docs),
            "terms": terms,
            "titles": [_titled(term) for term in terms],
            "live": list(asked.live),
            "vector": literal(vector),
            **within.values(),
            "candidates": CANDIDATES,
            "near_read": NEAR_READ,
            "words_read": WORDS_READ,
        },
    )
    asks = _Asked(len(terms), frozenset(_telling(terms, docs)), narrow=within.narrow)
    return _ordered([dict(row._mapping) for row in rows], asks)[:limit]


def _term(lexeme: str) -> str:
    """As a query has it. One Chinese character alone also finds the pairs that begin with it."""
    alone = len(lexeme) == 1 and not lexeme.isascii()
    return f"'{lexeme}':*" if alone else f"'{lexeme}'"


def _titled(term: str) -> str:
    """The same, where it stands in a title: the indexed words of titles have the weight A."""
    return f"{term}A" if term.endswith(":*") else f"{term}:A"


def _telling(terms: Sequence[str], docs: Mapping[str, float]) -> list[str]:
    """Words that tell by themselves what is meant, as a brand does.

    Half of a longer Chinese word and a number are none: a 17 is not yet an iphone 17.
    """
    rare = [term for term in terms if docs.get(term, 0) <= COMMON_DOCS]
    return [term for term in rare if term.isascii() and not term.strip("'").isdigit()]


def _match(terms: Sequence[str], docs: Mapping[str, float]) -> str:
    """The query that decides which products are looked at for their words."""
    rare = [term for term in terms if docs.get(term, 0) <= COMMON_DOCS]
    return " | ".join(rare) if rare else " & ".join(terms)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The query's words: how many, which of them tell by themselves, and `Bounds.narrow`."""

    count: int
    telling: frozenset[str]
    narrow: bool

    def named_by(self, row: Mapping[str, Any]) -> bool:
        """Whether the product's title has all the words."""
        return 0 < self.count == len(row["titled"])

    def least(self, row: Mapping[str, Any], *, beside: bool) -> float:
        """The cosine that it needs: none when all words were found, or two, or a telling one in
        its title; less with one. `beside`: whether another product's title has all the words."""
        found = row["terms_found"]
        if found >= (1 if self.narrow else 2) or 0 < self.count == found:
            return -1.0
        if not self.telling.isdisjoint(row["titled"]):
            return -1.0
        if row["words_place"] is not None:
            return COSINE_MIN_WITH_WORDS
        return COSINE_MIN_BESIDE if beside else COSINE_MIN


def _ordered(found: Sequence[Mapping[str, Any]], asked: _Asked) -> list[Hit]:
    beside = any(map(asked.named_by, found))
    answers = [row for row in found if row["cosine"] >= asked.least(row, beside=beside)]
    best = _Best(
        cosine=max((row["cosine"] for row in answers), default=0.0),
        words=max((row["words_score"] for row in answers), default=0.0),
    )
    hits = [Hit(row, row["merchant_id"], _fit(row, best)) for row in answers]
    if beside:
        named = [hit for hit in hits if asked.named_by(hit.product)]
        others = [hit for hit in hits if not asked.named_by(hit.product)]
        hits = _scaled(named, 1.0) + _scaled(others, _BESIDE)
    else:
        hits = _scaled(hits, 1.0)
    hits.sort(key=lambda hit: (-hit.fit, hit.product["id"]))
    return [hit for hit in hits if hit.fit >= FIT_MIN]


def _scaled(hits: Sequence[Hit], most: float) -> list[Hit]:
    top = max((hit.fit for hit in hits), default=1.0)
    return [replace(hit, fit=most * hit.fit / top) for hit in hits]


@dataclass(frozen=True, slots=True)
class _Best:
    """The highest cosine and word score among the answers, which the others stand beside."""

    cosine: float
    words: float


def _fit(row: Mapping[str, Any], best: _Best) -> float:
    """From the fused ranks, and from how far behind the best in meaning and in words.

    Ranks alone say that pegs come second to a tent, not how far behind.
    """
    fused: float = 1 / (FUSION_K + row["meaning_place"])
    if row["words_place"] is not None:
        fused += 1 / (FUSION_K + row["words_place"])
    near = max(0.0, float(row["cosine"])) / best.cosine if best.cosine > 0 else 0.0
    said = float(row["words_score"]) / best.words if best.words > 0 else 0.0
    return _RANKS * fused * (FUSION_K + 1) / 2 + _MEANING * near * near + _SAID * said
