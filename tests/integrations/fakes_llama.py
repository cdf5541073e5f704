"""A stand-in for llama.cpp: says what it is told to, slowly if asked, and notices leavers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from integrations.embedded.roster import Unavailable


@dataclass
class FakeLlama:
    """`pieces` are streamed one by one with `pause_s` between; `break_after` cuts the stream."""

    pieces: list[str] = field(default_factory=lambda: ["Hel", "lo"])
    pause_s: float = 0.0
    break_after: int | None = None
    refusal: tuple[int, dict[str, Any]] | None = None
    finish: str = "stop"
    requests: list[dict[str, Any]] = field(default_factory=list)
    streaming: int = 0
    left: int = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions", response_model=None)
        async def complete(request: Request) -> Response:
            self.requests.append(await request.json())
            if self.refusal is not None:
                return JSONResponse({"error": self.refusal[1]}, self.refusal[0])
            return StreamingResponse(self._stream(), media_type="text/event-stream")

        return app

    async def _stream(self) -> AsyncIterator[str]:
        self.streaming += 1
        done = False
        try:
            yield _line({"role": "assistant", "content": None}, prompt_progress={"processed": 1})
            yield _line({"role": "assistant", "content": None})
            for number, piece in enumerate(self.pieces):
                if number == self.break_after:
                    yield 'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
                    return
                await asyncio.sleep(self.pause_s)
                yield _line({"content": piece})
            yield _line({}, finish=self.finish)
            usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
            yield f"data: {json.dumps({'choices': [], 'usage': usage, 'id': 'chatcmpl-1'})}\n\n"
            yield "data: [DONE]\n\n"
            done = True
        finally:
            self.streaming -= 1
            self.left += not done


def _line(delta: dict[str, Any], *, finish: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {
        "id": "chatcmpl-1",
        "created": 1,
        "object": "chat.completion.chunk",
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk | more)}\n\n"


class FakeRoster:
    """Lends the stand-in; `missing` makes it unavailable as the real roster would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.missing: Unavailable | None = None

    async def run(self) -> None:
        await asyncio.Event().wait()

    def health(self) -> dict[str, Any]:
        models = [
            {"id": alias, "context_window": 8192, "answered_by": "emptor-local"}
            for alias in ("emptor-local", "emptor-local-mini")
        ]
        return {"status": "ready", "models": models}

    @asynccontextmanager
    async def serving(self, _alias: str) -> AsyncIterator[tuple[str, str]]:
        if self.missing is not None:
            raise self.missing
        yield "emptor-local", self.url
