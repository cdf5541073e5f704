"""Routes a file of turns, line by line: what `emptor route` does. Needs no server and no network."""

import json
import logging
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from graphs.state import Ask, Message, Route

log = logging.getLogger(__name__)


class Routes(Protocol):
    def route(self, ask: Ask) -> Route: ...


class _Line(BaseModel):
    """One line of input. Further fields are allowed and ignored: data sets carry labels."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: str
    text: str
    context: list["_Said"] = []


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: str
    text: str


def route_file(source: Path, target: Path, router: Routes) -> int:
    """Route each line of `source` into `target`, in order; one line in memory at a time.

    Broken lines are named by number on standard error (through logging) and left out; the others are
    written all the same. Returns 0, or 1 when a line was broken.
    """
    broken = 0
    with source.open("rb") as lines, target.open("w", encoding="utf-8") as out:
        for number, raw in enumerate(lines, start=1):
            if not raw.strip():
                continue
            try:
                line = _Line.model_validate(json.loads(raw.decode("utf-8")))
            except (ValidationError, ValueError) as bad:
                broken += 1
                log.error("%s:%d: %s", source, number, _reason(bad))
                continue
            out.write(
                json.dumps(_written(line, router.route(_ask(line))), ensure_ascii=False) + "\n"
            )
    return 1 if broken else 0


def _ask(line: _Line) -> Ask:
    known = ("user", "assistant", "system", "tool")
    said = tuple(Message(m.role, m.text) for m in line.context if m.role in known)  # type: ignore[arg-type]
    return Ask(text=line.text, context=said)


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


def _reason(bad: Exception) -> str:
    if isinstance(bad, ValidationError):
        first = bad.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        return f"{where}: {first['msg']}"
    return f"not JSON: {bad}"
