"""Routes a file of turns, line by line: what `emptor route` does. Needs no server, no network."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, TextIO, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from graphs.state import Ask, Message, Route

BLOCK_LINES: Final = 512
BLOCK_BYTES: Final = 4_000_000

Role = Literal["user", "assistant", "system", "tool"]


class Routes(Protocol):
    def route_all(self, asks: Sequence[Ask]) -> list[Route]: ...


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: str
    text: str


class _Line(BaseModel):
    """One line of input. Further fields are allowed and ignored: data sets carry labels."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: str | int
    text: str
    context: list[_Said] = []


def route_file(source: Path, target: Path, router: Routes, *, errors: TextIO | None = None) -> int:
    """Route each line of `source` into `target`, in order; a block of lines in memory at a time.

    Broken lines are named by number on `errors` (standard error) and left out; the others are
    written all the same. Returns 0, or 1 when a line was broken. Raises OSError when a file cannot
    be opened.
    """
    broken = 0
    with source.open("rb") as lines, target.open("w", encoding="utf-8") as out:
        for block in _blocks(lines):
            good: list[_Line] = []
            for number, line in block:
                if isinstance(line, _Line):
                    good.append(line)
                    continue
                broken += 1
                print(f"{source}:{number}: {line}", file=errors or sys.stderr)
            for line, route in zip(good, router.route_all([_ask(g) for g in good]), strict=True):
                out.write(json.dumps(_written(line, route), ensure_ascii=False) + "\n")
    return 1 if broken else 0


def _blocks(lines: BinaryIO) -> Iterator[list[tuple[int, "_Line | str"]]]:
    """The lines with their numbers, so many at a time that the encoder is used well, and no more
    than a few megabytes."""
    block: list[tuple[int, _Line | str]] = []
    size = 0
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        block.append((number, _parsed(raw)))
        size += len(raw)
        if len(block) >= BLOCK_LINES or size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _parsed(raw: bytes) -> _Line | str:
    """The line, or what is wrong with it in one sentence."""
    try:
        line = _Line.model_validate(json.loads(raw.decode("utf-8-sig")))
        json.dumps(line.id).encode()
    except ValidationError as bad:
        first = bad.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else "not an object with id and text"
    except (ValueError, RecursionError) as bad:
        return f"not JSON: {bad}"
    return line


def _ask(line: _Line) -> Ask:
    said = tuple(Message(role, m.text) for m in line.context for role in _role(m.role))
    return Ask(text=line.text, context=said)


def _role(name: str) -> tuple[Role, ...]:
    """A known role by its name; a message of any other role is not part of the conversation."""
    roles: tuple[Role, ...] = get_args(Role)
    return tuple(role for role in roles if role == name)


def _written(line: _Line, route: Route) -> dict[str, Any]:
    return {
        "id": line.id,
        "kind": route.kind,
        "sub": route.sub,
        "domain": route.domain,
        "action": route.action,
        "confidence": route.confidence,
        "cause": route.cause,
        "role": route.role,
        "latency_us": route.latency_us,
    }
