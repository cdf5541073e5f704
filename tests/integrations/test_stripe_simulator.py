"""The simulated processor keeps the published rules: shapes, idempotency, Connect, webhooks."""

import asyncio
import json
import time
from pathlib import Path

import httpx
import pytest

from integrations.tls import roots
from tests.integrations.fakes_stripe import ROOT, Simulator, inbox, types


@pytest.fixture(scope="module")
def shared() -> Path:
    folder = ROOT.parent / "shared" / "data" / "stripe" / "fixtures3.json"
    if not folder.is_file():
        pytest.fail(f"the official fixtures are missing: {folder.name}")
    return folder


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    running = Simulator(tmp_path_factory.mktemp("stripe"))
    yield running
    running.stop()


@pytest.fixture
async def api(simulator):
    """`api(method, path, key=…, **form)` → (status, body, headers), without any SDK between."""
    async with httpx.AsyncClient(
        verify=roots(), base_url=simulator.url, headers={"authorization": "Bearer sk_test_1"}
    ) as http:

        async def call(method, path, *, key=None, **form):
            headers = {"idempotency-key": key} if key else {}
            names = {name.replace("__", "[").replace("_END", "]"): v for name, v in form.items()}
            sent = {"params": names} if method == "GET" else {"data": names}
            answer = await http.request(method, path, headers=headers, **sent)
            return answer.status_code, answer.json(), answer.headers

        yield call


async def pay(api, **more):
    form = {"amount": 10_00, "currency": "usd", "payment_method": "pm_card_visa"}
    status, body, _ = await api(
        "POST", "/v1/payment_intents", **(form | {"confirm": "true"} | more)
    )
    assert status == 200, body
    return body


async def account(api) -> str:
    _, body, _ = await api(
        "POST", "/v1/accounts", country="US", capabilities__transfers_END__requested_END="true"
    )
    return body["id"]


async def destination_charge(api, *, amount=100_00, fee=10_00):
    return await pay(
        api,
        amount=amount,
        application_fee_amount=fee,
        transfer_data__destination_END=await account(api),
    )


async def test_every_object_has_the_keys_of_the_official_fixtures(api, shared):
    official = json.loads(shared.read_text())["resources"]
    _, customer, _ = await api("POST", "/v1/customers", name="Ada")
    intent = await destination_charge(api)
    _, refund, _ = await api(
        "POST", "/v1/refunds", payment_intent=intent["id"], amount=5_00,
        refund_application_fee="true", reverse_transfer="true",
    )  # fmt: skip
    _, charge, _ = await api("GET", f"/v1/charges/{intent['latest_charge']}")
    mine = {
        "payment_intent": intent,
        "charge": charge,
        "refund": refund,
        "customer": customer,
        "event": (await api("GET", "/v1/events"))[1]["data"][0],
    }
    for kind, path in {
        "balance_transaction": f"/v1/balance_transactions/{charge['balance_transaction']}",
        "payment_method": f"/v1/payment_methods/{intent['payment_method']}",
        "application_fee": f"/v1/application_fees/{charge['application_fee']}",
        "account": f"/v1/accounts/{intent['transfer_data']['destination']}",
        "transfer": f"/v1/transfers/{charge['transfer']}",
    }.items():
        mine[kind] = (await api("GET", path))[1]
    mine["transfer_reversal"] = mine["transfer"]["reversals"]["data"][0]
    mine["fee_refund"] = mine["application_fee"]["refunds"]["data"][0]
    extra = {"charge": {"transfer"}}  # expandable, and only there on a destination charge
    different = {
        kind: set(body) ^ set(official[kind]) - extra.get(kind, set())
        for kind, body in mine.items()
        if set(body) - extra.get(kind, set()) != set(official[kind])
    }
    assert different == {}


async def test_a_checkout_session_has_the_official_keys_and_is_paid_on_its_page(api, shared):
    official = json.loads(shared.read_text())["resources"]
    form = {
        "mode": "payment", "success_url": "http://127.0.0.1/thanks",
        "line_items[0][quantity]": 2, "line_items[0][price_data][currency]": "eur",
        "line_items[0][price_data][unit_amount]": 950,
        "line_items[0][price_data][product_data][name]": "Lantern",
    }  # fmt: skip
    _, session, _ = await api("POST", "/v1/checkout/sessions", **form)
    assert set(session) == set(official["checkout.session"])
    assert session["amount_total"] == 19_00
    async with httpx.AsyncClient(verify=roots()) as browser:
        paid = await browser.post(session["url"], data={"payment_method": "pm_card_visa"})
    assert (paid.status_code, paid.headers["location"]) == (303, "http://127.0.0.1/thanks")
    _, after, _ = await api("GET", f"/v1/checkout/sessions/{session['id']}")
    assert (after["status"], after["payment_status"]) == ("complete", "paid")


async def test_the_parameter_that_endive_took_away_is_refused(api):
    form = {"amount": 1000, "currency": "usd", "payment_method_types[0]": "card"}
    status, body, _ = await api("POST", "/v1/payment_intents", **form)
    assert (status, body["error"]["code"]) == (400, "payment_method_types_no_longer_supported")


async def test_a_key_replays_its_first_answer_and_says_so(api):
    first = await api("POST", "/v1/customers", key="k-replay", name="Ada")
    again = await api("POST", "/v1/customers", key="k-replay", name="Ada")
    assert again[1] == first[1]
    assert again[2]["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first[2]


async def test_a_key_with_other_parameters_or_another_address_is_an_idempotency_error(api):
    await api("POST", "/v1/customers", key="k-other", name="Ada")
    for path, form in (("/v1/customers", {"name": "Bo"}), ("/v1/accounts", {"name": "Ada"})):
        status, body, _ = await api("POST", path, key="k-other", **form)
        assert (status, body["error"]["type"]) == (400, "idempotency_error")


async def test_a_stored_500_is_replayed_for_ever_and_refused_parameters_are_not(api, simulator):
    simulator.fault("error_after", "/v1/customers")
    form = {"key": "k-500", "email": "once@example.com"}
    answers = [await api("POST", "/v1/customers", **form) for _ in range(3)]
    assert [a[0] for a in answers] == [500, 500, 500]
    _, listed, _ = await api("GET", "/v1/customers", email="once@example.com")
    assert len(listed["data"]) == 1
    bad = await api("POST", "/v1/customers", key="k-400", colour="red")
    good = await api("POST", "/v1/customers", key="k-400", name="Ada")
    assert (bad[0], bad[1]["error"]["code"], good[0]) == (400, "parameter_unknown", 200)


async def test_a_key_in_use_answers_409(api, simulator):
    simulator.fault("delay", "/v1/customers", delay_s=0.5)
    answers = await asyncio.gather(
        *(api("POST", "/v1/customers", key="k-busy", name="Ada") for _ in range(4))
    )
    assert sorted(a[0] for a in answers) == [200, 409, 409, 409]


async def test_destination_charges_leave_fee_and_processing_to_the_platform(api):
    intent = await destination_charge(api, amount=100_00, fee=10_00)
    _, charge, _ = await api("GET", f"/v1/charges/{intent['latest_charge']}")
    _, fee, _ = await api("GET", f"/v1/application_fees/{charge['application_fee']}")
    _, transfer, _ = await api("GET", f"/v1/transfers/{charge['transfer']}")
    _, entry, _ = await api("GET", f"/v1/balance_transactions/{charge['balance_transaction']}")
    assert (fee["amount"], transfer["amount"]) == (10_00, 100_00)
    assert (entry["amount"], entry["fee"], entry["net"]) == (100_00, 3_20, 96_80)


async def test_a_fee_needs_a_destination_and_fits_the_amount(api):
    destination = await account(api)
    cases = (
        {"application_fee_amount": 1_00},
        {"application_fee_amount": 10_01, "transfer_data[destination]": destination},
        {"transfer_data[destination]": "acct_nobody"},
    )
    for case in cases:
        form = {"amount": 10_00, "currency": "usd"} | case
        status, _, _ = await api("POST", "/v1/payment_intents", **form)
        assert status == 400


@pytest.mark.parametrize(
    ("currency", "amount", "status"),
    [
        ("isk", 50000, 200),
        ("isk", 50050, 400),
        ("ugx", 100000, 200),
        ("ugx", 100001, 400),
        ("kwd", 1000, 200),
        ("kwd", 1001, 400),
        ("jpy", 51, 200),
        ("usd", 49, 400),
        ("usd", 100_000_000, 400),
        ("xxy", 1000, 400),
    ],
)
async def test_amounts_follow_the_currencys_rules(api, currency, amount, status):
    answer = await api("POST", "/v1/payment_intents", amount=amount, currency=currency)
    assert answer[0] == status, answer[1]


async def test_a_partial_capture_gives_the_rest_of_the_block_back(api):
    intent = await pay(api, amount=10_00, capture_method="manual")
    _, body, _ = await api(
        "POST", f"/v1/payment_intents/{intent['id']}/capture", amount_to_capture=6_00
    )
    _, charge, _ = await api("GET", f"/v1/charges/{body['latest_charge']}")
    assert (body["amount_received"], charge["amount_refunded"]) == (6_00, 4_00)
    status, again, _ = await api("POST", f"/v1/payment_intents/{intent['id']}/capture")
    assert (status, again["error"]["code"]) == (400, "payment_intent_unexpected_state")
    status, over, _ = await api("POST", "/v1/refunds", payment_intent=intent["id"], amount=6_01)
    assert (status, over["error"]["param"]) == (400, "amount")


async def test_a_block_that_runs_out_is_canceled_by_itself(api, simulator):
    intent = await pay(api, capture_method="manual")
    gone = simulator.post(f"/_sim/payment_intents/{intent['id']}/expire")
    assert (gone["status"], gone["cancellation_reason"]) == ("canceled", "automatic")


async def test_a_declined_intent_keeps_its_failed_charge_and_takes_another_card(api):
    form = {"amount": 10_00, "currency": "usd", "payment_method": "pm_card_chargeDeclined"}
    status, body, _ = await api("POST", "/v1/payment_intents", confirm="true", **form)
    error = body["error"]
    assert (status, error["code"], error["decline_code"]) == (
        402,
        "card_declined",
        "generic_decline",
    )
    intent = error["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    _, charge, _ = await api("GET", f"/v1/charges/{intent['latest_charge']}")
    assert (charge["status"], charge["paid"]) == ("failed", False)
    status, body, _ = await api(
        "POST", f"/v1/payment_intents/{intent['id']}/confirm", payment_method="pm_card_visa"
    )
    assert (status, body["status"]) == (200, "succeeded")


async def test_a_saved_card_belongs_to_its_customer_and_a_loose_one_is_used_once(api):
    _, owner, _ = await api("POST", "/v1/customers", name="Ada")
    _, card, _ = await api("POST", "/v1/payment_methods/pm_card_visa/attach", customer=owner["id"])
    again = {"payment_method": card["id"], "customer": owner["id"]}
    assert (await pay(api, **again))["status"] == "succeeded"
    assert (await pay(api, **again))["status"] == "succeeded"
    status, _, _ = await api(
        "POST", "/v1/payment_intents", amount=100, currency="usd", payment_method=card["id"]
    )
    assert status == 400
    _, loose, _ = await api("GET", "/v1/payment_methods/pm_card_visa")
    await pay(api, payment_method=loose["id"])
    status, body, _ = await api(
        "POST", "/v1/payment_intents", amount=100, currency="usd", payment_method=loose["id"]
    )
    assert (status, "may not be used again" in body["error"]["message"]) == (400, True)


async def test_the_search_is_late_and_the_list_is_not(api):
    intent = await pay(api, metadata__purchase_id_END="chk_late")
    query = "metadata['purchase_id']:'chk_late'"
    _, searched, _ = await api("GET", "/v1/payment_intents/search", query=query)
    _, listed, _ = await api("GET", "/v1/payment_intents", limit=1)
    assert searched["data"] == []
    assert listed["data"][0]["id"] == intent["id"]


async def test_lists_page_backwards_in_time_without_gaps(api):
    made = [(await pay(api))["id"] for _ in range(5)]
    _, first, _ = await api("GET", "/v1/payment_intents", limit=3)
    _, second, _ = await api(
        "GET", "/v1/payment_intents", limit=2, starting_after=first["data"][-1]["id"]
    )
    seen = [p["id"] for p in first["data"] + second["data"]]
    assert seen == made[::-1]
    assert first["has_more"] is True


async def test_what_is_not_simulated_is_refused_not_invented(api):
    status, body, _ = await api("POST", "/v1/subscriptions", customer="cus_1")
    assert (status, "not simulated" in body["error"]["message"]) == (404, True)
    status, _, _ = await api("POST", "/v1/checkout/sessions", mode="subscription")
    assert status == 400


async def test_without_a_secret_key_nothing_is_answered(simulator):
    async with httpx.AsyncClient(verify=roots(), base_url=simulator.url) as http:
        assert (await http.get("/v1/balance")).status_code == 401


async def test_webhooks_come_again_until_taken_and_may_come_twice_and_backwards(tmp_path):
    with inbox(500) as (deaf, refused), inbox() as (url, received):
        simulator = Simulator(tmp_path, "--webhook-url", deaf, "--webhook-secret", "whsec_1")
        await _charge(simulator)
        await _until(lambda: len(refused) >= 2)
        simulator.post("/_sim/webhooks", url=url, copies=2, reversed=True, delay_s=0.3)
        await _until(lambda: "payment_intent.succeeded" in types(received))
        second = (await _charge(simulator)).encode()
        own = lambda: types([one for one in received if second in one[0]])  # noqa: E731
        await _until(lambda: own().count("payment_intent.created") == 2)
        simulator.stop()
    later = own()
    assert later.count("payment_intent.succeeded") == 2
    assert later.index("payment_intent.succeeded") < later.index("payment_intent.created")


async def test_events_that_nobody_took_survive_a_kill(tmp_path):
    with inbox() as (url, received):
        simulator = Simulator(
            tmp_path, "--webhook-url", "http://127.0.0.1:9/", "--webhook-secret", "whsec_1"
        )
        await _charge(simulator)
        simulator.kill()
        simulator = Simulator(tmp_path, "--webhook-url", url, "--webhook-secret", "whsec_1")
        await _until(lambda: "payment_intent.succeeded" in types(received))
        simulator.stop()
    assert len({json.loads(body)["id"] for body, _ in received}) >= 3


async def test_the_simulator_ends_with_its_parents_pipe(tmp_path):
    simulator = Simulator(tmp_path)
    simulator.process.stdin.close()
    assert await asyncio.to_thread(simulator.process.wait, 10) == 0
    simulator.process.stdout.close()


async def _charge(simulator: Simulator) -> str:
    async with httpx.AsyncClient(
        verify=roots(), headers={"authorization": "Bearer sk_test_1"}
    ) as http:
        form = {"amount": "1000", "currency": "usd", "payment_method": "pm_card_visa"}
        answer = await http.post(
            f"{simulator.url}/v1/payment_intents", data=form | {"confirm": "true"}
        )
        assert answer.status_code == 200
        charged: str = answer.json()["id"]
        return charged


async def _until(done, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
