"""The system prompt of each role: what the role does, then who is speaking.

The personality is the same words for every role, so that a change of model inside a conversation
does not change the voice. It stands last: the part before it never changes, and a local server's
prefix cache keeps it.
"""

from functools import cache
from importlib.resources import files

from graphs.state import Role, Style

_FILES: dict[Role, str] = {
    "light": "light",
    "light_mini": "mini",
    "reasoning": "reasoning",
    "reasoning_mini": "reasoning",
    "agent": "agent",
}
_STYLES: dict[Style, str] = {
    "warm": "Be friendly and personal.",
    "balanced": "Be friendly and to the point.",
    "neutral": "Be factual and plain.",
}
_LANGUAGES = {"en": "English", "zh": "Simplified Chinese"}


@cache
def _task(name: str) -> str:
    return (files("graphs") / "prompts" / f"{name}.md").read_text("utf-8").strip()


def personality(*, style: Style, warmth: int, language: str) -> str:
    """Style, warmth as a scale from 0 to 100 and the language, in words a small model follows.

    Raises `ValueError` for a warmth outside 0–100 or an unknown style.
    """
    if style not in _STYLES:
        raise ValueError(f"unknown style {style!r}")
    if not 0 <= warmth <= 100:
        raise ValueError(f"warmth must be 0 to 100, not {warmth}")
    spoken = _LANGUAGES.get(language, "the person's language")
    return (
        f"{_STYLES[style]} On a scale of warmth from 0 (cool, only the facts) to 100 (very warm "
        f"and encouraging) speak at {warmth}, evenly through the whole conversation. Answer in "
        f"{spoken} unless the person asks for another language."
    )


def prompt(role: Role, *, style: Style, warmth: int, language: str) -> str:
    """The whole system prompt of a role. The last paragraph is the same for every role."""
    voice = personality(style=style, warmth=warmth, language=language)
    return f"{_task(_FILES[role])}\n\n{voice}"
