"""Nothing is paid without consent to exactly what was shown, and then once."""

import asyncio

import pytest

from backend import consent, jobs, orders, revising
from backend.confirmation import digest
from backend.consent import Consent, confirm
from backend.errors import (
    AlreadyCanceled,
    ConfirmationMismatch,
    Conflict,
    MerchantFailed,
    NotFound,
    OfferChanged,
    OfferExpired,
)
from tests.backend.buying import (
    VISA,
    again,
    agreed,
    books,
    confirmed,
    dinner,
    driven,
    nothing_moved,
    outcome,
    quoted,
    sql,
)
from tests.backend.fakes_checkout import World


async def test_a_purchase_is_authorised_placed_captured_and_booked(world):
    row = await driven(world, await quoted(world))
    status, shown = await outcome(world, row)
    assert (status, shown["state"]) == (200, "completed")
    assert world.payments.captured_for(row.id) == row.total
    [order] = world.shop.live_orders(row.reference)
    assert order.total.amount == row.total
    cost = row.total * 29 // 1000
    assert await books(world) == {
        "cash:stripe_pending": row.total - cost,
        "processor_fee:merchant:mer_shop": cost,
        "payable:merchant:mer_shop": -(row.total - row.fee),
        "fee_accrued:merchant:mer_shop": -row.fee,
    }


async def test_the_order_tells_what_its_checkout_agreed(world):
    row = await driven(world, await quoted(world))
    async with world.database.transaction() as session:
        order = await orders.fetch(session, row.order_id, user_id="usr_ada")
        history = await orders.events(session, order.id)
    shown = orders.document(order, history)
    assert (shown["state"], shown["total"], shown["refunded"]) == ("placed", row.total, 0)
    assert shown["merchant_order_id"] == row.merchant_order_id
    assert shown["lines"] == row.confirmation["lines"]
    assert [event["type"] for event in history] == ["placed", "captured"]


async def test_a_booking_runs_the_same_road(world):
    row = await driven(world, await dinner(world))
    assert row.state == "completed"
    assert [o.total.amount for o in world.restaurant.orders.values()] == [row.total]
    assert world.payments.captured_for(row.id) == row.total


async def test_the_evidence_of_consent_is_kept(world):
    row = await driven(world, await quoted(world))
    assert row.confirmed == {
        "hash": row.confirmation_hash,
        "revision": 1,
        "address": "198.51.100.7",
        "user_agent": "pytest",
    }
    assert row.confirmed_at is not None


async def test_our_fee_and_the_merchants_account_travel_with_the_charge(world):
    row = await driven(world, await quoted(world))
    [charge] = world.payments.charges.values()
    assert (charge.destination, charge.fee.amount) == ("acct_kiln", row.fee)


async def test_fifty_confirms_at_once_make_one_charge_and_one_order(database):
    world = World.on(database, wait_s=20)
    row = await quoted(world)
    app = jobs.build(world.till)
    worker = asyncio.create_task(jobs.worker(app))
    answers = await asyncio.gather(*(confirmed(world, row) for _ in range(50)))
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert {status for status, _ in answers} == {200}
    assert len({shown["order_id"] for _, shown in answers}) == 1
    assert len(world.payments.charges) == 1
    assert len(world.shop.orders) == 1
    assert world.payments.captured_for(row.id) == row.total
    await world.database.dispose()


async def test_a_second_confirm_answers_with_the_same_result(world):
    row = await driven(world, await quoted(world))
    status, shown = await confirmed(world, row)
    assert (status, shown["order_id"]) == (200, row.order_id)
    assert len(world.payments.charges) == 1


async def test_a_wrong_hash_pays_nothing_even_after_it_was_paid(world):
    row = await quoted(world)
    wrong = Consent("0" * 64, VISA)
    with pytest.raises(ConfirmationMismatch):
        await confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=wrong)
    nothing_moved(world, row)
    await driven(world, row)
    with pytest.raises(ConfirmationMismatch):
        await confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=wrong)


@pytest.mark.parametrize(
    "field",
    [
        "lines",
        "totals",
        "total",
        "currency",
        "merchant",
        "merchant_of_record",
        "delivery",
        "deliver_to",
        "buyer",
        "booking",
        "cancellation_policy",
        "disclosure",
        "expires_at",
        "revision",
        "settlement",
        "kind",
        "checkout_id",
        "nonce",
        "version",
    ],
)
async def test_a_hash_over_any_other_field_is_refused(world, field):
    row = await quoted(world)
    assert field in row.confirmation
    forged = digest({**row.confirmation, field: "something else"})
    with pytest.raises(ConfirmationMismatch):
        await confirm(
            world.till, user_id="usr_ada", checkout_id=row.id, consent=Consent(forged, VISA)
        )
    nothing_moved(world, row)


async def test_every_field_of_the_confirmation_is_covered_by_that_test(world):
    row = await quoted(world)
    marks = test_a_hash_over_any_other_field_is_refused.pytestmark
    assert set(row.confirmation) == set(marks[0].args[1])


def _price(shop):
    shop.prices["mug"] += 1


def _cheaper(shop):
    shop.prices["mug"] -= 1


def _tax(shop):
    shop.tax_bps += 100


def _currency(shop):
    shop.currency = "USD"


def _stock(shop):
    shop.stock["mug"] = 0


def _terms(shop):
    shop.policy = "No refunds"


def _delivery(shop):
    shop.delivery += 100


def _title(shop):
    shop.titles["mug"] = "Plastic mug"


@pytest.mark.parametrize(
    "drift", [_price, _cheaper, _tax, _currency, _stock, _terms, _delivery, _title]
)
async def test_any_drift_at_the_merchant_charges_nothing_and_shows_the_new_offer(world, drift):
    row = await quoted(world)
    drift(world.shop)
    with pytest.raises(OfferChanged) as raised:
        await confirmed(world, row)
    shown = raised.value.extra["checkout"]
    assert shown["revision"] == 2
    assert shown["confirmation_hash"] != row.confirmation_hash
    assert shown["messages"]
    nothing_moved(world, row)


async def test_the_new_offer_can_be_confirmed_after_a_drift(world):
    row = await quoted(world)
    world.shop.prices["mug"] += 100
    with pytest.raises(OfferChanged):
        await confirmed(world, row)
    row = await driven(world, await again(world, row))
    assert row.state == "completed"
    assert world.payments.captured_for(row.id) == row.total


async def test_an_expired_offer_cannot_be_confirmed(world):
    row = await quoted(world)
    await sql(world, "UPDATE checkout SET expires_at = now() - interval '1 second'")
    with pytest.raises(OfferExpired):
        await confirmed(world, row)
    assert (await again(world, row)).state == "expired"
    nothing_moved(world, row)


async def test_an_offer_that_the_merchant_ended_is_expired(world):
    row = await quoted(world)
    world.shop.sessions[row.reference].status = "expired"
    with pytest.raises(OfferExpired):
        await confirmed(world, row)
    nothing_moved(world, row)


async def test_a_canceled_checkout_cannot_be_confirmed(world):
    row = await quoted(world)
    await consent.cancel(world.till, user_id="usr_ada", checkout_id=row.id)
    with pytest.raises(AlreadyCanceled):
        await confirmed(world, row)
    await jobs.sweep(world.till)
    assert world.shop.sessions[row.reference].status == "canceled"


async def test_a_completed_checkout_is_not_canceled_but_its_order_is(world):
    row = await driven(world, await quoted(world))
    with pytest.raises(Conflict, match="order"):
        await consent.cancel(world.till, user_id="usr_ada", checkout_id=row.id)


async def test_a_foreign_checkout_is_not_found(world):
    row = await quoted(world)
    for attempt in (
        confirm(world.till, user_id="usr_eve", checkout_id=row.id, consent=agreed(row)),
        consent.cancel(world.till, user_id="usr_eve", checkout_id=row.id),
        revising.revise(
            world.till, user_id="usr_eve", checkout_id=row.id, changes=revising.Changes()
        ),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_merchant_that_cannot_be_asked_charges_nothing_and_may_be_tried_again(world):
    row = await quoted(world)
    world.shop.unreachable = {"read"}
    with pytest.raises(MerchantFailed):
        await confirmed(world, row)
    world.shop.unreachable = set()
    assert (await driven(world, row)).state == "completed"


async def test_a_charge_needs_a_payment_method(world):
    with pytest.raises(Conflict, match="payment_method"):
        await confirmed(world, await quoted(world), None)
