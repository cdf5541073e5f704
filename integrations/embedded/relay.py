"""One answer from llama.cpp to the client, chunk by chunk, with tool calls put into OpenAI's shape.

Closing the stream to llama.cpp is what stops it, so every answer is streamed to us, also when the
client asked for one document.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator

import httpx

from integrations.embedded.toolcalls import Choice, Json
from integrations.embedded.toolreader import ToolReader, answered

DATA = "data: "


class UpstreamError(Exception):
    """llama.cpp refused or broke off. `status` and `error` are what the client gets."""

    def __init__(self, status: int, error: Json) -> None:
        super().__init__(str(error.get("message") or "the model server failed"))
        self.status = status
        self.error = error


async def chunks(
    client: httpx.AsyncClient, url: str, request: Json, *, answering: str, choice: Choice | None
) -> AsyncGenerator[Json, None]:
    """OpenAI chunks of one answer; the last has the usage only. Raises `UpstreamError`."""
    reader = ToolReader(choice.reply) if choice else None
    try:
        async with client.stream("POST", f"{url}/v1/chat/completions", json=request) as answer:
            if answer.status_code != 200:
                raise _refusal(answer.status_code, await answer.aread())
            async for line in answer.aiter_lines():
                if not line.startswith(DATA) or line == f"{DATA}[DONE]":
                    continue
                chunk = json.loads(line.removeprefix(DATA))
                if "error" in chunk:
                    raise UpstreamError(502, _error(str(chunk["error"].get("message"))))
                if "prompt_progress" in chunk:
                    continue
                chunk.pop("timings", None)
                for ready in _translated(chunk | {"model": answering}, reader):
                    yield ready
    except httpx.HTTPError as error:
        raise UpstreamError(502, _error("the model server broke off; try again")) from error


def _refusal(status: int, body: bytes) -> UpstreamError:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return UpstreamError(502, _error(f"the model server answers {status}"))
    if error.get("type") == "exceed_context_size_error":
        detail = f"The conversation has {error.get('n_prompt_tokens')} tokens; "
        detail += f"this model reads {error.get('n_ctx')}. Shorten it."
        kind = "invalid_request_error"
        return UpstreamError(400, _error(detail, kind=kind, code="context_length_exceeded"))
    if status < 500:
        return UpstreamError(400, _error(str(error.get("message")), kind="invalid_request_error"))
    code = "model_loading" if status == 503 else "model_failed"
    return UpstreamError(
        503 if status == 503 else 502, _error(str(error.get("message")), code=code)
    )


def _error(detail: str, *, kind: str = "server_error", code: str = "model_failed") -> Json:
    return {"message": detail, "type": kind, "param": None, "code": code}


def _translated(chunk: Json, reader: ToolReader | None) -> Iterable[Json]:
    """The chunks that a client gets for one of llama.cpp's."""
    if reader is None or not chunk.get("choices"):
        return [chunk]
    return _with_tools(chunk, reader)


def _with_tools(chunk: Json, reader: ToolReader) -> Iterator[Json]:
    head = chunk["choices"][0]
    delta, finish = head.get("delta") or {}, head.get("finish_reason")
    if delta.get("role"):
        yield _chunk(chunk, {"role": delta["role"], "content": None})
    for piece in reader.feed(delta.get("content") or ""):
        yield _chunk(chunk, piece)
    if finish is not None:
        if reader.called and reader.complete:
            finish = "tool_calls"
        yield _chunk(chunk, {}, finish)


def _chunk(chunk: Json, delta: Json, finish: str | None = None) -> Json:
    return chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


async def document(stream: AsyncIterator[Json]) -> Json:
    """The chunks of one answer as OpenAI's `chat.completion`."""
    deltas: list[Json] = []
    whole: Json = {}
    logprobs: list[Json] = []
    finish, usage = "stop", None
    async for chunk in stream:
        whole = whole or chunk
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", ()):
            deltas.append(choice.get("delta") or {})
            finish = choice.get("finish_reason") or finish
            logprobs += (choice.get("logprobs") or {}).get("content") or []
    choice = {"index": 0, "message": answered(deltas), "finish_reason": finish}
    choice["logprobs"] = {"content": logprobs} if logprobs else None
    kept = {key: whole[key] for key in ("id", "created", "model") if key in whole}
    return kept | {"object": "chat.completion", "choices": [choice], "usage": usage}


async def events(stream: AsyncIterator[Json], *, include_usage: bool) -> AsyncIterator[bytes]:
    """The chunks as server-sent events. A failure on the way is an event too, and then the end."""
    try:
        async for chunk in stream:
            if chunk.get("choices") or include_usage:
                yield _event(chunk)
    except UpstreamError as error:
        yield _event({"error": error.error})
        return
    yield f"{DATA}[DONE]\n\n".encode()


def _event(document: Json) -> bytes:
    return f"{DATA}{json.dumps(document, ensure_ascii=False)}\n\n".encode()
