"""The demo box office: event tickets over UCP 2026-04-08 and 2026-01-11, on loopback.

`python -m integrations.simulators.tickets --port P --home DIR --key K [--leash]`
"""

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from integrations.signatures import SigningKey
from integrations.simulators import leash, ucp_view
from integrations.simulators.box_carts import BoxCarts
from integrations.simulators.box_office import BoxOffice
from integrations.simulators.box_orders import BoxOrders, Deliver
from integrations.simulators.events import feed_row, programme
from integrations.simulators.merchant import Call, Merchant, Refusal, merchant_app
from integrations.simulators.store import Document
from integrations.simulators.ucp_gate import Agent, Gate
from integrations.ucp_profile import VERSIONS, WELL_KNOWN

NAME = "Vorhang auf! Tickets"


def build(
    arguments: leash.Arguments,
    base_url: str,
    *,
    http: httpx.AsyncClient | None = None,
    deliver: Deliver | None = None,
) -> FastAPI:
    """The application, with its state and its signing key under `arguments.home`.

    `http` reads platforms' profiles and `deliver` brings them order events, where neither goes by
    the network.
    """
    house = Merchant(NAME, home=arguments.home, key=arguments.key, base_url=base_url, raw_keys=True)
    key = _key(arguments.home / "signing.pem")
    office, orders, gate = (
        BoxOffice(house),
        BoxOrders(house, key, deliver=deliver),
        Gate(house, http),
    )

    def picture(item: str) -> tuple[str, str] | None:
        found = programme().get(item)
        return (found.picture, found.title) if found else None

    app = merchant_app(house, picture)

    @app.exception_handler(Refusal)
    async def refuse(request: Request, refusal: Refusal) -> JSONResponse:
        version = next((v for v in VERSIONS if v in request.url.path), VERSIONS[0])
        headers = {"Location": f"{base_url}/healthz"} if refusal.status == 302 else {}
        return JSONResponse(ucp_view.error(refusal, version), refusal.status, headers)

    _profiles(app, base_url, key)
    _pages(app)

    _feed(app, house, office, base_url)
    for version in VERSIONS:
        router = APIRouter(prefix=f"/ucp/{version}")
        _checkouts(router, house, office, gate)
        _orders(router, house, orders, gate)
        if version == VERSIONS[0]:
            _shelves(router, house, office, gate)
        app.include_router(router)
    return app


def _profiles(app: FastAPI, base_url: str, key: SigningKey) -> None:
    @app.get(WELL_KNOWN)
    def newest(response: Response) -> Document:
        response.headers["Cache-Control"] = "public, max-age=3600"
        return ucp_view.profile(VERSIONS[0], base_url=base_url, key=key)

    @app.get(WELL_KNOWN + "/{version}")
    def versioned(version: str) -> Document:
        if version not in VERSIONS:
            raise Refusal(404, "not_found", "There is no such version")
        return ucp_view.profile(version, base_url=base_url, key=key)


def _feed(app: FastAPI, house: Merchant, office: BoxOffice, base_url: str) -> None:
    @app.get("/feed.jsonl")
    def feed() -> Response:
        with house.store.transaction():
            rows = [
                feed_row(one, left=office.left(one), base_url=base_url) for one in office.evenings()
            ]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return Response(text, media_type="application/jsonl")


def _pages(app: FastAPI) -> None:
    @app.get("/legal/{page}")
    def legal(page: str) -> HTMLResponse:
        """The pages that a checkout's links lead to. The evenings are fictional, and so is this."""
        text = {"refunds": ucp_view.REFUNDS, "terms": "Nobody plays here."}.get(page)
        if text is None:
            raise Refusal(404, "not_found", "There is no such page")
        return HTMLResponse(f"<!doctype html><title>{html.escape(NAME)}</title><p>{text}")

    @app.get("/continue/{session_id}")
    def handoff(session_id: str) -> HTMLResponse:
        """Where a checkout goes on when only the house's own page will do."""
        name = html.escape(NAME)
        return HTMLResponse(
            f"<!doctype html><title>{name}</title><h1>{name}</h1>"
            f"<p>Please finish your order here: {html.escape(session_id)}"
        )


def _key(path: Path) -> SigningKey:
    """This house's signing key, made on the first start."""
    if path.exists():
        return SigningKey.from_pem(path.read_text())
    key = SigningKey.generate()
    path.touch(mode=0o600)
    path.write_text(key.pem())
    return key


def _checkouts(router: APIRouter, house: Merchant, office: BoxOffice, gate: Gate) -> None:
    Write = Annotated[tuple[Call, Agent], Depends(gate.write)]  # noqa: N806 (a type)
    Ask = Annotated[tuple[Document, Agent], Depends(gate.ask)]  # noqa: N806 (a type)

    @router.post("/checkout-sessions")
    def create(sent: Write) -> Response:
        call, agent = sent
        return house.once(call, "create", lambda: office.create(call, agent))

    @router.get("/checkout-sessions/{identifier}")
    def read(identifier: str, sent: Ask) -> Response:
        return house.read("read", lambda: office.read(identifier, sent[1]))

    @router.put("/checkout-sessions/{identifier}")
    def update(identifier: str, sent: Write) -> Response:
        call, agent = sent
        return house.once(call, "update", lambda: office.update(identifier, call, agent))

    @router.post("/checkout-sessions/{identifier}/complete")
    def complete(identifier: str, sent: Write) -> Response:
        call, agent = sent
        return house.once(call, "complete", lambda: office.complete(identifier, call, agent))

    @router.post("/checkout-sessions/{identifier}/cancel")
    def cancel(identifier: str, sent: Write) -> Response:
        call, agent = sent
        return house.once(call, "cancel", lambda: office.cancel(identifier, agent))


def _shelves(router: APIRouter, house: Merchant, office: BoxOffice, gate: Gate) -> None:
    carts = BoxCarts(house, office)
    Write = Annotated[tuple[Call, Agent], Depends(gate.write)]  # noqa: N806 (a type)
    Ask = Annotated[tuple[Document, Agent], Depends(gate.ask)]  # noqa: N806 (a type)

    @router.post("/carts")
    def create(sent: Write) -> Response:
        call, agent = sent
        return house.once(call, "create_cart", lambda: carts.create(call, agent))

    @router.get("/carts/{identifier}")
    def read(identifier: str, sent: Ask) -> Response:
        return house.read("read_cart", lambda: carts.read(identifier, sent[1]))

    @router.put("/carts/{identifier}")
    def update(identifier: str, sent: Write) -> Response:
        call, agent = sent
        return house.once(call, "update_cart", lambda: carts.update(identifier, call, agent))

    @router.post("/carts/{identifier}/cancel")
    def cancel(identifier: str, sent: Write) -> Response:
        call, agent = sent
        return house.once(call, "cancel_cart", lambda: carts.cancel(identifier, agent))

    @router.post("/catalog/search")
    def search(sent: Ask) -> Response:
        return house.read("search", lambda: office.search(*sent))

    @router.post("/catalog/lookup")
    def look_up(sent: Ask) -> Response:
        return house.read("lookup", lambda: office.look_up(*sent))


def _orders(router: APIRouter, house: Merchant, orders: BoxOrders, gate: Gate) -> None:
    Write = Annotated[tuple[Call, Agent], Depends(gate.write)]  # noqa: N806 (a type)
    Ask = Annotated[tuple[Document, Agent], Depends(gate.ask)]  # noqa: N806 (a type)

    @router.get("/orders/{order_id}")
    def order(order_id: str, sent: Ask) -> Response:
        del sent  # who asks has been checked; an order is told to any of our platforms
        return house.read("order", lambda: orders.read(order_id))

    @router.post("/orders/{order_id}/cancellations")
    def quote(order_id: str, sent: Write) -> Response:
        return house.once(
            sent[0], "quote_cancellation", lambda: orders.quote_cancellation(order_id)
        )

    @router.post("/orders/{order_id}/cancellations/{quote_id}/confirm")
    def confirm(order_id: str, quote_id: str, sent: Write) -> Response:
        return house.once(
            sent[0],
            "confirm_cancellation",
            lambda: orders.confirm_cancellation(order_id, quote_id),
        )


def main(argv: Sequence[str] | None = None) -> None:
    arguments = leash.parse("tickets", argv)
    leash.run(arguments, lambda base_url: build(arguments, base_url))


if __name__ == "__main__":
    main()
