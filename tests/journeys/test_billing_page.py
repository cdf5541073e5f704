"""A person buys, changes and ends a plan from the page, and is told how it went on coming back."""

import re
import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Page, expect

from backend import subscriptions
from tests.journeys.conftest import Product
from tests.journeys.subscribing import ENDED, arriving, hooks, plan_of, row_of
from tests.servers import eventually
from tests.web.journey import PATIENCE_MS, enter
from tests.web.soundness import sound

pytestmark = pytest.mark.browser


@pytest.fixture
async def kim(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    """A person on Free with an account of their own, and events that reach us."""
    person = {"name": "Kim", "email": f"{secrets.token_hex(4)}@example.com"}
    async with product.client("operator") as http:
        made = (await http.post("/operator/v1/users", json=person)).json()
    await hooks(product, **arriving(product))
    async with product.client(made["key"]) as http:
        yield http
    await hooks(product, **ENDED)


def key_of(person: httpx.AsyncClient) -> str:
    return person.headers["authorization"].removeprefix("Bearer ")


async def pays(page: Page, product: Product) -> None:
    """On the payment service's page, with a card that works; back where it sends people."""
    await page.locator("button[value=pm_card_visa]").click()
    await page.wait_for_url(f"{product.url}/**")


async def told(page: Page, words: str) -> None:
    await expect(page.get_by_role("status").first).to_contain_text(words, timeout=PATIENCE_MS)


async def test_who_paid_for_a_plan_is_told_so_and_then_has_it(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await enter(page, product.url, key_of(kim))
    await page.get_by_role("button", name="Upgrade to Plus").click()
    await pays(page, product)
    await told(page, "Your plan is now Plus.")
    await expect(page).to_have_url(f"{product.url}/")
    await expect(page.locator(".quota .plan")).to_have_text("plus")
    await expect(page.get_by_role("button", name="Upgrade to Pro")).to_be_enabled()
    await sound(page)
    await page.get_by_role("button", name="Close", exact=True).click()
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.reload()
    await expect(page.get_by_role("button", name="Upgrade to Pro")).to_be_visible()
    await expect(page.get_by_text("Your plan is now Plus.")).to_have_count(0)


async def test_events_that_are_late_are_waited_for_and_nothing_is_sold_twice(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await hooks(product, **ENDED)
    await enter(page, product.url, key_of(kim))
    await page.get_by_role("button", name="Upgrade to Plus").click()
    await pays(page, product)
    await told(page, "Payment received; your plan will be ready in a moment")
    await expect(page.get_by_role("button", name="Upgrade to Plus")).to_be_disabled()
    await subscriptions.sync(product.app.state.counter, (await row_of(product, kim))["user_id"])
    await told(page, "Your plan is now Plus.")


async def test_who_turns_back_at_the_till_is_told_that_nothing_was_charged(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await enter(page, product.url, key_of(kim))
    await page.goto(f"{product.url}/?billing=canceled")
    await told(page, "Nothing was charged")
    await expect(page).to_have_url(f"{product.url}/")
    assert await plan_of(kim) == "free"


async def test_a_change_of_plan_comes_back_with_what_became_of_it(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await enter(page, product.url, key_of(kim))
    await page.get_by_role("button", name="Upgrade to Plus").click()
    await pays(page, product)
    await told(page, "Your plan is now Plus.")
    await page.get_by_role("button", name="Upgrade to Pro").click()
    await page.get_by_role("button", name="Go back").click()
    await told(page, "Nothing was charged")
    await page.get_by_role("button", name="Upgrade to Pro").click()
    await page.get_by_role("button", name="Confirm").click()
    await told(page, "Your plan is now Pro.")
    await eventually(lambda: plan_of(kim), "pro", within_s=10)
    await expect(page).to_have_url(re.compile(r"/$"))


async def test_a_pack_is_waited_for_until_its_units_are_there(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await hooks(product, **ENDED)
    await enter(page, product.url, key_of(kim))
    await page.goto((await kim.post("/api/credits", json={"pack": "light_200"})).json()["url"])
    await pays(page, product)
    await told(page, "Payment received")
    await subscriptions.sync(product.app.state.counter, (await row_of(product, kim))["user_id"])
    await told(page, "What you bought has been added to your allowance.")
    await expect(page.locator(".quota")).to_contain_text("210 of 210 left")
