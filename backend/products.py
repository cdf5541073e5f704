"""Products as merchants sent them, and the search over them: words and meaning, fused by rank.

A product's id is its offer id, made from merchant and item, so that an offer stays the same offer
through every new feed. Chinese has no spaces: its text is indexed as pairs of characters. A
sentence encoder carries meaning across both languages.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Index,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from integrations.money import Money

DIMENSIONS = 512
CANDIDATES = 60
QUERY_CHARS = 300
# Reciprocal rank fusion, 1 / (K + rank): small, because here the first few ranks must differ.
FUSION_K = 10
# Below this cosine, meaning alone makes nothing an answer: with this encoder, unrelated goods
# stand at 0.1 to 0.35 and the same thing in other words or another language at 0.5 to 0.8.
COSINE_MIN = 0.45
COSINE_MIN_WITH_WORDS = 0.3
# Only this much of the best one's fit is still an answer.
FIT_MIN = 0.35
_RANKS, _MEANING, _SAID = 0.3, 0.4, 0.3

CREATE_VECTOR = "CREATE EXTENSION IF NOT EXISTS vector"
_WORDS = (
    "setweight(to_tsvector('english', title), 'A')"
    " || setweight(to_tsvector('english', about), 'C')"
    " || setweight(to_tsvector('simple', title_grams), 'A')"
    " || setweight(to_tsvector('simple', about_grams), 'C')"
)
_MOMENT: Any = DateTime(timezone=True)
_LATIN = re.compile(r"[a-z0-9]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")


class Product(SQLModel, table=True):
    """One thing of one merchant's feed. `about` is all English text besides the title."""

    __tablename__ = "product"
    __table_args__ = (
        UniqueConstraint("merchant_id", "item_id", name="product_item"),
        CheckConstraint("price_amount > 0", name="product_price"),
        Index("product_words", "words", postgresql_using="gin"),
    )
    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchant.id", index=True)
    item_id: str
    title: str
    title_zh: str = ""
    description: str = ""
    description_zh: str = ""
    category: str = ""
    price_amount: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    availability: str = "in_stock"
    image_url: str | None = None
    rating: float | None = None
    delivery_days: int | None = None
    attributes: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    feed_version: str = ""
    about: str = ""
    title_grams: str = ""
    about_grams: str = ""
    words: Any = Field(default=None, sa_column=Column(TSVECTOR, Computed(_WORDS, persisted=True)))
    meaning: str = ""
    embedding: Any = Field(default=None, sa_column=Column(Vector(DIMENSIONS), nullable=False))
    updated_at: datetime = Field(default_factory=func.now, sa_type=_MOMENT)


class FeedIntake(SQLModel, table=True):
    """Rows of a feed on their way in, invisible to search until the whole feed has been read."""

    __tablename__ = "feed_intake"
    load_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchant.id", index=True)
    fields: dict[str, Any] = Field(sa_type=JSONB)
    embedding: Any = Field(default=None, sa_column=Column(Vector(DIMENSIONS)))
    created_at: datetime = Field(default_factory=func.now, sa_type=_MOMENT)


event.listen(SQLModel.metadata, "before_create", DDL(CREATE_VECTOR))  # type: ignore[no-untyped-call]


def offer_id(merchant_id: str, item_id: str) -> str:
    """Stable: the same item of the same merchant is the same offer, whatever feed brings it."""
    digest = hashlib.sha256(f"{merchant_id}\x00{item_id}".encode()).hexdigest()
    return f"off_{digest[:24]}"


def grams(given: str) -> list[str]:
    """Pairs of neighbouring Chinese characters; a character that stands alone is kept alone."""
    pairs: list[str] = []
    for run in _HAN.findall(given):
        pairs += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return pairs


@dataclass(frozen=True, slots=True)
class Hit:
    """A product and how well it fits the words, 0 to 1."""

    product: Mapping[str, Any]
    merchant_id: str
    fit: float

    @property
    def price(self) -> Money:
        return Money(self.product["price_amount"], self.product["currency"])


def _english(query: str) -> list[str]:
    return list(dict.fromkeys(_LATIN.findall(query.lower())))


def _chinese(query: str) -> list[str]:
    """One character alone also finds the pairs that begin with it."""
    return [pair if len(pair) > 1 else f"{pair}:*" for pair in dict.fromkeys(grams(query))]


def literal(vector: NDArray[np.float32]) -> str:
    """As pgvector reads it."""
    return "[" + ",".join(f"{value:.6f}" for value in vector) + "]"


_SEARCH = text("""
WITH asked AS (
  SELECT to_tsquery('english', :english) || to_tsquery('simple', :chinese) AS query,
         CAST(:vector AS vector) AS vector
), eligible AS (
  SELECT p.* FROM product p JOIN merchant m ON m.id = p.merchant_id
  WHERE m.status = 'live' AND p.availability <> 'out_of_stock'
    AND (CAST(:price_max AS bigint) IS NULL
         OR (p.currency = :currency AND p.price_amount <= CAST(:price_max AS bigint)))
), by_words AS (
  SELECT id, score, rank() OVER (ORDER BY score DESC) AS place FROM (
    SELECT id, ts_rank('{0.05, 0.1, 0.3, 1.0}', words, query) AS score
    FROM eligible, asked WHERE words @@ query
  ) AS scored ORDER BY place, id LIMIT :candidates
), by_meaning AS (
  SELECT id, rank() OVER (ORDER BY distance) AS place FROM (
    SELECT id, embedding <=> vector AS distance FROM eligible, asked
    ORDER BY distance, id LIMIT :candidates
  ) AS nearest
)
SELECT e.id, e.merchant_id, e.item_id, e.title, e.title_zh, e.description, e.description_zh,
       e.category, e.price_amount, e.currency, e.availability, e.image_url, e.rating,
       e.delivery_days, e.attributes, w.place AS words_place,
       coalesce(w.score, 0) AS words_score,
       coalesce(n.place, :candidates + 1) AS meaning_place, 1 - (e.embedding <=> vector) AS cosine,
       (SELECT count(*) FROM unnest(CAST(:english_terms AS text[])) AS term
        WHERE w.id IS NOT NULL AND e.words @@ to_tsquery('english', term))
       + (SELECT count(*) FROM unnest(CAST(:chinese_terms AS text[])) AS term
          WHERE w.id IS NOT NULL AND e.words @@ to_tsquery('simple', term)) AS terms_found
FROM by_words w FULL JOIN by_meaning n USING (id) JOIN eligible e USING (id), asked
""")


async def search(
    session: AsyncSession,
    query: str,
    vector: NDArray[np.float32],
    *,
    price_max: Money | None = None,
    limit: int = CANDIDATES,
) -> list[Hit]:
    """Live merchants' products that answer `query`, best fit first. `vector`: its encoding (512).

    `price_max` is for one unit, and leaves only its own currency: nothing is converted here.
    """
    english, chinese = _english(query[:QUERY_CHARS]), _chinese(query[:QUERY_CHARS])
    rows = await session.execute(
        _SEARCH,
        {
            "english": " | ".join(english),
            "chinese": " | ".join(chinese),
            "english_terms": english,
            "chinese_terms": chinese,
            "vector": literal(vector),
            "price_max": price_max.amount if price_max else None,
            "currency": price_max.currency if price_max else "",
            "candidates": CANDIDATES,
        },
    )
    found = [dict(row._mapping) for row in rows]
    answers = [row for row in found if row["cosine"] >= _least(row)]
    best = _Best(
        cosine=max((row["cosine"] for row in answers), default=0.0),
        words=max((row["words_score"] for row in answers), default=0.0),
    )
    fits = {row["id"]: _fit(row, best) for row in answers}
    top = max(fits.values(), default=1.0)
    hits = [Hit(row, row["merchant_id"], fits[row["id"]] / top) for row in answers]
    hits.sort(key=lambda hit: (-hit.fit, hit.product["id"]))
    return [hit for hit in hits if hit.fit >= FIT_MIN][:limit]


@dataclass(frozen=True, slots=True)
class _Best:
    """The highest cosine and word score among the answers, which the others stand beside."""

    cosine: float
    words: float


def _least(row: Mapping[str, Any]) -> float:
    """The cosine that it needs: none when two of the words were found, less with one."""
    if row["terms_found"] >= 2:
        return -1.0
    return COSINE_MIN if row["words_place"] is None else COSINE_MIN_WITH_WORDS


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


def indexed(fields: Mapping[str, Any]) -> dict[str, str]:
    """The columns that search reads, from the fields of a feed row."""
    extras = " ".join(str(value) for value in dict(fields["attributes"]).values())
    return {
        "about": f"{fields['category']} {fields['description']} {extras}".strip(),
        "title_grams": " ".join(grams(f"{fields['title']} {fields['title_zh']}")),
        "about_grams": " ".join(grams(f"{fields['description_zh']} {extras}")),
        "meaning": meaning(fields),
    }


def meaning(fields: Mapping[str, Any]) -> str:
    """What the encoder reads, one text a line: a long description drowns what the thing is."""
    return "\n".join(text for text in (fields["title"], fields["title_zh"]) if text)


def embed(encoded: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The middle of a product's texts, of length 1: equally near in either language."""
    middle: NDArray[np.float32] = np.sum(encoded, axis=0)
    length = float(np.linalg.norm(middle))
    return middle / np.float32(length) if length else middle


async def known_meanings(session: AsyncSession, ids: Sequence[str]) -> dict[str, str]:
    """id → the text its stored embedding was made from, so that nothing is encoded twice."""
    rows = await session.execute(
        text("SELECT id, meaning FROM product WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )
    return {row[0]: row[1] for row in rows}
