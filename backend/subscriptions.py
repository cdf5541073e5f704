"""Plans and packs for money: the pages where people pay, and what follows from having paid.

Nothing is believed that an event says. An event, a return from a page, a clock: each only asks for
`sync`, which reads the customer at the processor and acts on what it finds. Its write holds only
if nobody wrote since it began to read, so repeats and any order end in the same rows. Nor is a page
opened on the word of our rows alone: they may be older than a payment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import auth, chargebacks, customers, incidents, income, lookout, subscribers
from backend.abreast import abreast
from backend.auth import UserAccount
from backend.customers import asked
from backend.database import Database
from backend.errors import Conflict, Forbidden, Unprocessable
from backend.queue import enqueue
from backend.subscribers import GRACE, SYNC, BillingOrder, Subscriber
from integrations.billing import Account, Billing, Link, Paid, Subscription, Ware
from integrations.money import Money
from integrations.payments import PaymentError
from quotas.packs import Pack
from quotas.plans import Plan, Plans

log = structlog.get_logger()
_TRIES = 10
_MONTH = timedelta(days=27)
FREE = "free"


@dataclass(frozen=True, slots=True)
class Counter:
    """Where plans and packs are sold. `url` is the page that people come back to."""

    database: Database
    billing: Billing
    plans: Plans
    packs: Mapping[str, Pack]
    url: str

    def ware(self, plan: Plan) -> Ware:
        return Ware(plan.name, f"Emptor {plan.title}", _money(plan.price))

    def offered(self) -> list[Ware]:
        return [self.ware(p) for p in self.plans.by_name.values() if p.price.amount]


def _money(price: Any) -> Money:
    return Money(price.amount, price.currency)


# --- what a person asks for ----------------------------------------------------------------------


async def choose(counter: Counter, user_id: str, plan_name: str) -> dict[str, Any]:
    """Another plan: `{"state", "plan", "url"}`, where `url` is the page that goes on from here.

    `checkout`: pay there and the plan begins. `confirm`: a subscriber sees there what the rest of
    the month costs. `ends_at_period_end`: Free, when what was paid for is over. `resumed`: it
    goes on after all. `changed`: at once, as no money was involved.
    """
    if plan_name not in counter.plans.by_name:
        known = ", ".join(counter.plans.by_name)
        raise Unprocessable(f"plan: choose one of {known}", param="plan")
    user, row = await _who(counter, user_id)
    if row.customer_id is not None:
        # No page that stands open may be paid between this look and the next page.
        await asked(counter.billing.close_pages(row.customer_id))
        await asked(sync(counter, user_id))
        user, row = await _who(counter, user_id)
    if row.granted and row.subscription_id is not None:
        return await _change(counter, user, row, plan_name)
    if user.plan == plan_name:
        raise Conflict(f"This is your plan already: {plan_name}", code="plan_unchanged")
    wanted = counter.plans.plan(plan_name)
    if wanted.price.amount == 0:
        async with counter.database.transaction() as session:
            await _give(session, user_id, plan_name)
        return _answer(counter, "changed", plan_name)
    order = await _order(counter, user_id, "plan", plan_name)
    customer = await customers.of(counter.database, counter.billing, user)
    link = await asked(
        counter.billing.subscribe(
            customer=customer,
            plan=counter.ware(wanted),
            order_id=order,
            back=f"{counter.url}/",
            key=f"checkout:{order}",
        )
    )
    await _page(counter, user_id, order, link)
    return {"id": order, "state": "checkout", "plan": plan_name, "url": link.url}


async def _change(
    counter: Counter, user: UserAccount, row: Subscriber, plan_name: str
) -> dict[str, Any]:
    """For somebody who subscribes: up and down on the processor's page, to Free at the end."""
    assert row.subscription_id is not None
    assert row.customer_id is not None
    order = await _order(counter, row.user_id, "change", plan_name)
    price = counter.plans.plan(plan_name).price
    if plan_name == row.granted or price.amount == 0:
        ends = plan_name != row.granted
        if not ends and user.plan != plan_name:  # an operator took it away; it is being paid for
            await _give_again(counter, row)
            if not row.ends:
                return _answer(counter, "changed", plan_name)
        if not ends and not row.ends:
            raise Conflict(f"This is your plan already: {plan_name}", code="plan_unchanged")
        await asked(counter.billing.end(row.subscription_id, later=ends, key=f"end:{order}"))
        await asked(sync(counter, row.user_id))
        state = "ends_at_period_end" if ends else "resumed"
        until = subscribers.document(row) or {}
        moment = until.get("current_period_end") if ends else None
        return _answer(counter, state, plan_name) | {"ends_at": moment}
    now = await asked(counter.billing.read(row.customer_id))
    current = next((s for s in now.subscriptions if s.id == row.subscription_id), None)
    if current is None or current.standing != "active":
        raise Conflict(
            "Your last payment is still open; settle it in the portal first", code="past_due"
        )
    link = await asked(
        counter.billing.change(
            customer=row.customer_id,
            subscription=current,
            plan=counter.ware(counter.plans.plan(plan_name)),
            offered=counter.offered(),
            back=f"{counter.url}/",
            key=f"change:{order}",
        )
    )
    await _page(counter, row.user_id, order, link)
    return {"id": order, "state": "confirm", "plan": plan_name, "url": link.url}


async def _give_again(counter: Counter, row: Subscriber) -> None:
    """What the subscription grants, if it still does."""
    async with counter.database.transaction() as session:
        now = await subscribers.of(session, row.user_id)
        if now is not None and now.granted == row.granted:
            await _give(session, row.user_id, row.granted)


async def buy(counter: Counter, user_id: str, pack_name: str) -> dict[str, Any]:
    """A page where a credit pack is paid for; its units are there when the payment is."""
    pack = counter.packs.get(pack_name)
    if pack is None:
        raise Unprocessable(f"pack: choose one of {', '.join(counter.packs)}", param="pack")
    user, row = await _who(counter, user_id)
    if row.customer_id is not None:
        await _nothing_arrived(counter, user_id, row.customer_id, pack.name)
    order = await _order(counter, user_id, "credits", pack.name)
    customer = await customers.of(counter.database, counter.billing, user)
    link = await asked(
        counter.billing.sell(
            customer=customer,
            pack=Ware(pack.name, pack.title, _money(pack.price)),
            order_id=order,
            back=f"{counter.url}/",
            key=f"checkout:{order}",
        )
    )
    await _page(counter, user_id, order, link)
    return {"id": order, "pack": pack.name, "state": "checkout", "url": link.url}


async def _nothing_arrived(counter: Counter, user_id: str, customer: str, pack: str) -> None:
    """Who asks again because the units of a paid pack were not there yet must not pay twice."""
    async with counter.database.transaction() as session:
        unpaid = await subscribers.unpaid(session, user_id, pack=pack)
    await asked(counter.billing.close_pages(customer, pack=pack))
    account = await asked(sync(counter, user_id))
    if account is not None and any(paid.ref in unpaid for paid in account.payments):
        raise Conflict(
            "Your payment for this pack has just arrived; ask again for another one",
            code="pack_arrived",
        )


async def portal(counter: Counter, user_id: str) -> dict[str, Any]:
    """The processor's own page for cards, invoices and cancelling."""
    _, row = await _who(counter, user_id)
    if row.customer_id is None:
        raise Conflict("There is nothing to manage yet: choose a plan first", code="no_customer")
    order = await _order(counter, user_id, "portal", "")
    link = await asked(
        counter.billing.portal(
            customer=row.customer_id, back=f"{counter.url}/", key=f"portal:{order}"
        )
    )
    await _page(counter, user_id, order, link)
    return {"url": link.url}


async def _who(counter: Counter, user_id: str) -> tuple[UserAccount, Subscriber]:
    async with counter.database.transaction() as session:
        user = await auth.user(session, user_id)
        if user.guest:
            raise Forbidden("Sign up first: a guest's plan would be lost", code="guest")
        return user, await subscribers.ensure(session, user_id)


async def _order(counter: Counter, user_id: str, kind: str, item: str) -> str:
    async with counter.database.transaction() as session:
        order = BillingOrder(user_id=user_id, kind=kind, item=item)
        session.add(order)
        await session.flush()
        return order.id


async def _page(counter: Counter, user_id: str, order: str, link: Link) -> None:
    async with counter.database.transaction() as session:
        await lookout.opened(session, user_id, order=order, page=link.id)


def _answer(counter: Counter, state: str, plan: str) -> dict[str, Any]:
    return {"state": state, "plan": plan, "url": f"{counter.url}/"}


# --- what follows --------------------------------------------------------------------------------


async def sync(counter: Counter, user_id: str) -> Account | None:
    """Bring our rows to what the processor has, and return it. Raises `PaymentError` when it does
    not answer."""
    for _ in range(_TRIES):
        async with counter.database.transaction() as session:
            row = await subscribers.of(session, user_id)
        if row is None or row.customer_id is None:
            return None
        if row.closing:
            await _shut(counter, row.customer_id)
        account = await counter.billing.read(row.customer_id)
        live = [s for s in account.subscriptions if s.standing != "over"]
        if row.closing and live:
            for one in live:
                await counter.billing.end_now(one.id)
            continue
        if live and not row.granted:
            await counter.billing.close_pages(row.customer_id)  # whatever else could be paid
        async with counter.database.transaction() as session:
            ended = await _apply(session, counter, row, account)
        if ended is not None:
            if ended:
                await counter.billing.end_now(ended)
                continue
            return account
    # Still due, so that no event asks for a reading of its own: this one is asked for again.
    log.warning("sync_contended", user_id=user_id)
    async with counter.database.transaction() as session:
        await enqueue(session, SYNC, args={"user_id": user_id})
    return None


async def _shut(counter: Counter, customer: str) -> None:
    """Whoever was erased may not pay on a page that still stands open."""
    for pack in (None, *counter.packs):
        await counter.billing.close_pages(customer, pack=pack)


async def _apply(
    session: AsyncSession, counter: Counter, row: Subscriber, account: Account
) -> str | None:
    """Write what was read. None: somebody wrote meanwhile, read again; else "" or the id of a
    subscription whose grace is over, or whose money went back, and which must end."""
    live = [s for s in account.subscriptions if s.standing != "over"]
    chosen = live[0] if live else None
    now = (await session.execute(select(func.now()))).scalar_one()
    since = (row.past_due_at or now) if chosen and chosen.standing == "past_due" else None
    unpaid = chosen is not None and _unpaid(counter, account, chosen)
    over = chosen is not None and (unpaid or (since is not None and now >= since + GRACE))
    granted = chosen.plan if chosen is not None and not over else ""
    unknown = bool(chosen) and not over and granted not in counter.plans.by_name
    granted = row.granted if unknown else granted
    complete = all(paid.fee is not None for paid in account.payments)
    refs = [paid.ref for paid in account.payments]
    page = await lookout.waiting(session, row.user_id, granted=granted, paid=refs)
    values = {
        "subscription_id": chosen.id if chosen else None,
        "standing": chosen.standing if chosen else "over",
        "granted": granted,
        "ends": bool(chosen and chosen.ends),
        "period_end": chosen.period_end if chosen else None,
        "past_due_at": since,
        "grace_until": since + GRACE if since else None,
        "next_sync_at": lookout.after(
            now,
            page=page,
            period_end=chosen.period_end if chosen else None,
            past_due=since,
            disputed=any(paid.undecided for paid in account.payments),
            soon=over or not complete,
        ),
    }
    if not await subscribers.write(session, row, values):
        return None
    await _book(session, counter, row, account)
    if granted != row.granted:
        await _follow(session, row, granted)
        await incidents.resolve(session, "books_differ", subject=row.user_id)
    if unknown:
        await _report(session, row, "subscription_unknown", "pays for a plan that is not ours")
    if len(live) > 1:
        others = ", ".join(s.id for s in live[1:])
        await _report(session, row, "subscription_doubled", f"also pays {others}")
    if chosen is not None and unpaid and (kept := sum(p.left for p in _month(account, chosen))):
        words = f"{kept} (minor units) of this month were kept: give them back, or a plan by hand"
        await _report(session, row, "plan_ended_early", words)
    return chosen.id if chosen is not None and over else ""


def _unpaid(counter: Counter, account: Account, of: Subscription) -> bool:
    """Whether the newest payment went back whole, and what else was paid for the month is less than
    the plan costs: whoever went up and had that refunded must not stay up there."""
    month = _month(account, of)
    if not month or not month[0].given_back:
        return False
    plan = counter.plans.by_name.get(of.plan)
    return plan is None or sum(paid.left for paid in month) < plan.price.amount


def _month(account: Account, of: Subscription) -> list[Paid]:
    """What was paid for the running month, newest first: its first payment and a change within it
    lie closer together than two months do."""
    paid = [p for p in account.payments if p.subscription == of.id]
    paid.sort(key=lambda p: p.at, reverse=True)
    return [p for p in paid if p.at > paid[0].at - _MONTH]


async def _book(session: AsyncSession, counter: Counter, row: Subscriber, account: Account) -> None:
    plan = account.subscriptions[0].plan if account.subscriptions else row.granted
    for paid in account.payments:
        if await income.book(session, row.user_id, paid, plan=plan, packs=counter.packs):
            await chargebacks.book(session, paid)
    if row.closing:
        await _report_late(session, row, account)


async def _follow(session: AsyncSession, row: Subscriber, granted: str) -> None:
    """The plan follows the subscription. One that an operator gave meanwhile stays."""
    if granted:
        await _give(session, row.user_id, granted)
        return
    await session.execute(
        update(UserAccount)
        .where(col(UserAccount.id) == row.user_id, col(UserAccount.plan) == row.granted)
        .values(plan=FREE)
    )


async def _give(session: AsyncSession, user_id: str, plan: str) -> None:
    await session.execute(
        update(UserAccount).where(col(UserAccount.id) == user_id).values(plan=plan)
    )


async def _report_late(session: AsyncSession, row: Subscriber, account: Account) -> None:
    """Money that came after its owner was erased buys nothing: somebody must give it back."""
    query = select(col(UserAccount.deleted_at)).where(col(UserAccount.id) == row.user_id)
    gone = (await session.execute(query)).scalar_one_or_none()
    for paid in account.payments:
        if gone is not None and paid.at > gone and paid.left:
            words = f"{paid.amount} was paid after its owner was erased; give it back"
            await incidents.report(session, "payment_unknown", subject=paid.id, detail=words)


async def _report(
    session: AsyncSession, row: Subscriber, kind: incidents.Kind, detail: str
) -> None:
    await incidents.report(session, kind, subject=row.user_id, detail=detail)


async def sweep(counter: Counter) -> None:
    """What nobody woke: lost events, pages left open, graces that ended, packs that were used."""
    async with counter.database.transaction() as session:
        waiting = await subscribers.due(session)
        await income.recognise(session)
    await abreast([_tried(counter, user_id) for user_id in waiting])


async def _tried(counter: Counter, user_id: str) -> None:
    """One person who cannot be read must not keep the others waiting."""
    try:
        await sync(counter, user_id)
    except PaymentError as error:
        log.warning("sync_failed", user_id=user_id, detail=error.detail)
    except Exception:  # logged with its person, who stays due
        log.exception("sync_failed", user_id=user_id)
