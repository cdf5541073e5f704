"""The whole conversation on one screen: classify → light | reasoning | agent → answer.

No node moves money: the agent's strongest act is a proposal that waits for the person. Events go
out through the stream as they happen; nothing here waits for a whole answer.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from graphs.claims import Watch
from graphs.lifted import plainly
from graphs.personality import prompt
from graphs.shopping import shop
from graphs.state import (
    Admission,
    Called,
    Effort,
    Finished,
    Remembered,
    Role,
    Route,
    Routed,
    TextDelta,
    ToolCallDelta,
    Turn,
    TurnContext,
)
from integrations.chunk import Chunk
from integrations.usage import Usage


@dataclass(frozen=True, slots=True)
class Brief:
    """What `answer` says: `said` word for word, else what the model makes of `messages`."""

    messages: tuple[dict[str, Any], ...] = ()
    effort: Effort | None = None
    said: str | None = None


class State(TypedDict, total=False):
    turn: Turn
    route: Route
    admission: Admission
    brief: Brief


Branch = Literal["light", "reasoning", "agent"]


async def classify(state: State, runtime: Runtime[TurnContext]) -> Command[Branch]:
    """Route the turn, take its allowance, and say both before anything else is said."""
    turn, context = state["turn"], runtime.context
    asked: Called | None = None
    if turn.housekeeping:
        route = Route(kind="casual", action="housekeeping", role="light_mini", cause="housekeeping")
    else:
        route = await asyncio.to_thread(context.router.route, turn.ask)
        if context.judge is not None:
            route, asked = await context.judge.settle(turn.ask, route, context.models)
    admission = await context.allowances.admit(route)
    route = plainly(route, admission.role)
    runtime.stream_writer(Routed(route, admission, turn.language))
    if asked is not None:
        runtime.stream_writer(asked)
    return Command(update={"route": route, "admission": admission}, goto=_branch(turn, route))


def _branch(turn: Turn, route: Route) -> Branch:
    # A client in a tool loop of its own, or one that demands its tool, is talking to the model.
    in_tool_loop = bool(turn.messages) and turn.messages[-1].get("role") == "tool"
    demands_tool = bool(turn.tools) and turn.tool_choice not in (None, "auto", "none")
    if route.kind == "commercial" and not in_tool_loop and not demands_tool:
        return "agent"
    return "reasoning" if route.kind == "complex" or route.role == "reasoning" else "light"


async def light(state: State) -> State:
    """A light answer takes the effort that was asked for, and is told none otherwise."""
    asked = state["turn"].ask.effort
    return {"brief": _brief(state, effort=state["admission"].effort if asked else None)}


async def reasoning(state: State) -> State:
    return {"brief": _brief(state, effort=state["admission"].effort or "medium")}


def _brief(state: State, *, effort: Effort | None) -> Brief:
    return Brief(tuple(told_to(state["turn"], state["admission"].role)), effort=effort)


def told_to(turn: Turn, role: Role) -> list[dict[str, Any]]:
    """What the role's model is sent: the conversation, under our own words where it has none."""
    messages = [dict(m) for m in turn.messages]
    if messages and messages[0].get("role") not in ("system", "developer"):
        words = prompt(role, style=turn.style, warmth=turn.warmth, language=turn.language)
        messages.insert(0, {"role": "system", "content": words})
    return messages


async def agent(state: State, runtime: Runtime[TurnContext]) -> State:
    """Understand, search, propose. Its sentences are written from rows, not by the model."""
    outcome = await shop(
        state["turn"],
        state["route"],
        state["admission"],
        runtime.context,
        runtime.stream_writer,
    )
    if outcome.memory:
        runtime.stream_writer(Remembered(outcome.memory))
    return {"brief": Brief(said=outcome.text)}


async def answer(state: State, runtime: Runtime[TurnContext]) -> State:
    """Say it. A model's claim of a purchase that no row backs is cut out on its way."""
    brief, emit = state["brief"], runtime.stream_writer
    if brief.said is not None:
        emit(TextDelta(brief.said))
        emit(Finished("stop"))
        return {}
    turn, admission = state["turn"], state["admission"]
    watch, began = Watch(turn.language, ask=turn.ask.text), time.monotonic()
    usage, reason, served = Usage(estimated=True), "stop", admission.model
    async with aclosing(_asked(turn, admission, brief, runtime.context)) as chunks:
        async for chunk in chunks:
            if chunk.model not in (None, served):
                served = str(chunk.model)
                emit(Routed(state["route"], _stands_in(admission, served), turn.language))
            if safe := watch.pass_on(chunk.text):
                emit(TextDelta(safe))
            for piece in chunk.tools:
                emit(ToolCallDelta(piece.index, piece.id, piece.name, piece.arguments))
            usage, reason = chunk.usage or usage, chunk.finish_reason or reason
    if rest := watch.finish():
        emit(TextDelta(rest))
    emit(Called(served, usage, time.monotonic() - began))
    emit(Finished(reason))
    return {}


def _asked(
    turn: Turn, admission: Admission, brief: Brief, context: TurnContext
) -> AsyncGenerator[Chunk, None]:
    return context.models.stream(
        admission.model,
        brief.messages,
        fallbacks=admission.fallbacks,
        first_token_s=admission.first_token_s,
        effort=brief.effort,
        tools=turn.tools,
        tool_choice=turn.tool_choice,
        max_tokens=admission.max_tokens(turn.max_tokens),
        temperature=turn.temperature,
        stop=turn.stop,
        response_format=turn.response_format,
    )


def _stands_in(admission: Admission, served: str) -> Admission:
    """Said before the first word: who answers, and for whom."""
    return replace(admission, model=served, instead_of=admission.model)


def build() -> Any:
    """The compiled graph; stream it with `stream_mode="custom"` and a `TurnContext`."""
    graph = StateGraph(State, context_schema=TurnContext)
    for node in (classify, light, reasoning, agent, answer):
        graph.add_node(node)
    graph.add_edge(START, "classify")
    for branch in ("light", "reasoning", "agent"):
        graph.add_edge(branch, "answer")
    graph.add_edge("answer", END)
    return graph.compile()
