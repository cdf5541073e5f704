"""A report as JSON, CSV, Parquet or a table for the eye: the same rows each time."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from backend.reports import Cell, Report
from integrations.money import Money

MONEY: Final = frozenset(
    {"gross", "refunded", "fee", "fee_accrued", "fee_refunded", "fee_recognised", "subscription"}
    | {"processor_fee", "dispute_fee", "net_revenue", "balance", "commission"}
)
"""Columns of minor units; the row's `currency` says of what."""

_TEXTS: Final = frozenset({"currency", "name", "settlement", "unit"})
_FLOATS: Final = frozenset(
    {"take_rate_bps", "fallback_share", "used_share_p50", "used_share_p95", "share"}
    | {"cost_usd_micros_mean", "energy_wh_min", "energy_wh_max"}
)
"""Beside what a report is grouped by, which is text; every other column is whole numbers."""

_WIDEST: Final = 100_000


def as_json(report: Report) -> str:
    """One JSON object; `data` holds the rows."""
    return json.dumps(_about(report) | {"data": _plain(report)}, ensure_ascii=False)


def as_csv(report: Report) -> str:
    """RFC 4180 with a header. No cell of text can start a formula in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(report.columns)
    writer.writerows([_harmless(row[c]) for c in report.columns] for row in report.rows)
    return out.getvalue()


def as_parquet(report: Report) -> bytes:
    """One row group; what the report was asked for stands in the file's own metadata.

    A column has the type of its name, whatever the rows hold: the files of two months join.
    """
    import pyarrow as pa  # noqa: PLC0415 - large, and seldom wanted
    import pyarrow.parquet as pq  # noqa: PLC0415

    texts = _TEXTS | {report.group_by}
    schema = pa.schema(
        [
            (c, pa.string() if c in texts else pa.float64() if c in _FLOATS else pa.int64())
            for c in report.columns
        ],
        metadata={"emptor": json.dumps(_about(report), ensure_ascii=False)},
    )
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(_plain(report), schema), out)
    return bytes(out.getvalue())


def show(console: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """For the eye, whole at any width: what is too wide for a table is a block for each row. A
    figure that is cut is worse than none."""
    table = as_table(title, rows)
    unbound = console.options.update(max_width=_WIDEST)
    if Measurement.get(console, unbound, table).maximum <= console.width:
        console.print(table)
        return
    for line in (title, *_blocks(rows)):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _blocks(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield ""
        wide = max(len(column) for column in row)
        yield from (f"  {column:<{wide}}  {_shown(row, column)}" for column in row)


def as_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Money in its currency, not in minor units."""
    columns = list(rows[0]) if rows else ["nothing yet"]
    table = Table(title=title, title_justify="left")
    for column in columns:
        numbers = rows and isinstance(rows[0][column], int | float)
        table.add_column(column, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(escape(_shown(row, column)) for column in columns))
    return table


def _shown(row: Mapping[str, Any], column: str) -> str:
    value, currency = row[column], row.get("currency")
    if value is None:
        return "–"
    if column in MONEY and currency:
        return Money(value, currency).text()
    return str(value)


def _plain(report: Report) -> list[dict[str, Cell]]:
    return [dict(row) for row in report.rows]


def _about(report: Report) -> dict[str, Any]:
    return {
        "report": report.name,
        "from": _rfc3339(report.since),
        "to": _rfc3339(report.until),
        "tz": report.tz,
        "group_by": report.group_by,
        "as_of": _rfc3339(report.as_of) if report.as_of else None,
        "columns": list(report.columns),
    }


def _harmless(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.lstrip(" ").startswith(
        ("=", "+", "-", "@", "\t", "\r", "\n")
    ):
        return "'" + cell
    return cell


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
