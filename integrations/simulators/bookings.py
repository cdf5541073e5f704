"""A demo booking partner's desk: search, quotes with two clocks, holds, orders, cancellations."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from integrations.simulators import booking_view as view
from integrations.simulators import seating
from integrations.simulators.merchant import Answer, Call, Merchant, Refusal
from integrations.simulators.places import CURRENCY, Vertical, fitting
from integrations.simulators.seating import DINNER, Thing, When
from integrations.simulators.store import Document, new_id, rfc3339

GUARANTEE_MINUTES = 30
HOLD_MINUTES = 15
CANCELLATION_MINUTES = 30
NEAR_MINUTES = 90


class Desk:
    """Works inside the merchant's transaction; every method reads and writes its store."""

    def __init__(self, merchant: Merchant, vertical: Vertical) -> None:
        self._house = merchant
        self._store = merchant.store
        self._vertical = vertical
        self._things = seating.every_thing(vertical)

    def search(self, body: Mapping[str, Any]) -> Document:
        vertical = body.get("vertical")
        if vertical not in ("table", "room"):
            raise Refusal(400, "invalid", "Search for a table or a room", param="$.vertical")
        when = view.when_of(body.get("booking"))
        if vertical != self._vertical:
            return {"data": []}  # another house's trade; nothing of it is free here
        if vertical == "room":
            when = replace(when, at=None, nights=when.nights or 1)
        most = self._most(body.get("max_total"))
        limit = min(50, int(body.get("limit") or 20))
        exact: list[tuple[int, Document]] = []
        near: list[tuple[int, Document]] = []
        for place in fitting(vertical, str(body.get("query", "")), str(body.get("place", ""))):
            options = [self._option(thing, when, most) for thing in seating.things(place)]
            for nth, found in enumerate(filter(None, options)):
                (near if "alternative" in found["attributes"] else exact).append((nth, found))
        # Another time is offered only when nothing is free at the time that was asked for. Every
        # house shows one room before any house shows its second.
        best = sorted(exact or near, key=lambda entry: entry[0])
        return {"data": [found for _, found in best][:limit]}

    def quote(self, call: Call) -> Answer:
        thing, quantity = self._line(call.body.get("lines"))
        if call.body.get("currency") != CURRENCY:
            raise Refusal(400, "unsupported_currency", "We sell in EUR", param="$.currency")
        when = view.when_of(call.body.get("booking"))
        replaces = call.body.get("replaces")
        if replaces is not None:
            self._give_up(self._quote(replaces))
        now = self._now
        if seating.left(self._store, thing, when, now=now) < quantity:
            raise Refusal(409, "sold_out", "Nothing is free at that time", param="$.booking")
        quote: Document = {
            "id": new_id("q"),
            "state": "open",
            "item": thing.id,
            "quantity": quantity,
            "booking": view.booking(when),
            "buyer": call.body.get("buyer"),
            "guaranteed_until": rfc3339(now + timedelta(minutes=GUARANTEE_MINUTES)),
            "pay_by": None,
        }
        return 201, self._kept(quote)

    def quote_change(self, order_id: str, call: Call) -> Answer:
        """A quote that changes an order: it is held and confirmed like any other."""
        order = self.order(order_id)
        old = view.when_of(order["booking"])
        line, when = order["lines"][0], view.when_of(call.body.get("booking"))
        thing = self._things[line["item_id"]]
        if order["status"] != "confirmed" or thing.starts(old) <= self._now:
            raise Refusal(409, "not_changeable", "It can no longer be changed")
        if thing.room is not None and thing.room.fixed:
            raise Refusal(409, "not_changeable", "This rate takes no changes")
        own = order["quote_id"]
        if seating.left(self._store, thing, when, now=self._now, replaces=own) < line["quantity"]:
            raise Refusal(409, "sold_out", "Nothing is free at that time", param="$.booking")
        quote: Document = {
            "id": new_id("q"),
            "state": "open",
            "item": thing.id,
            "quantity": line["quantity"],
            "booking": view.booking(when),
            "buyer": None,
            "guaranteed_until": rfc3339(self._now + timedelta(minutes=GUARANTEE_MINUTES)),
            "pay_by": None,
            "changes": order_id,
            "replaces": own,
            "paid": order["total"],
        }
        return 201, self._kept(quote)

    def read(self, identifier: str) -> Document:
        return self._view(self._quote(identifier))

    def hold(self, identifier: str) -> Answer:
        quote = self._live(self._quote(identifier))
        if quote["state"] != "held":
            ends = self._now + timedelta(minutes=HOLD_MINUTES)
            self._take(quote, until=ends)
            quote |= {"state": "held", "pay_by": rfc3339(ends), "frozen": self._prices(quote)}
            # A seat that is kept keeps its price: the first clock never ends before the second.
            quote["guaranteed_until"] = max(quote["guaranteed_until"], quote["pay_by"])
        return 200, self._kept(quote)

    def confirm(self, identifier: str, call: Call) -> Answer:
        quote = self._quote(identifier)
        payment = call.body.get("payment") or {}
        token = payment.get("token")
        if not isinstance(token, str) or not token:
            raise Refusal(400, "missing", "Send the payment token", param="$.payment.token")
        if quote["state"] == "completed" and quote["token"] == token:
            return 200, self._view(quote)
        if call.body.get("buyer"):
            quote["buyer"] = call.body["buyer"]
        self._live(quote)
        prices = quote.get("frozen") or self._prices(quote)
        if (payment.get("amount"), payment.get("currency")) != (prices["total"], CURRENCY):
            raise Refusal(409, "amount_mismatch", "That is not the total", param="$.payment.amount")
        if token.startswith("tok_declined"):
            raise Refusal(402, "payment_declined", "The payment was declined")
        if quote.get("changes"):
            return 200, self._change(quote, prices, token)
        if self._house.faults.strikes("out_of_stock", "confirm"):
            self._store.release(quote["id"])
            raise Refusal(409, "sold_out", "It has just been taken by someone else")
        self._take(quote, until=None)
        base_url, now = self._house.base_url, self._now
        order = view.order(new_id("bk"), quote, prices, base_url=base_url, now=now)
        self._store.put("order", order["id"], order)
        more = {"token": token, "order": order["id"], "frozen": prices}
        quote |= {"state": "completed", "attribution": call.body.get("attribution"), **more}
        return 200, self._kept(quote)

    def _change(self, quote: Document, prices: Document, token: str) -> Document:
        order = self.order(quote["changes"])
        if order["status"] != "confirmed" or order["quote_id"] != quote["replaces"]:
            raise Refusal(409, "order_changed", "The order is no longer what this would change")
        self._take(quote, until=None)
        self._store.release(quote["replaces"])
        order |= view.whole(prices) | {"booking": quote["booking"], "quote_id": quote["id"]}
        self._store.put("order", order["id"], order)
        quote |= {"state": "completed", "token": token, "order": order["id"], "frozen": prices}
        return self._kept(quote)

    def cancel(self, identifier: str) -> Answer:
        quote = self._quote(identifier)
        if quote["state"] == "completed":
            raise Refusal(409, "already_completed", "Cancel the order instead")
        self._give_up(quote)
        return 200, self._view(quote)

    def order(self, identifier: str) -> Document:
        found = self._store.get("order", identifier)
        if found is None:
            raise Refusal(404, "not_found", "There is no such order")
        return found

    def quote_cancellation(self, order_id: str) -> Answer:
        order = self.order(order_id)
        if order["status"] != "confirmed":
            raise Refusal(409, "not_cancelable", f"The order is {order['status']}")
        line = order["lines"][0]
        thing, when = self._things[line["item_id"]], view.when_of(order["booking"])
        fee = view.penalty(thing, when, order["total"], line["quantity"], self._now)
        quote: Document = {
            "id": new_id("can"),
            "order_id": order_id,
            "of": order["quote_id"],
            "refund_amount": order["total"] - fee,
            "fee_amount": fee,
            "currency": CURRENCY,
            "expires_at": rfc3339(self._now + timedelta(minutes=CANCELLATION_MINUTES)),
        }
        self._store.put("cancellation", quote["id"], quote)
        return 201, {name: value for name, value in quote.items() if name != "of"}

    def confirm_cancellation(self, order_id: str, quote_id: str) -> Answer:
        order, quote = self.order(order_id), self._store.get("cancellation", quote_id)
        if quote is None or quote["order_id"] != order_id:
            raise Refusal(404, "not_found", "There is no such cancellation quote")
        if order["status"] == "canceled":
            return 200, order
        if self._past(quote["expires_at"]) or quote["of"] != order["quote_id"]:
            raise Refusal(409, "expired", "The cancellation quote has expired")
        order |= {"status": "canceled", "refunded": quote["refund_amount"]}
        self._store.release(order["quote_id"])
        self._store.put("order", order_id, order)
        return 200, order

    @property
    def _now(self) -> datetime:
        return self._house.clock.now()

    def _past(self, moment: str) -> bool:
        return self._now >= datetime.fromisoformat(moment)

    def _most(self, value: Any) -> int | None:
        if not isinstance(value, dict):
            return None
        # Another currency than ours cannot be compared, so such a limit fits nothing.
        return int(value["amount"]) if value.get("currency") == CURRENCY else -1

    def _option(self, thing: Thing, when: When, most: int | None) -> Document | None:
        """The option for that time, or for the nearest one within `NEAR_MINUTES`, or None."""
        more: dict[str, str] = {}
        if thing.room is None:
            times = seating.times_free(self._store, thing, when, now=self._now)
            wanted = when.at or DINNER
            nearest = min(times, key=lambda at: abs(_minute(at) - _minute(wanted)), default=None)
            if nearest is None or abs(_minute(nearest) - _minute(wanted)) > NEAR_MINUTES:
                return None
            more["times"] = view.clocks(times)
            if nearest != wanted:
                more["alternative"] = f"{wanted.strftime('%H:%M')} is taken"
            when = replace(when, at=nearest, nights=None)
        free = seating.left(self._store, thing, when, now=self._now)
        total = view.priced(thing, when, 1, 0)["total"]
        if free <= 0 or (most is not None and total > most):
            return None
        more["total"] = str(total)
        return view.option(thing, when, free, base_url=self._house.base_url, more=more)

    def _line(self, lines: Any) -> tuple[Thing, int]:
        entry = lines[0] if isinstance(lines, list) and len(lines) == 1 else None
        if not isinstance(entry, dict):
            raise Refusal(400, "invalid", "Quote one item at a time", param="$.lines")
        thing = self._things.get(str(entry.get("item_id")))
        if thing is None:
            raise Refusal(404, "not_found", "There is no such item", param="$.lines[0].item_id")
        quantity = entry.get("quantity")
        if type(quantity) is not int or not 1 <= quantity <= 20:
            raise Refusal(400, "invalid", "How many?", param="$.lines[0].quantity")
        return thing, quantity

    def _quote(self, identifier: Any) -> Document:
        found = self._store.get("quote", str(identifier))
        if found is None:
            raise Refusal(404, "not_found", "There is no such quote")
        return found

    def _live(self, quote: Document) -> Document:
        """The quote, if it can be held and booked now. Raises `Refusal`."""
        status = self._status(quote)
        if status == "incomplete":
            lacks = view.lacking(quote)[0]
            raise Refusal(400, lacks["code"], lacks["text"], param=lacks["path"])
        if status not in ("ready", "held"):
            raise Refusal(409, status, f"The quote is {status}")
        return quote

    def _status(self, quote: Document) -> str:
        if quote["state"] in ("completed", "canceled"):
            return str(quote["state"])
        if quote["state"] == "held":
            return "expired" if self._past(quote["pay_by"]) else "held"
        if self._past(quote["guaranteed_until"]):
            return "expired"
        return "incomplete" if view.lacking(quote) else "ready"

    def _take(self, quote: Document, *, until: datetime | None) -> None:
        """Take the slots for the quote. Raises `Refusal` 409 when another has them."""
        thing, when = self._things[quote["item"]], view.when_of(quote["booking"])
        own, old = quote["id"], quote.get("replaces") or ""
        free = seating.left(self._store, thing, when, now=self._now, besides=own, replaces=old)
        if free < quote["quantity"]:
            raise Refusal(409, "sold_out", "Nothing is free at that time any more")
        for slot in seating.slots(thing, when):
            self._store.take(thing.id, slot, quote["quantity"], owner=quote["id"], until=until)

    def _give_up(self, quote: Document) -> None:
        if quote["state"] != "completed":
            quote["state"] = "canceled"
            self._store.release(quote["id"])
            self._store.put("quote", quote["id"], quote)

    def _prices(self, quote: Document) -> Document:
        drift = self._house.faults.strikes("price_drift", "price")
        thing, when = self._things[quote["item"]], view.when_of(quote["booking"])
        prices = view.priced(thing, when, quote["quantity"], int(drift.value) if drift else 0)
        return view.changed(prices, quote["paid"]) if quote.get("changes") else prices

    def _kept(self, quote: Document) -> Document:
        self._store.put("quote", quote["id"], quote)
        return self._view(quote)

    def _view(self, quote: Document) -> Document:
        thing = self._things[quote["item"]]
        body: Document = {
            "id": quote["id"],
            "status": self._status(quote),
            **(quote.get("frozen") or self._prices(quote)),
            "booking": quote["booking"],
            "price_guaranteed_until": quote["guaranteed_until"],
            "cancellation_policy": view.policy(thing),
            "messages": view.lacking(quote) if quote["state"] == "open" else [],
        }
        if quote.get("changes"):
            body["changes"] = quote["changes"]
        if quote["pay_by"]:
            body["pay_by"] = quote["pay_by"]
        if quote["state"] == "completed":
            body["order"] = self.order(quote["order"])
        elif self._house.faults.strikes("requires_escalation", "session"):
            url = f"{self._house.base_url}/continue/{quote['id']}"
            body |= {"status": "needs_handoff", "continue_url": url}
        return body


def _minute(at: Any) -> int:
    return int(at.hour) * 60 + int(at.minute)
