"""People who only talk: their turns take allowances as the product does, and are killed half-way.

A turn is three transactions: reserve, start, end. One that dies leaves its hold to the sweep.
"""

from sqlalchemy.exc import OperationalError

from backend.settings import ROOT
from quotas import usage as allowances
from quotas.plans import Plan, Plans, Role
from tests.simulation.stage import Crash
from tests.simulation.world import World

PLANS = ROOT / "quotas" / "plans.toml"
ROLES: tuple[Role, ...] = ("light", "reasoning")
LEASES_S = 3600.0  # longer than any hold may last


class Disagreed(AssertionError):
    """The gate and the meter say different things about the same moment, or a hold ended twice."""


class Talker:
    """Takes `turns` turns, one after another, of a plan whose allowance runs out."""

    def __init__(self, world: World, who: str, turns: int) -> None:
        self.world, self.who, self.turns = world, who, turns
        self.stage, self.random = world.stage, world.stage.random
        self.plan: Plan = Plans.load(PLANS).plan("free")

    async def live(self) -> None:
        for n in range(self.turns):
            await self._turn(f"trn_{self.who}_{n}")
            await self.stage.sleep(self.random.choice((1.0, 10.0, 100.0)))

    async def _turn(self, turn_id: str) -> None:
        role = self.random.choice(ROLES)
        try:
            if await self._reserve(turn_id, role) and await self._start(turn_id):
                await self._end(turn_id)
        except Crash:
            self.stage.revive()
        except OperationalError:
            if not self.stage.was_unlucky():
                raise

    async def _reserve(self, turn_id: str, role: Role) -> bool:
        """The gate, and the meter of the moment before it: they must agree."""
        async with self.world.database.transaction() as session:
            seen = await allowances.meter(session, self.who, self.plan)
            given = await allowances.reserve(
                session, turn_id=turn_id, subject=self.who, plan=self.plan, role=role
            )
        left = {bucket["name"]: bucket["remaining"] for bucket in seen["buckets"]}
        binding = given.quota["binding"]
        if not all(left[name] >= 1 for name in given.buckets):
            raise Disagreed(f"{given.buckets} were given where the meter showed {left}")
        if given.served_role != role and left[binding] >= 1:
            raise Disagreed(f"{role} was denied by {binding} where the meter showed {left}")
        return given.granted

    async def _start(self, turn_id: str) -> bool:
        async with self.world.database.transaction() as session:
            return await allowances.start(session, turn_id)

    async def _end(self, turn_id: str) -> None:
        """Settled or released; who does it once more, as a retry does, ends nothing again."""
        end = self.random.choice((allowances.settle, allowances.settle, allowances.release))
        ended = []
        for _ in range(2):
            async with self.world.database.transaction() as session:
                ended.append(await end(session, turn_id))
        if ended == [True, True]:
            raise Disagreed(f"{turn_id} ended twice")


async def let_go(world: World) -> None:
    """Whatever was cut off is ended by the sweep when its time is over, and nothing stays held."""
    world.clock.move(LEASES_S)
    async with world.database.transaction() as session:
        await allowances.sweep(session, limit=10_000)
    left = await world.rows("SELECT name, held FROM quota_bucket WHERE held <> 0")
    if left:
        raise Disagreed(f"allowances are held for nobody: {left}")
