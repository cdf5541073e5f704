"""OpenAI tools for a model that cannot call them: a JSON-schema grammar in, tool calls out.

llama.cpp's own tool calling gave 0 of 10 calls with these models and does not enforce
`tool_choice`. So the choice becomes a grammar, which the sampler cannot leave:
`{"tool": NAME, "arguments": {…}}`. Where an answer in words is allowed it is one more tool, named
`reply`: as a form of its own the small model took it always (6 of 14 right choices, now 13). What
comes out is read by `toolreader` and sent on as ordinary OpenAI deltas.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# What llama.cpp's converter understands; everything else in a client's schema is left out of the
# grammar (it still stands in the prompt). `pattern` must be anchored, or the server refuses.
_KEPT = frozenset(
    "type enum const required minItems maxItems minLength maxLength minimum maximum".split()  # noqa: SIM905
)
_DEPTH_MAX = 12


class BadTools(ValueError):
    """The client's tools or tool_choice cannot be carried out. Its text is for the client."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The tools that may be called now, and the name of the answer in words where allowed."""

    tools: tuple[Json, ...]  # {"name", "description", "parameters"} each
    reply: str | None

    @property
    def _offered(self) -> tuple[Json, ...]:
        return self.tools if self.reply is None else (*self.tools, _REPLY | {"name": self.reply})

    @property
    def grammar(self) -> Json:
        """A JSON schema that admits exactly one call, or one reply where that is allowed."""
        return {"anyOf": [_call_schema(tool) for tool in self._offered]}

    @property
    def instructions(self) -> str:
        """What the system prompt says about the tools. The same tools give the same bytes."""
        return "\n".join([_INTRODUCTION, *map(_described, self._offered), _FORMAT])

    @property
    def examples(self) -> list[Json]:
        """Two turns that show when to answer in words, in the exact format."""
        if self.reply is None:
            return []
        turns = []
        for asked, answer in _EXAMPLES:
            turns.append({"role": "user", "content": asked})
            turns.append({"role": "assistant", "content": as_reply(answer, name=self.reply)})
        return turns


_REPLY: Json = {
    "description": "Answer the user in words. For greetings, thanks, jokes, opinions and general "
    "knowledge, and to tell the user a result that is already in the conversation.",
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
    },
}
_REPLY_NAMES = ("reply", "reply_in_words", "reply_to_the_user_in_words")
_INTRODUCTION = (
    "Choose one of these tools for the newest message. Fill arguments only with what the user "
    "said. Write one JSON object.\nTools:"
)
_FORMAT = 'Format: {"tool": NAME, "arguments": {…}}'
_EXAMPLES = (
    ("Hi!", "Hello! How can I help you?"),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci."),
)


def chosen(tools: Sequence[Json], tool_choice: Any) -> Choice | None:
    """The choice that `tools` and `tool_choice` make; None when no tool may be called.

    Raises `BadTools` when they contradict each other or are not of OpenAI's shape.
    """
    functions = tuple(_function(tool) for tool in tools)
    wanted = "auto" if tool_choice is None else tool_choice
    if not functions:
        if wanted in ("none", "auto"):
            return None
        raise BadTools("tool_choice needs tools: send the tools it may choose from")
    if wanted == "none":
        return None
    if wanted in ("auto", "required"):
        return Choice(functions, _free_name(functions) if wanted == "auto" else None)
    name = _name_of(wanted)
    named = tuple(f for f in functions if f["name"] == name)
    if not named:
        raise BadTools(f"tool_choice names {name!r}, which is not among the tools")
    return Choice(named, None)


def _free_name(functions: Sequence[Json]) -> str:
    """A name for the answer in words that no tool of the client has."""
    used = {function["name"] for function in functions}
    return next((name for name in _REPLY_NAMES if name not in used), "_".join(sorted(used)))


def _function(tool: Any) -> Json:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadTools('each tool must be {"type": "function", "function": {"name": …}}')
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        raise BadTools(f"the parameters of {function['name']!r} must be a JSON schema")
    description = str(function.get("description") or "")
    return {"name": function["name"], "description": description, "parameters": parameters}


def _name_of(choice: Any) -> str:
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadTools('tool_choice is "auto", "none", "required" or {"type": "function", …}')
    return str(function["name"])


def _described(tool: Json) -> str:
    schema = json.dumps(tool["parameters"], ensure_ascii=False, separators=(",", ":"))
    return f"- {tool['name']}: {tool['description']} Arguments: {schema}"


def _call_schema(tool: Json) -> Json:
    return {
        "type": "object",
        "properties": {"tool": {"const": tool["name"]}, "arguments": _arguments(tool)},
        "required": ["tool", "arguments"],
        "additionalProperties": False,
    }


def _arguments(tool: Json) -> Json:
    schema = simplified(tool["parameters"], root=tool["parameters"])
    schema.setdefault("type", "object")
    return schema


def simplified(schema: Any, *, root: Json, depth: int = 0) -> Json:
    """The part of a JSON schema that a grammar can enforce, with local references resolved.

    A reference that leads nowhere or too deep, and anything not understood, admits any JSON.
    """
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return {}
    if isinstance(schema.get("$ref"), str):
        return simplified(_resolved(schema["$ref"], root), root=root, depth=depth + 1)
    out: Json = {key: schema[key] for key in schema if key in _KEPT}
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and pattern.startswith("^") and pattern.endswith("$"):
        out["pattern"] = pattern

    def inner(part: Any) -> Json:
        return simplified(part, root=root, depth=depth + 1)

    if isinstance(schema.get("properties"), dict):
        out["properties"] = {k: inner(v) for k, v in schema["properties"].items()}
        extra = schema.get("additionalProperties", False)
        out["additionalProperties"] = inner(extra) if isinstance(extra, dict) else bool(extra)
    if isinstance(schema.get("items"), dict):
        out["items"] = inner(schema["items"])
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            out["anyOf"] = [inner(part) for part in schema[key]]
    if isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
        out |= inner(schema["allOf"][0])
    return out


def _resolved(reference: str, root: Json) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found


def as_call(name: str, arguments: str) -> str:
    """An earlier call as the model would have written it: the format teaches itself."""
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = arguments
    return json.dumps({"tool": name, "arguments": parsed}, ensure_ascii=False)


def as_reply(text: str, *, name: str) -> str:
    """An answer in words, likewise."""
    return json.dumps({"tool": name, "arguments": {"text": text}}, ensure_ascii=False)
