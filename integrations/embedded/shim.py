"""The local model as an OpenAI-compatible endpoint on loopback.

It is the only way to the local model, so that local and cloud models have one client path. It
adds what llama.cpp lacks here: tool calls that hold, a short queue, a token cap, an honest
`/health`, and a client's disconnect that frees the model.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from integrations.embedded.conversation import BadRequest, upstream
from integrations.embedded.gate import Busy, Gate
from integrations.embedded.relay import UpstreamError, chunks, document, events
from integrations.embedded.roster import Roster, Unavailable
from integrations.embedded.toolcalls import BadTools, Choice, Json
from integrations.embedded.weights import OFFICIAL
from integrations.tls import roots

TOKEN_CAP = 1024
BODY_BYTES_MAX = 1_048_576
ALIASES = tuple(weights.alias for weights in OFFICIAL)


def model_client() -> httpx.AsyncClient:
    """For calls to llama.cpp, which may read a long prompt for minutes before its first word."""
    return httpx.AsyncClient(
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=httpx.Timeout(10, read=300, pool=None),
        verify=roots(),
        trust_env=False,
    )


def create_shim(roster: Roster, gate: Gate, client: httpx.AsyncClient) -> FastAPI:
    """The app; it runs the roster as long as it lives."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(roster.run(), name="roster")
        yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    app = FastAPI(title="Emptor's local model", lifespan=lifespan, max_body_size=BODY_BYTES_MAX)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return roster.health() | {"running": gate.running, "waiting": gate.waiting}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_listed(model) for model in roster.health()["models"]]}

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        try:
            return Completion(await _body(request), roster, gate, client)
        except (BadRequest, BadTools) as error:
            return refused(400, str(error), param=getattr(error, "param", None))

    return app


def _listed(model: Json) -> Json:
    kept = {key: model[key] for key in ("id", "context_window", "answered_by")}
    return kept | {"object": "model", "created": 0, "owned_by": "emptor"}


async def _body(request: Request) -> Json:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def refused(
    status: int,
    detail: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    retry_after_s: int | None = None,
) -> Response:
    """An error in OpenAI's shape."""
    error = {"message": detail, "type": kind, "param": param, "code": code}
    headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return JSONResponse({"error": error}, status, headers)


class Completion(Response):
    """One answer. Whatever it is doing, it stops when the client goes: queueing, reading, writing.

    Raises `BadRequest` or `BadTools` when made of a request that cannot be carried out.
    """

    def __init__(self, body: Json, roster: Roster, gate: Gate, client: httpx.AsyncClient) -> None:
        super().__init__()
        self._alias = body.get("model")
        self._stream = body.get("stream") is True
        options = body.get("stream_options") or {}
        self._usage = isinstance(options, dict) and options.get("include_usage") is True
        self._request, self._choice = upstream(body, token_cap=TOKEN_CAP)
        self._roster, self._gate, self._client = roster, gate, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = asyncio.create_task(self._answer(scope, receive, send), name="answer")
        gone = asyncio.create_task(_gone(receive), name="gone")
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answer, gone):
                task.cancel()
            results = await asyncio.gather(answer, gone, return_exceptions=True)
        if isinstance(results[0], Exception) and not isinstance(results[0], OSError):
            raise results[0]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with AsyncExitStack() as held:
                stream = await self._begin(held)
                if self._stream:
                    await self._send_events(stream, send)
                    return
                response: Response = JSONResponse(await document(stream))
        except Busy as busy:
            code = "rate_limit_exceeded"
            response = refused(
                429, str(busy), kind=code, code=code, retry_after_s=busy.retry_after_s
            )
        except Unavailable as error:
            response = refused(
                503,
                str(error),
                kind="server_error",
                code=error.code,
                retry_after_s=error.retry_after_s,
            )
        except UpstreamError as error:
            response = JSONResponse({"error": error.error}, error.status)
        except UnknownModel as error:
            response = refused(404, str(error), code="model_not_found", param="model")
        await response(scope, receive, send)

    async def _begin(self, held: AsyncExitStack) -> AsyncIterator[Json]:
        """Takes a place, then the model, then its first chunk: up to here an error has a status."""
        if self._alias not in ALIASES:
            raise UnknownModel(f"there is no model {self._alias!r}; there are {', '.join(ALIASES)}")
        await held.enter_async_context(self._gate.place())
        answering, url = await held.enter_async_context(self._roster.serving(self._alias))
        request = self._request | {"model": answering}
        choice: Choice | None = self._choice
        opened = chunks(self._client, url, request, answering=answering, choice=choice)
        stream = await held.enter_async_context(aclosing(opened))
        first = await anext(stream, None)
        return _again(first, stream)

    async def _send_events(self, stream: AsyncIterator[Json], send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for event in events(stream, include_usage=self._usage):
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class UnknownModel(Exception):
    """The request names a model that is not ours."""


async def _again(first: Json | None, rest: AsyncIterator[Json]) -> AsyncIterator[Json]:
    if first is not None:
        yield first
    async for chunk in rest:
        yield chunk


async def _gone(receive: Receive) -> None:
    """Ends when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
