"""The demo airline: it sells on its own page only, and tells us by a signed order event (hand-off).

`python -m integrations.simulators.flights --port P --home DIR --key K [--webhook-url U] [--leash]`

Its feed lists flights; `/book/{flight}?ref=TOKEN` is where our address sends a person, and the
button there makes the order. The event carries the token, so that the commission finds its way.
"""

import hashlib
import hmac
import html
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from integrations.simulators import leash
from integrations.simulators.merchant import Merchant, Refusal, merchant_app
from integrations.simulators.places import CITIES, CURRENCY
from integrations.simulators.store import Document, new_id

NAME = "Wolkenweg Airways"
WEEKS_AHEAD = 2
_PAUSES_S = (0.2, 1.0, 5.0, 0.0)
# From, to, day of the week (0 is Monday), departure, minutes in the air, cents.
_ROUTES = (
    ("berlin", "lisbon", 4, "09:15", 230, 12900), ("berlin", "rome", 4, "07:40", 130, 9900),
    ("berlin", "london", 3, "18:05", 115, 7900), ("berlin", "paris", 4, "17:20", 110, 8400),
    ("berlin", "barcelona", 5, "06:50", 165, 11400), ("berlin", "vienna", 3, "12:10", 75, 6900),
    ("berlin", "new_york", 6, "13:35", 560, 41900), ("berlin", "tokyo", 1, "14:50", 740, 68900),
    ("berlin", "shanghai", 2, "13:05", 690, 59900), ("london", "lisbon", 5, "10:30", 165, 9400),
    ("london", "new_york", 0, "11:00", 480, 38900), ("london", "tokyo", 2, "13:00", 830, 71900),
    ("london", "shanghai", 4, "12:25", 720, 62900), ("paris", "rome", 5, "08:20", 125, 8900),
    ("paris", "tokyo", 3, "13:40", 800, 69900), ("paris", "barcelona", 4, "19:15", 105, 7400),
    ("lisbon", "berlin", 6, "15:45", 225, 13400), ("rome", "berlin", 6, "20:10", 135, 10400),
    ("vienna", "shanghai", 0, "14:15", 660, 57900), ("shanghai", "tokyo", 1, "09:00", 170, 18900),
    ("shanghai", "berlin", 5, "01:30", 720, 60900), ("shanghai", "london", 6, "02:10", 760, 63900),
    ("tokyo", "shanghai", 3, "16:45", 190, 19400), ("new_york", "london", 2, "20:30", 410, 36900),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flight:
    """One way, one day, one person with a bag; taxes included."""

    origin: str
    target: str
    day: date
    at: str
    minutes: int
    price: int

    @property
    def id(self) -> str:
        return f"{self.origin}-{self.target}-{self.day.isoformat()}"

    @property
    def title(self) -> str:
        origin, target = CITIES[self.origin].name, CITIES[self.target].name
        return f"Flight {origin} to {target}, {self.day:%a %d %b} {self.at}"

    @property
    def zh(self) -> str:
        origin, target = CITIES[self.origin].zh, CITIES[self.target].zh
        return f"{origin}飞{target}机票，{self.day.month}月{self.day.day}日 {self.at}"


def flights(today: date) -> Sequence[Flight]:
    """The next departures of every route."""
    found = []
    for origin, target, weekday, at, minutes, price in _ROUTES:
        first = today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)
        for week in range(WEEKS_AHEAD):
            # The nearer flight costs a quarter more: people who plan ahead save.
            cents = price if week else price + price // 4
            day = first + timedelta(weeks=week)
            found.append(Flight(origin, target, day, at, minutes, cents))
    return sorted(found, key=lambda flight: (flight.day, flight.id))


@cache
def _spoken(minutes: int) -> str:
    return f"{minutes // 60} h {minutes % 60:02d} min"


def feed_row(flight: Flight, base_url: str) -> Mapping[str, object]:
    """One line of the feed that merchants send us."""
    length = _spoken(flight.minutes)
    return {
        "item_id": flight.id,
        "title": flight.title,
        "title_zh": flight.zh,
        "description": f"One way, {length}, one bag. You finish the booking at {NAME}.",
        "description_zh": f"单程，{length}，含一件行李。请在航空公司页面完成预订。",
        "category": "flights",
        "price_amount": flight.price,
        "currency": CURRENCY,
        "availability": "in_stock",
        "image_url": f"{base_url}/images/{flight.id}.svg",
        "rating": 4.2,
        "delivery_days": 0,
        "attributes": {
            "date": flight.day.isoformat(),
            "time": flight.at,
            "from": CITIES[flight.origin].name,
            "to": CITIES[flight.target].name,
            "duration": length,
        },
    }


class Counter:
    """Makes orders on the airline's own page and tells the platform that sent the person."""

    def __init__(self, house: Merchant, arguments: leash.Arguments) -> None:
        self._house = house
        self._secret = arguments.key
        self._webhook_url = arguments.webhook_url
        house.changed = lambda order: self.tell("order_update", order)

    def flight(self, identifier: str) -> Flight:
        today = self._house.clock.now().date()
        found = next((f for f in flights(today) if f.id == identifier), None)
        if found is None:
            raise Refusal(404, "not_found", "This flight has left")
        return found

    def sell(self, flight: Flight, token: str) -> Document:
        """One seat, paid on this page."""
        identifier = new_id("ord")
        order: Document = {
            "type": "order",
            "id": identifier,
            "checkout_session_id": new_id("own"),
            "permalink_url": f"{self._house.base_url}/o/{identifier}",
            "status": "created",
            "currency": CURRENCY,
            "totals": [{"type": "total", "display_text": "Total", "amount": flight.price}],
        }
        if token:
            order["affiliate_attribution"] = {"provider": "emptor", "token": token}
        with self._house.store.transaction():
            self._house.store.put("order", identifier, order)
        self.tell("order_create", order)
        return order

    def tell(self, kind: str, order: Document) -> None:
        if self._webhook_url:
            body = json.dumps({"type": kind, "data": order}).encode()
            threading.Thread(target=self._send, args=(body,), daemon=True).start()

    def _send(self, body: bytes) -> None:
        for pause_s in _PAUSES_S:
            at = str(int(time.time()))
            made = hmac.new(self._secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
            headers = {"Merchant-Signature": f"t={at},v1={made.hexdigest()}"}
            try:
                answer = httpx.post(
                    self._webhook_url, content=body, headers=headers, timeout=5, trust_env=False
                )
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < 500:
                return
            threading.Event().wait(pause_s)


def build(arguments: leash.Arguments, base_url: str) -> FastAPI:
    """The application, with its orders under `arguments.home`."""
    house = Merchant(NAME, home=arguments.home, key=arguments.key, base_url=base_url)
    counter = Counter(house, arguments)

    def picture(item: str) -> tuple[str, str] | None:
        found = next((f for f in flights(house.clock.now().date()) if f.id == item), None)
        return ("plane", found.title) if found else None

    app = merchant_app(house, picture)

    @app.get("/feed.jsonl")
    def feed() -> Response:
        rows = [feed_row(flight, base_url) for flight in flights(house.clock.now().date())]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return Response(text, media_type="application/jsonl")

    @app.get("/book/{identifier}")
    def page(identifier: str, ref: str = "") -> HTMLResponse:
        """The airline's own page. It takes nobody's money: the button is the payment."""
        flight = counter.flight(identifier)
        title, token = html.escape(flight.title), html.escape(ref[:200], quote=True)
        price = f"{flight.price // 100}.{flight.price % 100:02d} {CURRENCY}"
        return HTMLResponse(
            f"<!doctype html><title>{NAME}</title><h1>{NAME}</h1><p>{title}: {price}"
            f'<form method="post"><input type="hidden" name="ref" value="{token}">'
            "<button>Pay and book</button></form>"
        )

    @app.post("/book/{identifier}")
    async def book(identifier: str, request: Request) -> HTMLResponse:
        form = await request.form()
        order = counter.sell(counter.flight(identifier), str(form.get("ref", ""))[:200])
        number = html.escape(order["id"])
        return HTMLResponse(f"<!doctype html><title>{NAME}</title><h1>Booked</h1>{number}")

    return app


def main(argv: Sequence[str] | None = None) -> None:
    arguments = leash.parse("flights", argv)
    leash.run(arguments, lambda base_url: build(arguments, base_url))


if __name__ == "__main__":
    main()
