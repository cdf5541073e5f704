"""One row of a feed: what a merchant may say about a product, checked and cleaned.

The same fields in JSON lines and in CSV. In a CSV an empty cell is not given, and attributes and
options are columns named `attribute:NAME` and `option:NAME`. A thing in sizes or colours is a row
for each: they share `item_group_id`, and `options` tell them apart. Money is integer minor units.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from babel.core import get_global
from pydantic import BaseModel, ConfigDict, Field, field_validator

from integrations.money import AMOUNT_MAX
from integrations.partner import clean_text

ATTRIBUTES_MAX = 30
OPTIONS_MAX = 6
# What is legal tender somewhere today: nobody can be charged in marks, in gold or in "no currency".
_CURRENCIES = frozenset(
    code
    for listed in get_global("territory_currencies").values()
    for code, _, until, tender in listed
    if until is None and tender
)
# Python's own int() and float() also read 12_50, +5, 1e3, inf and the digits of other scripts.
_WHOLE, _DECIMAL = re.compile(r"[0-9]{1,18}"), re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_NUMBERS: Mapping[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    "price_amount": (_WHOLE, int),
    "delivery_days": (_WHOLE, int),
    "rating": (_DECIMAL, float),
}
_ATTRIBUTE, _OPTION = "attribute:", "option:"


class FeedRow(BaseModel):
    """Texts are shown as text: control and invisible characters are taken out."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    item_id: Annotated[str, Field(min_length=1, max_length=100)]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    title_zh: Annotated[str, Field(max_length=200)] = ""
    description: Annotated[str, Field(max_length=4000)] = ""
    description_zh: Annotated[str, Field(max_length=4000)] = ""
    category: Annotated[str, Field(max_length=100)] = ""
    price_amount: Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    availability: Literal["in_stock", "low_stock", "out_of_stock", "on_request"] = "in_stock"
    gtin: Annotated[str, Field(pattern=r"^([0-9]{8}|[0-9]{12,14})?$")] = ""
    image_url: Annotated[str, Field(max_length=2000)] | None = None
    rating: Annotated[float, Field(ge=0, le=5)] | None = None
    delivery_days: Annotated[int, Field(ge=0, le=365)] | None = None
    item_group_id: Annotated[str, Field(max_length=100)] = ""
    options: Annotated[dict[str, str], Field(max_length=OPTIONS_MAX)] = {}
    attributes: Annotated[dict[str, str], Field(max_length=ATTRIBUTES_MAX)] = {}

    @field_validator("title", "title_zh", "description", "description_zh", "category")
    @classmethod
    def _clean(cls, value: str) -> str:
        return clean_text(value, 4000)

    @field_validator("title")
    @classmethod
    def _said(cls, value: str) -> str:
        if not value:
            raise ValueError("has no visible character")
        return value

    @field_validator("item_id", "item_group_id")
    @classmethod
    def _plain(cls, value: str) -> str:
        if clean_text(value, 100) != value:
            raise ValueError("must not contain control or invisible characters")
        return value

    @field_validator("gtin")
    @classmethod
    def _given(cls, value: str) -> str:
        return value if value.strip("0") else ""  # zeros fill the place of one

    @field_validator("currency")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in _CURRENCIES:
            raise ValueError("is not the ISO 4217 code of money in use")
        return value

    @field_validator("image_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
        except ValueError as error:
            raise ValueError("is not a web address") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an absolute http(s) address")
        if clean_text(value, 2000) != value:
            raise ValueError("must not contain control or invisible characters")
        return value

    @field_validator("attributes", "options")
    @classmethod
    def _short(cls, value: dict[str, str]) -> dict[str, str]:
        return {clean_text(k, 60): clean_text(v, 200) for k, v in value.items() if clean_text(k)}


def from_csv(cells: Mapping[str | None, Any]) -> dict[str, Any]:
    """A CSV row with its numbers as numbers. Raises `ValueError` for too many or too few cells."""
    if None in cells or any(value is None for value in cells.values()):
        raise ValueError("the row has not as many cells as the header")
    fields: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    options: dict[str, str] = {}
    for name, value in cells.items():
        given = str(value).strip()
        if any("\udc80" <= c <= "\udcff" for c in given):  # bytes that the reader could not read
            raise ValueError(f"{name} is not UTF-8")
        if not given or name is None:
            continue
        if name.startswith(_ATTRIBUTE):
            attributes[name.removeprefix(_ATTRIBUTE)] = given
        elif name.startswith(_OPTION):
            options[name.removeprefix(_OPTION)] = given
        else:
            fields[name.strip()] = _number(name.strip(), given)
    named = {"attributes": attributes, "options": options}
    return fields | {name: told for name, told in named.items() if told}


def _number(name: str, given: str) -> Any:
    """Left as text when it is none, so that the row's own check says what is wrong with it."""
    if name in _NUMBERS:
        form, read = _NUMBERS[name]
        if form.fullmatch(given):
            return read(given)
    return given
