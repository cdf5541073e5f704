"""The queue: jobs join transactions, dead workers' jobs are found, stalled rows are re-driven."""

import asyncio

import pytest
from sqlalchemy import text

from backend import jobs, quoting
from backend.consent import Consent, confirm
from backend.queue import enqueue
from integrations.payments import Method
from tests.backend.fakes_checkout import World
from tests.servers import eventually


async def one(world: World, query: str) -> object:
    async with world.database.transaction() as session:
        return (await session.execute(text(query))).scalar_one_or_none()


async def run(world: World, statement: str) -> None:
    async with world.database.transaction() as session:
        await session.execute(text(statement))


async def confirmed(world: World) -> str:
    row = await quoting.quote(world.till, user_id="usr_ada", lines=[("off_mug", 1)])
    given = Consent(row.confirmation_hash or "", Method("pm_card_visa"))
    await confirm(world.till, user_id="usr_ada", checkout_id=row.id, consent=given)
    return row.id


async def test_a_job_exists_exactly_when_its_transaction_commits(world):
    with pytest.raises(ZeroDivisionError):
        async with world.database.transaction() as session:
            await enqueue(session, "drive", args={"checkout_id": "chk_1"})
            raise ZeroDivisionError
    assert await one(world, "SELECT count(*) FROM procrastinate_jobs") == 0
    async with world.database.transaction() as session:
        await enqueue(session, "drive", args={"checkout_id": "chk_1"})
    assert await one(world, "SELECT args->>'checkout_id' FROM procrastinate_jobs") == "chk_1"


async def test_a_confirmation_and_its_job_are_one_transaction(world):
    checkout_id = await confirmed(world)
    assert await one(world, "SELECT state FROM checkout") == "authorising"
    queued = await one(world, "SELECT args->>'checkout_id' FROM procrastinate_jobs")
    assert queued == checkout_id


async def test_a_worker_takes_the_job_and_ends_when_it_is_canceled(world):
    await confirmed(world)
    worker = asyncio.create_task(jobs.worker(jobs.build(world.till)))
    await eventually(lambda: one(world, "SELECT state FROM checkout"), "completed", within_s=60)
    worker.cancel()
    ended = await asyncio.gather(worker, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError)
    assert await one(world, "SELECT count(*) FROM procrastinate_workers") == 0


async def test_a_purchase_whose_job_is_gone_is_driven_when_its_time_has_come(world):
    await confirmed(world)
    await run(world, "DELETE FROM procrastinate_jobs")
    assert await jobs.redrive(world.till) == 0
    await world.pass_time()
    assert await jobs.redrive(world.till) == 1
    assert await one(world, "SELECT state FROM checkout") == "completed"


async def test_the_jobs_of_a_worker_that_stopped_beating_are_retried(world):
    await confirmed(world)
    await run(
        world,
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')",
    )
    await run(
        world,
        "UPDATE procrastinate_jobs SET status = 'doing',"
        " worker_id = (SELECT id FROM procrastinate_workers)",
    )
    app = jobs.build(world.till)
    async with app.open_async():
        assert await jobs.retry_stalled(app) == 1
        assert await jobs.retry_stalled(app) == 0
    assert await one(world, "SELECT status FROM procrastinate_jobs") == "todo"


async def test_one_row_that_cannot_be_driven_does_not_stop_the_others(world):
    broken, sound = await confirmed(world), await confirmed(world)
    await run(world, f"UPDATE checkout SET total = NULL WHERE id = '{broken}'")  # noqa: S608
    await world.pass_time()
    await jobs.redrive(world.till)
    assert await one(world, f"SELECT state FROM checkout WHERE id = '{sound}'") == "completed"  # noqa: S608


async def test_the_sweep_runs_what_others_bring(world):
    ran: list[str] = []

    async def quotas() -> None:
        ran.append("quotas")

    await jobs.sweep(world.till, [quotas])
    assert ran == ["quotas"]


async def test_a_sweep_that_fails_or_waits_keeps_no_other_waiting(world):
    done = asyncio.Event()

    async def broken() -> None:
        raise RuntimeError("this one is broken")

    async def waiting() -> None:
        await done.wait()

    async def last() -> None:
        done.set()

    async with asyncio.timeout(30):
        await jobs.sweep(world.till, [broken, waiting, last])
    assert done.is_set()
