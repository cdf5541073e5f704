"""Allowances once more, in memory and in plain Python: what the database must agree with.

It is written from the rules, not from the SQL: one clock, no concurrency, UTC only.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quotas.plans import Bucket, Plan
from quotas.usage import IN_FLIGHT_LEASE_S, RESERVED_LEASE_S

SIXTIETHS = 60


@dataclass
class Window:
    """`end` is None for a rolling window; its usage is kept by the sixtieth it began in."""

    end: datetime | None
    used: int = 0
    held: int = 0
    drawn: int = 0
    slots: dict[int, int] = field(default_factory=dict)


@dataclass
class Grant:
    """`window` is the one it ends with; `waits` until the next one opens."""

    bucket: str
    left: int
    order: tuple[int, datetime, int]
    expires_at: datetime | None
    window: Window | None = None
    waits: bool = False
    revoked: bool = False


@dataclass
class Hold:
    role: str
    served: str
    windows: list[tuple[Bucket, Window, Grant | None]]
    at: datetime
    lease_until: datetime
    state: str = "reserved"


def width(window_s: int) -> int:
    return -(-window_s // SIXTIETHS)


class Model:
    def __init__(self) -> None:
        self.open: dict[str, Window] = {}
        self.all: list[Window] = []
        self.holds: dict[str, Hold] = {}
        self.grants: list[Grant] = []

    def give(
        self,
        bucket: str,
        units: int,
        priority: int,
        expires_at: datetime | None,
        at: datetime,
        *,
        rollover: bool,
    ) -> Grant:
        never = datetime.max.replace(tzinfo=UTC)
        order = (priority, expires_at or never, len(self.grants))
        grant = Grant(bucket, units, order, expires_at)
        if not rollover:
            grant.window = self.now_open(bucket, at)
            grant.waits = grant.window is None
        self.grants.append(grant)
        return grant

    def now_open(self, name: str, at: datetime) -> Window | None:
        window = self.open.get(name)
        return None if window is None or (window.end is not None and window.end <= at) else window

    def usable(self, name: str, at: datetime) -> list[Grant]:
        """In the order of burning."""
        window = self.now_open(name, at)
        live = (
            g
            for g in self.grants
            if g.bucket == name
            and g.left
            and not g.revoked
            and (g.expires_at is None or g.expires_at > at)
            and (g.window is None or g.window is window)
        )
        return sorted(live, key=lambda g: g.order)

    def level(self, bucket: Bucket, at: datetime) -> tuple[int, int]:
        """Used and held of the window that counts now."""
        window = self.now_open(bucket.name, at)
        if window is None:
            return 0, 0
        if window.end is not None:
            return window.used, window.held
        since = at.timestamp() - bucket.window
        live = (n for s, n in window.slots.items() if s + width(bucket.window) > since)
        return sum(live), window.held

    def own(self, bucket: Bucket, at: datetime) -> int:
        """What the plan itself has left."""
        window = self.now_open(bucket.name, at)
        drawn = window.drawn if window else 0
        return max(0, bucket.cap - (sum(self.level(bucket, at)) - drawn))

    def remaining(self, bucket: Bucket, at: datetime) -> int:
        return self.own(bucket, at) + sum(g.left for g in self.usable(bucket.name, at))

    def reserve(self, turn: str, plan: Plan, role: str, at: datetime) -> str | None:
        if turn in self.holds:
            return self.holds[turn].served
        for rung in plan.ladder(role):
            if all(self.remaining(bucket, at) >= 1 for bucket in plan.of_role(rung)):
                windows = [(bucket, *self._take(bucket, at)) for bucket in plan.of_role(rung)]
                lease = at + timedelta(seconds=RESERVED_LEASE_S)
                self.holds[turn] = Hold(role, rung, windows, at, lease)
                return rung
        return None

    def _take(self, bucket: Bucket, at: datetime) -> tuple[Window, Grant | None]:
        burnt = None if self.own(bucket, at) else self.usable(bucket.name, at)[0]
        window = self.now_open(bucket.name, at)
        if window is None:
            window = Window(self._end(bucket, at))
            self.open[bucket.name] = window
            self.all.append(window)
            for grant in self.grants:
                if grant.waits and grant.bucket == bucket.name:
                    grant.window, grant.waits = window, False
        window.held += 1
        if burnt is not None:
            burnt.left -= 1
            window.drawn += 1
        return window, burnt

    def _end(self, bucket: Bucket, at: datetime) -> datetime | None:
        if bucket.policy == "session":
            return at + timedelta(seconds=bucket.window)
        if bucket.policy == "calendar":
            return datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)
        return None

    def start(self, turn: str, at: datetime) -> bool:
        hold = self.holds.get(turn)
        if hold is None or hold.state != "reserved" or hold.lease_until <= at:
            return False
        hold.state = "in_flight"
        hold.lease_until = at + timedelta(seconds=IN_FLIGHT_LEASE_S)
        return True

    def end(self, turn: str, state: str, *, counted: bool) -> bool:
        hold = self.holds.get(turn)
        if hold is None or hold.state not in ("reserved", "in_flight"):
            return False
        hold.state = state
        for bucket, window, burnt in hold.windows:
            window.held -= 1
            if burnt is not None and not counted:
                burnt.left += 1
            if burnt is not None and (not counted or window.end is None):
                window.drawn -= 1
            if counted:
                window.used += 1
            if counted and (burnt is None or window.end is not None):
                slot = int(hold.at.timestamp()) // width(bucket.window) * width(bucket.window)
                window.slots[slot] = window.slots.get(slot, 0) + 1
        return True

    def sweep(self, at: datetime) -> tuple[int, int]:
        due = [
            turn
            for turn, hold in self.holds.items()
            if hold.state in ("reserved", "in_flight") and hold.lease_until <= at
        ]
        started = [turn for turn in due if self.holds[turn].state == "in_flight"]
        for turn in due:
            self.end(turn, "expired", counted=turn in started)
        return len(due) - len(started), len(started)
