"""One turn: reserve, run the graph, stream, settle or release.

Two short transactions frame the model's answer and none is open while it streams. Whatever ends
the turn (an answer, an error, a client that left), it is closed exactly once.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

import quotas.usage as allowances
from backend import threads
from backend.errors import AppError, ModelFailed, Unavailable
from backend.gate import Gate
from backend.ids import new_id
from backend.masking import mask_cards
from backend.opening import open_turn
from backend.tally import Tally
from backend.threads import ModelCall, TurnRow
from backend.turn import Chat, Closed, Opened, Request, TurnEvent
from graphs.state import Called, Event, Finished, Remembered, Turn, TurnContext
from integrations.models import Cost, ModelUnavailable, Usage, cost, token_bound

log = structlog.get_logger()


# Tasks that end a turn whose reader has gone; kept here so that they are not collected.
_endings: set[asyncio.Task[tuple[Closed, Exception | None]]] = set()


async def play(chat: Chat, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """The turn's events as they happen: `Opened`, the graph's, `Closed`.

    Raises `ModelFailed` (nothing is charged), `QuotaExhausted` when every rung is used up,
    `Conflict` while the thread is busy or without a known plan. Closing the iterator frees the
    model and settles.

    The graph runs in a task of its own. A web server cancels a reader again at each await, and a
    graph that is interrupted while it cleans up leaves its model call running.
    """
    chat.seats.known(request.model)
    chat.plan_of(request.user)
    tally = Tally(new_id("trn"))
    turn = await open_turn(chat, request, tally.turn_id)
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    running = asyncio.create_task(_run(chat, request, turn, tally, events))
    try:
        yield Opened(tally.turn_id, request.thread.id if request.thread else None)
        while (event := await events.get()) is not None:
            yield event
    finally:
        running.cancel()
        ending = asyncio.create_task(_end(chat, request, tally, running))
        _endings.add(ending)
        ending.add_done_callback(_endings.discard)
        closed, error = await asyncio.shield(ending)
    if error is not None:
        raise error
    yield closed


async def _run(
    chat: Chat, request: Request, turn: Turn, tally: Tally, events: asyncio.Queue[Event | None]
) -> None:
    """The graph, its events noted and handed on; None at the end, however it ended."""
    thread_id = request.thread.id if request.thread else None
    context = TurnContext(
        router=chat.router,
        allowances=Gate(chat, request, turn),
        models=chat.models,
        shelf=chat.shelf,
        desk=chat.desk(request.user, thread_id),
        judge=chat.judge,
    )
    stream = chat.graph.astream({"turn": turn}, context=context, stream_mode="custom")
    try:
        async with aclosing(stream) as told:
            async for event in told:
                if tally.note(event):
                    await _start(chat, tally)
                if not isinstance(event, Finished | Remembered):
                    events.put_nowait(event)
    finally:
        events.put_nowait(None)


async def _end(
    chat: Chat, request: Request, tally: Tally, running: asyncio.Task[None]
) -> tuple[Closed, Exception | None]:
    """Wait for the graph to be gone, then close the turn as it ended."""
    await asyncio.wait([running])
    state, error = "done", None
    if running.cancelled():
        state = "aborted"
    elif (raised := running.exception()) is not None:
        state = "failed"
        if not isinstance(raised, Exception):
            raise raised
        error = raised
    if isinstance(error, ModelUnavailable):
        log.warning("model_failed", turn_id=tally.turn_id, detail=error.detail)
        error = _model_failed(error)
    return await _close(chat, request, tally, state), error


def _model_failed(error: ModelUnavailable) -> AppError:
    """Busy or still loading passes (503); anything else is the model's failure (502)."""
    said = error.detail.rstrip(".")
    if error.status in (429, 503):
        return Unavailable(
            f"The model cannot answer now: {said}. Nothing was charged; try again shortly",
            code="model_busy" if error.status == 429 else "model_unavailable",
            headers={"Retry-After": "3"},
        )
    return ModelFailed(f"The model did not answer: {said}. Nothing was charged; try again")


async def _start(chat: Chat, tally: Tally) -> None:
    """From the first visible piece on, a crash is charged: the person has had something."""
    async with chat.database.transaction() as session:
        await allowances.start(session, tally.turn_id)


@dataclass(frozen=True, slots=True)
class Bill:
    """A turn's calls with their prices. `usd_micros` is None when one price is unknown."""

    calls: tuple[tuple[Called, Cost], ...]

    @property
    def usage(self) -> Usage:
        used = [call.usage for call, _ in self.calls]
        return Usage(
            input=sum(u.input for u in used),
            cached=sum(u.cached for u in used),
            output=sum(u.output for u in used),
            reasoning=sum(u.reasoning for u in used),
            estimated=any(u.estimated for u in used),
        )

    @property
    def usd_micros(self) -> int | None:
        known = [price.usd_micros for _, price in self.calls if price.usd_micros is not None]
        return sum(known) if len(known) == len(self.calls) else None

    @property
    def energy_wh(self) -> tuple[float, float]:
        lows, highs = (
            [p.energy_wh[0] for _, p in self.calls],
            [p.energy_wh[1] for _, p in self.calls],
        )
        return sum(lows), sum(highs)

    @property
    def price_version(self) -> str | None:
        return self.calls[0][1].price_version if self.calls else None


def _bill(chat: Chat, tally: Tally, state: str) -> Bill:
    calls = list(tally.calls)
    served = tally.routed.admission if tally.routed else None
    answered = any(call.by == "answer" for call in calls)
    if state == "aborted" and served is not None and tally.text and not answered:
        # Cut before the provider said what it used: our own upper count, marked as such.
        counted = Usage(output=token_bound("".join(tally.text)), estimated=True)
        calls.append(Called(served.model, counted))
    models = chat.seats.catalogue.models
    return Bill(tuple((call, cost(call.model, models[call.model], call.usage)) for call in calls))


async def _close(chat: Chat, request: Request, tally: Tally, state: str) -> Closed:
    """Settle or release, write what was used, give the thread back: one transaction."""
    bill = _bill(chat, tally, state)
    async with chat.database.transaction() as session:
        quota = await _end_allowance(session, chat, request, tally, state)
        for call, price in bill.calls:
            session.add(_call_row(tally.turn_id, call, price))
        await session.execute(
            update(TurnRow)
            .where(col(TurnRow.id) == tally.turn_id, col(TurnRow.state) == "open")
            .values(state=state, quota=quota, **_written(tally, bill, quota))
        )
        if request.thread is not None:
            await threads.leave(session, request.thread.id, tally.turn_id)
    return Closed(tally.turn_id, tally.reason, bill.usage, quota, bill.usd_micros, bill.energy_wh)


async def _end_allowance(
    session: AsyncSession, chat: Chat, request: Request, tally: Tally, state: str
) -> dict[str, Any]:
    seen = tally.first_token_ms is not None
    if state == "done" or (state == "aborted" and seen):
        await allowances.settle(session, tally.turn_id)
    else:
        await allowances.release(session, tally.turn_id)
    return await allowances.meter(
        session,
        subject=request.user.id,
        plan=chat.plan_of(request.user),
        timezone=request.user.timezone,
        turn_id=tally.turn_id,
    )


def _written(tally: Tally, bill: Bill, quota: dict[str, Any]) -> dict[str, Any]:
    usage = bill.usage
    return {
        "answer": mask_cards("".join(tally.text)),
        "memory": tally.memory,
        "cards": tally.cards,
        "interrupts": tally.interrupts,
        "charged": quota.get("charged", {}),
        "cost_usd_micros": bill.usd_micros,
        "price_version": bill.price_version,
        "input_tokens": usage.input,
        "cached_tokens": usage.cached,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
        "estimated": usage.estimated,
        "energy_wh_min": bill.energy_wh[0],
        "energy_wh_max": bill.energy_wh[1],
        "latency_ms": tally.elapsed_ms(),
        "first_token_ms": tally.first_token_ms,
        "closed_at": func.now(),
    }


def _call_row(turn_id: str, call: Called, price: Cost) -> ModelCall:
    return ModelCall(
        turn_id=turn_id,
        model=call.model,
        input_tokens=call.usage.input,
        cached_tokens=call.usage.cached,
        output_tokens=call.usage.output,
        reasoning_tokens=call.usage.reasoning,
        estimated=call.usage.estimated,
        cost_usd_micros=price.usd_micros,
        price_version=price.price_version,
    )
