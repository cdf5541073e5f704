"""`Payments` by Stripe. The only file that imports `stripe`.

An SDK object is no dict (16.x): it is read through `to_dict()` here and never leaves this file.
Sources: Stripe's API reference for 2026-10-28, "Place a hold on a payment method", "Create
destination charges", "Idempotent requests".
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import stripe

from integrations.money import Money, MoneyError, from_processor, to_processor
from integrations.payments import (
    Dispute,
    Method,
    Payment,
    PaymentEvent,
    PaymentRefused,
    PaymentStatus,
    PaymentUnknown,
)
from integrations.stripe_charges import dispute_of, processor_fee

# The person may take their time at the bank's page; the processor may not take ours.
_TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=5.0)
_DEADLINE_S = 45.0
_READY_DEADLINE_S = 5.0
_FIND_WINDOW_S = 24 * 3600
_FIND_PAGES_MAX = 10
_PURCHASE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_EXPAND = ["latest_charge.balance_transaction", "latest_charge.application_fee"]

_STATUS: Mapping[str, PaymentStatus] = {
    "requires_capture": "authorised",
    "requires_action": "requires_action",
    "requires_payment_method": "declined",
    "succeeded": "captured",
    "canceled": "voided",
}
# When one purchase has several attempts, the one that holds money is the answer.
_PREFERENCE: Sequence[PaymentStatus] = (
    "captured", "authorised", "processing", "requires_action", "voided", "declined",
)  # fmt: skip

# Otherwise the SDK writes an id into the user's home folder and reports latencies.
stripe.enable_telemetry = False


class StripePayments:
    """`Payments` by Stripe: PaymentIntents with manual capture, destination charges on Connect.

    `base_url` points the same SDK at the simulator. `return_url` may hold `{purchase_id}`: with
    it a card that must be authenticated gets a `redirect_to_url` to the bank's page. `retries`
    are the SDK's own, always under our key, so that one lost answer heals itself. `http` is another
    way to the processor than a fresh client's.
    """

    def __init__(
        self,
        api_key: str,
        webhook_secret: str,
        base_url: str | None = None,
        *,
        return_url: str | None = None,
        retries: int = 1,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._secret = webhook_secret
        self._return_url = return_url
        self._http = http or httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)
        self.client = stripe.StripeClient(
            api_key,
            base_addresses={"api": base_url.rstrip("/")} if base_url else {},
            http_client=_Wire(self._http),
            max_network_retries=retries,
        )
        self._intents = self.client.v1.payment_intents

    async def aclose(self) -> None:
        await self._http.aclose()

    async def authorise(
        self,
        *,
        purchase_id: str,
        amount: Money,
        method: Method,
        destination: str | None,
        fee: Money | None,
        key: str,
    ) -> Payment:
        """Without a `destination` the processor is told no fee: all of it is ours already.

        A decline is an answer (`status="declined"`), not an error.
        """
        params = _intent_params(purchase_id, amount, method, destination, fee)
        if self._return_url is not None:
            params["return_url"] = self._return_url.replace("{purchase_id}", purchase_id)
        try:
            async with translated():
                intent = await self._intents.create_async(params, {"idempotency_key": key})
        except _Declined as declined:
            return _payment(declined.intent)
        return _payment(intent)

    async def read(self, payment_id: str) -> Payment:
        async with translated():
            return _payment(await self._intents.retrieve_async(payment_id, {"expand": _EXPAND}))

    async def find(self, purchase_id: str) -> Payment | None:
        """First by transfer group, which every charge of ours carries: exact and consistent.

        An intent that never reached the card has no charge, so the intents of the last day are
        listed as well. Stripe's search API is left alone: it lags behind by a minute or more,
        and this look-up happens seconds after an answer was lost.
        """
        if not _PURCHASE_ID.fullmatch(purchase_id):
            raise PaymentRefused("not one of our purchase ids", code="bad_purchase_id")
        async with translated():
            charges = await self.client.v1.charges.list_async(
                {"transfer_group": purchase_id, "limit": 100}
            )
            found = {str(c.payment_intent) for c in charges.data if c.payment_intent}
            if not found:
                found = await self._recent(purchase_id)
            payments = [
                _payment(await self._intents.retrieve_async(id_, {"expand": _EXPAND}))
                for id_ in sorted(found)
            ]
        return min(payments, key=lambda p: _PREFERENCE.index(p.status), default=None)

    async def _recent(self, purchase_id: str) -> set[str]:
        params: Any = {"limit": 100, "created": {"gte": int(time.time()) - _FIND_WINDOW_S}}
        for _ in range(_FIND_PAGES_MAX):
            page = await self._intents.list_async(params)
            found = {i.id for i in page.data if _purchase(i.to_dict()) == purchase_id}
            if found or not page.has_more:
                return found
            params["starting_after"] = page.data[-1].id
        raise PaymentUnknown("too many payments today to be sure that none is ours")

    async def capture(self, payment_id: str, *, key: str) -> Payment:
        async def act() -> stripe.PaymentIntent:
            return await self._intents.capture_async(
                payment_id, {"expand": _EXPAND}, {"idempotency_key": key}
            )

        return await self._settle(payment_id, act, wanted="captured")

    async def void(self, payment_id: str, *, key: str) -> Payment:
        async def act() -> stripe.PaymentIntent:
            return await self._intents.cancel_async(
                payment_id, {"expand": _EXPAND}, {"idempotency_key": key}
            )

        return await self._settle(payment_id, act, wanted="voided")

    async def _settle(
        self,
        payment_id: str,
        act: Callable[[], Awaitable[stripe.PaymentIntent]],
        *,
        wanted: PaymentStatus,
    ) -> Payment:
        """Do it, or find it done: a repeat after the key has expired is still no error."""
        try:
            async with translated():
                return _payment(await act())
        except PaymentRefused as refusal:
            if refusal.code != "payment_intent_unexpected_state":
                raise
            payment = await self.read(payment_id)
            if payment.status != wanted:
                raise
            return payment

    async def refund(self, payment_id: str, amount: Money, *, with_fee: bool, key: str) -> Payment:
        """Of a destination charge the merchant's part comes back from the merchant as well."""
        async with translated():
            intent = await self._intents.retrieve_async(payment_id)
            params: dict[str, Any] = {
                "payment_intent": payment_id,
                "amount": minor(amount),
                "metadata": dict(intent.metadata.to_dict()) if intent.metadata else {},
            }
            if intent.transfer_data is not None:
                params["reverse_transfer"] = True
                if intent.application_fee_amount:
                    params["refund_application_fee"] = with_fee
            await self.client.v1.refunds.create_async(params, {"idempotency_key": key})  # type: ignore[arg-type]
        return await self.read(payment_id)

    async def disputes(self, payment_id: str) -> Sequence[Dispute]:
        async with translated():
            found = await self.client.v1.disputes.list_async(
                {"payment_intent": payment_id, "limit": 100}
            )
        read = (dispute_of(one.to_dict()) for one in found.data)
        return [one for one in read if one is not None]

    async def touched(self, since: datetime) -> frozenset[str]:
        params: Any = {"limit": 100, "created": {"gte": int(since.timestamp())}}
        found = set()
        async with translated():
            for kind in (self.client.v1.refunds, self.client.v1.disputes):
                listed: Any = await kind.list_async(params)
                asked = {one.payment_intent async for one in listed.auto_paging_iter()}
                found |= {str(payment) for payment in asked if payment}
        return frozenset(found)

    def event(self, body: bytes, signature: str) -> PaymentEvent:
        try:
            verified = self.client.construct_event(body, signature, self._secret)
            raw = verified.to_dict()
            thing = raw["data"]["object"]
            payment = thing["id"] if thing["object"] == "payment_intent" else None
            return PaymentEvent(
                id=raw["id"],
                type=raw["type"],
                payment_id=payment or thing.get("payment_intent"),
                purchase_id=_purchase(thing),
                customer_id=_customer(thing),
                dispute=dispute_of(thing),
                raw=raw,
            )
        except stripe.SignatureVerificationError as error:
            raise PaymentRefused(
                "the webhook's signature is wrong", code="bad_signature"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PaymentRefused("the webhook is no event", code="bad_event") from error

    async def ready(self) -> bool:
        """Whether the processor answers to our key. Never raises."""
        try:
            async with asyncio.timeout(_READY_DEADLINE_S):
                await self.client.v1.balance.retrieve_async()
        except (stripe.StripeError, TimeoutError):
            return False
        return True

    async def open_account(self, *, merchant_id: str, name: str, country: str, key: str) -> str:
        """A connected account for a merchant whose money we collect → its id (`acct_…`)."""
        async with translated():
            account = await self.client.v1.accounts.create_async(
                {
                    "country": country,
                    "business_profile": {"name": name},
                    "capabilities": {
                        "card_payments": {"requested": True},
                        "transfers": {"requested": True},
                    },
                    "metadata": {"merchant_id": merchant_id},
                },
                {"idempotency_key": key},
            )
        return account.id


class _Wire(stripe.HTTPClient):
    """The SDK on our own httpx client: its shipped one sends bodies in a deprecated way."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._http = http

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            answer = await self._http.request(
                method, url, headers=dict(headers), content=post_data or None
            )
        except httpx.HTTPError as error:
            # Safe to repeat: every write of ours carries its own key.
            detail = f"no answer from the processor ({type(error).__name__})"
            raise stripe.APIConnectionError(detail, should_retry=True) from error  # type: ignore[no-untyped-call]
        return answer.content, answer.status_code, answer.headers

    def sleep_async(self, secs: float) -> Awaitable[None]:
        return asyncio.sleep(secs)


class _Declined(PaymentRefused):
    """The card was asked and said no; `intent` is what is left at the processor."""

    def __init__(self, detail: str, code: str, intent: Any) -> None:
        super().__init__(detail, code=code)
        self.intent = intent


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """The SDK's errors in our words: did nothing happen, or can nobody know?"""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            yield
    except TimeoutError as error:
        raise PaymentUnknown("the processor took too long", code="timeout") from error
    except stripe.CardError as error:
        intent = error.error.payment_intent if error.error is not None else None
        code = error.code or "card_error"
        if intent is not None:
            raise _Declined(_said(error), code, intent) from error
        raise PaymentRefused(_said(error), code=code) from error
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise PaymentUnknown(_said(error), code="no_answer") from error
    except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
        # A reused key is a bug of ours, never a reason to try a fresh one.
        raise PaymentRefused(_said(error), code=error.code or "invalid_request") from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise PaymentRefused("the processor does not accept our key", code="bad_key") from error
    except stripe.StripeError as error:
        # 409 (the same key is still at work) and every 5xx. Of these the SDK keeps the code apart.
        said = error.code or (error.error.code if error.error is not None else None)
        raise PaymentUnknown(_said(error), code=said or "processor_failed") from error


def _said(error: stripe.StripeError) -> str:
    return error.user_message or "the processor gave no reason"


def minor(money: Money) -> int:
    """What the processor is sent. Raises `PaymentRefused` for what it would not take."""
    try:
        return to_processor(money)
    except MoneyError as error:
        raise PaymentRefused(str(error), code="amount_unsupported") from error


def _intent_params(
    purchase_id: str, amount: Money, method: Method, destination: str | None, fee: Money | None
) -> Any:
    params: dict[str, Any] = {
        "amount": minor(amount),
        "currency": amount.currency.lower(),
        "payment_method": method.token,
        "allowed_payment_method_types": ["card"],
        "capture_method": "manual",
        "confirm": True,
        "metadata": {"purchase_id": purchase_id},
        "transfer_group": purchase_id,
        "expand": _EXPAND,
    }
    if method.customer is not None:
        params["customer"] = method.customer
    if destination is not None:
        params["transfer_data"] = {"destination": destination}
        if fee is not None and fee.amount:
            if fee.currency != amount.currency or not 0 < fee.amount <= amount.amount:
                raise PaymentRefused("the fee does not fit the amount", code="bad_fee")
            params["application_fee_amount"] = minor(fee)
    return params


def _purchase(thing: Mapping[str, Any]) -> str | None:
    found = (thing.get("metadata") or {}).get("purchase_id")
    return str(found) if found else None


def _customer(thing: Mapping[str, Any]) -> str | None:
    found = thing["id"] if thing["object"] == "customer" else thing.get("customer")
    return found if isinstance(found, str) else None


def _payment(intent: stripe.PaymentIntent) -> Payment:
    raw: dict[str, Any] = intent.to_dict()
    currency: str = raw["currency"]
    charge = raw["latest_charge"] if isinstance(raw.get("latest_charge"), dict) else {}
    captured = int(raw.get("amount_received") or 0)
    # Stripe counts the part of a block that was never captured as refunded. We do not.
    refunded = int(charge.get("amount_refunded") or 0) - (raw["amount"] - captured)
    failure = raw.get("last_payment_error") or {}
    fee = charge.get("application_fee")
    taken = fee if captured and isinstance(fee, dict) else None
    return Payment(
        id=raw["id"],
        status=_STATUS.get(raw["status"], "processing"),
        amount=from_processor(raw["amount"], currency),
        captured=from_processor(captured, currency),
        refunded=from_processor(max(0, refunded) if captured else 0, currency),
        decline_code=failure.get("decline_code") or failure.get("code"),
        next_action=raw.get("next_action"),
        processor_fee=processor_fee(charge.get("balance_transaction")),
        purchase_id=_purchase(raw),
        fee=from_processor(taken["amount"], currency) if taken else None,
        fee_refunded=from_processor(taken["amount_refunded"], currency) if taken else None,
        disputed=bool(charge.get("disputed")),
    )
