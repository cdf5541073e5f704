"""A report as text says what its rows say, to a person, a spreadsheet and a program."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from backend import formats, reports
from backend.database import Database
from backend.reports import Report
from integrations.money import Money
from tests.backend.fakes_reports import NOON, fill, refund, run, say


@pytest.mark.parametrize(
    "evil",
    ["=HYPERLINK(1)", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  @x"],
)
async def test_no_cell_of_text_can_start_a_formula(database: Database, evil: str):
    await say(database, "t1", model=evil)
    report = await run(database, "routing", group_by="model")
    assert report.rows[0]["model"] == evil
    _, cells = csv.reader(io.StringIO(formats.as_csv(report), newline=""))
    assert cells[0] == "'" + evil


async def test_csv_is_rfc_4180_with_numbers_left_as_numbers(database: Database):
    await say(database, "t1", model='quoted "name", with comma')
    await refund(database, "r", Money(500, "EUR"), 20, NOON)
    said = formats.as_csv(await run(database, "routing", group_by="model"))
    assert said.count("\r\n") == 2
    assert said.splitlines()[1].startswith('"quoted ""name"", with comma",1,')
    revenue = formats.as_csv(await run(database, "revenue"))
    header, cells = csv.reader(io.StringIO(revenue, newline=""))
    assert dict(zip(header, cells, strict=True))["net_revenue"] == "-20"
    assert dict(zip(header, cells, strict=True))["take_rate_bps"] == ""


async def test_json_says_what_was_asked_and_answers_with_numbers(database: Database):
    await say(database, "t1")
    said = json.loads(formats.as_json(await run(database, "routing", tz="Asia/Shanghai")))
    assert {k: said[k] for k in ("report", "from", "to", "tz", "group_by", "as_of")} == {
        "report": "routing",
        "from": "2026-10-31T16:00:00Z",
        "to": "2026-11-30T16:00:00Z",
        "tz": "Asia/Shanghai",
        "group_by": "kind",
        "as_of": None,
    }
    assert said["data"][0]["turns"] == 1


async def test_parquet_holds_the_same_rows_with_their_types_and_the_question(database: Database):
    await say(database, "t1", model="=1+1")
    await refund(database, "r", Money(500, "EUR"), 20, NOON)
    for name in reports.DEFINITIONS:
        report = await run(database, name)
        table = pq.read_table(io.BytesIO(formats.as_parquet(report)))
        assert table.to_pylist() == [dict(row) for row in report.rows]
        assert tuple(table.column_names) == report.columns
        assert json.loads(table.schema.metadata[b"emptor"])["report"] == name
    revenue = pq.read_schema(io.BytesIO(formats.as_parquet(await run(database, "revenue"))))
    assert str(revenue.field("net_revenue").type) == "int64"
    assert str(revenue.field("take_rate_bps").type) == "double"  # nothing was ordered: no value


def _parquet(report: Report) -> pa.Table:
    return pq.read_table(io.BytesIO(formats.as_parquet(report)))


async def test_the_files_of_an_empty_and_of_a_full_month_join(database: Database):
    await fill(database)
    for name, definition in reports.DEFINITIONS.items():
        for group in definition.groups:
            full = _parquet(await run(database, name, group_by=group))
            october = {"from_": "2026-10-01", "to": "2026-10-31"}
            empty = _parquet(await run(database, name, group_by=group, **october))
            assert full.num_rows, (name, group)
            assert full.schema.equals(empty.schema), (name, group)
            joined = pa.concat_tables([empty, full])
            assert joined.num_rows == full.num_rows + empty.num_rows


def test_a_table_for_the_eye_shows_money_in_its_currency():
    rows = [
        {"day": "2026-11-01", "currency": "EUR", "orders": 2, "gross": 75903, "fee": None},
        {"day": "2026-11-01", "currency": "JPY", "orders": 1, "gross": 900, "fee": 9},
    ]
    console = Console(width=90, file=io.StringIO(), record=True)
    console.print(formats.as_table("revenue", rows))
    said = console.export_text()
    assert "€759.03" in said
    assert "¥900" in said
    assert "75903" not in said
    assert "–" in said


@pytest.mark.parametrize("width", [80, 40])
def test_what_is_too_wide_for_a_table_is_shown_whole_row_by_row(width: int):
    row = {f"a_column_{n}": 1_234_567 for n in range(8)}
    rows = [{"day": day, "currency": "EUR", "gross": 683_210_00, **row} for day in ("mon", "tue")]
    console = Console(width=width, file=io.StringIO(), record=True)
    formats.show(console, "revenue", rows)
    said = console.export_text()
    assert said.startswith("revenue\n")
    assert "…" not in said
    assert said.count("€683,210.00") == 2
    assert said.count("1234567") == 16


def test_what_fits_is_a_table():
    console = Console(width=80, file=io.StringIO(), record=True)
    formats.show(console, "revenue", [{"day": "mon", "currency": "EUR", "gross": 100}])
    assert "│ mon" in console.export_text()
