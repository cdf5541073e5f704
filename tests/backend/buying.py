"""The steps of a purchase, as the tests of the checkout take them."""

from sqlalchemy import text
from sqlmodel import select

from backend import consent, ledger, quoting
from backend.checkout import Checkout, fetch
from backend.consent import Consent, confirm
from backend.incidents import Incident
from backend.purchase import drive
from integrations.payments import Method
from tests.backend.fakes_checkout import World

VISA = Method("pm_card_visa")


async def quoted(world: World, *lines: tuple[str, int]) -> Checkout:
    return await quoting.quote(
        world.till, user_id="usr_ada", lines=lines or [("off_mug", 2), ("off_pot", 1)]
    )


async def dinner(world: World) -> Checkout:
    return await quoting.quote(world.till, user_id="usr_ada", lines=[("off_table", 1)])


def agreed(row: Checkout, method: Method | None = VISA) -> Consent:
    return Consent(row.confirmation_hash or "", method, "198.51.100.7", "pytest")


async def confirmed(world: World, row: Checkout, method: Method | None = VISA):
    return await confirm(
        world.till, user_id="usr_ada", checkout_id=row.id, consent=agreed(row, method)
    )


async def driven(world: World, row: Checkout, method: Method | None = VISA) -> Checkout:
    """Confirm, then let the worker do its job until the row stands still."""
    await confirmed(world, row, method)
    return await finished(world, row)


async def finished(world: World, row: Checkout) -> Checkout:
    for _ in range(40):
        await drive(world.till, row.id)
        now = await again(world, row)
        if now.state in {"completed", "failed", "canceled"} or now.step == "authenticate":
            return now
        await world.pass_time()
    raise AssertionError(f"still {now.state}/{now.step}")


async def again(world: World, row: Checkout) -> Checkout:
    async with world.database.transaction() as session:
        return await fetch(session, row.id, user_id=row.user_id)


async def outcome(world: World, row: Checkout):
    return consent.answer(await again(world, row))


async def incidents(world: World) -> list[str]:
    async with world.database.transaction() as session:
        return list((await session.execute(select(Incident.kind))).scalars())


async def books(world: World) -> dict[str, int]:
    async with world.database.transaction() as session:
        assert (await ledger.verify(session)).ok
        return {a.account: a.balance for a in await ledger.accounts(session)}


def nothing_moved(world: World, row: Checkout) -> None:
    assert world.payments.captured_for(row.id) == 0
    assert world.payments.held_for(row.id) == 0
    assert world.shop.live_orders(row.reference) == []


async def sql(world: World, statement: str) -> None:
    async with world.database.transaction() as session:
        await session.execute(text(statement))
