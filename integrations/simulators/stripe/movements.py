"""Charges and what follows from them, in the shapes of the API: entries, fees, refunds."""

import time

from integrations.simulators.stripe.rules import Card
from integrations.simulators.stripe.shapes import listing, nulls
from integrations.simulators.stripe.store import Thing, fresh_id

_OF_INTENT = (
    "amount currency customer description metadata on_behalf_of application_fee_amount"
    " receipt_email shipping statement_descriptor statement_descriptor_suffix transfer_data"
    " transfer_group"
)


def charge(intent: Thing, method: Thing, card: Card) -> Thing:
    """One attempt on the card. It starts as approved and not captured."""
    id_ = fresh_id("ch")
    unset = nulls(
        "application application_fee balance_transaction failure_balance_transaction failure_code"
        " failure_message receipt_number receipt_url review source source_transfer"
    )
    approved = {"network_status": "approved_by_network", "type": "authorized"}
    outcome = nulls("advice_code network_advice_code network_decline_code reason") | approved
    return (
        unset
        | {name: intent[name] for name in _OF_INTENT.split()}
        | {
            "id": id_,
            "object": "charge",
            "amount_captured": 0,
            "amount_refunded": 0,
            "billing_details": method["billing_details"],
            "calculated_statement_descriptor": "EMPTOR",
            "captured": False,
            "created": int(time.time()),
            "disputed": False,
            "fraud_details": {},
            "livemode": False,
            "outcome": outcome | {"seller_message": "Payment complete."},
            "paid": True,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": {"type": "card", "card": _card(intent, method, card)},
            "refunded": False,
            "refunds": listing([], f"/v1/charges/{id_}/refunds"),
            "status": "succeeded",
        }
    )


def _card(intent: Thing, method: Thing, card: Card) -> Thing:
    seen = "brand checks country exp_month exp_year fingerprint funding last4 regulated_status"
    secure = {"authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0"}
    unset = nulls(
        "authorization_code installments mandate network_token network_transaction_id"
        " transaction_link_id wallet"
    )
    limit = {"maximum_amount_capturable": intent["amount"], "status": "unavailable"}
    return (
        unset
        | {name: method["card"][name] for name in seen.split()}
        | {
            "amount_authorized": intent["amount"],
            "network": card.brand,
            "extended_authorization": {"status": "disabled"},
            "incremental_authorization": {"status": "unavailable"},
            "multicapture": {"status": "unavailable"},
            "overcapture": limit,
            "three_d_secure": secure if card.authenticate else None,
        }
    )


def balance_transaction(
    *, type_: str, amount: int, fee: int, currency: str, source: str, description: str | None
) -> Thing:
    detail = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    return {
        "id": fresh_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": int(time.time()) + 2 * 86400,
        "balance_type": "payments",
        "created": int(time.time()),
        "currency": currency,
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [detail] if fee else [],
        "net": amount - fee,
        "reporting_category": {"application_fee": "platform_earning"}.get(type_, type_),
        "source": source,
        "status": "pending",
        "type": type_,
    }


def transfer(
    *, amount: int, currency: str, destination: str, source: str | None, group: str | None
) -> Thing:
    id_ = fresh_id("tr")
    return {
        "id": id_,
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": int(time.time()),
        "currency": currency,
        "description": None,
        "destination": destination,
        "destination_payment": fresh_id("py"),
        "livemode": False,
        "metadata": {},
        "reversals": listing([], f"/v1/transfers/{id_}/reversals"),
        "reversed": False,
        "source_transaction": source,
        "source_type": "card",
        "transfer_group": group,
    }


def transfer_reversal(transfer_: Thing, *, amount: int, refund: str | None) -> Thing:
    return {
        "id": fresh_id("trr"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": int(time.time()),
        "currency": transfer_["currency"],
        "destination_payment_refund": None,
        "metadata": {},
        "source_refund": refund,
        "transfer": transfer_["id"],
    }


def application_fee(charge_: Thing, *, amount: int, account: str) -> Thing:
    id_ = fresh_id("fee")
    return {
        "id": id_,
        "object": "application_fee",
        "account": account,
        "amount": amount,
        "amount_refunded": 0,
        "application": "ca_simulated",
        "balance_transaction": None,
        "charge": charge_["id"],
        "created": int(time.time()),
        "currency": charge_["currency"],
        "fee_source": {"charge": charge_["id"], "type": "charge"},
        "livemode": False,
        "originating_transaction": charge_["id"],
        "refunded": False,
        "refunds": listing([], f"/v1/application_fees/{id_}/refunds"),
    }


def fee_refund(fee: Thing, *, amount: int, metadata: dict[str, str]) -> Thing:
    return {
        "id": fresh_id("fr"),
        "object": "fee_refund",
        "amount": amount,
        "balance_transaction": None,
        "created": int(time.time()),
        "currency": fee["currency"],
        "fee": fee["id"],
        "metadata": metadata,
    }


def refund(charge_: Thing, *, amount: int, reason: str | None, metadata: dict[str, str]) -> Thing:
    return {
        "id": fresh_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge_["id"],
        "created": int(time.time()),
        "currency": charge_["currency"],
        "customer": charge_["customer"],
        "customer_account": None,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": metadata,
        "payment_intent": charge_["payment_intent"],
        "payment_method": charge_["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
