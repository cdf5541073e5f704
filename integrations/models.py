"""The model catalogue and the one client path to every model: `ChatOpenAI`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `reasoning` is part of `output`; `estimated` when we had to count."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of a tool call in a stream: the first has id and name, the rest arguments."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a model's answer. The last one carries `usage` and `finish_reason`."""

    text: str = ""
    tools: tuple[ToolPiece, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
