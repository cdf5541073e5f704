"""The queue's tasks: drive what was confirmed, re-drive what stalled, sweep what is over.

Two nets hold a purchase: the job that was enqueued with its confirmation, and the row's own
`next_drive_at`, which a periodic task reads. Jobs of a dead worker are found by its heartbeat.
No task takes a queue lock: a dead worker's job would hold it, and the rows' leases do that work.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import procrastinate
import structlog
from sqlalchemy import func, select
from sqlmodel import col

from backend import idempotency, reconciling, release
from backend.abreast import abreast
from backend.cards import REFRESH
from backend.checkout import MOVING, Checkout, expire_due
from backend.purchase import DRIVE, drive
from backend.queue import QUEUE, enqueue, schema_sql
from backend.refunding import drive_refund
from backend.refunds import MOVING as REFUND_MOVING
from backend.refunds import REFUND, OrderRefund
from backend.subscribers import SYNC
from backend.till import Till
from integrations.billing import Billing

__all__ = ["build", "due", "enqueue", "redrive", "schema_sql", "sweep", "worker"]

log = structlog.get_logger()

# Six fields: the last one is seconds.
REDRIVE_CRON = "* * * * * */5"
SWEEP_CRON = "* * * * * */20"
WATCH_CRON = "* * * * *"
STALLED_CRON = "* * * * * */15"
RECONCILE_CRON = "15 3 * * *"  # once a night, over the last days
RERANK_CRON = "45 3 * * *"
STALLED_AFTER_S = 30.0
# Far more than one partner's lane holds: purchases at a partner that hangs leave room for others.
CONCURRENCY = 32
_BATCH = 100
_AT_ONCE = 16

Sweep = Callable[[], Awaitable[object]]
Task = Callable[[Till, str], Awaitable[None]]
Reading = Callable[[str], Awaitable[object]]


def build(
    till: Till,
    *,
    sweeps: Sequence[Sweep] = (),
    subscriber: Reading | None = None,
    cards: Reading | None = None,
    billing: Billing | None = None,
    watch: Sweep | None = None,
    rerank: Sweep | None = None,
) -> procrastinate.App:
    """The queue's application with every task bound to this till. Open it before use.

    `sweeps` run with the periodic sweep: quota holds, sessions, whatever else runs out.
    `subscriber` reads one paying person at the processor again, `cards` one person's cards;
    reconciliation holds paying people against `billing`. `watch` runs every minute: the router's
    tripwires; `rerank` every night: what is shown against the facts alone.
    """
    connector = procrastinate.PsycopgConnector(conninfo=till.database.url, min_size=1, max_size=4)
    app = procrastinate.App(connector=connector)

    @app.task(name=DRIVE, queue=QUEUE)
    async def drive_task(checkout_id: str) -> None:
        await drive(till, checkout_id)

    @app.task(name=REFUND, queue=QUEUE)
    async def refund_task(refund_id: str) -> None:
        await drive_refund(till, refund_id)

    @app.periodic(cron=REDRIVE_CRON)
    @app.task(name="redrive", queue=QUEUE, queueing_lock="redrive")
    async def redrive_task(timestamp: int) -> None:
        del timestamp
        await redrive(till)

    @app.periodic(cron=SWEEP_CRON)
    @app.task(name="sweep", queue=QUEUE, queueing_lock="sweep")
    async def sweep_task(timestamp: int) -> None:
        del timestamp
        await sweep(till, sweeps)

    @app.periodic(cron=STALLED_CRON)
    @app.task(name="retry_stalled", queue=QUEUE, queueing_lock="retry_stalled")
    async def stalled_task(timestamp: int) -> None:
        del timestamp
        await retry_stalled(app)

    _read_again(app, subscriber, cards)
    _reconcile(app, till, billing)
    _look_after(app, watch, rerank)
    return app


def _read_again(app: procrastinate.App, subscriber: Reading | None, cards: Reading | None) -> None:
    """What an event asks for: one person's money or cards, as the processor has them now."""

    @app.task(name=SYNC, queue=QUEUE)
    async def sync_task(user_id: str) -> None:
        if subscriber is not None:
            await subscriber(user_id)

    @app.task(name=REFRESH, queue=QUEUE)
    async def cards_task(user_id: str) -> None:
        if cards is not None:
            await cards(user_id)


def _reconcile(app: procrastinate.App, till: Till, billing: Billing | None) -> None:
    @app.periodic(cron=RECONCILE_CRON)
    @app.task(name="reconcile", queue=QUEUE, queueing_lock="reconcile")
    async def reconcile_task(timestamp: int) -> None:
        del timestamp
        await reconciling.nightly(till.database, till.payments, billing)


def _look_after(app: procrastinate.App, watch: Sweep | None, rerank: Sweep | None) -> None:
    """The tasks that only look: at the ranking every night, at the router every minute."""

    @app.periodic(cron=RERANK_CRON)
    @app.task(name="rerank", queue=QUEUE, queueing_lock="rerank")
    async def rerank_task(timestamp: int) -> None:
        del timestamp
        if rerank is not None:
            await rerank()

    @app.periodic(cron=WATCH_CRON)
    @app.task(name="watch_router", queue=QUEUE, queueing_lock="watch_router")
    async def watch_task(timestamp: int) -> None:
        del timestamp
        if watch is not None:
            await watch()


async def worker(app: procrastinate.App, *, concurrency: int = CONCURRENCY) -> None:
    """Works until cancelled; inside an API process or alone. A cancel lets running jobs end.

    What is cut off after the grace time is safe: the rows say what is left to do.
    """
    async with app.open_async():
        await app.run_worker_async(
            queues=[QUEUE],
            concurrency=concurrency,
            install_signal_handlers=False,
            delete_jobs="successful",
            fetch_job_polling_interval=2.0,
            update_heartbeat_interval=5.0,
            stalled_worker_timeout=STALLED_AFTER_S,
            shutdown_graceful_timeout=5.0,
        )


async def redrive(till: Till) -> int:
    """Drive every purchase and refund whose time has come, a few at once. Returns how many."""
    work = [_guarded(task, till, row_id) for task, row_id in await due(till)]
    return len(await abreast(work, at_once=_AT_ONCE))


async def due(till: Till) -> list[tuple[Task, str]]:
    """What stands still although its time has come, longest first: its driver and its id."""
    purchases = select(col(Checkout.id)).where(
        col(Checkout.state).in_(MOVING), col(Checkout.next_drive_at) <= func.now()
    )
    refunds = select(col(OrderRefund.id)).where(
        col(OrderRefund.state).in_(REFUND_MOVING), col(OrderRefund.next_drive_at) <= func.now()
    )
    purchases = purchases.order_by(col(Checkout.next_drive_at)).limit(_BATCH)
    refunds = refunds.order_by(col(OrderRefund.next_drive_at)).limit(_BATCH)
    async with till.database.transaction() as session:
        purchase_ids = (await session.execute(purchases)).scalars().all()
        refund_ids = (await session.execute(refunds)).scalars().all()
    found: list[tuple[Task, str]] = [(drive, row_id) for row_id in purchase_ids]
    return found + [(drive_refund, row_id) for row_id in refund_ids]


async def sweep(till: Till, sweeps: Sequence[Sweep] = ()) -> None:
    """End what is over, free what it held, forget old idempotency keys, run the others' sweeps.

    Side by side: one that fails, or waits for a slow partner, keeps none of the others waiting.
    """
    all_of_them: list[Sweep] = [partial(_tidied, till), *sweeps]
    await abreast([_swept(one) for one in all_of_them], at_once=_AT_ONCE)


async def _tidied(till: Till) -> None:
    async with till.database.transaction() as session:
        await expire_due(session)
        await idempotency.forget_old(session)
    freed = [_guarded(release.release, till, row_id) for row_id in await release.due(till)]
    await abreast(freed, at_once=_AT_ONCE)


async def _swept(one: Sweep) -> None:
    try:
        await one()
    except Exception:  # logged; the next sweep tries again
        log.exception("sweep_failed")


async def _guarded(task: Task, till: Till, row_id: str) -> None:
    """One row that cannot be driven must not keep the others waiting."""
    try:
        await task(till, row_id)
    except Exception:  # logged with its row; the row stays due
        log.exception("drive_failed", row_id=row_id)


async def retry_stalled(app: procrastinate.App) -> int:
    """Hand the jobs of workers that stopped beating to the living. Returns how many."""
    stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S)
    count = 0
    for job in stalled:
        await app.job_manager.retry_job(job)
        count += 1
    return count
