"""Invoices of subscriptions: lines, the customer's balance, one attempt at a time on the card."""

import time
from typing import Any

from integrations.simulators.stripe import intents
from integrations.simulators.stripe.rules import ApiError, only, text
from integrations.simulators.stripe.shapes import listing, nulls
from integrations.simulators.stripe.store import Thing, fresh_id
from integrations.simulators.stripe.world import Params, World

Line = tuple[str, int, bool]  # description, amount, whether it is a proration


def make(world: World, subscription: Thing, lines: list[Line], *, reason: str) -> Thing:
    """Finalised and open. A negative total becomes credit on the customer's balance."""
    customer = world.need("customer", subscription["customer"])
    total, before = sum(amount for _, amount, _ in lines), int(customer["balance"])
    due = max(0, total + before)
    if used := min(0, total + before) - before:
        customer["balance"] = before + used
        world.store.save(customer)
    invoice = _shape(subscription, customer, lines, reason) | {
        "amount_due": due,
        "amount_remaining": due,
        "ending_balance": customer["balance"],
        "starting_balance": before,
        "subtotal": total,
        "total": total,
    }
    world.store.add(invoice)
    world.emit("invoice.created", invoice)
    world.emit("invoice.finalized", invoice)
    if due == 0:
        return _paid(world, invoice, None)
    return invoice


def _shape(subscription: Thing, customer: Thing, lines: list[Line], reason: str) -> Thing:
    id_, now = fresh_id("in"), int(time.time())
    item = subscription["items"]["data"][0]
    unset = nulls(
        "account_name account_tax_ids application custom_fields customer_address customer_name"
        " customer_phone customer_shipping default_payment_method default_source description"
        " due_date footer from_invoice hosted_invoice_url invoice_pdf last_finalization_error"
        " latest_revision next_payment_attempt number on_behalf_of receipt_number rendering"
        " shipping_cost shipping_details statement_descriptor test_clock webhooks_delivered_at"
    )
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return unset | {
        "id": id_,
        "object": "invoice",
        "amount_paid": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": subscription["currency"],
        "customer": customer["id"],
        "customer_email": customer["email"],
        "effective_at": now,
        "lines": listing((_line(id_, item, line) for line in lines), f"/v1/invoices/{id_}/lines"),
        "livemode": False,
        "metadata": {},
        "parent": {"type": "subscription_details", "subscription_details": details},
        "payments": listing([], f"/v1/invoice_payments?invoice={id_}"),
        "period_end": now,
        "period_start": now,
        "status": "open",
        "status_transitions": nulls("marked_uncollectible_at paid_at voided_at")
        | {"finalized_at": now},
        "total_taxes": [],
    }


def _line(invoice_id: str, item: Thing, line: Line) -> Thing:
    description, amount, proration = line
    period = {"end": item["current_period_end"], "start": item["current_period_start"]}
    return {
        "id": fresh_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": item["price"]["currency"],
        "description": description,
        "invoice": invoice_id,
        "livemode": False,
        "metadata": {},
        "parent": {
            "type": "subscription_item_details",
            "subscription_item_details": {
                "proration": proration,
                "subscription": item["subscription"],
                "subscription_item": item["id"],
            },
        },
        "period": period,
        "quantity": 1,
    }


def collect(world: World, invoice: Thing, method: str | None) -> Thing:
    """One attempt on the card. Raises the card's 402, which keeps the failed attempt."""
    if invoice["status"] != "open":
        return invoice
    invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    world.store.save(invoice)
    params: dict[str, Any] = {
        "amount": str(invoice["amount_due"]),
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "allowed_payment_method_types": ["card"],
        "confirm": "true",
        "off_session": "true",
        "description": f"Subscription {invoice['billing_reason']}",
    }
    if method is None:
        raise ApiError(
            "This customer has no attached payment source or default payment method.", keep=True
        )
    return _paid(world, invoice, intents.create(world, params | {"payment_method": method}))


def _paid(world: World, invoice: Thing, intent: Thing | None) -> Thing:
    now = int(time.time())
    if intent is not None:
        invoice["payments"]["data"].append(
            {
                "id": fresh_id("inpay"),
                "object": "invoice_payment",
                "amount_paid": invoice["amount_due"],
                "amount_requested": invoice["amount_due"],
                "created": now,
                "currency": invoice["currency"],
                "invoice": invoice["id"],
                "is_default": True,
                "livemode": False,
                "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
                "status": "paid",
                "status_transitions": {"canceled_at": None, "paid_at": now},
            }
        )
    invoice |= {
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "next_payment_attempt": None,
        "status": "paid",
    }
    invoice["status_transitions"]["paid_at"] = now
    world.store.save(invoice)
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    return invoice


def failed(world: World, invoice: Thing) -> None:
    """Dunning: it is tried again in some days, and the events say so."""
    invoice["next_payment_attempt"] = int(time.time()) + 3 * 86_400
    world.store.save(invoice)
    world.emit("invoice.payment_failed", invoice)


def void_open(world: World, subscription: Thing) -> None:
    for invoice in of(world, subscription["id"]):
        if invoice["status"] == "open":
            invoice["status"] = "void"
            world.store.save(invoice)
            world.emit("invoice.voided", invoice)


def of(world: World, subscription_id: str) -> list[Thing]:
    """Newest first."""
    return [i for i in world.store.newest("invoice") if _subscription(i) == subscription_id]


def _subscription(invoice: Thing) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("invoice", id_)


def index(world: World, params: Params) -> Thing:
    only(params, "customer subscription status limit created starting_after ending_before")
    customer, status = text(params, "customer"), text(params, "status")
    subscription = text(params, "subscription")
    return world.page(
        "invoice",
        params,
        "/v1/invoices",
        lambda i: (
            customer in (None, i["customer"])
            and status in (None, i["status"])
            and subscription in (None, _subscription(i))
        ),
    )
