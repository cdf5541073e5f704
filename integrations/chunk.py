"""A model's answer as it comes, piece by piece."""

from dataclasses import dataclass

from integrations.usage import Usage


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of a tool call in a stream: the first has id and name, the rest arguments."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a model's answer. The last one carries `usage` and `finish_reason`.

    `model` stands on the first piece only, and names who answers.
    """

    text: str = ""
    model: str | None = None
    tools: tuple[ToolPiece, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
