"""What a turn's beginning tells the router of the turns before it."""

from typing import Any

import pytest

from backend.opening import Past
from backend.threads import TurnRow


def past(**last: Any) -> Past:
    rows = [TurnRow(user_id="usr_1", plan="free", surface="page", text="before", **last)]
    return Past((), (), rows)


@pytest.mark.parametrize(
    ("last", "held"),
    [
        ({"kind": "complex", "role": "reasoning", "confidence": 0.99}, True),
        ({"kind": "casual", "role": "reasoning", "confidence": 0.6}, True),
        ({"kind": "casual", "role": "reasoning", "confidence": 0.9}, False),
        ({"kind": "casual", "role": "light", "confidence": 0.6}, False),
        ({"kind": "commercial", "role": "agent", "confidence": 0.9}, False),
    ],
)
def test_the_reasoning_model_is_held_until_a_turn_was_confidently_lighter(
    last: dict[str, Any], held: bool
) -> None:
    assert past(**last).ratchet is held


def test_a_conversation_without_turns_holds_nothing() -> None:
    assert Past((), ()).ratchet is False
