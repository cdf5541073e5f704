"""The nightly re-rank sees an order that facts do not explain, and is silent otherwise."""

import numpy as np
from sqlalchemy import text

from backend import feeds, reranking
from backend.catalogue import Catalogue
from tests.backend.fakes_shelf import FEED, GOODS, catalogue, jsonl, merchant, row


def encode(texts):
    """The same words lie at the same place: enough for titles that are asked for literally."""
    rows = np.zeros((len(texts), 512), dtype=np.float32)
    for place, given in enumerate(texts):
        for word in given.lower().split():
            rows[place, sum(word.encode()) % 512] += 1
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


class Sold(Catalogue):
    """A search that puts who pays most first, behind the ranker's back."""

    async def search(self, wish, *, limit=6):
        found = await super().search(wish, limit=limit)
        return sorted(found, key=lambda offer: offer.merchant != "Generous")


async def shelves(database):
    await merchant(database, "mer_shop", name="Modest", commission_bps=0)
    await merchant(database, "mer_pays", name="Generous", commission_bps=3000)
    shelf = catalogue(database, encode)
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    dearer = [
        row(i) | {"title": f"{i[1]} by Generous", "price_amount": i[4] * 2, "rating": 1.0}
        for i in GOODS
    ]
    await feeds.replace(shelf, "mer_pays", jsonl(*dearer), version="1")
    return shelf


async def incidents(database) -> list[str]:
    async with database.transaction() as session:
        return list((await session.execute(text("SELECT kind FROM incident"))).scalars())


async def test_an_honest_search_is_in_the_order_of_its_facts(database):
    shelf = await shelves(database)
    assert await reranking.nightly(shelf) == []
    assert await incidents(database) == []


async def test_a_search_that_sells_places_is_told_to_a_person_once(database):
    shelf = await shelves(database)
    sold = Sold(database, encode, lambda _: None)
    moved = await reranking.nightly(sold)
    assert moved
    assert all(sorted(one.shown) == sorted(one.by_facts) for one in moved)
    await reranking.nightly(sold)
    assert set(await incidents(database)) == {"ranking_differs"}
    assert len(await incidents(database)) == len(moved)
    del shelf
