"""A mistake in a file, in one clear line: what is wrong with a value and what to write instead."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_REMEDIES: Mapping[str, str] = {
    "currency": "an ISO 4217 code such as USD",
    "name": "small letters, digits and _, beginning with a letter",
    "amount": "a whole number of minor units: 2_000 is 20 dollars",
    "cap": "a whole number; 0 closes the bucket",
    "pins": 'a list of models or patterns, such as ["*"]',
    "price": '{ amount = 2_000, currency = "USD" }',
}


def why(mistake: Mapping[str, Any], known: Iterable[str]) -> str:
    """What pydantic found at one place; `known` are the keys that the file may have."""
    key, given = str(mistake["loc"][-1]) if mistake["loc"] else "", mistake["input"]
    said = str(mistake["msg"]).removeprefix("Value error, ")
    if mistake["type"] == "extra_forbidden":
        near = get_close_matches(key, list(known), n=1)
        return f"{said}; " + (f"did you mean {near[0]!r}?" if near else "take it out")
    if mistake["type"] == "missing":
        said += "; add it"
    elif isinstance(given, str | int | float) and mistake["type"] != "value_error":
        said += f", and it is {given!r}"
    remedy = _REMEDIES.get(key)
    return f"{said}; write {remedy}" if remedy else said
