"""What every demo merchant's server does alike: keys, idempotency, errors, faults, pictures.

Idempotency as ACP has it (RFC agentic_checkout §6): a key on every POST, scoped to the path; the
same JSON (key order and 1.0 or 1 do not matter) replays the answer, other JSON is 422, a request
still at work 409; a 5xx is never kept. With `raw_keys` as UCP has it: the same bytes, else 409.
"""

import asyncio
import hashlib
import hmac
import html
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import rfc8785
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from integrations.simulators.faults import Faults, UnknownFault
from integrations.simulators.pictures import draw
from integrations.simulators.store import Clock, Document, Store

BODY_LIMIT = 256 * 1024
Answer = tuple[int, Document]


class Refusal(Exception):
    """A protocol error: status, code and a sentence. `param` is a JSONPath into the request."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        kind = "invalid_request" if status < 500 else "processing_error"
        self.body: Document = {"type": kind, "code": code, "message": message, **more}
        if param:
            self.body["param"] = param


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised POST: its path is the scope of its idempotency key."""

    path: str
    key: str
    body: Document
    request_id: str | None
    raw: bytes = b""


class _Cut(Response):
    """An answer that breaks off: `content` goes out, the rest of its length never comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        length = str(len(self.body) + 100).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


class _Drip(Response):
    """An answer that never quite ends: some bytes a second, for a minute."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for place in range(240):
            piece = self.body[place : place + 1] or b" "
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.25)


class Merchant:
    """Store, clock, faults and key of one demo merchant, and how its requests are answered."""

    def __init__(
        self, name: str, *, home: Path, key: str, base_url: str, raw_keys: bool = False
    ) -> None:
        self.name = name
        self._raw_keys = raw_keys
        # What is told of an order that the staff moved on; the merchant says how.
        self.changed: Callable[[Document], None] = lambda _: None
        self.base_url = base_url
        self.store = Store(home)
        self.clock = Clock()
        self.faults = Faults()
        self._key = key

    def authorise(self, request: Request) -> None:
        sent = request.headers.get("authorization", "")
        if not hmac.compare_digest(sent.encode(), f"Bearer {self._key}".encode()):
            raise Refusal(401, "unauthorized", "Send this merchant's key as a bearer token")

    async def call(self, request: Request) -> Call:
        """The POST's key and body. Raises `Refusal` 400, 401 or 413."""
        self.authorise(request)
        raw = bytearray()
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > BODY_LIMIT:
                raise Refusal(413, "too_large", "The body is larger than 256 KiB")
        try:
            body = json.loads(raw or b"{}")
        except ValueError as error:
            raise Refusal(400, "invalid_json", "The body is not JSON") from error
        if not isinstance(body, dict):
            raise Refusal(400, "invalid_json", "The body is not a JSON object")
        key = request.headers.get("idempotency-key", "")
        if not key:
            raise Refusal(400, "idempotency_key_required", "Send an Idempotency-Key header")
        if len(key) > 255:
            raise Refusal(400, "idempotency_key_invalid", "A key has at most 255 characters")
        return Call(request.url.path, key, body, request.headers.get("request-id"), bytes(raw))

    def once(self, call: Call, operation: str, work: Callable[[], Answer]) -> Response:
        """Do `work` in one transaction, at most once for this key, and answer."""
        fingerprint = self._fingerprint(call)
        if self.faults.strikes("keys_down", operation):
            raise Refusal(503, "idempotency_unavailable", "Keys cannot be kept; nothing was done")
        with self.store.transaction():
            known = self.store.answer(call.path, call.key)
            if known is None:
                self.store.begin_answer(call.path, call.key, fingerprint)
        if known is not None:
            return self._replay(call, operation, fingerprint, known)
        try:
            self._hinder(operation)
            status, text = self._work(call, work)
        except BaseException:
            with self.store.transaction():
                self.store.forget_answer(call.path, call.key)
            raise
        if self.faults.strikes("error_after", operation):
            with self.store.transaction():
                self.store.forget_answer(call.path, call.key)
            raise Refusal(500, "internal_error", "Something went wrong here")
        return self._outgoing(call, operation, status, text)

    def _fingerprint(self, call: Call) -> str:
        if self._raw_keys:
            return hashlib.sha256(call.raw).hexdigest()
        try:
            return hashlib.sha256(rfc8785.dumps(call.body)).hexdigest()
        except rfc8785.CanonicalizationError as error:
            raise Refusal(400, "invalid_json", "A number or a text cannot be read") from error

    def _hinder(self, operation: str) -> None:
        if fault := self.faults.strikes("delay", operation):
            threading.Event().wait(fault.value)
        if self.faults.strikes("error_before", operation):
            raise Refusal(500, "internal_error", "Something went wrong here")
        if self.faults.strikes("redirect", operation):
            raise Refusal(302, "moved", "Somewhere else")

    def _work(self, call: Call, work: Callable[[], Answer]) -> tuple[int, str]:
        try:
            with self.store.transaction():
                status, body = work()
                text = json.dumps(body, ensure_ascii=False)
                self.store.finish_answer(call.path, call.key, status, text)
        except Refusal as refusal:
            if refusal.status >= 500:
                raise
            status, text = refusal.status, json.dumps(refusal.body)
            with self.store.transaction():
                self.store.finish_answer(call.path, call.key, status, text)
        return status, text

    def _replay(
        self,
        call: Call,
        operation: str,
        fingerprint: str,
        known: tuple[str, int | None, str | None],
    ) -> Response:
        first, status, text = known
        if first != fingerprint:
            raise Refusal(
                409 if self._raw_keys else 422,
                "idempotency_conflict",
                "This key was used with a different request body",
            )
        if status is None or text is None:
            raise Refusal(409, "idempotency_in_flight", "The first request is still at work")
        answer = self._outgoing(call, operation, status, text)
        answer.headers["Idempotent-Replayed"] = "true"
        return answer

    def _outgoing(self, call: Call, operation: str, status: int, text: str) -> Response:
        answer = self.spoiled(operation, status, text)
        answer.headers["Idempotency-Key"] = call.key
        if call.request_id:
            answer.headers["Request-Id"] = call.request_id
        return answer

    def spoiled(self, operation: str, status: int, text: str) -> Response:
        """The answer as it leaves, after the faults that touch answers only."""
        if self.faults.strikes("lost_answer", operation):
            return _Cut(b"")
        if self.faults.strikes("truncated", operation):
            return _Cut(text.encode()[: len(text) // 2])
        if self.faults.strikes("huge", operation):
            return Response(text + " " * 2**20, status, media_type="application/json")
        if self.faults.strikes("drip", operation):
            return _Drip(text)
        if self.faults.strikes("html", operation):
            return HTMLResponse("<!doctype html><title>Maintenance</title><p>Back soon.")
        if 200 <= status < 300:
            text = self._bent(operation, text)
        return Response(text, status, media_type="application/json")

    def _bent(self, operation: str, text: str) -> str:
        body = json.loads(text)
        if fault := self.faults.strikes("wrong_totals", operation):
            for total in body.get("totals", []):
                if total["type"] == "total":
                    total["amount"] += int(fault.value) or 1
            if isinstance(body.get("total"), int):
                body["total"] += int(fault.value) or 1
        if self.faults.strikes("wrong_quantity", operation):
            _tenfold((body.get("line_items") or body.get("lines") or [])[:1])
        if self.faults.strikes("unknown_status", operation):
            body["status"] = "awaiting_moonrise"
        if self.faults.strikes("missing_field", operation):
            body.pop("currency", None)
        if self.faults.strikes("other_version", operation) and isinstance(body.get("ucp"), dict):
            body["ucp"]["version"] = "2031-12-31"
        return json.dumps(body, ensure_ascii=False)

    def read(self, operation: str, work: Callable[[], Document]) -> Response:
        """Answer a GET with what `work` finds in one transaction."""
        self._hinder(operation)
        with self.store.transaction():
            body = work()
        return self.spoiled(operation, 200, json.dumps(body, ensure_ascii=False))


def _tenfold(lines: list[Document]) -> None:
    for line in lines:
        if isinstance(line["quantity"], int):  # in an order it may be told in parts
            line["quantity"] *= 10


def merchant_app(merchant: Merchant, pictures: Callable[[str], tuple[str, str] | None]) -> FastAPI:
    """An application with the routes that all demo merchants share.

    `pictures` gives the motif and the caption of an item, or None for an unknown one.
    """
    app = FastAPI(title=merchant.name, openapi_url=None)

    @app.exception_handler(Refusal)
    async def refuse(request: Request, refusal: Refusal) -> JSONResponse:
        headers = {"Retry-After": "1"} if refusal.status == 409 else {}
        if refusal.status == 302:
            headers["Location"] = f"{merchant.base_url}/healthz"
        if sent := request.headers.get("request-id"):
            headers["Request-Id"] = sent
        return JSONResponse(refusal.body, refusal.status, headers)

    @app.get("/healthz")
    def healthz() -> Document:
        return {"status": "ok", "merchant": merchant.name}

    @app.get("/images/{item}.svg")
    def image(item: str) -> Response:
        found = pictures(item)
        if found is None:
            raise Refusal(404, "not_found", "There is no such picture")
        headers = {"Cache-Control": "public, max-age=3600"}
        return Response(draw(item, *found), media_type="image/svg+xml", headers=headers)

    @app.get("/o/{order_id}")
    def receipt(order_id: str) -> HTMLResponse:
        """The page that `permalink_url` leads to. It says nothing about the buyer."""
        with merchant.store.transaction():
            order = merchant.store.get("order", order_id)
        if order is None:
            raise Refusal(404, "not_found", "There is no such order")
        name, number, state = map(html.escape, (merchant.name, order_id, str(order["status"])))
        return HTMLResponse(f"<!doctype html><title>{name}</title><h1>{name}</h1>{number}: {state}")

    _switches(app, merchant)
    return app


def _switches(app: FastAPI, merchant: Merchant) -> None:
    """Routes under /_sim for tests: faults, the clock, and what really happened."""
    authorised = [Depends(merchant.authorise)]

    @app.post("/_sim/faults", dependencies=authorised)
    def set_faults(body: Annotated[Document, Depends(json_body)]) -> Document:
        try:
            merchant.faults.replace(body.get("faults", []))
        except UnknownFault as error:
            raise Refusal(400, "unknown_fault", str(error)) from error
        return {"faults": merchant.faults.listed()}

    @app.get("/_sim/faults", dependencies=authorised)
    def get_faults() -> Document:
        return {"faults": merchant.faults.listed()}

    @app.post("/_sim/clock", dependencies=authorised)
    def advance(body: Annotated[Document, Depends(json_body)]) -> Document:
        merchant.clock.advance(float(body.get("advance_s", 0)))
        return {"now": merchant.clock.now().isoformat()}

    @app.get("/_sim/orders", dependencies=authorised)
    def orders() -> Document:
        with merchant.store.transaction():
            return {"data": merchant.store.every("order")}

    @app.post("/_sim/orders/{order_id}", dependencies=authorised)
    def set_status(order_id: str, body: Annotated[Document, Depends(json_body)]) -> Document:
        """Move an order on, as the merchant's staff would: `{"status": "shipped"}`."""
        with merchant.store.transaction():
            order = merchant.store.get("order", order_id)
            if order is None:
                raise Refusal(404, "not_found", "There is no such order")
            order["status"] = str(body.get("status", order["status"]))
            merchant.store.put("order", order_id, order)
        merchant.changed(order)
        return order


async def json_body(request: Request) -> Document:
    """The body of a request that has no idempotency key. Raises `Refusal` 400."""
    try:
        body = await request.json()
    except ValueError as error:
        raise Refusal(400, "invalid_json", "The body is not JSON") from error
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body is not a JSON object")
    return body
