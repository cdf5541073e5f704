"""People who have themselves erased while they pay: it ends as it would have, and then forgets."""

import pytest

from backend import erasure
from backend.auth import UserAccount
from backend.checkout import Checkout
from backend.purchase import drive
from integrations.payments import Method
from tests.backend.buying import VISA, again, books, confirmed, finished, nothing_moved, quoted
from tests.backend.fakes_checkout import World

DECLINED = Method("pm_card_chargeDeclined")


@pytest.fixture
async def ada(world: World) -> None:
    async with world.database.transaction() as session:
        session.add(UserAccount(id="usr_ada", name="Ada"))


async def erase(world: World) -> None:
    async with world.database.transaction() as session:
        await erasure.erase(session, "usr_ada")


def names_nobody(row: Checkout) -> bool:
    kept = (row.buyer, row.address, row.payment_method, row.next_action)
    return kept == (None, None, None, None) and set(row.confirmed or {}) <= {"hash"}


@pytest.mark.parametrize(("method", "state"), [(VISA, "completed"), (DECLINED, "failed")])
async def test_what_was_confirmed_goes_its_way_and_is_then_forgotten(
    world: World, ada: None, method: Method, state: str
):
    row = await quoted(world)
    await confirmed(world, row, method)
    await erase(world)
    assert not names_nobody(await again(world, row))
    ended = await finished(world, row)
    assert (ended.state, names_nobody(ended)) == (state, True)
    assert sum((await books(world)).values()) == 0


@pytest.mark.parametrize("lost", ["lost_before", "lost_after"])
@pytest.mark.parametrize("effect", ["payments.authorise", "partner.place", "payments.capture"])
async def test_what_was_not_answered_is_asked_again_and_then_forgotten(
    world: World, ada: None, effect: str, lost: str
):
    row = await quoted(world)
    world.gate.arm_on(effect, lost)
    await confirmed(world, row)
    await drive(world.till, row.id)
    await erase(world)
    ended = await finished(world, row)
    assert (ended.state, names_nobody(ended)) == ("completed", True)
    assert world.payments.captured_for(row.id) == ended.total


async def test_what_nobody_confirmed_is_forgotten_at_once(world: World, ada: None):
    row = await quoted(world)
    await erase(world)
    assert names_nobody(await again(world, row))
    nothing_moved(world, row)
