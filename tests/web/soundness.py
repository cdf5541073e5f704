"""What every page must pass: axe finds nothing, and nothing scrolls sideways."""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page


async def sound(page: Page) -> None:
    found = (await Axe().run(page)).response["violations"]
    assert not found, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


async def no_sideways_scroll(page: Page) -> None:
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0
