"""People, methods, intents, sessions, events as the API 2026-10-28 returns them.

Every key is there, unset ones null; a test holds the key sets against Stripe's official fixtures.
What moves money once an intent is confirmed is in `movements.py`.
"""

import secrets
import time
from collections.abc import Iterable
from typing import Any

from integrations.simulators.stripe.rules import Card
from integrations.simulators.stripe.store import Thing, fresh_id

_ADDRESS = "city country line1 line2 postal_code state"


def nulls(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


def listing(items: Iterable[Thing], url: str, *, has_more: bool = False) -> Thing:
    return {"object": "list", "data": list(items), "has_more": has_more, "url": url}


def billing_details(given: dict[str, Any] | None = None) -> Thing:
    given = given or {}
    details = nulls("email name phone tax_id") | {"address": nulls(_ADDRESS)}
    details["address"] |= given.get("address") or {}
    return details | {k: v for k, v in given.items() if k in details and k != "address"}


def account(*, country: str, currency: str, email: str | None, metadata: dict[str, str]) -> Thing:
    id_ = fresh_id("acct")
    return {
        "id": id_,
        "object": "account",
        "business_profile": nulls(
            "annual_revenue estimated_worker_count mcc name product_description "
            "support_address support_email support_phone support_url url "
            "minority_owned_business_designation"
        ),
        "business_type": None,
        "capabilities": {},
        "charges_enabled": False,
        "controller": {"type": "application"},
        "country": country,
        "created": int(time.time()),
        "default_currency": currency,
        "details_submitted": True,
        "email": email,
        "external_accounts": listing([], f"/v1/accounts/{id_}/external_accounts"),
        "future_requirements": _requirements(),
        "metadata": metadata,
        "payouts_enabled": True,
        "requirements": _requirements(),
        "settings": {"payouts": {"schedule": {"delay_days": 2, "interval": "daily"}}},
        "tos_acceptance": nulls("date ip user_agent"),
        "type": "none",
    }


def demo_account(id_: str) -> Thing:
    """A connected account that may take charges and transfers."""
    made = account(country="DE", currency="eur", email=None, metadata={})
    active = {"card_payments": "active", "transfers": "active"}
    listed = listing([], f"/v1/accounts/{id_}/external_accounts")
    return made | {
        "id": id_,
        "capabilities": active,
        "charges_enabled": True,
        "external_accounts": listed,
    }


def _requirements() -> Thing:
    empty: Thing = {
        name: []
        for name in (
            "alternatives",
            "currently_due",
            "errors",
            "eventually_due",
            "past_due",
            "pending_verification",
        )
    }
    return empty | nulls("current_deadline disabled_reason")


def customer(*, metadata: dict[str, str]) -> Thing:
    return nulls(
        "address currency default_source description discount email name phone shipping test_clock"
    ) | {
        "id": fresh_id("cus"),
        "object": "customer",
        "balance": 0,
        "created": int(time.time()),
        "delinquent": False,
        "invoice_prefix": secrets.token_hex(4).upper(),
        "invoice_settings": nulls("custom_fields default_payment_method footer rendering_options"),
        "livemode": False,
        "metadata": metadata,
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }


def payment_method(
    card: Card, *, number: str, expiry: tuple[int, int], billing: Thing, metadata: dict[str, str]
) -> Thing:
    """`_number` never leaves the simulator; it decides how the card behaves."""
    return {
        "id": fresh_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing,
        "card": {
            "brand": card.brand,
            "checks": nulls("address_line1_check address_postal_code_check cvc_check"),
            "country": "US",
            "display_brand": card.brand,
            "exp_month": expiry[0],
            "exp_year": expiry[1],
            "fingerprint": f"fp{card.brand}{card.last4}",
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": int(time.time()),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": metadata,
        "type": "card",
        "_number": number,
        "_used": False,
    }


def payment_intent(amount: int, currency: str, metadata: dict[str, str]) -> Thing:
    id_ = fresh_id("pi")
    return nulls(
        "application application_fee_amount automatic_payment_methods canceled_at "
        "cancellation_reason customer customer_account description "
        "excluded_payment_method_types last_payment_error latest_charge "
        "managed_payments next_action on_behalf_of payment_method "
        "payment_method_configuration_details processing receipt_email review "
        "setup_future_usage shipping source statement_descriptor "
        "statement_descriptor_suffix transfer_data transfer_group"
    ) | {
        "id": id_,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{id_}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": int(time.time()),
        "currency": currency,
        "livemode": False,
        "metadata": metadata,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "_return_url": None,
    }


def setup_intent(customer: str | None, metadata: dict[str, str]) -> Thing:
    id_ = fresh_id("seti")
    return nulls(
        "application automatic_payment_methods cancellation_reason description "
        "excluded_payment_method_types flow_directions last_setup_error latest_attempt mandate "
        "next_action on_behalf_of payment_method payment_method_configuration_details "
        "single_use_mandate"
    ) | {
        "id": id_,
        "object": "setup_intent",
        "client_secret": f"{id_}_secret_{secrets.token_hex(12)}",
        "created": int(time.time()),
        "customer": customer,
        "livemode": False,
        "metadata": metadata,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    }


def event(type_: str, thing: Thing, request: Thing) -> Thing:
    return {
        "id": fresh_id("evt"),
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": request,
        "type": type_,
    }


def checkout_session(
    *,
    mode: str,
    amount: int | None,
    currency: str | None,
    url: str,
    success_url: str | None,
    cancel_url: str | None,
    metadata: dict[str, str],
) -> Thing:
    id_ = fresh_id("cs_test")
    now = int(time.time())
    return nulls(
        "adaptive_pricing after_expiration allow_promotion_codes "
        "billing_address_collection client_reference_id client_secret "
        "collected_information consent consent_collection currency_conversion "
        "customer customer_account customer_creation customer_details "
        "customer_email discounts integration_identifier invoice invoice_creation "
        "locale managed_payments origin_context payment_intent payment_link "
        "payment_method_collection payment_method_configuration_details "
        "permissions phone_number_collection recovered_from "
        "saved_payment_method_options setup_intent shipping_address_collection "
        "shipping_cost submit_type subscription wallet_options"
    ) | {
        "id": id_,
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": cancel_url,
        "created": now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": nulls("after_submit shipping_address submit terms_of_service_acceptance"),
        "expires_at": now + 24 * 3600,
        "livemode": False,
        "metadata": metadata,
        "mode": mode,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
        "success_url": success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted",
        "url": f"{url}/_sim/checkout/{id_}",
        "_intent": {},
    }
