"""A person buys and books on the page, against the whole product in a real browser."""

import pytest
from playwright.async_api import Page, expect

from tests.journeys.conftest import Product
from tests.web.journey import ask, confirm, enter, sheet

pytestmark = pytest.mark.browser


async def test_a_person_chats_and_sees_who_answered(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    turn = await ask(page, "Good morning!")
    await expect(turn).to_contain_text("I am gpt-5-mini and I heard you.")


async def test_a_person_buys_a_tent_and_the_receipt_names_the_order(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, "Buy me a two-person tent")
    opened = await sheet(page)
    await expect(opened).to_contain_text("Fernweh Outdoor & Home")
    await confirm(page, opened)
    await expect(page.get_by_text("ord_").first).to_be_visible(timeout=20_000)
    async with product.client() as http:
        newest = (await http.get("/api/orders")).json()["data"][0]
    await expect(page.get_by_text(newest["id"]).first).to_be_visible()


async def test_a_person_books_a_table_in_chinese(page: Page, product: Product):
    await enter(page, product.url, product.keys["plus"])
    await ask(page, "订一张明天晚上七点的两人桌")
    opened = await sheet(page)
    await confirm(page, opened)
    await expect(page.get_by_text("ord_").first).to_be_visible(timeout=20_000)
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
