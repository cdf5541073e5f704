"""Products as merchants sent them: the table, and what of a product the search reads.

A product's id is its offer id, made from merchant and item, so that an offer stays the same offer
through every new feed. Chinese has no spaces: its text is indexed as pairs of characters. A
sentence encoder carries meaning across both languages; `finding.py` searches.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
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
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

DIMENSIONS = 512
BITS = f"(binary_quantize(embedding)::bit({DIMENSIONS}))"
CREATE_VECTOR = "CREATE EXTENSION IF NOT EXISTS vector"
_WORDS = (
    "setweight(to_tsvector('english', title), 'A')"
    " || setweight(to_tsvector('english', about), 'C')"
    " || setweight(to_tsvector('simple', title_grams), 'A')"
    " || setweight(to_tsvector('simple', about_grams), 'C')"
)
_MOMENT: Any = DateTime(timezone=True)
_WORD = re.compile(r"\w+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")


class Product(SQLModel, table=True):
    """One thing of one merchant's feed. `about` is all English text besides the title."""

    __tablename__ = "product"
    __table_args__ = (
        UniqueConstraint("merchant_id", "item_id", name="product_item"),
        CheckConstraint("price_amount > 0", name="product_price"),
        Index("product_words", "words", postgresql_using="gin"),
        # One bit a dimension: a fortieth of the vectors' size, quick to add to, and near enough
        # to choose among; who is nearest is then told by the vectors themselves.
        Index(
            "product_near",
            literal_column(BITS).label("bits"),
            postgresql_using="hnsw",
            postgresql_ops={"bits": "bit_hamming_ops"},
        ),
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
    gtin: str = ""
    image_url: str | None = None
    rating: float | None = None
    delivery_days: int | None = None
    item_group_id: str = ""
    options: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
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


def identity(gtin: str) -> str:
    """A GTIN in 14 digits where it names one thing everywhere, else ''.

    A wrong check digit is a slip, of which feeds are full: the row is sold like any other, and only
    not taken for what another merchant calls by that number. So are numbers that each company or
    country gives out for itself (GS1 General Specifications, prefixes 02, 04, 20-29 and RCN-8).
    """
    digits = gtin.zfill(14)
    inner = digits.startswith("000000")  # a GTIN-8
    local = digits[6] in "02" if inner else digits[1:3] in ("02", "04") or digits[1] == "2"
    total = sum(int(digit) * (1 if n % 2 else 3) for n, digit in enumerate(digits))
    return "" if local or total % 10 else digits


def grams(given: str) -> list[str]:
    """Pairs of neighbouring Chinese characters; a character that stands alone is kept alone."""
    pairs: list[str] = []
    for run in _HAN.findall(given):
        pairs += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return pairs


def literal(vector: NDArray[np.float32]) -> str:
    """As pgvector reads it."""
    return "[" + ",".join(f"{value:.6f}" for value in vector) + "]"


def indexed(fields: Mapping[str, Any]) -> dict[str, str]:
    """The columns that search reads, from the fields of a feed row."""
    told = [*dict(fields["options"]).values(), *dict(fields["attributes"]).values()]
    extras = " ".join(str(value) for value in told)
    return {
        "about": f"{fields['category']} {fields['description']} {extras}".strip(),
        "title_grams": " ".join(grams(f"{fields['title']} {fields['title_zh']}")),
        "about_grams": " ".join(grams(f"{fields['description_zh']} {extras}")),
        "meaning": meaning(fields),
    }


def meaning(fields: Mapping[str, Any]) -> str:
    """What the encoder reads, one text a line: a long description drowns what the thing is."""
    titles = (fields["title"], fields["title_zh"])
    chosen = chosen_of(fields["options"])
    return "\n".join(named(title, chosen) for title in titles if title)


def chosen_of(options: Mapping[str, str]) -> tuple[str, ...]:
    """What a variant's options say, always in the same order: colour, size."""
    return tuple(options[name] for name in sorted(options))


def named(title: str, options: Iterable[str]) -> str:
    """The title with the size, the colour: what a variant is called, unless it says so already."""
    said = set(_WORD.findall(title.casefold()))
    left = [value for value in options if not set(_WORD.findall(value.casefold())) <= said]
    return ", ".join([title, *left])


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
