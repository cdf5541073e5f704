"""Saved cards over HTTP: the processor's page, the events, paying, and letting go."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.subscribing import pay, rows, subscribe
from tests.servers import eventually

SECRET = "whsec_journeys"
BOOK = "The Cartographer of Small Islands"
ASKS = "pm_card_authenticationRequired"
BUYER = {"first_name": "Kim", "last_name": "Lee", "email": "kim@example.com"}
ADDRESS = {
    "name": "Kim Lee", "line_one": "Hauptstr. 1", "city": "Berlin", "postal_code": "10115",
    "country": "DE",
}  # fmt: skip


async def hook(product: Product, url: str | None) -> None:
    given = {"url": url, "secret": SECRET}
    async with httpx.AsyncClient(verify=roots(), timeout=30) as http:
        (await http.post(f"{product.world.stripe}/_sim/webhooks", json=given)).raise_for_status()


@pytest.fixture
async def hooked(product: Product) -> AsyncIterator[None]:
    """The processor's events reach the product for the length of a test."""
    await hook(product, f"{product.url}/webhooks/stripe")
    yield
    await hook(product, None)


async def person(product: Product) -> httpx.AsyncClient:
    named = {"name": "Kim", "email": f"{secrets.token_hex(4)}@example.com"}
    async with product.client("operator") as http:
        made = (await http.post("/operator/v1/users", json=named)).json()
    return product.client(made["key"])


@pytest.fixture
async def kim(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    """A person with an account of their own and nothing on file."""
    async with await person(product) as http:
        yield http


async def asked(http: httpx.AsyncClient, key: str | None = None) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await http.post("/api/payment-methods", headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def saved(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    listed = (await http.get("/api/payment-methods")).json()["data"]
    return [one for one in listed if one["type"] == "saved"]


async def added(http: httpx.AsyncClient, card: str = "pm_card_visa") -> str:
    page = await asked(http)
    assert (await pay(page["url"], card)).status_code == 303
    [mine] = [one for one in await saved(http) if one["id"] == page["id"]]
    return str(mine["id"])


async def on_file(http: httpx.AsyncClient) -> list[str]:
    """What the page is told, without the processor being asked."""
    me = (await http.get("/api/me")).json()
    return [one["label"] for one in me["payment_methods"] if one["type"] == "saved"]


async def buy(http: httpx.AsyncClient, method: dict[str, str]) -> httpx.Response:
    found = (await http.get("/api/search", params={"q": BOOK})).json()["data"]
    offer = next(one for one in found if one["title"] == BOOK)
    line = {"offer_id": offer["offer_id"], "quantity": 1}
    made = (await http.post("/api/checkouts", json={"lines": [line]})).json()
    who = {"buyer": BUYER, "address": ADDRESS}
    shown = (await http.put(f"/api/checkouts/{made['id']}", json=who)).json()
    assert shown["state"] == "awaiting_confirmation", shown
    return await http.post(
        f"/api/checkouts/{shown['id']}/confirm",
        json={"confirmation_hash": shown["confirmation_hash"], "payment_method": method},
        headers={"Idempotency-Key": secrets.token_hex(8)},
    )


async def intents(product: Product, customer: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(verify=roots(), timeout=30) as http:
        found = (await http.get(f"{product.world.stripe}/_sim/payment_intents")).json()["data"]
    return [one for one in found if one["customer"] == customer]


async def kept(product: Product, customer: str) -> list[str]:
    headers = {"authorization": "Bearer sk_test_journeys"}
    async with httpx.AsyncClient(verify=roots(), headers=headers, timeout=30) as http:
        url = f"{product.world.stripe}/v1/customers/{customer}/payment_methods"
        return [one["id"] for one in (await http.get(url)).json()["data"]]


async def card_rows(product: Product, http: httpx.AsyncClient) -> list[tuple[Any, ...]]:
    me = (await http.get("/api/me")).json()["id"]
    query = "SELECT customer_id, method_id, state FROM saved_card WHERE user_id = :u"
    return await rows(product, query, u=me)


async def test_a_card_typed_in_at_the_processor_is_listed_and_pays(
    product: Product, kim: httpx.AsyncClient
):
    page = await asked(kim)
    assert await saved(kim) == []
    back = await pay(page["url"], "pm_card_mastercard")
    assert back.headers["location"] == f"{product.url}/card?card=added"
    [card] = await saved(kim)
    assert card["id"] == page["id"]
    assert (card["label"], card["brand"], card["last4"]) == (
        "Mastercard •••• 4444", "mastercard", "4444",
    )  # fmt: skip
    done = await buy(kim, {"type": "saved", "id": card["id"]})
    assert (done.status_code, done.json()["state"]) == (200, "completed"), done.text
    [(customer, method, state)] = await card_rows(product, kim)
    assert state == "saved"
    [paid] = await intents(product, customer)
    assert (paid["status"], paid["payment_method"]) == ("succeeded", method)


async def test_the_event_alone_makes_the_card_known(
    product: Product, kim: httpx.AsyncClient, hooked: None
):
    await pay((await asked(kim))["url"])
    await eventually(lambda: on_file(kim), ["Visa •••• 4242"], within_s=60)
    [(_, method, _)] = await card_rows(product, kim)
    headers = {"authorization": "Bearer sk_test_journeys"}
    async with httpx.AsyncClient(verify=roots(), headers=headers, timeout=30) as http:
        gone = await http.post(f"{product.world.stripe}/v1/payment_methods/{method}/detach")
        assert gone.status_code == 200
    await eventually(lambda: on_file(kim), [], within_s=60)


async def test_a_person_is_one_customer_for_plans_and_cards(
    product: Product, kim: httpx.AsyncClient, hooked: None
):
    await added(kim)
    await subscribe(kim)
    me = (await kim.get("/api/me")).json()["id"]
    [(customer,)] = await rows(
        product, "SELECT customer_id FROM subscriber WHERE user_id = :u", u=me
    )
    assert [row[0] for row in await card_rows(product, kim)] == [customer]
    # The card that pays the plan was given for the plan alone.
    assert len(await saved(kim)) == 1


async def test_the_same_request_is_one_page_and_another_is_another(kim: httpx.AsyncClient):
    first, again, other = await asked(kim, "k1"), await asked(kim, "k1"), await asked(kim, "k2")
    assert first == again
    assert other["url"] != first["url"]


async def test_a_page_that_was_left_saves_nothing(kim: httpx.AsyncClient):
    page = await asked(kim)
    assert (await pay(page["url"], "pm_card_chargeDeclined")).status_code == 402
    assert await saved(kim) == []
    answer = await buy(kim, {"type": "saved", "id": page["id"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_method")


async def test_nobody_elses_card_pays_or_is_let_go(product: Product, kim: httpx.AsyncClient):
    card = await added(kim)
    async with await person(product) as eve:
        answer = await buy(eve, {"type": "saved", "id": card})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_method")
        assert (await eve.delete(f"/api/payment-methods/{card}")).status_code == 404
        assert await saved(eve) == []
    assert len(await saved(kim)) == 1


async def test_the_bank_may_ask_about_a_saved_card(product: Product, kim: httpx.AsyncClient):
    card = await added(kim, ASKS)
    waiting = await buy(kim, {"type": "saved", "id": card})
    assert (waiting.status_code, waiting.json()["code"]) == (402, "authentication_required")
    url = waiting.json()["next_action"]["redirect_to_url"]["url"]
    assert (await pay(url, "success", name="outcome")).status_code == 303
    [(customer, _, _)] = await card_rows(product, kim)

    async def state() -> list[str]:
        return [one["status"] for one in await intents(product, customer)]

    await eventually(state, ["succeeded"], within_s=60)


async def test_a_card_that_was_removed_is_let_go_and_pays_nothing(
    product: Product, kim: httpx.AsyncClient
):
    card = await added(kim)
    [(customer, method, _)] = await card_rows(product, kim)
    assert await kept(product, customer) == [method]
    assert (await kim.delete(f"/api/payment-methods/{card}")).status_code == 204
    assert await kept(product, customer) == []
    assert await saved(kim) == []
    answer = await buy(kim, {"type": "saved", "id": card})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_method")
    assert (await kim.delete(f"/api/payment-methods/{card}")).status_code == 404


async def test_erasing_a_person_lets_their_cards_go_and_closes_their_pages(
    product: Product, kim: httpx.AsyncClient
):
    await added(kim)
    left_open = await asked(kim)
    [customer] = {row[0] for row in await card_rows(product, kim)}
    me = (await kim.get("/api/me")).json()["id"]
    assert (await kim.get("/api/export")).json()["payment_methods"][0]["last4"] == "4242"
    assert (await kim.delete("/api/me")).status_code == 204
    traces = "SELECT count(*) FROM saved_card WHERE user_id = :u AND (last4 <> '' OR brand <> '')"
    assert await rows(product, traces, u=me) == [(0,)]
    await eventually(lambda: kept(product, customer), [], within_s=60)
    gone = "SELECT count(*) FROM saved_card WHERE user_id = :u"
    await eventually(lambda: rows(product, gone, u=me), [(0,)], within_s=60)
    async with httpx.AsyncClient(verify=roots()) as browser:
        assert (await browser.get(left_open["url"])).status_code == 410


async def test_a_guests_card_comes_along_to_their_account(product: Product):
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, timeout=30) as guest:
        await guest.post("/api/session", json={}, headers={"Origin": product.url})
        headers = {"Origin": product.url}
        page = (await guest.post("/api/payment-methods", headers=headers)).json()
        await pay(page["url"])
        async with await person(product) as account:
            key = account.headers["authorization"].removeprefix("Bearer ")
            await guest.post("/api/session", json={"key": key}, headers=headers)
            [card] = await saved(account)
            assert card["id"] == page["id"]
            done = await buy(account, {"type": "saved", "id": card["id"]})
            assert done.status_code == 200, done.text


async def test_the_demo_persons_card_on_file_still_pays(product: Product):
    async with product.client("plus") as robin:
        assert "Saved card" in await on_file(robin)
        done = await buy(robin, {"type": "saved", "id": "default"})
        assert done.status_code == 200, done.text
