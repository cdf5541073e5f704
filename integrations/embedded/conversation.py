"""An OpenAI request as this small model can use it: plain roles, plain text, one system prompt.

The chat template of these models drops tool messages or shows them in a form that the model
ignores. Rewritten as words of the user ("Result of get_weather: …") they are used.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from integrations.embedded.toolcalls import Choice, Json, as_call, as_reply, chosen

# Passed on as they are. Everything else a client may send has no meaning for this model.
_PASSED = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "grammar",
)
_AFTER_RESULT = "Use this to answer my message above."


class BadRequest(ValueError):
    """The request cannot be carried out. Its text is for the client; `param` names the field."""

    def __init__(self, detail: str, *, param: str | None = None) -> None:
        super().__init__(detail)
        self.param = param


def upstream(body: Json, *, token_cap: int) -> tuple[Json, Choice | None]:
    """llama.cpp's request for a client's request, and the tool choice that rules its answer.

    Raises `BadRequest` or `toolcalls.BadTools`. The answer is always streamed to us: closing that
    stream is what stops the model.
    """
    if body.get("n") not in (None, 1):
        raise BadRequest("this model gives one answer at a time: leave n out", param="n")
    choice = chosen(_list(body, "tools"), body.get("tool_choice"))
    request: Json = {key: body[key] for key in _PASSED if body.get(key) is not None}
    request |= {
        "messages": rewritten(_list(body, "messages"), choice),
        "max_tokens": _tokens(body, cap=token_cap),
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": True,
        # While it reads a prompt llama.cpp notices a closed stream only when it writes: so it is
        # asked to report after each batch. `relay` drops those reports.
        "return_progress": True,
    }
    if choice is not None:
        request.pop("grammar", None)
        schema = {"name": "call", "schema": choice.grammar, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    return request, choice


def _list(body: Json, key: str) -> list[Any]:
    value = body.get(key)
    if value is None and key != "messages":
        return []
    if not isinstance(value, list) or (key == "messages" and not value):
        raise BadRequest(f"{key} must be a list that is not empty", param=key)
    return value


def _tokens(body: Json, *, cap: int) -> int:
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or cap
    if type(asked) is not int or asked < 1:
        raise BadRequest("max_tokens must be a whole number above 0", param="max_tokens")
    return min(asked, cap)


def rewritten(messages: Sequence[Any], choice: Choice | None) -> list[Json]:
    """The conversation in the roles system, user and assistant, each with plain text."""
    names = _call_names(messages)
    system: list[str] = []
    turns: list[Json] = []
    for message in messages:
        if not isinstance(message, dict):
            raise BadRequest("each message must be an object", param="messages")
        role, text = message.get("role"), _text(message.get("content"))
        if role in ("system", "developer"):
            system.append(text)
        elif role == "user":
            turns.append({"role": "user", "content": text})
        elif role == "assistant":
            turns.append({"role": "assistant", "content": _spoken(message, text, choice)})
        elif role == "tool":
            _add_result(turns, names.get(message.get("tool_call_id"), "the tool"), text)
        else:
            raise BadRequest(f"role {role!r} is not known", param="messages")
    if turns and turns[-1].pop("result", None):
        turns[-1]["content"] += f"\n{_AFTER_RESULT}"
    for turn in turns:
        turn.pop("result", None)
    if choice is not None:
        system.append(choice.instructions)
        turns = [*choice.examples, *turns]
    return [{"role": "system", "content": "\n\n".join(system)}, *turns] if system else turns


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise BadRequest("content must be text or a list of parts", param="messages")
    parts = []
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise BadRequest("this model reads text only", param="messages")
        parts.append(part["text"])
    return "\n".join(parts)


def _calls(message: Json) -> Iterable[Json]:
    for call in message.get("tool_calls") or ():
        if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
            raise BadRequest("tool_calls must be of OpenAI's shape", param="messages")
        yield call


def _call_names(messages: Sequence[Any]) -> dict[Any, str]:
    said = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
    return {c.get("id"): str(c["function"].get("name")) for m in said for c in _calls(m)}


def _spoken(message: Json, text: str, choice: Choice | None) -> str:
    """What the assistant said. With tools in play it stands in the format that it must keep."""
    calls = [
        as_call(str(call["function"].get("name")), str(call["function"].get("arguments") or ""))
        for call in _calls(message)
    ]
    if choice is not None and choice.reply and not calls:
        return as_reply(text, name=choice.reply)
    return "\n".join([*([text] if text else []), *calls])


def _add_result(turns: list[Json], name: str, text: str) -> None:
    """A tool's result as words of the user; several in a row make one message."""
    line = f"Result of {name}: {text}"
    if turns and turns[-1].get("result"):
        turns[-1]["content"] += f"\n{line}"
    else:
        turns.append({"role": "user", "content": line, "result": True})
