"""The demo box office's carts: what is put aside, priced, and cut to the seats that are left.

A cart takes no seats. When a checkout is made of it, its contents count and not the request's.
"""

from typing import Any, Protocol

from integrations.simulators import ucp_view as view
from integrations.simulators.events import CURRENCY, Evening
from integrations.simulators.merchant import Answer, Call, Merchant, Refusal
from integrations.simulators.store import Document, Store, new_id
from integrations.simulators.ucp_gate import Agent
from integrations.ucp_profile import CART


class House(Protocol):
    """What a cart asks the box office."""

    def lines(self, entries: Any) -> dict[str, int]: ...

    def wanted(self, session: Document) -> list[tuple[Evening, int, int]]: ...

    def left(self, of: Evening, *, besides: str = "") -> int: ...


class BoxCarts:
    """Works inside the merchant's transaction; every method reads and writes its store."""

    def __init__(self, merchant: Merchant, house: House) -> None:
        self._base_url = merchant.base_url
        self._store = merchant.store
        self._house = house

    def create(self, call: Call, agent: Agent) -> Answer:
        if CART not in agent.active:
            raise Refusal(404, "not_found", "Carts were not agreed on")
        return 201, self._keep({"id": new_id("cart")}, call, agent)

    def update(self, identifier: str, call: Call, agent: Agent) -> Answer:
        return 200, self._keep(cart_of(self._store, identifier), call, agent)

    def read(self, identifier: str, agent: Agent) -> Document:
        """The goods without the booking fee: what a checkout adds is not known before it is one."""
        cart = cart_of(self._store, identifier)
        wanted = self._house.wanted({"lines": self._house.lines(cart["line_items"])})
        seats = sum(unit * quantity for _, quantity, unit in wanted)
        return {
            "ucp": view.meta(agent),
            "id": identifier,
            "line_items": [view.line_item(*entry, base_url=self._base_url) for entry in wanted],
            "currency": CURRENCY,
            "totals": view.totals(seats, 0, 0, 0, version=agent.version)[0],
            "messages": cart.get("messages", []),
            "continue_url": f"{self._base_url}/continue/{identifier}",
        }

    def cancel(self, identifier: str, agent: Agent) -> Answer:
        seen = self.read(identifier, agent)
        self._store.put("cart", identifier, {**cart_of(self._store, identifier), "gone": True})
        return 200, seen

    def _keep(self, cart: Document, call: Call, agent: Agent) -> Document:
        asked = self._house.lines(call.body.get("line_items"))
        kept, said = self._cut(asked)
        cart["line_items"] = [{"item": {"id": i}, "quantity": n} for i, n in kept.items()]
        cart["messages"] = said
        cart |= {n: call.body[n] for n in ("buyer", "discounts") if n in call.body}
        self._store.put("cart", cart["id"], cart)
        return self.read(cart["id"], agent)

    def _cut(self, asked: dict[str, int]) -> tuple[dict[str, int], list[Document]]:
        """No more seats than there are. Raises `Refusal` where none is left of anything."""
        kept, said = {}, []
        for place, (one, quantity, _) in enumerate(self._house.wanted({"lines": asked})):
            left = self._house.left(one)
            if left < quantity:
                text = f"{max(0, left)} seats are left for {one.event.title}"
                said.append(view.message("warning", "quantity_cut", text, f"$.line_items[{place}]"))
            if left > 0:
                kept[one.id] = min(left, quantity)
        if not kept:
            raise Refusal(409, "out_of_stock", "Sold out")
        return kept, said


def cart_of(store: Store, identifier: str) -> Document:
    """Raises `Refusal` 404."""
    found = store.get("cart", identifier)
    if found is None or found.get("gone"):
        raise Refusal(404, "not_found", "There is no such cart")
    return found
