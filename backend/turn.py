"""What a turn is made of: the request, the parts that serve it, its first and last event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backend import threads
from backend.auth import UserAccount
from backend.database import Database
from backend.errors import Conflict
from backend.seats import Seats
from graphs.state import Desk, Effort, Event, JudgePort, Models, RouterPort, Shelf
from integrations.models import Usage
from quotas.plans import Plan, Plans, UnknownPlan


@dataclass(frozen=True, slots=True)
class Request:
    """What a surface asks for, already validated. `messages` is OpenAI-shaped, newest last.

    With a `thread` the server's own history is used and `messages` holds the new one only.
    """

    user: UserAccount
    surface: Literal["openai", "agui", "rest"]
    messages: tuple[Mapping[str, Any], ...]
    thread: threads.Thread | None = None
    model: str = "auto"
    effort: Effort | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    response_format: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The first event of a turn."""

    turn_id: str
    thread_id: str | None


@dataclass(frozen=True, slots=True)
class Closed:
    """The last event of a turn: what it used, cost and left."""

    turn_id: str
    reason: str
    usage: Usage
    quota: Mapping[str, Any]
    cost_usd_micros: int | None
    energy_wh: tuple[float, float]


TurnEvent = Opened | Event | Closed


@dataclass(frozen=True, slots=True)
class Chat:
    """Everything a turn needs, built once at start. `desk` makes one person's desk."""

    database: Database
    graph: Any
    router: RouterPort
    models: Models
    seats: Seats
    plans: Plans
    shelf: Shelf
    desk: Callable[[UserAccount, str | None], Desk]
    judge: JudgePort | None = None

    def plan_of(self, user: UserAccount) -> Plan:
        """Raises `Conflict` (`plan_unknown`) when the plans file no longer has this plan."""
        try:
            return self.plans.plan(user.plan)
        except UnknownPlan as error:
            raise Conflict(
                f"The plan {user.plan!r} is no longer offered; the operator must choose another",
                code="plan_unknown",
            ) from error
