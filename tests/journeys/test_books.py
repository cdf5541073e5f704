"""Statements and reconciliation: what merchants and operators read agrees with what happened."""

import asyncio
import csv
import io
import secrets
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from backend import incidents, reconciling
from tests.journeys.conftest import Product
from tests.journeys.test_handoff import order_of, sent, tell
from tests.journeys.test_ucp import bought

MONTH = datetime.now(UTC).strftime("%Y-%m")


def merchant(product: Product, name: str) -> httpx.AsyncClient:
    return product.client(product.keys["merchants"][name])


async def statement(product: Product, name: str) -> dict[str, Any]:
    async with merchant(product, name) as http:
        answer = await http.get("/merchant/v1/statements", params={"month": MONTH})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def lines_of(made: dict[str, Any], order_id: str) -> list[dict[str, Any]]:
    return [line for line in made["lines"] if line["order_id"] == order_id]


async def test_a_statement_lists_sales_and_refunds_and_its_sums_are_the_ledgers(product: Product):
    order = await bought(product)
    async with merchant(product, "mer_demo_tickets") as http:
        refund = await http.post(
            f"/merchant/v1/orders/{order['id']}/refund",
            json={"amount": 1000},
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        assert refund.status_code == 200, refund.text
    made = await statement(product, "mer_demo_tickets")
    sale, back = lines_of(made, order["id"])
    fee = round(order["total"] * 0.05)
    assert (sale["kind"], sale["gross"], sale["fee"], sale["change"]) == (
        "captured",
        order["total"],
        fee,
        order["total"] - fee,
    )
    assert (back["kind"], back["refunded"]) == ("refunded", 1000)
    assert back["change"] == -(1000 - back["fee_refunded"])
    total = next(t for t in made["totals"] if t["currency"] == "EUR")
    assert total["closing_balance"] == total["opening_balance"] + total["change"]
    assert total["change"] == sum(line["change"] for line in made["lines"])
    async with product.client("operator") as http:
        rows = (await http.get("/operator/v1/ledger/accounts")).json()["data"]
    owed = sum(
        row["balance"]
        for row in rows
        if row["account"] in ("payable:merchant:mer_demo_tickets",
                              "receivable:merchant:mer_demo_tickets")
    )  # fmt: skip
    assert total["closing_balance"] == -owed


async def test_a_merchant_that_charges_itself_owes_us_its_commission(product: Product):
    made = await sent(product)
    assert await tell(product, "order_create", order_of(made, "ext_s", 50000)) == 200
    lines = (await statement(product, "mer_demo_flights"))["lines"]
    line = next(one for one in lines if one["merchant_order_id"] == "ext_s")
    assert (line["gross"], line["fee"], line["change"]) == (50000, 1500, -1500)


async def test_a_statement_is_a_spreadsheet_too_and_shows_nobody_elses_lines(product: Product):
    order = await bought(product)
    async with merchant(product, "mer_demo_tickets") as http:
        answer = await http.get("/merchant/v1/statements", params={"month": MONTH, "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert order["id"] in {row["order_id"] for row in rows}
    other = await statement(product, "mer_demo_tables")
    assert order["id"] not in {line["order_id"] for line in other["lines"]}


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "1999-01", "2026-11-01", "x" * 30])
async def test_a_month_that_is_none_is_refused(product: Product, month: str):
    async with merchant(product, "mer_demo_shop") as http:
        answer = await http.get("/merchant/v1/statements", params={"month": month})
    assert answer.status_code in (400, 422)


async def reconciled(product: Product) -> dict[str, Any]:
    async with product.client("operator") as http:
        answer = await http.get("/operator/v1/reconciliation")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_charges_orders_and_ledger_agree_after_sales_refunds_and_hand_offs(product: Product):
    await bought(product)
    made = await reconciled(product)
    assert made["differences"] == []
    assert made["ok"] is True
    assert made["checked"]["charges"] >= 1
    async with product.client() as http:
        assert (await http.get("/operator/v1/reconciliation")).status_code == 403


async def test_an_order_that_was_tampered_with_is_named_and_becomes_an_incident(product: Product):
    order = await bought(product)
    bend = text("UPDATE purchase_order SET total = total + :by, fee = fee + :by WHERE id = :id")
    async with product.database.transaction() as session:
        await session.execute(bend, {"by": 7, "id": order["id"]})
    try:
        made = await reconciled(product)
        assert made["ok"] is False
        found = {(d["kind"], d["found"] - d["expected"]) for d in made["differences"]}
        assert found == {("gross_differs", -7), ("fee_differs", -7), ("charge_differs", -7)}
        assert {d["subject"] for d in made["differences"]} == {order["id"]}
        await reconciling.nightly(product.database, product.app.state.payments)
        async with product.client("operator") as http:
            listed = (await http.get("/operator/v1/incidents")).json()["data"]
        assert [i["kind"] for i in listed if i["subject"] == order["id"]] == ["books_differ"]
    finally:
        async with product.database.transaction() as session:
            await session.execute(bend, {"by": -7, "id": order["id"]})
            await incidents.resolve(session, "books_differ", subject=order["id"])
    assert (await reconciled(product))["ok"] is True


async def test_refunds_of_one_order_at_once_never_stand_in_each_others_way(product: Product):
    order = await bought(product)

    async def refund(http: httpx.AsyncClient) -> int:
        key = {"Idempotency-Key": secrets.token_hex(8)}
        path = f"/merchant/v1/orders/{order['id']}/refund"
        return (await http.post(path, json={"amount": 10}, headers=key)).status_code

    said = []
    async with merchant(product, "mer_demo_tickets") as http:
        for _ in range(6):
            said += await asyncio.gather(*(refund(http) for _ in range(12)))
        shown = (await http.get(f"/merchant/v1/orders/{order['id']}")).json()
    assert set(said) <= {200, 409}
    assert shown["refunded"] == 10 * said.count(200) > 0
