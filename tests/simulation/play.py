"""One seed, played: people and workers act while things fail, then a minute of calm, then the sum.

`python -m tests.simulation SEED` plays one again and prints every step.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.till import Till
from tests.simulation import agreement, invariants
from tests.simulation.furniture import PEOPLE
from tests.simulation.people import USUAL, Habits, Person, answer_the_bank
from tests.simulation.staff import Courier, Staff, Worker
from tests.simulation.talkers import Talker, let_go
from tests.simulation.world import World, opened

STEPS_MAX = 60_000
MINUTE_S = 60
ABANDONED_S = 4 * 86_400.0  # longer than any offer holds
# Seconds that pass after a step, now and then: within a request, a lease, an offer, a day.
_LEAPS = ((0.05, 2.0), (0.02, 16.0), (0.01, 45.0), (0.001, 400.0), (0.0002, 4000.0))


_ASKED = "SELECT id FROM checkout WHERE step = 'authenticate'"
_ENDS = """
SELECT 'refund for a ' || kind AS kind, count(*) AS n FROM order_refund WHERE state = 'completed'
GROUP BY kind
UNION ALL SELECT 'moved', count(*) FROM checkout
WHERE jsonb_typeof(changes) = 'object' AND state = 'completed'
"""


@dataclass(frozen=True, slots=True)
class Played:
    """What a seed came to. `purchases` were agreed to and taken; `confirmed` counts the clicks.

    `fates` counts what went wrong by its name, `partners` the purchases by the merchant, `ends`
    what was given back or moved, by what for.
    """

    seed: int
    steps: int
    purchases: int
    confirmed: int
    faults: int
    states: Mapping[str, int]
    fates: Mapping[str, int]
    partners: Mapping[str, int]
    ends: Mapping[str, int]
    trace: tuple[str, ...]


async def play(
    url: str,
    furniture: Mapping[str, Any],
    seed: int,
    *,
    people: int = PEOPLE,
    errands: int = 6,
    turns: int = 0,
    rate: float = 0.03,
    every: int = 1,
    habits: Habits = USUAL,
    change: Callable[[Till], Till] = lambda till: till,
) -> Played:
    """`errands` for each person, `turns` for each of two who talk; `every` that many steps the
    invariants are looked at.

    `change` may put something between the product and the outside.
    """
    async with opened(url, furniture, seed, rate=rate) as world:
        world.till = world.app.state.till = change(world.till)
        buyers = _enter(world, people, errands, turns, habits)
        try:
            steps = await _storm(world, every)
            await _calm(world)
            await invariants.during(world)
            await agreement.settled(world)
            await let_go(world)
        except BaseException as error:
            error.trace = world.stage.trace  # type: ignore[attr-defined]
            raise
        states = await world.rows("SELECT state, count(*) AS n FROM checkout GROUP BY state")
        taken = await world.rows(
            "SELECT merchant_id AS id, count(confirmed_at) AS n FROM checkout GROUP BY merchant_id"
        )
        ends = await world.rows(_ENDS)
        trace = tuple(world.stage.trace)
    fates = Counter(line.rpartition(" ")[2] for line in trace if line.startswith("  "))
    return Played(
        seed,
        steps,
        sum(row["n"] for row in taken),
        sum(person.confirmed for person in buyers),
        fates.total(),
        {row["state"]: row["n"] for row in states},
        fates,
        {row["id"]: row["n"] for row in taken},
        {row["kind"]: row["n"] for row in ends},
        trace,
    )


def _enter(world: World, people: int, errands: int, turns: int, habits: Habits) -> list[Person]:
    """Everybody who acts takes the stage. Returns those who buy."""
    buyers = [Person(world, f"person{n}", errands, habits) for n in range(people)]
    for person in buyers:
        world.stage.enter(person.who, person.live())
    for n in range(2 * (turns > 0)):
        talker = Talker(world, f"talker{n}", turns)
        world.stage.enter(f"person-{talker.who}", talker.live(), often=0.5)
    for n in range(2):
        world.stage.enter(f"worker{n}", Worker(world).live(), often=0.8)
    world.stage.enter("courier", Courier(world).live(), often=0.4)
    world.stage.enter("staff", Staff(world).live(), often=0.2)
    return buyers


async def _storm(world: World, every: int) -> int:
    """Until every person has done what they came for."""
    for step in range(STEPS_MAX):
        if not world.stage.present("person"):
            return step
        if await world.stage.turn() is None:
            world.clock.move(0.5)
            continue
        world.clock.move(0.001)
        chance, leap = world.stage.random.random(), 0.0
        for share, seconds in _LEAPS:
            if chance < share:
                leap = seconds * world.stage.random.random()
        world.clock.move(leap)
        if step % every == 0:
            await invariants.during(world)
    raise invariants.Violated("the people never get done")


async def _calm(world: World) -> None:
    """Every process is killed and started anew; requests that were late arrive; a minute passes."""
    world.stage.rate = 0.0
    await world.stage.kill("worker")
    await world.stage.kill("staff")
    for seller in world.staff:
        await world.staff[seller].post("/_sim/faults", json={"faults": []})
    world.bank.faults.planned.clear()
    while await world.stage.turn("late"):
        pass
    await Staff(world).tell_again()
    for row in await world.rows(_ASKED):
        if world.stage.random.random() < 0.6:  # the others never come back to their bank
            answer_the_bank(world, row["id"], passed=world.stage.random.random() < 0.5)
    await _minute(world)
    await invariants.during(world)
    await agreement.decided(world)
    if await world.rows(_ASKED):  # also those whose bank came to ask in this minute
        world.clock.move(ABANDONED_S)
        await _minute(world)


async def _minute(world: World) -> None:
    """The product's own tasks run for a minute, or until there is nothing left to do."""
    worker = Worker(world)
    for second in range(MINUTE_S):
        if second % 5 == 1 and await agreement.quiet(world):
            return
        await _tick(world, worker, second)
        world.clock.move(1.0)


async def _tick(world: World, worker: Worker, second: int) -> None:
    """What the product's own periodic tasks do in this second."""
    for _ in range(5):
        await world.stage.turn("courier")
    while await worker.job():
        pass
    if second % 5 == 0:
        await worker.redrive()
    if second % 20 == 0:
        await worker.sweep()
