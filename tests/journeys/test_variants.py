"""A jacket in two colours and sizes: found, asked about, named on the sheet and the order."""

import secrets

from tests.journeys.conftest import Product
from tests.journeys.runs import accept, asked, run, said


async def test_the_size_is_asked_and_the_one_that_was_said_is_bought(product: Product):
    thread = secrets.token_hex(6)
    async with product.client() as http:
        events = await run(http, thread, text="Buy me a red Deichbrise windbreaker")
        assert "outcome" not in events[-1] or events[-1]["outcome"]["type"] != "interrupt"
        assert "Deichbrise windbreaker, Red, L" in said(events)
        cards = next(e for e in events if e["type"] == "ACTIVITY_SNAPSHOT")
        titles = {card["title"] for card in cards["content"]["items"]}
        kinds = ("Red, M", "Red, L", "Blue, M", "Blue, L")
        assert titles == {f"Deichbrise windbreaker, {kind}" for kind in kinds}
        consent = asked(await run(http, thread, text="size L"))
        shown = consent["metadata"]
        assert shown["confirmation"]["lines"][0]["title"] == "Deichbrise windbreaker, Red, L"
        assert shown["lines"][0]["title"].startswith("Deichbrise windbreaker, Red, L")
        await run(http, thread, resume=accept(consent))
        order = (await http.get("/api/orders")).json()["data"][0]
        assert order["lines"][0]["title"] == "Deichbrise windbreaker, Red, L"


async def test_a_chinese_wish_names_colour_and_size(product: Product):
    async with product.client() as http:
        events = await run(http, secrets.token_hex(6), text="买一件蓝色的防风外套，M码")
        line = asked(events)["metadata"]["confirmation"]["lines"][0]
        assert line["title"].endswith("Blue, M")
