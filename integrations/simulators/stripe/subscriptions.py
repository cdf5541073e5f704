"""Subscriptions: begun by Checkout, changed with proration, renewed, dunned, ended.

Time does not pass here by itself: `/_sim/subscriptions/{id}/renew` is the end of a month,
`/retry` the next attempt on the card and `/give_up` the last one, as the real schedule has them.
"""

import calendar
import time
from datetime import UTC, datetime
from typing import Any

from integrations.simulators.stripe import customers, invoices
from integrations.simulators.stripe.rules import ApiError, flag, metadata, missing, only, text
from integrations.simulators.stripe.shapes import listing, nulls
from integrations.simulators.stripe.store import Thing, fresh_id
from integrations.simulators.stripe.world import Params, World, shown

_LIVE = frozenset(("active", "past_due", "unpaid", "trialing"))
_UPDATE = (
    "items proration_behavior payment_behavior cancel_at_period_end metadata default_payment_method"
)


def begin(
    world: World, customer: Thing, price: Thing, method: str, given: dict[str, str]
) -> tuple[Thing, Thing]:
    """Checkout's end → the subscription and its paid first invoice. A decline leaves nothing."""
    id_, now = fresh_id("sub"), int(time.time())
    subscription = _shape(id_, customer["id"], price, given, now) | {
        "default_payment_method": method
    }
    world.store.add(subscription)
    first = [(_words(price), price["unit_amount"], False)]
    invoice = invoices.make(world, subscription, first, reason="subscription_create")
    invoice = invoices.collect(world, invoice, method)
    subscription |= {"latest_invoice": invoice["id"], "status": "active"}
    world.store.save(subscription)
    world.emit("customer.subscription.created", subscription)
    return subscription, invoice


def _words(price: Thing) -> str:
    return f"1 × {price['lookup_key'] or price['id']}"


def _shape(
    id_: str, customer: str, price: Thing, given: dict[str, str], now: int
) -> dict[str, Any]:
    item = {
        "id": fresh_id("si"),
        "object": "subscription_item",
        "created": now,
        "current_period_end": _month_after(now),
        "current_period_start": now,
        "discounts": [],
        "metadata": {},
        "price": shown(price),
        "quantity": 1,
        "subscription": id_,
        "tax_rates": [],
    }
    unset = nulls(
        "application application_fee_percent billing_cycle_anchor_config cancel_at canceled_at"
        " days_until_due default_payment_method default_source description ended_at"
        " latest_invoice next_pending_invoice_item_invoice on_behalf_of pause_collection"
        " pending_invoice_item_interval pending_setup_intent pending_update schedule"
        " test_clock transfer_data trial_end trial_start"
    )
    return unset | {
        "id": id_,
        "object": "subscription",
        "billing_cycle_anchor": now,
        "cancel_at_period_end": False,
        "cancellation_details": nulls("comment feedback reason"),
        "collection_method": "charge_automatically",
        "created": now,
        "currency": price["currency"],
        "customer": customer,
        "default_tax_rates": [],
        "discounts": [],
        "items": listing([item], f"/v1/subscription_items?subscription={id_}"),
        "livemode": False,
        "metadata": given,
        "start_date": now,
        "status": "incomplete",
    }


def _month_after(moment: int) -> int:
    """The same day of the next month, or that month's last."""
    at = datetime.fromtimestamp(moment, UTC)
    year, month = at.year + at.month // 12, at.month % 12 + 1
    day = min(at.day, calendar.monthrange(year, month)[1])
    return int(at.replace(year=year, month=month, day=day).timestamp())


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("subscription", id_)


def index(world: World, params: Params) -> Thing:
    only(params, "customer status price limit created starting_after ending_before")
    customer, status = text(params, "customer"), text(params, "status")
    return world.page(
        "subscription",
        params,
        "/v1/subscriptions",
        lambda s: customer in (None, s["customer"]) and _listed(s, status),
    )


def _listed(subscription: Thing, status: str | None) -> bool:
    if status is None:
        return bool(subscription["status"] != "canceled")
    return status in ("all", subscription["status"])


def update(world: World, params: Params, id_: str) -> Thing:
    only(params, _UPDATE)
    subscription = _living(world, id_)
    subscription["metadata"] = metadata(params, subscription["metadata"])
    if method := text(params, "default_payment_method"):
        subscription["default_payment_method"] = world.need("payment_method", method)["id"]
    if "cancel_at_period_end" in params:
        _end_later(subscription, later=flag(params, "cancel_at_period_end"))
    if items := params.get("items"):
        if not isinstance(items, list) or len(items) != 1:
            raise ApiError("One item is simulated.", param="items")
        change(world, subscription, items[0], text(params, "proration_behavior"))
    world.store.save(subscription)
    world.emit("customer.subscription.updated", subscription)
    return subscription


def _living(world: World, id_: str) -> Thing:
    subscription = world.need("subscription", id_)
    if subscription["status"] not in _LIVE:
        raise missing("subscription", id_)
    return subscription


def _end_later(subscription: Thing, *, later: bool) -> None:
    end = subscription["items"]["data"][0]["current_period_end"]
    subscription |= {
        "cancel_at_period_end": later,
        "cancel_at": end if later else None,
        "canceled_at": int(time.time()) if later else None,
    }


def change(world: World, subscription: Thing, given: Any, proration: str | None) -> None:
    """Another price for the rest of the period; a decline leaves everything as it was."""
    item = subscription["items"]["data"][0]
    if text(given, "id") not in (None, item["id"]):
        raise missing("subscription item", str(given.get("id")), param="items")
    price = world.need("price", text(given, "price", required=True) or "", param="price")
    if price["currency"] != subscription["currency"]:
        raise ApiError("A subscription keeps its currency.", param="price")
    lines = due_now(subscription, price)
    item["price"] = shown(price)
    if proration in (None, "create_prorations"):
        raise ApiError("Prorations are simulated as always_invoice or none.", param="items")
    if proration == "always_invoice":
        invoice = invoices.make(world, subscription, lines, reason="subscription_update")
        subscription["latest_invoice"] = invoice["id"]
        try:
            invoices.collect(world, invoice, method_of(world, subscription))
        except ApiError as declined:
            declined.keep = False
            raise


def due_now(subscription: Thing, price: Thing) -> list[invoices.Line]:
    """What is left of the month at the old price comes back, at the new one it is owed."""
    item = subscription["items"]["data"][0]
    start, end = item["current_period_start"], item["current_period_end"]
    left = max(0, min(end - start, end - int(time.time())))
    old, new = item["price"]["unit_amount"], price["unit_amount"]
    return [
        (f"Unused time on {_words(item['price'])}", -(old * left // (end - start)), True),
        (f"Remaining time on {_words(price)}", new * left // (end - start), True),
    ]


def method_of(world: World, subscription: Thing) -> str | None:
    customer = world.need("customer", subscription["customer"])
    found = (
        subscription["default_payment_method"]
        or customer["invoice_settings"]["default_payment_method"]
    )
    return str(found) if found else None


def cancel(world: World, params: Params, id_: str) -> Thing:
    only(params, "invoice_now prorate")
    return end(world, _living(world, id_), "cancellation_requested")


def end(world: World, subscription: Thing, reason: str) -> Thing:
    now = int(time.time())
    subscription |= {"status": "canceled", "ended_at": now}
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["cancellation_details"]["reason"] = reason
    world.store.save(subscription)
    invoices.void_open(world, subscription)
    world.emit("customer.subscription.deleted", subscription)
    return subscription


# --- time, as a test or a person says it passes ---------------------------------------------------


def renew(world: World, id_: str, token: str | None) -> Thing:
    """The month is over: the next one is invoiced, or the subscription ends as it was told to."""
    subscription = _living(world, id_)
    if subscription["cancel_at_period_end"]:
        return end(world, subscription, "cancellation_requested")
    if token is not None:
        subscription["default_payment_method"] = _attached(world, subscription, token)
    item = subscription["items"]["data"][0]
    item["current_period_start"] = item["current_period_end"]
    item["current_period_end"] = _month_after(item["current_period_start"])
    lines = [(_words(item["price"]), item["price"]["unit_amount"], False)]
    invoice = invoices.make(world, subscription, lines, reason="subscription_cycle")
    subscription["latest_invoice"] = invoice["id"]
    return retry(world, world.store.save(subscription)["id"])


def _attached(world: World, subscription: Thing, token: str) -> str:
    method = customers.attach(world, {"customer": subscription["customer"]}, token)
    return str(method["id"])


def retry(world: World, id_: str) -> Thing:
    """Every open invoice is tried once: all paid makes it active, a decline past due."""
    subscription = _living(world, id_)
    status = "active"
    for invoice in invoices.of(world, id_):
        try:
            invoices.collect(world, invoice, method_of(world, subscription))
        except ApiError:
            invoices.failed(world, world.need("invoice", invoice["id"]))
            status = "past_due"
    subscription["status"] = status
    world.store.save(subscription)
    world.emit("customer.subscription.updated", subscription)
    return subscription


def give_up(world: World, id_: str) -> Thing:
    return end(world, _living(world, id_), "payment_failed")
