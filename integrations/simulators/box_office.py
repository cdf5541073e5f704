"""The demo box office's checkout: sessions, seats, completion, orders, and carts made into one.

A session keeps what the buyer wants; prices are worked out anew when it is asked for and frozen
with the order. Seats are taken at completion, in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from integrations.money import Money
from integrations.simulators import ucp_view as view
from integrations.simulators.box_carts import cart_of
from integrations.simulators.events import CURRENCY, Evening, evening, on_sale
from integrations.simulators.merchant import Answer, Call, Merchant, Refusal
from integrations.simulators.store import Document, new_id, rfc3339
from integrations.simulators.ucp_gate import Agent
from integrations.ucp_profile import DISCOUNT, FULFILLMENT, HANDLER

SESSION_MINUTES = 45
CANCELLATION_MINUTES = 30
CODES = {"BRAVO": 1000}  # basis points off the seats
_FINAL = ("completed", "canceled")


class BoxOffice:
    """Works inside the merchant's transaction; every method reads and writes its store."""

    def __init__(self, merchant: Merchant) -> None:
        self._house = merchant
        self._store = merchant.store

    # --- what is on --------------------------------------------------------------------------

    def left(self, of: Evening, *, besides: str = "") -> int:
        taken = self._store.taken(of.id, "", now=self._house.clock.now(), besides=besides)
        return of.event.seats - taken

    def evenings(self) -> Sequence[Evening]:
        return on_sale(self._house.clock.now().date())

    def search(self, body: Mapping[str, Any], agent: Agent) -> Document:
        """Evenings whose words the query has, those with most of them first."""
        words = [word for word in str(body.get("query", "")).lower().split() if len(word) > 1]
        price = (body.get("filters") or {}).get("price") or {}
        least, most = price.get("min", 0), price.get("max")
        limit = min(int((body.get("pagination") or {}).get("limit", 10)), 50)
        scored = []
        for one in self.evenings():
            event = one.event
            text = f"{one.title} {one.zh} {event.about} {event.category} {event.city}".lower()
            hits = sum(word in text for word in words)
            within = least <= event.price and (most is None or event.price <= most)
            if (hits or not words) and within:
                scored.append((-hits, one.day, one.id, one))
        found = [self._product(one) for *_, one in sorted(scored)[:limit]]
        more = {"has_next_page": False, "total_count": len(scored)}
        return {"ucp": view.meta(agent), "products": found, "pagination": more}

    def look_up(self, body: Mapping[str, Any], agent: Agent) -> Document:
        today = self._house.clock.now().date()
        found = {item: evening(str(item), today) for item in body.get("ids", [])}
        products = [self._product(one, item) for item, one in found.items() if one is not None]
        return {"ucp": view.meta(agent), "products": products}

    def _product(self, of: Evening, asked: str | None = None) -> Document:
        base_url = self._house.base_url
        return view.product(of, left=self.left(of), base_url=base_url, asked=asked)

    # --- checkouts ---------------------------------------------------------------------------

    def create(self, call: Call, agent: Agent) -> Answer:
        cart_id = call.body.get("cart_id")
        if cart_id is not None:
            return self._from_cart(str(cart_id), call, agent)
        session = self._new(agent)
        self._merge(session, call.body, agent)
        return 201, self._kept(session, agent)

    def _from_cart(self, cart_id: str, call: Call, agent: Agent) -> Answer:
        """The cart's contents win; a second conversion answers with the same open checkout."""
        cart = cart_of(self._store, cart_id)
        known = self._store.get("session", str(cart.get("checkout")))
        if known is not None and known["state"] not in _FINAL:
            return 201, self._view(known, agent)
        session = {**self._new(agent), "cart": cart_id}
        own: Document = {n: cart[n] for n in ("line_items", "buyer", "discounts") if n in cart}
        self._merge(session, {**call.body, **own}, agent)
        self._store.put("cart", cart_id, {**cart, "checkout": session["id"]})
        return 201, self._kept(session, agent)

    def _new(self, agent: Agent) -> Document:
        now = self._house.clock.now()
        return {
            "id": new_id("ck"),
            "state": "open",
            "lines": {},
            "option": None,
            "destination": None,
            "going": False,
            "codes": [],
            "attribution": {},
            "webhook_url": agent.webhook_url,
            "profile": agent.profile,
            "created_at": rfc3339(now),
            "expires_at": rfc3339(now + timedelta(minutes=SESSION_MINUTES)),
        }

    def update(self, identifier: str, call: Call, agent: Agent) -> Answer:
        session = self._open(identifier)
        self._merge(session, call.body, agent)
        return 200, self._kept(session, agent)

    def read(self, identifier: str, agent: Agent) -> Document:
        return self._view(self._session(identifier), agent)

    def complete(self, identifier: str, call: Call, agent: Agent) -> Answer:
        session = self._session(identifier)
        token = _token(call.body)
        if session["state"] == "completed" and session["token"] == token:
            return 200, self._view(session, agent)
        self._open(identifier)
        self._credit(session, call.body)
        problem = self._problem(session, token)
        seen = self._view(session, agent)
        if problem is not None or seen["status"] != "ready_for_complete":
            return 200, self._kept(session, agent, problem)
        for item, quantity in session["lines"].items():
            self._store.take(item, "", quantity, owner=session["id"])
        order = self._order(session, seen)
        session |= {"state": "completed", "token": token, "order": order["id"]}
        answer = self._view(session, agent)
        session["frozen"] = answer
        self._store.put("session", session["id"], session)
        self._house.changed(order)
        return 200, answer

    def cancel(self, identifier: str, agent: Agent) -> Answer:
        session = self._session(identifier)
        if session["state"] in _FINAL:
            raise Refusal(409, "conflict", f"The checkout is {session['state']}")
        session["state"] = "canceled"
        return 200, self._kept(session, agent)

    def _session(self, identifier: str) -> Document:
        found = self._store.get("session", identifier)
        if found is None:
            raise Refusal(404, "not_found", "There is no such checkout")
        return found

    def _open(self, identifier: str) -> Document:
        session = self._session(identifier)
        if session["state"] in _FINAL or self._over(session):
            raise Refusal(409, "conflict", "The checkout can no longer be changed")
        return session

    def _over(self, session: Document) -> bool:
        return self._house.clock.now() >= datetime.fromisoformat(session["expires_at"])

    def _merge(self, session: Document, body: Mapping[str, Any], agent: Agent) -> None:
        """What the request says replaces what the session holds. Raises `Refusal` 400."""
        if "line_items" in body:
            session["lines"] = self.lines(body["line_items"])
        if isinstance(body.get("buyer"), dict):
            session["buyer"] = body["buyer"]
        if DISCOUNT in agent.active and isinstance(body.get("discounts"), dict):
            session["codes"] = [str(code) for code in body["discounts"].get("codes", [])]
        self._credit(session, body)
        methods = (body.get("fulfillment") or {}).get("methods") or []
        if methods and FULFILLMENT in agent.active:
            self._deliver(session, methods[0])

    def _credit(self, session: Document, body: Mapping[str, Any]) -> None:
        if isinstance(body.get("attribution"), dict):
            session["attribution"] = body["attribution"]

    def _deliver(self, session: Document, method: Mapping[str, Any]) -> None:
        places = method.get("destinations") or []
        if places:
            session["destination"] = {**places[0], "id": str(places[0].get("id", "place_1"))}
        if session["destination"] is not None:
            chosen = method.get("selected_destination_id")
            session["going"] = chosen == session["destination"]["id"]
        for group in method.get("groups") or []:
            if group.get("selected_option_id") not in {name for name, *_ in view.OPTIONS}:
                raise Refusal(400, "invalid", "There is no such delivery")
            session["option"] = group["selected_option_id"]

    def lines(self, entries: Any) -> dict[str, int]:
        today = self._house.clock.now().date()
        lines: dict[str, int] = {}
        for entry in entries if isinstance(entries, list) else []:
            item = str((entry.get("item") or {}).get("id"))
            quantity = entry.get("quantity")
            if evening(item, today) is None:
                raise Refusal(400, "not_found", f"There is no evening {item}")
            if type(quantity) is not int or not 1 <= quantity <= 50:
                raise Refusal(400, "invalid", "A quantity is a whole number from 1 to 50")
            lines[item] = lines.get(item, 0) + quantity
        if not lines:
            raise Refusal(400, "missing", "Name at least one evening")
        return lines

    def wanted(self, session: Document) -> list[tuple[Evening, int, int]]:
        """Evening, seats and the price of one now."""
        drift = self._house.faults.strikes("price_drift", "price")
        today, wanted = self._house.clock.now().date(), []
        for item, quantity in session["lines"].items():
            one = evening(item, today)
            if one is None:
                raise Refusal(409, "item_unavailable", f"{item} is over")
            bps = int(drift.value) if drift else 0
            unit = one.event.price + Money(one.event.price, CURRENCY).share(bps=bps).amount
            wanted.append((one, quantity, unit))
        return wanted

    def _messages(self, session: Document, agent: Agent) -> list[Document]:
        said = []
        for place, (one, quantity, _) in enumerate(self.wanted(session)):
            left = self.left(one, besides=session["id"])
            path = f"$.line_items[{place}]"
            if left < quantity:
                text = f"{left} seats are left" if left > 0 else "Sold out"
                said.append(view.message("error", "out_of_stock", text, path))
            if one.event.age:
                text = f"Only from {one.event.age}: show your identity on our own page"
                severity = "requires_buyer_review"
                said.append(view.message("error", "age_restricted", text, path, severity=severity))
        if not (session.get("buyer") or {}).get("email"):
            said.append(view.message("error", "missing", "Whose seats are these?", "$.buyer.email"))
        if view.has_delivery(agent, session) and not (session["going"] and session["option"]):
            text = "Choose how the tickets reach you"
            said.append(view.message("error", "missing", text, "$.fulfillment.methods[0]"))
        if session["codes"] and not self._discount(session):
            said.append(view.message("warning", "discount_code_invalid", "The code has no effect"))
        return said

    def _discount(self, session: Document) -> int:
        bps = next((CODES[c.upper()] for c in session["codes"] if c.upper() in CODES), 0)
        seats = sum(unit * quantity for _, quantity, unit in self.wanted(session))
        return Money(seats, CURRENCY).share(bps=bps).amount

    def _problem(self, session: Document, token: str) -> Document | None:
        if self._house.faults.strikes("out_of_stock", "complete"):
            item = next(iter(session["lines"]))
            one = evening(item, self._house.clock.now().date())
            if one is not None:
                self._store.take(item, "", self.left(one), owner="sim_sold_elsewhere")
            return view.message("error", "out_of_stock", "Just sold out", "$.line_items[0]")
        if token.startswith("tok_declined"):
            return view.message("error", "payment_failed", "The payment was declined")
        return None

    def _order(self, session: Document, seen: Document) -> Document:
        order: Document = {
            "id": new_id("ord"),
            "status": "processing",
            "checkout_id": session["id"],
            "lines": seen["line_items"],
            "totals": seen["totals"],
            "adjustments": [],
            "attribution": session["attribution"],
            "cart_id": session.get("cart"),
            "webhook_url": session["webhook_url"],
            "profile": session["profile"],
            "meta": {k: v for k, v in seen["ucp"].items() if k != "payment_handlers"},
        }
        self._store.put("order", order["id"], order)
        return order

    # --- how a checkout looks ----------------------------------------------------------------

    def _kept(self, session: Document, agent: Agent, problem: Document | None = None) -> Document:
        self._store.put("session", session["id"], session)
        return self._view(session, agent, problem)

    def _view(self, session: Document, agent: Agent, problem: Document | None = None) -> Document:
        if "frozen" in session:
            frozen: Document = session["frozen"]
            return frozen
        wanted, base_url = self.wanted(session), self._house.base_url
        delivered = view.has_delivery(agent, session)
        posting = next((cost for name, _, cost, _ in view.OPTIONS if name == session["option"]), 0)
        lines = [view.line_item(*entry, base_url=base_url) for entry in wanted]
        messages = self._messages(session, agent) + ([problem] if problem else [])
        totals, _ = view.totals(
            sum(unit * quantity for _, quantity, unit in wanted),
            self._discount(session),
            posting if delivered else 0,
            view.BOOKING_FEE,
            version=agent.version,
        )
        body: Document = {
            "ucp": view.meta(agent, payments=True),
            "id": session["id"],
            "line_items": lines,
            "status": self._status(session, messages),
            "currency": CURRENCY,
            "totals": totals,
            "messages": messages,
            "links": view.links(base_url),
            "expires_at": session["expires_at"],
            "continue_url": f"{base_url}/continue/{session['id']}",
        }
        body |= self._extras(session, agent, [line["id"] for line in lines], delivered=delivered)
        return self._escalated(session, body)

    def _extras(
        self, session: Document, agent: Agent, lines: list[str], *, delivered: bool
    ) -> Document:
        more: Document = {"buyer": session["buyer"]} if "buyer" in session else {}
        if delivered:
            made = datetime.fromisoformat(session["created_at"])
            more["fulfillment"] = view.fulfillment(session, lines, made)
        if DISCOUNT in agent.active:
            more["discounts"] = view.discounts(session["codes"], self._discount(session))
        if agent.version == view.OLD:
            more["payment"] = {"handlers": [view.handler(agent.version)]}
        if session["state"] == "completed":
            url = f"{self._house.base_url}/o/{session['order']}"
            more["order"] = {"id": session["order"], "permalink_url": url}
        return more

    def _status(self, session: Document, messages: Sequence[Document]) -> str:
        if session["state"] in _FINAL:
            return str(session["state"])
        if self._over(session):
            return "canceled"
        errors = [m for m in messages if m["type"] == "error" and m["code"] != "payment_failed"]
        if any(m["severity"].startswith("requires_buyer") for m in errors):
            return "requires_escalation"
        return "incomplete" if errors else "ready_for_complete"

    def _escalated(self, session: Document, body: Document) -> Document:
        if session["state"] in _FINAL:
            return body
        if self._house.faults.strikes("requires_escalation", "session"):
            return {**body, "status": "requires_escalation"}
        if self._house.faults.strikes("no_continue_url", "session"):
            body.pop("continue_url")
            return {**body, "status": "requires_escalation"}
        return body


def _token(body: Mapping[str, Any]) -> str:
    """The charge's id, from either version's way of writing it. Raises `Refusal` 400."""
    given = body.get("payment_data") or {}
    instruments = (body.get("payment") or {}).get("instruments") or []
    instrument = given or next((i for i in instruments if i.get("selected", True)), {})
    if instrument.get("handler_id") != view.HANDLER_ID:
        raise Refusal(400, "invalid", "There is no such payment handler")
    credential = instrument.get("credential") or {}
    token = credential.get("token")
    if credential.get("type") != HANDLER or not isinstance(token, str) or not token:
        raise Refusal(400, "missing", "Send the charge's id")
    return token
