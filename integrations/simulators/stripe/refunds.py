"""Refunds and what can be read about charges, balance entries and events."""

from integrations.simulators.stripe import connect, disputes, movements
from integrations.simulators.stripe.rules import (
    ApiError,
    check_step,
    flag,
    metadata,
    only,
    text,
    whole,
)
from integrations.simulators.stripe.store import Thing
from integrations.simulators.stripe.world import Params, World

_CREATE = "payment_intent charge amount reason metadata refund_application_fee reverse_transfer"
_REASONS = frozenset(("duplicate", "fraudulent", "requested_by_customer"))


def create(world: World, params: Params) -> Thing:
    only(params, _CREATE)
    charge = _refundable(world, params)
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise ApiError(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if not disputes.refundable(world, charge):
        raise ApiError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    amount = whole(params, "amount")
    amount = left if amount is None else amount
    if amount < 1:
        raise ApiError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        raise ApiError(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            param="amount",
        )
    check_step(amount, charge["currency"], param="amount")
    reason = text(params, "reason")
    if reason is not None and reason not in _REASONS:
        raise ApiError("Invalid reason", param="reason")
    refund = movements.refund(charge, amount=amount, reason=reason, metadata=metadata(params))
    world.store.add(refund)
    _give_back(world, charge, refund, params)
    world.emit("refund.created", refund)
    world.emit("charge.refunded", charge)
    return refund


def _refundable(world: World, params: Params) -> Thing:
    intent_id, charge_id = text(params, "payment_intent"), text(params, "charge")
    if intent_id is not None:
        intent = world.need("payment_intent", intent_id, param="payment_intent")
        charge_id = intent["latest_charge"] if intent["status"] == "succeeded" else None
        if charge_id is None:
            raise ApiError(
                f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            )
    if charge_id is None:
        raise ApiError(
            "One of the following params should be provided for this request: payment_intent or"
            " charge.",
            code="parameter_missing",
        )
    charge = world.need("charge", charge_id, param="charge")
    if not charge["captured"]:
        raise ApiError(
            "An uncaptured charge is released by cancelling its PaymentIntent; the refund of an"
            " uncaptured charge is not simulated.",
            param="charge",
        )
    return charge


def _give_back(world: World, charge: Thing, refund: Thing, params: Params) -> None:
    amount = refund["amount"]
    # The part of a block that was never captured counts as refunded, but no money moved for it.
    before = charge["amount_refunded"] - (charge["amount"] - charge["amount_captured"])
    if flag(params, "reverse_transfer"):
        refund["transfer_reversal"] = connect.reverse(
            world, charge, refunded=before + amount, refund=refund
        )
    if flag(params, "refund_application_fee"):
        connect.give_fee_back(world, charge, refunded=before + amount)
    entry = movements.balance_transaction(
        type_="refund",
        amount=-amount,
        fee=0,
        currency=charge["currency"],
        source=refund["id"],
        description="REFUND FOR CHARGE",
    )
    refund["balance_transaction"] = world.store.add(entry)["id"]
    world.store.save(refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    charge["refunds"]["data"].insert(0, refund)
    world.store.save(charge)


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("refund", id_)


def index(world: World, params: Params) -> Thing:
    only(params, "payment_intent charge limit created starting_after ending_before")
    wanted = {n: params[n] for n in ("payment_intent", "charge") if params.get(n)}
    return world.page(
        "refund", params, "/v1/refunds", lambda r: all(r[n] == v for n, v in wanted.items())
    )


def retrieve_charge(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("charge", id_)


def list_charges(world: World, params: Params) -> Thing:
    only(
        params, "payment_intent customer transfer_group limit created starting_after ending_before"
    )
    names = ("payment_intent", "customer", "transfer_group")
    wanted = {n: params[n] for n in names if params.get(n)}
    return world.page(
        "charge", params, "/v1/charges", lambda c: all(c[n] == v for n, v in wanted.items())
    )


def retrieve_entry(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("balance_transaction", id_)


def list_entries(world: World, params: Params) -> Thing:
    only(params, "type source currency limit created starting_after ending_before")
    wanted = {n: params[n] for n in ("type", "source", "currency") if params.get(n)}
    return world.page(
        "balance_transaction",
        params,
        "/v1/balance_transactions",
        lambda entry: all(entry[n] == v for n, v in wanted.items()),
    )


def retrieve_event(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("event", id_)


def list_events(world: World, params: Params) -> Thing:
    only(params, "type limit created starting_after ending_before")
    type_ = text(params, "type")
    return world.page("event", params, "/v1/events", lambda e: type_ is None or e["type"] == type_)
