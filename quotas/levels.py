"""Levels: how a bucket stands now, and the quota object that people are shown (contract §6)."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from quotas.plans import Bucket, Plan, Role, Unit
from quotas.windows import SLOTS, cost_of

WARNINGS = (95, 80)  # percent of a cap


class Level(NamedTuple):
    """A bucket as it stands now; after the bucket come the columns of `windows.shown`.

    Times are UTC; `resets_at` is None before the first turn. `cap` and `remaining` include grants:
    `granted` units are left of them, `drawn` are taken.
    """

    bucket: Bucket
    policy: str
    window_s: int
    used: int
    held: int
    cap: int
    remaining: int
    drawn: int
    granted: int
    carried: int
    window_start: datetime | None
    resets_at: datetime | None
    slots: Mapping[str, int] | None  # of a rolling window
    now: datetime

    @property
    def next_free_at(self) -> datetime | None:
        """When there is room for one more; None while there is, or when only a hold can free it."""
        if self.remaining:
            return None
        if self.slots is None:
            return self.resets_at
        width, left = -(-self.window_s // SLOTS), self.used
        for start in sorted(int(key) for key in self.slots):
            leaves = datetime.fromtimestamp(start, UTC) + timedelta(seconds=width + self.window_s)
            if leaves <= self.now:
                continue
            left -= int(self.slots[str(start)])
            if left + self.held - self.drawn < self.bucket.cap:
                return leaves
        return None

    def as_json(self) -> dict[str, Any]:
        """One element of the quota object's `buckets`."""
        return {
            "name": self.bucket.name,
            "unit": self.bucket.unit,
            "policy": self.policy,
            "window_s": self.window_s,
            "used": self.used,
            "held": self.held,
            "cap": self.cap,
            "remaining": self.remaining,
            "resets_at": moment(self.resets_at),
            "next_free_at": moment(self.next_free_at),
            "fallback": self.bucket.fallback,
            "granted": self.granted,
            "carried": self.carried,
            "warning": self.warning,
            "runs_out_at": moment(self.runs_out_at),
        }

    @property
    def warning(self) -> int | None:
        """The last mark that the taken part of the cap has passed, in percent."""
        taken = 100 * (self.used + self.held)
        return next((m for m in WARNINGS if self.cap and taken >= m * self.cap), None)

    @property
    def runs_out_at(self) -> datetime | None:
        """When the allowance ends at this window's pace; None when it lasts, or is over."""
        if not self.remaining or not self.used + self.held:
            return None
        start = self.now - timedelta(seconds=self.window_s)
        if self.policy != "rolling":
            start = self.window_start or self.now
        # One turn at the very start is no pace: the shortest time it is taken over is a sixtieth.
        elapsed = max((self.now - start).total_seconds(), self.window_s / SLOTS)
        left_s = math.ceil(self.remaining * elapsed / (self.used + self.held))
        end = self.resets_at or self.now + timedelta(seconds=self.window_s)
        if left_s >= (end - self.now).total_seconds():
            return None
        return self.now.replace(microsecond=0) + timedelta(seconds=left_s)


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


COLUMNS = len(Level._fields) - 1  # all but the bucket


def levels(plan: Plan, rows: Sequence[Sequence[Any]]) -> list[Level]:
    """Rows of the gate or the meter, in the plan's order. They begin with a level's columns."""
    return [Level(bucket, *row[:COLUMNS]) for bucket, row in zip(plan.buckets, rows, strict=True)]


def quota_object(
    plan: Plan,
    now: Sequence[Level],
    requested: str | None,
    served: str | None,
    binding: str | None,
    charged: Mapping[str, int],
) -> dict[str, Any]:
    down = requested is not None and binding is not None
    return {
        "plan": plan.name,
        "binding": binding,
        "buckets": [level.as_json() for level in now],
        "charged": dict(charged),
        "served_role": served,
        "requested_role": requested,
        "downgrade_reason": f"allowance_used:{binding}" if down else None,
        "exits": exits(plan, now, binding),
    }


def exits(plan: Plan, now: Sequence[Level], binding: str | None) -> list[dict[str, Any]]:
    """What a person may do about the bucket that binds them, best known first."""
    bound = next((level for level in now if level.bucket.name == binding), None)
    if bound is None:
        return []
    ways: list[dict[str, Any]] = []
    if until := bound.next_free_at or bound.resets_at:
        ways.append({"action": "wait", "until": moment(until)})
    if bound.bucket.fallback is not None:
        rooms = {r: min(v.remaining for v in now if v.bucket.role == r) for r in plan.roles}
        below = (r for r in plan.ladder(bound.bucket.fallback) if rooms[r])
        if (role := next(below, None)) is not None:
            ways.append({"action": "use_mini", "role": role})
    if plan.sells_more_of(bound.bucket.name):
        ways.append({"action": "buy_credits", "bucket": bound.bucket.name})
    if plan.upgrades:
        ways.append({"action": "upgrade", "plans": list(plan.upgrades)})
    return ways


def wait_s(
    now: Sequence[Level],
    ladder: Sequence[str],
    costs: Mapping[Unit, int],
    ceilings: Mapping[Role, int],
) -> int | None:
    """Seconds until the first rung is free again; None when only a change of plan helps."""
    waits = []
    for role in ladder:
        full = [
            level
            for level in now
            if level.bucket.role == role
            and level.remaining < cost_of(level.bucket, costs, ceilings)
        ]
        ends = [level.next_free_at or level.resets_at for level in full]
        if any(level.bucket.cap < cost_of(level.bucket, costs, ceilings) for level in full):
            continue
        moments = [end for end in ends if end is not None]
        if len(moments) == len(full) and moments:
            waits.append((max(moments) - now[0].now).total_seconds())
    return max(1, math.ceil(min(waits))) if waits else None
