"""The demo shop's catalogue: fictional goods, written for this project, in English and Chinese."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CURRENCY = "EUR"
LOW_STOCK = 3
BULKY_KG = 9.0
_CATALOGUE = Path(__file__).parent / "catalogue"


@dataclass(frozen=True, slots=True)
class Product:
    """`price` in cents before tax, `stock` in units at the start, `days` from order to door."""

    id: str
    title: str
    zh: str
    about: str
    about_zh: str
    category: str
    price: int
    stock: int
    rating: float
    days: int
    picture: str
    tags: Mapping[str, str] = field(default_factory=dict)
    group: str = ""  # what comes in several sizes or colours
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def reduced_tax(self) -> bool:
        return self.category in ("books", "food", "flowers")

    @property
    def bulky(self) -> bool:
        """Too heavy for a parcel."""
        return float(self.tags.get("weight_kg", 0)) >= BULKY_KG


def load(folder: Path = _CATALOGUE) -> Mapping[str, Product]:
    """Every product by id; the file's name is the category. Raises `ValueError` for a bad line."""
    products: dict[str, Product] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                product = Product(category=path.stem, **json.loads(line))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path.name}:{number}: {error}") from error
            if product.id in products:
                raise ValueError(f"{path.name}:{number}: {product.id} occurs twice")
            products[product.id] = product
    return products


def feed_row(product: Product, *, left: int, base_url: str) -> Mapping[str, Any]:
    """One line of the feed that merchants send us, with the stock as it is now."""
    return {
        "item_id": product.id,
        "title": product.title,
        "title_zh": product.zh,
        "description": product.about,
        "description_zh": product.about_zh,
        "category": product.category,
        "price_amount": product.price,
        "currency": CURRENCY,
        "availability": availability(left),
        "image_url": f"{base_url}/images/{product.id}.svg",
        "rating": product.rating,
        "delivery_days": product.days,
        "attributes": dict(product.tags),
    } | ({"item_group_id": product.group, "options": product.options} if product.group else {})


def availability(left: int) -> str:
    if left <= 0:
        return "out_of_stock"
    return "low_stock" if left <= LOW_STOCK else "in_stock"
