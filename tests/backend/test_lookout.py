"""Money is found without an event: who is looked at again, and when."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from backend import lookout, reconciling, subscribers, subscriptions
from backend.subscribers import BillingOrder
from backend.subscriptions import Counter
from integrations.billing import Account
from tests.backend.fakes_billing import payment, plan, subscription

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def after(**given: object) -> timedelta | None:
    none = {"page": None, "period_end": None, "past_due": None, "disputed": False, "soon": False}
    found = lookout.after(NOW, **(none | given))  # type: ignore[arg-type]
    return found - NOW if found else None


def test_an_open_page_is_looked_at_soon_and_then_ever_more_rarely():
    waits = [after(page=NOW - timedelta(seconds=s)) for s in (0, 20, 60, 3600, 36000)]
    assert waits == [timedelta(seconds=s) for s in (20, 20, 30, 1800, 18000)]


def test_a_subscriber_is_looked_at_daily_and_when_the_month_is_over():
    assert after(period_end=NOW + 20 * DAY) == DAY
    assert after(period_end=NOW + timedelta(hours=3)) == timedelta(hours=5)
    assert after(period_end=NOW - timedelta(hours=3)) == DAY
    assert after(period_end=NOW + 20 * DAY, past_due=NOW - 6.5 * DAY) == timedelta(hours=12)


def test_who_has_nothing_and_waits_for_nothing_is_left_alone():
    assert after() is None


async def opened(counter: Counter, kind: str, item: str) -> str:
    async with counter.database.transaction() as session:
        order = BillingOrder(user_id="usr_1", kind=kind, item=item)
        session.add(order)
        await session.flush()
        await lookout.opened(session, "usr_1", order=order.id, page="cs_1")
        return order.id


async def later(counter: Counter, *, by: str = "1 minute") -> None:
    """Time passes for what is waited for."""
    pages = "UPDATE billing_order SET created_at = created_at - CAST(:by AS interval)"
    looks = "UPDATE subscriber SET next_sync_at = next_sync_at - CAST(:by AS interval)"
    async with counter.database.transaction() as session:
        for move in (pages, looks):
            await session.execute(text(move), {"by": by})


async def next_look(counter: Counter) -> timedelta | None:
    async with counter.database.transaction() as session:
        row = await subscribers.of(session, "usr_1")
        assert row is not None
        return row.next_sync_at - datetime.now(UTC) if row.next_sync_at else None


async def test_a_plan_whose_events_are_all_lost_begins_with_a_look_at_the_page(counter: Counter):
    counter.billing.account = Account((), ())
    await opened(counter, "plan", "plus")
    await subscriptions.sweep(counter)
    assert await plan(counter) == "free"
    counter.billing.account = Account((subscription(),), (payment(),))
    await later(counter)
    await subscriptions.sweep(counter)
    assert await plan(counter) == "plus"
    wait = await next_look(counter)
    assert wait is not None
    assert timedelta(hours=1) < wait <= DAY


async def test_a_page_is_watched_until_it_is_paid_or_the_processor_has_closed_it(counter: Counter):
    counter.billing.account = Account((), ())
    order = await opened(counter, "credits", "light_200")
    await later(counter)
    await subscriptions.sweep(counter)
    assert await next_look(counter) is not None
    async with counter.database.transaction() as session:
        assert await lookout.waiting(session, "usr_1", granted="", paid=[order]) is None
    await later(counter, by="26 hours")
    await subscriptions.sweep(counter)
    assert await next_look(counter) is None


async def test_a_page_opened_during_a_reading_is_looked_at_all_the_same(counter: Counter):
    counter.billing.account = Account((), ())
    async with counter.database.transaction() as session:
        before = await subscribers.of(session, "usr_1")
        session.expunge(before)
    await opened(counter, "plan", "plus")
    async with counter.database.transaction() as session:
        assert not await subscribers.write(session, before, {"next_sync_at": None})
    assert await next_look(counter) is not None


async def test_a_subscription_that_ended_unheard_ends_here_within_a_day(counter: Counter):
    await subscriptions.sync(counter, "usr_1")
    assert await plan(counter) == "plus"
    counter.billing.account = Account((subscription(standing="over"),), ())
    await later(counter, by="1 day")
    await subscriptions.sweep(counter)
    assert await plan(counter) == "free"


async def kinds(counter: Counter) -> list[str]:
    made = await reconciling.reconcile(counter.database, None, counter.billing, days=400)
    return [one.kind for one in made.differences]


async def open_incidents(counter: Counter) -> list[str]:
    query = "SELECT subject FROM incident WHERE resolved_at IS NULL ORDER BY 1"
    async with counter.database.transaction() as session:
        return list((await session.execute(text(query))).scalars())


async def test_reconciliation_finds_what_was_never_heard_and_a_look_mends_it(counter: Counter):
    await subscriptions.sync(counter, "usr_1")
    assert await kinds(counter) == []
    lately = datetime.now(UTC) - timedelta(hours=1)
    counter.billing.account = Account((), (payment(at=lately),))
    assert sorted(await kinds(counter)) == ["payment_not_booked", "subscription_differs"]
    await reconciling.nightly(counter.database, None, counter.billing)
    assert await open_incidents(counter) == ["pi_1", "usr_1"]
    await subscriptions.sweep(counter)
    assert (await plan(counter), await kinds(counter)) == ("free", [])
    assert await open_incidents(counter) == []
    counter.billing.account = Account((), (payment(refunds=(700,), at=lately),))
    async with counter.database.transaction() as session:
        session.add(BillingOrder(user_id="usr_1", kind="plan", item="plus"))
    assert await kinds(counter) == ["payment_refund_differs"]


async def test_who_is_about_to_be_read_differs_only_after_an_hour_of_waiting(counter: Counter):
    await subscriptions.sync(counter, "usr_1")
    counter.billing.account = Account((), ())
    async with counter.database.transaction() as session:
        await subscribers.soon(session, "usr_1")
    assert await kinds(counter) == []
    await later(counter, by="61 minutes")
    assert await kinds(counter) == ["subscription_differs"]


async def test_a_processor_that_says_nothing_is_no_agreement(counter: Counter):
    await subscriptions.sync(counter, "usr_1")
    counter.billing.down = True
    made = await reconciling.reconcile(counter.database, None, counter.billing)
    assert (made.ok, made.unanswered, made.customers) == (False, 1, 1)


async def test_an_event_is_acted_on_at_once_also_when_a_look_was_due_anyhow(counter: Counter):
    jobs = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'sync_subscriber'"
    await opened(counter, "plan", "plus")
    await later(counter)
    async with counter.database.transaction() as session:
        for _ in range(3):
            assert await subscribers.wake(session, "cus_1")
        assert (await session.execute(text(jobs))).scalar_one() == 1
    await subscriptions.sync(counter, "usr_1")
    async with counter.database.transaction() as session:
        assert await subscribers.wake(session, "cus_1")
        assert (await session.execute(text(jobs))).scalar_one() == 2
