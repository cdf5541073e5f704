"""The HTTP side: form parameters in, idempotency, planned faults, errors in Stripe's shape out."""

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from integrations.simulators.stripe import disputes, intents, routes, subscriptions, webhooks
from integrations.simulators.stripe.faults import Fault, FaultError, Faults
from integrations.simulators.stripe.pages import Pages
from integrations.simulators.stripe.rules import ApiError
from integrations.simulators.stripe.store import Answer, fresh_id
from integrations.simulators.stripe.world import World, shown

_NAME = re.compile(r"\[([^\[\]]*)\]")


class Cut(Response):
    """An answer that begins and never comes: the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        headers = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class Server:
    """One request at a time changes the world; `_busy` holds the keys that are at work."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pages = Pages(world)
        self.faults = Faults()
        self._busy: set[str] = set()

    def app(self) -> Starlette:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            courier = asyncio.create_task(webhooks.deliver_forever(self.world))
            yield
            courier.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await courier
            self.world.store.close()

        return Starlette(
            lifespan=lifespan,
            routes=[
                Route("/v1/{rest:path}", self.api, methods=["GET", "POST", "DELETE"]),
                Route("/_sim/payment_intents", self.dump, methods=["GET"]),
                Route("/_sim/payment_intents/{id}/authenticate", self.act, methods=["POST"]),
                Route("/_sim/payment_intents/{id}/expire", self.act, methods=["POST"]),
                Route("/_sim/payment_intents/{id}/dispute", self.dispute, methods=["POST"]),
                Route("/_sim/disputes/{id}/close", self.dispute, methods=["POST"]),
                Route("/_sim/subscriptions/{id}/{act}", self.pass_time, methods=["POST"]),
                Route("/_sim/authenticate/{id}", self.pages.bank, methods=["GET", "POST"]),
                Route("/_sim/checkout/{id}", self.pages.checkout, methods=["GET", "POST"]),
                Route("/_sim/portal/{id}", self.pages.portal, methods=["GET", "POST"]),
                Route("/_sim/faults", self.plan, methods=["GET", "POST", "DELETE"]),
                Route("/_sim/webhooks", self.hook, methods=["GET", "POST"]),
            ],
        )

    async def api(self, request: Request) -> Response:
        params = _nested(await request.body() if request.method == "POST" else request.url.query)
        headers = {"request-id": fresh_id("req"), "stripe-version": "2026-10-28.endive"}
        path, method = request.url.path, request.method
        key = request.headers.get("idempotency-key") if method == "POST" else None
        try:
            _authorised(request)
            self._claim(key)
            try:
                return await self._carry_out(method, path, params, key, headers)
            finally:
                self._busy.discard(key or "")
        except ApiError as error:
            return JSONResponse(error.body, status_code=error.status, headers=headers)

    def _claim(self, key: str | None) -> None:
        if key is None:
            return
        if key in self._busy:
            raise ApiError(
                "There is currently another in-progress request using this Idempotent Key.",
                status=409,
                code="idempotency_key_in_use",
                type_="idempotency_error",
            )
        self._busy.add(key)

    async def _carry_out(
        self,
        method: str,
        path: str,
        params: dict[str, Any],
        key: str | None,
        headers: dict[str, str],
    ) -> Response:
        fault = self.faults.next(method, path)
        if fault is not None and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        answer, replayed = await asyncio.to_thread(
            self._locked, method, path, params, key, headers["request-id"], fault
        )
        if fault is not None and fault.kind in ("cut_before", "cut_after"):
            return Cut()
        if replayed:
            headers["idempotent-replayed"] = "true"
        if key is not None:
            headers["idempotency-key"] = key
        return Response(answer.body, answer.status, headers=headers, media_type="application/json")

    def _locked(
        self,
        method: str,
        path: str,
        params: dict[str, Any],
        key: str | None,
        request_id: str,
        fault: Fault | None,
    ) -> tuple[Answer, bool]:
        """The effect and the answer that its key remembers are one transaction."""
        print_ = hashlib.sha256(json.dumps([method, path, params]).encode()).hexdigest()
        store = self.world.store
        with store.transaction():
            known = store.answer(key) if key is not None else None
            if known is not None:
                if known.request != print_:
                    raise ApiError(
                        "Keys for idempotent requests can only be used with the same parameters"
                        " they were first used with.",
                        type_="idempotency_error",
                    )
                return known, True
            self.world.request = {"id": request_id, "idempotency_key": key}
            answer, keep = self._effect(method, path, params, print_, fault)
            if key is not None and keep:
                store.remember(key, answer)
            return answer, False

    def _effect(
        self, method: str, path: str, params: dict[str, Any], print_: str, fault: Fault | None
    ) -> tuple[Answer, bool]:
        """→ the answer, and whether its key remembers it: refused parameters are not remembered."""
        if fault is not None and fault.before:
            return _misfortune(fault, print_), fault.stored is True
        self.world.store.mark()
        try:
            route, named = routes.find(method, path)
            expand = params.pop("expand", [])
            thing = route(self.world, params, **named)
            body = self.world.expand(thing, expand if isinstance(expand, list) else [expand])
        except ApiError as error:
            if not error.keep:
                self.world.store.rewind()
            return Answer(print_, error.status, json.dumps(error.body)), error.keep
        if fault is not None and fault.kind == "error_after":
            return _misfortune(fault, print_), fault.stored is not False
        return Answer(print_, 200, json.dumps(body)), True

    async def dump(self, request: Request) -> Response:
        """Every intent with its charge and what hangs on it, oldest first: for tests."""
        wanted = request.query_params.get("purchase_id")
        return JSONResponse({"data": await asyncio.to_thread(self._dump, wanted)})

    def _dump(self, purchase_id: str | None) -> list[Any]:
        world = self.world
        with world.store.transaction():
            found = reversed(world.store.newest("payment_intent"))
            return [
                world.expand(i, ["latest_charge.application_fee"] if i["latest_charge"] else [])
                for i in found
                if purchase_id is None or i["metadata"].get("purchase_id") == purchase_id
            ]

    async def act(self, request: Request) -> Response:
        given = json.loads(await request.body() or b"{}")
        passed = given.get("outcome", "success") == "success"
        expire = request.url.path.endswith("/expire")
        try:
            done = await asyncio.to_thread(
                self._act, request.path_params["id"], passed=passed, expire=expire
            )
        except ApiError as error:
            return JSONResponse(error.body, status_code=error.status)
        return JSONResponse(shown(done))

    def _act(self, id_: str, *, passed: bool, expire: bool = False) -> dict[str, Any]:
        with self.world.store.transaction():
            if not expire:
                return intents.authenticate(self.world, id_, passed=passed)
            intent = self.world.need("payment_intent", id_)
            if intent["status"] != "requires_capture":
                raise ApiError("Only a block that waits for its capture runs out.")
            return intents.release(self.world, intent, "automatic")

    async def dispute(self, request: Request) -> Response:
        """Opened with `{"amount"?, "inquiry"?}`; closed with `{"status": "won" | "lost" | …}`."""
        given = json.loads(await request.body() or b"{}")
        try:
            done = await asyncio.to_thread(self._dispute, request.path_params["id"], given)
        except ApiError as error:
            return JSONResponse(error.body, status_code=error.status)
        return JSONResponse(shown(done))

    def _dispute(self, id_: str, given: dict[str, Any]) -> dict[str, Any]:
        with self.world.store.transaction():
            if "status" in given:
                return disputes.close(self.world, id_, given["status"])
            inquiry = given.get("inquiry") is True
            return disputes.open_(self.world, id_, amount=given.get("amount"), inquiry=inquiry)

    async def pass_time(self, request: Request) -> Response:
        """`renew` (with another card: `{"payment_method"}`), `retry` or `give_up`."""
        given = json.loads(await request.body() or b"{}")
        named = request.path_params
        try:
            done = await asyncio.to_thread(
                self._pass_time, named["id"], named["act"], given.get("payment_method")
            )
        except ApiError as error:
            return JSONResponse(error.body, status_code=error.status)
        return JSONResponse(shown(done))

    def _pass_time(self, id_: str, act: str, token: str | None) -> dict[str, Any]:
        with self.world.store.transaction():
            match act:
                case "renew":
                    return subscriptions.renew(self.world, id_, token)
                case "retry":
                    return subscriptions.retry(self.world, id_)
                case "give_up":
                    return subscriptions.give_up(self.world, id_)
            raise ApiError(f"{act} is not simulated", status=404)

    async def plan(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.planned.clear()
        if request.method == "POST":
            try:
                self.faults.plan(json.loads(await request.body()))
            except (FaultError, TypeError, json.JSONDecodeError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"data": self.faults.listed()})

    async def hook(self, request: Request) -> Response:
        hooks = self.world.hooks
        if request.method == "POST":
            given = json.loads(await request.body())
            if unknown := set(given) - set(asdict(hooks)):
                return JSONResponse({"error": f"unknown: {sorted(unknown)}"}, status_code=400)
            for name, value in given.items():
                setattr(hooks, name, value)
        return JSONResponse(asdict(hooks) | {"secret": "set" if hooks.secret else ""})


def _authorised(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not key.startswith(("sk_", "rk_")):
        raise ApiError("Invalid API Key provided.", status=401)
    if "stripe-account" in request.headers:
        raise ApiError("Direct charges (Stripe-Account) are not simulated.")


def _misfortune(fault: Fault, print_: str) -> Answer:
    status, type_, code = {
        "rate_limit": (429, "invalid_request_error", "rate_limit"),
        "conflict": (409, "invalid_request_error", "lock_timeout"),
    }.get(fault.kind, (500, "api_error", None))
    error = {"type": type_, "code": code, "message": "A planned fault."}
    return Answer(print_, status, json.dumps({"error": error}))


def _nested(encoded: bytes | str) -> dict[str, Any]:
    """`a[b][0]=c` → {"a": {"b": ["c"]}}; `a[]=c` counts as the next item."""
    text = encoded.decode() if isinstance(encoded, bytes) else encoded
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head = name.split("[", 1)[0]
        path = [head, *_NAME.findall(name)]
        node = tree
        for step in path[:-1]:
            inner = node.setdefault(step, {})
            if not isinstance(inner, dict):
                raise ApiError(f"Invalid object: {name}", param=head)
            node = inner
        node[path[-1] or str(len(node))] = value
    return {name: _listed(value) for name, value in tree.items()}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(name.isdecimal() for name in node):
        return [_listed(node[name]) for name in sorted(node, key=int)]
    return {name: _listed(value) for name, value in node.items()}
