"""As of a moment, a report says what was recorded by then, and says the same for ever."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from backend import disputes, erasure, fees, formats, ledger, orders, quoting, reports, revising
from backend import threads as conversations
from backend.auth import UserAccount
from backend.database import Database
from backend.errors import BadRequest
from backend.refunds import OrderRefund
from backend.revising import Changes
from backend.threads import Thread
from integrations.money import Money
from integrations.payments import Dispute
from quotas import usage
from tests.backend.fakes_checkout import World
from tests.backend.fakes_reports import fill, run, say, sell
from tests.quotas.fakes_plans import HOUR, light, plan

AGO = datetime.now(UTC) - timedelta(days=1)
SINCE = (AGO - timedelta(days=1)).date().isoformat()
UNTIL = (AGO + timedelta(days=3)).date().isoformat()
CARDS = [{"activity": "product-list", "items": [{"title": "a lamp"}]}]


async def told(database: Database, name: str, **asked: Any) -> reports.Report:
    return await run(database, name, from_=SINCE, to=UNTIL, **asked)


async def row(database: Database, name: str, **asked: Any) -> Mapping[str, Any]:
    (found,) = (await told(database, name, **asked)).rows
    return found


async def now(database: Database) -> str:
    async with database.transaction() as session:
        at = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return str(at.astimezone(UTC).isoformat())


async def everything(database: Database, **asked: Any) -> dict[tuple[str, str], str]:
    """Every report by every grouping; meters have a test of their own."""
    return {
        (name, group): formats.as_json(await told(database, name, group_by=group, **asked))
        for name, definition in reports.DEFINITIONS.items()
        for group in definition.groups
        if group != "bucket"
    }


async def hold(database: Database, turn: str, at: datetime = AGO) -> None:
    async with database.transaction() as session:
        await usage.reserve(
            session, turn_id=turn, subject="usr_1", plan=plan(light(3)), role="light", at=at
        )


async def give_back(database: Database, order: str, amount: int, fee: int) -> None:
    """As the refund writes it: the order, its event and the books."""
    async with database.transaction() as session:
        row = await session.get_one(orders.PurchaseOrder, order)
        row.refunded, row.fee_refunded, row.state = amount, fee, "partially_refunded"
        work = {"order_id": order, "kind": "refund", "state": "completed", "currency": "EUR"}
        session.add(OrderRefund(id=f"ref_{order}", amount=amount, request_key="k", **work))
        await session.flush()
        detail = {"refund": amount, "fee": 0}
        await orders.record(session, order, row.state, ref=f"ref_{order}", detail=detail)
        entries = fees.refunded(
            merchant_id="m1",
            refund=Money(amount, "EUR"),
            fee_part=Money(fee, "EUR"),
            tax_part=Money.zero("EUR"),
        )
        await ledger.post(session, kind="refunded", ref=f"ref_{order}", entries=entries)


async def before(database: Database) -> None:
    """What is there when the period is read for the first time."""
    for ref in ("a", "b"):
        await sell(database, ref, Money(1_000, "EUR"), fee=40, at=AGO)
    closed = {"created_at": AGO, "closed_at": AGO, "cards": CARDS, "kind": "commercial"}
    await say(database, "t1", **closed)
    await say(database, "t2", **closed, thread_id="thr_1")
    await say(database, "t3", **closed | {"state": "open", "closed_at": None})
    await hold(database, "t1")
    await hold(database, "t2")


async def after(database: Database) -> None:
    """All that can happen later to what was there, and more of everything."""
    await give_back(database, "ord_a", 250, 10)
    async with database.transaction() as session:
        await orders.fulfil(session, "ord_b", ref="merchant")
        await usage.release(session, "t1")
        await usage.start(session, "t2", at=AGO)
        await usage.settle(session, "t2")
        await session.execute(
            text("UPDATE turn SET state = 'failed', closed_at = now() WHERE id = 't3'")
        )
        await conversations.flag(session, "t1", wrong=True)
        await conversations.forget(session, "thr_1")
    late = datetime.now(UTC)
    await sell(database, "c", Money(500, "EUR"), fee=20, at=late)
    await say(database, "t4", created_at=late, closed_at=late, kind="commercial", cards=CARDS)
    await hold(database, "t4", at=late)


async def test_a_period_prints_the_same_for_ever_whatever_happens_later(database: Database):
    await before(database)
    at = await now(database)
    first, as_it_was = await everything(database, as_of=at), await everything(database)
    await after(database)
    assert await everything(database, as_of=at) == first
    later = await everything(database)
    unchanged = {name for name in reports.DEFINITIONS for group in reports.DEFINITIONS[name].groups
                 if group != "bucket" and later[name, group] == as_it_was[name, group]}  # fmt: skip
    assert not unchanged


async def test_as_of_now_a_report_says_what_it_says(database: Database):
    await before(database)
    await after(database)
    at = await now(database)
    for name, definition in reports.DEFINITIONS.items():
        for group in definition.groups:
            if group != "bucket":
                then = await told(database, name, group_by=group, as_of=at)
                assert then.rows == (await told(database, name, group_by=group)).rows, (name, group)


async def test_holds_are_told_as_they_stood(database: Database):
    await before(database)
    at = await now(database)
    await after(database)
    then = await row(database, "quota", group_by="plan", as_of=at)
    assert (then["turns"], then["open"], then["released"]) == (2, 2, 0)
    today = await row(database, "quota", group_by="plan")
    assert (today["turns"], today["open"], today["released"]) == (3, 1, 1)


async def test_a_partner_is_told_what_had_come_back_by_then(database: Database):
    await before(database)
    at = await now(database)
    await after(database)
    then, today = await row(database, "partners", as_of=at), await row(database, "partners")
    names = ("orders", "gross", "refunded", "fee_refunded", "fulfilled")
    assert [then[name] for name in names] == [2, 2_000, 0, 0, 0]
    assert [today[name] for name in names] == [3, 2_500, 250, 10, 1]


async def test_an_order_in_dispute_is_what_it_was_before_and_after(database: Database):
    await sell(database, "a", Money(1_000, "EUR"), fee=40, at=AGO)
    async with database.transaction() as session:
        await orders.fulfil(session, "ord_a", ref="merchant")
    moments = [await now(database)]
    for state in ("open", "won"):
        said = Dispute("du_1", state, Money(1_000, "EUR"))
        async with database.transaction() as session:
            kind = "charge.dispute.created"
            await disputes.told(session, "ord_a", said, kind=kind, ref=state)
        moments.append(await now(database))
    seen = [(await row(database, "partners", as_of=at))["fulfilled"] for at in moments]
    assert seen == [1, 0, 1]


async def test_a_mark_that_was_taken_back_stood_until_then(database: Database):
    await say(database, "t1", created_at=AGO, closed_at=AGO)
    seen = []
    for wrong in (False, True, True, False):
        async with database.transaction() as session:
            await conversations.flag(session, "t1", wrong=wrong)
        seen.append(await now(database))
    told_then = [(await row(database, "routing", as_of=at))["wrong_route"] for at in seen]
    assert told_then == [0, 1, 1, 0]
    assert (await row(database, "routing"))["wrong_route"] == 0


async def test_words_that_are_erased_leave_what_was_counted(database: Database):
    async with database.transaction() as session:
        session.add_all([UserAccount(id="usr_1"), Thread(id="thr_1", user_id="usr_1")])
    await say(database, "t1", created_at=AGO, closed_at=AGO, cards=CARDS, thread_id="thr_1")
    await say(database, "t2", created_at=AGO, closed_at=AGO, cards=CARDS)
    before = (await told(database, "funnel")).rows
    async with database.transaction() as session:
        await conversations.forget(session, "thr_1")
        await erasure.erase(session, "usr_1")
        left = await session.execute(text("SELECT DISTINCT cards FROM turn"))
        assert left.scalars().all() == [[{"activity": "product-list", "items": []}]]
    assert (await told(database, "funnel")).rows == before


async def test_a_consent_that_was_asked_for_stays_asked_for_when_the_offer_is_revised(world: World):
    shown = await quoting.quote(world.till, user_id="usr_ada", lines=[("off_mug", 1)])
    assert shown.asked_at is not None
    changes = Changes(lines=[("off_mug", 2)])
    again = await revising.revise(
        world.till, user_id="usr_ada", checkout_id=shown.id, changes=changes
    )
    assert again.revision > shown.revision
    assert again.asked_at == shown.asked_at


# --- meters -------------------------------------------------------------------------------------


async def test_a_meter_is_told_as_of_a_moment_once_it_had_stopped(database: Database):
    await hold(database, "t1")
    async with database.transaction() as session:
        await usage.settle(session, "t1", at=AGO + timedelta(minutes=1))
    over = (AGO + timedelta(seconds=2 * HOUR)).isoformat()
    first = formats.as_json(await told(database, "quota", group_by="bucket", as_of=over))
    await hold(database, "t2", at=AGO + timedelta(seconds=3 * HOUR))
    asked = await told(database, "quota", group_by="bucket", as_of=over)
    assert formats.as_json(asked) == first
    (light_,) = (row for row in asked.rows if row["bucket"] == "light")
    assert (light_["windows"], light_["used"], light_["held"]) == (1, 1, 0)


@pytest.mark.parametrize("minutes", [30, 90])  # its window is open; its hold is, after the window
async def test_a_meter_that_still_ran_is_refused_in_words(database: Database, minutes: int):
    await hold(database, "t1")
    async with database.transaction() as session:
        await usage.start(session, "t1", at=AGO)
        await usage.settle(session, "t1", at=AGO + timedelta(minutes=95))
    at = (AGO + timedelta(minutes=minutes)).isoformat()
    with pytest.raises(BadRequest, match="1 windows of this period were still open") as caught:
        await told(database, "quota", group_by="bucket", as_of=at)
    assert caught.value.param == "as_of"


async def test_before_anything_was_recorded_there_is_nothing(database: Database):
    await fill(database)
    for name, definition in reports.DEFINITIONS.items():
        for group in definition.groups:
            made = await run(database, name, group_by=group, as_of="2026-11-01T00:00:00Z")
            counts = [row["count"] for row in made.rows] if name == "funnel" else made.rows
            assert not any(counts)
