"""Disputes at the simulated processor have the official shapes and are read as they stand."""

import json
import secrets
from pathlib import Path

import httpx
import pytest

from integrations.money import Money
from integrations.payments import Dispute, Method, PaymentRefused
from integrations.stripe_payments import StripePayments
from tests.integrations.fakes_stripe import ROOT, Simulator, inbox
from tests.servers import eventually

FIXTURES = ROOT.parent / "shared" / "data" / "stripe" / "fixtures3.json"
HEADERS = {"authorization": "Bearer sk_test_1"}
FEE = Money(2000, "EUR")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    running = Simulator(tmp_path_factory.mktemp("stripe"))
    yield running
    running.stop()


@pytest.fixture
async def payments(simulator):
    made = StripePayments("sk_test_1", "whsec_1", simulator.url)
    yield made
    await made.aclose()


async def paid(payments: StripePayments, purchase_id: str) -> str:
    held = await payments.authorise(
        purchase_id=purchase_id,
        amount=Money(3240, "EUR"),
        method=Method("pm_card_visa"),
        destination=None,
        fee=None,
        key=f"{purchase_id}:a",
    )
    return (await payments.capture(held.id, key=f"{purchase_id}:c")).id


async def refused(payments: StripePayments, intent: str) -> None:
    with pytest.raises(PaymentRefused) as error:
        await payments.refund(intent, Money(1, "EUR"), with_fee=False, key=secrets.token_hex(4))
    assert error.value.code == "charge_disputed"


def keys(thing: object) -> object:
    return {k: keys(v) for k, v in thing.items()} if isinstance(thing, dict) else None


def get(simulator: Simulator, path: str) -> dict:
    return httpx.get(simulator.url + path, headers=HEADERS).json()


async def test_a_dispute_has_the_official_keys(simulator, payments):
    if not FIXTURES.is_file():
        pytest.fail(f"the official fixtures are missing: {FIXTURES.name}")
    intent = await paid(payments, "chk_shape")
    made = simulator.post(f"/_sim/payment_intents/{intent}/dispute", inquiry=True)
    assert keys(made) == keys(json.loads(FIXTURES.read_text())["resources"]["dispute"])
    assert get(simulator, f"/v1/disputes/{made['id']}") == made


async def test_a_dispute_is_opened_read_and_lost_and_nothing_of_it_is_refunded(simulator, payments):
    intent = await paid(payments, "chk_lost")
    assert not (await payments.read(intent)).disputed
    made = simulator.post(f"/_sim/payment_intents/{intent}/dispute", amount=3000)
    assert (await payments.read(intent)).disputed
    lost = Dispute(made["id"], "open", Money(3000, "EUR"), FEE)
    assert await payments.disputes(intent) == [lost]
    await refused(payments, intent)
    simulator.post(f"/_sim/disputes/{made['id']}/close", status="lost")
    await refused(payments, intent)
    assert [one.state for one in await payments.disputes(intent)] == ["lost"]


async def test_an_inquiry_takes_nothing_and_what_is_won_comes_back(simulator, payments):
    intent = await paid(payments, "chk_won")
    made = simulator.post(f"/_sim/payment_intents/{intent}/dispute", inquiry=True)
    assert made["balance_transactions"] == []
    await payments.refund(intent, Money(40, "EUR"), with_fee=False, key="inquiry")
    made = simulator.post(f"/_sim/disputes/{made['id']}/close", status="needs_response")
    assert [(e["amount"], e["fee"]) for e in made["balance_transactions"]] == [(-3240, 2000)]
    made = simulator.post(f"/_sim/disputes/{made['id']}/close", status="won")
    assert sum(e["amount"] for e in made["balance_transactions"]) == 0
    await payments.refund(intent, Money(100, "EUR"), with_fee=False, key="after")
    assert await payments.disputes(intent) == [Dispute(made["id"], "won", Money(3240, "EUR"), FEE)]
    with pytest.raises(httpx.HTTPStatusError):
        simulator.post(f"/_sim/disputes/{made['id']}/close", status="lost")


async def test_its_events_are_signed_and_name_the_payment(tmp_path: Path):
    with inbox() as (url, received):
        simulator = Simulator(tmp_path, "--webhook-url", url, "--webhook-secret", "whsec_1")
        payments = StripePayments("sk_test_1", "whsec_1", simulator.url)
        intent = await paid(payments, "chk_told")
        made = simulator.post(f"/_sim/payment_intents/{intent}/dispute")
        simulator.post(f"/_sim/disputes/{made['id']}/close", status="won")

        async def told() -> list[str]:
            seen = [payments.event(body, signature) for body, signature in received]
            return [e.type for e in seen if e.dispute is not None and e.payment_id == intent]

        await eventually(
            told,
            [
                "charge.dispute.created",
                "charge.dispute.funds_withdrawn",
                "charge.dispute.funds_reinstated",
                "charge.dispute.closed",
            ],
            within_s=60,
        )
        ends = [payments.event(*one).dispute for one in received]
        assert [e.state for e in ends if e] == ["open", "open", "won", "won"]
        await payments.aclose()
        simulator.stop()
