"""A product with its variants inside, as ACP's feeds have them: a row for each variant.

Read as far as an offer needs it (id, texts, price, stock, barcode, picture, options); what else a
variant says is left aside. Source: ACP 2026-04-17, schema.feed.json (`Product`, `Variant`).
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_TAG = re.compile(r"<[^>]*>")
_BARCODES = ("gtin", "upc", "ean")
# ACP's states are an open list: what is not known here is asked about at the checkout.
_STOCK = {
    "in_stock": "in_stock",
    "limited_stock": "low_stock",
    "backorder": "on_request",
    "preorder": "on_request",
    "out_of_stock": "out_of_stock",
    "discontinued": "out_of_stock",
}


class Malformed(ValueError):
    """`field` is the place in the product, `why` what is wrong there."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _Description(_Part):
    plain: str | None = None
    markdown: str | None = None
    html: str | None = None

    @property
    def words(self) -> str:
        tagged = html.unescape(_TAG.sub(" ", self.html or ""))
        return self.plain or self.markdown or " ".join(tagged.split())


class _Price(_Part):
    amount: int
    currency: str


class _Availability(_Part):
    available: bool | None = None
    status: str | None = None

    @property
    def stock(self) -> str | None:
        if self.available is False:
            return "out_of_stock"
        unsaid = "in_stock" if self.available else "on_request"
        return _STOCK.get(self.status, unsaid) if self.status else "in_stock"


class _Named(_Part):
    name: str
    value: str


class _Barcode(_Part):
    type: str
    value: str


class _Category(_Part):
    value: str


class _Media(_Part):
    type: str
    url: str


class _Sold(_Part):
    """What a product and a variant have in common."""

    id: Annotated[str, Field(min_length=1)]
    description: _Description | None = None
    media: tuple[_Media, ...] = Field((), strict=False)

    @property
    def picture(self) -> str | None:
        return next((one.url for one in self.media if one.type == "image"), None)


class _Product(_Sold):
    title: str | None = None
    variants: list[Any]


class _Variant(_Sold):
    title: str
    price: _Price | None = None
    availability: _Availability | None = None
    barcodes: tuple[_Barcode, ...] = Field((), strict=False)
    categories: tuple[_Category, ...] = Field((), strict=False)
    variant_options: tuple[_Named, ...] = Field((), strict=False)
    condition: tuple[str, ...] = Field((), strict=False)


def is_product(line: Mapping[str, Any]) -> bool:
    return "variants" in line and "item_id" not in line


def rows(line: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any] | Malformed]]:
    """(place in the product, the row's fields or what is wrong) of each variant.

    What a variant does not say is not in its row, so that a part of a product changes only that.
    """
    try:
        product = _Product.model_validate(line)
    except ValidationError as error:
        yield "", _malformed(error)
        return
    if not product.variants:
        yield "", Malformed("variants", "a product has at least one variant")
    for number, told in enumerate(product.variants):
        try:
            row: dict[str, Any] | Malformed = _row(product, _Variant.model_validate(told))
        except ValidationError as error:
            row = _malformed(error)
        yield f"variants.{number}", row


def _malformed(error: ValidationError) -> Malformed:
    first = error.errors(include_url=False, include_input=False)[0]
    return Malformed(".".join(map(str, first["loc"])), first["msg"])


def _row(product: _Product, variant: _Variant) -> dict[str, Any]:
    options = {one.name: one.value for one in variant.variant_options}
    about = variant.description or product.description
    row: dict[str, Any] = {
        "item_id": variant.id,
        # The options are named beside the title: one that has them already would say them twice.
        "title": (product.title if options else None) or variant.title,
        "item_group_id": product.id if options else None,
        "options": options or None,
        "description": about.words if about else None,
        "image_url": variant.picture or product.picture,
        "availability": variant.availability.stock if variant.availability else None,
        "gtin": _gtin(variant.barcodes),
        "category": _leaf(variant.categories),
        "attributes": {"condition": ", ".join(variant.condition)} if variant.condition else None,
    }
    if variant.price is not None:
        row |= {"price_amount": variant.price.amount, "currency": variant.price.currency}
    return {name: value for name, value in row.items() if value is not None}


def _gtin(barcodes: Sequence[_Barcode]) -> str | None:
    known = (b.value for b in barcodes if b.type.casefold().startswith(_BARCODES))
    return next(known, None)


def _leaf(categories: Sequence[_Category]) -> str | None:
    """`Apparel > Shirts` is Shirts."""
    if not categories:
        return None
    return categories[0].value.rpartition(">")[2].strip() or None
