"""How strictly bodies are read: nothing is coerced, nothing unknown passes, nothing breaks a row.

JSON allows what PostgreSQL and other parsers do not: NUL, lone surrogates, NaN, integers beyond
2^53. They are refused here with a 4xx, before they can become a 500 or a different number.
"""

import json
import math
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

INT_MAX = 2**53


class Strict(BaseModel):
    """Base of every native request body."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        check_json(data)
        return data


class Lenient(Strict):
    """For shapes others define (OpenAI): unknown fields are left aside, values stay strict."""

    model_config = ConfigDict(extra="ignore")


def check_json(value: Any) -> None:
    """Raises ValueError for text or numbers that cannot be stored and read back the same."""
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, int | float):
        check_number(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_json(key)
            check_json(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_json(item)


def check_number(value: float) -> None:
    """Raises ValueError for what a BIGINT or a JSON reader elsewhere would change or refuse."""
    if isinstance(value, int):
        if abs(value) > INT_MAX:
            raise ValueError("integers must lie within ±2^53")
    elif not math.isfinite(value):
        raise ValueError("NaN and infinity are not JSON numbers")


def check_text(text: str) -> str:
    """Returns the text, or raises ValueError for a NUL or half a surrogate pair."""
    if "\x00" in text:
        raise ValueError("text must not contain NUL")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("text must not contain half of a surrogate pair")
    return text


def parsed(body: bytes) -> Any:
    """The JSON of a raw body, checked like any other. Raises ValueError for all that is wrong."""
    try:
        value = json.loads(body)
        check_json(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


Count = Annotated[int, Field(ge=0, le=INT_MAX)]
Positive = Annotated[int, Field(ge=1, le=INT_MAX)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


def _in_utc(value: datetime) -> datetime:
    """An offset can carry a moment of the first or the last year out of every calendar: stored, it
    could not be read again. Without an offset it is what its field makes of it."""
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC its year must lie between 1 and 9999") from error


Moment = Annotated[datetime, Field(strict=False), AfterValidator(_in_utc)]


# The names that the database knows too; `posix/UTC` or `localtime` are files beside them.
_ZONES = frozenset(available_timezones()) - {"localtime"}


def _known_zone(value: str) -> str:
    if value not in _ZONES:
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return value


TimeZone = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_known_zone)]
