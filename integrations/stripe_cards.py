"""`Cards` by Stripe: Checkout in setup mode, and the payment methods of a customer.

Source: Stripe's API reference for 2026-10-28, "Set up future payments". With `customer` set, what
the page takes in is attached to that customer. The kinds let in stand in
`allowed_payment_method_types` since 2026-09-30. The SDK is named in `stripe_payments.py` only.
"""

from collections.abc import Mapping
from typing import Any

from integrations.payments import CardPage, KeptCard, PaymentRefused
from integrations.stripe_payments import StripePayments, translated

_PAGE = 100
_GONE = "resource_missing"


class StripeCards:
    """On the same client, key and wire as the purchases' payments."""

    def __init__(self, payments: StripePayments) -> None:
        self._v1: Any = payments.client.v1

    async def ask(self, *, customer: str, card_id: str, back: str, key: str) -> CardPage:
        named = {"card_id": card_id}
        params = {
            "mode": "setup",
            "customer": customer,
            "allowed_payment_method_types": ["card"],
            "client_reference_id": card_id,
            "metadata": named,
            "setup_intent_data": {"metadata": named},
            "success_url": f"{back}?card=added",
            "cancel_url": f"{back}?card=canceled",
        }
        async with translated():
            made = await self._v1.checkout.sessions.create_async(params, {"idempotency_key": key})
        return _page(made.to_dict())

    async def look(self, page_id: str) -> CardPage:
        try:
            async with translated():
                found = await self._v1.checkout.sessions.retrieve_async(
                    page_id, {"expand": ["setup_intent.payment_method"]}
                )
        except PaymentRefused as refused:
            if refused.code != _GONE:
                raise
            return CardPage(page_id, "expired")
        return _page(found.to_dict())

    async def close(self, page_id: str) -> None:
        """Stripe refuses what is not open: then there is nothing to close."""
        try:
            async with translated():
                await self._v1.checkout.sessions.expire_async(page_id)
        except PaymentRefused:
            if (await self.look(page_id)).state == "open":
                raise

    async def kept(self, customer: str) -> tuple[KeptCard, ...]:
        params: dict[str, Any] = {"customer": customer, "type": "card", "limit": _PAGE}
        found: list[KeptCard] = []
        async with translated():
            while True:
                listed = await self._v1.payment_methods.list_async(params)
                found += [_card(method.to_dict()) for method in listed.data]
                if not listed.has_more:
                    return tuple(found)
                params["starting_after"] = listed.data[-1].id

    async def forget(self, token: str) -> None:
        try:
            async with translated():
                await self._v1.payment_methods.detach_async(token)
        except PaymentRefused:
            if await self._attached(token):
                raise

    async def _attached(self, token: str) -> bool:
        try:
            async with translated():
                found = await self._v1.payment_methods.retrieve_async(token)
        except PaymentRefused as refused:
            if refused.code != _GONE:
                raise
            return False
        return _card(found.to_dict()).customer is not None


def _page(raw: Mapping[str, Any]) -> CardPage:
    """Success is the SetupIntent's state: a page may be complete while the bank still checks."""
    intent = raw.get("setup_intent")
    done = isinstance(intent, dict) and intent["status"] == "succeeded"
    method = intent.get("payment_method") if isinstance(intent, dict) and done else None
    return CardPage(
        id=raw["id"],
        state=raw["status"],
        url=raw.get("url") or "",
        card=_card(method) if isinstance(method, dict) else None,
    )


def _card(raw: Mapping[str, Any]) -> KeptCard:
    card = raw.get("card") or {}
    return KeptCard(
        token=raw["id"],
        customer=raw.get("customer"),
        brand=card.get("brand") or "card",
        last4=card.get("last4") or "",
        exp_month=int(card.get("exp_month") or 0),
        exp_year=int(card.get("exp_year") or 0),
    )
