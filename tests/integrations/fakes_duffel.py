"""A Duffel that behaves: its own published payloads, with orders and a balance behind them."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

DATA = Path(__file__).parents[3] / "shared" / "data" / "duffel"
TOKEN = "duffel_test_token"
NOW = datetime(2020, 1, 17, 10, 20, tzinfo=UTC)  # while the published offer holds


def published(name: str) -> dict[str, Any]:
    path = DATA / f"{name}.json"
    assert path.is_file(), f"Duffel's published payloads are needed at {path}"
    data: dict[str, Any] = json.loads(path.read_text())["data"]
    return data


class Refused(Exception):
    def __init__(self, status: int, code: str, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.body = {
            "errors": [{"type": "invalid_request_error", "code": code, "title": title,
                        "message": title, "documentation_url": "https://duffel.com/docs"}],
            "meta": {"status": status, "request_id": "req_1"},
        }  # fmt: skip


@dataclass
class Duffel:
    """`lose`: paths whose next answer is lost after the work is done; `limit`: paths whose next
    write uses up our rate, so that the look after it is a 429. `balance` in pounds.
    """

    now: datetime = NOW
    offers: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    cancellations: dict[str, dict[str, Any]] = field(default_factory=dict)
    bookings: list[dict[str, Any]] = field(default_factory=list)
    quotes: dict[str, dict[str, Any]] = field(default_factory=dict)
    balance: Decimal = Decimal(1000)
    lose: set[str] = field(default_factory=set)
    limit: set[str] = field(default_factory=set)
    spent: bool = False
    refund_to: str = "balance"
    refund: str = "45.00"
    keeps_metadata: bool = True
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.now

    def offer(self, **changes: Any) -> dict[str, Any]:
        offer = {**published("get-offer-by-id"), **copy.deepcopy(changes)}
        self.offers[offer["id"]] = offer
        return offer

    def ordered(self, body: dict[str, Any]) -> dict[str, Any]:
        offer = self._sold(body["selected_offers"])
        hold = body["type"] == "hold"
        if hold and offer["payment_requirements"]["requires_instant_payment"]:
            raise Refused(422, "offer_requires_instant_payment", "Pay for it now")
        if not hold:
            self._pay(body["payments"][0], offer["total_amount"])
        order = published("create-hold-order" if hold else "create-instant-order")
        rules = offer["payment_requirements"]
        order |= {
            "id": f"ord_{len(self.orders) + 1:04}",
            "cancelled_at": None,
            "metadata": body.get("metadata", {}),
            "total_amount": offer["total_amount"],
            "slices": offer["slices"],
            "payment_status": {
                "awaiting_payment": hold,
                "payment_required_by": rules["payment_required_by"] if hold else None,
                "price_guarantee_expires_at": rules["price_guarantee_expires_at"] if hold else None,
            },
        }
        self.orders.insert(0, order)
        return order

    def _sold(self, wanted: list[str]) -> dict[str, Any]:
        offer = self.offers.get(wanted[0])
        if offer is None:
            raise Refused(404, "not_found", "No such offer")
        taken = any(o["metadata"].get("emptor_offer") == wanted[0] for o in self.orders
                    if not o["cancelled_at"])  # fmt: skip
        if taken or datetime.fromisoformat(offer["expires_at"]) <= self.now:
            raise Refused(422, "offer_no_longer_available", "It is gone")
        return offer

    def _pay(self, payment: dict[str, Any], due: str) -> None:
        if (payment["type"], payment["amount"]) != ("balance", due):
            raise Refused(422, "payment_amount_does_not_match", "That is not the total")
        if Decimal(due) > self.balance:
            raise Refused(422, "insufficient_balance", "Top up your balance")
        self.balance -= Decimal(due)

    def paid(self, body: dict[str, Any]) -> dict[str, Any]:
        order = self.order(body["order_id"])
        if not order["payment_status"]["awaiting_payment"]:
            raise Refused(422, "already_paid", "It is paid")
        self._pay(body["payment"], order["total_amount"])
        order["payment_status"] = {"awaiting_payment": False, "payment_required_by": None,
                                   "price_guarantee_expires_at": None}  # fmt: skip
        return published("create-payment")

    def order(self, identifier: str) -> dict[str, Any]:
        found = next((o for o in self.orders if o["id"] == identifier), None)
        if found is None:
            raise Refused(404, "not_found", "No such order")
        return found

    def quoted_cancellation(self, body: dict[str, Any]) -> dict[str, Any]:
        order = self.order(body["order_id"])
        unpaid = order["payment_status"]["awaiting_payment"]
        made = published("create-order-cancellation") | {
            "id": f"ore_{len(self.cancellations) + 1:04}",
            "order_id": order["id"],
            "confirmed_at": None,
            "refund_to": "awaiting_payment" if unpaid else self.refund_to,
            "refund_amount": "0.00" if unpaid else self.refund,
            "expires_at": (self.now + timedelta(hours=1)).isoformat(),
        }
        self.cancellations[made["id"]] = made
        return made

    def canceled(self, identifier: str) -> dict[str, Any]:
        quote = self.cancellations[identifier]
        if datetime.fromisoformat(quote["expires_at"]) <= self.now:
            raise Refused(422, "order_cancellation_expired", "Ask again")
        if not quote["confirmed_at"]:
            quote["confirmed_at"] = self.now.isoformat()
            self.order(quote["order_id"])["cancelled_at"] = self.now.isoformat()
            self.balance += Decimal(quote["refund_amount"])
        return quote

    # --- stays: shapes after Duffel's published types -------------------------------------------

    def house(self) -> dict[str, Any]:
        rate = {
            "id": "rat_plain", "total_amount": "200.00", "total_currency": "GBP",
            "payment_type": "prepaid", "board_type": "room_only",
            "cancellation_timeline": [
                {"refund_amount": "100.00", "currency": "GBP", "before": "2020-02-10T12:00:00Z"},
                {"refund_amount": "200.00", "currency": "GBP", "before": "2020-02-01T12:00:00Z"},
            ],
        }  # fmt: skip
        dearer = rate | {"id": "rat_dear", "total_amount": "260.00"}
        at_desk = rate | {"id": "rat_desk", "total_amount": "150.00", "payment_type": "guarantee"}
        return {
            "name": "The Quay", "description": "By the water.", "photos": [],
            "ratings": [{"source": "aaa", "value": 4}],
            "location": {"address": {"city_name": "London"}, "geographic_coordinates": None},
            "cheapest_rate_total_amount": "200.00", "cheapest_rate_currency": "GBP",
            "rooms": [{"name": "Double", "rates": [dearer, rate, at_desk]}],
        }  # fmt: skip

    def stay_quote(self, body: dict[str, Any]) -> dict[str, Any]:
        house = self.house()
        rates = {rate["id"]: rate for rate in house["rooms"][0]["rates"]}
        rate = rates[body["rate_id"]]
        house["rooms"][0]["rates"] = [rate]
        made = {
            "id": f"quo_{len(self.quotes) + 1:04}", "accommodation": house,
            "check_in_date": "2020-02-12", "check_out_date": "2020-02-14",
            "total_amount": rate["total_amount"], "total_currency": "GBP",
            "due_at_accommodation_amount": "8.00", "due_at_accommodation_currency": "GBP",
        }  # fmt: skip
        self.quotes[made["id"]] = made
        return made

    def booked(self, body: dict[str, Any]) -> dict[str, Any]:
        quote = self.quotes[body["quote_id"]]
        made = {
            **quote, "id": f"bok_{len(self.bookings) + 1:04}", "status": "confirmed",
            "reference": "QUAY1", "email": body["email"], "guests": body["guests"],
            "metadata": body["metadata"] if self.keeps_metadata else {},
        }  # fmt: skip
        self.bookings.insert(0, made)
        self.balance -= Decimal(quote["total_amount"])
        return made

    def booking(self, identifier: str) -> dict[str, Any]:
        return next(b for b in self.bookings if b["id"] == identifier)


def app(duffel: Duffel) -> FastAPI:
    made = FastAPI()

    @made.exception_handler(Refused)
    async def refuse(_: Request, refused: Refused) -> JSONResponse:
        return JSONResponse(refused.body, refused.status)

    @made.middleware("http")
    async def gate(request: Request, go: Any) -> Any:
        headers = request.headers
        if headers.get("authorization") != f"Bearer {TOKEN}":
            refused = Refused(401, "access_token_not_found", "Whose token is that?")
            return JSONResponse(refused.body, 401)
        if headers.get("duffel-version") != "v2":
            refused = Refused(400, "unsupported_version", "Speak v2")
            return JSONResponse(refused.body, 400)
        if request.method == "GET" and duffel.spent:
            duffel.spent = False
            return JSONResponse(Refused(429, "rate_limit_exceeded", "Slow down").body, 429)
        answer = await go(request)
        duffel.spent = request.method == "POST" and request.url.path in duffel.limit
        if request.method == "POST" and request.url.path in duffel.lose:
            duffel.lose.discard(request.url.path)
            return JSONResponse({"errors": []}, 502)
        return answer

    async def body(request: Request) -> dict[str, Any]:
        sent = await request.body()
        found: dict[str, Any] = json.loads(sent)["data"] if sent else {}
        duffel.asked.append((request.method, request.url.path, found))
        return found

    def said(data: Any) -> dict[str, Any]:
        return {"data": data}

    _flights(made, duffel, body, said)
    _places(made, said)
    _stays(made, duffel, body, said)
    return made


def _one_of(made: FastAPI, path: str, held: Callable[[], dict[str, Any]], said: Any) -> None:
    @made.get(f"{path}/{{identifier}}")
    async def one(identifier: str) -> Any:
        if identifier not in held():
            raise Refused(404, "not_found", f"No such thing under {path}")
        return said(held()[identifier])


def _kept(
    made: FastAPI,
    path: str,
    every: Callable[[], Any],
    make: Callable[[Any], Any],
    find: Callable[[str], Any],
    body: Any,
    said: Any,
) -> None:
    """What is bought under an address: all of it, one more, and one by its id."""

    @made.get(path)
    async def all_of_it() -> Any:
        return said(every())

    @made.post(path, status_code=201)
    async def one_more(request: Request) -> Any:
        return said(make(await body(request)))

    @made.get(f"{path}/{{identifier}}")
    async def one(identifier: str) -> Any:
        return said(find(identifier))


def _flights(made: FastAPI, duffel: Duffel, body: Any, said: Any) -> None:
    @made.post("/air/offer_requests")
    async def search(request: Request) -> Any:
        await body(request)
        return said(published("create-offer-request") | {"offers": list(duffel.offers.values())})

    _one_of(made, "/air/offers", lambda: duffel.offers, said)
    _kept(made, "/air/orders", lambda: duffel.orders, duffel.ordered, duffel.order, body, said)

    @made.post("/air/payments", status_code=201)
    async def pay(request: Request) -> Any:
        return said(duffel.paid(await body(request)))

    @made.post("/air/order_cancellations", status_code=201)
    async def quote(request: Request) -> Any:
        return said(duffel.quoted_cancellation(await body(request)))

    @made.post("/air/order_cancellations/{identifier}/actions/confirm")
    async def confirm(identifier: str, request: Request) -> Any:
        await body(request)
        return said(duffel.canceled(identifier))


def _places(made: FastAPI, said: Any) -> None:
    @made.get("/places/suggestions")
    async def places(query: str) -> Any:
        where = {"name": "London", "latitude": 51.5, "longitude": -0.1}
        return said([where] if "london" in query.casefold() else [])


def _stays(made: FastAPI, duffel: Duffel, body: Any, said: Any) -> None:
    @made.post("/stays/search")
    async def search(request: Request) -> Any:
        asked = await body(request)
        result = {"id": "srr_quay", "accommodation": duffel.house(), **asked}
        return said({"results": [result]})

    @made.post("/stays/search_results/{identifier}/actions/fetch_all_rates")
    async def rates(identifier: str) -> Any:
        return said({"id": identifier, "accommodation": duffel.house()})

    @made.post("/stays/quotes", status_code=201)
    async def quote(request: Request) -> Any:
        return said(duffel.stay_quote(await body(request)))

    _one_of(made, "/stays/quotes", lambda: duffel.quotes, said)
    _kept(
        made, "/stays/bookings", lambda: duffel.bookings, duffel.booked, duffel.booking, body, said
    )

    @made.post("/stays/bookings/{identifier}/actions/cancel")
    async def cancel(identifier: str) -> Any:
        found = duffel.booking(identifier)
        found["status"] = "cancelled"
        return said(found)
