"""Conversations: threads, their turns and the model calls behind each. Append-only history.

A turn's row is opened before the model is asked and closed once, with what it used and cost. One
turn at a time runs in a thread; a crashed one gives the thread back when its lease ends.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Index,
    Text,
    and_,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, col

from backend.errors import Conflict, NotFound
from backend.ids import new_id
from quotas.holds import COUNTED_FOR_TURN, QuotaHold
from quotas.usage import IN_FLIGHT_LEASE_S

LEASE = timedelta(minutes=5)
ANSWER_LASTS = timedelta(seconds=2 * IN_FLIGHT_LEASE_S)
TITLE_LENGTH = 60
MOMENT: Any = DateTime(timezone=True)
MOMENTS: Any = ARRAY(MOMENT)
COUNTER: Any = BigInteger()


class Thread(SQLModel, table=True):
    __tablename__ = "thread"
    __table_args__ = (Index("thread_of_user", "user_id", "updated_at"),)
    id: str = Field(default_factory=lambda: new_id("thr"), primary_key=True)
    user_id: str
    title: str = ""
    client_id: str | None = None  # the id an AG-UI client chose; unique for its user only
    running_turn_id: str | None = None
    running_until: datetime | None = Field(default=None, sa_type=MOMENT)
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    updated_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


Index("thread_client", col(Thread.user_id), col(Thread.client_id), unique=True)


class TurnRow(SQLModel, table=True):
    """`state`: open → done | failed | aborted. `memory` is the agent's note to itself.

    `forgotten`: its words went while it may still have been answered; none are written any more.
    """

    __tablename__ = "turn"
    __table_args__ = (
        Index("turn_of_thread", "thread_id", "created_at"),
        Index("turn_of_user", "user_id", "created_at"),
        Index("turn_when", "created_at"),
        Index("turn_open", "created_at", postgresql_where=text("state = 'open'")),
        Index("turn_retries", "retry_of", postgresql_where=text("retry_of IS NOT NULL")),
    )
    id: str = Field(default_factory=lambda: new_id("trn"), primary_key=True)
    thread_id: str | None = None
    user_id: str
    plan: str
    surface: str
    state: str = "open"
    text: str = Field(sa_column=Column(Text, nullable=False))
    answer: str = Field(default="", sa_column=Column(Text, nullable=False))
    memory: str = Field(default="", sa_column=Column(Text, nullable=False))
    cards: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    interrupts: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    kind: str | None = None
    sub: str | None = None
    domain: str | None = None
    action: str | None = None
    role: str | None = None
    served_role: str | None = None
    model: str | None = None
    requested_model: str = "auto"
    effort: str | None = None
    cause: str | None = None
    confidence: float | None = None
    policy_version: str | None = None
    downgrade_reason: str | None = None
    charged: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    quota: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    cost_usd_micros: int | None = Field(default=None, sa_type=COUNTER)
    price_version: str | None = None
    energy_version: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    energy_wh_min: float | None = None
    energy_wh_max: float | None = None
    latency_ms: int | None = None
    first_token_ms: int | None = None
    housekeeping: bool = False
    retry_of: str | None = None
    rating: str | None = None
    wrong_route: bool = False
    preferred: str | None = None
    forgotten: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)
    closed_at: datetime | None = Field(default=None, sa_type=MOMENT)
    flagged_at: list[datetime] = Field(
        default_factory=list, sa_type=MOMENTS, sa_column_kwargs={"server_default": "{}"}
    )  # each time that `wrong_route` changed: so it can be told what it was


# Words go, figures stay: that cards were shown, and of which kind, is counted in the funnel.
WORDLESS: Mapping[str, Any] = {
    "text": "",
    "answer": "",
    "memory": "",
    "interrupts": [],
    "forgotten": True,
    "cards": literal_column(
        "(SELECT COALESCE(jsonb_agg(jsonb_build_object('activity', c.shown -> 'activity', 'items',"
        " jsonb_build_array())), '[]') FROM jsonb_array_elements(cards) AS c(shown))"
    ),
}


class ModelCall(SQLModel, table=True):
    """What one call to a model used. Never changed afterwards."""

    __tablename__ = "model_call"
    id: str = Field(default_factory=lambda: new_id("cal"), primary_key=True)
    turn_id: str = Field(index=True)
    model: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost_usd_micros: int | None = Field(default=None, sa_type=COUNTER)
    price_version: str = ""
    energy_wh_min: float | None = None
    energy_wh_max: float | None = None
    energy_version: str = ""
    seconds: float | None = None
    created_at: datetime = Field(default_factory=func.now, sa_type=MOMENT)


async def thread(session: AsyncSession, user_id: str, thread_id: str) -> Thread:
    """Of this person, by our id or the one their client chose. Raises `NotFound`."""
    query = select(Thread).where(
        col(Thread.user_id) == user_id,
        or_(col(Thread.id) == thread_id, col(Thread.client_id) == thread_id),
    )
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("You have no conversation with this id")
    return found


async def thread_for_client(session: AsyncSession, user_id: str, client_id: str) -> Thread:
    """The thread an AG-UI client means, made on its first run."""
    with suppress(NotFound):
        return await thread(session, user_id, client_id)
    made = insert(Thread).values(
        id=new_id("thr"), user_id=user_id, client_id=client_id, title="",
        created_at=func.now(), updated_at=func.now(),
    )  # fmt: skip
    await session.execute(made.on_conflict_do_nothing())  # by another run at the same moment
    return await thread(session, user_id, client_id)


async def threads(
    session: AsyncSession, user_id: str, *, before: datetime | None, limit: int
) -> Sequence[Thread]:
    query = select(Thread).where(col(Thread.user_id) == user_id)
    if before is not None:
        query = query.where(col(Thread.updated_at) < before)
    newest = query.order_by(col(Thread.updated_at).desc()).limit(limit)
    return (await session.execute(newest)).scalars().all()


async def history(
    session: AsyncSession, thread_id: str, *, limit: int = 200, failed: bool = False
) -> list[TurnRow]:
    """The newest `limit` turns, oldest first. Of those that failed, only the ones that still owe
    their answer, and only with `failed`. A retry that said nothing is not one of them: what it was
    to answer stands for it."""
    again = aliased(TurnRow)
    retried = exists().where(
        col(again.retry_of) == col(TurnRow.id), _answers(again) | (col(again.state) == "open")
    )
    owing = col(TurnRow.served_role).is_not(None) & col(TurnRow.retry_of).is_(None) & ~retried
    first = col(TurnRow.retry_of).is_(None) | (col(TurnRow.state) == "open")
    wanted = (col(TurnRow.state) != "failed") & (first | _answers(TurnRow))
    query = (
        select(TurnRow)
        .where(col(TurnRow.thread_id) == thread_id, or_(wanted, owing) if failed else wanted)
        .order_by(col(TurnRow.created_at).desc(), col(TurnRow.id).desc())
        .limit(limit)
    )
    return list(reversed((await session.execute(query)).scalars().all()))


async def turn(session: AsyncSession, user_id: str, turn_id: str) -> TurnRow:
    found = await session.get(TurnRow, turn_id)
    if found is None or found.user_id != user_id:
        raise NotFound("You have no turn with this id")
    return found


async def owed(session: AsyncSession, failed: TurnRow) -> str | None:
    """The role whose answer a turn still owes: asking it again is free, up to that role.

    Owed is what was admitted and then failed; who was refused (an allowance, a pin) is owed
    nothing. A retry that was answered, if only until the person left, is the answer.
    """
    if failed.state != "failed" or failed.served_role is None:
        return None
    beside = and_(
        col(TurnRow.retry_of) == (failed.retry_of or ""),
        col(TurnRow.created_at) > failed.created_at,
    )
    answered = exists().where(or_(col(TurnRow.retry_of) == failed.id, beside), _answers(TurnRow))
    paid_back = (await session.execute(select(answered))).scalar_one()
    return None if paid_back else failed.served_role


def _answers(row: type[TurnRow]) -> ColumnElement[bool]:
    """Whether a turn gave its person something."""
    heard = or_(col(row.state) == "done", col(row.first_token_ms).is_not(None))
    return and_(col(row.state) != "failed", heard)


async def debtor(session: AsyncSession, asked: TurnRow) -> TurnRow:
    """The turn that owes the answer: a retry that failed adds no debt to the one it was to pay."""
    first = await session.get(TurnRow, asked.retry_of) if asked.retry_of else None
    if asked.state != "failed" or first is None or await owed(session, first) is None:
        return asked
    return first


async def flag(session: AsyncSession, turn_id: str, *, wrong: bool) -> None:
    """The person says that it was routed wrongly, or takes that back. A repeat changes nothing."""
    await session.execute(
        update(TurnRow)
        .where(col(TurnRow.id) == turn_id, col(TurnRow.wrong_route) != wrong)
        .values(
            wrong_route=wrong, flagged_at=func.array_append(col(TurnRow.flagged_at), func.now())
        )
    )


async def give_up(session: AsyncSession) -> int:
    """Turns whose process died are failed, so that they can be asked again. How many.

    A turn lives as long as its hold; one without a hold, as long as any answer may take. What the
    hold counted stands in the turn from the same moment: the turns of a window add up to its use.
    """
    of_turn = col(QuotaHold.turn_id) == col(TurnRow.id)
    ended = await session.execute(
        update(TurnRow)
        .where(
            col(TurnRow.state) == "open",
            col(TurnRow.created_at) < func.now() - LEASE,
            ~exists().where(of_turn, col(QuotaHold.state).in_(("reserved", "in_flight"))),
            or_(exists().where(of_turn), col(TurnRow.created_at) < func.now() - ANSWER_LASTS),
        )
        .values(state="failed", closed_at=func.now(), charged=literal_column(COUNTED_FOR_TURN))
        .returning(col(TurnRow.id))
    )
    lost = list(ended.scalars())
    await session.execute(
        update(Thread)
        .where(col(Thread.running_turn_id).in_(lost))
        .values(running_turn_id=None, running_until=None)
    )
    return len(lost)


async def occupy(session: AsyncSession, of: Thread, turn_id: str) -> None:
    """Take the thread for one turn. Raises `Conflict` while another one runs."""
    taken = await session.execute(
        update(Thread)
        .where(
            col(Thread.id) == of.id,
            or_(col(Thread.running_turn_id).is_(None), col(Thread.running_until) < func.now()),
        )
        .values(running_turn_id=turn_id, running_until=func.now() + LEASE, updated_at=func.now())
        .returning(col(Thread.id))
    )
    if taken.scalar_one_or_none() is None:
        raise Conflict(
            "An answer is still being written in this conversation; wait for it or stop it",
            code="turn_in_flight",
            headers={"Retry-After": "2"},
        )


async def hold(session: AsyncSession, turn_ids: Sequence[str]) -> None:
    """The process that answers these turns lives: their threads stay taken."""
    await session.execute(
        update(Thread)
        .where(col(Thread.running_turn_id).in_(turn_ids))
        .values(running_until=func.now() + LEASE)
    )


async def leave(session: AsyncSession, thread_id: str, turn_id: str) -> None:
    """Give the thread back, if this turn still holds it."""
    await session.execute(
        update(Thread)
        .where(col(Thread.id) == thread_id, col(Thread.running_turn_id) == turn_id)
        .values(running_turn_id=None, running_until=None, updated_at=func.now())
    )


def title_from(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"


async def forget(session: AsyncSession, thread_id: str) -> None:
    """The words of a thread's turns go; what they used and cost stays in the reports."""
    await session.execute(
        update(TurnRow)
        .where(col(TurnRow.thread_id) == thread_id)
        .values(**WORDLESS, thread_id=None)
    )
