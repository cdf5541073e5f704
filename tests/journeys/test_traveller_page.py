"""Who flies is asked on the sheet where an airline must know, and checked, in both languages."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.integrations.fakes_duffel import Duffel
from tests.journeys.conftest import Product
from tests.journeys.test_flights import TRAVELLER, duffel  # noqa: F401  (fixture)
from tests.web.journey import armed, enter
from tests.web.soundness import sound

pytestmark = pytest.mark.browser


async def checkout(product: Product) -> str:
    async with product.client() as http:
        way = {"origin": "LHR", "destination": "JFK", "date": "2027-04-24"}
        (offer,) = (await http.get("/api/flights", params=way)).json()["data"]
        line = {"offer_id": offer["offer_id"], "quantity": 1}
        made = (await http.post("/api/checkouts", json={"lines": [line]})).json()
    return f"{product.url}/checkout/{made['id']}"


async def test_who_flies_is_asked_checked_and_paid_for(
    page: Page,
    product: Product,
    duffel: Duffel,  # noqa: F811
):
    await enter(page, product.url, product.keys["plus"])
    await page.goto(await checkout(product))
    form = page.get_by_role("group", name="Who is flying?")
    await expect(form).to_be_visible()
    await sound(page)
    await form.get_by_label("First name").fill("艾达")
    await form.get_by_label("Last name").fill(TRAVELLER["last_name"])
    await form.get_by_label("E-mail").fill(TRAVELLER["email"])
    await form.get_by_label("Phone, with country code").fill("0301234")
    await form.get_by_label("Title").select_option(TRAVELLER["title"])
    await form.get_by_label("Date of birth").fill("2200-01-01")
    await form.get_by_label("Gender in the passport").select_option(TRAVELLER["gender"])
    send = page.get_by_role("button", name="Show the final price")
    await send.click()
    wrong = "e => [...e.querySelectorAll(':invalid')].map(f => f.name + ': ' + f.validationMessage)"
    said = await page.locator("form.details fieldset").evaluate(wrong)
    assert [line.split(":")[0] for line in said] == ["first_name", "phone", "born_on"]
    assert "Latin letters" in said[0]
    assert duffel.orders == []
    await form.get_by_label("First name").fill(TRAVELLER["first_name"])
    await form.get_by_label("Phone, with country code").fill("+442080160509")
    await form.get_by_label("Date of birth").fill(TRAVELLER["born_on"])
    await send.click()
    await (await armed(page.locator("main"))).click()
    await expect(page.locator("section.receipt").get_by_text("Placed")).to_be_visible()
    assert len(duffel.orders) == 1


async def test_the_form_speaks_chinese(
    browser: Browser,
    product: Product,
    duffel: Duffel,  # noqa: F811
):
    assert duffel.orders == []
    context = await browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await page.goto(product.url)
    await page.request.post(
        f"{product.url}/api/session",
        data={"key": product.keys["plus"]},
        headers={"origin": product.url},
    )
    await page.goto(await checkout(product))
    form = page.get_by_role("group", name="谁乘坐？")
    await expect(form.get_by_label("出生日期")).to_be_visible()
    await form.get_by_label("名", exact=True).fill("Ada")
    await page.get_by_role("button", name="显示最终价格").click()
    wrong = "e => [...e.querySelectorAll(':invalid')].map(f => f.validationMessage)"
    assert "请填写此项。" in await page.locator("form.details fieldset").evaluate(wrong)
    await sound(page)
    await context.close()
