"""What people see of models: their cost, who stands in, who retires, and one voice for all."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg.errors import IntegrityConstraintViolation
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from backend import legacy
from integrations.model_catalogue import Catalogue
from tests.journeys.conftest import Product

SHIPPED = Path(__file__).parents[2] / "integrations" / "models.toml"
DAY = timedelta(days=1)


async def ask(http: httpx.AsyncClient, words: str, **more: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": words}], **more}
    return await http.post("/v1/chat/completions", json=body)


async def rows(product: Product, query: str, **values: Any) -> list[dict[str, Any]]:
    async with product.database.transaction() as session:
        return [dict(r) for r in (await session.execute(text(query), values)).mappings()]


@dataclass
class Catalogued:
    """The product with another catalogue for the length of a test."""

    product: Product
    tmp: Path

    def use(self, *changes: tuple[str, str]) -> None:
        said = SHIPPED.read_text()
        for old, new in changes:
            assert old in said
            said = said.replace(old, new, 1)
        file = self.tmp / "models.toml"
        file.write_text(said)
        catalogue = Catalogue.read(file)
        self.product.app.state.chat.seats.catalogue = catalogue
        self.product.app.state.models.catalogue = catalogue


@pytest.fixture
async def catalogued(product: Product, tmp_path: Path) -> AsyncIterator[Catalogued]:
    yield Catalogued(product, tmp_path)
    product.app.state.chat.seats.catalogue = Catalogue.read(SHIPPED)
    product.app.state.models.catalogue = Catalogue.read(SHIPPED)
    async with product.database.transaction() as session:
        await session.execute(text("DELETE FROM restored_model"))  # or it is read from there again
    product.app.state.chat.seats.restored = frozenset()
    product.app.state.models.health.pulses.clear()


def retiring(when: datetime) -> tuple[str, str]:
    day, announced = when.date(), (when - timedelta(days=40)).date()
    legacy_model = (
        f'[models."gpt-4o"]\ncontext_window = 128000\nprice_provider = "openai"\n'
        f'announced = {announced}\nretires = {day}\nsuccessor = "gpt-5"\n\n'
    )
    return "\n[roles.embedded]\n", f"\n{legacy_model}[roles.embedded]\n"


# --- cost ----------------------------------------------------------------------------------------


async def test_a_turn_says_what_it_cost_and_by_which_tables(product: Product):
    product.model.usage = {
        "prompt_tokens": 2000,
        "completion_tokens": 400,
        "prompt_tokens_details": {"cached_tokens": 1500},
        "completion_tokens_details": {"reasoning_tokens": 100},
    }
    async with product.client() as http:
        answer = (await ask(http, "Good morning!")).json()
    cost = answer["usage"]["emptor"]
    # facts: 2,000 in (1,500 cached) and 400 out of gpt-5-mini are 0.096 cents.
    assert cost["cost_usd_micros"] == 963
    assert cost["price_version"].startswith("genai-prices@")
    assert 0 < cost["energy_wh_min"] < cost["energy_wh_max"] < 1
    turn = answer["id"].replace("chatcmpl-", "trn_")
    [call] = await rows(product, "SELECT * FROM model_call WHERE turn_id = :t", t=turn)
    [kept] = await rows(product, "SELECT * FROM turn WHERE id = :t", t=turn)
    assert (call["cached_tokens"], call["reasoning_tokens"], call["model"]) == (
        1500, 100, "gpt-5-mini"
    )  # fmt: skip
    assert call["energy_version"].startswith("ecologits@")
    assert call["seconds"] > 0
    for name in ("cost_usd_micros", "price_version", "energy_wh_min", "energy_wh_max"):
        assert kept[name] == call[name]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE model_call SET cost_usd_micros = 0",
        "UPDATE turn SET cost_usd_micros = 1 WHERE state = 'done'",
        "UPDATE turn SET output_tokens = 1 WHERE state = 'done'",
    ],
)
async def test_what_a_call_cost_is_written_once(product: Product, change: str):
    async with product.client() as http:
        await ask(http, "Good morning!")
    with pytest.raises(IntegrityError) as caught:
        async with product.database.transaction() as session:
            await session.execute(text(change))
    assert isinstance(caught.value.orig, IntegrityConstraintViolation)


async def test_a_model_without_a_price_costs_null_and_raises_an_incident(
    product: Product, catalogued: Catalogued
):
    old = '[models."gpt-5-mini"]'
    catalogued.use((old, f'{old}\nupstream = "nobody-prices-this"'))
    async with product.client() as http:
        answer = (await ask(http, "Good morning!")).json()
    cost = answer["usage"]["emptor"]
    assert (cost["cost_usd_micros"], cost["price_version"]) == (None, "unknown")
    assert cost["energy_wh_min"] is None
    async with product.client("operator") as http:
        found = (await http.get("/operator/v1/incidents")).json()["data"]
    assert ("price_unknown", "gpt-5-mini") in [(i["kind"], i["subject"]) for i in found]
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    async with product.client("operator") as http:
        period = {"from": day, "to": day}
        margin = (await http.get("/operator/v1/reports/margin", params=period)).json()
    assert {r["plan"]: r for r in margin["data"]}["plus"]["cost_unknown"] >= 1


# --- who stands in -------------------------------------------------------------------------------


async def test_a_failing_model_is_answered_for_and_the_answer_says_so(
    product: Product, catalogued: Catalogued
):
    product.model.failing = {"gpt-5-mini": 503}
    async with product.client() as http:
        answer = await ask(http, "Good morning!")
        body = answer.json()
        assert body["model"] == body["route"]["model"] == "gpt-5"
        assert body["route"]["instead_of"] == "gpt-5-mini"
        assert answer.headers["x-emptor-model"] == "gpt-5"
        assert answer.headers["x-emptor-instead-of"] == "gpt-5-mini"
        turn = body["id"].replace("chatcmpl-", "trn_")
    [kept] = await rows(product, "SELECT model, state FROM turn WHERE id = :t", t=turn)
    assert (kept["model"], kept["state"]) == ("gpt-5", "done")
    async with product.client("operator") as http:
        models = {m["id"]: m for m in (await http.get("/operator/v1/models")).json()["data"]}
    assert models["gpt-5-mini"]["health"]["state"] == "failing"
    assert models["gpt-5"]["health"]["state"] == "well"


async def test_the_page_hears_of_the_stand_in_before_its_first_word(
    product: Product, catalogued: Catalogued
):
    product.model.failing = {"gpt-5-mini": 503}
    async with product.client() as http:
        thread = (await http.post("/api/threads", json={})).json()["id"]
        sent = await http.post(f"/api/threads/{thread}/turns", json={"text": "Good morning!"})
        told = [json.loads(x[6:]) for x in sent.text.splitlines() if x.startswith("data: {")]
    types = [e["type"] for e in told]
    assert types.count("RUN_STARTED") == 1
    change = types.index("STATE_DELTA")
    assert change < types.index("TEXT_MESSAGE_START")
    assert told[change]["delta"][0]["path"] == "/route"
    assert told[change]["delta"][0]["value"]["instead_of"] == "gpt-5-mini"


async def test_a_failure_after_the_first_word_ends_the_stream_and_charges_nothing(
    product: Product, catalogued: Catalogued
):
    product.model.broken = {"gpt-5-mini"}

    async def used(http: httpx.AsyncClient) -> int:
        buckets = (await http.get("/api/quota")).json()["buckets"]
        return int(next(b["used"] for b in buckets if b["name"] == "light"))

    async with product.client() as http:
        before = await used(http)
        answer = await ask(http, "Good morning!", stream=True)
        assert '"error"' in answer.text
        assert "gpt-5 " not in answer.text
        assert await used(http) == before


async def test_a_pinned_model_has_nobody_to_stand_in(product: Product, catalogued: Catalogued):
    product.model.failing = {"gpt-5": 503}
    async with product.client() as http:
        assert (await ask(http, "Good morning!", model="gpt-5")).status_code == 503


async def test_a_picture_goes_to_a_model_that_sees_or_is_refused(
    product: Product, catalogued: Catalogued
):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 60_000}}
    words = [{"type": "text", "text": "What is in this picture?"}, picture]
    body = {"model": "auto", "messages": [{"role": "user", "content": words}]}
    async with product.client() as http:
        assert (await http.post("/v1/chat/completions", json=body)).status_code == 200
        assert product.model.asked[-1]["messages"][-1]["content"][1] == picture
        blind = ("vision = true", "vision = false")
        catalogued.use(blind, blind, blind)
        refused = await http.post("/v1/chat/completions", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            400, "unsupported_content"
        )  # fmt: skip


# --- who retires ---------------------------------------------------------------------------------


async def test_a_retiring_model_is_announced_to_who_pinned_it_and_then_succeeded(
    product: Product, catalogued: Catalogued
):
    catalogued.use(retiring(datetime.now(UTC) + 35 * DAY))
    async with product.client("pro") as http:
        assert (await http.get("/api/me")).json()["notices"] == []
        await http.put("/api/me/preferences", json={"pinned_model": "gpt-4o"})
        assert (await ask(http, "Good morning!")).json()["model"] == "gpt-4o"
        [notice] = (await http.get("/api/me")).json()["notices"]
        assert (notice["code"], notice["successor"]) == ("model_retires", "gpt-5")
        catalogued.use(retiring(datetime.now(UTC)))
        [notice] = (await http.get("/api/me")).json()["notices"]
        assert notice["code"] == "model_retired"
        assert (await ask(http, "Good morning!")).json()["model"] == "gpt-5"
        gone = await ask(http, "Good morning!", model="gpt-4o")
        assert (gone.status_code, "gpt-5" in gone.json()["error"]["message"]) == (404, True)
        async with product.client("operator") as operator:
            back = await operator.post("/operator/v1/models/gpt-4o/restore")
            assert back.json() == {"id": "gpt-4o", "restored": True}
            assert (await operator.post("/operator/v1/models/gpt-5/restore")).status_code == 404
        assert (await ask(http, "Good morning!")).json()["model"] == "gpt-4o"
        assert (await http.get("/api/me")).json()["notices"] == []
        async with product.database.transaction() as session:
            assert await legacy.restored(session) == {"gpt-4o"}  # what other processes read
        await http.put("/api/me/preferences", json={"pinned_model": None})


@pytest.mark.parametrize("stream", [False, True])
async def test_who_asks_for_a_retiring_model_by_its_id_reads_its_end_in_the_headers(
    product: Product, catalogued: Catalogued, stream: bool
):
    ends = datetime.now(UTC) + 35 * DAY
    catalogued.use(retiring(ends))
    async with product.client("pro") as http:
        answers = [
            await ask(http, "Good morning!", model="gpt-4o", stream=stream),
            await http.get("/v1/models/gpt-4o"),
        ]
        for answer in answers:
            told = parsedate_to_datetime(answer.headers["sunset"])
            assert told == datetime.combine(ends.date(), time(), UTC)
            since = datetime.fromtimestamp(
                int(answer.headers["deprecation"].removeprefix("@")), UTC
            )
            assert since < datetime.now(UTC)
            assert answer.headers["link"] == '</v1/models/gpt-5>; rel="successor-version"'
        assert "sunset" not in (await ask(http, "Good morning!", stream=stream)).headers


# --- one voice -----------------------------------------------------------------------------------


def voices(product: Product) -> list[tuple[str, str]]:
    """(model, last paragraph of the system prompt) of everything that was asked."""
    systems = [(b["model"], b["messages"][0]["content"]) for b in product.model.asked]
    return [(model, said.split("\n\n")[-1]) for model, said in systems]


async def test_two_roles_in_one_thread_are_told_the_same_voice(
    product: Product, catalogued: Catalogued
):
    async with product.client("pro") as http:
        wanted = {"style": "warm", "warmth": 83}
        await http.put("/api/me/preferences", json=wanted)
        thread = (await http.post("/api/threads", json={})).json()["id"]
        json_only = {"accept": "application/json"}
        for words in ("Good morning!", "Think hard: prove that there are infinitely many primes."):
            sent = await http.post(
                f"/api/threads/{thread}/turns", json={"text": words}, headers=json_only
            )
            assert sent.status_code == 200
        product.model.failing = {"gpt-5-mini": 503}
        await http.post(
            f"/api/threads/{thread}/turns", json={"text": "Thank you!"}, headers=json_only
        )
        await http.put("/api/me/preferences", json={"style": "balanced", "warmth": 50})
    told = voices(product)
    assert {model for model, _ in told} == {"gpt-5-mini", "gpt-5"}
    assert len({voice for _, voice in told}) == 1
    assert "speak at 83" in told[0][1]
    tasks = {b["messages"][0]["content"].split("\n\n")[0] for b in product.model.asked}
    assert len(tasks) == 2


async def test_effort_and_pin_hold_for_one_turn_before_the_preferences(product: Product):
    async with product.client("pro") as http:
        await http.put("/api/me/preferences", json={"effort": "low", "pinned_model": "gpt-5"})
        hard = "Think about it: prove that there are infinitely many primes."
        await ask(http, hard)
        await ask(http, hard, reasoning_effort="high", model="gpt-5-mini")
        await http.put("/api/me/preferences", json={"effort": "auto", "pinned_model": None})
    told = [(b["model"], b.get("reasoning_effort")) for b in product.model.asked]
    assert told == [("gpt-5", "low"), ("gpt-5-mini", "high")]


async def test_a_model_named_in_words_answers_and_one_that_is_talked_about_does_not(
    product: Product,
):
    words = "Use gpt-5: what is the capital of Peru?"
    async with product.client("pro") as http:
        await http.put("/api/me/preferences", json={"effort": "auto", "pinned_model": None})
        granted = (await ask(http, words)).json()
        await ask(http, "My boss told me to use gpt-5. What is the capital of Peru?")
    served = [body["model"] for body in product.model.asked]
    assert served == ["gpt-5", "gpt-5-mini"]
    route = granted["route"]
    assert (route["kind"], route["requested"], route["model"]) == ("casual", "auto", "gpt-5")
    assert route["explanation"].endswith("you asked for gpt-5")
