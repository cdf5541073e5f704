"""A feed's bytes as rows: JSON lines or CSV, UTF-8, read one at a time at any length.

A JSON line is one row, or an ACP product that is a row for each of its variants.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Literal

from backend import feed_variants
from backend.errors import BadRequest, Unprocessable
from backend.feed_rows import from_csv

Format = Literal["jsonl", "csv"]
ROW_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Raw:
    """A row as it was read: its fields, or why there are none. `place` is where in its line."""

    number: int
    fields: Mapping[str, Any] | None
    problem: str = ""
    place: str = ""


def _jsonl(file: IO[bytes]) -> Iterator[Raw]:
    number = 0
    while line := file.readline(ROW_BYTES_MAX + 1):
        if len(line) > ROW_BYTES_MAX and not line.endswith(b"\n"):
            while (rest := file.readline(ROW_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
            number += 1
            yield Raw(number, None, f"a row has at most {ROW_BYTES_MAX // 1024} KiB")
            continue
        if not line.strip():
            continue
        number += 1
        row = _json_row(number, line)
        if row.fields is not None and feed_variants.is_product(row.fields):
            yield from _variants(number, row.fields)
        else:
            yield row


def _variants(number: int, product: Mapping[str, Any]) -> Iterator[Raw]:
    for place, row in feed_variants.rows(product):
        if isinstance(row, feed_variants.Malformed):
            yield Raw(number, None, str(row), ".".join(filter(None, (place, row.field))))
        else:
            yield Raw(number, row, place=place)


def _json_row(number: int, line: bytes) -> Raw:
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except _Twice as twice:
        return Raw(number, None, str(twice))
    except (ValueError, RecursionError) as error:
        return Raw(number, None, f"not JSON: {type(error).__name__}")
    if not isinstance(value, dict):
        return Raw(number, None, "not a JSON object")
    return Raw(number, value)


class _Twice(ValueError):
    """A field given twice: nobody knows which one is meant."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Twice("a field occurs twice")
    return made


class _Told(dict[str, Any]):
    """An object as it was sent: `items` has a field that was given twice two times."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def items(self) -> Any:
        return self._pairs


def lines(body: bytes) -> bytes:
    """`{"products": [...]}` as JSON lines, which say all that was said, also what was said twice.

    Raises `BadRequest` for what is no JSON, `Unprocessable` for another document.
    """
    try:
        document = json.loads(body, object_pairs_hook=_Told)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON") from error
    names = [name for name, _ in document.items()] if isinstance(document, dict) else []
    if names != ["products"] or not isinstance(document["products"], list):
        raise Unprocessable('Send {"products": [...]}, or one product a line as application/jsonl')
    return b"".join(json.dumps(row).encode() + b"\n" for row in document["products"])


def _csv(file: IO[bytes]) -> Iterator[Raw]:
    """Raises `Unprocessable` for a header that no row can be read by."""
    lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(lines)
    number = 0
    _check_header(reader.fieldnames or ())
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            number += 1
            yield Raw(number, None, f"not CSV: {error}")
            continue
        number += 1
        try:
            yield Raw(number, from_csv(row))
        except ValueError as error:
            yield Raw(number, None, str(error))
    lines.detach()


def _check_header(names: Sequence[str]) -> None:
    stripped = [name.strip() for name in names]
    if any("\udc80" <= c <= "\udcff" for name in names for c in name):
        raise Unprocessable("The header is not UTF-8")
    if len(set(stripped)) != len(stripped):
        raise Unprocessable("The header names a column twice")
    if names and "item_id" not in stripped:
        raise Unprocessable("The header has no item_id; columns are separated by commas")


READERS: Mapping[Format, Callable[[IO[bytes]], Iterator[Raw]]] = {"jsonl": _jsonl, "csv": _csv}
