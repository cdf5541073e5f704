"""Fail the n-th outside call or commit, for n = 1, 2, 3… until a run no longer reaches it.

After each fault the world goes on: leases run out, the periodic jobs run, the person tries again.
Then three independent logs must agree: the processor's charges, the merchant's orders, our books.
"""

import contextlib

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from backend import consent, jobs, ledger, quoting, refunds, revising
from backend.checkout import Checkout
from backend.consent import Consent
from backend.errors import AppError
from backend.orders import PurchaseOrder
from backend.purchase import drive
from backend.refunding import drive_refund
from backend.refunds import OrderRefund
from integrations.partner import PartnerRefused
from integrations.payments import Method
from tests.backend.fakes_checkout import World
from tests.backend.fakes_gate import Crash

CRASHES = ("crash_before", "crash_after")
LOSSES = ("lost_before", "lost_after", "unreachable")


class Story:
    """One person who wants one thing and tries until it is decided."""

    def __init__(self, world: World, n: int, *, offer: str = "off_mug", token: str) -> None:
        self.world, self.key, self.offer, self.token = world, f"turn_{n}_{id(self)}", offer, token
        self.checkout_id: str | None = None

    async def once(self) -> None:
        """Quote, confirm, drive: what a request and a worker do when nothing goes wrong."""
        world = self.world
        row = await quoting.quote(
            world.till, user_id="usr_ada", lines=[(self.offer, 1)], request_key=self.key
        )
        self.checkout_id = row.id
        if row.state != "awaiting_confirmation":
            row = await revising.revise(
                world.till, user_id="usr_ada", checkout_id=row.id, changes=revising.Changes()
            )
        given = Consent(row.confirmation_hash or "", Method(self.token))
        await consent.confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=given)
        await drive(world.till, row.id)

    async def to_the_end(self) -> Checkout:
        """The fault is over; jobs run and the person repeats the request, within reason."""
        for _ in range(30):
            await self.world.pass_time()
            await jobs.redrive(self.world.till)
            await jobs.sweep(self.world.till)
            row = await self.row()
            if row is not None and row.state in {"completed", "failed", "canceled", "expired"}:
                if row.release_at is None:
                    return row
                continue
            if row is None or row.confirmed_at is None:
                try:
                    await self.once()
                except AppError:
                    continue
        raise AssertionError(f"never decided: {await self.row()}")

    async def row(self) -> Checkout | None:
        async with self.world.database.transaction() as session:
            query = select(Checkout).where(col(Checkout.request_key) == self.key)
            return (await session.execute(query)).scalar_one_or_none()


async def agree(world: World, row: Checkout) -> None:
    """Charge ⇔ merchant order ⇔ ledger, and nothing left held."""
    partner = await world.partner_for(row.merchant_id)
    placed = partner.live_orders(row.reference)
    captured = world.payments.captured_for(row.id)
    async with world.database.transaction() as session:
        booked = (
            await session.execute(
                text("SELECT 1 FROM ledger_transaction WHERE kind = 'captured' AND ref = :ref"),
                {"ref": row.id},
            )
        ).all()
        ours = (
            (
                await session.execute(
                    select(PurchaseOrder).where(col(PurchaseOrder.checkout_id) == row.id)
                )
            )
            .scalars()
            .all()
        )
    done = row.state == "completed"
    assert captured == (row.total if done else 0)
    assert len(placed) == len(booked) == len(ours) == int(done)
    assert world.payments.held_for(row.id) == 0
    charged = [c for c in world.payments.charges.values() if c.purchase_id == row.id]
    assert len(charged) <= 1


async def every_point(world: World, mode: str, make) -> tuple[int, set[str]]:
    """Runs the story with the fault at each point in turn. Returns how many, and the ends."""
    ends: set[str] = set()
    for n in range(1, 200):
        story = make(n)
        world.gate.arm(n, mode)
        with contextlib.suppress(Crash, AppError):
            await story.once()
        reached = world.gate.reached
        world.gate.disarm()
        row = await story.to_the_end()
        await agree(world, row)
        ends.add(row.state)
        if not reached:
            return n - 1, ends
    raise AssertionError("the run never ends")


@pytest.mark.parametrize("mode", CRASHES + LOSSES)
async def test_a_purchase_survives_any_fault_at_any_point(world, mode):
    points, ends = await every_point(world, mode, lambda n: Story(world, n, token="pm_card_visa"))
    assert points >= 15
    assert ends == {"completed"}


@pytest.mark.parametrize("mode", ["crash_after", "lost_after"])
async def test_where_look_ups_lag_the_keys_keep_it_one_charge_and_one_order(world, mode):
    world.payments.blind = world.shop.stale = True
    _, ends = await every_point(world, mode, lambda n: Story(world, n, token="pm_card_visa"))
    assert ends == {"completed"}


@pytest.mark.parametrize("mode", ["crash_after", "lost_after"])
async def test_where_keys_are_forgotten_the_look_ups_keep_it_one_charge_and_one_order(world, mode):
    world.payments.forgetful = world.shop.forgetful = True
    _, ends = await every_point(world, mode, lambda n: Story(world, n, token="pm_card_visa"))
    assert ends == {"completed"}


async def test_a_void_whose_failure_is_stored_under_its_key_is_seen_to_be_done(world):
    world.payments.void_answers_500 = True
    world.shop.place_refused = PartnerRefused("sold out", code="out_of_stock")
    story = Story(world, 1, token="pm_card_visa")
    with contextlib.suppress(AppError):
        await story.once()
    row = await story.to_the_end()
    await agree(world, row)
    assert row.state == "failed"


@pytest.mark.parametrize("mode", CRASHES)
async def test_a_booking_survives_a_kill_at_any_point(world, mode):
    points, ends = await every_point(
        world, mode, lambda n: Story(world, n, offer="off_table", token="pm_card_visa")
    )
    assert points >= 16
    assert ends == {"completed"}


@pytest.mark.parametrize("mode", CRASHES + LOSSES)
async def test_a_refused_order_is_never_paid_whatever_fails_on_the_way(world, mode):
    world.shop.place_refused = PartnerRefused("sold out", code="out_of_stock")
    points, ends = await every_point(world, mode, lambda n: Story(world, n, token="pm_card_visa"))
    assert points >= 15
    assert ends == {"failed"}


@pytest.mark.parametrize("mode", CRASHES)
async def test_a_decline_is_never_an_order_whatever_dies_on_the_way(world, mode):
    points, ends = await every_point(
        world, mode, lambda n: Story(world, n, token="pm_card_chargeDeclined")
    )
    assert points >= 10
    assert ends == {"failed"}


@pytest.mark.parametrize("mode", CRASHES + LOSSES)
async def test_an_order_at_another_total_is_undone_whatever_fails_on_the_way(world, mode):
    world.shop.order_at = 99_999
    points, ends = await every_point(world, mode, lambda n: Story(world, n, token="pm_card_visa"))
    assert points >= 17
    assert ends == {"failed"}


@pytest.mark.parametrize("mode", CRASHES + LOSSES)
async def test_a_capture_that_fails_leaves_no_order_whatever_fails_on_the_way(world, mode):
    world.payments.capture_refused = True
    points, ends = await every_point(world, mode, lambda n: Story(world, n, token="pm_card_visa"))
    assert points >= 17
    assert ends == {"failed"}


# --- cancellations ------------------------------------------------------------------------------


async def bought(world: World, n: int) -> Checkout:
    story = Story(world, n, token="pm_card_visa")
    await story.once()
    return await story.to_the_end()


async def cancel_once(world: World, row: Checkout) -> None:
    quote = await refunds.quote_cancellation(
        world.till, user_id="usr_ada", order_id=row.order_id or ""
    )
    await refunds.confirm_cancellation(
        world.till, user_id="usr_ada", order_id=row.order_id or "", quote_id=quote.id
    )
    await drive_refund(world.till, quote.id)


async def until_canceled(world: World, row: Checkout) -> PurchaseOrder:
    for _ in range(30):
        await world.pass_time()
        await jobs.redrive(world.till)
        async with world.database.transaction() as session:
            order = (
                await session.execute(
                    select(PurchaseOrder).where(col(PurchaseOrder.id) == row.order_id)
                )
            ).scalar_one()
            query = select(OrderRefund).where(col(OrderRefund.order_id) == row.order_id)
            open_ones = [
                r for r in (await session.execute(query)).scalars() if r.state in refunds.MOVING
            ]
        if order.state == "canceled":
            return order
        if not open_ones:
            try:
                await cancel_once(world, row)
            except AppError:
                continue
    raise AssertionError("never canceled")


@pytest.mark.parametrize("mode", CRASHES + LOSSES)
async def test_a_cancellation_refunds_exactly_once_whatever_fails_on_the_way(world, mode):
    world.shop.keep_back = 400
    for n in range(1, 100):
        row = await bought(world, n)
        world.gate.arm(n, mode)
        with contextlib.suppress(Crash, AppError):
            await cancel_once(world, row)
        reached = world.gate.reached
        world.gate.disarm()
        order = await until_canceled(world, row)
        [charge] = [c for c in world.payments.charges.values() if c.purchase_id == row.id]
        assert charge.refunded == order.refunded == (row.total or 0) - 400
        assert world.shop.orders[row.merchant_order_id or ""].status == "canceled"
        async with world.database.transaction() as session:
            query = text(
                "SELECT 1 FROM ledger_transaction t JOIN order_refund r ON r.id = t.ref"
                " WHERE r.order_id = :order_id"
            )
            assert len((await session.execute(query, {"order_id": order.id})).all()) == 1
        if not reached:
            assert n >= 10
            async with world.database.transaction() as session:
                assert (await ledger.verify(session)).ok
            return
    raise AssertionError("the run never ends")
