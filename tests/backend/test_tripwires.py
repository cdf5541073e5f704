"""The tripwires' arithmetic on turns made up by lot: what trips, what noise may not."""

from dataclasses import replace

import numpy as np
import pytest

from backend.tripwires import Choice, Reading, Seen, readings

LIGHT = Choice("casual", "light", "classifier", 4_000)
HARD = Choice("complex", "reasoning", "classifier", 4_000)
COSTS = {"light": 300, "reasoning": 3_000}


def turn(ours: Choice, theirs: Choice, **more: object) -> Seen:
    plain = Seen(True, "pro", ours, theirs, False, False, False, False, False, COSTS[theirs.role])
    return replace(plain, **more)


def traffic(turns: int, seed: int, *, apart: float = 0.04, unhappy: float = 0.02) -> list[Seen]:
    """Two versions that differ both ways by `apart`, and people who complain by `unhappy`."""
    draw = np.random.default_rng(seed)
    out = []
    for _ in range(turns):
        theirs = HARD if draw.random() < 0.3 else LIGHT
        ours = (LIGHT if theirs is HARD else HARD) if draw.random() < apart / 2 else theirs
        ours = replace(ours, latency_us=int(draw.lognormal(8.3, 0.5)))
        wrong, up = draw.random() < unhappy, draw.random() < unhappy
        out.append(turn(ours, theirs, wrong_route=bool(wrong), switched_up=bool(up)))
    return out


def before(turns: int = 500) -> list[Seen]:
    return [replace(t, ours=None, served=False) for t in traffic(turns, 999)]


def tripped(seen: list[Seen], past: list[Seen] | None = None) -> set[str]:
    found: list[Reading] = readings(seen, before() if past is None else past)
    return {r.name for r in found if r.tripped}


def test_noise_alone_trips_nothing_however_often_it_is_looked_at():
    wrong = [
        (seed, looked)
        for seed in range(40)
        for all_turns in [traffic(400, seed)]
        for looked in range(10, 401, 30)
        if tripped(all_turns[:looked])
    ]
    assert wrong == []


def test_without_any_past_the_first_turns_trip_nothing():
    assert tripped(traffic(100, 3), []) == set()
    assert tripped([], []) == set()


@pytest.mark.parametrize(
    ("wire", "spoil"),
    [
        ("paid_tier_share", lambda t, at: replace(t, ours=Choice("casual", "light_mini", "", 1))
         if at < 0.37 else t),
        ("commercial_share", lambda t, _: replace(t, ours=Choice("commercial", "agent", "", 1))),
        ("wrong_route", lambda t, at: replace(t, wrong_route=at < 0.3)),
        ("switch_up", lambda t, at: replace(t, switched_up=at < 0.3)),
        ("false_commercial", lambda t, at: replace(t, complaint=at < 0.2)),
        ("p99_latency", lambda t, _: replace(t, ours=replace(t.ours, latency_us=200_000))),
        ("judge_share", lambda t, at: replace(t, ours=replace(t.ours, cause="judge"))
         if at < 0.4 else t),
        ("judge_share", lambda t, at: replace(t, ours=replace(t.ours, cause="unsure"))
         if at < 0.4 else t),
        ("cost_per_turn", lambda t, at: replace(t, ours=HARD) if at < 0.3 else t),
        ("failures", lambda t, at: replace(t, failed=at < 0.2)),
        ("context_overflow", lambda t, at: replace(t, overflow=at < 0.05)),
    ],
)  # fmt: skip
def test_a_fault_trips_its_wire_within_a_hundred_turns(wire, spoil):
    draw = np.random.default_rng(11)
    spoilt = [spoil(t, draw.random()) for t in traffic(100, 5)]
    assert wire in tripped(spoilt)


def test_what_a_judge_changed_is_not_held_against_the_version():
    """Only the served are judged: both versions doubted alike, and the judge went down a tier."""
    judged = Choice("casual", "light", "judge", 4_000)
    doubted = replace(HARD, cause="unsure")
    seen = [turn(judged, doubted) if n % 5 == 0 else turn(LIGHT, LIGHT) for n in range(200)]
    past = [turn(doubted, doubted) if n % 5 == 0 else turn(LIGHT, LIGHT) for n in range(200)]
    assert tripped(seen, past) == set()


def test_free_plans_are_not_what_the_paid_tier_wire_looks_at():
    small = Choice("casual", "light_mini", "", 1)
    free = [replace(t, plan="free", ours=small) for t in traffic(100, 5)]
    assert "paid_tier_share" not in tripped(free)


def test_as_many_ups_as_downs_leave_the_paid_tier_alone():
    both = [turn(HARD, LIGHT) if n % 2 else turn(LIGHT, HARD) for n in range(200)]
    assert "paid_tier_share" not in tripped(both)
