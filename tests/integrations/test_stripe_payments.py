"""The adapter drives the simulator by the real SDK: what the checkout may rely on."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from integrations.money import Money
from integrations.payments import Method, PaymentRefused, PaymentUnknown
from integrations.stripe_payments import StripePayments
from tests.integrations.fakes_stripe import Simulator, inbox, types

SECRET = "whsec_for_tests"
USD = 134_00


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    running = Simulator(tmp_path_factory.mktemp("stripe"))
    yield running
    running.stop()


@pytest.fixture
async def payments(simulator):
    adapter = StripePayments("sk_test_1", SECRET, simulator.url, retries=0)
    yield adapter
    await adapter.aclose()


@pytest.fixture
async def merchant(payments) -> str:
    return await payments.open_account(
        merchant_id="mer_shop", name="Shop", country="US", key="account:mer_shop"
    )


@pytest.fixture
def purchase(request) -> str:
    return f"chk_{abs(hash(request.node.name)):x}"


def authorise(payments, purchase, *, card="pm_card_visa", money=None, **more):
    terms = {"destination": None, "fee": None, "key": f"{purchase}:auth"} | more
    return payments.authorise(
        purchase_id=purchase, amount=money or Money(USD, "USD"), method=Method(card), **terms
    )


async def test_a_block_is_captured_once_and_shows_the_processors_fee(payments, purchase):
    blocked = await authorise(payments, purchase)
    captured = await payments.capture(blocked.id, key=f"{purchase}:capture")
    assert (blocked.status, blocked.captured.amount) == ("authorised", 0)
    assert (captured.status, captured.captured) == ("captured", Money(USD, "USD"))
    assert captured.processor_fee == Money(389 + 30, "USD")
    assert captured.purchase_id == purchase


async def test_the_same_key_twice_is_one_charge(payments, simulator, purchase):
    first, second = [await authorise(payments, purchase) for _ in range(2)]
    assert first.id == second.id
    assert len(simulator.payments(purchase)) == 1


async def test_fifty_repeats_at_once_are_one_charge(payments, simulator, purchase):
    answers = await asyncio.gather(
        *(authorise(payments, purchase) for _ in range(50)), return_exceptions=True
    )
    known = {a.id for a in answers if not isinstance(a, BaseException)}
    assert len(known) == 1
    assert len(simulator.payments(purchase)) == 1
    assert all(isinstance(a, PaymentUnknown) for a in answers if isinstance(a, BaseException))


async def test_a_key_with_another_amount_is_refused_and_charges_nothing(
    payments, simulator, purchase
):
    await authorise(payments, purchase)
    with pytest.raises(PaymentRefused):
        await authorise(payments, purchase, money=Money(99_00, "USD"))
    assert [p["amount"] for p in simulator.payments(purchase)] == [USD]


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
    ],
)
async def test_a_declined_card_is_an_answer_with_its_reason(payments, purchase, token, code):
    answer = await authorise(payments, purchase, card=token)
    assert (answer.status, answer.decline_code) == ("declined", code)
    assert (answer.captured.amount, answer.refunded.amount) == (0, 0)


async def test_another_card_after_a_decline_is_what_find_returns(payments, purchase):
    await authorise(payments, purchase, card="pm_card_chargeDeclined")
    second = await authorise(payments, purchase, key=f"{purchase}:auth:2")
    found = await payments.find(purchase)
    assert found is not None
    assert (found.id, found.status) == (second.id, "authorised")


async def test_a_card_that_must_be_authenticated_goes_on_after_the_banks_page(simulator, purchase):
    payments = StripePayments(
        "sk_test_1", SECRET, simulator.url, return_url="http://127.0.0.1/checkout/{purchase_id}"
    )
    waiting = await authorise(payments, purchase, card="pm_card_threeDSecure2Required")
    assert waiting.status == "requires_action"
    assert waiting.next_action["redirect_to_url"]["return_url"].endswith(f"/checkout/{purchase}")
    found = await payments.find(purchase)
    assert found is not None
    assert found.status == "requires_action"
    page = waiting.next_action["redirect_to_url"]["url"]
    back = await asyncio.to_thread(httpx.post, page, data={"outcome": "success"})
    assert (back.status_code, back.headers["location"][-len(purchase) :]) == (303, purchase)
    assert (await payments.read(waiting.id)).status == "authorised"
    await payments.aclose()


async def test_a_failed_authentication_is_a_decline(payments, simulator, purchase):
    waiting = await authorise(payments, purchase, card="pm_card_threeDSecure2Required")
    simulator.post(f"/_sim/payment_intents/{waiting.id}/authenticate", outcome="fail")
    after = await payments.read(waiting.id)
    assert (after.status, after.decline_code) == (
        "declined",
        "payment_intent_authentication_failure",
    )


async def test_a_voided_block_costs_nothing_and_stays_voided(payments, purchase):
    blocked = await authorise(payments, purchase)
    voided = await payments.void(blocked.id, key=f"{purchase}:void")
    again = await payments.void(blocked.id, key=f"{purchase}:void:later")
    assert (voided.status, voided.captured.amount, voided.refunded.amount) == ("voided", 0, 0)
    assert again.status == "voided"
    with pytest.raises(PaymentRefused, match="canceled"):
        await payments.capture(blocked.id, key=f"{purchase}:capture")


async def test_a_capture_repeated_with_a_fresh_key_finds_it_done(payments, purchase):
    blocked = await authorise(payments, purchase)
    await payments.capture(blocked.id, key=f"{purchase}:capture")
    again = await payments.capture(blocked.id, key=f"{purchase}:capture:a-day-later")
    assert again.captured == Money(USD, "USD")
    with pytest.raises(PaymentRefused, match="succeeded"):
        await payments.void(blocked.id, key=f"{purchase}:void")


async def test_partial_refunds_give_the_fee_back_to_the_last_unit(payments, merchant, purchase):
    money, fee = Money(100_03, "USD"), Money(333, "USD")
    blocked = await authorise(payments, purchase, money=money, destination=merchant, fee=fee)
    paid = await payments.capture(blocked.id, key=f"{purchase}:capture")
    assert (paid.fee, paid.fee_refunded) == (fee, Money(0, "USD"))
    for n, part in enumerate([14_29] * 6 + [100_03 - 6 * 14_29]):
        paid = await payments.refund(
            blocked.id, Money(part, "USD"), with_fee=True, key=f"{purchase}:refund:{n}"
        )
    assert (paid.refunded, paid.fee_refunded) == (money, fee)
    with pytest.raises(PaymentRefused) as refusal:
        await payments.refund(blocked.id, Money(1, "USD"), with_fee=True, key=f"{purchase}:more")
    assert refusal.value.code == "charge_already_refunded"


async def test_a_refund_may_keep_the_fee(payments, merchant, purchase):
    fee = Money(10_00, "USD")
    blocked = await authorise(payments, purchase, destination=merchant, fee=fee)
    await payments.capture(blocked.id, key=f"{purchase}:capture")
    after = await payments.refund(
        blocked.id, Money(USD, "USD"), with_fee=False, key=f"{purchase}:refund"
    )
    assert (after.refunded.amount, after.fee_refunded) == (USD, Money(0, "USD"))


async def test_what_was_given_back_lately_is_told_by_the_processor(payments, purchase):
    began = datetime.now(UTC) - timedelta(seconds=1)
    sold = [await authorise(payments, f"{purchase}{n}") for n in range(2)]
    for one in sold:
        await payments.capture(one.id, key=f"{one.id}:capture")
    back = Money(1, "USD")
    await payments.refund(sold[0].id, back, with_fee=False, key=f"{purchase}:refund")
    touched = await payments.touched(began)
    assert (sold[0].id in touched, sold[1].id in touched) == (True, False)
    assert await payments.touched(began + timedelta(days=1)) == frozenset()


async def test_more_than_was_paid_is_never_refunded(payments, purchase):
    blocked = await authorise(payments, purchase)
    await payments.capture(blocked.id, key=f"{purchase}:capture")
    with pytest.raises(PaymentRefused, match="greater than unrefunded"):
        await payments.refund(
            blocked.id, Money(USD + 1, "USD"), with_fee=True, key=f"{purchase}:refund"
        )
    assert (await payments.read(blocked.id)).refunded.amount == 0


@pytest.mark.parametrize("kind", ["cut_after", "error_after"])
async def test_a_lost_answer_is_unknown_and_found_by_our_own_id(
    payments, simulator, purchase, kind
):
    simulator.fault(kind, "/v1/payment_intents")
    with pytest.raises(PaymentUnknown):
        await authorise(payments, purchase)
    found = await payments.find(purchase)
    assert found is not None
    assert found.status == "authorised"
    assert len(simulator.payments(purchase)) == 1


@pytest.mark.parametrize("kind", ["cut_before", "error_before", "rate_limit", "conflict"])
async def test_what_never_arrived_is_not_found_and_the_same_key_does_it(
    payments, simulator, purchase, kind
):
    simulator.fault(kind, "/v1/payment_intents")
    with pytest.raises(PaymentUnknown):
        await authorise(payments, purchase)
    assert await payments.find(purchase) is None
    assert (await authorise(payments, purchase)).status == "authorised"
    assert len(simulator.payments(purchase)) == 1


async def test_one_retry_under_our_key_heals_a_lost_answer_without_a_second_charge(
    simulator, purchase
):
    payments = StripePayments("sk_test_1", SECRET, simulator.url, retries=1)
    simulator.fault("cut_after", "/v1/payment_intents")
    assert (await authorise(payments, purchase)).status == "authorised"
    assert len(simulator.payments(purchase)) == 1
    await payments.aclose()


async def test_a_lost_capture_is_read_back_as_captured(payments, simulator, purchase):
    blocked = await authorise(payments, purchase)
    simulator.fault("error_after", f"/v1/payment_intents/{blocked.id}/capture")
    with pytest.raises(PaymentUnknown):
        await payments.capture(blocked.id, key=f"{purchase}:capture")
    assert (await payments.read(blocked.id)).status == "captured"


async def test_a_processor_that_is_down_is_unknown_and_not_ready(purchase):
    payments = StripePayments("sk_test_1", SECRET, "http://127.0.0.1:9", retries=0)
    with pytest.raises(PaymentUnknown):
        await authorise(payments, purchase)
    assert await payments.ready() is False
    await payments.aclose()


async def test_a_wrong_key_is_refused_and_not_ready(simulator, purchase):
    payments = StripePayments("nonsense", SECRET, simulator.url, retries=0)
    with pytest.raises(PaymentRefused) as refusal:
        await authorise(payments, purchase)
    assert refusal.value.code == "bad_key"
    assert await payments.ready() is False
    await payments.aclose()


async def test_ready_is_true_while_the_processor_answers(payments):
    assert await payments.ready() is True


async def test_yen_have_no_decimals_and_kronur_two_at_the_processor(payments, simulator, purchase):
    yen = await authorise(payments, purchase, money=Money(1200, "JPY"))
    kronur = await authorise(payments, purchase, money=Money(500, "ISK"), key=f"{purchase}:isk")
    assert (yen.amount, kronur.amount) == (Money(1200, "JPY"), Money(500, "ISK"))
    assert [p["amount"] for p in simulator.payments(purchase)] == [1200, 50000]


async def test_an_amount_the_processor_cannot_count_never_reaches_it(payments, simulator, purchase):
    with pytest.raises(PaymentRefused) as refusal:
        await authorise(payments, purchase, money=Money(1001, "KWD"))
    assert refusal.value.code == "amount_unsupported"
    assert simulator.payments(purchase) == []


async def test_a_fee_above_the_amount_never_reaches_the_card(
    payments, simulator, merchant, purchase
):
    with pytest.raises(PaymentRefused):
        await authorise(payments, purchase, destination=merchant, fee=Money(USD + 1, "USD"))
    assert simulator.payments(purchase) == []


async def test_an_unknown_method_and_an_unknown_merchant_are_refused(payments, purchase):
    with pytest.raises(PaymentRefused, match="pm_nobody"):
        await authorise(payments, purchase, card="pm_nobody")
    with pytest.raises(PaymentRefused, match="acct_nobody"):
        await authorise(payments, purchase, destination="acct_nobody", key=f"{purchase}:2")


async def test_find_does_not_search_for_what_is_no_id_of_ours(payments):
    assert await payments.find("chk_none") is None
    with pytest.raises(PaymentRefused):
        await payments.find("' OR status:'succeeded")


async def test_an_open_account_is_the_same_for_the_same_merchant(payments, merchant):
    again = await payments.open_account(
        merchant_id="mer_shop", name="Shop", country="US", key="account:mer_shop"
    )
    assert again == merchant
    assert merchant.startswith("acct_")


def _event(payments, body: bytes, *, secret=SECRET, at=None):
    from integrations.simulators.stripe.webhooks import signature

    return payments.event(body, signature(body, secret, at=at or int(time.time())))


async def test_only_a_fresh_and_rightly_signed_webhook_is_an_event(payments):
    thing = {"id": "pi_1", "object": "payment_intent", "metadata": {"purchase_id": "chk_1"}}
    body = json.dumps(
        {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded",
         "data": {"object": thing}}
    ).encode()  # fmt: skip
    event = _event(payments, body)
    assert (event.id, event.payment_id, event.purchase_id) == ("evt_1", "pi_1", "chk_1")
    for bad in (
        lambda: _event(payments, body, secret="whsec_other"),
        lambda: _event(payments, body, at=int(time.time()) - 301),
        lambda: payments.event(body, ""),
        lambda: payments.event(body, "t=x,v1=y"),
        lambda: payments.event(body + b" ", "t=1,v1=00"),
        lambda: _event(payments, b"\xff\xfe"),
        lambda: _event(payments, b"[]"),
        lambda: _event(payments, b"{"),
    ):
        with pytest.raises(PaymentRefused):
            bad()


async def test_webhooks_of_a_purchase_arrive_signed_and_name_it(tmp_path, purchase):
    with inbox() as (url, received):
        simulator = Simulator(tmp_path, "--webhook-url", url, "--webhook-secret", SECRET)
        payments = StripePayments("sk_test_1", SECRET, simulator.url)
        blocked = await authorise(payments, purchase)
        await payments.capture(blocked.id, key=f"{purchase}:capture")
        await _until(lambda: "payment_intent.succeeded" in types(received))
        events = [payments.event(body, signature) for body, signature in received]
        await payments.aclose()
        simulator.stop()
    assert {e.payment_id for e in events} == {blocked.id}
    assert {e.purchase_id for e in events} == {purchase}
    assert [e.type for e in events][:2] == ["payment_intent.created", "charge.succeeded"]


async def test_a_killed_processor_remembers_its_charges_and_its_answers(tmp_path, purchase):
    simulator = Simulator(tmp_path)
    payments = StripePayments("sk_test_1", SECRET, simulator.url)
    blocked = await authorise(payments, purchase)
    await payments.aclose()
    simulator.kill()
    simulator = Simulator(tmp_path)
    payments = StripePayments("sk_test_1", SECRET, simulator.url)
    assert (await authorise(payments, purchase)).id == blocked.id
    assert (await payments.capture(blocked.id, key=f"{purchase}:c")).status == "captured"
    assert len(simulator.payments(purchase)) == 1
    await payments.aclose()
    simulator.stop()


async def _until(done, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
