"""The chat page in a real browser, on the stand-in: what people see, hear and can do."""

import pytest
from playwright.async_api import Page, expect

from tests.servers import until
from tests.web import journey
from tests.web.soundness import no_sideways_scroll, sound
from tests.web.stand_in import StandIn

pytestmark = pytest.mark.browser


async def test_an_answer_streams_as_markdown_with_its_route(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    turn = await journey.ask(page, "How do I cook lentils?")
    await expect(turn.locator("ol > li")).to_have_count(2)
    await expect(turn.locator("pre code")).to_contain_text("def soft")
    await expect(turn.locator("td").first).to_have_text("red")
    await expect(turn.get_by_text("Answered by Light · everyday question")).to_be_visible()


async def test_a_key_signs_in_and_a_wrong_one_is_refused(
    page: Page, base_url: str, key: str
) -> None:
    await page.goto(base_url)
    await page.get_by_text("Sign in with a key").click()
    await page.get_by_label("Your key").fill("wrong")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("alert")).to_have_text("This key is not valid.")
    await page.get_by_label("Your key").fill(key)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_text("Ada Lovelace")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await page.reload()
    await expect(page.get_by_role("button", name="Start as a guest")).to_be_visible()


@pytest.mark.parametrize("role", ["operator", "merchant"])
async def test_a_key_of_another_page_is_shown_the_way_there(
    page: Page, base_url: str, role: str
) -> None:
    await page.goto(base_url)
    await page.get_by_text("Sign in with a key").click()
    await page.get_by_label("Your key").fill(f"{role}-key")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    said = page.get_by_role("alert")
    await expect(said).to_contain_text(f"This key belongs to the {role}'s page")
    await expect(page.get_by_label("Your message")).to_have_count(0)
    await sound(page)
    await page.reload()
    await expect(said).to_be_visible()
    await said.get_by_role("link", name=f"Go to the {role}'s page").click()
    await expect(page).to_have_url(f"{base_url}/{role}")
    # And whoever has the wrong one in hand may still begin to chat.
    await page.goto(base_url)
    await page.get_by_role("button", name="Start as a guest").click()
    await expect(page.get_by_label("Your message")).to_be_visible()


async def test_shift_enter_breaks_the_line_and_enter_sends(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    box = page.get_by_label("Your message")
    await box.fill("one")
    await box.press("Shift+Enter")
    await box.press_sequentially("two")
    await expect(page.locator("article.turn")).to_have_count(0)
    await box.press("Enter")
    await expect(page.locator(".question")).to_have_text("You asked: one\ntwo")


async def test_the_effort_that_was_picked_goes_with_the_turn(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    await page.get_by_label("Effort").select_option("High")
    turn = await journey.ask(page, "Why?")
    await expect(turn.get_by_text("Answered by Thinking · hard question")).to_be_visible()


async def test_stop_ends_the_answer_and_frees_the_server(
    page: Page, base_url: str, stand_in: StandIn
) -> None:
    await journey.enter(page, base_url)
    await page.get_by_label("Your message").fill("slow please")
    await page.get_by_label("Your message").press("Enter")
    await expect(page.locator(".prose")).to_contain_text("word word")
    await page.get_by_label("Your message").fill("half a thought")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_text("You stopped this answer.")).to_be_visible()
    # By itself it would go on for half a minute.
    await until(lambda: stand_in.running == 0, within_s=10)
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    # The draft is still the person's, and the box has the focus again.
    await expect(page.locator("article.turn")).to_have_count(1)
    await expect(page.get_by_label("Your message")).to_have_value("half a thought")
    await expect(page.get_by_label("Your message")).to_be_focused()


async def test_back_leads_to_the_conversation_before(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "I need a tent")
    await page.get_by_role("button", name="New conversation").first.click()
    await journey.ask(page, "Why?")
    await page.go_back()
    await expect(page.locator(".question")).to_contain_text("I need a tent")
    await page.go_forward()
    await expect(page.locator(".question")).to_contain_text("Why?")


async def test_a_failing_model_and_a_cut_stream_are_said_plainly(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    failed = await journey.ask(page, "fail")
    await expect(failed.get_by_role("alert")).to_contain_text("The model did not answer")
    await expect(failed.locator(".prose")).to_contain_text("It begins well")
    cut = await journey.ask(page, "cut")
    await expect(cut.get_by_role("alert")).to_contain_text("The connection broke")
    await cut.get_by_role("button", name="Ask again").click()
    await expect(page.locator("article.turn")).to_have_count(3)


async def test_an_answer_that_is_owed_is_asked_for_and_not_bought_again(
    page: Page, base_url: str
) -> None:
    await journey.enter(page, base_url)
    failed = await journey.ask(page, "fail")
    async with page.expect_request("**/api/turns/trn_owed/retry") as sent:
        await failed.get_by_role("button", name="Ask again").click()
    assert (await sent.value).post_data_json == {"effort": "auto"}
    answered = page.locator("article.turn").last
    await expect(answered.locator(".question")).to_contain_text("fail")
    await expect(answered.get_by_text("Answered by")).to_be_visible()


async def test_reload_keeps_the_conversation(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "I need a tent")
    await page.reload()
    await expect(page.locator(".question")).to_contain_text("I need a tent")
    await expect(page.locator(".offer")).to_have_count(3)
    await expect(page.get_by_text("Answered by Shopping")).to_be_visible()
    await page.get_by_role("button", name="New conversation").first.click()
    await expect(page.locator("article.turn")).to_have_count(0)
    await page.get_by_role("navigation").get_by_text("I need a tent").click()
    await expect(page.locator(".offer")).to_have_count(3)


@pytest.mark.parametrize("width", [390, 1280])
async def test_the_newest_part_stays_in_sight_unless_one_scrolled_up(
    page: Page, base_url: str, width: int
) -> None:
    await page.set_viewport_size({"width": width, "height": 844})
    await journey.enter(page, base_url)
    for text in ("hello", "limit", "cut", "hello", "hello", "tent"):
        await journey.ask(page, text)
    await expect(page.get_by_text("In order of fit")).to_be_in_viewport()
    await page.mouse.move(200 if width == 390 else 700, 400)
    await page.mouse.wheel(0, -9000)
    await expect(page.locator(".question").first).to_be_in_viewport()
    await page.get_by_label("Your message").fill("slow")
    await page.get_by_label("Your message").press("Enter")
    await expect(page.locator(".prose").last).to_contain_text("word word word")
    await page.mouse.wheel(0, -9000)
    await expect(page.locator(".question").first).to_be_in_viewport()
    seen = await page.locator(".prose").last.inner_text()
    await expect(page.locator(".prose").last).not_to_have_text(seen)
    await expect(page.locator(".question").first).to_be_in_viewport()


async def test_a_merchants_html_is_shown_as_text(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await journey.ask(page, "mischief")
    card = page.locator(".offer")
    await expect(card.locator("h3")).to_have_text(
        '<b>Bold</b><img src=x onerror="window.stolen=1"> tent'
    )
    await expect(card).to_contain_text("<script>window.stolen=1</script>Shop")
    await expect(card.locator("a, b, script, img")).to_have_count(0)
    assert await page.evaluate("window.stolen") is None
    assert not [url for url in asked if "tracker.invalid" in url]


async def test_a_models_markup_cannot_act_or_load_anything(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    turn = await journey.ask(page, "attack")
    prose = turn.locator(".prose")
    await expect(prose).to_contain_text("The end of it.")
    await expect(prose).to_contain_text("<script>window.stolen=1</script>")
    await expect(prose.locator("img, script, iframe, [onclick], [onerror]")).to_have_count(0)
    hrefs = await prose.locator("a[href]").evaluate_all("all => all.map(a => a.href)")
    assert hrefs == ["https://example.com/", f"{base_url}/checkout/chk_1"]
    await prose.get_by_text("run me").click()
    assert await page.evaluate("window.stolen") is None
    assert not [url for url in asked if "invalid" in url]


async def test_the_page_speaks_chinese_and_remembers_it(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    await page.get_by_label("Language").select_option("简体中文")
    await expect(page.get_by_role("heading", name="我能为您做些什么？")).to_be_visible()
    assert await page.locator("html").get_attribute("lang") == "zh-Hans"
    await page.reload()
    await expect(page.get_by_label("您的消息")).to_be_visible()
    await page.get_by_label("您的消息").fill("订一张明天晚上七点的两人桌")
    await page.get_by_label("您的消息").press("Enter")
    await page.get_by_role("button", name="选择 Osteria Lume").click()
    await expect(page.get_by_role("button", name="向 Osteria Lume 支付 €20.00")).to_be_visible()


async def test_a_screen_reader_hears_sentences(page: Page, base_url: str) -> None:
    await journey.enter(page, base_url)
    await journey.ask(page, "hello")
    heard = await page.get_by_role("log").locator("p").all_text_contents()
    assert "First, soak them for an hour." in heard
    assert heard[-1] == "The answer is complete."
    assert len(heard) <= 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", ["English", "简体中文"])
async def test_axe_finds_nothing(
    page: Page, base_url: str, scheme: str, width: int, language: str
) -> None:
    await page.set_viewport_size({"width": width, "height": 844})
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await page.goto(base_url)
    await page.get_by_role("combobox").select_option(language)
    await sound(page)
    await page.locator(".button.primary").click()
    await page.locator("#message").wait_for()
    await sound(page)
    for text in ("lentils", "limit", "tent", "buy"):
        await page.locator("#message").fill(text)
        await page.locator("#message").press("Enter")
        await expect(page.locator("article.turn").last).to_have_attribute("aria-busy", "false")
        if text != "buy":
            await expect(page.locator(".question").last).to_contain_text(text)
    await expect(page.locator("dialog")).to_be_visible()
    await sound(page)
    await page.keyboard.press("Escape")
    await sound(page)
    await no_sideways_scroll(page)


async def test_back_office_pages_are_reachable_and_sound(page: Page, base_url: str) -> None:
    await page.goto(f"{base_url}/operator")
    await expect(page.get_by_role("cell", name="€1,482.50")).to_be_visible()
    await expect(page.get_by_role("cell", name="JP¥1,440")).to_be_visible()
    await sound(page)
    await expect(page.get_by_role("columnheader", name="Fee accrued")).to_be_visible()
    await page.get_by_label("Language").select_option("简体中文")
    await expect(page.get_by_role("columnheader")).to_have_text(
        ["币种", "订单数", "成交额", "应计佣金"]
    )
    await page.get_by_role("button", name="路由").click()
    await expect(page.get_by_role("cell", name="日常问题")).to_be_visible()
    await sound(page)
    await page.get_by_label("语言").select_option("English")
    await page.goto(f"{base_url}/merchant")
    await expect(page.get_by_label("Merchant key")).to_be_visible()
    await sound(page)
