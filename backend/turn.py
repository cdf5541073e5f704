"""What a turn is made of: the request, the parts that serve it, its first and last event."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backend import threads
from backend.auth import UserAccount
from backend.database import Database
from backend.errors import Conflict
from backend.rollout import Serving
from backend.seats import Seats
from graphs.state import Desk, Effort, Event, JudgePort, Models, Shelf
from integrations.usage import Usage
from quotas.clerk import Clerk
from quotas.plans import Plan, Plans, UnknownPlan, Viewer


@dataclass(frozen=True, slots=True)
class Request:
    """What a surface asks for, already validated. `messages` is OpenAI-shaped, newest last.

    With a `thread` the server's own history is used and `messages` holds the new one only.
    """

    user: UserAccount
    surface: Literal["openai", "agui", "rest"]
    messages: tuple[Mapping[str, Any], ...]
    thread: threads.Thread | None = None
    retry_of: str | None = None  # the turn that this one asks again
    owed: str | None = None  # the role of the turn that it asks again, which failed by our fault
    model: str = "auto"
    effort: Effort | Literal["auto"] | None = None  # "auto": routed, whatever is preferred
    unpinned: bool = False  # `auto` was chosen for this turn: a preferred model is not heard
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
    energy_wh: tuple[float, float] | None
    price_version: str | None = None

    def cost_json(self) -> dict[str, Any]:
        """Contract §4's `usage.emptor`. What nobody knows is null, not zero."""
        low, high = self.energy_wh or (None, None)
        return {
            "cost_usd_micros": self.cost_usd_micros,
            "energy_wh_min": low,
            "energy_wh_max": high,
            "price_version": self.price_version,
            "estimated": self.usage.estimated,
        }


TurnEvent = Opened | Event | Closed


@dataclass(frozen=True, slots=True)
class Chat:
    """Everything a turn needs, built once at start. `desk` makes one person's desk; `watch` looks
    at the rollout's tripwires."""

    database: Database
    graph: Any
    routers: Serving
    models: Models
    seats: Seats
    plans: Plans
    shelf: Shelf
    desk: Callable[[UserAccount, str | None], Desk]
    watch: Callable[[], Awaitable[object]]
    clerk: Clerk
    judge: JudgePort | None = None

    def viewer(self, user: UserAccount) -> Viewer:
        """Whose allowance a turn of this person uses."""
        return Viewer(user.id, self.plan_of(user), user.timezone)

    def plan_of(self, user: UserAccount) -> Plan:
        """Raises `Conflict` (`plan_unknown`) when the plans file no longer has this plan."""
        try:
            return self.plans.plan(user.plan)
        except UnknownPlan as error:
            raise Conflict(
                f"The plan {user.plan!r} is no longer offered; the operator must choose another",
                code="plan_unknown",
            ) from error
