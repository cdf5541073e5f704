"""Disputes: a bank takes a charge back, and decides. Opened and closed by `/_sim/…` only."""

import time

from integrations.simulators.stripe import movements
from integrations.simulators.stripe.rules import ApiError, only
from integrations.simulators.stripe.shapes import nulls
from integrations.simulators.stripe.store import Thing, fresh_id
from integrations.simulators.stripe.world import Params, World

FEE = 20_00
_DAYS_TO_ANSWER = 7
_ENDS = {
    "needs_response": ("won", "lost"),
    "warning_needs_response": ("warning_closed", "needs_response"),
}
_EVIDENCE = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure"
    " cancellation_rebuttal customer_communication customer_email_address customer_name"
    " customer_purchase_ip customer_signature duplicate_charge_documentation"
    " duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy"
    " refund_policy_disclosure refund_refusal_explanation service_date service_documentation"
    " shipping_address shipping_carrier shipping_date shipping_documentation"
    " shipping_tracking_number uncategorized_file uncategorized_text"
)


def open_(world: World, intent_id: str, *, amount: int | None, inquiry: bool) -> Thing:
    """The card holder turns to the bank. An `inquiry` takes no money yet."""
    intent = world.need("payment_intent", intent_id)
    if intent["status"] != "succeeded":
        raise ApiError("Only a charge that was captured can be disputed.")
    charge = world.need("charge", intent["latest_charge"])
    amount = charge["amount_captured"] if amount is None else amount
    if not 0 < amount <= charge["amount_captured"]:
        raise ApiError("A dispute is of the charge or of a part of it.", param="amount")
    status = "warning_needs_response" if inquiry else "needs_response"
    dispute = _dispute(charge, amount, status)
    world.store.add(dispute)
    charge["disputed"] = True
    world.store.save(charge)
    if not inquiry:
        _move(world, dispute, -amount, FEE)
    world.emit("charge.dispute.created", dispute)
    if not inquiry:
        world.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close(world: World, id_: str, status: str) -> Thing:
    """The bank decides; or an inquiry becomes a dispute (`needs_response`)."""
    dispute = world.need("dispute", id_)
    if status not in _ENDS.get(dispute["status"], ()):
        raise ApiError(f"This dispute is {dispute['status']}; it cannot become {status}.")
    dispute["status"] = status
    dispute["is_charge_refundable"] = status == "warning_closed"
    if status == "needs_response":
        _move(world, dispute, -dispute["amount"], FEE)
        world.emit("charge.dispute.updated", dispute)
        world.emit("charge.dispute.funds_withdrawn", dispute)
        return dispute
    if status == "won":
        _move(world, dispute, dispute["amount"], 0)
        world.emit("charge.dispute.funds_reinstated", dispute)
    world.store.save(dispute)
    world.emit("charge.dispute.closed", dispute)
    return dispute


def refundable(world: World, charge: Thing) -> bool:
    """Stripe refuses to refund what a bank has taken back, or may give back yet."""
    return not any(
        one["charge"] == charge["id"] and one["status"] in ("needs_response", "lost")
        for one in world.store.newest("dispute")
    )


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("dispute", id_)


def index(world: World, params: Params) -> Thing:
    only(params, "payment_intent charge limit created starting_after ending_before")
    wanted = {n: params[n] for n in ("payment_intent", "charge") if params.get(n)}
    return world.page(
        "dispute", params, "/v1/disputes", lambda d: all(d[n] == v for n, v in wanted.items())
    )


def _dispute(charge: Thing, amount: int, status: str) -> Thing:
    now = int(time.time())
    brand = charge["payment_method_details"]["card"]["brand"]
    inquiry = status == "warning_needs_response"
    card = {
        "brand": brand,
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": brand,
        "network_reason_code": "10.4",
    }
    return {
        "id": fresh_id("dp"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": nulls(_EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + _DAYS_TO_ANSWER * 86400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {"card": card, "type": "card"},
        "reason": "general" if inquiry else "fraudulent",
        "status": status,
    }


def _move(world: World, dispute: Thing, amount: int, fee: int) -> None:
    """Our balance: the bank takes the money when it disputes and gives it back when we win."""
    entry = movements.balance_transaction(
        type_="adjustment",
        amount=amount,
        fee=fee,
        currency=dispute["currency"],
        source=dispute["id"],
        description="Chargeback withdrawal" if amount < 0 else "Chargeback reversal",
    )
    entry["reporting_category"] = "dispute" if amount < 0 else "dispute_reversal"
    world.store.add(entry)
    dispute["balance_transactions"].append(entry)
    world.store.save(dispute)
