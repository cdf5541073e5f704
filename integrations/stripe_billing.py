"""`Billing` by Stripe: Checkout, the customer portal, prices that exist once.

Source: Stripe's API reference for 2026-10-28. There a subscription's period stands on its item, an
invoice's payment in its `payments`, and a subscription's plan on its price's metadata, which is
what a change in the portal moves. The SDK itself is named in `stripe_payments.py` only.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from integrations.billing import (
    Account,
    Bought,
    Link,
    Paid,
    Refunded,
    Standing,
    Subscription,
    Ware,
)
from integrations.money import Money, from_processor, to_processor
from integrations.payments import Dispute, PaymentRefused, PaymentUnknown
from integrations.stripe_charges import dispute_of
from integrations.stripe_payments import StripePayments, translated

_PAGE = 100
_STANDING: Mapping[str, Standing] = {
    "active": "active",
    "trialing": "active",
    "past_due": "past_due",
}
_LOOKS, _PAUSE_S = 20, 0.25


async def _with_others(
    create: Callable[..., Awaitable[Any]], params: Mapping[str, Any], key: str
) -> Any:
    """Made once under a key that several may use at the same moment: who comes second waits for
    what becomes of the first. Raises as `translated` does."""
    for _ in range(_LOOKS):
        try:
            async with translated():
                return await create(params, {"idempotency_key": key})
        except PaymentUnknown as error:
            if error.code != "idempotency_key_in_use":
                raise
        await asyncio.sleep(_PAUSE_S)
    raise PaymentUnknown("others are still at it", code="idempotency_key_in_use")


class StripeBilling:
    """On the same client, key and wire as the purchases' payments."""

    def __init__(self, payments: StripePayments) -> None:
        self._v1: Any = payments.client.v1
        self._prices: dict[str, tuple[str, str]] = {}

    async def customer(self, *, user_id: str, email: str | None, key: str) -> str:
        params: dict[str, Any] = {"metadata": {"user_id": user_id}}
        if email:
            params["email"] = email
        made = await _with_others(self._v1.customers.create_async, params, key)
        return str(made.id)

    async def subscribe(
        self, *, customer: str, plan: Ware, order_id: str, back: str, key: str
    ) -> Link:
        price, _ = await self._price(plan)
        named = {"order_id": order_id, "plan": plan.name}
        params = {
            "mode": "subscription",
            "customer": customer,
            "client_reference_id": order_id,
            "line_items": [{"price": price, "quantity": 1}],
            "metadata": named,
            "subscription_data": {"metadata": named},
            "success_url": f"{back}?billing=done",
            "cancel_url": f"{back}?billing=canceled",
        }
        made = await self._checkout(params, key)
        await self._close(await self._open_pages(customer, None), but_newest=True)
        return made

    async def sell(self, *, customer: str, pack: Ware, order_id: str, back: str, key: str) -> Link:
        line = {
            "currency": pack.price.currency.lower(),
            "unit_amount": to_processor(pack.price),
            "product_data": {"name": pack.title},
        }
        named = {"order_id": order_id, "pack": pack.name}
        params = {
            "mode": "payment",
            "customer": customer,
            "client_reference_id": order_id,
            "line_items": [{"price_data": line, "quantity": 1}],
            "metadata": named,
            "payment_intent_data": {"metadata": named},
            "success_url": f"{back}?billing=done",
            "cancel_url": f"{back}?billing=canceled",
        }
        made = await self._checkout(params, key)
        await self._close(await self._open_pages(customer, pack.name), but_newest=True)
        return made

    async def _checkout(self, params: dict[str, Any], key: str) -> Link:
        async with translated():
            made = await self._v1.checkout.sessions.create_async(params, {"idempotency_key": key})
        return Link(str(made.id), str(made.url))

    async def close_pages(self, customer: str, *, pack: str | None = None) -> None:
        await self._close(await self._open_pages(customer, pack), but_newest=False)

    async def _open_pages(self, customer: str, pack: str | None) -> list[dict[str, Any]]:
        """For plans, or for this pack. The newest is last, whoever asks."""
        async with translated():
            listed = await self._v1.checkout.sessions.list_async(
                {"customer": customer, "status": "open", "limit": _PAGE}
            )
        wanted = ("subscription", None) if pack is None else ("payment", pack)
        found = [
            page
            for page in map(_dict, listed.data)
            if (page["mode"], (page.get("metadata") or {}).get("pack")) == wanted
        ]
        return sorted(found, key=lambda page: (page["created"], page["id"]))

    async def _close(self, pages: Sequence[Mapping[str, Any]], *, but_newest: bool) -> None:
        """Two open pages could both be paid. Of several made at once all their makers leave the
        same one, as each looks after it has made its own."""
        for page in pages[: -1 if but_newest else None]:
            try:
                async with translated():
                    await self._v1.checkout.sessions.expire_async(page["id"])
            except PaymentRefused:
                # Another one closed it meanwhile, or somebody has just paid there.
                async with translated():
                    now = await self._v1.checkout.sessions.retrieve_async(page["id"])
                if now.status == "open":
                    raise

    async def change(
        self,
        *,
        customer: str,
        subscription: Subscription,
        plan: Ware,
        offered: list[Ware],
        back: str,
        key: str,
    ) -> Link:
        price, _ = await self._price(plan)
        wanted = {
            "subscription": subscription.id,
            "items": [{"id": subscription.item_id, "price": price, "quantity": 1}],
        }
        flow = {
            "type": "subscription_update_confirm",
            "subscription_update_confirm": wanted,
            "after_completion": {
                "type": "redirect",
                "redirect": {"return_url": f"{back}?billing=changed"},
            },
        }
        configuration = await self._configuration(offered, back)
        return await self._portal(
            {
                "customer": customer,
                "return_url": f"{back}?billing=canceled",
                "configuration": configuration,
                "flow_data": flow,
            },
            key,
        )

    async def portal(self, *, customer: str, back: str, key: str) -> Link:
        configuration = await self._configuration([], back)
        params = {
            "customer": customer,
            "return_url": f"{back}?billing=portal",
            "configuration": configuration,
        }
        return await self._portal(params, key)

    async def _portal(self, params: dict[str, Any], key: str) -> Link:
        async with translated():
            made = await self._v1.billing_portal.sessions.create_async(
                params, {"idempotency_key": key}
            )
        return Link(str(made.id), str(made.url))

    async def _configuration(self, offered: Sequence[Ware], back: str) -> str:
        """What the portal allows, found by a mark that changes with it; made when it is new."""
        products = [await self._price(ware) for ware in offered if ware.price.amount]
        update: dict[str, Any] = {"enabled": bool(products)}
        if products:
            update |= {
                "default_allowed_updates": ["price"],
                "proration_behavior": "always_invoice",
                "products": [{"product": p, "prices": [price]} for price, p in products],
            }
        mark = hashlib.sha256(repr((products, back, 1)).encode()).hexdigest()[:24]
        async with translated():
            listed = await self._v1.billing_portal.configurations.list_async(
                {"active": True, "limit": _PAGE}
            )
            for known in listed.data:
                if _dict(known).get("metadata", {}).get("emptor") == mark:
                    return str(known.id)
            features = {
                "invoice_history": {"enabled": True},
                "payment_method_update": {"enabled": True},
                "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
                "subscription_update": update,
            }
            made = await self._v1.billing_portal.configurations.create_async(
                {"features": features, "default_return_url": back, "metadata": {"emptor": mark}},
                {"idempotency_key": f"portal:{mark}"},
            )
        return str(made.id)

    async def _price(self, ware: Ware) -> tuple[str, str]:
        """→ price and product of a plan at its present price. Found by look-up key, made once."""
        currency = ware.price.currency.lower()
        look_up = f"emptor_{ware.name}_{ware.price.amount}_{currency}_month"
        if known := self._prices.get(look_up):
            return known
        async with translated():
            listed = await self._v1.prices.list_async({"lookup_keys": [look_up], "limit": 1})
        found = listed.data[0] if listed.data else None
        if found is None:
            params = {
                "currency": currency,
                "unit_amount": to_processor(ware.price),
                "recurring": {"interval": "month"},
                "lookup_key": look_up,
                "metadata": {"plan": ware.name},
                "product_data": {"name": ware.title},
            }
            found = await _with_others(self._v1.prices.create_async, params, f"price:{look_up}")
        self._prices[look_up] = (str(found.id), str(found.product))
        return self._prices[look_up]

    async def end(self, subscription_id: str, *, later: bool, key: str) -> None:
        async with translated():
            await self._v1.subscriptions.update_async(
                subscription_id, {"cancel_at_period_end": later}, {"idempotency_key": key}
            )

    async def end_now(self, subscription_id: str) -> None:
        try:
            async with translated():
                await self._v1.subscriptions.cancel_async(subscription_id)
        except PaymentRefused as refused:
            if refused.code != "resource_missing":
                raise

    async def read(self, customer: str) -> Account:
        async with translated():
            listed = await self._v1.subscriptions.list_async(
                {"customer": customer, "status": "all", "limit": _PAGE}
            )
            invoices = await self._v1.invoices.list_async(
                {"customer": customer, "limit": _PAGE, "expand": ["data.payments"]}
            )
            charges = await self._v1.charges.list_async(
                {"customer": customer, "limit": _PAGE, "expand": ["data.balance_transaction"]}
            )
            payments = []
            by_intent = _invoices_by_intent([_dict(one) for one in invoices.data])
            for charge in map(_dict, charges.data):
                what = _bought(charge, by_intent)
                if what is not None and charge["captured"] and charge["paid"]:
                    refunds = await self._refunds(charge)
                    disputes = await self._disputes(charge)
                    payments.append(_paid(charge, what, refunds, disputes, by_intent))
        found = sorted(
            (_subscription(_dict(one)) for one in listed.data),
            key=lambda s: s.created_at,
            reverse=True,
        )
        return Account(tuple(found), tuple(payments))

    async def _refunds(self, charge: Mapping[str, Any]) -> tuple[Refunded, ...]:
        if not charge["amount_refunded"]:
            return ()
        # Every page: one that is not told of counts as failed.
        listed = await self._v1.refunds.list_async({"charge": charge["id"], "limit": _PAGE})
        found = [_dict(one) async for one in listed.auto_paging_iter()]
        return tuple(
            Refunded(r["id"], from_processor(r["amount"], r["currency"]), _moment(r["created"]))
            for r in found
            if r["status"] == "succeeded"
        )

    async def _disputes(self, charge: Mapping[str, Any]) -> tuple[Dispute, ...]:
        if not charge["disputed"]:
            return ()
        listed = await self._v1.disputes.list_async({"charge": charge["id"], "limit": _PAGE})
        read = (dispute_of(_dict(one)) for one in listed.data)
        return tuple(one for one in read if one is not None)


def _dict(thing: Any) -> dict[str, Any]:
    made: dict[str, Any] = thing.to_dict()
    return made


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _invoices_by_intent(invoices: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for invoice in invoices:
        for payment in (invoice.get("payments") or {}).get("data", []):
            if intent := (payment.get("payment") or {}).get("payment_intent"):
                found[str(intent)] = invoice
    return found


def _bought(
    charge: Mapping[str, Any], by_intent: Mapping[str, Mapping[str, Any]]
) -> tuple[Bought, str, int] | None:
    """→ what, its reference and the tax in it. None: a purchase, which the checkout books."""
    invoice = by_intent.get(str(charge.get("payment_intent")))
    if invoice is not None:
        taxes = invoice.get("total_taxes") or []
        return "plan", str(invoice["id"]), sum(int(tax["amount"]) for tax in taxes)
    named = charge.get("metadata") or {}
    return ("credits", str(named["order_id"]), 0) if named.get("pack") else None


def _paid(
    charge: Mapping[str, Any],
    what: tuple[Bought, str, int],
    refunds: tuple[Refunded, ...],
    disputes: tuple[Dispute, ...],
    by_intent: Mapping[str, Mapping[str, Any]],
) -> Paid:
    bought, ref, tax = what
    invoice = by_intent.get(str(charge.get("payment_intent"))) or {}
    of = (invoice.get("parent") or {}).get("subscription_details") or {}
    code = charge["currency"]
    entry = charge.get("balance_transaction")
    fee: Money | None = None
    if isinstance(entry, dict):
        fee = from_processor(entry["fee"], entry["currency"])
    return Paid(
        id=str(charge["payment_intent"] or charge["id"]),
        bought=bought,
        ref=ref,
        amount=from_processor(charge["amount_captured"], code),
        tax=from_processor(tax, code),
        fee=fee,
        refunds=refunds,
        at=_moment(charge["created"]),
        subscription=of.get("subscription"),
        disputes=disputes,
    )


def _subscription(raw: Mapping[str, Any]) -> Subscription:
    item = raw["items"]["data"][0]
    return Subscription(
        id=raw["id"],
        standing=_STANDING.get(raw["status"], "over"),
        plan=str((item["price"].get("metadata") or {}).get("plan", "")),
        item_id=item["id"],
        period_end=_moment(item["current_period_end"]),
        ends=bool(raw["cancel_at_period_end"] or raw.get("cancel_at")),
        created_at=_moment(raw["created"]),
    )
