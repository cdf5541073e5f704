"""Which function answers which address. An address that is not here is a 404 that says so."""

import re

from integrations.simulators.stripe import (
    connect,
    customers,
    disputes,
    intents,
    invoices,
    portal,
    prices,
    refunds,
    sessions,
    setups,
    shared,
    subscriptions,
)
from integrations.simulators.stripe.rules import ApiError
from integrations.simulators.stripe.world import Route

_TABLE: list[tuple[str, str, Route]] = [
    ("POST", "payment_intents", intents.create),
    ("GET", "payment_intents", intents.index),
    ("GET", "payment_intents/search", intents.search),
    ("GET", "payment_intents/{id}", intents.retrieve),
    ("POST", "payment_intents/{id}", intents.update),
    ("POST", "payment_intents/{id}/confirm", intents.confirm),
    ("POST", "payment_intents/{id}/capture", intents.capture),
    ("POST", "payment_intents/{id}/cancel", intents.cancel),
    ("POST", "shared_payment/issued_tokens", shared.issue),
    ("GET", "shared_payment/issued_tokens/{id}", shared.retrieve),
    ("POST", "shared_payment/issued_tokens/{id}/revoke", shared.revoke),
    ("POST", "refunds", refunds.create),
    ("GET", "refunds", refunds.index),
    ("GET", "refunds/{id}", refunds.retrieve),
    ("GET", "disputes", disputes.index),
    ("GET", "disputes/{id}", disputes.retrieve),
    ("GET", "charges", refunds.list_charges),
    ("GET", "charges/{id}", refunds.retrieve_charge),
    ("GET", "balance", connect.balance),
    ("GET", "balance_transactions", refunds.list_entries),
    ("GET", "balance_transactions/{id}", refunds.retrieve_entry),
    ("GET", "events", refunds.list_events),
    ("GET", "events/{id}", refunds.retrieve_event),
    ("POST", "customers", customers.create),
    ("GET", "customers", customers.index),
    ("GET", "customers/{id}", customers.retrieve),
    ("POST", "customers/{id}", customers.update),
    ("GET", "customers/{id}/payment_methods", customers.list_methods),
    ("POST", "payment_methods", customers.create_method),
    ("GET", "payment_methods", customers.list_methods),
    ("GET", "payment_methods/{id}", customers.retrieve_method),
    ("POST", "payment_methods/{id}/attach", customers.attach),
    ("POST", "payment_methods/{id}/detach", customers.detach),
    ("POST", "accounts", connect.create_account),
    ("GET", "accounts", connect.list_accounts),
    ("GET", "accounts/{id}", connect.retrieve_account),
    ("POST", "accounts/{id}", connect.update_account),
    ("POST", "transfers", connect.create_transfer),
    ("GET", "transfers", connect.list_transfers),
    ("GET", "transfers/{id}", connect.retrieve_transfer),
    ("POST", "transfers/{id}/reversals", connect.reverse_transfer),
    ("GET", "application_fees", connect.list_fees),
    ("GET", "application_fees/{id}", connect.retrieve_fee),
    ("POST", "application_fees/{id}/refunds", connect.refund_fee),
    ("POST", "checkout/sessions", sessions.create),
    ("GET", "checkout/sessions", sessions.index),
    ("GET", "checkout/sessions/{id}", sessions.retrieve),
    ("POST", "checkout/sessions/{id}/expire", sessions.expire),
    ("GET", "setup_intents/{id}", setups.retrieve),
    ("POST", "prices", prices.create),
    ("GET", "prices", prices.index),
    ("GET", "prices/{id}", prices.retrieve),
    ("GET", "products/{id}", prices.retrieve_product),
    ("GET", "subscriptions", subscriptions.index),
    ("GET", "subscriptions/{id}", subscriptions.retrieve),
    ("POST", "subscriptions/{id}", subscriptions.update),
    ("DELETE", "subscriptions/{id}", subscriptions.cancel),
    ("GET", "invoices", invoices.index),
    ("GET", "invoices/{id}", invoices.retrieve),
    ("POST", "billing_portal/configurations", portal.configure),
    ("GET", "billing_portal/configurations", portal.configurations),
    ("POST", "billing_portal/sessions", portal.create),
]
_ROUTES = [
    (method, re.compile("/v1/" + path.replace("{id}", r"(?P<id_>[A-Za-z0-9_]+)")), route)
    for method, path, route in _TABLE
]


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    for verb, pattern, route in _ROUTES:
        if verb == method and (match := pattern.fullmatch(path)):
            return route, match.groupdict()
    raise ApiError(f"Unrecognized request URL ({method}: {path}), or not simulated.", status=404)
