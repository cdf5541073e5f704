"""Buying and booking on the page, in a real browser: what pays, and what must not."""

import pytest
from playwright.async_api import Page, Route, expect

from tests.web import journey
from tests.web.soundness import sound
from tests.web.stand_in import StandIn

pytestmark = pytest.mark.browser


async def test_a_purchase_from_card_to_receipt(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "I need a tent")
    opened = await journey.choose(page, "Trail Nest 2 tent")
    await journey.give_details(opened)
    await expect(opened.get_by_role("row", name="Parcel, 2 to 3 days €5.00")).to_be_visible()
    await expect(opened).to_contain_text("Free until the day before.")
    await expect(opened).to_contain_text("Emptor earns 6 %")
    await expect(journey.pay_button(opened)).to_have_text("Pay €134.00 to Fernweh Outdoor")
    receipt = await journey.confirm(page, opened)
    await expect(receipt).to_contain_text("FW-2041")
    assert [paid["amount"] for paid in stand_in.payments] == [13_400]


async def test_a_receipt_that_could_not_be_fetched_is_fetched_again(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    asked: list[str] = []

    async def first_in_a_tunnel(route: Route) -> None:
        asked.append(route.request.url)
        await (route.abort() if len(asked) == 1 else route.continue_())

    await page.route("**/assets/receipt-*.js", first_in_a_tunnel)
    await journey.enter(page, base_url)
    await journey.ask(page, "I need a tent")
    opened = await journey.choose(page, "Trail Nest 2 tent")
    await journey.give_details(opened)
    await expect(await journey.confirm(page, opened)).to_contain_text("FW-2041")
    assert len(asked) > 1


async def test_the_price_so_far_is_named_before_the_shop_knows_where_it_goes(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "I need a tent")
    opened = await journey.choose(page, "Trail Nest 2 tent")
    await expect(opened.get_by_role("listitem")).to_have_text("1 × Trail Nest 2 tent €129.00")
    await expect(opened).to_contain_text("So far €129.00; the final price follows your details.")
    await expect(journey.pay_button(opened)).to_have_count(0)
    assert stand_in.payments == []


async def test_a_booking_from_card_to_receipt(page: Page, base_url: str, stand_in: StandIn) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "Book a table for two")
    await expect(page.locator(".offer").first).to_contain_text("Tue 24 Nov · 19:00 · 2 people")
    opened = await journey.choose(page, "Table at Osteria Lume")
    await journey.confirm(page, opened)
    assert [paid["amount"] for paid in stand_in.payments] == [2_000]


async def test_another_delivery_is_another_price_and_another_consent(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "I need a tent")
    opened = await journey.choose(page, "Trail Nest 2 tent")
    await journey.give_details(opened)
    await journey.armed(opened)
    await opened.get_by_label("Delivery").select_option("express")
    await expect(journey.pay_button(opened)).to_have_text("Pay €144.00 to Fernweh Outdoor")
    await expect(journey.pay_button(opened)).to_have_attribute("aria-disabled", "true")
    await journey.confirm(page, opened)
    assert [paid["amount"] for paid in stand_in.payments] == [14_400]


async def test_an_interrupt_is_paid_by_resuming_with_the_hash_that_was_shown(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "buy it")
    opened = await journey.sheet(page)
    async with page.expect_request("**/agui") as sent:
        await journey.confirm(page, opened)
    entry = (await sent.value).post_data_json["resume"][0]
    assert entry["status"] == "resolved"
    assert entry["payload"]["accept"] is True
    assert len(entry["payload"]["confirmation_hash"]) == 64
    assert len(stand_in.payments) == 1
    await expect(page.locator("section.receipt")).to_have_count(1)
    await expect(opened).to_be_hidden()


async def test_nothing_but_a_deliberate_press_pays(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "buy it")
    opened = await journey.sheet(page)
    button = journey.pay_button(opened)
    await expect(button).not_to_be_focused()
    await button.click(force=True)  # still arming: a click meant for something else
    for _ in range(3):
        await page.keyboard.press("Enter")
    button = await journey.armed(opened)
    await page.keyboard.press("Enter")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(button).to_have_text("Pay €134.00 to Fernweh Outdoor")
    assert stand_in.payments == []
    await page.keyboard.press("Space")
    await expect(page.locator("section.receipt").get_by_text("Placed")).to_be_visible()
    assert len(stand_in.payments) == 1


async def test_a_double_click_pays_once(page: Page, base_url: str, stand_in: StandIn) -> None:
    stand_in.confirm_delay_s = 0.3
    await journey.enter(page, base_url)
    await journey.ask(page, "Book a table for two")
    opened = await journey.choose(page, "Table at Osteria Lume")
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if r.url.endswith("/confirm") else None)
    await (await journey.armed(opened)).dblclick()
    await expect(page.locator("section.receipt").get_by_text("Placed")).to_be_visible()
    assert len(asked) == 1
    assert len(stand_in.payments) == 1


async def test_a_changed_offer_charges_nothing_and_asks_anew(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "change it")
    opened = await journey.sheet(page)
    await (await journey.armed(opened)).click()
    await expect(opened.get_by_role("alert")).to_contain_text("Nothing was charged")
    assert stand_in.payments == []
    await expect(journey.pay_button(opened)).to_have_text("Pay €144.00 to Fernweh Outdoor")
    await journey.confirm(page, opened)
    assert [paid["amount"] for paid in stand_in.payments] == [14_400]


async def test_a_declined_card_says_so_and_another_try_pays_once(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    stand_in.decline_next = True
    await journey.enter(page, base_url)
    await journey.ask(page, "Book a table for two")
    opened = await journey.choose(page, "Table at Osteria Lume")
    await (await journey.armed(opened)).click()
    await expect(opened.get_by_role("alert")).to_contain_text("The payment was declined")
    await opened.get_by_label("Paid with").select_option("Mastercard ending in 4444 (test card)")
    await journey.confirm(page, opened)
    assert len(stand_in.payments) == 1


async def test_cancel_and_escape_pay_nothing(page: Page, base_url: str, stand_in: StandIn) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "buy it")
    opened = await journey.sheet(page)
    await page.keyboard.press("Escape")
    await expect(opened).to_be_hidden()
    await page.get_by_role("button", name="Review and confirm").click()
    await opened.get_by_role("button", name="Cancel").click()
    await expect(opened).to_be_hidden()
    await expect(page.locator(".prose").last).to_contain_text("nothing was paid")
    await expect(page.get_by_role("button", name="Review and confirm")).to_have_count(0)
    assert stand_in.payments == []


async def test_an_open_payment_survives_a_reload(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "buy it")
    await journey.sheet(page)
    await page.reload()
    await page.get_by_role("button", name="Review and confirm").click()
    await journey.confirm(page, await journey.sheet(page))
    assert len(stand_in.payments) == 1


async def test_a_checkout_page_shows_the_same_terms_and_pays(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    made = stand_in.open_checkout("off_trail")
    await page.goto(f"{base_url}/checkout/{made['id']}")
    opened = page.get_by_role("main")
    await expect(opened.get_by_label("First name")).to_be_visible()
    await sound(page)
    await journey.give_details(opened)
    await expect(journey.pay_button(opened)).to_have_text("Pay €134.00 to Fernweh Outdoor")
    await sound(page)
    await journey.confirm(page, opened)
    await sound(page)
    assert len(stand_in.payments) == 1
    await page.goto(f"{base_url}/checkout/chk_none")
    await expect(page.get_by_role("alert")).to_contain_text("no checkout of yours")
