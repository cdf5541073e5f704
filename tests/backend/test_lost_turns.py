"""A turn whose process died says what its allowance was charged, and no more."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from backend.database import Database
from backend.threads import TurnRow, give_up
from quotas import usage
from tests.backend.fakes_reports import say
from tests.quotas.fakes_plans import light, plan

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


async def killed(database: Database, turn: str, *, streaming: bool) -> None:
    """As kill -9 leaves it: the row open, the hold to be ended by the sweep."""
    await say(database, turn, state="open", created_at=LONG_AGO)
    async with database.transaction() as session:
        await usage.reserve(
            session, turn_id=turn, subject="usr_1", plan=plan(light(5)), role="light", at=LONG_AGO
        )
        if streaming:
            await usage.start(session, turn, at=LONG_AGO)


async def test_the_turns_that_were_given_up_add_up_to_what_was_used(database: Database):
    await killed(database, "streamed", streaming=True)
    await killed(database, "silent", streaming=False)
    await say(database, "errand", state="open", created_at=LONG_AGO)  # it never had a hold
    async with database.transaction() as session:
        await usage.sweep(session)
        assert await give_up(session) == 3
        charged = {
            name: (await session.get_one(TurnRow, name)).charged
            for name in ("streamed", "silent", "errand")
        }
        used = await session.execute(text("SELECT used FROM quota_bucket WHERE name = 'light'"))
        assert used.scalar_one() == 1
    assert charged == {"streamed": {"light": 1}, "silent": {}, "errand": {}}
