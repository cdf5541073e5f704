"""What hangs on a charge of Stripe's: its own fee, and disputes. Plain data; nothing is called."""

from collections.abc import Mapping
from typing import Any

from integrations.money import Money, from_processor
from integrations.payments import Dispute, DisputeState

_STATES: Mapping[str, DisputeState] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "won",
    "prevented": "won",
    "won": "won",
    "lost": "lost",
}


def processor_fee(entry: Any) -> Money | None:
    """In the currency of the balance, which need not be the charge's. None before capture."""
    if not isinstance(entry, dict):
        return None
    parts = entry.get("fee_details") or []
    if not parts:
        return from_processor(entry["fee"], entry["currency"])
    own = sum(part["amount"] for part in parts if part["type"] != "application_fee")
    return from_processor(own, entry["currency"])


def dispute_of(thing: Mapping[str, Any]) -> Dispute | None:
    """Of a `dispute` object; None of any other. A status that we do not know is an open one."""
    if thing["object"] != "dispute":
        return None
    taken = [entry for entry in thing.get("balance_transactions") or [] if entry["fee"] > 0]
    return Dispute(
        id=str(thing["id"]),
        state=_STATES.get(thing["status"], "open"),
        amount=from_processor(thing["amount"], thing["currency"]),
        fee=from_processor(taken[0]["fee"], taken[0]["currency"]) if taken else None,
    )
