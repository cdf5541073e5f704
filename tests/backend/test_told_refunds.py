"""What merchants tell of money that came back moves our books once, and statements agree."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlmodel import select

from backend import ledger, reconciling, refunds, statements
from backend.incidents import Incident
from backend.orders import PurchaseOrder
from backend.refunds import OrderRefund
from tests.backend.buying import books, incidents
from tests.backend.place import Place, sql

OWED = "receivable:merchant:mer_shop"


@pytest.fixture
async def record(place: Place) -> Place:
    """The shop is merchant of record: it charges a token and owes us the commission."""
    shop = place.world.sellers["mer_shop"]
    place.world.sellers["mer_shop"] = replace(shop, settlement="merchant", destination=None)
    return place


def told_back(place: Place, order: dict, amount: int, **more) -> dict:
    """The merchant's whole order, as it stands after `amount` came back."""
    (reference,) = place.world.shop.sessions
    entry = {"id": "adj_1", "type": "refund", "status": "completed", "amount": amount}
    totals = [
        {"type": "total", "amount": order["total"]},
        {"type": "amount_refunded", "amount": amount},
    ]
    return {
        "id": order["merchant_order_id"],
        "checkout_session_id": reference,
        "status": "confirmed",
        "adjustments": [entry],
        "totals": totals,
        **more,
    }


async def owed(place: Place) -> int:
    return (await books(place.world))[OWED]


async def given(place: Place, order: dict, amount: int) -> OrderRefund:
    """By the merchant's own hand."""
    return await refunds.refund(
        place.world.till,
        merchant_id="mer_shop",
        order_id=order["id"],
        amount=amount,
        reason="",
        request_key=secrets.token_hex(4),
    )


async def agreed(place: Place) -> dict:
    """This month's sums, held against the orders and the ledger."""
    async with place.world.database.transaction() as session:
        made = await statements.statement(session, "mer_shop", f"{datetime.now(UTC):%Y-%m}")
        found = (await session.execute(select(PurchaseOrder))).scalars().all()
        accounts = await ledger.accounts(session)
    (total,) = made.totals
    assert total["gross"] == sum(order.total for order in found)
    assert total["refunded"] == sum(order.refunded for order in found)
    assert total["fee_refunded"] == sum(order.fee_refunded for order in found)
    between = [a.balance for a in accounts if a.account.endswith("able:merchant:mer_shop")]
    assert total["closing_balance"] == -sum(between)
    checked = await reconciling.reconcile(place.world.database, None)
    assert checked.ok, checked.differences
    return total


async def test_a_merchant_of_records_refund_takes_its_part_of_our_fee_once(record):
    order = await record.bought()
    fee = await owed(record)
    for status in ("confirmed", "processing", "confirmed"):  # three events, one refund
        told = told_back(record, order, 1000, status=status)
        assert (await record.told(told)).is_success
    shown = await record.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("partially_refunded", 1000)
    assert await owed(record) == fee - round(fee * 1000 / order["total"])
    assert (await agreed(record))["refunded"] == 1000
    assert await incidents(record.world) == []


async def test_a_merchant_of_records_cancellation_ends_our_claim_and_asks_nobody(record):
    order = await record.bought()
    await record.told(told_back(record, order, 1000))
    for _ in range(2):
        gone = told_back(record, order, 1000, status="canceled")
        assert (await record.told(gone)).is_success
    shown = await record.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("canceled", order["total"])
    assert await owed(record) == 0
    assert (await agreed(record))["refunded"] == order["total"]
    assert await incidents(record.world) == []


async def test_more_than_was_paid_cannot_have_come_back(record):
    order = await record.bought()
    fee = await owed(record)
    await record.told(told_back(record, order, order["total"] + 1))
    assert (await record.shown(order["id"]))["refunded"] == 0
    assert await owed(record) == fee
    assert await incidents(record.world) == ["total_mismatch"]


IN_DOLLARS = (
    {"currency": "USD"},
    {"totals": [{"type": "amount_refunded", "amount": 1000, "currency": "usd"}]},
    {
        "totals": [],
        "adjustments": [
            {"type": "refund", "status": "completed", "amount": 1000, "currency": "USD"}
        ],
    },
    {
        "totals": [],
        "currency": "usd",
        "adjustments": [
            {"type": "refund", "status": "completed", "totals": [{"type": "total", "amount": -9}]}
        ],
    },
)


@pytest.mark.parametrize("settlement", ["merchant", "platform"])
@pytest.mark.parametrize("status", ["confirmed", "canceled"])
@pytest.mark.parametrize("said", IN_DOLLARS)
async def test_a_refund_told_in_other_money_is_a_persons_matter(place, settlement, status, said):
    shop = place.world.sellers["mer_shop"]
    place.world.sellers["mer_shop"] = replace(shop, settlement=settlement, destination=None)
    order = await place.bought()
    before = await books(place.world)
    assert (await place.told(told_back(place, order, 1000, status=status, **said))).is_success
    shown = await place.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("placed", 0)
    assert await books(place.world) == before
    kinds = {"total_mismatch"}
    if (settlement, status) == ("platform", "canceled"):
        kinds.add("merchant_canceled")
    assert set(await incidents(place.world)) == kinds


async def test_a_refund_told_in_the_orders_money_is_booked_however_it_is_written(record):
    order = await record.bought()
    entry = {"type": "refund", "status": "completed", "amount": 1000, "currency": "eur"}
    said = told_back(record, order, 1000, currency="eur", totals=[], adjustments=[entry])
    await record.told(said)
    assert (await record.shown(order["id"]))["refunded"] == 1000
    assert await incidents(record.world) == []


async def test_a_refund_by_the_api_and_the_event_that_tells_it_are_one(record):
    order = await record.bought()
    await given(record, order, 1000)
    await record.told(told_back(record, order, 1000))
    assert (await record.shown(order["id"]))["refunded"] == 1000
    await record.told(told_back(record, order, 1700))
    assert (await record.shown(order["id"]))["refunded"] == 1700
    assert (await agreed(record))["refunded"] == 1700


async def test_an_event_that_comes_before_our_cancellation_ends_books_nothing_twice(record):
    order = await record.bought()
    record.world.shop.keep_back = 300
    path = f"/api/orders/{order['id']}/cancellation"
    quote = (await record.ada.post(path)).json()
    confirm = record.world.shop.confirm_cancellation

    async def told_at_once(*args, **kwargs):
        done = await confirm(*args, **kwargs)
        back = told_back(record, order, order["total"] - 300, status="canceled")
        assert (await record.told(back)).is_success
        return done

    record.world.shop.confirm_cancellation = told_at_once
    key = {"Idempotency-Key": "c1"}
    done = (await record.ada.post(f"{path}/{quote['id']}/confirm", headers=key)).json()
    assert (done["state"], done["refunded"]) == ("canceled", order["total"] - 300)
    assert (await agreed(record))["refunded"] == order["total"] - 300
    assert await incidents(record.world) == []


async def test_a_merchant_that_takes_everything_back_while_our_refund_runs_ends_exact(record):
    order = await record.bought()
    async with record.world.database.transaction() as session:
        row = OrderRefund(
            order_id=order["id"], kind="merchant", state="refunding", amount=1000, currency="EUR"
        )
        session.add(row)
    await record.told(told_back(record, order, order["total"], status="canceled"))
    async with record.world.database.transaction() as session:
        await refunds.pay_back(session, await session.get_one(OrderRefund, row.id))
    assert (await refunds.settled(record.world.till, row.id)).state == "completed"
    shown = await record.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("canceled", order["total"])
    assert await owed(record) == 0


@pytest.mark.parametrize("settlement", ["merchant", "handoff", "platform"])
async def test_statements_agree_with_orders_and_ledger_after_any_refunds(place, settlement):
    """Also after one so small that no cent of the fee comes back with it."""
    shop = place.world.sellers["mer_shop"]
    place.world.sellers["mer_shop"] = replace(shop, settlement="merchant")
    if settlement == "platform":
        place.world.sellers["mer_shop"] = shop
    order = await place.bought()
    if settlement == "handoff":
        await sql(place, "UPDATE purchase_order SET settlement = 'handoff'")
    for amount in (1000, 1, 2, 333):
        await given(place, order, amount)
        await agreed(place)
    assert (await agreed(place))["refunded"] == 1336
    await given(place, order, order["total"] - 1336)
    assert (await agreed(place))["refunded"] == order["total"]


async def test_a_refund_that_a_platform_merchant_made_without_us_is_a_persons_matter(place):
    order = await place.bought()
    before = await books(place.world)
    await place.told(told_back(place, order, 1000))
    shown = await place.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("placed", 0)
    assert await books(place.world) == before
    assert place.world.payments.refunds == []
    async with place.world.database.transaction() as session:
        (found,) = (await session.execute(select(Incident))).scalars().all()
    assert (found.kind, found.subject, found.merchant_id) == (
        "merchant_refunded",
        order["id"],
        "mer_shop",
    )
    assert "1000" in found.detail


async def test_a_refund_that_went_through_us_is_no_news(place):
    order = await place.bought()
    await given(place, order, 1000)
    await place.told(told_back(place, order, 1000))
    assert await incidents(place.world) == []
    async with place.world.database.transaction() as session:
        told = text("SELECT count(*) FROM order_event WHERE type = 'merchant_update'")
        assert (await session.execute(told)).scalar_one() == 1
