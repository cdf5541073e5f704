"""A mistake in a file, in one clear line: what is wrong with a value and what to write instead."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_REMEDIES: Mapping[str, str] = {
    "version": 'a name for this table of prices, such as "2026-11-27"',
    "api_key_file": "the path of a file that holds the key",
    "energy_wh_per_ktok": "[min, max] in watt-hours, such as [0.1, 0.9]",
    "announced": "a day such as 2027-01-31, without quotes",
    "retires": "a day such as 2027-03-31, without quotes",
    "input_usd_micros_per_mtok": "a whole number: 250_000 is 0.25 dollars a million tokens",
    "cached_usd_micros_per_mtok": "a whole number: 25_000 is 0.025 dollars a million tokens",
    "output_usd_micros_per_mtok": "a whole number: 2_000_000 is 2 dollars a million tokens",
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
    remedy = next((_REMEDIES[k] for k in map(str, reversed(mistake["loc"])) if k in _REMEDIES), "")
    return f"{said}; write {remedy}" if remedy else said
