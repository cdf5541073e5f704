"""A turn's beginning: its row, its thread, and what the router and the model may read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import threads
from backend.errors import Conflict
from backend.masking import mask_cards
from backend.threads import TurnRow
from backend.turn import Chat, Request
from graphs.language import spoken
from graphs.state import Ask, Effort, Kind, Message, Style, Turn

CONTEXT_TURNS = 6
STEADY_FROM = 0.8  # a lighter turn from this confidence on counts as one of the two that go down


async def open_turn(chat: Chat, request: Request, turn_id: str) -> Turn:
    """Write the turn's row, take the thread, gather what the model may read."""
    asked = _asked(request)
    async with chat.database.transaction() as session:
        past: list[TurnRow] = []
        if request.thread is not None:
            # First: whoever had it until now has written what was said.
            await threads.occupy(session, request.thread, turn_id)
            past = await threads.history(session, request.thread.id)
            await _check_owed(session, request)
            if not request.thread.title:
                await session.execute(
                    update(threads.Thread)
                    .where(col(threads.Thread.id) == request.thread.id)
                    .values(title=threads.title_from(asked))
                )
        session.add(
            TurnRow(
                id=turn_id,
                thread_id=request.thread.id if request.thread else None,
                user_id=request.user.id,
                plan=request.user.plan,
                surface=request.surface,
                text=asked,
                requested_model=request.model,
                effort=None if request.effort == "auto" else request.effort,
                housekeeping=_housekeeping(request),
                retry_of=request.retry_of,
            )
        )
        context = (
            _context_of_rows(past)
            if request.thread is not None
            else await _context_of_messages(session, request)
        )
    messages = [m for row in past for m in _as_messages(row)] if request.thread else []
    messages += [_masked(m) for m in request.messages]
    if request.thread is not None:
        messages = chat.seats.trim(messages, request.tools)
    past_of = Past(tuple(context), tuple(messages), past)
    return _turn(request, turn_id, past_of, models=tuple(chat.seats.listed()))


async def _check_owed(session: AsyncSession, request: Request) -> None:
    """Once the thread is ours alone: what is owed is answered once, however often it is asked.

    Raises `Conflict` when another retry was answered meanwhile.
    """
    if request.owed is None or request.retry_of is None:
        return
    failed = await session.get(TurnRow, request.retry_of)
    if failed is None or await threads.owed(session, failed) is None:
        raise Conflict(
            "This was asked again and answered meanwhile; read the conversation",
            code="already_retried",
        )


@dataclass(frozen=True, slots=True)
class Past:
    """What came before: for the router, for the model, and the rows themselves."""

    context: tuple[Message, ...]
    messages: tuple[Mapping[str, Any], ...]
    rows: Sequence[TurnRow] = ()

    @property
    def kind(self) -> Kind | None:
        if self.rows:
            return cast(Kind | None, self.rows[-1].kind)
        # A client that keeps its own history: only commercial answers have a note behind them.
        noted = bool(self.context) and self.context[-1].role == "system"
        return "commercial" if noted else None

    @property
    def ratchet(self) -> bool:
        """Whether the last turn was hard, or stayed with the reasoning model for the first time."""
        if not self.rows or self.rows[-1].role != "reasoning":
            return False
        return self.rows[-1].kind == "complex" or (self.rows[-1].confidence or 0.0) < STEADY_FROM

    @property
    def idle_s(self) -> float | None:
        last = self.rows[-1].closed_at if self.rows else None
        return (datetime.now(UTC) - last).total_seconds() if last else None


def _turn(request: Request, turn_id: str, past: Past, *, models: tuple[str, ...]) -> Turn:
    user = request.user
    asked = _asked(request)
    preferred = user.effort if user.effort in ("low", "medium", "high") else None
    in_tool_loop = request.messages[-1].get("role") == "tool"
    ask = Ask(
        text=asked,
        context=past.context,
        effort=None
        if request.effort == "auto"
        else request.effort or cast(Effort | None, preferred),
        locked=(past.kind or "casual") if in_tool_loop else None,
        previous=past.kind,
        idle_s=past.idle_s,
        ratchet=past.ratchet,
        models=models,
    )
    return Turn(
        id=turn_id,
        ask=ask,
        messages=past.messages,
        language=spoken(asked),
        now=datetime.now(UTC).astimezone(ZoneInfo(user.timezone)),
        timezone=user.timezone,
        requested_model=request.model,
        tools=request.tools,
        tool_choice=request.tool_choice,
        style=cast(Style, user.style),
        warmth=user.warmth,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        stop=request.stop,
        response_format=request.response_format,
        housekeeping=_housekeeping(request),
    )


def _asked(request: Request) -> str:
    """The newest thing the person said, with card numbers masked."""
    said = (_text(m) for m in reversed(request.messages) if m.get("role") == "user")
    return mask_cards(next(said, ""))


def _housekeeping(request: Request) -> bool:
    """A client's own errand (title, tags, follow-ups): one lone user message `### Task:`."""
    alone = len([m for m in request.messages if m.get("role") != "system"]) == 1
    newest = request.messages[-1]
    return (
        request.surface == "openai"
        and alone
        and newest.get("role") == "user"
        and _text(newest).lstrip().startswith("### Task:")
    )


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(p.get("text", "") for p in parts if isinstance(p, dict))


def _masked(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": mask_cards(content)}
    if isinstance(content, list):
        parts = [
            {**p, "text": mask_cards(p["text"])} if isinstance(p.get("text"), str) else p
            for p in content
        ]
        return {**message, "content": parts}
    return message


def _as_messages(row: TurnRow) -> list[Mapping[str, Any]]:
    said: list[Mapping[str, Any]] = [{"role": "user", "content": row.text}]
    if row.answer:
        said.append({"role": "assistant", "content": row.answer})
    return said


def _context_of_rows(past: Sequence[TurnRow]) -> list[Message]:
    context: list[Message] = []
    for row in past[-CONTEXT_TURNS:]:
        context.append(Message("user", row.text))
        if row.answer:
            context.append(Message("assistant", row.answer))
        if row.memory:
            context.append(Message("system", row.memory))
    return context


async def _context_of_messages(session: AsyncSession, request: Request) -> list[Message]:
    """What a client sent, plus our own note to each answer of ours that it repeats."""
    earlier = [m for m in request.messages[:-1] if m.get("role") in ("user", "assistant")]
    context: list[Message] = []
    for message in earlier[-2 * CONTEXT_TURNS :]:
        text = mask_cards(_text(message))
        context.append(Message(message["role"], text))
        if message["role"] == "assistant" and text:
            query = select(col(TurnRow.memory)).where(
                col(TurnRow.user_id) == request.user.id,
                col(TurnRow.answer) == text,
                col(TurnRow.memory) != "",
            )
            note = await session.execute(query.order_by(col(TurnRow.created_at).desc()).limit(1))
            if memory := note.scalar_one_or_none():
                context.append(Message("system", memory))
    return context
