"""A dispute ends as the bank decides: the order, the books and the people are told, once."""

import json
import secrets
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlmodel import select

from backend import ledger, reconciling, refunds
from backend.errors import OrderDisputed
from backend.incidents import Incident
from backend.orders import PurchaseOrder
from integrations.money import Money
from integrations.payments import Dispute
from tests.backend.place import Place

CASH = "cash:stripe_pending"
HOLD = "dispute_hold:merchant:mer_shop"
OWES = "receivable:merchant:mer_shop"
BACK = "fee_refunded:merchant:mer_shop"
COST = "dispute_fee:merchant:mer_shop"


async def told(
    place: Place, state: str, *, id_: str = "dp_1", amount: int = 3240, kind: str = ""
) -> None:
    """The processor's event, with the dispute as it stands there."""
    names = {"inquiry": "created", "open": "created"}
    bank = Dispute(id_, state, Money(amount, "EUR"), None if state == "inquiry" else eur(2000))
    place.world.payments.banks[id_] = bank
    place.world.payments.disputed[id_] = "pi_1"
    event = {
        "id": f"evt_{secrets.token_hex(4)}",
        "type": f"charge.dispute.{kind or names.get(state, 'closed')}",
        "payment": "pi_1",
        "dispute": id_,
    }
    answer = await place.ada.post(
        "/webhooks/stripe", content=json.dumps(event), headers={"Stripe-Signature": "good"}
    )
    assert answer.is_success, answer.text


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


async def open_incidents(place: Place) -> list[str]:
    query = select(Incident.kind).where(Incident.resolved_at == None).order_by(Incident.kind)  # noqa: E711
    async with place.world.database.transaction() as session:
        return list((await session.execute(query)).scalars())


async def balances(place: Place) -> dict[str, int]:
    """All that is not zero; the books add up and fit the orders and the processor."""
    async with place.world.database.transaction() as session:
        assert (await ledger.verify(session)).ok
        found = {a.account: a.balance for a in await ledger.accounts(session)}
    assert sum(found.values()) == 0
    checked = await reconciling.reconcile(place.world.database, place.world.payments)
    assert checked.ok, checked.differences
    return {account: balance for account, balance in found.items() if balance}


async def row(place: Place, order: dict) -> PurchaseOrder:
    async with place.world.database.transaction() as session:
        return await session.get_one(PurchaseOrder, order["id"])


async def given(place: Place, order: dict, amount: int) -> None:
    await refunds.refund(
        place.world.till,
        merchant_id="mer_shop",
        order_id=order["id"],
        amount=amount,
        reason="",
        request_key=secrets.token_hex(4),
    )


async def test_a_won_dispute_leaves_all_as_it_was_but_for_the_processors_fee(place):
    order = await place.bought()
    before = await balances(place)
    await told(place, "open")
    assert (await place.shown(order["id"]))["state"] == "disputed"
    held = await balances(place)
    assert (held[HOLD], held[CASH] - before[CASH]) == (3240, -3240 - 2000)
    assert await open_incidents(place) == ["payment_disputed"]
    await told(place, "won")
    shown = await place.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("placed", 0)
    assert shown["events"][-1]["type"] == "dispute.won"
    assert await open_incidents(place) == []
    after = await balances(place)
    assert after.pop(COST) == 2000
    assert after == before | {CASH: before[CASH] - 2000}


async def test_an_inquiry_takes_nothing_and_closes_to_what_was_before(place):
    order = await place.bought()
    await given(place, order, 1000)
    before = await balances(place)
    await told(place, "inquiry")
    assert (await place.shown(order["id"]))["state"] == "disputed"
    assert await balances(place) == before
    place.world.payments.banks["dp_1"] = Dispute("dp_1", "won", eur(3240))
    await told(place, "won")
    assert (await place.shown(order["id"]))["state"] == "partially_refunded"
    assert await open_incidents(place) == []


async def test_a_lost_dispute_is_the_merchants_like_a_refund_and_the_order_says_so(place):
    order = await place.bought()
    before = await balances(place)
    await told(place, "open")
    for _ in range(2):
        await told(place, "lost")
    shown = await place.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("disputed", 0)
    assert [(e["type"], e["detail"].get("amount")) for e in shown["events"]][-1] == (
        "dispute.lost",
        3240,
    )
    fee = (await row(place, order)).fee
    assert await balances(place) == before | {
        CASH: before[CASH] - 3240 - 2000,
        OWES: 3240 - fee,
        BACK: fee,
        COST: 2000,
    }
    assert (await row(place, order)).fee_refunded == fee
    assert await open_incidents(place) == ["dispute_lost"]


async def test_without_a_destination_what_is_lost_comes_off_what_we_owe(place):
    shop = place.world.sellers["mer_shop"]
    place.world.sellers["mer_shop"] = replace(shop, destination=None)
    order = await place.bought()
    await told(place, "open")
    await told(place, "lost")
    found = await balances(place)
    assert "payable:merchant:mer_shop" not in found
    assert OWES not in found
    assert found[BACK] == (await row(place, order)).fee


async def test_a_part_that_is_lost_takes_its_part_of_the_fee(place):
    order = await place.bought()
    await given(place, order, 1000)
    await told(place, "open", amount=1240)
    await told(place, "lost", amount=1240)
    found, seen = await balances(place), await row(place, order)
    assert seen.fee_refunded == found[BACK] == round(seen.fee * 2240 / 3240)
    assert seen.refunded == 1000


@pytest.mark.parametrize("end", ["won", "lost"])
async def test_events_that_come_late_or_first_end_the_same(place, end):
    order = await place.bought()
    await told(place, end)
    once = await balances(place)
    for late in ("open", "inquiry", end):
        await told(place, late)
    assert await balances(place) == once
    state = (await place.shown(order["id"]))["state"]
    assert state == {"won": "placed", "lost": "disputed"}[end]


async def test_one_of_two_disputes_that_is_won_leaves_the_other(place):
    order = await place.bought()
    await told(place, "open", id_="dp_1", amount=1000)
    await told(place, "open", id_="dp_2", amount=500)
    await told(place, "won", id_="dp_1", amount=1000)
    assert (await place.shown(order["id"]))["state"] == "disputed"
    assert await open_incidents(place) == ["payment_disputed"]
    await told(place, "won", id_="dp_2", amount=500)
    assert (await place.shown(order["id"]))["state"] == "placed"
    await told(place, "open", id_="dp_3", amount=100)
    assert await open_incidents(place) == ["payment_disputed"]  # it is open again


@pytest.mark.parametrize("state", ["inquiry", "open", "lost"])
async def test_nothing_of_a_disputed_charge_is_refunded(place, state):
    order = await place.bought()
    path = f"/api/orders/{order['id']}/cancellation"
    quote = (await place.ada.post(path)).json()
    await told(place, state)
    asked = await place.ada.post(path)
    key = {"Idempotency-Key": "c1"}
    confirmed = await place.ada.post(f"{path}/{quote['id']}/confirm", headers=key)
    for answer in (asked, confirmed):
        assert (answer.status_code, answer.json()["code"]) == (409, "order_disputed")
    with pytest.raises(OrderDisputed):
        await given(place, order, order["total"])
    assert place.world.payments.refunds == []


async def test_what_was_delivered_meanwhile_is_fulfilled_when_the_dispute_is_won(place):
    order = await place.bought()
    await told(place, "open")
    (reference,) = place.world.shop.sessions
    await place.told({"checkout_session_id": reference, "status": "delivered"})
    assert (await place.shown(order["id"]))["state"] == "disputed"
    await told(place, "won")
    assert (await place.shown(order["id"]))["state"] == "fulfilled"
    found = await balances(place)
    assert found["fee_recognised:merchant:mer_shop"] == -(await row(place, order)).fee


async def test_a_refund_that_was_on_its_way_ends_and_the_order_stays_disputed(place):
    order = await place.bought()
    refund = place.world.payments.refund

    async def disputed_meanwhile(*args, **kwargs):
        done = await refund(*args, **kwargs)
        await told(place, "open", amount=2240)
        await told(place, "lost", amount=2240)
        return done

    place.world.payments.refund = disputed_meanwhile
    await given(place, order, 1000)
    seen = await row(place, order)
    assert (seen.state, seen.refunded, seen.fee_refunded) == ("disputed", 1000, seen.fee)
    assert (await balances(place))[BACK] == seen.fee


async def test_a_dispute_that_we_were_never_told_of_is_noticed_at_night(place):
    order = await place.bought()
    place.world.payments.banks["dp_1"] = Dispute("dp_1", "lost", eur(3240))
    place.world.payments.disputed["dp_1"] = "pi_1"
    made = await reconciling.nightly(place.world.database, place.world.payments)
    assert [(d.kind, d.subject, d.expected, d.found) for d in made.differences] == [
        ("charge_loss_differs", order["id"], 0, 3240)
    ]
    assert await open_incidents(place) == ["books_differ"]


async def two_months_pass(place: Place) -> None:
    passed = "UPDATE purchase_order SET placed_at = now() - interval '60 days'"
    async with place.world.database.transaction() as session:
        await session.execute(text(passed))


@pytest.mark.parametrize("returned", [True, False])
async def test_what_happened_at_the_processor_to_an_old_order_is_noticed_at_night(place, returned):
    order = await place.bought()
    await two_months_pass(place)
    nightly = (place.world.database, place.world.payments)
    quiet = await reconciling.nightly(*nightly)
    assert (quiet.ok, quiet.charges) == (True, 0)
    if returned:  # by hand, on the processor's own page
        await place.world.payments.refund("pi_1", eur(500), with_fee=False, key="by hand")
    else:
        place.world.payments.banks["dp_1"] = Dispute("dp_1", "lost", eur(3240))
        place.world.payments.disputed["dp_1"] = "pi_1"
    found = await reconciling.nightly(*nightly)
    kind = "charge_refund_differs" if returned else "charge_loss_differs"
    assert [(one.kind, one.subject) for one in found.differences] == [(kind, order["id"])]


async def test_an_order_disputed_long_ago_is_asked_about_until_the_bank_decides(place):
    await place.bought()
    await told(place, "open")
    async with place.world.database.transaction() as session:
        await session.execute(
            text("UPDATE purchase_order SET placed_at = now() - interval '60 days'")
        )
    place.world.payments.banks["dp_1"] = Dispute("dp_1", "lost", eur(3240), eur(2000))

    async def nothing_new(_since: object) -> frozenset[str]:
        return frozenset()

    place.world.payments.touched = nothing_new
    found = await reconciling.nightly(place.world.database, place.world.payments)
    assert "charge_loss_differs" in {one.kind for one in found.differences}


async def test_many_sales_of_today_leave_room_for_what_happened_to_an_old_order(place, monkeypatch):
    monkeypatch.setattr(reconciling, "CHARGES_MAX", 1)
    old = await place.bought()
    await two_months_pass(place)
    await place.bought()
    await place.world.payments.refund("pi_1", eur(500), with_fee=False, key="by hand")
    found = await reconciling.nightly(place.world.database, place.world.payments)
    assert [one.subject for one in found.differences] == [old["id"]]
