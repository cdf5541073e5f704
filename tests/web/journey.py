"""What a person does on the page, step by step. Works on the stand-in and on the real server."""

from playwright.async_api import Locator, Page, expect

# For every expectation: how slow a machine may be, not how slow the page.
expect.set_options(timeout=60_000)


async def enter(page: Page, base_url: str, key: str | None = None) -> None:
    """Opens the chat and signs in: with the key, or as a guest."""
    await page.goto(base_url)
    if key is None:
        await page.get_by_role("button", name="Start as a guest").click()
    else:
        await page.get_by_text("Sign in with a key").click()
        await page.get_by_label("Your key").fill(key)
        await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_label("Your message")).to_be_visible()


async def ask(page: Page, text: str, *, label: str = "Your message") -> Locator:
    """Types, presses Enter and waits until the answer is complete. Gives back the turn."""
    before = await page.locator("article.turn").count()
    await page.get_by_label(label).fill(text)
    await page.get_by_label(label).press("Enter")
    turn = page.locator("article.turn").nth(before)
    await expect(turn).to_have_attribute("aria-busy", "false")
    return turn


async def choose(page: Page, title: str) -> Locator:
    """Picks the offer with this title. Gives back the confirmation sheet."""
    await page.get_by_role("button", name=f"Choose {title}").first.click()
    return await sheet(page)


async def sheet(page: Page) -> Locator:
    opened = page.get_by_role("dialog", name="Check and confirm")
    await expect(opened).to_be_visible()
    return opened


async def give_details(opened: Locator) -> None:
    """Fills in who it is for, where the merchant still needs to know."""
    answers = {
        "First name": "Ada",
        "Last name": "Lovelace",
        "E-mail": "ada@example.com",
        "Street and number": "Lindenweg 3",
        "Postal code": "10115",
        "City": "Berlin",
        "Country (two letters)": "de",
    }
    await expect(opened.get_by_label("First name")).to_be_visible()
    for label, value in answers.items():
        field = opened.get_by_label(label, exact=True)
        if await field.count():
            await field.fill(value)
    await opened.get_by_role("button", name="Show the final price").click()


def pay_button(opened: Locator) -> Locator:
    return opened.get_by_role("button", name="Pay ")


async def armed(opened: Locator) -> Locator:
    """The pay button, once it may be pressed."""
    button = pay_button(opened)
    await expect(button).to_have_attribute("aria-disabled", "false")
    return button


async def confirm(page: Page, opened: Locator) -> Locator:
    """Pays what the sheet shows. Gives back the newest receipt in the conversation."""
    await (await armed(opened)).click()
    receipt = page.locator("section.receipt").last
    await expect(receipt.get_by_text("Placed")).to_be_visible()
    return receipt
