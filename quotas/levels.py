"""Levels: how a bucket stands now, and the quota object that people are shown (contract §6)."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from quotas.plans import Bucket, Plan, Role
from quotas.windows import SLOTS

WARNINGS = (95, 80)  # percent of a cap
# What a turn takes from each bucket, by name. Where it is not known, room is room for one unit.
Costs = Mapping[str, int]
NEVER = datetime.max.replace(tzinfo=UTC)


class Level(NamedTuple):
    """A bucket as it stands now; after the bucket come the columns of `windows.shown`.

    Times are UTC; `resets_at` is None before the first turn. `overage` is owed by the window after
    it, and what one owes that nobody opens is owed until `owed_until`. `cap` and `remaining`
    include grants: `granted` units are left of them, `drawn` are taken.
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
    overage: int
    owed_until: datetime | None
    slots: Mapping[str, int] | None  # of a rolling window
    now: datetime

    def lacks(self, costs: Costs) -> bool:
        """Whether a turn finds too little here."""
        return self.remaining < self._cost(costs)

    def free_at(self, costs: Costs) -> datetime | None:
        """When there is room for a turn; None while there is, or when time alone makes none."""
        cost = self._cost(costs)
        if self.remaining >= cost or self.bucket.cap < cost:
            return None
        if self.slots is None:
            # The next window may owe too much for a turn; and one that is shut for what it owes has
            # no end yet: a grant may open it, with an end of its own.
            soon = self.window_start is not None and self.bucket.cap - self.overage >= cost
            return self.resets_at if soon else self.owed_until or self.resets_at
        width, left = -(-self.window_s // SLOTS), self.used
        for start in sorted(int(key) for key in self.slots):
            leaves = datetime.fromtimestamp(start, UTC) + timedelta(seconds=width + self.window_s)
            if leaves <= self.now:
                continue
            left -= int(self.slots[str(start)])
            taken = left + self.held - self.drawn
            if max(0, self.bucket.cap - taken) + self.granted >= cost:
                return leaves
        return None

    def _cost(self, costs: Costs) -> int:
        return max(1, costs.get(self.bucket.name, 1))

    def as_json(self, costs: Costs) -> dict[str, Any]:
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
            "next_free_at": moment(self.free_at(costs)),
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
    costs: Costs,
) -> dict[str, Any]:
    down = requested is not None and binding is not None
    return {
        "plan": plan.name,
        "binding": binding,
        "buckets": [level.as_json(costs) for level in now],
        "charged": dict(charged),
        "served_role": served,
        "requested_role": requested,
        "downgrade_reason": f"allowance_used:{binding}" if down else None,
        "exits": exits(plan, now, binding, costs),
    }


def lasting(full: Sequence[Level], costs: Costs) -> str | None:
    """Which of several buckets without room binds: the one that lasts longest."""
    last = max(full, key=lambda level: level.free_at(costs) or NEVER, default=None)
    return last.bucket.name if last else None


def used_up(now: Sequence[Level]) -> str | None:
    """The bucket that binds outside of a turn: of the first role that has nothing left."""
    empty = [level for level in now if not level.remaining]
    return lasting([v for v in empty if v.bucket.role == empty[0].bucket.role], {})


def exits(
    plan: Plan, now: Sequence[Level], binding: str | None, costs: Costs
) -> list[dict[str, Any]]:
    """What a person may do about the bucket that binds them, best known first."""
    bound = next((level.bucket for level in now if level.bucket.name == binding), None)
    if bound is None:
        return []
    ways: list[dict[str, Any]] = []
    if until := roomy_at(now, bound.role, costs):
        ways.append({"action": "wait", "until": moment(until)})
    if bound.fallback is not None:
        short = {level.bucket.role for level in now if level.lacks(costs)}
        below = (r for r in plan.ladder(bound.fallback) if r not in short)
        if (role := next(below, None)) is not None:
            ways.append({"action": "use_mini", "role": role})
    if plan.sells_more_of(bound.name):
        ways.append({"action": "buy_credits", "bucket": bound.name})
    if plan.upgrades:
        ways.append({"action": "upgrade", "plans": list(plan.upgrades)})
    return ways


def roomy_at(now: Sequence[Level], role: str, costs: Costs) -> datetime | None:
    """When all buckets of the role have room for a turn; None while they have, or when time alone
    makes none."""
    full = [level for level in now if level.bucket.role == role and level.lacks(costs)]
    last = max((level.free_at(costs) or NEVER for level in full), default=NEVER)
    return None if last == NEVER else last


def wait_s(now: Sequence[Level], ladder: Sequence[Role], costs: Costs) -> int | None:
    """Seconds until the first rung is free again; None when only a change of plan helps."""
    ends = [end for role in ladder if (end := roomy_at(now, role, costs))]
    return max(1, math.ceil((min(ends) - now[0].now).total_seconds())) if ends else None
