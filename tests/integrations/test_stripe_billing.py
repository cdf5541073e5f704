"""Subscriptions by the real SDK on the simulated processor: shapes, prices, prorations, dunning."""

import asyncio
import json

import httpx
import pytest

from integrations import stripe_billing
from integrations.billing import Ware
from integrations.money import Money
from integrations.payments import PaymentRefused
from integrations.stripe_billing import StripeBilling
from integrations.stripe_payments import StripePayments
from integrations.tls import roots
from tests.integrations.fakes_stripe import ROOT, Simulator

PLUS = Ware("plus", "Emptor Plus", Money(20_00, "USD"))
PRO = Ware("pro", "Emptor Pro", Money(200_00, "USD"))
AUTH = {"authorization": "Bearer sk_test_1"}
# What the simulator leaves out of the official objects: other ways to bill, other ways to pay.
ABSENT = {
    "price": set(),
    "product": set(),
    "subscription": {
        *("automatic_tax", "invoice_settings", "payment_settings", "trial_settings"),
        *("billing_mode", "managed_payments", "customer_account", "billing_schedules"),
        *("presentment_details", "billing_thresholds"),
    },
    "invoice": {
        *("account_country", "amount_shipping", "automatic_tax", "customer_shipping"),
        *("customer_tax_exempt", "customer_tax_ids", "default_tax_rates", "discounts", "issuer"),
        *("payment_settings", "post_payment_credit_notes_amount", "total_discount_amounts"),
        *("pre_payment_credit_notes_amount", "subtotal_excluding_tax", "total_excluding_tax"),
        *("total_pretax_credit_amounts", "amount_overpaid", "confirmation_secret"),
        *("customer_account", "threshold_reason", "automatically_finalizes_at"),
        "subscription",  # since 2025 under `parent`; the fixture keeps the old name
    },
    "invoice_payment": set(),
    "billing_portal.configuration": set(),
    "billing_portal.session": set(),
}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    running = Simulator(tmp_path_factory.mktemp("stripe"))
    yield running
    running.stop()


@pytest.fixture
async def billing(simulator):
    payments = StripePayments("sk_test_1", "whsec_1", simulator.url, retries=0)
    yield StripeBilling(payments)
    await payments.aclose()


async def get(simulator, path: str, **params) -> dict:
    async with httpx.AsyncClient(verify=roots(), base_url=simulator.url, headers=AUTH) as http:
        return (await http.get(path, params=params)).json()


async def press(url: str, **form) -> httpx.Response:
    async with httpx.AsyncClient(verify=roots(), timeout=30) as browser:
        return await browser.post(url, data=form)


@pytest.fixture
async def customer(billing, request) -> str:
    name = f"usr_{abs(hash(request.node.name)):x}"
    return await billing.customer(user_id=name, email="a@example.com", key=f"customer:{name}")


async def subscribed(billing, customer: str, plan: Ware = PLUS):
    link = await billing.subscribe(
        customer=customer, plan=plan, order_id="bil_1", back="http://x/", key=f"{customer}:sub"
    )
    paid = await press(link.url, payment_method="pm_card_visa")
    assert paid.headers["location"] == "http://x/?billing=done"
    return (await billing.read(customer)).subscriptions[0]


async def test_objects_have_the_official_keys(simulator, billing, customer):
    folder = ROOT.parent / "shared" / "data" / "stripe" / "fixtures3.json"
    official = json.loads(folder.read_text())["resources"]
    found = await subscribed(billing, customer)
    await billing.portal(customer=customer, back="http://x/", key=f"{customer}:portal")
    subscription = await get(simulator, f"/v1/subscriptions/{found.id}")
    price = subscription["items"]["data"][0]["price"]
    invoice = await get(simulator, f"/v1/invoices/{subscription['latest_invoice']}")
    listed = await get(simulator, "/v1/billing_portal/configurations")
    mine = {
        "price": price,
        "product": await get(simulator, f"/v1/products/{price['product']}"),
        "subscription": subscription,
        "invoice": invoice,
        "invoice_payment": invoice["payments"]["data"][0],
        "billing_portal.configuration": listed["data"][0],
    }
    optional = {"invoice": {"payments", "test_clock"}, "subscription": {"test_clock"}}
    invented = {
        kind: sorted(set(body) - set(official[kind]) - optional.get(kind, set()))
        for kind, body in mine.items()
    }
    lacking = {
        kind: sorted(set(official[kind]) - set(body) - ABSENT[kind]) for kind, body in mine.items()
    }
    assert [kind for kind in mine if invented[kind]] == [], invented
    assert [kind for kind in mine if lacking[kind]] == [], lacking


async def test_a_plan_has_one_price_however_often_it_is_sold(simulator, billing, customer):
    await subscribed(billing, customer)
    other = StripeBilling.__new__(StripeBilling)
    other._v1, other._prices = billing._v1, {}
    again = await other.customer(user_id="usr_again", email=None, key="customer:usr_again")
    await subscribed(other, again)
    prices = await get(simulator, "/v1/prices", limit=100)
    keys = [p["lookup_key"] for p in prices["data"]]
    assert keys.count("emptor_plus_2000_usd_month") == 1


async def test_of_pages_made_at_once_one_stays_open_and_none_is_a_failure(
    simulator, billing, customer
):
    async def page(n: int) -> str:
        link = await billing.subscribe(
            customer=customer, plan=PLUS, order_id="bil_1", back="http://x/", key=f"{customer}:{n}"
        )
        return link.id

    made = [await page(0), *await asyncio.gather(*(page(n) for n in range(1, 6)))]
    assert len(set(made)) == 6
    pages = await get(simulator, "/v1/checkout/sessions", customer=customer, limit=100)
    assert sorted(page["status"] for page in pages["data"]) == ["expired"] * 5 + ["open"]


async def test_pages_that_are_closed_while_we_look_are_no_failure(billing, customer):
    link = await billing.subscribe(
        customer=customer, plan=PLUS, order_id="bil_1", back="http://x/", key=f"{customer}:1"
    )
    await asyncio.gather(*(billing.close_pages(customer) for _ in range(6)))
    assert (await press(link.url, payment_method="pm_card_visa")).status_code == 410


async def test_a_month_is_paid_and_its_fee_known(billing, customer):
    found = await subscribed(billing, customer)
    [paid] = (await billing.read(customer)).payments
    assert (found.plan, found.standing, found.ends) == ("plus", "active", False)
    assert (paid.bought, paid.amount, paid.fee) == ("plan", Money(2000, "USD"), Money(88, "USD"))


async def test_refunds_on_a_second_page_are_told_too(simulator, billing, customer, monkeypatch):
    await subscribed(billing, customer)
    [paid] = (await billing.read(customer)).payments
    async with httpx.AsyncClient(verify=roots(), base_url=simulator.url, headers=AUTH) as http:
        for _ in range(3):
            given = {"payment_intent": paid.id, "amount": "100"}
            (await http.post("/v1/refunds", data=given)).raise_for_status()
    monkeypatch.setattr(stripe_billing, "_PAGE", 2)
    [paid] = (await billing.read(customer)).payments
    assert [one.amount.amount for one in paid.refunds] == [100, 100, 100]


async def test_a_change_is_shown_and_only_then_prorated(simulator, billing, customer):
    found = await subscribed(billing, customer)
    link = await billing.change(
        customer=customer,
        subscription=found,
        plan=PRO,
        offered=[PLUS, PRO],
        back="http://x/",
        key=f"{customer}:change",
    )
    async with httpx.AsyncClient(verify=roots(), timeout=30) as browser:
        assert "emptor_pro_20000_usd_month" in (await browser.get(link.url)).text
    assert (await billing.read(customer)).subscriptions[0].plan == "plus"
    assert (await press(link.url, choice="back")).headers[
        "location"
    ] == "http://x/?billing=canceled"
    made = await press(link.url, choice="confirm")
    assert made.headers["location"] == "http://x/?billing=changed"
    after = await billing.read(customer)
    assert after.subscriptions[0].plan == "pro"
    assert sum(p.amount.amount for p in after.payments) in (20_000, 19_999)


async def test_a_change_that_cannot_be_paid_changes_nothing(simulator, billing, customer):
    found = await subscribed(billing, customer)
    simulator.post(
        f"/_sim/subscriptions/{found.id}/renew", payment_method="pm_card_chargeCustomerFail"
    )
    assert (await billing.read(customer)).subscriptions[0].standing == "past_due"
    link = await billing.change(
        customer=customer,
        subscription=found,
        plan=PRO,
        offered=[PLUS, PRO],
        back="http://x/",
        key=f"{customer}:change",
    )
    declined = await press(link.url, choice="confirm")
    assert (declined.status_code, "declined" in declined.text) == (402, True)
    assert (await billing.read(customer)).subscriptions[0].plan == "plus"


async def test_what_was_not_used_is_credit_for_the_next_month(simulator, billing, customer):
    found = await subscribed(billing, customer, PRO)
    link = await billing.change(
        customer=customer,
        subscription=found,
        plan=PLUS,
        offered=[PLUS, PRO],
        back="http://x/",
        key=f"{customer}:change",
    )
    await press(link.url, choice="confirm")
    simulator.post(f"/_sim/subscriptions/{found.id}/renew")
    after = await billing.read(customer)
    assert (after.subscriptions[0].plan, len(after.payments)) == ("plus", 1)
    balance = (await get(simulator, f"/v1/customers/{customer}"))["balance"]
    assert -16_001 <= balance <= -15_999


async def test_ending_later_is_taken_back_and_ending_now_is_no_error_twice(billing, customer):
    found = await subscribed(billing, customer)
    await billing.end(found.id, later=True, key=f"{customer}:end")
    assert (await billing.read(customer)).subscriptions[0].ends is True
    await billing.end(found.id, later=False, key=f"{customer}:stay")
    assert (await billing.read(customer)).subscriptions[0].ends is False
    await billing.end_now(found.id)
    await billing.end_now(found.id)
    assert (await billing.read(customer)).subscriptions[0].standing == "over"


async def test_a_foreign_subscription_cannot_be_changed_in_ones_own_portal(billing, customer):
    found = await subscribed(billing, customer)
    other = await billing.customer(user_id="usr_other", email=None, key="customer:usr_other")
    with pytest.raises(PaymentRefused):
        await billing.change(
            customer=other,
            subscription=found,
            plan=PRO,
            offered=[PLUS, PRO],
            back="http://x/",
            key="other:change",
        )
