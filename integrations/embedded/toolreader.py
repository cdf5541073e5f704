"""Reads a grammar-bound answer as it streams and turns it into OpenAI deltas.

The model writes what `toolcalls.Choice.grammar` admits: one call or one reply, as one JSON object.
"""

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

_CALL_HEAD = re.compile(r'\s*\{\s*"tool"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*')
_TEXT_HEAD = re.compile(r'\s*\{\s*"text"\s*:\s*"')
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_LONGEST_ESCAPE = len(r"\ud83d\ude00")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|u[0-9a-fA-F]{4}|[^u])")


class ToolReader:
    """Reads the constrained answer as it streams. `feed` gives OpenAI deltas, possibly none.

    A call's first delta has its id and name, the following ones pieces of its arguments exactly
    as the model wrote them. `called` is true once a call has begun, `complete` once the answer
    has been read to its end: a cut-off call must not be reported as finished. The tool named
    `reply` is no call: its text is the answer's content.
    """

    def __init__(self, reply: str | None) -> None:
        self.called = False
        self.complete = False
        self._reply = reply
        self._held = ""
        self._name: str | None = None
        self._in_text = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> list[Json]:
        self._held += text
        return list(self._deltas())

    def _deltas(self) -> Iterable[Json]:
        if self._name is None and (head := self._take(_CALL_HEAD)):
            self._name = json.loads(head[1])
            self.called = self._name != self._reply
            if self.called:
                yield _call_delta(name=json.loads(head[1]))
        if self.complete or self._name is None:
            return
        if self.called:
            if piece := self._take_arguments():
                yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            return
        self._in_text = self._in_text or self._take(_TEXT_HEAD) is not None
        if self._in_text and (piece := self._take_text()):
            yield {"content": piece}

    def _take(self, head: re.Pattern[str]) -> re.Match[str] | None:
        """The head at the front of what is held, taken off it once it is there whole."""
        found = head.match(self._held)
        if found:
            self._held = self._held[found.end() :]
        return found

    def _take_arguments(self) -> str:
        """As much of the held text as belongs to the arguments' value."""
        for i, char in enumerate(self._held):
            self._step(char)
            if self._depth == 0 and char == "}":
                self.complete = True
                taken, self._held = self._held[: i + 1], ""
                return taken
        taken, self._held = self._held, ""
        return taken

    def _step(self, char: str) -> None:
        if self._in_string:
            closes = char == '"' and not self._escaped
            self._escaped = char == "\\" and not self._escaped
            self._in_string = not closes
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1

    def _take_text(self) -> str:
        """The held text, unescaped, up to an escape that has not arrived whole."""
        out, at = [], 0
        while at < len(self._held):
            char = self._held[at]
            if char == '"':
                self.complete = True
                break
            if char != "\\":
                out.append(char)
                at += 1
                continue
            escape = _ESCAPE.match(self._held, at)
            waiting = len(self._held) - at < _LONGEST_ESCAPE
            if escape is None or (waiting and _HIGH_SURROGATE.fullmatch(escape[0])):
                break
            out.append(_unescaped(escape[0]))
            at = escape.end()
        self._held = self._held[at:]
        return "".join(out)


def _unescaped(escape: str) -> str:
    """One JSON escape as text. Half a surrogate pair cannot be sent on: U+FFFD stands for it."""
    text = str(json.loads(f'"{escape}"'))
    return "\ufffd" if "\ud800" <= text <= "\udfff" else text


def _call_delta(*, name: str) -> Json:
    call = {"id": f"call_{secrets.token_hex(12)}", "type": "function"}
    return {"tool_calls": [{"index": 0, **call, "function": {"name": name, "arguments": ""}}]}


def answered(deltas: Iterable[Mapping[str, Any]]) -> Json:
    """The deltas of one answer as one OpenAI message."""
    content, call = "", None
    for delta in deltas:
        content += delta.get("content") or ""
        for piece in delta.get("tool_calls", ()):
            if "id" in piece:
                call = {k: piece[k] for k in ("id", "type")} | {"function": {**piece["function"]}}
            elif call is not None:
                call["function"]["arguments"] += piece["function"]["arguments"]
    message: Json = {"role": "assistant", "content": content if call is None else None}
    return message | ({"tool_calls": [call]} if call else {})
