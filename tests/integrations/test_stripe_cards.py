"""Cards kept for later, by the real SDK on the simulated processor."""

import json

import httpx
import pytest

from integrations.money import Money
from integrations.payments import Method, PaymentRefused, PaymentUnknown
from integrations.stripe_billing import StripeBilling
from integrations.stripe_cards import StripeCards
from integrations.stripe_payments import StripePayments
from integrations.tls import roots
from tests.integrations.fakes_stripe import ROOT, Simulator

BACK = "http://x/card"
PRICE = Money(20_00, "EUR")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    running = Simulator(tmp_path_factory.mktemp("stripe"))
    yield running
    running.stop()


@pytest.fixture
async def payments(simulator):
    made = StripePayments(
        "sk_test_1", "whsec_1", simulator.url, retries=0, return_url="http://x/{purchase_id}"
    )
    yield made
    await made.aclose()


@pytest.fixture
def cards(payments) -> StripeCards:
    return StripeCards(payments)


@pytest.fixture
async def customer(payments, request) -> str:
    name = f"usr_{abs(hash(request.node.name)):x}"
    billing = StripeBilling(payments)
    return await billing.customer(user_id=name, email=None, key=f"customer:{name}")


async def press(url: str, card: str = "pm_card_visa") -> httpx.Response:
    async with httpx.AsyncClient(verify=roots(), timeout=30) as browser:
        assert f'value="{card}"' in (await browser.get(url)).text
        return await browser.post(url, data={"payment_method": card})


async def added(cards: StripeCards, customer: str, card: str = "pm_card_visa"):
    page = await cards.ask(
        customer=customer, card_id="crd_1", back=BACK, key=f"card:{customer}:{card}"
    )
    assert (await press(page.url, card)).headers["location"] == f"{BACK}?card=added"
    found = (await cards.look(page.id)).card
    assert found is not None
    return found


async def get(simulator, path: str, **params) -> dict:
    headers = {"authorization": "Bearer sk_test_1"}
    async with httpx.AsyncClient(verify=roots(), base_url=simulator.url, headers=headers) as http:
        return (await http.get(path, params=params)).json()


async def authorise(payments, method: Method, purchase: str, **more):
    terms = {"destination": None, "fee": None} | more
    return await payments.authorise(
        purchase_id=purchase, amount=PRICE, method=method, key=f"{purchase}:authorise", **terms
    )


async def test_a_page_keeps_a_card_for_its_customer(cards, customer):
    page = await cards.ask(customer=customer, card_id="crd_1", back=BACK, key=f"card:{customer}")
    assert (page.state, page.card) == ("open", None)
    assert (await press(page.url)).status_code == 303
    after = await cards.look(page.id)
    assert (after.state, after.url) == ("complete", "")
    assert after.card is not None
    assert (after.card.brand, after.card.last4, after.card.customer) == ("visa", "4242", customer)
    assert await cards.kept(customer) == (after.card,)


async def test_a_declined_card_is_not_kept_and_the_page_stays_open(cards, customer):
    page = await cards.ask(customer=customer, card_id="crd_1", back=BACK, key=f"card:{customer}")
    declined = await press(page.url, "pm_card_chargeDeclined")
    assert (declined.status_code, "declined" in declined.text) == (402, True)
    assert (await cards.look(page.id)).state == "open"
    assert await cards.kept(customer) == ()
    assert (await press(page.url)).status_code == 303


async def test_the_same_wish_again_is_the_same_page(cards, customer):
    first = await cards.ask(customer=customer, card_id="crd_1", back=BACK, key=f"card:{customer}")
    again = await cards.ask(customer=customer, card_id="crd_1", back=BACK, key=f"card:{customer}")
    assert again == first


async def test_a_kept_card_pays_more_than_once_and_only_with_its_customer(
    payments, cards, customer
):
    card = await added(cards, customer)
    for n in (1, 2):
        paid = await authorise(payments, Method(card.token, customer), f"chk_{customer}_{n}")
        assert paid.status == "authorised"
    with pytest.raises(PaymentRefused) as refused:
        await authorise(payments, Method(card.token), f"chk_{customer}_3")
    assert refused.value.code == "parameter_missing"


async def test_a_kept_card_does_not_pay_for_another_customer(payments, cards, customer):
    card = await added(cards, customer)
    other = await StripeBilling(payments).customer(user_id="usr_eve", email=None, key="c:eve")
    with pytest.raises(PaymentRefused) as refused:
        await authorise(payments, Method(card.token, other), f"chk_{customer}_4")
    assert refused.value.code == "resource_missing"


async def test_a_kept_card_pays_a_destination_charge_with_its_fee(payments, cards, customer):
    card = await added(cards, customer)
    purchase = f"chk_{customer}_5"
    paid = await authorise(
        payments,
        Method(card.token, customer),
        purchase,
        destination="acct_demo_cards",
        fee=Money(2_00, "EUR"),
    )
    taken = await payments.capture(paid.id, key=f"{purchase}:capture")
    assert (taken.status, taken.fee) == ("captured", Money(2_00, "EUR"))


async def test_the_bank_may_still_ask_about_a_kept_card(simulator, payments, cards, customer):
    card = await added(cards, customer, "pm_card_authenticationRequired")
    purchase = f"chk_{customer}_6"
    waiting = await authorise(payments, Method(card.token, customer), purchase)
    assert waiting.status == "requires_action"
    assert waiting.next_action["redirect_to_url"]["return_url"] == f"http://x/{purchase}"
    simulator.post(f"/_sim/payment_intents/{waiting.id}/authenticate", outcome="success")
    assert (await payments.read(waiting.id)).status == "authorised"


async def test_a_card_is_let_go_once_and_pays_nothing_more(payments, cards, customer):
    card = await added(cards, customer)
    await cards.forget(card.token)
    await cards.forget(card.token)
    await cards.forget("pm_that_nobody_knows")
    assert await cards.kept(customer) == ()
    with pytest.raises(PaymentRefused):
        await authorise(payments, Method(card.token, customer), f"chk_{customer}_7")


async def test_a_closed_page_keeps_nothing_and_closing_twice_is_no_error(cards, customer):
    page = await cards.ask(customer=customer, card_id="crd_1", back=BACK, key=f"card:{customer}")
    await cards.close(page.id)
    await cards.close(page.id)
    assert (await cards.look(page.id)).state == "expired"
    assert (await cards.look("cs_test_unknown")).state == "expired"
    async with httpx.AsyncClient(verify=roots()) as browser:
        assert (await browser.post(page.url)).status_code == 410


async def test_a_lost_answer_is_unknown_and_the_same_key_finds_it(simulator, cards, customer):
    simulator.fault("cut_after", "/v1/checkout/sessions")
    terms = {"customer": customer, "card_id": "crd_1", "back": BACK, "key": f"card:{customer}"}
    with pytest.raises(PaymentUnknown):
        await cards.ask(**terms)
    page = await cards.ask(**terms)
    listed = await get(simulator, "/v1/checkout/sessions", customer=customer)
    assert [one["id"] for one in listed["data"]] == [page.id]


async def test_setup_objects_have_the_official_keys_and_are_told_by_events(
    simulator, cards, customer
):
    folder = ROOT.parent / "shared" / "data" / "stripe" / "fixtures3.json"
    official = json.loads(folder.read_text())["resources"]
    page = await cards.ask(customer=customer, card_id="crd_1", back=BACK, key=f"card:{customer}")
    await press(page.url)
    session = await get(simulator, f"/v1/checkout/sessions/{page.id}")
    intent = await get(simulator, f"/v1/setup_intents/{session['setup_intent']}")
    listed = await get(simulator, "/v1/events", limit=5)
    assert set(session) == set(official["checkout.session"])
    assert set(intent) == set(official["setup_intent"])
    assert (session["payment_status"], session["amount_total"]) == ("no_payment_required", None)
    assert (intent["status"], intent["customer"]) == ("succeeded", customer)
    told = [event["type"] for event in listed["data"]]
    assert told[:3] == [
        "checkout.session.completed", "setup_intent.succeeded", "payment_method.attached",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"mode": "setup"}, "currency"),
        ({"mode": "setup", "currency": "eur", "line_items[0][price]": "price_1"}, "line_items"),
        ({"mode": "setup", "payment_method_types[0]": "card"}, "payment_method_types"),
    ],
)
async def test_a_page_is_refused_as_the_real_one_refuses(simulator, form, param):
    headers = {"authorization": "Bearer sk_test_1"}
    async with httpx.AsyncClient(verify=roots(), base_url=simulator.url, headers=headers) as http:
        sent = form | {"success_url": "http://x/"}
        answer = await http.post("/v1/checkout/sessions", data=sent)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
