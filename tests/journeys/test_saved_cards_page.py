"""A person adds a card on the payment service's page, comes back, and pays with it."""

import pytest
from playwright.async_api import Page, expect

from tests.journeys.conftest import Product
from tests.journeys.test_saved_cards import person
from tests.web.journey import ask, confirm, enter, give_details, sheet
from tests.web.soundness import sound

pytestmark = pytest.mark.browser


async def key_of_somebody_new(product: Product) -> str:
    async with await person(product) as made:
        return made.headers["authorization"].removeprefix("Bearer ")


async def test_a_card_is_added_from_the_sheet_and_pays(page: Page, product: Product):
    await enter(page, product.url, await key_of_somebody_new(product))
    await ask(page, "Buy me a two-person tent")
    opened = await sheet(page)
    await give_details(opened)
    methods = opened.get_by_label("Paid with")
    await expect(methods.locator("option")).to_have_text(["Visa •••• 4242 (test card)"])
    await sound(page)
    async with page.context.expect_page() as opening:
        await opened.get_by_role("button", name="Add a card").click()
    tab = await opening.value
    await tab.get_by_role("button", name="Keep the test card 4444").click()
    await expect(tab.get_by_text("Your card is saved")).to_be_visible()
    await expect(tab.get_by_text("Mastercard •••• 4444").first).to_be_visible()
    await sound(tab)
    await tab.close()
    await page.bring_to_front()
    await page.evaluate("window.dispatchEvent(new Event('focus'))")
    await expect(methods.locator("option")).to_have_text(
        ["Mastercard •••• 4444", "Visa •••• 4242 (test card)"]
    )
    await expect(methods.locator("option:checked")).to_have_text("Mastercard •••• 4444")
    await confirm(page, opened)


async def test_a_card_is_removed_on_the_page_of_cards(page: Page, product: Product):
    await enter(page, product.url, await key_of_somebody_new(product))
    await page.get_by_role("link", name="Your cards").click()
    await expect(page.get_by_text("No card is saved.")).to_be_visible()
    async with page.context.expect_page() as opening:
        await page.get_by_role("button", name="Add a card").click()
    tab = await opening.value
    await tab.get_by_role("button", name="Keep the test card 4242").click()
    await expect(tab.get_by_text("Your card is saved")).to_be_visible()
    await tab.get_by_role("button", name="Remove Visa •••• 4242").click()
    await expect(tab.get_by_text("No card is saved.")).to_be_visible()
