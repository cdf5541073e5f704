"""The demo partner for restaurant tables: our booking API, on loopback.

`python -m integrations.simulators.tables --port P --home DIR --key K [--leash]`
"""

import html
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse, Response

from integrations.simulators import leash, seating
from integrations.simulators.bookings import Desk
from integrations.simulators.merchant import Call, Merchant, json_body, merchant_app
from integrations.simulators.places import Vertical
from integrations.simulators.store import Document

NAME = "Tafelrunde Bookings"


def build(
    arguments: leash.Arguments, base_url: str, *, name: str = NAME, vertical: Vertical = "table"
) -> FastAPI:
    """The application, with its state under `arguments.home`. It books one kind of thing."""
    house = Merchant(name, home=arguments.home, key=arguments.key, base_url=base_url)
    things = seating.every_thing(vertical)
    desk = Desk(house, vertical)

    def picture(item: str) -> tuple[str, str] | None:
        found = things.get(item)
        return (found.place.picture, found.title) if found else None

    app = merchant_app(house, picture)

    @app.post("/v1/search", dependencies=[Depends(house.authorise)])
    def search(body: Annotated[Document, Depends(json_body)]) -> Response:
        return house.read("search", lambda: desk.search(body))

    @app.get("/continue/{quote_id}")
    def handoff(quote_id: str) -> HTMLResponse:
        """Where a quote goes on when the house insists on its own page."""
        shown = html.escape(name)
        return HTMLResponse(
            f"<!doctype html><title>{shown}</title><h1>{shown}</h1>"
            f"<p>Please finish your booking here: {html.escape(quote_id)}"
        )

    _quotes(app, house, desk)
    _orders(app, house, desk)
    return app


def _quotes(app: FastAPI, house: Merchant, desk: Desk) -> None:
    Post = Annotated[Call, Depends(house.call)]  # noqa: N806 (a type)

    @app.post("/v1/quotes")
    def quote(call: Post) -> Response:
        return house.once(call, "quote", lambda: desk.quote(call))

    @app.get("/v1/quotes/{quote_id}", dependencies=[Depends(house.authorise)])
    def read(quote_id: str) -> Response:
        return house.read("read", lambda: desk.read(quote_id))

    @app.post("/v1/quotes/{quote_id}/hold")
    def hold(quote_id: str, call: Post) -> Response:
        return house.once(call, "hold", lambda: desk.hold(quote_id))

    @app.post("/v1/quotes/{quote_id}/confirm")
    def confirm(quote_id: str, call: Post) -> Response:
        return house.once(call, "confirm", lambda: desk.confirm(quote_id, call))

    @app.post("/v1/quotes/{quote_id}/cancel")
    def cancel(quote_id: str, call: Post) -> Response:
        return house.once(call, "cancel", lambda: desk.cancel(quote_id))


def _orders(app: FastAPI, house: Merchant, desk: Desk) -> None:
    Post = Annotated[Call, Depends(house.call)]  # noqa: N806 (a type)

    @app.get("/v1/orders/{order_id}", dependencies=[Depends(house.authorise)])
    def order(order_id: str) -> Response:
        return house.read("order", lambda: desk.order(order_id))

    @app.post("/v1/orders/{order_id}/changes")
    def change(order_id: str, call: Post) -> Response:
        return house.once(call, "quote_change", lambda: desk.quote_change(order_id, call))

    @app.post("/v1/orders/{order_id}/cancellations")
    def quote(order_id: str, call: Post) -> Response:
        return house.once(call, "quote_cancellation", lambda: desk.quote_cancellation(order_id))

    @app.post("/v1/orders/{order_id}/cancellations/{quote_id}/confirm")
    def confirm(order_id: str, quote_id: str, call: Post) -> Response:
        return house.once(
            call, "confirm_cancellation", lambda: desk.confirm_cancellation(order_id, quote_id)
        )


def main(argv: Sequence[str] | None = None) -> None:
    arguments = leash.parse("tables", argv)
    leash.run(arguments, lambda base_url: build(arguments, base_url))


if __name__ == "__main__":
    main()
