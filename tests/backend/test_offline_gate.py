"""The offline gate: what a version must hold before anyone is served by it."""

import pytest

from backend.comparing import failures, lines
from graphs.router.golden import golden
from graphs.router.rules_only import RulesOnly
from graphs.state import Ask
from tests.graphs.fakes_router import loaded_router

GOOD = {"macro_f1": 0.95, "against": 0.95, "gain": [0.0, 0.0, 0.0]}
SEEN = {"snips": 0.2, "dr": 0.2, "earned": 0.1, "effective": 400, "gain": [0.1, 0.05, 0.15]}
WORSE = [-0.05, -0.08, -0.02]


@pytest.mark.parametrize(
    ("name", "figures", "said"),
    [
        ("golden", {**GOOD, "gain": WORSE}, "golden set"),
        ("folds", {**GOOD, "gain": WORSE}, "families left out"),
        ("traffic", {**SEEN, "gain": WORSE}, "real turns"),
        ("traffic", {"turns": 9, "refused": "9 effective turns of 300"}, "9 effective turns"),
    ],
)
def test_each_question_alone_can_refuse_a_version(name, figures, said):
    found = {"golden": GOOD, "folds": GOOD, "traffic": SEEN}
    assert failures(found) == []
    (only,) = failures({**found, name: figures})
    assert said in only
    assert lines({**found, name: figures, "passed": False})[-1] == "does not pass"


def test_the_shipped_version_holds_the_golden_set():
    wrong = [a.text for a, kind in golden() if loaded_router().route(a).kind != kind]
    assert len(wrong) <= len(golden()) * 0.1, wrong


@pytest.mark.parametrize(
    ("ask", "kind", "cause"),
    [
        (Ask("Book a table for two tonight"), "commercial", "keywords"),
        (Ask("证明根号二是无理数"), "complex", "keywords"),
        (Ask("Good morning!"), "casual", "keywords"),
        (Ask("hello", locked="commercial"), "commercial", "state"),
        (Ask("hello", effort="high"), "complex", "user"),
        (Ask("think hard: hello"), "complex", "effort-up"),
        (Ask(""), "casual", "blank"),
        (Ask("x" * 1_000_000), "complex", "keywords"),
    ],
)
def test_rules_alone_still_know_locks_pickers_words_and_keywords(ask, kind, cause):
    route = RulesOnly().route(ask)
    assert (route.kind, route.cause) == (kind, cause)
