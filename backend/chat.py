"""One turn: reserve, run the graph, stream, settle or release.

Two short transactions frame the model's answer and none is open while it streams. Whatever ends
the turn (an answer, an error, a client that left), it is closed exactly once.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import func, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import decisions, incidents, metrics, threads
from backend.bill import Bill, draw_up
from backend.errors import AppError, BadRequest, ModelFailed, Unavailable
from backend.gate import Gate, told
from backend.ids import new_id
from backend.masking import mask_cards
from backend.opening import open_turn
from backend.rollout import Pick
from backend.tally import Tally
from backend.threads import ModelCall, TurnRow
from backend.turn import Chat, Closed, Opened, Request, TurnEvent
from graphs.state import Called, Event, Finished, Remembered, Turn, TurnContext
from integrations.models import Cost, ModelUnavailable
from quotas.many import Ending
from quotas.plans import ROLES, Unit

log = structlog.get_logger()
T = TypeVar("T")

WATCH_EVERY: Final = 50
"""Decisions between two looks at the tripwires; a periodic job looks every minute besides."""

CANCEL_AGAIN_S: Final = 3.0
WAIT_MAX_S: Final = 3_600  # whatever a provider says

# Tasks that end a turn whose reader has gone, or look after one; kept so as not to be collected.
_endings: set[asyncio.Task[Any]] = set()
_under_way: "set[UnderWay]" = set()
Close = Callable[[], Coroutine[Any, Any, tuple[Closed, Exception | None]]]


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
    noted = Noted(tally, chat.routers.pick(request.user.id))
    running = asyncio.create_task(_run(chat, request, turn, noted, events))
    close = partial(_end, chat, request, turn, noted, running)
    under_way = UnderWay(chat, tally.turn_id, running, close)
    try:
        yield Opened(tally.turn_id, request.thread.id if request.thread else None)
        while (event := await events.get()) is not None:
            yield event
    finally:
        closed, error = await asyncio.shield(under_way.end())
    if error is not None:
        raise error
    if under_way.stopped and running.cancelled():
        raise Unavailable("The server is stopping; ask again shortly", headers={"Retry-After": "3"})
    yield closed


@dataclass(frozen=True, slots=True)
class Noted:
    """What is noted down while a turn runs: what it did, and how it was routed."""

    tally: Tally
    pick: Pick


class UnderWay:
    """A turn that runs. Its reader may end it and so may a server that stops; it ends once."""

    def __init__(self, chat: Chat, turn_id: str, running: asyncio.Task[None], close: Close) -> None:
        self.chat = chat
        self.turn_id = turn_id
        self.stopped = False
        self._running = running
        self._close = close
        self._ending: asyncio.Task[tuple[Closed, Exception | None]] | None = None
        _under_way.add(self)

    def end(self) -> "asyncio.Task[tuple[Closed, Exception | None]]":
        if self._ending is None:
            self._running.cancel()
            self._ending = _kept(self._close())
            self._ending.add_done_callback(lambda _: _under_way.discard(self))
        return self._ending


async def stay(chat: Chat) -> None:
    """The threads of turns that run here stay theirs, however long an answer takes. For ever."""
    while True:
        await asyncio.sleep(threads.LEASE.total_seconds() / 5)
        running = [one.turn_id for one in _under_way if one.chat is chat]
        if not running:
            continue
        try:
            async with chat.database.transaction() as session:
                await threads.hold(session, running)
        except (SQLAlchemyError, OSError) as error:
            log.warning("threads_not_held", turns=len(running), detail=type(error).__name__)


async def finish(chat: Chat, *, within_s: float = 5.0) -> None:
    """Before the database goes: every turn that runs is broken off and settled.

    One that cannot be settled in time is left to the sweep of another process or the next start.
    """
    for one in [one for one in _under_way if one.chat is chat]:
        one.stopped = True
        one.end()
    if not _endings:
        return
    ended, late = await asyncio.wait(set(_endings), timeout=within_s)
    for task in ended:
        if not task.cancelled() and task.exception() is not None:
            log.error("turn_not_ended", exc_info=task.exception())
    for task in late:
        task.cancel()
    if late:
        log.warning("turns_left_unsettled", turns=len(late))


def _kept(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """A task that runs to its end even when nobody waits for it."""
    task = asyncio.create_task(work)
    _endings.add(task)
    task.add_done_callback(_endings.discard)
    return task


async def _run(
    chat: Chat, request: Request, turn: Turn, noted: Noted, events: asyncio.Queue[Event | None]
) -> None:
    """The graph, its events noted and handed on; None at the end, however it ended."""
    tally = noted.tally
    thread_id = request.thread.id if request.thread else None
    context = TurnContext(
        router=noted.pick,
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
    chat: Chat, request: Request, turn: Turn, noted: Noted, running: asyncio.Task[None]
) -> tuple[Closed, Exception | None]:
    """Wait for the graph to be gone, then close the turn as it ended."""
    tally = noted.tally
    # A cancellation can be lost where a library waits: it is asked for again, but not so soon that
    # it would cut the cleaning up.
    while not (await asyncio.wait([running], timeout=CANCEL_AGAIN_S))[0]:
        log.warning("turn_still_running", turn_id=tally.turn_id)
        running.cancel()
    state, error = "done", None
    if running.cancelled():
        state = "aborted"
    elif (raised := running.exception()) is not None:
        state = "failed"
        if not isinstance(raised, Exception):
            raise raised
        error = raised
    overflow = isinstance(error, ModelUnavailable) and decisions.too_long(error)
    if isinstance(error, ModelUnavailable):
        log.warning("model_failed", turn_id=tally.turn_id, detail=error.detail)
        error = _model_failed(error)
    closed = await _close(chat, request, turn, tally, state)
    if isinstance(error, AppError) and error.status >= 500:
        # What was given back, and what to name when it is asked again at no cost.
        error.extra |= {"turn_id": tally.turn_id, "quota": dict(closed.quota)}
    await _log(chat, request, noted, overflow=overflow)
    return closed, error


async def _log(chat: Chat, request: Request, noted: Noted, *, overflow: bool) -> None:
    """The router's decision and what it led to. Apart from the turn's own end: a person's
    allowance must not wait for a shadow, nor fail with the log."""
    shadow = await noted.pick.shadowed()
    try:
        async with chat.database.transaction() as session:
            number = await decisions.record(
                session, request, noted.tally, noted.pick, shadow, overflow=overflow
            )
    except SQLAlchemyError:
        log.exception("router_decision_not_logged", turn_id=noted.tally.turn_id)
        return
    if number is not None and number % WATCH_EVERY == 0:
        _kept(_watched(chat))


async def _watched(chat: Chat) -> None:
    try:
        await chat.watch()
    except Exception:  # nobody waits for this one; the next look comes within a minute
        log.exception("router_watch_failed")


def _model_failed(error: ModelUnavailable) -> AppError:
    """Busy or still loading passes (503), a request that no model takes is its sender's (400);
    anything else is the model's failure (502)."""
    said = error.told.rstrip(".")
    if not error.passing:
        code = "context_length_exceeded" if decisions.too_long(error) else "invalid_request"
        why = error.detail.rstrip(".")  # only the provider can say what is wrong with the request
        return BadRequest(f"The model refused the request: {why}. Nothing was charged", code=code)
    if error.status in (429, 503):
        return Unavailable(
            f"The model cannot answer now: {said}. Nothing was charged; try again shortly",
            code="model_busy" if error.status == 429 else "model_unavailable",
            headers={"Retry-After": str(min(error.retry_after_s or 3, WAIT_MAX_S))},
        )
    return ModelFailed(f"The model did not answer: {said}. Nothing was charged; try again")


async def _start(chat: Chat, tally: Tally) -> None:
    """From the first visible piece on, a crash is charged: the person has had something.

    Raises `Unavailable` when its hold has run out: the unit may be somebody else's by now.
    """
    if not await chat.clerk.start(tally.turn_id) and _holds(tally):
        raise Unavailable("The answer took too long to begin. Nothing was charged; try again")


def _holds(tally: Tally) -> bool:
    """Whether an allowance was taken for the turn: a client's errand, for one, needs none."""
    return tally.routed is not None and bool(tally.routed.admission.quota.get("charged"))


async def _close(chat: Chat, request: Request, turn: Turn, tally: Tally, state: str) -> Closed:
    """Settle or release, write what was used, give the thread back: one transaction."""
    bill = draw_up(chat.seats.catalogue, turn, tally, cut=state != "done")

    async def write(session: AsyncSession, quota: dict[str, Any]) -> None:
        if tally.routed is not None:
            quota |= told(quota, tally.routed.route, tally.routed.admission.role)
        await _write(session, request, tally, bill, state, quota)

    quota = await chat.clerk.end(_ending(chat, request, tally, state, bill), write)
    await _ask_for_prices(chat, bill)
    metrics.turn_ended(tally, state, bill.usd_micros)
    return Closed(
        tally.turn_id,
        tally.reason,
        bill.usage,
        quota,
        bill.usd_micros,
        bill.energy_wh,
        bill.price_version,
    )


async def _ask_for_prices(chat: Chat, bill: Bill) -> None:
    """Apart from the turn's end: turns that end together must not wait for one shared row."""
    for model in sorted({call.model for call, price in bill.calls if price.usd_micros is None}):
        detail = f"no price is known for {model}; put one into the models file"
        try:
            async with chat.database.transaction() as session:
                await incidents.report(session, "price_unknown", subject=model, detail=detail)
        except SQLAlchemyError:  # the turn is settled; the next one without a price asks again
            log.exception("price_unknown_unsaid", model=model)


async def _write(
    session: AsyncSession,
    request: Request,
    tally: Tally,
    bill: Bill,
    state: str,
    quota: dict[str, Any],
) -> None:
    for call, price in bill.calls:
        session.add(_call_row(tally.turn_id, call, price))
    figures = _figures(tally, bill, quota) | {"state": state, "quota": quota}
    ours = (col(TurnRow.id) == tally.turn_id, col(TurnRow.state) == "open")
    heard = update(TurnRow).where(*ours, ~col(TurnRow.forgotten)).returning(col(TurnRow.id))
    written = await session.execute(heard.values(**figures, **_words(tally)))
    if written.scalar_one_or_none() is None:
        # Meanwhile the person had the conversation deleted, or themselves.
        await session.execute(update(TurnRow).where(*ours).values(**figures))
    if request.thread is not None:
        await threads.leave(session, request.thread.id, tally.turn_id)


def _ending(chat: Chat, request: Request, tally: Tally, state: str, bill: Bill) -> Ending:
    """Charge what the person had of the turn: all of it, what came before they left, or nothing."""
    seen = tally.first_token_ms is not None
    refused = tally.reason == "content_filter"
    counted = state != "failed" and seen and not refused and not _owed(request, tally)
    spent: dict[Unit, int] = {} if (said := bill.charged) is None else {"micro_usd": said}
    ceilings = tally.routed.admission.ceilings if tally.routed else None
    by = chat.viewer(request.user)
    return Ending(tally.turn_id, by, counted=counted, spent=spent, ceilings=ceilings)


def _owed(request: Request, tally: Tally) -> bool:
    """Whether this is the answer that a failed turn still owes, by its role or a smaller one."""
    if request.owed is None or tally.routed is None:
        return False
    given, owed = tally.routed.admission.role, request.owed
    return next(role for role in ROLES if role in (given, owed)) == given


def _words(tally: Tally) -> dict[str, Any]:
    return {
        "answer": mask_cards("".join(tally.text)),
        "memory": tally.memory,
        "cards": tally.cards,
        "interrupts": tally.interrupts,
    }


def _figures(tally: Tally, bill: Bill, quota: dict[str, Any]) -> dict[str, Any]:
    usage = bill.usage
    return {
        "charged": quota.get("charged", {}),
        "cost_usd_micros": bill.usd_micros,
        "price_version": bill.price_version,
        "input_tokens": usage.input,
        "cached_tokens": usage.cached,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
        "estimated": usage.estimated,
        "energy_wh_min": bill.energy_wh[0] if bill.energy_wh else None,
        "energy_wh_max": bill.energy_wh[1] if bill.energy_wh else None,
        "energy_version": bill.energy_version,
        **({"model": tally.routed.admission.model} if tally.routed else {}),
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
        energy_wh_min=price.energy_wh[0] if price.energy_wh else None,
        energy_wh_max=price.energy_wh[1] if price.energy_wh else None,
        energy_version=price.energy_version,
        seconds=call.seconds,
    )
