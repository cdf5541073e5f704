"""Errors on the wire: RFC 9457 problem documents, or OpenAI's shape under `/v1`.

The one place where a typed error becomes a status. Nothing else here decides anything.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import metrics
from backend.api import wire
from backend.api.strict import check_text
from backend.errors import AppError, BadRequest, NotFound, PayloadTooLarge, Unprocessable
from backend.ids import new_id

log = structlog.get_logger()
_OPENAI_TYPES = {
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}


def speaks_openai(path: str) -> bool:
    return path == "/v1" or path.startswith("/v1/")


def openai_error(error: AppError) -> dict[str, Any]:
    """`{"error": {message, type, param, code}}`, as every OpenAI SDK expects it."""
    fallback = "server_error" if error.status >= 500 else "invalid_request_error"
    body = {
        "message": error.detail,
        "type": _OPENAI_TYPES.get(error.status, fallback),
        "param": error.param,
        "code": error.specific_code,
    }
    return {"error": body, **error.extra}


def problem(error: AppError) -> dict[str, Any]:
    """RFC 9457: `type, title, status, code, detail` and, where it helps, `errors`."""
    document: dict[str, Any] = {
        "type": f"urn:emptor:problem:{error.specific_code}",
        "title": error.title,
        "status": error.status,
        "code": error.specific_code,
        "detail": error.detail,
    }
    if error.errors:
        document["errors"] = error.errors
    return {**document, **error.extra}


def answer(error: AppError, path: str) -> Response:
    headers = wire.limits(error.extra.get("quota", {})) | error.headers
    if speaks_openai(path):
        return JSONResponse(openai_error(error), error.status, headers=headers)
    return JSONResponse(
        problem(error), error.status, headers, media_type="application/problem+json"
    )


async def _app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return answer(error, request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {"field": ".".join(str(p) for p in e["loc"] if p != "body"), "message": e["msg"]}
        for e in error.errors()[:20]
    ]
    first = found[0] if found else {"field": "", "message": "invalid"}
    detail = f"{first['field']}: {first['message']}".lstrip(": ")
    if speaks_openai(request.url.path):
        return answer(BadRequest(detail, param=first["field"] or None), request.url.path)
    return answer(Unprocessable(detail, errors=found, code="invalid_request"), request.url.path)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    typed: AppError
    if error.status_code == 404:
        typed = NotFound("There is nothing at this address")
    elif error.status_code == 413:
        typed = PayloadTooLarge()
    elif error.status_code == 400:
        typed = BadRequest(str(error.detail))
    else:
        typed = _Other(str(error.detail), headers=error.headers)
        typed.status = error.status_code  # type: ignore[misc]
    return answer(typed, request.url.path)


class _Other(AppError):
    """What the framework refuses itself, such as 405."""

    code = "not_allowed"
    title = "This address does not take that"


def _unexpected(error: Exception, path: str) -> Response:
    log.error("unexpected_error", path=path, exc_info=error)
    return answer(AppError("Our mistake; it is in the log with this request's id"), path)


class RequestIds:
    """Gives every answer an `x-request-id` and every log line of it the same one; counts it.

    So it is also where an error that nobody foresaw ends: further out the framework would answer
    it without the id. One that broke an answer off is only logged, and the server cuts the line.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, begun = new_id("req"), False
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                metrics.answered(scope["path"], message["status"])
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 (nobody is further out who could do better)
            said = _unexpected(error, scope["path"])
            if not begun:
                await said(scope, receive, send_with_id)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")


class PlainlyTooLarge:
    """Says in our shapes what the framework says in plain text: the announced body is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def send_shaped(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413:
                said = Headers(raw=message["headers"]).get("content-type", "")
                replaced = said.startswith("text/plain")
                if replaced:
                    await answer(PayloadTooLarge(), scope["path"])(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, send_shaped)


class ReadableAddress:
    """Refuses an address whose text no row could hold, whichever route it is for: NUL, or bytes
    that are not UTF-8, which is how half a surrogate pair is written there."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _readable(scope):
            await self.app(scope, receive, send)
            return
        error = BadRequest("The address holds text that is not UTF-8, or NUL: leave it out")
        await answer(error, scope["path"])(scope, receive, send)


def _readable(scope: Scope) -> bool:
    path = scope.get("raw_path") or quote(scope["path"]).encode()
    try:
        check_text(unquote_to_bytes(path + b"?" + scope["query_string"]).decode())
    except ValueError:
        return False
    return True


def sse_error(error: AppError) -> str:
    """An error after the stream has begun, as OpenAI's clients read it."""
    return f"data: {json.dumps(openai_error(error))}\n\ndata: [DONE]\n\n"


RESPONSES: Mapping[int | str, dict[str, Any]] = {
    status: {
        "description": "Problem document (RFC 9457)",
        "content": {"application/problem+json": {"schema": {"type": "object"}}},
    }
    for status in (400, 401, 402, 403, 404, 405, 409, 413, 422, 429, 502, 503)
}


def install(app: FastAPI) -> None:
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
