"""The demo shop's checkout: sessions, stock, completion, orders and their cancellation.

A session keeps what the buyer wants; every price is worked out anew from the catalogue when it is
asked for, and frozen when the order is made. Stock is taken at completion, in the same transaction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from integrations.simulators import acp_view as view
from integrations.simulators.goods import CURRENCY, LOW_STOCK, Product
from integrations.simulators.merchant import Answer, Call, Merchant, Refusal
from integrations.simulators.pricing import Price, price
from integrations.simulators.sending import FIRST, Part, chosen, parts
from integrations.simulators.store import Document, new_id, rfc3339

SESSION_MINUTES = 60
CANCELLATION_MINUTES = 30
_FINAL = ("completed", "canceled")
_NOT_SHIPPED = ("created", "confirmed", "processing")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A session as it stands now: price, how its parts travel, messages, state."""

    price: Price
    parts: Sequence[Part]
    messages: Sequence[Document]
    status: str


class Seller:
    """Works inside the merchant's transaction; every method reads and writes its store."""

    def __init__(self, merchant: Merchant, products: Mapping[str, Product]) -> None:
        self._shop = merchant
        self._store = merchant.store
        self._products = products

    def left(self, item: str, *, besides: str = "") -> int:
        taken = self._store.taken(item, "", now=self._shop.clock.now(), besides=besides)
        return self._products[item].stock - taken

    def create(self, call: Call) -> Answer:
        if str(call.body.get("currency", "")).upper() != CURRENCY:
            raise Refusal(400, "unsupported_currency", "We sell in EUR", param="$.currency")
        if not call.body.get("line_items"):
            raise Refusal(400, "missing", "Name at least one item", param="$.line_items")
        now = self._shop.clock.now()
        session: Document = {
            "id": new_id("cs"),
            "state": "open",
            "lines": {},
            "options": dict(FIRST),
            "codes": [],
            "attribution": [],
            "created_at": rfc3339(now),
            "expires_at": rfc3339(now + timedelta(minutes=SESSION_MINUTES)),
        }
        self._merge(session, call.body)
        return 201, self._kept(session)

    def update(self, identifier: str, call: Call) -> Answer:
        session = self._open(identifier)
        self._merge(session, call.body)
        return 200, self._kept(session)

    def read(self, identifier: str) -> Document:
        return self._view(self._session(identifier))

    def complete(self, identifier: str, call: Call) -> Answer:
        session = self._session(identifier)
        token = _token(call.body)
        if session["state"] == "completed" and session["token"] == token:
            return 200, self._view(session)
        self._open(identifier)
        self._merge(session, call.body)
        seen = self._seen(session)
        problem = self._problem(session, seen, token)
        if problem is not None:
            return 200, self._kept(session, problem)
        if seen.status != "ready_for_payment":
            return 200, self._kept(session)
        for item, quantity in session["lines"].items():
            self._store.take(item, "", quantity, owner=session["id"])
        order = self._order(session, seen)
        session |= {"state": "completed", "token": token, "order": order["id"]}
        session["frozen"] = self._view(session, seen)
        self._store.put("session", session["id"], session)
        return 200, session["frozen"]

    def cancel(self, identifier: str) -> Answer:
        session = self._session(identifier)
        if session["state"] in _FINAL:
            raise Refusal(405, "already_final", f"The session is {session['state']}")
        session["state"] = "canceled"
        return 200, self._kept(session)

    def order(self, identifier: str) -> Document:
        found = self._store.get("order", identifier)
        if found is None:
            raise Refusal(404, "not_found", "There is no such order")
        return found

    def quote_cancellation(self, order_id: str) -> Answer:
        order = self.order(order_id)
        if order["status"] not in _NOT_SHIPPED:
            raise Refusal(409, "not_cancelable", f"The order is {order['status']}")
        ends = self._shop.clock.now() + timedelta(minutes=CANCELLATION_MINUTES)
        quote: Document = {
            "id": new_id("can"),
            "order_id": order_id,
            "refund_amount": _paid(order),
            "fee_amount": 0,
            "currency": CURRENCY,
            "expires_at": rfc3339(ends),
        }
        self._store.put("cancellation", quote["id"], quote)
        return 201, quote

    def confirm_cancellation(self, order_id: str, quote_id: str) -> Answer:
        order, quote = self.order(order_id), self._store.get("cancellation", quote_id)
        if quote is None or quote["order_id"] != order_id:
            raise Refusal(404, "not_found", "There is no such cancellation quote")
        if order["status"] == "canceled":
            return 200, order
        now = self._shop.clock.now()
        if now >= datetime.fromisoformat(quote["expires_at"]):
            raise Refusal(409, "expired", "The cancellation quote has expired")
        if order["status"] not in _NOT_SHIPPED:
            raise Refusal(409, "not_cancelable", f"The order is {order['status']}")
        refund = quote["refund_amount"]
        order["status"] = "canceled"
        order["adjustments"].append(
            {
                "id": new_id("adj"),
                "type": "refund",
                "occurred_at": rfc3339(now),
                "status": "completed",
                "amount": refund,
                "currency": CURRENCY.lower(),
                "reason": "canceled",
            }
        )
        order["totals"].append(view.total("amount_refunded", "Refunded", refund))
        self._store.release(order["checkout_session_id"])
        self._store.put("order", order_id, order)
        return 200, order

    def _session(self, identifier: str) -> Document:
        found = self._store.get("session", identifier)
        if found is None:
            raise Refusal(404, "not_found", "There is no such checkout session")
        return found

    def _open(self, identifier: str) -> Document:
        session = self._session(identifier)
        if session["state"] in _FINAL:
            raise Refusal(409, "conflict", f"The session is {session['state']}")
        if self._expired(session):
            raise Refusal(409, "expired", "The session has expired")
        return session

    def _expired(self, session: Document) -> bool:
        return self._shop.clock.now() >= datetime.fromisoformat(session["expires_at"])

    def _merge(self, session: Document, body: Mapping[str, Any]) -> None:
        """What the request says replaces what the session holds. Raises `Refusal` 400."""
        if "line_items" in body:
            session["lines"] = self._lines(body["line_items"])
        for name in ("buyer", "fulfillment_details"):
            if isinstance(body.get(name), dict):
                session[name] = body[name]
        if isinstance(body.get("discounts"), dict):
            session["codes"] = [str(code) for code in body["discounts"].get("codes", [])]
        if isinstance(body.get("affiliate_attribution"), dict):
            session["attribution"].append(body["affiliate_attribution"])
        goods = {item: self._products[item] for item in session["lines"]}
        session["options"] |= chosen(body.get("selected_fulfillment_options"), goods)

    def _lines(self, entries: Any) -> Mapping[str, int]:
        """Units by item: n entries of one item are n units, as the schema has no quantity."""
        units: Counter[str] = Counter()
        for place, entry in enumerate(entries if isinstance(entries, list) else []):
            item = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(item, str) or item not in self._products:
                param = f"$.line_items[{place}].id"
                raise Refusal(400, "invalid_item_id", f"There is no item {item}", param=param)
            units[item] += 1
        if not units:
            raise Refusal(400, "missing", "Name at least one item", param="$.line_items")
        return dict(units)

    def _seen(self, session: Document) -> _Seen:
        country = _country(session)
        wanted = [(self._products[item], n) for item, n in session["lines"].items()]
        drift = self._shop.faults.strikes("price_drift", "price")
        now = self._shop.clock.now()
        sent = parts(wanted, country, session["options"])
        priced = price(
            wanted,
            country=country,
            delivery=sum(part.way.amount for part in sent if part.way),
            codes=session["codes"],
            drift_bps=int(drift.value) if drift else 0,
            now=now,
        )
        messages = [*self._shortages(session), *_code_messages(session["codes"], priced)]
        if country is None:
            messages.append(
                view.message("error", "missing", "Where to?", "$.fulfillment_details.address")
            )
        return _Seen(priced, sent, messages, self._status(session, messages))

    def _status(self, session: Document, messages: Sequence[Document]) -> str:
        if session["state"] in _FINAL:
            return str(session["state"])
        if self._expired(session):
            return "expired"
        if any(entry["type"] == "error" for entry in messages):
            return "not_ready_for_payment"
        return "ready_for_payment"

    def _shortages(self, session: Document) -> Sequence[Document]:
        found = []
        for place, (item, quantity) in enumerate(session["lines"].items()):
            left, title = self.left(item, besides=session["id"]), self._products[item].title
            param = f"$.line_items[{place}]"
            if left < quantity:
                text = f"{title} is out of stock" if left <= 0 else f"Only {left} of {title} left"
                found.append(view.message("error", "out_of_stock", text, param))
            elif left <= LOW_STOCK:
                text = f"Only {left} of {title} left"
                found.append(view.message("warning", "low_stock", text, param))
        return found

    def _problem(self, session: Document, seen: _Seen, token: str) -> Document | None:
        if self._shop.faults.strikes("out_of_stock", "complete"):
            item = next(iter(session["lines"]))
            self._store.take(item, "", self.left(item), owner="sim_sold_elsewhere")
            text = f"{self._products[item].title} has just been sold"
            return view.message("error", "out_of_stock", text, "$.line_items[0]")
        if not (session.get("buyer") or {}).get("email"):
            return view.message("error", "missing", "Whose order is it?", "$.buyer.email")
        if seen.status == "ready_for_payment" and token.startswith("tok_declined"):
            return view.message("error", "payment_declined", "The payment was declined")
        return None

    def _order(self, session: Document, seen: _Seen) -> Document:
        made = datetime.fromisoformat(session["created_at"])
        ways = [part.way for part in seen.parts if part.way is not None]
        first = min(way.earliest_days for way in ways)
        last = max(way.latest_days for way in ways)
        days = (made + timedelta(days=first), made + timedelta(days=last))
        base_url = self._shop.base_url
        order = view.order(new_id("ord"), session["id"], seen.price, base_url=base_url, days=days)
        self._store.put("order", order["id"], order)
        return order

    def _kept(self, session: Document, problem: Document | None = None) -> Document:
        self._store.put("session", session["id"], session)
        return self._view(session, problem=problem)

    def _view(
        self, session: Document, seen: _Seen | None = None, problem: Document | None = None
    ) -> Document:
        if "frozen" in session:
            return {**session["frozen"], "order": self.order(session["order"])}
        seen = seen or self._seen(session)
        base_url, now = self._shop.base_url, self._shop.clock.now()
        # Days count from the session's start: a session read past midnight promises the same.
        made = datetime.fromisoformat(session["created_at"])
        messages = [*seen.messages, *([problem] if problem else [])]
        status = self._status(session, messages)
        if problem and problem["code"] == "payment_declined":
            status = "ready_for_payment"
        body: Document = {
            "id": session["id"],
            "protocol": {"version": view.VERSION},
            "capabilities": view.capabilities(),
            "status": status,
            "currency": CURRENCY.lower(),
            "line_items": [
                view.line_item(
                    line, left=self.left(line.product.id, besides=session["id"]), base_url=base_url
                )
                for line in seen.price.lines
            ],
            "totals": view.totals(seen.price),
            **view.sent(seen.parts, made),
            "messages": messages,
            "links": view.links(base_url),
            "discounts": view.discounts(session["codes"], seen.price),
            "created_at": session["created_at"],
            "updated_at": rfc3339(now),
            "expires_at": session["expires_at"],
        }
        body |= {n: session[n] for n in ("buyer", "fulfillment_details") if n in session}
        if session["state"] == "completed":
            body["order"] = self.order(session["order"])
        return self._escalated(session, body)

    def _escalated(self, session: Document, body: Document) -> Document:
        if session["state"] in _FINAL:
            return body
        if self._shop.faults.strikes("requires_escalation", "session"):
            url = f"{self._shop.base_url}/continue/{session['id']}"
            return {**body, "status": "requires_escalation", "continue_url": url}
        if self._shop.faults.strikes("no_continue_url", "session"):
            return {**body, "status": "requires_escalation"}
        return body


def _country(session: Document) -> str | None:
    address = (session.get("fulfillment_details") or {}).get("address") or {}
    country = address.get("country")
    return str(country).upper() if country else None


def _token(body: Mapping[str, Any]) -> str:
    """The payment token for our handler. Raises `Refusal` 400."""
    data = body.get("payment_data") or {}
    if data.get("handler_id") != view.HANDLER:
        param = "$.payment_data.handler_id"
        raise Refusal(400, "invalid", "There is no such payment handler", param=param)
    token = ((data.get("instrument") or {}).get("credential") or {}).get("token")
    if not isinstance(token, str) or not token:
        param = "$.payment_data.instrument.credential.token"
        raise Refusal(400, "missing", "Send the payment token", param=param)
    return token


def _code_messages(codes: Sequence[str], priced: Price) -> Sequence[Document]:
    return [
        view.message(
            "warning",
            reason,
            f"Code {code} was not applied",
            f"$.discounts.codes[{codes.index(code)}]",
        )
        for code, reason in priced.rejected
    ]


def _paid(order: Document) -> int:
    return next(int(t["amount"]) for t in order["totals"] if t["type"] == "total")
