"""The demo box office's orders: read, cancel for a quoted refund, and tell the platform by webhook.

Every event is the whole order, signed with the key that our profile lists. It is sent again while
nobody takes it, with the same `Webhook-Id`, so that who hears it twice can tell.
"""

import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import uuid4

import httpx

from integrations.signatures import SigningKey
from integrations.simulators import ucp_view as view
from integrations.simulators.events import CURRENCY
from integrations.simulators.merchant import Answer, Merchant, Refusal
from integrations.simulators.store import Document, new_id, rfc3339
from integrations.ucp_signing import signed

CANCELLATION_MINUTES = 30
TRIES = 4
_PAUSES_S = (0.2, 1.0, 5.0, 0.0)

# An event's headers, signed anew at each try; and who brings it: address, body, headers.
Vouch = Callable[[], Mapping[str, str]]
Deliver = Callable[[str, bytes, Vouch], None]


class BoxOrders:
    """Works inside the merchant's transaction, except `tell`, which has threads of its own."""

    def __init__(
        self, merchant: Merchant, key: SigningKey, *, deliver: Deliver | None = None
    ) -> None:
        self._deliver = deliver or _by_thread
        self._house = merchant
        self._store = merchant.store
        self._key = key
        merchant.changed = self.tell

    def stored(self, identifier: str) -> Document:
        found = self._store.get("order", identifier)
        if found is None:
            raise Refusal(404, "not_found", "There is no such order")
        return found

    def read(self, identifier: str) -> Document:
        return self._view(self.stored(identifier))

    def quote_cancellation(self, order_id: str) -> Answer:
        order = self.stored(order_id)
        if order["status"] != "processing":
            raise Refusal(409, "not_cancelable", f"The order is {order['status']}")
        ends = self._house.clock.now() + timedelta(minutes=CANCELLATION_MINUTES)
        quote: Document = {
            "id": new_id("can"),
            "order_id": order_id,
            "refund_amount": next(t["amount"] for t in order["totals"] if t["type"] == "total"),
            "fee_amount": 0,
            "currency": CURRENCY,
            "expires_at": rfc3339(ends),
        }
        self._store.put("cancellation", quote["id"], quote)
        return 201, quote

    def confirm_cancellation(self, order_id: str, quote_id: str) -> Answer:
        order, quote = self.stored(order_id), self._store.get("cancellation", quote_id)
        if quote is None or quote["order_id"] != order_id:
            raise Refusal(404, "not_found", "There is no such cancellation quote")
        if order["status"] == "canceled":
            return 200, self._view(order)
        now = self._house.clock.now()
        if now >= datetime.fromisoformat(quote["expires_at"]) or order["status"] != "processing":
            raise Refusal(409, "not_cancelable", "It is too late for this quote")
        order["status"] = "canceled"
        order["adjustments"].append(
            {
                "id": new_id("adj"),
                "type": "cancellation",
                "occurred_at": rfc3339(now),
                "status": "completed",
                "totals": [{"type": "total", "amount": -quote["refund_amount"]}],
            }
        )
        self._store.release(order["checkout_id"])
        self._store.put("order", order_id, order)
        self.tell(order)
        return 200, self._view(order)

    def _view(self, order: Document) -> Document:
        return view.order(order, base_url=self._house.base_url, agent_meta=order["meta"])

    def tell(self, order: Document) -> None:
        """Send the order to where its platform takes order events, if it named a place."""
        url, said = order.get("webhook_url"), self._view(order)
        if not url:
            return
        now = self._house.clock.now()
        event = str(uuid4())
        if order["meta"]["version"] == view.OLD:
            said |= {"event_id": event, "created_time": rfc3339(now)}
        headers = {
            "Content-Type": "application/json",
            "UCP-Agent": f'profile="{self._house.base_url}/.well-known/ucp"',
            "Webhook-Id": event,
            "Webhook-Timestamp": str(int(now.timestamp())),
        }
        body = json.dumps(said, ensure_ascii=False).encode()

        def vouched() -> Mapping[str, str]:
            made = signed(
                order["meta"]["version"],
                self._key,
                method="POST",
                url=url,
                headers=headers,
                body=body,
            )
            return {**headers, **made}

        self._deliver(url, body, vouched)


def _by_thread(url: str, body: bytes, vouched: Vouch) -> None:
    threading.Thread(target=_send, args=(url, body, vouched), daemon=True).start()


def _send(url: str, body: bytes, vouched: Vouch) -> None:
    for pause_s in _PAUSES_S:
        try:
            answer = httpx.post(url, content=body, headers=vouched(), timeout=5, trust_env=False)
        except httpx.HTTPError:
            answer = None
        if answer is not None and answer.status_code < 500:
            return
        threading.Event().wait(pause_s)
