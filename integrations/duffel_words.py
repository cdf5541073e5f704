"""How Duffel writes: envelopes, decimal money, ids in references, what a traveller must say."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from integrations.money import Money, MoneyError
from integrations.partner import Basket, Buyer, Note, PartnerRefused, Quote
from integrations.wire import Unreadable, Wire, object_at, objects_at, text_at

VERSION = "v2"
NEWEST = 200  # how many orders one page of a look-up holds; a lost one is seconds old


class Account:
    """Requests to Duffel: `{"data": …}` both ways."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, key: str) -> None:
        self._wire = Wire(http, base_url, key, {"Duffel-Version": VERSION})

    async def get(self, path: str) -> Mapping[str, Any]:
        return object_at(await self._wire.get(path), "data")

    async def listed(self, path: str) -> Sequence[Mapping[str, Any]]:
        return objects_at(await self._wire.get(path), "data")

    async def ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A POST that only reads."""
        return object_at(await self._wire.ask(path, {"data": body}), "data")

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> Mapping[str, Any]:
        return object_at(await self._wire.post(path, {"data": body}, key=key), "data")


def money_at(value: Mapping[str, Any], name: str) -> Money:
    """`{name}_amount` in `{name}_currency`, a decimal text, to the minor unit.

    Raises `Unreadable` for a number, for excess digits, or for no amount at all.
    """
    amount, currency = value.get(f"{name}_amount"), value.get(f"{name}_currency")
    return money(amount, currency, name)


def money(amount: object, currency: object, name: str) -> Money:
    if not isinstance(amount, str) or not isinstance(currency, str) or not _decimal(amount):
        raise Unreadable(f"{name} is not an amount in words we know")
    try:
        return Money.from_decimal(amount, currency)
    except MoneyError as error:
        raise Unreadable(str(error)) from error


def _decimal(text: str) -> bool:
    whole, _, rest = text.partition(".")
    return text.isascii() and len(text) <= 20 and (whole + rest).isdigit() and bool(whole)


def written(amount: Money) -> dict[str, str]:
    """A payment as Duffel reads it back."""
    return {"amount": str(amount.decimal), "currency": amount.currency}


def reference(theirs: str, item_id: str) -> str:
    """Duffel's own id of a held order or a quote, with the item that the person picked."""
    return f"{theirs}:{item_id}"


def parts_of(reference: str) -> tuple[str, str]:
    """The two halves of a `reference`; an offer that nothing was made of yet is both."""
    theirs, _, item_id = reference.partition(":")
    return theirs, item_id or theirs


def one(value: Mapping[str, Any], prefix: str) -> str:
    """The object's id. Raises `Unreadable` for one of another kind, or none."""
    identifier = text_at(value, "id", 200)
    if not identifier.startswith(prefix):
        raise Unreadable(f"an id that begins with {prefix} was promised")
    return identifier


def missing(buyer: Buyer | None, wanted: Sequence[str]) -> list[Note]:
    """What a traveller still has to say. Nothing of it is ever guessed."""
    return [
        Note("error", "missing", f"{_ASKED[name]} is needed", f"$.buyer.{name}")
        for name in wanted
        if buyer is None or not getattr(buyer, name)
    ]


_ASKED: Mapping[str, str] = {
    "first_name": "A first name",
    "last_name": "A last name",
    "email": "An e-mail address",
    "phone": "A phone number",
    "born_on": "A date of birth",
    "gender": "The gender in the passport (m or f)",
    "title": "A title (mr, ms, mrs, miss or dr)",
}


def same_currency(quote: Quote, basket: Basket) -> Quote:
    if quote.total.currency != basket.currency:
        raise PartnerRefused(f"this is sold in {quote.total.currency}", code="currency")
    return quote
