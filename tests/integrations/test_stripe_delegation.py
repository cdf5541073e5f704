"""A delegated token allows one charge of at most so much, to one seller, until it ends."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.money import Money
from integrations.payments import Method, PaymentRefused
from integrations.stripe_delegation import delegate
from integrations.stripe_payments import StripePayments
from tests.integrations.fakes_stripe import Simulator

AMOUNT = Money(12900, "EUR")
SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory):
    running = Simulator(Path(tmp_path_factory.mktemp("stripe")))
    yield running
    running.stop()


@pytest.fixture
async def payments(simulator: Simulator):
    adapter = StripePayments("sk_test_1", "whsec_1", simulator.url, retries=0)
    yield adapter
    await adapter.aclose()


async def token(payments: StripePayments, key: str, **changed: Any) -> str:
    given: dict[str, Any] = {
        "purchase_id": "chk_1",
        "amount": AMOUNT,
        "method": Method("pm_card_visa"),
        "seller": "mer_1",
        "expires_at": SOON,
    }
    return await delegate(payments, key=key, **(given | changed))


def charge(simulator: Simulator, spt: str, amount: int = 12900, currency: str = "eur"):
    """The merchant charges by itself, as its own integration would."""
    form = {
        "amount": amount,
        "currency": currency,
        "confirm": "true",
        "payment_method_data[shared_payment_granted_token]": spt,
    }
    headers = {"Authorization": "Bearer sk_test_seller"}
    return httpx.post(f"{simulator.url}/v1/payment_intents", data=form, headers=headers)


async def test_the_merchant_takes_what_was_agreed_once_and_never_again(payments, simulator):
    spt = await token(payments, "once")
    first = charge(simulator, spt)
    assert (first.status_code, first.json()["status"]) == (200, "succeeded")
    again = charge(simulator, spt)
    assert again.json()["error"]["code"] == "shared_payment_token_invalid"


async def test_no_token_is_made_for_what_no_card_can_be_charged(payments):
    with pytest.raises(PaymentRefused) as refused:
        await token(payments, "odd", amount=Money(12345, "KWD"))
    assert refused.value.code == "amount_unsupported"


@pytest.mark.parametrize(("amount", "currency"), [(12901, "eur"), (12900, "usd")])
async def test_more_or_other_money_is_refused_and_leaves_the_token_whole(
    payments, simulator, amount: int, currency: str
):
    spt = await token(payments, f"other-{amount}{currency}")
    assert charge(simulator, spt, amount, currency).status_code == 400
    assert charge(simulator, spt, 12899).status_code == 200


async def test_the_same_key_is_the_same_token(payments):
    assert await token(payments, "same") == await token(payments, "same")
    assert await token(payments, "another") != await token(payments, "same")


async def test_a_token_that_ended_or_has_no_card_is_never_made(payments):
    for changed in (
        {"expires_at": datetime.now(UTC) - timedelta(minutes=1)},
        {"method": Method("pm_nobody")},
    ):
        with pytest.raises(PaymentRefused):
            await token(payments, f"no-{next(iter(changed))}", **changed)
