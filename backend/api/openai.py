"""`/v1`: any OpenAI client, unchanged. Chunks leave as the model makes them.

The response starts only when the first piece of the answer is there, so that everything that can
go wrong before it still has its own status code.
"""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from backend import legacy
from backend import turn as turns
from backend.api import wire
from backend.api.completion import Completion
from backend.api.events import STREAM_HEADERS
from backend.api.guests import speaker
from backend.api.leaving import unless_left
from backend.api.problems import sse_error
from backend.auth import UserKey, user_key
from backend.chat import play
from backend.errors import AppError, ModelFailed
from backend.streams import Streamed
from backend.turn import Chat, Closed, Opened, TurnEvent
from graphs.state import Called, Routed, TextDelta, ToolCallDelta

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": "OpenAI's error object", "content": {"application/json": {}}}
    for status in (400, 401, 403, 404, 405, 413, 422, 429, 502, 503)
}
router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"], responses=ERRORS)
CREATED = 1_767_225_600  # the catalogue's own birthday; models here have no other


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "emptor"}


@router.get("/models", dependencies=[Depends(user_key)])
async def list_models(request: Request) -> dict[str, Any]:
    """`auto` is routed; every other id pins that model, if the plan allows it."""
    chat: Chat = request.app.state.chat
    names = ["auto", *chat.seats.listed()]
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/models/{model_id}", dependencies=[Depends(user_key)])
async def retrieve_model(model_id: str, request: Request, response: Response) -> dict[str, Any]:
    """One that retires says when, and which comes after it, in its headers."""
    chat: Chat = request.app.state.chat
    chat.seats.known(model_id)
    response.headers.update(legacy.headers(chat.seats, model_id))
    return _model(model_id)


@router.post(
    "/chat/completions",
    response_model=None,
    responses={
        200: {
            "description": "A completion, or a stream of chunks",
            "content": {"application/json": {}, "text/event-stream": {}},
        },
    },
)
async def create_completion(body: Completion, request: Request, who: UserKey) -> Response:
    """Routed or pinned, streamed or whole. The answer's `model` is the one that truly answered."""
    chat: Chat = request.app.state.chat
    user = await speaker(request, who)
    asked = turns.Request(
        user=user,
        surface="openai",
        messages=tuple(m.for_model() for m in body.messages),
        model=body.model,
        effort=body.effort,
        tools=tuple(t.model_dump(exclude_unset=True) for t in body.tools or ()),
        tool_choice=body.choice,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        stop=body.stops,
        response_format=body.format,
    )
    answer = Answer(body, play(chat, asked))
    await unless_left(request, answer.begin())
    said = wire.headers(answer.routed) | legacy.headers(chat.seats, body.model)
    if not body.stream:
        return JSONResponse(await unless_left(request, answer.whole()), headers=said)
    return Streamed(answer.chunks(), media_type="text/event-stream", headers=STREAM_HEADERS | said)


class Answer:
    """One completion in OpenAI's words, made from a turn's events."""

    def __init__(self, body: Completion, events: AsyncGenerator[TurnEvent, None]) -> None:
        self.body = body
        self.events = events
        self.first: TurnEvent | None = None
        self.id = ""
        self.created = int(time.time())
        self.routed: Routed

    async def begin(self) -> None:
        """Up to the first visible piece: what fails until here has a status of its own."""
        async for event in self.events:
            if isinstance(event, Opened):
                self.id = "chatcmpl-" + event.turn_id.removeprefix("trn_")
            elif isinstance(event, Routed):
                self.routed = event
            elif not isinstance(event, Called):  # a judge was called, say: that is no answer yet
                self.first = event
                return
        raise ModelFailed("The model ended without an answer; nothing was charged")

    async def _rest(self) -> AsyncGenerator[TurnEvent, None]:
        # A generator that a reader drops must pass the news on, so that the model is freed.
        async with aclosing(self.events) as events:
            if self.first is not None:
                yield self.first
            async for event in events:
                yield event

    def _route(self) -> dict[str, Any]:
        return wire.route_json(self.routed, self.body.model)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        chunk = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.routed.admission.model,
            "choices": [choice],
            **more,
        }
        return _sse(chunk)

    async def chunks(self) -> AsyncGenerator[str, None]:
        """Server-sent events. An error after the start is an event, then `[DONE]`."""
        yield self._chunk({"role": "assistant", "content": ""}, route=self._route())
        try:
            async with aclosing(self._rest()) as rest:
                async for event in rest:
                    if (delta := _delta(event)) is not None:
                        yield self._chunk(delta)
                    elif isinstance(event, Closed):
                        for line in self._end(event):
                            yield line
        except AppError as error:
            yield sse_error(error)

    def _end(self, closed: Closed) -> list[str]:
        lines = [self._chunk({}, closed.reason, quota=closed.quota)]
        if self.body.stream_options and self.body.stream_options.include_usage:
            usage = {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": self.created,
                "model": self.routed.admission.model,
                "choices": [],
                "usage": _usage(closed),
            }
            lines.append(_sse(usage))
        return [*lines, "data: [DONE]\n\n"]

    async def whole(self) -> dict[str, Any]:
        text: list[str] = []
        calls: dict[int, dict[str, Any]] = {}
        closed: Closed | None = None
        async with aclosing(self._rest()) as rest:
            async for event in rest:
                match event:
                    case TextDelta():
                        text.append(event.text)
                    case ToolCallDelta():
                        _collect(calls, event)
                    case Closed():
                        closed = event
        assert closed is not None
        message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or None}
        if calls:
            message["tool_calls"] = [calls[i] for i in sorted(calls)]
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.routed.admission.model,
            "choices": [
                {"index": 0, "message": message, "finish_reason": closed.reason, "logprobs": None}
            ],
            "usage": _usage(closed),
            "route": self._route(),
            "quota": closed.quota,
        }


def _sse(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _delta(event: TurnEvent) -> dict[str, Any] | None:
    match event:
        case TextDelta():
            return {"content": event.text}
        case ToolCallDelta():
            function: dict[str, Any] = {"arguments": event.arguments}
            piece: dict[str, Any] = {"index": event.index, "function": function}
            if event.id:
                piece |= {"id": event.id, "type": "function"}
                function["name"] = event.name
            return {"tool_calls": [piece]}
    return None


def _collect(calls: dict[int, dict[str, Any]], piece: ToolCallDelta) -> None:
    call = calls.setdefault(
        piece.index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    )
    call["id"] = piece.id or call["id"]
    call["function"]["name"] = piece.name or call["function"]["name"]
    call["function"]["arguments"] += piece.arguments


def _usage(closed: Closed) -> dict[str, Any]:
    used = closed.usage
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
        "emptor": closed.cost_json(),
    }
