"""Plans: what each one includes, read from `plans.toml` and checked before anything is served.

A plan is data. The only mechanism here is the ladder: which role answers when another one's
allowance is used up.
"""

import json
import tomllib
from collections import Counter
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from quotas.mistakes import why

Role = Literal["light", "reasoning", "agent", "light_mini", "reasoning_mini"]
Unit = Literal["turns", "micro_usd"]
Policy = Literal["session", "calendar", "rolling"]
Effort = Literal["low", "medium", "high"]

# From the smallest to the largest: a plan's floor is a place on this line.
ROLES: tuple[Role, ...] = ("light_mini", "reasoning_mini", "light", "agent", "reasoning")
EFFORTS: tuple[Effort, ...] = ("low", "medium", "high")
REQUIRED: tuple[Role, ...] = ("light", "reasoning", "agent")
SPANS: Mapping[int, str] = {86_400: "day", 604_800: "week", 2_592_000: "month"}
CAP_MAX = 2**53 - 1
WINDOW_MAX_S = 400 * 86_400


class PlansError(ValueError):
    """The plans file cannot be used. One line for each mistake: file, plan, bucket, key, why."""


class UnknownPlan(LookupError):
    """No plan has this name."""


class UnknownRole(LookupError):
    """The plan has no allowance for this role, so it does not include it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Price(_Strict):
    """Per month, in minor units of `currency`."""

    amount: int = Field(ge=0, le=CAP_MAX)
    currency: str = Field(pattern="^[A-Z]{3}$")

    def exceeds(self, other: "Price") -> bool:
        """Nothing costs less than any price, in whatever currency."""
        comparable = self.currency == other.currency or other.amount == 0
        return comparable and self.amount > other.amount


class Bucket(_Strict):
    """One allowance of one role. `window` is in seconds."""

    name: str = Field(pattern="^[a-z][a-z0-9_]{0,39}$")
    role: Role
    unit: Unit = "turns"
    cap: int = Field(ge=0, le=CAP_MAX)
    policy: Policy
    window: int = Field(ge=1, le=WINDOW_MAX_S)
    fallback: Role | None = None

    @model_validator(mode="after")
    def _calendar_has_a_name(self) -> Self:
        if self.policy == "calendar" and self.window not in SPANS:
            raise ValueError(
                "a calendar window is 86_400 (day), 604_800 (week) or 2_592_000 (month) seconds"
            )
        if self.fallback == self.role:
            raise ValueError("fallback is the role itself; leave it out to let people wait")
        return self

    @property
    def span(self) -> str:
        """The calendar's word for the window; 'day' where it is not used."""
        return SPANS.get(self.window, "day")


class Plan(_Strict):
    """What a person on this plan may use. Buckets keep the file's order."""

    name: str
    title: str
    price: Price
    effort_max: Effort = "high"
    floor: Role = "light_mini"
    pins: tuple[str, ...] = ("*",)
    buckets: Annotated[tuple[Bucket, ...], Field(min_length=1, alias="bucket")]
    _upgrades: tuple[str, ...] = PrivateAttr(())
    _topped_up: frozenset[str] | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _ladder_holds(self) -> Self:
        for name, count in Counter(b.name for b in self.buckets).items():
            if count > 1:
                raise ValueError(f"two buckets are named {name!r}; names are unique in a plan")
        roles = {b.role for b in self.buckets}
        for role in REQUIRED:
            if role not in roles:
                raise ValueError(f"no bucket for the role {role!r}; without one it has no limit")
        for bucket in self.buckets:
            if bucket.fallback is not None and bucket.fallback not in roles:
                raise ValueError(
                    f"bucket {bucket.name!r} falls back to {bucket.fallback!r}, "
                    "which has no bucket in this plan"
                )
        if self.floor not in roles:
            raise ValueError(f"floor {self.floor!r} has no bucket in this plan")
        for role in roles:
            self._floor_holds(self._walk(role))
        return self

    def _walk(self, role: Role) -> tuple[Role, ...]:
        """The rungs from `role` down. Raises `ValueError` for a fork or a circle."""
        rungs: list[Role] = []
        step: Role | None = role
        while step is not None:
            if step in rungs:
                raise ValueError(f"fallbacks go in a circle: {' → '.join([*rungs, step])}")
            rungs.append(step)
            ways = {b.fallback for b in self.buckets if b.role == step}
            if len(ways) > 1:
                raise ValueError(f"the buckets of {step!r} disagree about the fallback")
            step = ways.pop()
        return tuple(rungs)

    def _floor_holds(self, rungs: tuple[Role, ...]) -> None:
        """The smallest role comes after the floor, so that nobody gets it while the floor has room.

        Raises `ValueError` when a ladder steps past the floor.
        """
        smallest = ROLES[0]
        if self.floor == smallest or smallest not in rungs or rungs[0] == smallest:
            return
        if self.floor not in rungs[: rungs.index(smallest)]:
            raise ValueError(
                f"the fallbacks {' → '.join(rungs)} step past the floor {self.floor!r}; "
                f"let one of them fall back to {self.floor!r} first"
            )

    def ladder(self, role: str) -> tuple[Role, ...]:
        """The roles that may answer, best first. A role below the floor is lifted to it.

        Raises `UnknownRole` when the plan does not include the role.
        """
        known = next((r for r in ROLES if r == role), None)
        if known is None or all(b.role != known for b in self.buckets):
            raise UnknownRole(f"the plan {self.name!r} has no allowance for {role!r}")
        lifted = ROLES.index(known) < ROLES.index(self.floor)
        return self._walk(self.floor if lifted else known)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles this plan has an allowance for, smallest first."""
        return tuple(role for role in ROLES if self.of_role(role))

    @property
    def upgrades(self) -> tuple[str, ...]:
        """The names of the plans that cost more than this one, cheapest first."""
        return self._upgrades

    def sells_more_of(self, bucket: str) -> bool:
        """Whether units of this allowance can be bought; without a list of packs, of any."""
        return self._topped_up is None or bucket in self._topped_up

    def of_role(self, role: Role) -> tuple[Bucket, ...]:
        return tuple(b for b in self.buckets if b.role == role)

    def serves(self, role: str) -> bool:
        """Whether the role is not below the plan's floor: nobody is answered there by choice."""
        return role not in ROLES[: ROLES.index(self.floor)]

    def bounded(self, effort: Effort) -> Effort:
        """The effort asked for, or the plan's highest."""
        return min(effort, self.effort_max, key=EFFORTS.index)

    def may_pin(self, model: str) -> bool:
        """Whether a person on this plan may choose the model with this id."""
        return any(fnmatchcase(model, pattern) for pattern in self.pins)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose allowance it is, by which plan and in whose days."""

    subject: str
    plan: Plan
    timezone: str = "UTC"


class Plans:
    """All plans of one file, by name."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self.by_name: Mapping[str, Plan] = dict(plans)

    def plan(self, name: str) -> Plan:
        """Raises `UnknownPlan`."""
        if name not in self.by_name:
            raise UnknownPlan(f"no plan is named {name!r}; there are {', '.join(self.by_name)}")
        return self.by_name[name]

    def top_up(self, buckets: Container[str]) -> None:
        """Units of these allowances, and of no others, are for sale."""
        for plan in self.by_name.values():
            plan._topped_up = frozenset(b.name for b in plan.buckets if b.name in buckets)

    def check_pins(self, models: Collection[str], *, source: str) -> None:
        """Raises `PlansError` for a pin that no model answers to: it would allow nothing."""
        amiss = [
            f"{source}: plan.{plan.name} pins: no model is named like {pattern!r}; "
            f"there are {', '.join(models)}"
            for plan in self.by_name.values()
            for pattern in plan.pins
            if not any(fnmatchcase(model, pattern) for model in models)
        ]
        if amiss:
            raise PlansError("\n".join(amiss))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check the file. Raises `PlansError` that says what is wrong and where."""
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PlansError(f"{path}: cannot be read as TOML: {error}") from error
        return cls.parse(document, source=str(path))

    @classmethod
    def parse(cls, document: Mapping[str, object], *, source: str = "plans.toml") -> Self:
        """From a parsed document. Raises `PlansError` with every mistake found."""
        tables = document.get("plan")
        if not isinstance(tables, dict) or "free" not in tables:
            raise PlansError(f"{source}: [plan.free] is missing; new people and guests start there")
        problems = [f"{source}: unknown key {key!r}" for key in document if key != "plan"]
        plans: dict[str, Plan] = {}
        for name, table in tables.items():
            if not isinstance(table, dict):
                problems.append(f"{source}: plan.{name} is not a table; write [plan.{name}]")
                continue
            try:
                # As JSON, because strict validation takes an array for a tuple but no Python list.
                text = json.dumps(table | {"name": name}, default=str)
                plans[name] = Plan.model_validate_json(text)
            except ValidationError as error:
                problems += [f"{source}: {line}" for line in _explain(name, table, error)]
        problems += [
            f"{source}: {line}" for line in (*_prices_amiss(plans), *_disagreements(plans))
        ]
        if problems:
            raise PlansError("\n".join(problems))
        for plan in plans.values():
            dearer = [p for p in plans.values() if p.price.exceeds(plan.price)]
            plan._upgrades = tuple(p.name for p in sorted(dearer, key=lambda p: p.price.amount))
        return cls(plans)


def _prices_amiss(plans: Mapping[str, Plan]) -> list[str]:
    """Everybody begins on Free; a person moves between the others, so one currency prices all."""
    priced = [plan for plan in plans.values() if plan.price.amount]
    lines = [
        f"plan.{plan.name} price.currency: is {plan.price.currency!r} here and "
        f"{priced[0].price.currency!r} in plan.{priced[0].name}; price all plans in one currency"
        for plan in priced
        if plan.price.currency != priced[0].price.currency
    ]
    if any(plan.name == "free" for plan in priced):
        lines.append(
            "plan.free price.amount: everybody begins on this plan and nobody pays for it; "
            "write 0 and give the priced plan another name"
        )
    return lines


def _disagreements(plans: Mapping[str, Plan]) -> list[str]:
    """One name is one allowance in every plan: a change of plan is no way to a fresh one."""
    lines = []
    first: dict[str, tuple[str, Bucket]] = {}
    for plan in plans.values():
        for bucket in plan.buckets:
            other, known = first.setdefault(bucket.name, (plan.name, bucket))
            for key in ("role", "unit"):
                mine, theirs = getattr(bucket, key), getattr(known, key)
                if mine != theirs:
                    lines.append(
                        f"plan.{plan.name}.bucket ({bucket.name}) {key}: is {mine!r} here and "
                        f"{theirs!r} in plan.{other}; give one of the two another name"
                    )
    return lines


def _explain(plan: str, table: Mapping[str, object], error: ValidationError) -> list[str]:
    lines = []
    for mistake in error.errors():
        place = f"plan.{plan}"
        rest = list(mistake["loc"])
        if len(rest) > 1 and rest[0] == "bucket" and isinstance(rest[1], int):
            place += f".bucket[{rest[1]}]{_named(table, rest[1])}"
            rest = rest[2:]
        key = ".".join(str(part) for part in rest)
        lines.append(f"{place}{f' {key}' if key else ''}: {why(mistake, _KEYS)}")
    return lines


_KEYS = tuple(
    key.alias or name for kind in (Plan, Bucket, Price) for name, key in kind.model_fields.items()
)


def _named(table: Mapping[str, object], index: int) -> str:
    buckets = table.get("bucket")
    if isinstance(buckets, list) and isinstance(buckets[index], dict):
        return f" ({buckets[index].get('name', 'no name')})"
    return ""
