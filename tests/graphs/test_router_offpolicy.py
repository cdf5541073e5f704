"""Estimates of a version that has not served yet, on logs whose truth is known."""

import numpy as np
import pytest

from graphs.router.offpolicy import Logged, TooFewTurns, estimate

MEANS = {"a": 0.2, "b": 0.6}


def logged(turns: int, *, target: str = "b", share: float = 0.25) -> list[Logged]:
    """A log that chose b for a share of turns by lot, and a otherwise."""
    draw = np.random.default_rng(7)
    out = []
    for _ in range(turns):
        chosen = "b" if draw.random() < share else "a"
        chance = share if chosen == "b" else 1 - share
        reward = float(np.clip(MEANS[chosen] + draw.normal(0, 0.3), -1, 1))
        out.append(Logged(chosen, chance, reward, target))
    return out


def test_both_estimates_find_the_true_value_and_the_interval_holds_the_true_gain():
    found = estimate(logged(4_000))
    assert found.snips == pytest.approx(MEANS["b"], abs=0.03)
    assert found.dr == pytest.approx(MEANS["b"], abs=0.03)
    truth = MEANS["b"] - (0.25 * MEANS["b"] + 0.75 * MEANS["a"])
    assert found.gain[1] < truth < found.gain[2]
    assert found.effective == pytest.approx(1_000, rel=0.1)


def test_a_worse_version_is_seen_to_be_worse():
    log = [Logged(t.chosen, t.propensity, t.reward, "a") for t in logged(4_000, share=0.75)]
    assert estimate(log).gain[2] < 0


def test_the_same_version_gains_nothing():
    log = [Logged(t.chosen, 1.0, t.reward, t.chosen) for t in logged(500)]
    found = estimate(log)
    assert found.gain == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert found.agreed == 1.0


@pytest.mark.parametrize("turns", [0, 40, 1_100])
def test_under_three_hundred_effective_turns_there_is_no_estimate(turns):
    with pytest.raises(TooFewTurns, match="300"):
        estimate(logged(turns))
