"""The figures a router is judged by: macro-F1, recall, false alarms, calibration, and intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

KINDS: Final = ("casual", "complex", "commercial")
_FEW: Final = 30
"""Below this many turns a share is noise; it is printed, but nothing is concluded from it."""

Labels = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Truth, decision and confidence of each turn, in one order. All arrays have one length."""

    truth: Labels
    chosen: Labels
    confidence: NDArray[np.float64]

    def of(self, keep: NDArray[np.bool_]) -> "Outcome":
        return Outcome(self.truth[keep], self.chosen[keep], self.confidence[keep])


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a set of turns. Shares are 0..1; `ece` is the expected calibration error."""

    n: int
    accuracy: float
    macro_f1: float
    f1: Mapping[str, float]
    commercial_recall: float
    commercial_precision: float
    false_commercial: float
    ece: float
    hard: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def f1_of(truth: Labels, chosen: Labels, kind: str) -> float:
    hit = float(((truth == kind) & (chosen == kind)).sum())
    wrong = float(((truth == kind) != (chosen == kind)).sum())
    return 2 * hit / (2 * hit + wrong) if hit else 0.0


def macro_f1(truth: Labels, chosen: Labels) -> float:
    """Mean F1 over the kinds that occur in the truth."""
    present = [kind for kind in KINDS if (truth == kind).any()]
    return float(np.mean([f1_of(truth, chosen, kind) for kind in present])) if present else 0.0


def calibration_error(outcome: Outcome, *, bins: int = 15) -> float:
    """Expected calibration error over bins of equal count (so that none is empty)."""
    order = np.argsort(outcome.confidence, kind="stable")
    right = (outcome.truth == outcome.chosen)[order]
    sure = outcome.confidence[order]
    gaps = [
        abs(float(right[b].mean()) - float(sure[b].mean())) * len(b)
        for b in np.array_split(np.arange(len(order)), bins)
        if len(b)
    ]
    return sum(gaps) / max(len(order), 1)


def figures(outcome: Outcome, hard: Labels | None = None) -> Figures:
    """All figures of a set; `hard` names each turn's hard kind ('' for none)."""
    truth, chosen = outcome.truth, outcome.chosen
    is_commercial, says_commercial = truth == "commercial", chosen == "commercial"
    both = float((is_commercial & says_commercial).sum())
    tags = sorted(set(hard) - {""}) if hard is not None else []
    return Figures(
        n=len(truth),
        accuracy=float((truth == chosen).mean()) if len(truth) else 0.0,
        macro_f1=macro_f1(truth, chosen),
        f1={kind: f1_of(truth, chosen, kind) for kind in KINDS},
        commercial_recall=both / max(float(is_commercial.sum()), 1),
        commercial_precision=both / max(float(says_commercial.sum()), 1),
        false_commercial=float((says_commercial & ~is_commercial).sum())
        / max(float((~is_commercial).sum()), 1),
        ece=calibration_error(outcome),
        hard={
            str(tag): float((truth == chosen)[hard == tag].mean())
            for tag in tags
            if hard is not None
        },
    )


def paired_interval(
    truth: Labels, ours: Labels, theirs: Labels, *, draws: int = 1000, seed: int = 1
) -> tuple[float, float, float]:
    """Difference in macro-F1 (ours minus theirs) with its 95 % bootstrap interval, item by item."""
    draw = np.random.default_rng(seed)
    n = len(truth)
    found = []
    for _ in range(draws):
        rows = draw.integers(0, n, n)
        found.append(macro_f1(truth[rows], ours[rows]) - macro_f1(truth[rows], theirs[rows]))
    low, high = np.quantile(found, (0.025, 0.975))
    return macro_f1(truth, ours) - macro_f1(truth, theirs), float(low), float(high)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile in milliseconds."""
    at = np.quantile(np.asarray(seconds) * 1000, (0.5, 0.95, 0.99))
    return {"p50_ms": float(at[0]), "p95_ms": float(at[1]), "p99_ms": float(at[2])}


def flips(before: Sequence[str], after: Sequence[str]) -> float:
    """Share of decisions that a change of the text turned over."""
    return float(np.mean([a != b for a, b in zip(before, after, strict=True)]))


def timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start
