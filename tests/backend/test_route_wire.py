"""The one line that tells a person who answered and why."""

from typing import Any

import pytest

from backend.api.wire import route_json
from graphs.state import Admission, Role, Route, Routed


def line(language: Any, served: Role = "reasoning", **route: Any) -> str:
    made = Route(**({"kind": "complex", "role": "reasoning"} | route))
    reason = None if served == made.role else f"allowance_used:{made.role}"
    admission = Admission(served, "m-1", downgrade_reason=reason)
    return str(route_json(Routed(made, admission, language), "auto")["explanation"])


@pytest.mark.parametrize(
    ("said", "language", "route"),
    [
        ("Answered by reasoning: maths", "en", {"domain": "maths"}),
        ("由推理模型回答：数学题", "zh", {"domain": "maths"}),
        ("Answered by reasoning: needs reasoning", "en", {"domain": "business"}),
        (
            "Answered by reasoning: you asked for more thought",
            "en",
            {"domain": "facts", "cause": "effort-up"},
        ),
        ("由推理模型回答：您要求多想一想", "zh", {"cause": "effort-up"}),
        (
            "Answered by reasoning: legal · contract review",
            "en",
            {"domain": "legal", "action": "contract-review", "cause": "policy:contracts"},
        ),
        ("Answered by reasoning: you asked for m-1", "en", {"asked_model": "m-1"}),
        ("由推理模型回答：您点名要m-1", "zh", {"asked_model": "m-1"}),
        ("Answered by reasoning: needs reasoning", "en", {"asked_model": "m-2"}),
    ],
)
def test_the_line_names_the_subject_or_what_the_person_asked_for(
    said: str, language: str, route: dict[str, Any]
) -> None:
    assert line(language, **route) == said


def test_a_casual_turn_about_maths_is_no_maths_problem() -> None:
    assert line("en", "light", kind="casual", role="light", domain="maths") == (
        "Answered by light: everyday question"
    )


def test_a_step_down_is_said_in_the_persons_language() -> None:
    assert line("zh", "reasoning_mini", domain="law").endswith("推理模型的额度已用完")
