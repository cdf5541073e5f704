"""Watches a rollout and takes it back when it harms people: looked at every minute and every 50th
turn, in one transaction that any process may run.

Both versions decide every turn of a rollout, so what they choose is compared turn by turn, whatever
the traffic is like. What only the served can tell (wrong routes, complaints) is compared with the
version before. Evidence is a likelihood ratio over all larger rates; it may be looked at as often
as one likes, and noise alone reaches a thousand less than once in a thousand rollouts.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend import incidents, versions
from backend.database import Database
from backend.decisions import TIERS
from backend.errors import Conflict
from backend.versions import RULES_ONLY, Rollout

log = structlog.get_logger()

PROOF: Final = math.log(1000)
HITS_MIN: Final = 3
NEWEST: Final = 5_000
BASELINE: Final = 2_000
SLOW_FLOOR_US: Final = 100_000
SLOWER: Final = 5.0
COST_TURNS: Final = 50
COST_BAND: Final = 0.30
COST_Z: Final = 4.5
"""Of a mean, looked at again and again: about as rare as a thousand to one."""
FREE: Final = "free"
JUDGED: Final = frozenset({"judge", "judge-silent"})
UNSURE: Final = JUDGED | {"unsure"}
"""Causes of turns that a version could not call: asked about, or it would have been."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What one version made of a turn. `latency_us` is None when it failed."""

    kind: str
    role: str
    cause: str
    latency_us: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One turn of a rollout. `ours` is the candidate's choice, `theirs` the base's."""

    served: bool
    plan: str
    ours: Choice | None
    theirs: Choice | None
    failed: bool
    overflow: bool
    switched_up: bool
    wrong_route: bool
    complaint: bool
    cost: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A tripwire's figure: the observed rate or ratio, what is allowed, over how many turns."""

    name: str
    observed: float
    allowed: float
    turns: int
    tripped: bool

    def sentence(self) -> str:
        allowed = f"{self.observed:.3f} where {self.allowed:.3f} is allowed"
        return f"{self.name}: {allowed}, over {self.turns} turns"


def evidence(hits: int, turns: int, *, null: float, least: float) -> float:
    """Log of the likelihood ratio: rates from `least` up, evenly weighted, against `null`."""
    grid = [least + (0.99 - least) * i / 12 for i in range(13)]
    ratios = [
        hits * math.log(rate / null) + (turns - hits) * math.log((1 - rate) / (1 - null))
        for rate in grid
    ]
    top = max(ratios)
    return top + math.log(fmean(math.exp(r - top) for r in ratios))


def rate(name: str, marks: Iterable[bool], *, null: float, least: float, net: float = 0) -> Reading:
    """A rate that must not reach `least`; `null` is what counts as harmless. `net` turns that
    went the other way are set off before the observed rate is looked at."""
    found = list(marks)
    hits, turns = sum(found), len(found)
    observed = (hits - net) / turns if turns else 0.0
    tripped = (
        hits >= HITS_MIN
        and observed >= least
        and evidence(hits, turns, null=null, least=least) >= PROOF
    )
    return Reading(name, round(observed, 4), round(least, 4), turns, tripped)


def readings(seen: Sequence[Seen], before: Sequence[Seen]) -> list[Reading]:
    """Every tripwire over a rollout's turns; `before` are turns that the base served."""
    return [wire(seen, before) for wire in WIRES]


def _pairs(seen: Iterable[Seen]) -> list[tuple[Choice, Choice]]:
    """Both versions' own choices. A judged turn shows the judge's, whom only the served have."""
    return [
        (s.ours, s.theirs)
        for s in seen
        if s.ours is not None
        and s.theirs is not None
        and not {s.ours.cause, s.theirs.cause} & JUDGED
    ]


def _paid_tier(seen: Sequence[Seen], _: Sequence[Seen]) -> Reading:
    """Paid turns that get a smaller model than before: 10 points, ups set off against downs."""
    pairs = _pairs(s for s in seen if s.plan != FREE)
    up = sum(TIERS[ours.role] > TIERS[theirs.role] for ours, theirs in pairs)
    down = [TIERS[ours.role] < TIERS[theirs.role] for ours, theirs in pairs]
    return rate("paid_tier_share", down, null=0.05, least=0.10, net=up)


def _commercial(seen: Sequence[Seen], _: Sequence[Seen]) -> Reading:
    """Turns that become commercial and were not."""
    pairs = _pairs(seen)
    lost = sum(t.kind == "commercial" != o.kind for o, t in pairs)
    won = [o.kind == "commercial" != t.kind for o, t in pairs]
    return rate("commercial_share", won, null=0.05, least=0.10, net=lost)


def _grown(
    name: str, marks: Callable[[Seen], bool], *, times: float, floor: float
) -> Callable[[Sequence[Seen], Sequence[Seen]], Reading]:
    """A rate among the served that must not grow `times` over the base's."""

    def wire(seen: Sequence[Seen], before: Sequence[Seen]) -> Reading:
        usual = max(_upper(sum(map(marks, before)), len(before)), floor)
        ours = [marks(s) for s in seen if s.served]
        return rate(name, ours, null=usual, least=min(times * usual, 0.95))

    return wire


def _upper(hits: int, turns: int) -> float:
    """The upper end of a rate's 90 % interval (Wilson): a short past proves little."""
    if turns < 20:
        return 0.0
    z2 = 1.645**2
    centre = hits + z2 / 2
    spread = math.sqrt(z2 * (hits * (turns - hits) / turns + z2 / 4))
    return min((centre + spread) / (turns + z2), 0.6)


def _slow(seen: Sequence[Seen], before: Sequence[Seen]) -> Reading:
    """Decisions over five times the base's 99th percentile: one in fifty may be."""
    theirs = sorted(s.theirs.latency_us for s in (*seen, *before) if s.theirs is not None)
    p99 = theirs[int(0.99 * (len(theirs) - 1))] if theirs else 0
    limit = max(SLOWER * p99, SLOW_FLOOR_US)
    ours = [s.ours.latency_us > limit for s in seen if s.ours is not None]
    return rate("p99_latency", ours, null=0.02, least=0.10)


def _judged(seen: Sequence[Seen], before: Sequence[Seen]) -> Reading:
    theirs = [s.theirs.cause in UNSURE for s in (*seen, *before) if s.theirs is not None]
    usual = max(_upper(sum(theirs), len(theirs)), 0.05)
    ours = [s.ours.cause in UNSURE for s in seen if s.ours is not None]
    return rate("judge_share", ours, null=usual, least=min(2 * usual, 0.95))


def _failing(seen: Sequence[Seen], _: Sequence[Seen]) -> Reading:
    return rate("failures", [s.failed for s in seen], null=0.01, least=0.05)


def _overflow(seen: Sequence[Seen], _: Sequence[Seen]) -> Reading:
    served = [s.overflow for s in seen if s.served]
    hits = sum(served)
    return Reading("context_overflow", float(hits), 0.0, len(served), tripped=hits > 0)


def _cost(seen: Sequence[Seen], before: Sequence[Seen]) -> Reading:
    """Both versions' choices on the same turns, priced by what each role's answers really cost."""
    prices = _prices((*seen, *before))
    priced = [
        (prices[o.role], prices[t.role])
        for o, t in _pairs(seen)
        if o.role in prices and t.role in prices
    ]
    theirs = sum(t for _, t in priced)
    if len(priced) < COST_TURNS or theirs <= 0:
        return Reading("cost_per_turn", 1.0, 1 + COST_BAND, len(priced), tripped=False)
    apart = [o - t for o, t in priced]
    mean = fmean(apart)
    error = math.sqrt(fmean((a - mean) ** 2 for a in apart) / len(apart))
    ratio = sum(o for o, _ in priced) / theirs
    sure = error == 0 or abs(mean) / error >= COST_Z
    tripped = sure and abs(ratio - 1) > COST_BAND
    return Reading("cost_per_turn", round(ratio, 4), 1 + COST_BAND, len(priced), tripped)


def _prices(turns: Iterable[Seen]) -> dict[str, float]:
    """Mean cost of an answer by the role that was asked for, in µUSD."""
    costs: dict[str, list[int]] = {}
    for turn in turns:
        chosen = turn.ours if turn.served else turn.theirs
        if chosen is not None and turn.cost is not None:
            costs.setdefault(chosen.role, []).append(turn.cost)
    return {role: fmean(found) for role, found in costs.items()}


WIRES: Final[tuple[Callable[[Sequence[Seen], Sequence[Seen]], Reading], ...]] = (
    _paid_tier,
    _commercial,
    _grown("wrong_route", lambda s: s.wrong_route, times=1.5, floor=0.02),
    _grown("switch_up", lambda s: s.switched_up, times=1.5, floor=0.03),
    _grown("false_commercial", lambda s: s.complaint, times=2.0, floor=0.01),
    _overflow,
    _slow,
    _judged,
    _cost,
    _failing,
)

_SEEN = """
SELECT d.arm, d.plan, d.kind, d.role, d.cause, d.latency_us, d.other_kind, d.other_role,
  d.other_cause, d.other_latency_us, d.failed, d.overflow, d.switched_up,
  t.wrong_route OR COALESCE(t.preferred <> d.kind, false) AS wrong_route,
  d.kind = 'commercial' AND (t.rating = 'down' OR t.wrong_route
    OR COALESCE(t.preferred <> 'commercial', false)) AS complaint,
  t.cost_usd_micros AS cost
FROM router_decision d JOIN turn t ON t.id = d.turn_id
WHERE {which} ORDER BY d.number DESC LIMIT :newest
"""
# All stages of one candidate count together: its turns began after any other's rollout.
_ROLLOUT = text(
    _SEEN.format(
        which="d.rollout_id <= :now AND d.rollout_id > (SELECT COALESCE(max(id), 0)"
        " FROM router_rollout WHERE id < :now AND candidate IS DISTINCT FROM :candidate)"
    )
)
_BEFORE = text(_SEEN.format(which="d.version = :base AND d.arm = 'base'"))


async def look(session: AsyncSession, held: Rollout) -> list[Reading]:
    """Every tripwire of what is rolled out; none when nothing is, or the kill switch is on."""
    if held.candidate in (None, RULES_ONLY):
        return []
    bound = {"now": held.id, "candidate": held.candidate, "newest": NEWEST}
    found = (await session.execute(_ROLLOUT, bound)).mappings().all()
    past = {"base": held.base, "newest": BASELINE}
    before = (await session.execute(_BEFORE, past)).mappings().all()
    return readings(
        [_seen(row, held) for row in found],
        [_seen(row, held) for row in before],
    )


def _seen(row: Any, held: Rollout) -> Seen:
    served = row["arm"] == "candidate"
    made = Choice(row["kind"], row["role"], row["cause"], row["latency_us"])
    other = None
    if row["other_kind"] is not None:
        other = Choice(
            row["other_kind"], row["other_role"], row["other_cause"], row["other_latency_us"]
        )
    ours, theirs = (made, other) if served else (other, made)
    if row["arm"] == "rules":
        ours = theirs = None
    return Seen(
        served=served,
        plan=row["plan"],
        ours=ours,
        theirs=theirs,
        failed=held.candidate in row["failed"],
        overflow=row["overflow"],
        switched_up=row["switched_up"],
        wrong_route=bool(row["wrong_route"]),
        complaint=bool(row["complaint"]),
        cost=row["cost"],
    )


async def watch(database: Database) -> Rollout | None:
    """Look, and roll back what tripped. Returns the new rollout, or None when all is well."""
    async with database.transaction() as session:
        held = await versions.current(session)
        tripped = [r for r in await look(session, held) if r.tripped]
        if not tripped:
            return None
        reason = "; ".join(r.sentence() for r in tripped)
        try:
            after = await versions.roll_back(
                session, by="tripwire", reason=f"{held.candidate}: {reason}", of=held.id
            )
        except Conflict:
            return None  # someone changed the rollout meanwhile
        detail = f"Router version {held.candidate} was rolled back at stage {held.stage}: {reason}"
        await incidents.report(
            session, "router_rolled_back", subject=f"rollout_{held.id}", detail=detail
        )
    log.error("router_rolled_back", version=held.candidate, reason=reason)
    return after


def as_json(found: Iterable[Reading]) -> list[dict[str, Any]]:
    return [asdict(reading) for reading in found]
