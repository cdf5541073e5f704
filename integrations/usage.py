"""Tokens of one call to a model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """`cached` is part of `input`, `reasoning` of `output`; `estimated` when we had to count."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False

    @classmethod
    def said(cls, *, input: int, cached: int, output: int, reasoning: int) -> "Usage":
        """As a provider reported it. What cannot be (below zero, a part larger than its whole) is
        cut to what can, and marked as an estimate: a bill must not follow nonsense."""
        whole_in, whole_out = max(0, input), max(0, output)
        made = (
            whole_in,
            min(max(0, cached), whole_in),
            whole_out,
            min(max(0, reasoning), whole_out),
        )
        return cls(*made, estimated=made != (input, cached, output, reasoning))
