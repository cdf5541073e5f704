"""Guests: a cookie that we signed, limits against abuse, and a history that comes along."""

import secrets
from typing import Any

import httpx
import pytest

from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.journeys.runs import accept, run, said
from tests.journeys.test_purchase import checkout, confirm, stripe

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
async def fresh_limits(product: Product) -> None:
    await product.app.state.limiter.storage.reset()


def browser(product: Product) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False, timeout=30)


async def person(product: Product) -> dict[str, Any]:
    body = {
        "name": "Kim",
        "email": f"{secrets.token_hex(6)}@example.com",
        "password": PASSWORD,
        "plan": "plus",
    }
    async with product.client("operator") as http:
        made = await http.post("/operator/v1/users", json=body)
    return {**made.json(), "login": {"email": body["email"], "password": PASSWORD}}


ADA = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"}
HOME = {
    "name": "Ada Lovelace",
    "line_one": "Lindenweg 3",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}
TABLE = "Book a table for two tomorrow at 7pm at an Italian place in Berlin"


async def threads(http: httpx.AsyncClient) -> list[str]:
    return [row["id"] for row in (await http.get("/api/threads")).json()["data"]]


@pytest.mark.parametrize("way", ["password", "key"])
async def test_what_a_guest_said_and_began_to_buy_comes_along(product: Product, way: str):
    known = await person(product)
    login = known["login"] if way == "password" else {"key": known["key"]}
    async with browser(product) as http:
        await http.post("/api/session", json={})
        was = (await http.get("/api/me")).json()["id"]
        assert said(await run(http, "mine", text="Good morning!"))
        begun = await checkout(http)
        assert (await http.post("/api/session", json=login)).json()["user_id"] == known["id"]
        (thread,) = await threads(http)
        turns = (await http.get(f"/api/threads/{thread}")).json()["turns"]
        assert [turn["text"] for turn in turns] == ["Good morning!"]
        assert (await http.get(f"/api/checkouts/{begun['id']}")).status_code == 200
        assert said(await run(http, "mine", text="And again"))
        assert await threads(http) == [thread]
    async with product.client("operator") as http:
        gone = await http.post("/operator/v1/keys", json={"role": "user", "user_id": was})
        assert gone.status_code == 404


async def test_the_accounts_own_thread_keeps_its_name_when_both_used_it(product: Product):
    known = await person(product)
    async with product.client(known["key"]) as http:
        await run(http, "same", text="I was here first")
    async with browser(product) as http:
        await http.post("/api/session", json={})
        await run(http, "same", text="Hello from a guest")
        await http.post("/api/session", json=known["login"])
        assert len(await threads(http)) == 2
        await run(http, "same", text="Which one is this?")
        (named,) = [
            t
            for t in await threads(http)
            if len((await http.get(f"/api/threads/{t}")).json()["turns"]) == 2
        ]
        first = (await http.get(f"/api/threads/{named}")).json()["turns"][0]
    assert first["text"] == "I was here first"


async def test_the_guests_old_cookie_opens_nothing_any_more(product: Product):
    known = await person(product)
    async with browser(product) as http, browser(product) as other:
        await http.post("/api/session", json={})
        other.cookies.update(http.cookies)
        await http.post("/api/session", json=known["login"])
        assert (await http.get("/api/me")).json()["id"] == known["id"]
        assert (await other.get("/api/me")).status_code == 401


@pytest.mark.parametrize("wrong", [{"password": "wrong horse battery"}, {"origin": "evil"}])
async def test_nothing_moves_on_a_wrong_password_or_for_another_origins_page(
    product: Product, wrong: dict[str, str]
):
    known = await person(product)
    evil = {"origin": "https://evil.example"} if "origin" in wrong else {}
    login = known["login"] | ({"password": wrong["password"]} if "password" in wrong else {})
    async with browser(product) as http:
        await http.post("/api/session", json={})
        await run(http, "mine", text="Good morning!")
        async with browser(product) as other:
            other.cookies.update(http.cookies)
            await other.post("/api/session", json=login, headers=evil)
        assert len(await threads(http)) == 1
    async with product.client(known["key"]) as http:
        assert await threads(http) == []


async def test_one_person_who_signs_in_as_another_brings_nothing_along(product: Product):
    one, two = await person(product), await person(product)
    async with browser(product) as http:
        await http.post("/api/session", json=one["login"])
        await run(http, "mine", text="Good morning!")
        await http.post("/api/session", json=two["login"])
        assert await threads(http) == []


async def test_a_guest_gets_an_account_in_place(product: Product):
    address = f"{secrets.token_hex(6)}@Example.com"
    account = {"email": address, "password": PASSWORD, "name": "Lin"}
    async with browser(product) as http:
        await http.post("/api/session", json={})
        await run(http, "mine", text="Good morning!")
        made = await http.post("/api/account", json=account)
        assert made.status_code == 201, made.text
        me = (await http.get("/api/me")).json()
        assert (me["guest"], me["name"], me["email"]) == (False, "Lin", address.lower())
        assert len(await threads(http)) == 1
        assert (await http.post("/api/account", json=account)).json()["code"] == "not_a_guest"
    async with browser(product) as http:
        await http.post("/api/session", json={})
        taken = await http.post("/api/account", json=account)
        assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")
        login = {"email": address, "password": PASSWORD}
        assert (await http.post("/api/session", json=login)).status_code == 201
        assert len(await threads(http)) == 1


@pytest.mark.parametrize("cookie", ["", "forged", "forged.00", None])
async def test_only_a_cookie_that_we_signed_counts(product: Product, cookie: str | None):
    async with browser(product) as http:
        await http.post("/api/session", json={})
        value = http.cookies["emptor_session"]
        changed = ("A" if value[0] != "A" else "B") + value[1:] if cookie is None else cookie
        forged = {"cookie": f"emptor_session={changed}"}
        async with browser(product) as other:
            assert (await other.get("/api/me", headers=forged)).status_code == 401
        assert (await http.get("/api/me")).status_code == 200


async def test_an_address_makes_few_guests_a_minute(product: Product):
    async with browser(product) as http:
        made = [(await http.post("/api/session", json={})) for _ in range(11)]
    assert [answer.status_code for answer in made] == [201] * 10 + [429]
    assert int(made[-1].headers["retry-after"]) > 0


async def test_new_guests_do_not_reset_their_addresss_turns(product: Product):
    answers = []
    for _ in range(7):
        async with browser(product) as http:
            await http.post("/api/session", json={})
            thread = (await http.post("/api/threads", json={})).json()["id"]
            for _ in range(9):
                answer = await http.post(
                    f"/api/threads/{thread}/turns",
                    json={"text": "Good morning!"},
                    headers={"accept": "application/json"},
                )
                answers.append(answer.status_code)
    assert answers == [200] * 60 + [429] * 3
    async with product.client() as http:  # people with an account are not held to it
        assert (await http.post("/api/threads", json={})).status_code == 201


async def test_a_guest_has_the_smallest_plans_allowance(product: Product):
    async with browser(product) as http:
        await http.post("/api/session", json={})
        quota = (await http.get("/api/quota")).json()
    assert quota["plan"] == "free"


@pytest.mark.parametrize(
    "wish", [TABLE, "Book a hotel room in Paris tomorrow for two people for two nights"]
)
async def test_a_guest_who_books_is_asked_for_a_name_gives_it_and_pays(product: Product, wish: str):
    async with browser(product) as http:
        await http.post("/api/session", json={})
        events = await run(http, "mine", text=wish)
        assert events[-1]["outcome"] == {"type": "success"}  # nothing to agree to yet
        deltas = [op for e in events if e["type"] == "STATE_DELTA" for op in e["delta"]]
        (part,) = next(op["value"] for op in deltas if op["path"] == "/cart")
        assert part["missing"] == ["buyer"]
        assert f"your contact details. Please add it here: {part['url']}" in said(events)
        at = f"/api/checkouts/{part['checkout_id']}"
        shown = (await http.get(at)).json()
        assert (shown["state"], shown["confirmation_hash"]) == ("quoted", None)
        assert shown["messages"][0]["path"] == "$.buyer.email"
        early = await confirm(http, shown, confirmation_hash="0" * 64)
        assert (early.status_code, early.json()["code"]) == (409, "not_confirmable")
        whole = (await http.put(at, json={"buyer": ADA})).json()
        assert (whole["state"], whole["messages"]) == ("awaiting_confirmation", [])
        assert whole["hold"]["expires_at"]
        paid = await confirm(http, whole)
        assert (paid.status_code, paid.json()["state"]) == (200, "completed")
    assert [one["status"] for one in await stripe(product, whole["id"])] == ["succeeded"]


async def test_a_shop_that_asks_only_at_the_end_whose_order_it_is_gets_an_answer(product: Product):
    async with browser(product) as http:
        await http.post("/api/session", json={})
        at = f"/api/checkouts/{(await checkout(http))['id']}"
        shown = (await http.put(at, json={"address": HOME})).json()
        assert shown["state"] == "awaiting_confirmation"
        late = await confirm(http, shown)
        assert (late.status_code, late.json()["code"]) == (409, "not_confirmable")
        lacking = late.json()["checkout"]
        assert (lacking["state"], lacking["confirmation_hash"]) == ("quoted", None)
        assert lacking["messages"][0]["text"] == "Whose order is it?"
        assert [one["status"] for one in await stripe(product, shown["id"])] == ["canceled"]
        whole = (await http.put(at, json={"buyer": ADA})).json()
        paid = await confirm(http, whole)
        assert (paid.status_code, paid.json()["state"]) == (200, "completed")
    statuses = sorted(one["status"] for one in await stripe(product, shown["id"]))
    assert statuses == ["canceled", "succeeded"]


async def test_an_agui_resume_says_where_to_answer_what_a_merchant_asks_at_the_end(
    product: Product,
):
    async with browser(product) as http:
        await http.post("/api/session", json={})
        events = await run(http, "mine", text="Buy me a two-person tent")
        deltas = [op for e in events if e["type"] == "STATE_DELTA" for op in e["delta"]]
        (part,) = next(op["value"] for op in deltas if op["path"] == "/cart")
        at = f"/api/checkouts/{part['checkout_id']}"
        shown = (await http.put(at, json={"address": HOME})).json()
        interrupt = {
            "id": f"int_{shown['id']}_{shown['confirmation_hash'][:12]}",
            "metadata": {"confirmation_hash": shown["confirmation_hash"]},
        }
        paying = {"type": "card", "token": "pm_card_visa"}
        ended = await run(http, "mine", resume=accept(interrupt, payment_method=paying))
        assert f"your contact details. Please add it here: {part['url']}" in said(ended)
        (how,) = ended[-1]["result"]["outcomes"]
        assert (how["state"], how["code"]) == ("quoted", "not_confirmable")
