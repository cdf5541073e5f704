"""A merchant that speaks the Agentic Commerce Protocol: checkout sessions over REST.

Built to the JSON Schemas and examples of 2026-04-17 (its OpenAPI contradicts them). Requests carry
no quantity there: n units of an item are n entries of it, and the merchant's lines say what it
understood. If that is not what was asked, the session is not ready.

The protocol has no orders API. A merchant that lists `orders` among its services in
`/.well-known/acp.json` is asked at `GET /orders/{id}`; one that also lists our extension
`dev.emptor.order_cancellation` gives a cancellation quote (`POST /orders/{id}/cancellations`, then
`.../{cancellation}/confirm`, as in booking.openapi.json). With any other merchant an order is
cancelled outside the protocol, and we say so: `PartnerRefused`, code `not_supported`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from integrations.acp_delivery import missing, selections
from integrations.acp_session import VERSIONS, order_of, quote_of
from integrations.answers import as_asked, may_place, offered, placed
from integrations.cancellations import cancellation_of
from integrations.partner import (
    Basket,
    Buyer,
    CancellationQuote,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    Quote,
)
from integrations.wire import Wire, object_at, objects_at, segment, text_at

CANCELLATION_EXTENSION = "dev.emptor.order_cancellation"
UNITS_MAX = 200
# Merchants that turned the newest version away, and what they speak instead. Only a hint that
# spares the next request a refusal: a process that has not heard of it finds out again.
SPOKEN: dict[str, str] = {}

_CARD_HANDLER = "dev.acp.tokenized.card"
_SESSIONS = "/checkout_sessions"


class AcpPartner:
    """`Partner` over ACP at `base_url`. `publisher` names us in the affiliate attribution."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        key: str,
        *,
        api_version: str = "2026-04-17",
        publisher: str = "emptor",
        locale: str = "en-US",
    ) -> None:
        if api_version not in VERSIONS:
            raise ValueError(f"ACP {api_version} is not one of {sorted(VERSIONS)}")
        version = SPOKEN.get(base_url.rstrip("/"), api_version)
        self._wire = _Versioned(http, base_url, key, version=version, locale=locale)
        self._discovery = _Versioned(http, _origin(base_url), key, version=version, locale=locale)
        self._publisher = publisher
        self._locale = locale

    async def quote(self, basket: Basket, *, key: str) -> Quote:
        body = {
            **_contents(basket),
            "currency": basket.currency.lower(),
            # No intervention can be shown inside a chat: such a session is handed off.
            "capabilities": {"interventions": {"supported": []}, "extensions": ["discount"]},
            "locale": self._locale,
            "affiliate_attribution": self._attribution(key, "first"),
        }
        return await self._chosen(await self._wire.post(_SESSIONS, body, key=key), basket, key)

    async def revise(self, reference: str, basket: Basket, *, key: str) -> Quote:
        path = f"{_SESSIONS}/{segment(reference)}"
        body = _contents(basket)
        if basket.delivery_id or basket.deliveries:
            chosen = selections(await self._wire.get(path), basket)
            if chosen:
                body["selected_fulfillment_options"] = chosen
        return await self._chosen(await self._wire.post(path, body, key=key), basket, key)

    async def _chosen(self, session: Mapping[str, Any], basket: Basket, key: str) -> Quote:
        """The session with the wanted deliveries, which the merchant may not have taken yet."""
        made = self._offer(session)
        open_still = made.status in ("incomplete", "ready")
        if open_still and (wanted := missing(session, basket)):
            path = f"{_SESSIONS}/{segment(made.reference)}"
            body = {**_contents(basket), "selected_fulfillment_options": wanted}
            made = self._offer(await self._wire.post(path, body, key=f"{key}:delivery"))
        return as_asked(made, basket)

    async def read(self, reference: str) -> Quote:
        return self._quote(await self._wire.get(f"{_SESSIONS}/{segment(reference)}"))

    async def hold(self, reference: str, *, key: str) -> Quote:  # noqa: ARG002 (nothing to write)
        """ACP keeps no stock before completion: this reads the session."""
        return await self.read(reference)

    async def place(
        self, reference: str, payment: PartnerPayment, buyer: Buyer | None, *, key: str
    ) -> Quote:
        """Complete the session if it still costs what the payment covers.

        A session that is already completed is returned as it is, so this doubles as the look-up
        after a lost answer. `needs_handoff` and `placing` come back as such; a clear no raises.
        """
        path = f"{_SESSIONS}/{segment(reference)}"
        session = await self._wire.get(path)
        now = self._quote(session)
        if not may_place(now, payment.amount):
            return now
        body: dict[str, Any] = {
            "payment_data": _payment_data(session, payment),
            "affiliate_attribution": self._attribution(key, "last"),
        }
        if buyer is not None:
            body["buyer"] = _buyer(buyer)
        answer = await self._wire.post(f"{path}/complete", body, key=key)
        return placed(lambda: self._quote(answer), text_at(answer, "status", 60))

    async def cancel(self, reference: str, *, key: str) -> Quote:
        body = {"intent_trace": {"reason_code": "other"}}
        try:
            path = f"{_SESSIONS}/{segment(reference)}/cancel"
            return self._quote(await self._wire.post(path, body, key=key))
        except PartnerRefused:
            # 405 tells a canceled and a completed session alike: look which it is.
            now = await self.read(reference)
            if now.status in ("canceled", "expired"):
                return now
            raise

    async def order(self, order_id: str) -> PartnerOrder:
        if "orders" not in (await self._capabilities()).get("services", ()):
            raise _not_supported()
        answer = await self._wire.get(f"/orders/{segment(order_id)}")
        return order_of(answer, base_url=self._wire.base_url)

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote:
        await self._check_cancellation()
        path = f"/orders/{segment(order_id)}/cancellations"
        return cancellation_of(await self._wire.post(path, {}, key=key))

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder:
        await self._check_cancellation()
        path = f"/orders/{segment(order_id)}/cancellations/{segment(quote.id)}/confirm"
        answer = await self._wire.post(path, {}, key=key)
        return order_of(answer, base_url=self._wire.base_url)

    def _quote(self, session: Mapping[str, Any]) -> Quote:
        return quote_of(session, base_url=self._wire.base_url)

    def _offer(self, session: Mapping[str, Any]) -> Quote:
        """`_quote` of a session that has no order yet."""
        return offered(lambda: self._quote(session), session, base_url=self._wire.base_url)

    def _attribution(self, token: str, touchpoint: str) -> Mapping[str, str]:
        """Write-only at the merchant; the token is our own key, so both books name one purchase."""
        return {
            "provider": self._publisher,
            "publisher_id": self._publisher,
            "token": token,
            "touchpoint": touchpoint,
        }

    async def _capabilities(self) -> Mapping[str, Any]:
        try:
            document = await self._discovery.get("/.well-known/acp.json")
        except PartnerRefused:
            return {}
        return object_at(document, "capabilities")

    async def _check_cancellation(self) -> None:
        extensions = objects_at(await self._capabilities(), "extensions")
        if all(extension.get("name") != CANCELLATION_EXTENSION for extension in extensions):
            raise _not_supported()


class _Versioned(Wire):
    """Requests in one version; a merchant that names others it speaks is asked again in ours.

    Safe with the same key: the refusal says that nothing happened.
    """

    def __init__(
        self, http: httpx.AsyncClient, base_url: str, key: str, *, version: str, locale: str
    ) -> None:
        super().__init__(http, base_url, key, {"API-Version": version, "Accept-Language": locale})

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str | None
    ) -> Mapping[str, Any]:
        try:
            return await super()._call(method, path, body, key)
        except PartnerRefused as refused:
            common = VERSIONS & set(refused.versions) - {self._headers["API-Version"]}
            if not common:
                raise
        self._headers["API-Version"] = SPOKEN[self.base_url] = max(common)
        return await super()._call(method, path, body, key)


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _not_supported() -> PartnerRefused:
    return PartnerRefused("this merchant takes no such request from us", code="not_supported")


def _contents(basket: Basket) -> dict[str, Any]:
    """What create and update share. Raises `PartnerRefused` beyond `UNITS_MAX` units."""
    if sum(quantity for _, quantity in basket.lines) > UNITS_MAX:
        raise PartnerRefused("too many units for one order", code="quantity_exceeded")
    entries = [{"id": item} for item, quantity in basket.lines for _ in range(quantity)]
    body: dict[str, Any] = {
        "line_items": entries,
        "discounts": {"codes": list(basket.discount_codes)},
    }
    if basket.buyer is not None:
        body["buyer"] = _buyer(basket.buyer)
    if basket.address is not None:
        body["fulfillment_details"] = _fulfillment(basket)
    return body


def _buyer(buyer: Buyer) -> Mapping[str, str]:
    body = {"first_name": buyer.first_name, "last_name": buyer.last_name, "email": buyer.email}
    return {**body, "phone_number": buyer.phone} if buyer.phone else body


def _fulfillment(basket: Basket) -> Mapping[str, Any]:
    address = basket.address
    assert address is not None
    lines: dict[str, Any] = {
        "name": address.name,
        "address": {
            "name": address.name,
            "line_one": address.line_one,
            "line_two": address.line_two,
            "city": address.city,
            "state": address.state,
            "country": address.country,
            "postal_code": address.postal_code,
        },
    }
    if basket.buyer is not None:
        lines["email"] = basket.buyer.email
        if basket.buyer.phone:
            lines["phone_number"] = basket.buyer.phone
    return lines


def _payment_data(session: Mapping[str, Any], payment: PartnerPayment) -> Mapping[str, Any]:
    """Payment by the merchant's own handler for tokenised cards.

    Raises `PartnerRefused` when it offers none: another kind would need data that we never hold.
    """
    offered = objects_at(object_at(object_at(session, "capabilities"), "payment"), "handlers")
    cards = [handler for handler in offered if handler.get("name") == _CARD_HANDLER]
    if not cards:
        raise PartnerRefused("no way of paying that we can use", code="no_payment_handler")
    # `display_order` is a suggestion and may be absent; the id settles the rest, so that a repeat
    # of this request has the same body.
    chosen = min(cards, key=lambda h: (str(h.get("display_order", "~")), text_at(h, "id", 200)))
    return {
        "handler_id": text_at(chosen, "id", 200),
        "instrument": {"type": "card", "credential": {"type": "spt", "token": payment.token}},
    }
