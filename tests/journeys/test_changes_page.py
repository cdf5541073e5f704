"""Moving a booking on the page: the receipt's button and the chat lead to the same sheet."""

import pytest
from playwright.async_api import Page, expect

from tests.journeys.conftest import Product
from tests.web.journey import ask, enter, sheet
from tests.web.soundness import sound

pytestmark = pytest.mark.browser

BOOK = "Book a table for two in eleven days at 7pm"


async def booked(page: Page, product: Product) -> None:
    await enter(page, product.url, product.keys["plus"])
    await ask(page, BOOK)
    opened = await sheet(page)
    button = opened.get_by_role("button", name="Pay ")
    await expect(button).to_have_attribute("aria-disabled", "false")
    await button.click()
    await expect(page.locator("section.receipt").last).to_contain_text("2 people")


async def test_one_more_guest_is_paid_for_and_the_receipt_says_so(page: Page, product: Product):
    await booked(page, product)
    receipt = page.locator("section.receipt").first
    await receipt.get_by_role("button", name="Change this booking").click()
    await receipt.get_by_label("People").fill("3")
    await sound(page)
    await receipt.get_by_role("button", name="Ask what that would cost").click()
    opened = await sheet(page)
    await expect(opened).to_contain_text("2 people to ")
    await expect(opened.get_by_role("row", name="Already paid")).to_be_visible()
    button = opened.get_by_role("button", name="Pay ")
    await expect(button).to_have_attribute("aria-disabled", "false")
    await button.click()
    await expect(opened).to_be_hidden()
    await expect(receipt).to_contain_text("3 people")
    async with product.client() as http:
        extra, order = (await http.get("/api/orders")).json()["data"][:2]
    assert (extra["part_of"], order["booking"]["party"]) == (order["id"], 3)


async def test_by_chat_the_same_sheet_opens_and_nothing_is_charged_for_another_hour(
    page: Page, product: Product
):
    await booked(page, product)
    await ask(page, "make it 8pm")
    opened = await sheet(page)
    await expect(opened).to_contain_text("20:00")
    button = opened.get_by_role("button", name="nothing to pay")
    await expect(button).to_have_attribute("aria-disabled", "false")
    await button.click()
    await expect(opened).to_be_hidden()
    await expect(page.locator("section.receipt").first).to_contain_text("20:00")


async def test_what_is_not_free_is_said_at_the_receipt(page: Page, product: Product):
    await booked(page, product)
    receipt = page.locator("section.receipt").first
    await receipt.get_by_role("button", name="Change this booking").click()
    await receipt.get_by_label("Time").fill("03:00")
    await receipt.get_by_role("button", name="Ask what that would cost").click()
    await expect(receipt.get_by_role("alert")).to_contain_text("Nothing is free then")
