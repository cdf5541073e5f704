"""What a new version would have earned on turns that another one decided.

Two estimates, since each errs its own way: SNIPS weighs the turns on which both agree by how likely
the choice was, and DR fills in the others from the mean reward of each choice. Neither knows
anything about choices that were never made, so both come with the effective number of turns, and
under 300 of them no estimate is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ENOUGH: Final = 300
CLIP: Final = 20.0
DRAWS: Final = 1000

Floats = NDArray[np.float64]


class TooFewTurns(ValueError):
    """The log cannot carry an estimate. The message says how many effective turns there are."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A decided turn: what was chosen, how likely that was (0..1), its reward (-1..1), and what the
    new version chooses for it. The reward is people's and tools' verdict; no revenue is in it."""

    chosen: str
    propensity: float
    reward: float
    target: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean reward of a turn. `gain` is DR less what was earned, with its 95 % interval."""

    turns: int
    effective: float
    agreed: float
    earned: float
    snips: float
    dr: float
    gain: tuple[float, float, float]


def estimate(log: Sequence[Logged], *, enough: int = ENOUGH, seed: int = 1) -> Estimate:
    """Raises `TooFewTurns` under `enough` effective turns."""
    match = np.array([turn.chosen == turn.target for turn in log], dtype=np.float64)
    chance = np.array([turn.propensity for turn in log], dtype=np.float64)
    reward = np.array([turn.reward for turn in log], dtype=np.float64)
    weight = np.minimum(match / np.maximum(chance, 1e-6), CLIP)
    effective = float(weight.sum() ** 2 / max(float((weight**2).sum()), 1e-9))
    if effective < enough:
        raise TooFewTurns(f"{effective:.0f} effective turns of {enough} that an estimate needs")
    filled = _filled(log, weight, reward)
    gains = filled - reward
    low, high = _interval(gains, seed)
    return Estimate(
        turns=len(log),
        effective=effective,
        agreed=float(match.mean()),
        earned=float(reward.mean()),
        snips=float((weight * reward).sum() / weight.sum()),
        dr=float(filled.mean()),
        gain=(float(gains.mean()), low, high),
    )


def _filled(log: Sequence[Logged], weight: Floats, reward: Floats) -> Floats:
    """The doubly robust value of each turn: the new choice's mean, corrected where it was made."""
    chosen = np.array([turn.chosen for turn in log])
    mean = {str(name): float(reward[chosen == name].mean()) for name in set(chosen)}
    usual = float(reward.mean())
    of_target = np.array([mean.get(turn.target, usual) for turn in log])
    of_chosen = np.array([mean[turn.chosen] for turn in log])
    return np.asarray(of_target + weight * (reward - of_chosen), dtype=np.float64)


def _interval(values: Floats, seed: int) -> tuple[float, float]:
    draw = np.random.default_rng(seed)
    means = [values[draw.integers(0, len(values), len(values))].mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
