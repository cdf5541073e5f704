"""Conversations over REST: threads, their turns, feedback, retry. The same turn as `/agui`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from sqlalchemy import delete
from sqlmodel import col

from backend import threads
from backend import turn as turns
from backend.api.agui import request_for
from backend.api.events import Run, stream, turn_events
from backend.api.guests import speaker
from backend.api.leaving import unless_left
from backend.api.strict import Strict
from backend.auth import UserKey
from backend.chat import play
from backend.database import Session
from backend.errors import BadRequest, Conflict
from backend.idempotency import IdempotentRoute
from backend.ids import new_id
from backend.threads import Thread, TurnRow
from backend.turn import Chat

router = APIRouter(prefix="/api", tags=["Chat"], route_class=IdempotentRoute)
Effort = Literal["auto", "low", "medium", "high"]


class NewThread(Strict):
    title: str = Field("", max_length=200)


class NewTurn(Strict):
    """`effort` and `model` hold for this turn only."""

    text: str = Field("", max_length=400_000)
    effort: Effort | None = None
    model: str | None = Field(None, max_length=200)


class Feedback(Strict):
    rating: Literal["up", "down"] | None = None
    wrong_route: bool | None = None
    preferred: Literal["casual", "complex", "commercial"] | None = None


class Retry(Strict):
    effort: Effort | None = None
    model: str | None = Field(None, max_length=200)


@router.get("/threads")
async def list_threads(
    who: UserKey,
    session: Session,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> dict[str, Any]:
    """This person's conversations, newest first."""
    rows = list(
        await threads.threads(session, who.user_id, before=_moment(cursor), limit=limit + 1)
    )
    more = len(rows) > limit
    shown = rows[:limit]
    return {
        "data": [thread_json(row) for row in shown],
        "next_cursor": shown[-1].updated_at.isoformat() if more else None,
    }


def _moment(cursor: str | None) -> datetime | None:
    if cursor is None:
        return None
    try:
        moment = datetime.fromisoformat(cursor.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest("cursor: use the next_cursor of an earlier page") from error
    if moment.tzinfo is None:
        raise BadRequest("cursor: use the next_cursor of an earlier page")
    return moment


@router.post("/threads", status_code=201)
async def create_thread(body: NewThread, who: UserKey, session: Session) -> dict[str, Any]:
    row = Thread(user_id=who.user_id, title=body.title)
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return thread_json(row)


@router.get("/threads/{thread_id}")
async def read_thread(thread_id: str, who: UserKey, session: Session) -> dict[str, Any]:
    """The thread with its turns, oldest first. One that failed can be asked again at no cost."""
    row = await threads.thread(session, who.user_id, thread_id)
    past = await threads.history(session, row.id, failed=True)
    return {**thread_json(row), "turns": [turn_json(turn) for turn in past]}


@router.delete("/threads/{thread_id}", status_code=204)
async def delete_thread(thread_id: str, who: UserKey, session: Session) -> Response:
    """The conversation is gone; what it cost stays in the reports without its words."""
    row = await threads.thread(session, who.user_id, thread_id)
    await threads.forget(session, row.id)
    await session.execute(delete(Thread).where(col(Thread.id) == row.id))
    return Response(status_code=204)


def thread_json(row: Thread) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def turn_json(row: TurnRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "text": row.text,
        "answer": row.answer,
        "activities": row.cards,
        "checkouts": [one["checkout_id"] for one in row.interrupts],
        "route": {
            "kind": row.kind,
            "sub": row.sub,
            "domain": row.domain,
            "action": row.action,
            "role": row.served_role,
            "requested_role": row.role,
            "model": row.model,
            "requested": row.requested_model,
            "cause": row.cause,
            "confidence": row.confidence,
            "policy_version": row.policy_version,
            "downgrade_reason": row.downgrade_reason,
        },
        "quota": row.quota,
        "usage": {
            "input_tokens": row.input_tokens,
            "cached_tokens": row.cached_tokens,
            "output_tokens": row.output_tokens,
            "reasoning_tokens": row.reasoning_tokens,
            "cost_usd_micros": row.cost_usd_micros,
            "energy_wh_min": row.energy_wh_min,
            "energy_wh_max": row.energy_wh_max,
            "price_version": row.price_version,
            "estimated": row.estimated,
        },
        "rating": row.rating,
        "created_at": row.created_at,
    }


@router.post(
    "/threads/{thread_id}/turns",
    response_model=None,
    responses={
        200: {
            "description": "AG-UI events; one JSON turn with `Accept: application/json`",
            "content": {"text/event-stream": {}, "application/json": {}},
        }
    },
)
async def create_turn(thread_id: str, body: NewTurn, request: Request, who: UserKey) -> Response:
    """Say something. Answers with the events of `/agui`, or with the finished turn."""
    chat: Chat = request.app.state.chat
    user = await speaker(request, who)
    async with chat.database.transaction() as session:
        thread = await threads.thread(session, who.user_id, thread_id)
    asked = request_for(user, thread, body.text, surface="rest", **_chosen(body))
    return await _answer(chat, request, asked, thread)


def _chosen(body: NewTurn | Retry) -> dict[str, Any]:
    model = body.model or "auto"
    return {"effort": body.effort, "model": model, "unpinned": body.model == "auto"}


async def _answer(chat: Chat, request: Request, asked: turns.Request, thread: Thread) -> Response:
    run = Run(thread.id, new_id("run"))
    whole = "application/json" in request.headers.get("accept", "")
    events = turn_events(play(chat, asked), run, asked.model, whole=whole)
    if not whole:
        return await stream(events, run)
    # Who sends a key may come back for the answer.
    keyed = "idempotency-key" in request.headers
    last = _last(events)
    finished = await last if keyed else await unless_left(request, last)
    async with chat.database.transaction() as session:
        row = await threads.turn(session, asked.user.id, finished["result"]["turn_id"])
        told = {**turn_json(row), "outcome": finished["outcome"]}
    return JSONResponse(jsonable_encoder(told), headers=run.headers)


async def _last(events: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    """The RUN_FINISHED event."""
    last: dict[str, Any] = {}
    async with aclosing(events) as all_events:
        async for one in all_events:
            last = one
    return last


@router.post("/turns/{turn_id}/feedback", status_code=204)
async def give_feedback(turn_id: str, body: Feedback, who: UserKey, session: Session) -> Response:
    """What the person made of an answer. It teaches the router; revenue never does."""
    row = await threads.turn(session, who.user_id, turn_id)
    row.rating = body.rating or row.rating
    row.preferred = body.preferred or row.preferred
    session.add(row)
    if body.wrong_route is not None:
        await threads.flag(session, row.id, wrong=body.wrong_route)
    return Response(status_code=204)


@router.post("/turns/{turn_id}/retry", response_model=None)
async def retry_turn(turn_id: str, body: Retry, request: Request, who: UserKey) -> Response:
    """Ask the same again, perhaps with another effort or model. After a failure it is free."""
    chat: Chat = request.app.state.chat
    user = await speaker(request, who)
    async with chat.database.transaction() as session:
        row = await threads.turn(session, who.user_id, turn_id)
        if row.thread_id is None or not row.text:
            raise Conflict("Only a message of a conversation can be asked again")
        thread = await threads.thread(session, who.user_id, row.thread_id)
        first = await threads.debtor(session, row)
        again = {"retry_of": first.id, "owed": await threads.owed(session, first)}
    asked = request_for(user, thread, row.text, surface="rest", **_chosen(body), **again)
    return await _answer(chat, request, asked, thread)
