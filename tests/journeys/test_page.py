"""A person buys and books on the page, against the whole product in a real browser."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from quotas.plans import Plans
from tests.journeys.conftest import Product
from tests.web.journey import ask, confirm, enter, give_details, sheet

pytestmark = pytest.mark.browser


async def test_a_person_chats_and_sees_who_answered(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    turn = await ask(page, "Good morning!")
    await expect(turn).to_contain_text("I am gpt-5-mini and I heard you.")


async def test_the_page_says_where_a_person_lives_and_overrules_nobody(
    browser: Browser, product: Product
):
    """An allowance by the day counts the person's own days."""
    for before in (None, "Europe/Berlin"):
        context = await browser.new_context(timezone_id="Asia/Tokyo", locale="en-GB")
        async with product.client("operator") as http:
            zone = {"timezone": before} if before else {}
            made = (await http.post("/operator/v1/users", json={"name": "Kim", **zone})).json()
        await enter(await context.new_page(), product.url, made["key"])
        async with product.client(made["key"]) as http:
            me = (await http.get("/api/me")).json()
        assert me["timezone"] == me["preferences"]["timezone"] == (before or "Asia/Tokyo")
        await context.close()


async def test_an_operators_key_opens_the_operators_page_and_not_the_chat(
    page: Page, product: Product
):
    await page.goto(product.url)
    await page.get_by_text("Sign in with a key").click()
    await page.get_by_label("Your key").fill(product.keys["operator"])
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.get_by_role("link", name="Go to the operator's page").click()
    await expect(page.get_by_role("button", name="Revenue")).to_be_visible()


async def test_a_person_buys_a_tent_and_the_receipt_names_the_order(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, "Buy me a two-person tent")
    opened = await sheet(page)
    await expect(opened).to_contain_text("Fernweh Outdoor & Home")
    await confirm(page, opened)
    await expect(page.get_by_text("ord_").first).to_be_visible()
    async with product.client() as http:
        newest = (await http.get("/api/orders")).json()["data"][0]
    await expect(page.get_by_text(newest["id"]).first).to_be_visible()


async def test_a_person_cancels_by_chat_for_the_terms_that_the_merchant_gave(
    page: Page, product: Product
):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, "Book a table for two tomorrow at 7pm at an Italian place")
    await confirm(page, await sheet(page))
    async with product.client() as http:
        newest = (await http.get("/api/orders")).json()["data"][0]
    answered = await ask(page, f"cancel my booking {newest['id']}")
    await expect(answered.locator(".prose")).to_contain_text("gives you back")
    receipt = answered.locator("section.receipt")
    await receipt.get_by_role("button", name="Cancel this order").click()
    await expect(receipt).to_contain_text("You would get back")
    await receipt.get_by_role("button", name="Cancel it and get").click()
    await expect(receipt.locator(".state")).to_have_text(re.compile("Canceled|Refunded"))
    await expect(receipt.get_by_role("button", name="Cancel this order")).to_have_count(0)


async def test_a_person_books_a_table_in_chinese(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, "订一张明天晚上七点的两人桌")
    opened = await sheet(page)
    await confirm(page, opened)
    await expect(page.get_by_text("ord_").first).to_be_visible()
    async with product.client() as http:
        newest = (await http.get("/api/orders")).json()["data"][0]
    assert newest["merchant"]["id"] == "mer_demo_tables"


async def test_the_pictures_on_the_cards_are_really_there(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, "Show me two-person tents")
    picture = page.locator("article.turn img").first
    await expect(picture).to_be_visible()
    await picture.scroll_into_view_if_needed()
    await expect(picture).to_have_js_property("complete", value=True)
    assert await picture.evaluate("image => image.naturalWidth") > 0


async def test_a_guest_makes_an_account_and_keeps_what_was_said(page: Page, product: Product):
    await enter(page, product.url)
    await ask(page, "Good morning!")
    await page.get_by_role("button", name="Create an account or sign in").click()
    address = f"{secrets.token_hex(6)}@example.com"
    form = page.locator("details[open]")
    await form.get_by_label("E-mail").fill(address)
    await form.get_by_label("Password").fill("correct horse battery")
    await form.get_by_role("button", name="Create an account").click()
    await expect(page.locator(".account-name")).to_have_text(address)
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_text("Sign in with e-mail").click()
    await page.get_by_label("E-mail").fill(address)
    await page.get_by_label("Password").fill("not this one")
    await page.get_by_role("button", name="Sign in with this account").click()
    await expect(page.get_by_role("alert")).to_contain_text("do not fit together")
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("button", name="Sign in with this account").click()
    await expect(page.get_by_role("button", name="Good morning!")).to_be_visible()


@pytest.fixture
def one_turn(product: Product) -> Iterator[Product]:
    """The product with a Free plan of one turn and nothing below it."""
    chat = product.app.state.chat
    wide: dict[str, Any] = {"role": "light", "policy": "session", "window": 3_600}
    roles = ("reasoning", "agent")
    free = [
        wide | {"name": "light", "cap": 1},
        *(wide | {"name": r, "role": r, "cap": 1} for r in roles),
    ]
    price = {"amount": 0, "currency": "USD"}
    table = {
        "free": {"title": "Free", "floor": "light", "price": price, "bucket": free},
        "plus": {
            "title": "Plus",
            "floor": "light",
            "price": {"amount": 2_000, "currency": "USD"},
            "bucket": [b | {"cap": 100} for b in free],
        },
    }
    product.app.state.chat = replace(chat, plans=Plans.parse({"plan": table}))
    yield product
    product.app.state.chat = chat


async def test_who_has_used_up_everything_is_shown_the_ways_out(page: Page, one_turn: Product):
    await enter(page, one_turn.url)
    await ask(page, "Good morning!")
    refused = await ask(page, "Good evening!")
    ways = refused.locator(".exits")
    await expect(refused.get_by_role("alert").first).to_contain_text("used up")
    await expect(ways).to_contain_text("Wait until")
    await ways.get_by_role("button", name="Create an account").click()
    form = page.locator("details[open]")
    await form.get_by_label("E-mail").fill(f"{secrets.token_hex(6)}@example.com")
    await form.get_by_label("Password").fill("correct horse battery")
    await form.get_by_role("button", name="Create an account").click()
    await expect(page.locator("article.turn")).to_have_count(1)  # what was answered
    refused = await ask(page, "And again!")
    await expect(refused.get_by_role("button", name="Upgrade to Plus")).to_be_visible()
    pack = refused.locator(".exits").get_by_role("button", name="$").first
    await pack.click()
    await expect(page).not_to_have_url(re.compile("^" + one_turn.url))


async def test_style_and_model_are_chosen_on_the_page_and_kept(page: Page, product: Product):
    await enter(page, product.url)
    await page.get_by_text("How it answers").click()
    for label, choice in (("Style", "neutral"), ("Model", "gpt-5-nano")):
        async with page.expect_response("**/api/me/preferences"):
            await page.get_by_label(label).select_option(choice)
    await ask(page, "Good morning!")
    assert product.model.asked[-1]["model"] == "gpt-5-nano"
    await page.reload()
    await page.get_by_text("How it answers").click()
    await expect(page.get_by_label("Style")).to_have_value("neutral")
    await expect(page.get_by_label("Model")).to_have_value("gpt-5-nano")


async def test_a_guest_gives_a_name_for_a_table_and_pays(page: Page, product: Product):
    await enter(page, product.url)
    turn = await ask(page, "Book a table for two tomorrow at 7pm at an Italian place")
    await expect(turn.locator(".prose")).to_contain_text("I still need your contact details")
    opened = await sheet(page)
    await expect(opened.get_by_role("group", name="Who is it for?")).to_be_visible()
    await expect(opened.get_by_label("Street and number")).to_have_count(0)
    await give_details(opened)
    await confirm(page, opened)
