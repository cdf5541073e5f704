"""A business that speaks the Universal Commerce Protocol: checkout over REST, signed requests.

2026-04-08 and 2026-01-11. The business's own profile says which, where, and what both can do; the
profile is read first, so a business may move without anybody telling us. Keys are UUIDs made from
ours, the body is the same at every try, and a 409 about a key is `PartnerUnknown`, because it does
not say what the first request did.

The protocol cancels no orders. A business that lists our extension `dev.emptor.order_cancellation`
gives a cancellation quote as in booking.openapi.json; any other says `not_supported`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote as urlquote
from uuid import UUID, uuid5

import httpx

from integrations import ucp_requests as requests
from integrations.answers import as_asked, may_place, offered, placed
from integrations.cancellations import cancellation_of
from integrations.partner import (
    Basket,
    Buyer,
    CancellationQuote,
    PartnerError,
    PartnerGone,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    Quote,
)
from integrations.signatures import SigningKey
from integrations.ucp_profile import CANCELLATION, CART, ORDER, Business, Directory
from integrations.ucp_session import order_of, quote_of, refusal_of
from integrations.ucp_signing import signed
from integrations.wire import Sign, Wire, text_at

_SESSIONS = "/checkout-sessions"
_NAMES = UUID("2f0d9e3c-6a0b-5d55-9a55-0f5b1c1f7e11")  # keys of ours, as the UUIDs it wants


@dataclass(frozen=True, slots=True)
class Platform:
    """Who we are to every UCP business: our profile, the key that signs, and whom we know.

    `profile_url` is where our profile stands; its 2026-01-11 form is one segment below.
    """

    profile_url: str
    key: SigningKey
    directory: Directory
    publisher: str = "emptor"

    def agent(self, version: str) -> str:
        place = f"{self.profile_url}/{version}" if version == requests.OLD else self.profile_url
        return f'profile="{place}"'

    def sign(self, version: str) -> Sign:
        """Signs our requests to a business of this version."""

        def made(
            method: str, url: str, headers: Mapping[str, str], body: bytes | None
        ) -> Mapping[str, str]:
            return signed(version, self.key, method=method, url=url, headers=headers, body=body)

        return made


class UcpPartner:
    """`Partner` over UCP at `discovery_url`. `key` goes along as a bearer key where it is set."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        discovery_url: str,
        key: str,
        *,
        platform: Platform,
        locale: str = "en-US",
    ) -> None:
        self._http = http
        self._discovery_url = discovery_url
        self._key = key
        self._platform = platform
        self._locale = locale

    async def business(self) -> Business:
        """The business as negotiated, from its profile."""
        return await self._platform.directory.business(self._discovery_url)

    async def wire(self) -> tuple[Wire, Business]:
        """Signed requests to the business, and what it can do."""
        business = await self.business()
        headers = {
            "UCP-Agent": self._platform.agent(business.version),
            "Accept-Language": self._locale,
        }
        sign = self._platform.sign(business.version)
        made = Wire(self._http, business.endpoint, self._key, headers, sign=sign)
        return made, business

    async def quote(self, basket: Basket, *, key: str, cart_id: str | None = None) -> Quote:
        """A checkout of `cart_id`, or of a cart made for several things where carts are kept.

        The cart's contents win at the business; what is not in it as asked is not ready.
        """
        wire, business = await self.wire()
        credit = self._attribution(key, "first")
        name = key
        if cart_id is None and (cart_id := await self._cart(wire, business, basket, key)):
            name = f"{key}:of-cart"  # another body than without one: another request
        body = requests.creation(basket, business, credit, cart_id=cart_id)
        session = await wire.post(_SESSIONS, body, key=key_of(name))
        return await self._selected(wire, business, session, basket, key)

    async def _cart(self, wire: Wire, business: Business, basket: Basket, key: str) -> str | None:
        """None where the business keeps no carts, or not this one: a checkout needs none."""
        if CART not in business.active or len(basket.lines) < 2:
            return None
        try:
            body = requests.contents(basket, business)
            answer = await wire.post("/carts", body, key=key_of(f"{key}:cart"))
            return text_at(self._checked(answer, wire), "id", 200) or None
        except PartnerError:
            return None

    async def revise(self, reference: str, basket: Basket, *, key: str) -> Quote:
        wire, business = await self.wire()
        path = f"{_SESSIONS}/{path_id(reference)}"
        seen = self._checked(await wire.get(path), wire)
        body = requests.change(basket, business, seen, self._attribution(key, "first"))
        session = await wire.put(path, body, key=key_of(key))
        return await self._selected(wire, business, session, basket, key)

    async def _selected(
        self, wire: Wire, business: Business, session: Mapping[str, Any], basket: Basket, key: str
    ) -> Quote:
        """The checkout with place and delivery chosen, which a business may leave to us."""
        made = self._offer(session, wire, business)
        # Choosing writes the goods again: never over others that the business has put there.
        if made.status in ("incomplete", "ready") and as_asked(made, basket) is made:
            body = requests.selection(basket, business, session)
            if body is not None:
                path = f"{_SESSIONS}/{path_id(made.reference)}"
                answer = await wire.put(path, body, key=key_of(f"{key}:delivery"))
                made = self._offer(answer, wire, business)
        return as_asked(made, basket)

    async def read(self, reference: str) -> Quote:
        wire, business = await self.wire()
        return self._quote(await wire.get(f"{_SESSIONS}/{path_id(reference)}"), wire, business)

    async def hold(self, reference: str, *, key: str) -> Quote:  # noqa: ARG002 (nothing to write)
        """UCP keeps no stock before completion: this reads the checkout."""
        return await self.read(reference)

    async def place(
        self,
        reference: str,
        payment: PartnerPayment,
        buyer: Buyer | None,  # noqa: ARG002 (the checkout has it already; completing takes none)
        *,
        key: str,
    ) -> Quote:
        """Complete the checkout if it still costs what the payment covers.

        One that is already completed is returned as it is, so this doubles as the look-up after a
        lost answer. `needs_handoff` and `placing` come back as such; a clear no raises.
        """
        wire, business = await self.wire()
        path = f"{_SESSIONS}/{path_id(reference)}"
        session = self._checked(await wire.get(path), wire)
        now = self._quote(session, wire, business)
        if not may_place(now, payment.amount):
            return now
        body = requests.completion(session, business, payment, self._attribution(key, "last"))
        answer = await wire.post(f"{path}/complete", body, key=key_of(key))
        self._checked(answer, wire)
        return placed(
            lambda: quote_of(answer, version=business.version, base_url=wire.base_url),
            text_at(answer, "status", 60),
        )

    async def cancel(self, reference: str, *, key: str) -> Quote:
        wire, business = await self.wire()
        path = f"{_SESSIONS}/{path_id(reference)}"
        try:
            answer = await wire.post(f"{path}/cancel", {}, key=key_of(key))
            return self._quote(answer, wire, business)
        except PartnerRefused:
            # 409 tells a canceled and a completed checkout alike: look which it is.
            now = await self.read(reference)
            if now.status == "canceled":
                return now
            raise

    async def order(self, order_id: str) -> PartnerOrder:
        wire, business = await self.wire()
        if ORDER not in business.active:
            raise _not_supported()
        answer = self._checked(await wire.get(f"/orders/{path_id(order_id)}"), wire)
        return order_of(answer, base_url=wire.base_url)

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote:
        wire = await self._cancelling()
        path = f"/orders/{path_id(order_id)}/cancellations"
        return cancellation_of(await wire.post(path, {}, key=key_of(key)))

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder:
        wire = await self._cancelling()
        path = f"/orders/{path_id(order_id)}/cancellations/{path_id(quote.id)}/confirm"
        answer = await wire.post(path, {}, key=key_of(key))
        return order_of(answer, base_url=wire.base_url)

    async def _cancelling(self) -> Wire:
        wire, business = await self.wire()
        if CANCELLATION not in business.active:
            raise _not_supported()
        return wire

    def _checked(self, session: Mapping[str, Any], wire: Wire) -> Mapping[str, Any]:
        refused = refusal_of(session, base_url=wire.base_url)
        if refused is not None:
            raise refused
        return session

    def _quote(self, session: Mapping[str, Any], wire: Wire, business: Business) -> Quote:
        self._checked(session, wire)
        return quote_of(session, version=business.version, base_url=wire.base_url)

    def _offer(self, session: Mapping[str, Any], wire: Wire, business: Business) -> Quote:
        """`_quote` of a checkout that has no order yet."""
        return offered(
            lambda: self._quote(session, wire, business), session, base_url=wire.base_url
        )

    def _attribution(self, token: str, touchpoint: str) -> Mapping[str, str]:
        """The token is our own key, so both books name one purchase."""
        source = self._platform.publisher
        return {"source": source, "token": token, "touchpoint": touchpoint}


def path_id(identifier: str) -> str:
    """An id as one path segment; these may be URLs. Raises `PartnerGone` for one that climbs."""
    if not 0 < len(identifier) <= 500 or identifier in (".", "..") or not identifier.isprintable():
        raise PartnerGone("that is not an id this business can have given", code="not_found")
    return urlquote(identifier, safe="~")


def key_of(key: str) -> str:
    """Our key as the UUID that the protocol wants: the same for the same key, always."""
    return str(uuid5(_NAMES, key))


def _not_supported() -> PartnerRefused:
    return PartnerRefused("this business takes no such request from us", code="not_supported")
