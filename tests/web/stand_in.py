"""A small server with behaviour that stands in for Emptor in tests of the page alone.

It serves the built pages under the strict policy that the real server sends, keeps threads,
checkouts and orders in memory, and counts payments: a test reads `StandIn.payments` to know what
was truly paid. What an answer looks like is told in `scenes.py`.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from backend.api.events import Streamed
from tests.web import scenes, wares

KEY = "stand-in-key"
ROLES = {"operator-key": "operator", "merchant-key": "merchant"}
POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


class Refused(Exception):
    """Becomes a problem document."""

    def __init__(self, status: int, code: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.document = {"type": "about:blank", "status": status, "code": code, **more}


@dataclass
class StandIn:
    """`confirm_delay_s` lets a test click twice while the first payment is still under way.
    `known` is what else is known of whoever signs in, such as a subscription.
    """

    dist: Path
    confirm_delay_s: float = 0.0
    token_delay_s: float = 0.005
    decline_next: bool = False
    payments: list[dict[str, Any]] = field(default_factory=list)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: dict[str, dict[str, Any]] = field(default_factory=dict)
    checkouts: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=lambda: dict(scenes.CAPS))
    policy: str = "session"
    known: dict[str, Any] = field(default_factory=dict)
    running: int = 0

    def person(self, request: Request) -> dict[str, Any]:
        found = self.people.get(request.cookies.get("emptor", ""))
        if found is None:
            raise Refused(401, "invalid_api_key", detail="Sign in first")
        if found["role"] != "user":
            raise Refused(403, "forbidden", detail="This key's role may not do that")
        return found

    def checkout(self, checkout_id: str) -> dict[str, Any]:
        if checkout_id not in self.checkouts:
            raise Refused(404, "not_found", detail="There is nothing of yours at this address")
        return self.checkouts[checkout_id]

    def open_checkout(self, offer_id: str, quantity: int = 1) -> dict[str, Any]:
        made = wares.checkout(offer_id, quantity)
        self.checkouts[made["id"]] = made
        return made

    async def pay(self, made: dict[str, Any], shown: object) -> dict[str, Any]:
        """The one way to an order. Raises `Refused` and charges nothing in every other case."""
        await asyncio.sleep(self.confirm_delay_s)
        if made["state"] == "completed":
            return made
        if made["state"] == "canceled":
            raise Refused(409, "already_canceled", detail="Canceled already")
        if shown != made["confirmation_hash"]:
            raise Refused(422, "confirmation_mismatch", detail="Not what was shown")
        if made.pop("changes", False):
            wares.reprice(made)
            raise Refused(409, "offer_changed", detail="The offer changed", checkout=made)
        if self.decline_next:
            self.decline_next = False
            raise Refused(402, "payment_declined", detail="The payment was declined")
        order = wares.order(made)
        self.payments.append({"checkout_id": made["id"], "amount": made["total"]})
        self.orders[order["id"]] = order
        made.update(state="completed", order_id=order["id"], confirmation_hash=None)
        return made


def application(stand_in: StandIn) -> FastAPI:
    app = FastAPI()
    app.state.stand_in = stand_in

    @app.middleware("http")
    async def policy(request: Request, call_next: Any) -> Response:
        answer: Response = await call_next(request)
        answer.headers["content-security-policy"] = POLICY
        return answer

    @app.exception_handler(Refused)
    async def problem(_request: Request, refused: Refused) -> JSONResponse:
        return JSONResponse(refused.document, refused.status, media_type="application/problem+json")

    _person_routes(app, stand_in)
    _thread_routes(app, stand_in)
    _commerce_routes(app, stand_in)
    _back_office_routes(app)
    _page_routes(app, stand_in)
    return app


def _person_routes(app: FastAPI, stand_in: StandIn) -> None:
    @app.post("/api/session", status_code=201)
    async def sign_in(body: dict[str, Any], answer: Response) -> dict[str, Any]:
        token, key = secrets.token_hex(8), body.get("key", KEY)
        if key in ROLES:
            stand_in.people[token] = {"role": ROLES[key], "read_only": False}
            answer.set_cookie("emptor", token, httponly=True, samesite="lax")
            return {"role": ROLES[key]}
        if key != KEY:
            raise Refused(401, "invalid_api_key", detail="This key is not known")
        stand_in.people[token] = {
            "role": "user",
            "id": f"usr_{token}",
            "name": "Ada Lovelace" if "key" in body else "Guest",
            "email": "ada@example.com" if "key" in body else None,
            "plan": "plus" if "key" in body else "free",
            "guest": "key" not in body,
            "preferences": {"effort": "auto"},
            "payment_methods": scenes.PAYMENT_METHODS,
            **stand_in.known,
        }
        answer.set_cookie("emptor", token, httponly=True, samesite="lax")
        return {"role": "user"}

    @app.delete("/api/session", status_code=204)
    async def sign_out(request: Request) -> Response:
        stand_in.people.pop(request.cookies.get("emptor", ""), None)
        return Response(status_code=204)

    @app.get("/api/plans")
    async def plans(request: Request) -> dict[str, Any]:
        stand_in.person(request)
        return {"plans": [], "packs": scenes.PACKS}

    @app.get("/api/me")
    async def me(request: Request) -> dict[str, Any]:
        found = stand_in.people.get(request.cookies.get("emptor", ""))
        return found or stand_in.person(request)

    @app.put("/api/me/preferences")
    async def prefer(body: dict[str, Any], request: Request) -> dict[str, Any]:
        person = stand_in.person(request)
        person["preferences"] = {**person["preferences"], **body}
        pinned = person["preferences"].get("pinned_model")
        about = [n for n in person.get("notices", []) if n.get("model") in (None, pinned)]
        person["notices"] = about
        return dict(person["preferences"])

    @app.get("/api/quota")
    async def quota(request: Request) -> dict[str, Any]:
        return scenes.quota(stand_in, plan=stand_in.person(request)["plan"])


def _thread_routes(app: FastAPI, stand_in: StandIn) -> None:
    @app.get("/api/threads")
    async def threads(request: Request) -> dict[str, Any]:
        stand_in.person(request)
        newest_first = reversed(stand_in.threads.values())
        return {"data": [_without_turns(one) for one in newest_first], "next_cursor": None}

    @app.post("/api/threads", status_code=201)
    async def begin(request: Request) -> dict[str, Any]:
        stand_in.person(request)
        made = {"id": f"thr_{secrets.token_hex(4)}", "title": "", "turns": []}
        stand_in.threads[made["id"]] = made
        return _without_turns(made)

    @app.get("/api/threads/{thread_id}")
    async def read(thread_id: str) -> dict[str, Any]:
        if thread_id not in stand_in.threads:
            raise Refused(404, "not_found")
        return stand_in.threads[thread_id]

    @app.post("/api/threads/{thread_id}/turns")
    async def ask(thread_id: str, body: dict[str, Any], request: Request) -> Response:
        person = stand_in.person(request)
        thread = stand_in.threads[thread_id]
        thread["title"] = thread["title"] or body["text"][:60]
        if "refuse" in body["text"]:
            raise Refused(429, "insufficient_quota", detail="Used up", exits=scenes.exits())
        scene = scenes.play(stand_in, body["text"], body.get("effort"), person["plan"])
        return _stream(_recorded(stand_in, thread, body["text"], scene))

    @app.post("/api/turns/{turn_id}/retry")
    async def retry(turn_id: str, body: dict[str, Any], request: Request) -> Response:
        person = stand_in.person(request)
        if turn_id != "trn_owed":
            raise Refused(404, "not_found")
        thread = list(stand_in.threads.values())[-1]
        scene = scenes.play(stand_in, "owed", body.get("effort"), person["plan"])
        return _stream(_recorded(stand_in, thread, "fail", scene))


def _without_turns(thread: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thread.items() if name != "turns"}


def _stream(events: AsyncGenerator[dict[str, Any], None]) -> Response:
    async def lines() -> AsyncGenerator[str, None]:
        async with aclosing(events) as told:
            async for event in told:
                yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"

    return Streamed(lines(), media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _recorded(
    stand_in: StandIn,
    thread: dict[str, Any],
    text: str,
    events: AsyncIterator[dict[str, Any]],
) -> AsyncGenerator[dict[str, Any], None]:
    """Passes the events on and keeps the turn, as the server's own history does."""
    turn = scenes.stored_turn(text)
    thread["turns"].append(turn)
    stand_in.running += 1
    try:
        async for event in events:
            scenes.keep(turn, event)
            yield event
    finally:
        stand_in.running -= 1


def _commerce_routes(app: FastAPI, stand_in: StandIn) -> None:
    @app.post("/agui")
    async def resume(body: dict[str, Any], request: Request) -> Response:
        stand_in.person(request)
        entry = body["resume"][0]
        made = stand_in.checkout(entry["interruptId"].removeprefix("int_"))
        thread = stand_in.threads[body["threadId"]]
        return _stream(_recorded(stand_in, thread, "", scenes.resumed(stand_in, made, entry)))

    @app.post("/api/checkouts", status_code=201)
    async def create(body: dict[str, Any], request: Request) -> dict[str, Any]:
        stand_in.person(request)
        line = body["lines"][0]
        return stand_in.open_checkout(line["offer_id"], line["quantity"])

    @app.get("/api/checkouts/{checkout_id}")
    async def read(checkout_id: str, request: Request) -> dict[str, Any]:
        stand_in.person(request)
        return stand_in.checkout(checkout_id)

    @app.put("/api/checkouts/{checkout_id}")
    async def revise(checkout_id: str, body: dict[str, Any]) -> dict[str, Any]:
        made = stand_in.checkout(checkout_id)
        if made["state"] == "draft" and not body.get("buyer", {}).get("email"):
            raise Refused(422, "unprocessable", detail="buyer.email is missing")
        wares.complete_details(made, body)
        return made

    @app.post("/api/checkouts/{checkout_id}/confirm")
    async def confirm(checkout_id: str, body: dict[str, Any], request: Request) -> dict[str, Any]:
        if "idempotency-key" not in request.headers:
            raise Refused(400, "idempotency_key_required")
        return await stand_in.pay(stand_in.checkout(checkout_id), body.get("confirmation_hash"))

    @app.post("/api/checkouts/{checkout_id}/cancel")
    async def cancel(checkout_id: str) -> dict[str, Any]:
        made = stand_in.checkout(checkout_id)
        made["state"] = "canceled"
        return made

    @app.get("/api/orders/{order_id}")
    async def order(order_id: str, request: Request) -> dict[str, Any]:
        stand_in.person(request)
        return stand_in.orders[order_id]


def _back_office_routes(app: FastAPI) -> None:
    @app.get("/operator/v1/reports/{name}")
    async def report(name: str) -> dict[str, Any]:
        return {"report": name, "data": scenes.REPORTS.get(name, [])}

    @app.get("/merchant/v1/profile")
    async def profile() -> dict[str, Any]:
        raise Refused(403, "forbidden", detail="This key's role may not do that")


def _page_routes(app: FastAPI, stand_in: StandIn) -> None:
    @app.get("/pictures/{name}.svg")
    async def picture(name: str) -> Response:
        return Response(wares.picture(name), media_type="image/svg+xml")

    @app.get("/icon.svg")
    async def icon() -> FileResponse:
        return FileResponse(stand_in.dist / "icon.svg")

    app.mount("/assets", StaticFiles(directory=stand_in.dist / "assets"))

    @app.get("/")
    @app.get("/checkout/{_checkout_id}")
    @app.get("/operator")
    @app.get("/merchant")
    async def page() -> FileResponse:
        return FileResponse(stand_in.dist / "index.html")
