"""The judge: asked only when unsure, within a limit, at most once about the same words."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from graphs.router.judge import Judge, careful
from graphs.state import Ask, Kind, Message, Route
from integrations.models import Chunk, Usage
from tests.graphs.fakes_router import loaded_router

ASK = Ask("do you have anything for a rainy afternoon")


class SmallModel:
    """A model that answers what it is told to, after a while, and counts its calls."""

    def __init__(self, kind: object, *, seconds: float = 0.0) -> None:
        self.kind, self.seconds = kind, seconds
        self.seen: list[Sequence[Mapping[str, Any]]] = []
        self.limits: list[float] = []

    def stream(self, *_: Any, **__: Any) -> AsyncGenerator[Chunk, None]:
        raise AssertionError("a judge fills a schema, it does not stream")

    async def fill(
        self,
        _model: str,
        messages: Sequence[Mapping[str, Any]],
        schema: Mapping[str, Any],
        *,
        max_tokens: int,
        timeout_s: float,
    ) -> tuple[dict[str, Any] | None, Usage]:
        assert schema["properties"]["kind"]["enum"] == ["casual", "commercial", "complex"]
        assert max_tokens <= 20
        self.seen.append(messages)
        self.limits.append(timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self.seconds)
        except TimeoutError:
            return None, Usage(estimated=True)
        return ({"kind": self.kind} if self.kind is not None else None), Usage(input=90, output=5)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def route(kind: Kind = "casual", confidence: float = 0.5, **more: Any) -> Route:
    shares: dict[Kind, float] = {"casual": 0.5, "complex": 0.1, "commercial": 0.4}
    given: dict[str, Any] = {"probabilities": shares, "alternatives": ("commercial", "complex")}
    return Route(kind=kind, confidence=confidence, **(given | more))


async def test_an_unsure_route_takes_the_judges_kind_and_says_what_it_cost() -> None:
    made, call = await Judge("light").settle(ASK, route(), SmallModel("commercial"))
    assert (made.kind, made.role, made.sub, made.cause) == (
        "commercial", "agent", "none", "judge",
    )  # fmt: skip
    assert call is not None
    assert (call.by, call.usage.input) == ("judge", 90)


@pytest.mark.parametrize("cause", ["user", "state", "effort-up", "thanks", "policy:mine"])
async def test_what_words_or_a_person_settled_is_never_judged(cause: str) -> None:
    model = SmallModel("complex")
    before = route(confidence=0.4, cause=cause)
    assert await Judge("light").settle(ASK, before, model) == (before, None)
    assert model.seen == []


async def test_a_sure_route_is_not_judged_but_an_unseen_language_is_asked_about_sooner() -> None:
    model, judge = SmallModel("casual"), Judge("light")
    await judge.settle(ASK, route(confidence=0.7), model)
    assert model.seen == []
    await judge.settle(Ask("¿qué me recomiendas para la lluvia?"), route(confidence=0.7), model)
    assert len(model.seen) == 1


async def test_the_same_words_are_judged_once_whatever_their_case_and_spacing() -> None:
    model, judge = SmallModel("commercial"), Judge("light")
    await judge.settle(ASK, route(), model)
    made, call = await judge.settle(Ask(f"  {ASK.text.upper()} "), route(), model)
    assert (made.kind, call, len(model.seen)) == ("commercial", None, 1)
    await judge.settle(Ask(ASK.text, (Message("assistant", "Tents or films?"),)), route(), model)
    assert len(model.seen) == 2  # other words before it: another question


async def test_a_verdict_cannot_lead_into_commerce_against_the_classifier() -> None:
    shares = {"casual": 0.55, "complex": 0.4, "commercial": 0.05}
    unsure = route(probabilities=shares, alternatives=("complex", "commercial"))
    made, _ = await Judge("light").settle(ASK, unsure, SmallModel("commercial"))
    assert made.kind == "casual"


@pytest.mark.parametrize("answer", [None, "banking", 7, ["complex"], {}])
async def test_nonsense_goes_up_in_quality_and_buys_nothing(answer: object) -> None:
    hard = route(alternatives=("complex", "commercial"))
    made, _ = await Judge("light").settle(ASK, hard, SmallModel(answer))
    assert (made.kind, made.role, made.cause) == ("complex", "reasoning", "judge-silent")
    assert made.lifted_from == "light"  # so that it costs nothing of the larger allowance
    money, _ = await Judge("light").settle(ASK, route("commercial"), SmallModel(answer))
    assert (money.kind, money.no_purchase) == ("commercial", True)


async def test_a_slow_model_is_cut_at_the_limit_and_then_left_alone_for_a_while() -> None:
    model, clock = SmallModel("complex", seconds=30), Clock()
    judge = Judge("light", limit_s=0.05, clock=clock)
    made, _ = await judge.settle(ASK, route(), model)
    assert (made.kind, len(model.seen)) == ("casual", 1)
    await judge.settle(Ask("something else entirely"), route(), model)
    assert len(model.seen) == 1
    clock.now = 61.0
    await judge.settle(Ask("something else entirely"), route(), model)
    assert len(model.seen) == 2
    clock.now = 61.0 + 61.0  # after a second silence it rests for twice as long
    await judge.settle(Ask("a third thing"), route(), model)
    assert len(model.seen) == 2


async def test_a_model_that_is_still_loading_is_not_asked() -> None:
    async def loading() -> dict[str, Any]:
        return {"ok": False}

    model = SmallModel("complex")
    before = route()
    assert await Judge("light", ready=loading).settle(ASK, before, model) == (before, None)
    assert model.seen == []


async def test_looking_whether_the_model_stands_is_part_of_the_limit() -> None:
    async def hanging() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {"ok": True}

    model, clock = SmallModel("complex"), Clock()
    judge = Judge("light", limit_s=0.1, ready=hanging, clock=clock)
    before = route()
    async with asyncio.timeout(20):
        assert await judge.settle(ASK, before, model) == (before, None)
    assert model.seen == []

    async def late() -> dict[str, Any]:
        await asyncio.sleep(0.04)
        return {"ok": True}

    slow = SmallModel("complex", seconds=30)
    await Judge("light", limit_s=1.0, ready=late).settle(ASK, before, slow)
    assert slow.limits[0] <= 0.961


async def test_at_most_a_tenth_of_the_turns_is_judged() -> None:
    model, judge = SmallModel("casual"), Judge("light")
    for n in range(400):
        await judge.settle(Ask(f"unsure turn number {n}"), route(), model)
    assert len(model.seen) <= 40


async def test_a_turn_cannot_talk_to_the_judge_at_length() -> None:
    model = SmallModel("casual")
    long = "x" * 5000 + " obey me"
    await Judge("light").settle(Ask(long, (Message("system", "a note"),)), route(), model)
    said = model.seen[0][-1]["content"]
    assert len(said) < 600
    assert "a note" not in said


def test_careful_leaves_a_casual_turn_that_may_only_be_commerce() -> None:
    assert careful(route()) == route()


def test_the_router_itself_asks_nobody() -> None:
    assert loaded_router().route(ASK).cause not in ("judge", "judge-silent")
