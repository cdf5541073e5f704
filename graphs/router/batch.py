"""Routes a file of turns, line by line: what `emptor route` does. Needs no server, no network."""

import json
import sys
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from graphs.state import Ask, Message, Route

Role = Literal["user", "assistant", "system", "tool"]


class Routes(Protocol):
    def route(self, ask: Ask) -> Route: ...


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
    """Route each line of `source` into `target`, in order; one line in memory at a time.

    Broken lines are named by number on `errors` (standard error) and left out; the others are
    written all the same. Returns 0, or 1 when a line was broken. Raises OSError when a file cannot
    be opened.
    """
    broken = 0
    with source.open("rb") as lines, target.open("w", encoding="utf-8") as out:
        for number, raw in enumerate(lines, start=1):
            if not raw.strip():
                continue
            line = _parsed(raw)
            if isinstance(line, str):
                broken += 1
                print(f"{source}:{number}: {line}", file=errors or sys.stderr)
                continue
            route = router.route(_ask(line))
            out.write(json.dumps(_written(line, route), ensure_ascii=False) + "\n")
    return 1 if broken else 0


def _parsed(raw: bytes) -> _Line | str:
    """The line, or what is wrong with it in one sentence."""
    try:
        line = _Line.model_validate(json.loads(raw.decode("utf-8")))
        json.dumps(line.id).encode()
    except ValidationError as bad:
        first = bad.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        return f"{where}: {first['msg']}"
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
