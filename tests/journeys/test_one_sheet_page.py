"""One sheet for several merchants, as a person sees it: one press, and each part's own end."""

import pytest
from playwright.async_api import Page, expect

from tests.journeys.conftest import Product
from tests.journeys.faults import troubled
from tests.journeys.test_one_sheet import BOTH
from tests.web.journey import armed, ask, enter, sheet
from tests.web.soundness import sound

pytestmark = pytest.mark.browser

SHOP = "Fernweh Outdoor & Home"


async def test_one_press_pays_both_merchants_and_leaves_two_receipts(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, BOTH)
    opened = await sheet(page)
    await expect(opened.get_by_role("region")).to_have_count(2)
    sums = opened.get_by_role("table", name="Charged when you confirm")
    await expect(sums.get_by_role("row")).to_have_count(3)
    await expect(sums).to_contain_text("Together in EUR")
    button = await armed(opened)
    await expect(button).to_contain_text("to 2 merchants")
    await sound(page)
    await button.click()
    receipts = page.locator("section.receipt")
    await expect(receipts.get_by_text("Placed")).to_have_count(2)
    await expect(opened).to_be_hidden()


async def test_a_part_that_is_left_out_is_not_paid_and_can_be_confirmed_alone(
    page: Page, product: Product
):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, BOTH)
    opened = await sheet(page)
    shop = opened.get_by_role("region", name=SHOP)
    await shop.get_by_label("Confirm this part").uncheck()
    button = await armed(opened)
    await expect(button).not_to_contain_text(SHOP)
    await button.click()
    await expect(page.locator("section.receipt").get_by_text("Placed")).to_have_count(1)
    await expect(opened.locator(".state.paid")).to_have_text("Paid")
    await shop.get_by_label("Confirm this part").check()
    button = await armed(opened)
    await expect(button).to_contain_text(f"to {SHOP}")
    await button.click()
    await expect(page.locator("section.receipt").get_by_text("Placed")).to_have_count(2)
    await expect(opened).to_be_hidden()


async def test_a_price_that_moved_stops_its_own_part_alone(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, BOTH)
    opened = await sheet(page)
    button = await armed(opened)
    fault = {"kind": "price_drift", "at": "price", "times": -1, "value": 100}
    await troubled(product.world.shop, fault)
    try:
        await button.click()
        await expect(opened.locator(".state.paid")).to_have_text("Paid")
    finally:
        await troubled(product.world.shop)
    shop = opened.get_by_role("region", name=SHOP)
    await expect(shop.get_by_role("alert")).to_contain_text("Nothing was charged")
    await expect(await armed(opened)).to_contain_text(f"to {SHOP}")


async def test_the_link_of_an_outside_client_opens_the_same_sheet(page: Page, product: Product):
    async with product.client() as http:
        body = {"model": "auto", "messages": [{"role": "user", "content": BOTH}]}
        said = (await http.post("/v1/chat/completions", json=body)).json()["choices"][0]
    links = [w for w in said["message"]["content"].split() if "/checkout/" in w]
    assert len(links) == 1
    await enter(page, product.url, product.keys["plus"])
    await page.goto(links[0])
    button = page.get_by_role("button", name="Pay ")
    await expect(button).to_have_attribute("aria-disabled", "false")
    await expect(button).to_contain_text("to 2 merchants")
    await button.click()
    await expect(page.locator("section.receipt").get_by_text("Placed")).to_have_count(2)
