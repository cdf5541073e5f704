"""The catalogue, the token bound, prices, and the one client path to a model."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from pydantic import SecretStr

from integrations.models import (
    Catalogue,
    CatalogueError,
    ChatModels,
    Model,
    ModelUnavailable,
    Usage,
    cost,
)
from integrations.prices import check_providers
from tests.fakes_model import FakeModel
from tests.servers import serving, until

SHIPPED = Path(__file__).parents[2] / "integrations" / "models.toml"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def fake() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def models(fake: FakeModel) -> AsyncIterator[ChatModels]:
    async with serving(fake.app()) as url:
        opened = ChatModels(
            Catalogue.read(SHIPPED), base_url=f"{url}/v1", api_key=SecretStr("sk-test")
        )
        yield opened
        await opened.close()


def test_the_shipped_catalogue_is_valid_and_lists_embedded_models_in_file_order():
    catalogue = Catalogue.read(SHIPPED)
    assert catalogue.listed("embedded") == ["emptor-local", "emptor-local-mini"]
    assert "gpt-5" in catalogue.listed("openai")
    assert "gpt-5" not in catalogue.listed("embedded")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (('model = "emptor-local", max_tokens = 220', 'model = "nope"'), "roles.embedded.light"),
        (("context_window = 8192", "context_window = 12"), "context_window"),
        (("max_output = 800", 'max_output = "many"'), "max_output"),
        (('version = "2026-11-26"', ""), "version"),
        (("\n[roles.embedded]\n", "\n[roles.embeded]\n"), "roles"),
        (('version = "2026-11-26"', "version = "), "not TOML"),
    ],
)
def test_a_mistake_in_the_catalogue_is_named_with_its_place(tmp_path, change, named):
    path = tmp_path / "models.toml"
    path.write_text(SHIPPED.read_text().replace(*change, 1))
    with pytest.raises(CatalogueError, match=named):
        Catalogue.read(path)


def test_a_role_left_out_is_named(tmp_path):
    path = tmp_path / "models.toml"
    text = SHIPPED.read_text()
    start = text.index("reasoning_mini = { model")
    path.write_text(text[:start] + text[text.index("\n", start) :])
    with pytest.raises(CatalogueError, match="reasoning_mini"):
        Catalogue.read(path)


def test_a_local_model_costs_nothing_and_says_its_energy_as_a_range():
    catalogue = Catalogue.read(SHIPPED)
    priced = cost("emptor-local", catalogue.models["emptor-local"], Usage(input=100, output=1000))
    assert priced.usd_micros == 0
    assert priced.energy_wh == (0.1, 0.9)


def test_a_cloud_model_is_priced_from_the_public_list_and_rounded_up():
    model = Model(context_window=400_000, price_provider="openai")
    one = cost("gpt-5-nano", model, Usage(input=1, output=0))
    many = cost("gpt-5-nano", model, Usage(input=1_000_000, output=0))
    assert one.usd_micros == 1
    assert many.usd_micros is not None
    assert many.usd_micros > 1000


def test_a_model_without_a_known_price_says_so_instead_of_zero():
    priced = cost("no-such-model", Model(context_window=1000), Usage(input=10, output=10))
    assert priced.usd_micros is None
    assert priced.price_version == "unknown"


def test_a_provider_that_the_public_list_does_not_have_is_named_with_those_it_has():
    shipped = Catalogue.read(SHIPPED)
    check_providers(shipped, source="my.toml")
    typo = Model(context_window=1000, price_provider="opneai")
    priced = typo.model_copy(
        update={"input_usd_micros_per_mtok": 1, "output_usd_micros_per_mtok": 1}
    )
    wrong = shipped.model_copy(update={"models": {"large": typo, "own-prices": priced}})
    with pytest.raises(CatalogueError, match=r"my.toml: models.large: .*'opneai'.*openai"):
        check_providers(wrong, source="my.toml")


def test_a_price_in_the_file_wins_over_the_public_list():
    model = Model(
        context_window=1000, input_usd_micros_per_mtok=2_000_000, output_usd_micros_per_mtok=0
    )
    assert cost("gpt-5", model, Usage(input=3)).usd_micros == 6


async def test_a_stream_arrives_in_pieces_with_usage_at_the_end(models: ChatModels):
    pieces = [p async for p in models.stream("emptor-local", HELLO)]
    assert len([p for p in pieces if p.text]) > 1
    assert "".join(p.text for p in pieces) == "I am emptor-local and I heard you."
    assert [p.usage for p in pieces if p.usage] == [Usage(input=10, output=7)]
    assert [p.finish_reason for p in pieces if p.finish_reason] == ["stop"]


async def test_a_client_tool_call_arrives_in_pieces(models: ChatModels, fake: FakeModel):
    fake.tool_call = {"name": "get_weather", "arguments": {"city": "Paris"}}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
    pieces = [p async for p in models.stream("emptor-local", HELLO, tools=[tool])]
    calls = [t for p in pieces for t in p.tools]
    assert calls[0].name == "get_weather"
    assert "".join(c.arguments for c in calls) == '{"city": "Paris"}'
    assert fake.asked[0]["tools"] == [tool]


async def test_a_model_that_does_not_reason_is_not_told_an_effort(models, fake):
    [p async for p in models.stream("emptor-local", HELLO, effort="high", temperature=0.5)]
    assert "reasoning_effort" not in fake.asked[0]
    assert fake.asked[0]["temperature"] == 0.5


async def test_a_reasoning_model_is_told_its_effort_and_no_temperature(models, fake):
    [p async for p in models.stream("gpt-5", HELLO, effort="high", temperature=0.5)]
    assert fake.asked[0]["reasoning_effort"] == "high"
    assert "temperature" not in fake.asked[0]


async def test_a_refusal_of_the_server_is_a_typed_error_with_its_status(models, fake):
    fake.fail_status = 400
    with pytest.raises(ModelUnavailable) as caught:
        [p async for p in models.stream("emptor-local", HELLO)]
    assert caught.value.status == 400


async def test_a_stream_that_breaks_raises_after_what_was_said(models, fake):
    fake.break_after = 2
    pieces = models.stream("emptor-local", HELLO)
    assert (await anext(pieces)).text in ("", "I")
    with pytest.raises(ModelUnavailable):
        [p async for p in pieces]


async def test_a_stream_that_stops_without_its_end_is_no_answer(models, fake):
    fake.finish = None
    with pytest.raises(ModelUnavailable, match="broke off"):
        [p async for p in models.stream("emptor-local", HELLO)]


PIECE = '{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}'


# The client warns of what it then stumbles over.
WARNED = pytest.mark.filterwarnings("ignore:Pydantic serializer")


@WARNED
@pytest.mark.parametrize(
    "raw",
    [
        "",
        "<html>busy</html>",
        "data: not json\n\n",
        "data: [DONE]\n\n",
        ": ping\n\n",
        'data: {"choices":"none"}\n\n',
        f"data: {PIECE}\n\ndata: {{bad\n\n",
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_typed_error(models, fake, raw):
    fake.raw = raw
    with pytest.raises(ModelUnavailable):
        [p async for p in models.stream("emptor-local", HELLO)]


@WARNED
@pytest.mark.parametrize("broken", [{"prompt_tokens": "a"}, {"completion_tokens": 3.5}])
async def test_nonsense_about_what_was_used_does_not_spoil_the_answer(models, fake, broken):
    fake.usage = {"completion_tokens_details": None} | broken
    pieces = [p async for p in models.stream("emptor-local", HELLO)]
    assert "".join(p.text for p in pieces) == fake.reply({"model": "emptor-local"})


async def test_an_unreachable_server_is_a_typed_error():
    models = ChatModels(
        Catalogue.read(SHIPPED), base_url="http://127.0.0.1:9/v1", api_key=SecretStr("x")
    )
    with pytest.raises(ModelUnavailable):
        [p async for p in models.stream("emptor-local", HELLO)]
    assert (await models.ready())["ok"] is False
    await models.close()


async def test_closing_the_stream_frees_the_model_at_once(models, fake):
    fake.pause_s = 0.05
    fake.reply = lambda _: "word " * 500
    async with aclosing(models.stream("emptor-local", HELLO)) as pieces:
        await anext(pieces)
        await anext(pieces)
        assert fake.active == 1
    await until(lambda: fake.cancelled == 1, within_s=5)


async def test_fill_gives_the_object_and_asks_for_its_schema(models, fake):
    fake.reply = lambda _: '{"city": "Paris"}'
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    filled, usage = await models.fill("emptor-local", HELLO, schema, max_tokens=50, timeout_s=5)
    assert filled == {"city": "Paris"}
    assert usage.output == 2
    assert fake.asked[0]["response_format"]["json_schema"]["schema"] == schema


async def test_fill_gives_none_for_prose_and_for_a_slow_model(models, fake):
    assert (await models.fill("emptor-local", HELLO, {}, max_tokens=9, timeout_s=5))[0] is None
    fake.pause_s = 0.2
    assert (await models.fill("emptor-local", HELLO, {}, max_tokens=9, timeout_s=0.1))[0] is None
