"""Who answers when a model cannot: the chain, the breaker, the budget, the providers' addresses."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from integrations.health import BURST, FAILURES, REST_S, Health
from integrations.model_catalogue import Catalogue, CatalogueError, needs
from integrations.models import ChatModels, ModelUnavailable, Usage
from tests.fakes_model import FakeModel
from tests.servers import serving

SHIPPED = Path(__file__).parents[2] / "integrations" / "models.toml"
EXAMPLE = SHIPPED.with_name("models.example.toml")
HELLO = [{"role": "user", "content": "Hello"}]
CHAIN = ("gpt-5-mini", "gpt-5-nano")


@pytest.fixture
async def fake() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def models(fake: FakeModel) -> AsyncIterator[ChatModels]:
    async with serving(fake.app()) as url:
        key = SecretStr("sk-test")
        opened = ChatModels(Catalogue.read(SHIPPED), base_url=f"{url}/v1", api_key=key)
        yield opened
        await opened.close()


async def said(models: ChatModels, *, patience: float = 5.0) -> tuple[str | None, str]:
    """Who answered and what."""
    stream = models.stream("gpt-5", HELLO, fallbacks=CHAIN, first_token_s=patience)
    pieces = [piece async for piece in stream]
    named = [p.model for p in pieces if p.model]
    assert len(named) == 1
    assert pieces[0].model == named[0]
    return named[0], "".join(p.text for p in pieces)


async def test_the_first_model_answers_and_is_named(models, fake):
    assert await said(models) == ("gpt-5", "I am gpt-5 and I heard you.")
    assert len(fake.asked) == 1


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_a_model_that_fails_before_its_first_token_is_answered_for(models, fake, status):
    fake.failing = {"gpt-5": status, "gpt-5-mini": status}
    assert await said(models) == ("gpt-5-nano", "I am gpt-5-nano and I heard you.")
    assert [body["model"] for body in fake.asked] == ["gpt-5", "gpt-5-mini", "gpt-5-nano"]


async def test_an_opening_without_a_word_is_no_token_and_time_runs_out(models, fake):
    fake.silent = {"gpt-5"}
    assert (await said(models, patience=0.2))[0] == "gpt-5-mini"


async def test_after_the_first_word_a_failure_is_the_end(models, fake):
    fake.broken = {"gpt-5"}
    stream = models.stream("gpt-5", HELLO, fallbacks=CHAIN)
    assert (await anext(stream)).text == "I"
    with pytest.raises(ModelUnavailable):
        await anext(stream)
    assert len(fake.asked) == 1


async def test_a_request_that_is_wrong_is_wrong_everywhere(models, fake):
    fake.failing = {"gpt-5": 400}
    with pytest.raises(ModelUnavailable) as caught:
        await said(models)
    assert (caught.value.status, len(fake.asked)) == (400, 1)
    assert models.health.of("gpt-5")["state"] == "well"


async def test_when_all_fail_the_last_ones_error_is_the_answer(models, fake):
    fake.fail_status = 503
    with pytest.raises(ModelUnavailable) as caught:
        await said(models)
    assert (caught.value.status, len(fake.asked)) == (503, 3)


async def test_a_model_that_keeps_failing_rests_and_is_tried_again_afterwards(models, fake):
    now = [0.0]
    models.health.clock = lambda: now[0]
    fake.failing = {"gpt-5": 500}
    for _ in range(FAILURES + 1):
        await said(models)
    assert [b["model"] for b in fake.asked].count("gpt-5") == FAILURES
    assert models.health.of("gpt-5")["state"] == "resting"
    fake.failing = {}
    now[0] = REST_S + 1
    assert (await said(models))[0] == "gpt-5"
    assert models.health.of("gpt-5")["state"] == "well"


def test_a_rest_that_is_over_lets_one_call_through():
    now = [0.0]
    health = Health(clock=lambda: now[0])
    for _ in range(FAILURES):
        health.failed("m", "HTTP 500")
    now[0] = REST_S + 1
    assert [health.open_to("m") for _ in range(3)] == [True, False, False]


def test_the_budget_bounds_how_much_a_sick_provider_is_asked_again():
    health, retried = Health(), 0
    for _ in range(1_000):
        health.asked()
        retried += health.may_retry()
    assert retried <= BURST + 0.2 * 1_000


async def test_without_budget_the_first_failure_is_the_answer(models, fake):
    fake.failing = {"gpt-5": 500}
    models.health.budget = 0.0
    with pytest.raises(ModelUnavailable):
        await said(models)


async def test_a_model_of_another_provider_is_asked_at_its_address_with_its_key(fake, tmp_path):
    other, headers = FakeModel(), []
    key = tmp_path / "key"
    key.write_text("sk-other\n")
    app = other.app()

    @app.middleware("http")
    async def noted(request, call_next):
        headers.append(request.headers["authorization"])
        return await call_next(request)

    async with serving(fake.app()) as home, serving(app) as away:
        file = tmp_path / "models.toml"
        file.write_text(
            SHIPPED.read_text().replace(
                '[models."gpt-5-mini"]',
                f'[providers.other]\nbase_url = "{away}/v1"\napi_key_file = "{key}"\n\n'
                '[models."gpt-5-mini"]\nprovider = "other"',
            )
        )
        models = ChatModels(
            Catalogue.read(file), base_url=f"{home}/v1", api_key=SecretStr("sk-home")
        )
        fake.failing = {"gpt-5": 503}
        assert (await said(models))[0] == "gpt-5-mini"
        await models.close()
    assert (headers, len(other.asked), len(fake.asked)) == (["Bearer sk-other"], 1, 1)


async def test_usage_that_cannot_be_is_cut_and_marked(models, fake):
    fake.usage = {
        "prompt_tokens": 10,
        "completion_tokens": -5,
        "prompt_tokens_details": {"cached_tokens": 50},
    }
    pieces = [p async for p in models.stream("gpt-5", HELLO)]
    assert [p.usage for p in pieces if p.usage] == [Usage(10, 10, 0, 0, estimated=True)]


def test_what_a_turn_needs_is_read_from_it():
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    assert needs(HELLO, (), None) == frozenset()
    assert needs([picture], ({},), {"type": "json_schema"}) == {"vision", "tools", "json"}
    assert needs(HELLO, (), {"type": "text"}) == frozenset()


def test_the_example_is_valid_and_lists_what_may_still_be_pinned():
    example = Catalogue.read(EXAMPLE)
    assert set(example.providers) == {"azure", "vllm", "ollama", "litellm", "openrouter"}
    going = example.models["gpt-4o"].retires
    assert "gpt-4o" not in example.listed("openai", today=going)
    assert "gpt-4o" in example.listed("openai", today=going, restored=frozenset({"gpt-4o"}))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("retires = 2027-01-31", "retires = 2026-12-01"), "30 days"),
        (('successor = "gpt-5"', 'successor = "gone"'), "no successor 'gone'"),
        (("announced = 2026-11-26\n", ""), "announced"),
        (('fallbacks = ["deepseek-v3"]', 'fallbacks = ["gpt-4o"]'), "still holds a role"),
        (('fallbacks = ["deepseek-v3"]', 'fallbacks = ["nope"]'), "roles.openai.reasoning"),
        (('provider = "vllm"', 'provider = "nope"'), "models.qwen3-32b: no provider"),
        (("# api_key_file", "api_key_file"), "providers.azure: api_key_file"),
        (("output_usd_micros_per_mtok = 350_000\n", ""), "both prices"),
        (('fallbacks = ["deepseek-v3"]', 'fallbacks = ["gpt-5"]'), "reasoning: 'gpt-5' .* twice"),
        (("[0.1, 0.9]", "[0.9, 0.1]"), "models.llama3.2-3b: energy_wh_per_ktok is .min, max."),
        (("max_output = 16384", "max_ouput = 16384"), "max_ouput: .* did you mean 'max_output'"),
        (("max_output = 16384", "max_output = 0"), "gpt-5.max_output: .* it is 0"),
        (('successor = "gpt-5"', 'successor = "gpt-4o"'), "in a circle: gpt-4o → gpt-4o"),
        (('[models."team-default"]', '[models."auto"]'), "models.auto: .* another name"),
        (("light_mini = {", "nano = {"), "roles.embedded.nano: no such role; there are light"),
        (('provider = "ollama"', 'endpoint = "embedded"'), "runs on the embedded server only"),
    ],
)
def test_a_mistake_about_chains_and_dates_is_named(tmp_path, change, named):
    file = tmp_path / "models.toml"
    file.write_text(EXAMPLE.read_text().replace(*change, 1))
    with pytest.raises(CatalogueError, match=named):
        Catalogue.read(file)


def test_every_mistake_of_the_catalogue_is_named_at_once(tmp_path):
    file = tmp_path / "models.toml"
    text = EXAMPLE.read_text().replace('provider = "vllm"', 'provider = "nope"')
    file.write_text(text.replace('successor = "gpt-5"', 'successor = "gone"'))
    with pytest.raises(CatalogueError) as caught:
        Catalogue.read(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}: models.") for line in lines)


def test_a_successor_that_holds_no_role_is_refused(tmp_path):
    """Whoever pinned the old one would be told that the new one does not exist."""
    file = tmp_path / "models.toml"
    lone = '[models."lone"]\ncontext_window = 4096\n\n[models."gpt-4o"]'
    text = EXAMPLE.read_text().replace('[models."gpt-4o"]', lone)
    file.write_text(text.replace('successor = "gpt-5"', 'successor = "lone"'))
    with pytest.raises(CatalogueError, match="successor 'lone' holds no role"):
        Catalogue.read(file)


def test_the_roles_of_the_endpoint_in_use_must_be_there(tmp_path):
    file = tmp_path / "models.toml"
    text = EXAMPLE.read_text()
    start, end = text.index("[roles.embedded]"), text.index("# The first that begins")
    file.write_text(text[:start] + text[end:])
    assert Catalogue.read(file, endpoint="openai").seat("light", "openai")
    with pytest.raises(CatalogueError, match=r"roles\.embedded is missing"):
        Catalogue.read(file, endpoint="embedded")
