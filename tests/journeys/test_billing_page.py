"""A person buys, changes and ends a plan from the page, and is told how it went on coming back."""

import re
import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Page, expect

from backend import subscriptions
from tests.journeys.conftest import Product
from tests.journeys.subscribing import ENDED, arriving, hooks, plan_of, row_of, subscribe
from tests.servers import eventually
from tests.web.journey import enter
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
    await expect(page.get_by_role("status").first).to_contain_text(words)


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
    await eventually(lambda: plan_of(kim), "pro", within_s=60)
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


async def test_canceling_is_one_press_and_so_is_staying(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    await enter(page, product.url, key_of(kim))
    await page.get_by_role("button", name="Cancel plan").click()
    ends = page.get_by_role("status").filter(has_text="Your plan ends")
    await expect(ends).to_be_visible()
    side = page.get_by_role("complementary").get_by_role("button", name="Keep my plan")
    await expect(side).to_be_focused()
    assert (await kim.get("/api/me")).json()["subscription"]["ends_at_period_end"]
    await sound(page)
    await ends.get_by_role("button", name="Keep my plan").click()
    await expect(ends).to_have_count(0)
    await expect(page.get_by_label("Your message")).to_be_focused()
    await expect(page.get_by_role("log")).to_contain_text("Your plan goes on.")
    await expect(page.get_by_role("button", name="Cancel plan")).to_be_visible()
    assert not (await kim.get("/api/me")).json()["subscription"]["ends_at_period_end"]


async def test_the_portal_is_a_press_away_and_what_was_done_there_shows(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim)
    await enter(page, product.url, key_of(kim))
    await page.get_by_role("button", name="Manage plan").click()
    await page.get_by_role("button", name="Cancel at the end of the period").click()
    await told(page, "Your plan has been brought up to date.")
    await expect(page.get_by_text("Your plan ends")).to_be_visible()
    await expect(page).to_have_url(f"{product.url}/")


async def test_a_smaller_plan_is_as_near_as_a_larger_one(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await subscribe(kim, "pro")
    await enter(page, product.url, key_of(kim))
    await page.get_by_role("button", name="Change to Plus").click()
    await page.get_by_role("button", name="Confirm").click()
    await told(page, "Your plan is now Plus.")
    await expect(page.get_by_role("button", name="Upgrade to Pro")).to_be_visible()


async def test_who_subscribes_to_nothing_is_offered_nothing_to_manage(
    page: Page, product: Product, kim: httpx.AsyncClient
):
    await enter(page, product.url, key_of(kim))
    await expect(page.get_by_role("button", name="Upgrade to Plus")).to_be_visible()
    await expect(
        page.get_by_role("button", name=re.compile("Manage plan|Cancel plan"))
    ).to_have_count(0)
