"""Feeds: a merchant's products, row by row into an intake, then all at once into the catalogue.

A whole feed replaces the merchant's products in one transaction: a search sees the old ones or the
new ones. Only rows that differ are written: tomorrow's feed costs what has changed since today's.
A row that is wrong is reported and left out; a feed without one good row changes nothing.
"""

import asyncio
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend import feed_versions, products
from backend.catalogue import Catalogue
from backend.errors import Conflict, PayloadTooLarge, Unprocessable
from backend.feed_readers import READERS, Format, Raw
from backend.feed_rows import FeedRow
from backend.feed_versions import FeedVersion
from backend.ids import new_id
from backend.products import literal, offer_id
from integrations.partner import clean_text

FEED_BYTES_MAX = 256 * 2**20
PATCH_BYTES_MAX = 2**20
ERRORS_SHOWN = 1000
_BATCH = 256
# The encoder is one for all: a feed asks it for little at a time, so that a chat turn that must be
# routed never waits for more than some hundredths of a second.
_ENCODED_AT_ONCE = 16
# Rows that one statement puts in: far below the limit of a statement's time.
_APPLIED_AT_ONCE = 1000
# After so many changed rows the planner's idea of which words are common is made anew.
_ANALYZE_AFTER = 1000
_SPOOL_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class RowError:
    """`row` counts from 1; the header of a CSV is not a row."""

    row: int
    field: str
    message: str


@dataclass(slots=True)
class Taken:
    """What became of a feed. `errors` shows the first thousand."""

    accepted: int = 0
    rejected: int = 0
    errors: list[RowError] = field(default_factory=list)
    replayed: bool = False  # sent before under this version: nothing was done again

    @classmethod
    def again(cls, answer: Mapping[str, Any]) -> "Taken":
        errors = [RowError(**error) for error in answer["errors"]]
        return cls(answer["accepted"], answer["rejected"], errors, replayed=True)

    def reject(self, errors: Sequence[RowError]) -> None:
        self.rejected += 1
        self.errors += errors[: ERRORS_SHOWN - len(self.errors)]

    def document(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "errors": [asdict(error) for error in self.errors],
        }


async def replace(
    catalogue: Catalogue,
    merchant_id: str,
    content: bytes | AsyncIterable[bytes],
    *,
    version: str,
    format: Format = "jsonl",
) -> Taken:
    """The merchant's whole feed. Raises `PayloadTooLarge`, or `Unprocessable` for one without rows.

    If every row is wrong, the products stay as they were, and the version is not taken. A version
    that was taken is answered as before; with other bytes it raises `IdempotencyConflict`.
    """
    load = new_id("fed")
    try:
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as file:
            digest = f"{format}:{await _spool(content, file, FEED_BYTES_MAX)}"
            sent = FeedVersion(merchant_id=merchant_id, version=version, digest=digest)
            async with catalogue.database.transaction() as session:
                if known := await feed_versions.answered(session, sent):
                    return Taken.again(known)
            taken = await _take_in(catalogue, merchant_id, load, READERS[format](file))
        if not taken.accepted and not taken.rejected:
            raise Unprocessable("The feed has no rows; pause the merchant to show nothing")
        if taken.accepted:
            async with catalogue.database.transaction() as session:
                await _alone(session, merchant_id)
                if known := await feed_versions.answered(session, sent):  # sent twice at once
                    return Taken.again(known)
                await _swap(session, merchant_id, load, version=version)
                sent.answer = taken.document()
                session.add(sent)
    finally:
        async with catalogue.database.transaction() as session:
            await session.execute(
                text("DELETE FROM feed_intake WHERE load_id = :load"), {"load": load}
            )
    return taken


async def upsert(
    catalogue: Catalogue,
    merchant_id: str,
    content: bytes | AsyncIterable[bytes],
    *,
    format: Format = "jsonl",
) -> Taken:
    """Some products: new ones whole, known ones by the fields that change (and `item_id`)."""
    load = new_id("fed")
    try:
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as file:
            await _spool(content, file, PATCH_BYTES_MAX)
            taken = await _take_in(catalogue, merchant_id, load, READERS[format](file), merge=True)
        async with catalogue.database.transaction() as session:
            await _alone(session, merchant_id)
            await _apply(session, load, version=None)
    finally:
        async with catalogue.database.transaction() as session:
            await session.execute(
                text("DELETE FROM feed_intake WHERE load_id = :load"), {"load": load}
            )
    return taken


async def sweep(session: AsyncSession) -> int:
    """Forget what a process that died left in the intake a day ago. How many rows."""
    await feed_versions.forget_old(session)
    done = await session.execute(
        text("DELETE FROM feed_intake WHERE created_at < now() - interval '1 day' RETURNING id")
    )
    return len(done.all())


async def _take_in(
    catalogue: Catalogue,
    merchant_id: str,
    load: str,
    rows: Iterator[Raw],
    *,
    merge: bool = False,
) -> Taken:
    taken = Taken()
    seen: set[str] = set()
    while batch := await asyncio.to_thread(_next, rows, _BATCH):
        if merge:
            batch = await _merged(catalogue, merchant_id, batch)
        good = _checked(batch, seen, taken)
        await _stage(catalogue, merchant_id, load, good)
    return taken


async def _spool(content: bytes | AsyncIterable[bytes], file: IO[bytes], bytes_max: int) -> str:
    """To the end before anything is read: a body that is cut off changes nothing. Its SHA-256."""
    size, digest = 0, hashlib.sha256()
    async for chunk in _chunks(content):
        size += len(chunk)
        if size > bytes_max:
            raise PayloadTooLarge(f"A feed has at most {bytes_max // 2**20} MiB here")
        await asyncio.to_thread(file.write, chunk)
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


async def _chunks(content: bytes | AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    async for chunk in content:
        yield chunk


def _next(rows: Iterator[Raw], count: int) -> list[Raw]:
    return [row for _, row in zip(range(count), rows, strict=False)]


def _checked(batch: Sequence[Raw], seen: set[str], taken: Taken) -> list[FeedRow]:
    good: list[FeedRow] = []
    for raw in batch:
        if raw.fields is None:
            taken.reject([RowError(raw.number, clean_text(raw.place, 100), raw.problem)])
            continue
        try:
            row = FeedRow.model_validate(raw.fields)
        except ValidationError as error:
            taken.reject(
                [
                    RowError(raw.number, _place(raw, e["loc"]), e["msg"])
                    for e in error.errors(include_url=False, include_input=False)
                ]
            )
            continue
        if row.item_id in seen:
            twice = "occurs twice; the first one stands"
            taken.reject([RowError(raw.number, _place(raw, ["item_id"]), twice)])
            continue
        seen.add(row.item_id)
        taken.accepted += 1
        good.append(row)
    return good


def _place(raw: Raw, loc: Sequence[str | int]) -> str:
    return clean_text(".".join([*filter(None, [raw.place]), *map(str, loc)]), 100)


async def _merged(catalogue: Catalogue, merchant_id: str, batch: Sequence[Raw]) -> list[Raw]:
    """Rows completed from the product that they change."""
    ids = {
        offer_id(merchant_id, str(raw.fields["item_id"])): raw
        for raw in batch
        if raw.fields is not None and "item_id" in raw.fields
    }
    names = ", ".join(FeedRow.model_fields)
    query = text(f"SELECT id, {names} FROM product WHERE id = ANY(:ids)")  # noqa: S608 (our names)
    async with catalogue.database.transaction() as session:
        stored = await session.execute(query, {"ids": list(ids)})
        known = {row["id"]: dict(row) for row in stored.mappings()}
    merged: list[Raw] = []
    for raw in batch:
        item = raw.fields.get("item_id") if raw.fields is not None else None
        base = known.get(offer_id(merchant_id, str(item)), {})
        old = {name: base[name] for name in FeedRow.model_fields if name in base}
        fields = old | dict(raw.fields) if raw.fields is not None else None
        merged.append(dataclasses.replace(raw, fields=fields))
    return merged


async def _stage(
    catalogue: Catalogue, merchant_id: str, load: str, rows: Sequence[FeedRow]
) -> None:
    """Into the intake; only texts that have changed are encoded."""
    if not rows:
        return
    fields = {offer_id(merchant_id, row.item_id): row.model_dump(mode="json") for row in rows}
    staged = {id_: one | products.indexed(one) for id_, one in fields.items()}
    async with catalogue.database.transaction() as session:
        known = await products.known_meanings(session, list(staged))
    new = [id_ for id_, one in staged.items() if known.get(id_) != one["meaning"]]
    encoded = await _encode(catalogue, {id_: staged[id_]["meaning"] for id_ in new})
    async with catalogue.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO feed_intake (load_id, id, merchant_id, fields, embedding, created_at)"
                " VALUES (:load, :id, :merchant, CAST(:fields AS jsonb),"
                " CAST(:embedding AS vector), now())"
            ),
            [
                {
                    "load": load,
                    "id": id_,
                    "merchant": merchant_id,
                    "fields": json.dumps(one),
                    "embedding": encoded.get(id_),
                }
                for id_, one in staged.items()
            ],
        )


async def _encode(catalogue: Catalogue, meanings: Mapping[str, str]) -> dict[str, str]:
    """id → embedding as pgvector reads it."""
    parts = [(id_, line) for id_, lines in meanings.items() for line in lines.splitlines()]
    if not parts:
        return {}
    grouped: dict[str, list[NDArray[np.float32]]] = {}
    for first in range(0, len(parts), _ENCODED_AT_ONCE):
        some = parts[first : first + _ENCODED_AT_ONCE]
        vectors = await catalogue.vectors([line for _, line in some])
        for (id_, _), vector in zip(some, vectors, strict=True):
            grouped.setdefault(id_, []).append(vector)
    return {id_: literal(products.embed(several)) for id_, several in grouped.items()}


_COLUMNS = (*FeedRow.model_fields, "about", "title_grams", "about_grams", "meaning")
_NAMES = ", ".join(_COLUMNS)
_UPDATES = ", ".join(f"{name} = EXCLUDED.{name}" for name in (*_COLUMNS, "feed_version"))
_PICKED = ", ".join(f"r.{name}" for name in _COLUMNS)
_OLD = ", ".join(f"p.{name}" for name in _COLUMNS)
_APPLY = text(  # every name comes from the model above, every value is bound
    "WITH part AS (SELECT * FROM feed_intake WHERE load_id = :load AND id > :after"  # noqa: S608
    "   ORDER BY id LIMIT :most), put AS ("
    f" INSERT INTO product (id, merchant_id, {_NAMES}, feed_version, embedding, updated_at)"
    f" SELECT i.id, i.merchant_id, {_PICKED}, coalesce(:version, p.feed_version, ''),"
    "   coalesce(i.embedding, CASE WHEN p.meaning = r.meaning THEN p.embedding END), now()"
    " FROM part i"
    " CROSS JOIN LATERAL jsonb_populate_record(NULL::product, i.fields) r"
    " LEFT JOIN product p ON p.id = i.id"
    f" WHERE p.id IS NULL OR ({_OLD}) IS DISTINCT FROM ({_PICKED})"
    f" ON CONFLICT (id) DO UPDATE SET {_UPDATES}, embedding = EXCLUDED.embedding,"
    "   updated_at = now()"
    " RETURNING 1)"
    " SELECT max(id) AS last, (SELECT count(*) FROM put) AS changed FROM part"
)


async def _alone(session: AsyncSession, merchant_id: str) -> None:
    """One feed of a merchant at a time; the last one to get here stands."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:merchant, 7))"),
        {"merchant": merchant_id},
    )


async def _apply(session: AsyncSession, load: str, *, version: str | None) -> None:
    after: str | None = ""
    changed = 0
    while after is not None:
        part = {"load": load, "version": version, "after": after, "most": _APPLIED_AT_ONCE}
        try:
            done = (await session.execute(_APPLY, part)).one()
        except IntegrityError as error:
            # A product that was not encoded again because we had it is gone by now.
            raise Conflict(
                "Another feed of yours was applied meanwhile; send this one again"
            ) from error
        after, changed = done.last, changed + done.changed
    if changed >= _ANALYZE_AFTER:
        await session.execute(text("ANALYZE product"))


async def _swap(session: AsyncSession, merchant_id: str, load: str, *, version: str) -> None:
    await _apply(session, load, version=version)
    await session.execute(
        text(
            "DELETE FROM product p WHERE p.merchant_id = :merchant AND NOT EXISTS"
            " (SELECT 1 FROM feed_intake i WHERE i.load_id = :load AND i.id = p.id)"
        ),
        {"merchant": merchant_id, "load": load},
    )
