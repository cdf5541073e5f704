"""Every way in which a confirmed purchase may end."""

import asyncio
from dataclasses import replace

import pytest
from sqlmodel import select

from backend import consent, jobs, ledger, orders, refunds
from backend.errors import (
    AuthenticationRequired,
    OfferChanged,
    PaymentDeclined,
)
from backend.incidents import Incident
from backend.purchase import drive
from backend.refunding import drive_refund
from integrations.money import Money
from integrations.partner import PartnerRefused, PartnerUnreachable
from integrations.payments import Method
from tests.backend.buying import (
    again,
    books,
    confirmed,
    dinner,
    driven,
    finished,
    incidents,
    nothing_moved,
    outcome,
    quoted,
    sql,
)


async def test_a_declined_card_orders_nothing(world):
    row = await driven(world, await quoted(world), Method("pm_card_chargeDeclined"))
    assert (row.state, row.failure_code) == ("failed", "payment_declined")
    with pytest.raises(PaymentDeclined):
        await outcome(world, row)
    assert world.shop.calls.count("place") == 0
    nothing_moved(world, row)
    assert await books(world) == {}


async def test_an_unknown_payment_method_is_refused(world):
    row = await driven(world, await quoted(world), Method("pm_unknown"))
    with pytest.raises(PaymentDeclined):
        await outcome(world, row)
    nothing_moved(world, row)


async def test_the_banks_question_parks_the_purchase_and_its_answer_resumes_it(world):
    row = await driven(world, await quoted(world), Method("pm_card_authenticationRequired"))
    with pytest.raises(AuthenticationRequired) as raised:
        await outcome(world, row)
    assert raised.value.extra["next_action"]["url"] == "https://bank.example/3ds"
    assert world.shop.calls.count("place") == 0
    world.payments.authenticate(row.payment_id)
    row = await finished(world, row)
    assert row.state == "completed"
    assert world.payments.captured_for(row.id) == row.total


async def test_a_failed_answer_to_the_bank_is_a_decline(world):
    row = await driven(world, await quoted(world), Method("pm_card_authenticationRequired"))
    world.payments.authenticate(row.payment_id, succeeds=False)
    row = await finished(world, row)
    assert (row.state, row.failure_code) == ("failed", "authentication_failed")
    with pytest.raises(PaymentDeclined):
        await outcome(world, row)
    nothing_moved(world, row)


async def test_a_purchase_that_waits_for_the_bank_can_be_canceled(world):
    row = await driven(world, await quoted(world), Method("pm_card_authenticationRequired"))
    await consent.cancel(world.till, user_id="usr_ada", checkout_id=row.id)
    assert (await finished(world, row)).state == "canceled"
    nothing_moved(world, row)


async def test_a_merchants_refusal_lets_the_money_go(world):
    world.shop.place_refused = PartnerRefused("sold out a second ago", code="out_of_stock")
    row = await driven(world, await quoted(world))
    assert (row.state, row.failure_code) == ("failed", "merchant_refused")
    with pytest.raises(OfferChanged, match="sold out"):
        await outcome(world, row)
    nothing_moved(world, row)
    assert [c.status for c in world.payments.charges.values()] == ["voided"]


async def test_an_unreachable_merchant_is_tried_a_few_times_and_lets_the_money_go(world):
    world.shop.unreachable = {"place"}
    row = await driven(world, await quoted(world))
    assert (row.state, row.failure_code) == ("failed", "merchant_unreachable")
    assert world.shop.calls.count("place") == 4
    nothing_moved(world, row)


async def test_a_slow_merchant_is_waited_for(world):
    world.shop.place_slowly = 1
    row = await quoted(world)
    await confirmed(world, row)
    await drive(world.till, row.id)
    assert (await again(world, row)).state == "placing"
    world.shop.finish_slow("pi_1")
    row = await finished(world, row)
    assert row.state == "completed"
    assert world.shop.calls.count("place") == 1


async def test_an_order_at_another_total_is_undone_and_never_charged(world):
    world.shop.order_at = 99_999
    row = await driven(world, await quoted(world))
    assert (row.state, row.failure_code) == ("failed", "offer_changed")
    assert [o.status for o in world.shop.orders.values()] == ["canceled"]
    nothing_moved(world, row)
    assert await incidents(world) == ["total_mismatch"]


async def test_a_capture_that_fails_undoes_the_order_and_calls_for_a_person(world):
    world.payments.capture_refused = True
    row = await driven(world, await quoted(world))
    assert row.state == "failed"
    assert [o.status for o in world.shop.orders.values()] == ["canceled"]
    nothing_moved(world, row)
    assert await incidents(world) == ["capture_failed"]
    assert await books(world) == {}


async def test_an_unpaid_order_that_cannot_be_undone_is_an_incident(world):
    world.payments.capture_refused = True
    world.shop.cancel_refused = True
    row = await driven(world, await quoted(world))
    assert row.state == "failed"
    assert set(await incidents(world)) == {"capture_failed", "merchant_order_orphaned"}
    assert world.payments.held_for(row.id) == 0


async def test_a_free_booking_is_placed_without_any_charge(world):
    world.restaurant.prices["table-2"] = 0
    row = await dinner(world)
    assert row.total == 0
    row = await driven(world, row, None)
    assert row.state == "completed"
    assert world.payments.charges == {}
    assert await books(world) == {}


async def test_where_the_merchant_charges_only_the_commission_is_booked(world):
    world.sellers["mer_shop"] = replace(
        world.sellers["mer_shop"], settlement="merchant", destination=None
    )
    row = await driven(world, await quoted(world), Method("spt_1"))
    assert row.state == "completed"
    assert world.payments.charges == {}
    assert [o.token for o in world.shop.orders.values()] == ["spt_1"]
    assert await books(world) == {
        "receivable:merchant:mer_shop": row.fee,
        "fee_accrued:merchant:mer_shop": -row.fee,
    }


async def test_two_drivers_at_once_do_the_work_once(world):
    row = await quoted(world)
    await confirmed(world, row)
    await asyncio.gather(*(drive(world.till, row.id) for _ in range(8)))
    assert (await again(world, row)).state == "completed"
    assert world.payments.calls.count("authorise") == 1
    assert world.shop.calls.count("place") == 1


async def test_a_driver_that_lost_its_lease_decides_nothing(world):
    """It hangs in the merchant's answer so long that another driver has finished the purchase."""
    row = await quoted(world)
    await confirmed(world, row)
    hanging, answered = asyncio.Event(), asyncio.Event()
    place = world.shop.place

    async def slow_place(*args, **kwargs):
        if hanging.is_set():
            return await place(*args, **kwargs)
        hanging.set()
        await answered.wait()
        raise PartnerRefused("too late", code="conflict")

    world.shop.place = slow_place
    late = asyncio.create_task(drive(world.till, row.id))
    await hanging.wait()
    await world.pass_time()
    assert (await finished(world, row)).state == "completed"
    answered.set()
    await late
    assert (await again(world, row)).state == "completed"
    assert world.payments.captured_for(row.id) == row.total
    assert len(world.shop.live_orders(row.reference)) == 1


async def test_a_stuck_purchase_is_shown_to_a_person_until_it_moves_again(world):
    row = await quoted(world)
    await confirmed(world, row)
    calls = world.shop.calls
    lost = world.shop.read

    async def silent(_reference):
        calls.append("read")
        raise PartnerUnreachable("nobody there")

    world.gate.arm_on("partner.place", "lost_after")
    world.shop.read = silent
    for _ in range(12):
        await drive(world.till, row.id)
        await world.pass_time()
    assert (await again(world, row)).state == "outcome_unknown"
    assert await incidents(world) == ["purchase_stuck"]
    world.shop.read = lost
    assert (await finished(world, row)).state == "completed"
    async with world.database.transaction() as session:
        [incident] = (await session.execute(select(Incident))).scalars().all()
    assert incident.resolved_at is not None
    assert len(world.shop.orders) == 1


async def test_offers_whose_time_is_up_are_swept_and_freed_at_the_merchant(world):
    row = await dinner(world)
    await sql(world, "UPDATE checkout SET expires_at = now() - interval '1 second'")
    await jobs.sweep(world.till)
    assert (await again(world, row)).state == "expired"
    assert world.restaurant.sessions[row.reference].status == "canceled"


async def test_an_erased_person_leaves_amounts_and_no_name(world):
    row = await driven(world, await quoted(world))
    async with world.database.transaction() as session:
        from backend.checkout import forget

        await forget(session, "usr_ada")
    left = str((await again(world, row)).model_dump())
    assert "Lovelace" not in left
    assert "198.51.100.7" not in left
    assert "pm_card" not in left


async def test_a_fee_that_the_processor_takes_in_its_own_currency_is_booked_in_that(world):
    view = world.payments._view
    cost = Money(120, "USD")
    world.payments._view = lambda c: replace(view(c), processor_fee=cost if c.captured else None)
    await driven(world, await quoted(world))
    async with world.database.transaction() as session:
        dollars = {
            a.account: a.balance for a in await ledger.accounts(session) if a.currency == "USD"
        }
    assert dollars == {"processor_fee:merchant:mer_shop": 120, "cash:stripe_pending": -120}


async def test_an_order_of_which_a_part_came_back_is_handed_over_once_and_its_fee_is_earned(world):
    row = await driven(world, await quoted(world))
    async with world.database.transaction() as session:
        order = await orders.fetch(session, row.order_id, user_id="usr_ada")
    back = await refunds.refund(
        world.till,
        merchant_id="mer_shop",
        order_id=order.id,
        amount=100,
        reason="",
        request_key="k",
    )
    await drive_refund(world.till, back.id)
    for ref in ("first", "again"):
        async with world.database.transaction() as session:
            await orders.fulfil(session, order.id, ref=ref)
    async with world.database.transaction() as session:
        order = await orders.fetch(session, order.id, user_id="usr_ada")
    found = await books(world)
    assert order.state == "partially_refunded"
    assert found["fee_recognised:merchant:mer_shop"] == -(order.fee - order.fee_refunded) < 0
    assert sum(found.values()) == 0
