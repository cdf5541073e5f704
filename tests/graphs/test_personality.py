"""The prompts of the roles: one voice for all, at the end, in the person's language."""

from itertools import pairwise
from typing import get_args

import pytest

from graphs.personality import personality, prompt
from graphs.state import Role, Style

ROLES: tuple[Role, ...] = get_args(Role)


@pytest.mark.parametrize("style", get_args(Style))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_two_roles_speak_with_the_same_voice(style: Style, language: str):
    voices = [
        prompt(role, style=style, warmth=70, language=language).split("\n\n")[-1] for role in ROLES
    ]
    assert all(a == b for a, b in pairwise(voices))
    assert voices[0] == personality(style=style, warmth=70, language=language)


def test_the_cached_part_comes_first_and_never_changes():
    for role in ROLES:
        cool = prompt(role, style="neutral", warmth=0, language="en")
        warm = prompt(role, style="warm", warmth=100, language="zh")
        shared = cool[: cool.index("Be factual")]
        assert warm.startswith(shared)
        assert len(shared) > 100


def test_roles_differ_in_their_task_and_none_may_claim_a_purchase():
    light = prompt("light", style="balanced", warmth=50, language="en")
    reasoning = prompt("reasoning", style="balanced", warmth=50, language="en")
    assert light != reasoning
    assert "step by step" in reasoning
    for role in ROLES:
        assert "never write an order number" in prompt(
            role, style="balanced", warmth=50, language="en"
        )


def test_warmth_is_a_scale_and_not_a_switch():
    said = {personality(style="warm", warmth=w, language="en") for w in range(101)}
    assert len(said) == 101


@pytest.mark.parametrize("warmth", [-1, 101])
def test_a_warmth_outside_the_scale_is_an_error(warmth: int):
    with pytest.raises(ValueError, match="warmth"):
        personality(style="warm", warmth=warmth, language="en")
