"""The demo shop: an ACP 2026-04-17 seller on loopback, with a feed and pictures.

`python -m integrations.simulators.shop --port P --home DIR --key K [--leash]`
"""

import html
import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from integrations.simulators import acp_view, leash
from integrations.simulators.goods import feed_row, load
from integrations.simulators.merchant import Call, Merchant, Refusal, merchant_app
from integrations.simulators.seller import Seller
from integrations.simulators.store import Document

NAME = "Fernweh Outdoor & Home"
CANCELLATION_EXTENSION = "dev.emptor.order_cancellation"


def build(arguments: leash.Arguments, base_url: str) -> FastAPI:
    """The application, with its state under `arguments.home`."""
    shop = Merchant(NAME, home=arguments.home, key=arguments.key, base_url=base_url)
    products = load()
    seller = Seller(shop, products)

    def picture(item: str) -> tuple[str, str] | None:
        found = products.get(item)
        return (found.picture, found.title) if found else None

    app = merchant_app(shop, picture)

    @app.get("/.well-known/acp.json")
    def discovery(response: Response) -> Document:
        response.headers["Cache-Control"] = "public, max-age=3600"
        return acp_view.discovery(base_url, CANCELLATION_EXTENSION)

    @app.get("/feed.jsonl")
    def feed() -> Response:
        with shop.store.transaction():
            rows = [
                feed_row(product, left=seller.left(product.id), base_url=base_url)
                for product in products.values()
            ]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return Response(text, media_type="application/jsonl")

    @app.get("/legal/{page}")
    def legal(page: str) -> HTMLResponse:
        """The pages that a session's links lead to. The goods are fictional, and so is the law."""
        text = {"returns": acp_view.RETURNS, "terms": "This shop sells nothing real."}.get(page)
        if text is None:
            raise Refusal(404, "not_found", "There is no such page")
        return HTMLResponse(f"<!doctype html><title>{html.escape(NAME)}</title><p>{text}")

    @app.get("/continue/{session_id}")
    def handoff(session_id: str) -> HTMLResponse:
        """Where a session goes on when the merchant insists on its own page."""
        name = html.escape(NAME)
        return HTMLResponse(
            f"<!doctype html><title>{name}</title><h1>{name}</h1>"
            f"<p>Please finish your order here: {html.escape(session_id)}"
        )

    _sessions(app, shop, seller)
    _orders(app, shop, seller)
    return app


async def _versioned(request: Request) -> None:
    if request.headers.get("api-version") != acp_view.VERSION:
        raise Refusal(
            400,
            "unsupported_api_version",
            f"We speak {acp_view.VERSION}",
            supported_versions=[acp_view.VERSION],
        )


def _sessions(app: FastAPI, shop: Merchant, seller: Seller) -> None:
    reading = [Depends(shop.authorise), Depends(_versioned)]
    writing = [Depends(_versioned)]
    Post = Annotated[Call, Depends(shop.call)]  # noqa: N806 (a type)

    @app.post("/checkout_sessions", dependencies=writing)
    def create(call: Post) -> Response:
        return shop.once(call, "create", lambda: seller.create(call))

    @app.get("/checkout_sessions/{session_id}", dependencies=reading)
    def read(session_id: str) -> Response:
        return shop.read("read", lambda: seller.read(session_id))

    @app.post("/checkout_sessions/{session_id}", dependencies=writing)
    def update(session_id: str, call: Post) -> Response:
        return shop.once(call, "update", lambda: seller.update(session_id, call))

    @app.post("/checkout_sessions/{session_id}/complete", dependencies=writing)
    def complete(session_id: str, call: Post) -> Response:
        return shop.once(call, "complete", lambda: seller.complete(session_id, call))

    @app.post("/checkout_sessions/{session_id}/cancel", dependencies=writing)
    def cancel(session_id: str, call: Post) -> Response:
        return shop.once(call, "cancel", lambda: seller.cancel(session_id))


def _orders(app: FastAPI, shop: Merchant, seller: Seller) -> None:
    reading = [Depends(shop.authorise), Depends(_versioned)]
    writing = [Depends(_versioned)]
    Post = Annotated[Call, Depends(shop.call)]  # noqa: N806 (a type)

    @app.get("/orders/{order_id}", dependencies=reading)
    def order(order_id: str) -> Response:
        return shop.read("order", lambda: seller.order(order_id))

    @app.post("/orders/{order_id}/cancellations", dependencies=writing)
    def quote(order_id: str, call: Post) -> Response:
        return shop.once(call, "quote_cancellation", lambda: seller.quote_cancellation(order_id))

    @app.post("/orders/{order_id}/cancellations/{quote_id}/confirm", dependencies=writing)
    def confirm(order_id: str, quote_id: str, call: Post) -> Response:
        return shop.once(
            call, "confirm_cancellation", lambda: seller.confirm_cancellation(order_id, quote_id)
        )


def main(argv: Sequence[str] | None = None) -> None:
    arguments = leash.parse("shop", argv)
    leash.run(arguments, lambda base_url: build(arguments, base_url))


if __name__ == "__main__":
    main()
