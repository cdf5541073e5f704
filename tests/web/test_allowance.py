"""Allowance, plan and what is said about them, on the stand-in: meter, ways out, notices."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.web import journey
from tests.web.soundness import no_sideways_scroll, sound
from tests.web.stand_in import KEY, StandIn

pytestmark = pytest.mark.browser


async def test_the_meter_counts_down_and_a_step_down_names_its_reason_and_exits(
    page: Page, base_url: str
) -> None:
    await journey.enter(page, base_url, KEY)
    meter = page.get_by_role("region", name="Allowance")
    await expect(meter).to_contain_text("40 of 40 left")
    await journey.ask(page, "hello")
    await expect(meter).to_contain_text("39 of 40 left")
    await expect(meter).to_contain_text("full again")
    turn = await journey.ask(page, "limit")
    await expect(turn.locator(".downgrade")).to_contain_text(
        "Thinking was not available: its allowance is used up. Mini thinking answered instead."
    )
    await expect(turn.locator(".downgrade")).to_contain_text("You can wait until")
    await turn.get_by_role("button", name="What can I do?").click()
    ways = turn.locator(".exits")
    await expect(ways).to_contain_text("Wait until")
    await expect(ways.get_by_role("button", name="Upgrade to Pro")).to_be_visible()
    await expect(ways.get_by_role("button", name="20 thinking answers, €3.00")).to_be_visible()
    await expect(meter).to_contain_text("0 of 10 left")


async def test_a_refusal_keeps_its_ways_out_until_the_next_turn(page: Page, base_url: str) -> None:
    """The allowance that is read afterwards knows of no refusal, and so of no way out."""
    await journey.enter(page, base_url, KEY)
    async with page.expect_response("**/api/quota"), page.expect_response("**/api/plans"):
        refused = await journey.ask(page, "refuse this")
    await expect(refused.get_by_role("alert")).to_contain_text("used up")
    ways = refused.locator(".exits")
    await expect(ways.get_by_role("button", name="20 thinking answers, €3.00")).to_be_visible()
    await expect(ways).to_contain_text("Wait until")
    await expect(ways.get_by_role("button", name="Upgrade to Pro")).to_be_visible()
    await sound(page)
    await journey.ask(page, "hello")
    await expect(ways.get_by_role("listitem")).to_have_count(0)


async def test_the_ways_out_and_their_prices_are_in_the_pages_language(
    page: Page, base_url: str
) -> None:
    await page.add_init_script("localStorage.setItem('emptor.language', 'zh')")
    await page.request.post(f"{base_url}/api/session", data={"key": KEY})
    await page.goto(base_url)
    turn = await journey.ask(page, "limit", label="您的消息")
    await turn.get_by_role("button", name="有哪些办法？").click()
    ways = turn.locator(".exits")
    await expect(ways.get_by_role("button", name="升级到 Pro")).to_be_visible()
    await expect(ways.get_by_role("button", name="20 次深思回答，€3.00")).to_be_visible()
    # What is not so many answers is sold under the name that it was given.
    await expect(ways.get_by_role("button", name="Summer pack，€9.00")).to_be_visible()


async def test_a_rolling_allowance_that_is_used_up_says_when_it_next_has_room(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    stand_in.policy = "rolling"
    await journey.enter(page, base_url)
    turn = await journey.ask(page, "limit")
    await expect(turn.locator(".downgrade")).to_contain_text("You can wait until")
    meter = page.get_by_role("region", name="Allowance")
    used_up = meter.get_by_role("listitem").filter(has_text="0 of 10 left")
    await expect(used_up).to_contain_text("room again")
    await expect(used_up).not_to_contain_text("untouched")
    await journey.ask(page, "hello")
    partly = meter.get_by_role("listitem").filter(has_text="39 of 40 left")
    await expect(partly).to_contain_text("little by little")


RETIRED: dict[str, Any] = {
    "models": ["gpt-5-mini", "gpt-5-nano"],
    "preferences": {"effort": "auto", "pinned_model": "gpt-4o"},
    "notices": [
        {
            "code": "model_retired",
            "text": "gpt-4o retired on 2020-03-01; gpt-5-mini answers in its place.",
            "until": "2020-03-01",
            "model": "gpt-4o",
            "successor": "gpt-5-mini",
        }
    ],
}


async def test_a_retired_model_names_its_own_day_and_stays_in_sight(
    browser: Browser, base_url: str, stand_in: StandIn
) -> None:
    stand_in.known = RETIRED
    context = await browser.new_context(timezone_id="America/New_York", locale="en-GB")
    page = await context.new_page()
    await journey.enter(page, base_url, KEY)
    banner = page.get_by_role("status").filter(has_text="gpt-4o")
    await expect(banner).to_have_text(
        "gpt-4o retired 1 March 2020; gpt-5-mini answers in its place."
    )
    await page.get_by_text("How it answers").click()
    models = page.get_by_label("Model")
    await expect(models).to_have_value("gpt-4o")
    await expect(models.locator("option:checked")).to_have_text(
        "gpt-4o (retired: gpt-5-mini answers)"
    )
    await sound(page)
    await models.select_option("gpt-5-nano")
    await expect(banner).to_have_count(0)
    await expect(models.locator("option")).to_have_text(
        ["Chosen for each question", "gpt-5-mini", "gpt-5-nano"]
    )
    await context.close()


PAYING = {"plan": "plus", "status": "active", "current_period_end": "2026-12-24T14:00:00Z"}
ENDING: dict[str, Any] = {
    "subscription": {**PAYING, "ends_at_period_end": True},
    "notices": [
        {
            "code": "plan_ends",
            "text": "Your plan ends on 2026-12-24; you then go on with Free.",
            "until": PAYING["current_period_end"],
            "action": "/api/plan",
        }
    ],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_is_said_about_a_plan_is_sound_and_fits(
    page: Page, base_url: str, stand_in: StandIn, scheme: str, width: int, language: str
) -> None:
    stand_in.known = ENDING
    await page.set_viewport_size({"width": width, "height": 660})
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await page.add_init_script(f"localStorage.setItem('emptor.language', '{language}')")
    await page.request.post(f"{base_url}/api/session", data={"key": KEY})
    await page.goto(f"{base_url}/?billing=done")
    said = {"en": "your plan will be ready in a moment", "zh": "您的套餐即将生效"}[language]
    await expect(page.get_by_role("status").first).to_contain_text(said)
    keep = {"en": "Keep my plan", "zh": "保留我的套餐"}[language]
    await expect(page.locator(".notice").get_by_role("button", name=keep)).to_be_visible()
    await sound(page)
    if width == 390:
        await page.locator(".topbar .round").first.click()
    # Also in a low window the way out can be reached.
    await page.locator(".plan-links").get_by_role("button", name=keep).scroll_into_view_if_needed()
    await expect(page.locator(".plan-links").get_by_role("button", name=keep)).to_be_in_viewport()
    await page.locator(".account").scroll_into_view_if_needed()
    await expect(page.locator(".account")).to_be_in_viewport()
    await sound(page)
    await no_sideways_scroll(page)
