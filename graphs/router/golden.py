"""Turns whose kind nobody would dispute: what every version must hold.

Written for this and used for nothing else; no version is trained on them.
"""

import tomllib
from functools import cache
from pathlib import Path

from graphs.state import Ask, Kind

_FILE = Path(__file__).with_name("golden.toml")


@cache
def golden() -> tuple[tuple[Ask, Kind], ...]:
    """Each turn with its kind."""
    listed = tomllib.loads(_FILE.read_text("utf-8"))
    kinds: tuple[Kind, ...] = ("casual", "complex", "commercial")
    return tuple((Ask(text), kind) for kind in kinds for text in listed[kind])
