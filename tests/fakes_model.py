"""A model server with behaviour: OpenAI's wire format, scripted answers, faults on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


@dataclass
class FakeModel:
    """`reply(body) -> str` decides what is said. Every request body is kept in `asked`."""

    reply: Callable[[dict[str, Any]], str] = field(
        default=lambda body: f"I am {body['model']} and I heard you."
    )
    asked: list[dict[str, Any]] = field(default_factory=list)
    active: int = 0
    cancelled: int = 0
    fail_status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)  # of a failure
    failing: dict[str, int] = field(default_factory=dict)  # status by model
    silent: set[str] = field(default_factory=set)  # models that open and never say a word
    broken: set[str] = field(default_factory=set)  # models that break off after a word
    break_after: int | None = None
    pause_s: float = 0.0
    without_usage: bool = False
    usage: dict[str, Any] | None = None
    finish: str | None = "stop"  # None: it stops without a word
    raw: str | None = None  # sent as it is, instead of an answer
    tool_call: dict[str, Any] | None = None

    def app(self) -> FastAPI:
        app = FastAPI()
        app.get("/health")(self._health)
        app.post("/v1/chat/completions")(self._complete)
        return app

    async def _health(self) -> dict[str, str]:
        return {"status": "ready"}

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        status = self.failing.get(body["model"], self.fail_status)
        if status is not None:
            error = {"message": "scripted failure", "type": "server_error", "code": None}
            return JSONResponse({"error": error}, status, self.headers)
        if self.raw is not None:
            return Response(self.raw, media_type="text/event-stream")
        return StreamingResponse(self._stream(body), media_type="text/event-stream")

    async def _stream(self, body: dict[str, Any]) -> AsyncIterator[str]:
        self.active += 1
        sent = 0
        try:
            words = self.reply(body).split(" ")
            if self.tool_call and body.get("tools"):
                for delta in self._tool_deltas():
                    yield _chunk(body, delta)
                yield _chunk(body, {}, "tool_calls")
            else:
                yield _chunk(body, {"role": "assistant", "content": ""})
                if body["model"] in self.silent:
                    await asyncio.Event().wait()
                for i, word in enumerate(words):
                    after = 1 if body["model"] in self.broken else self.break_after
                    if after is not None and sent >= after:
                        yield 'data: {"error": {"message": "it broke", "type": "server_error"}}\n\n'
                        return
                    yield _chunk(body, {"content": word if i == 0 else f" {word}"})
                    sent += 1
                    await asyncio.sleep(self.pause_s)
                yield _chunk(body, {}, self.finish)
            if not self.without_usage:
                used = {"prompt_tokens": 10, "completion_tokens": len(words)}
                used["total_tokens"] = sum(used.values())
                used |= self.usage or {}
                yield _chunk(body, None, usage=used)
            yield "data: [DONE]\n\n"
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.active -= 1

    def _tool_deltas(self) -> list[dict[str, Any]]:
        call = self.tool_call or {}
        arguments = json.dumps(call["arguments"])
        head = {"name": call["name"], "arguments": ""}
        first = {"index": 0, "id": "call_1", "type": "function", "function": head}
        half = len(arguments) // 2
        rest = [
            {"index": 0, "function": {"arguments": a}} for a in (arguments[:half], arguments[half:])
        ]
        return [{"role": "assistant", "tool_calls": [first]}, *({"tool_calls": [r]} for r in rest)]


def _chunk(
    body: dict[str, Any], delta: dict[str, Any] | None, finish: str | None = None, **more: Any
) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": body["model"],
        "choices": choices,
        **more,
    }
    return f"data: {json.dumps(chunk)}\n\n"
