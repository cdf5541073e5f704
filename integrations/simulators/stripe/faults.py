"""Planned misfortune: the next N calls of a method and path go wrong in a chosen way."""

from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

Kind = Literal[
    "delay",  # answer correctly, late
    "error_before",  # 500, nothing done
    "error_after",  # done, then 500; the 500 is what the key remembers, as Stripe's keys do
    "cut_before",  # the connection ends, nothing done
    "cut_after",  # done and remembered; the answer is lost on its way
    "rate_limit",  # 429, nothing done
    "conflict",  # 409 lock_timeout, nothing done
]


class FaultError(ValueError):
    """A fault that cannot be planned as it was described."""


@dataclass(slots=True)
class Fault:
    """`path` may hold `*`. `skip` calls pass first. `stored`: whether a 500 sticks to its key."""

    kind: Kind
    method: str = "*"
    path: str = "*"
    times: int = 1
    skip: int = 0
    delay_s: float = 0.0
    stored: bool | None = None

    @property
    def before(self) -> bool:
        return self.kind in ("error_before", "cut_before", "rate_limit", "conflict")


@dataclass(slots=True)
class Faults:
    planned: list[Fault] = field(default_factory=list)

    def plan(self, given: dict[str, Any]) -> Fault:
        names = set(Fault.__slots__)
        if unknown := set(given) - names:
            raise FaultError(f"unknown: {', '.join(sorted(unknown))}")
        if given.get("kind") not in get_args(Kind):
            raise FaultError(f"kind is one of {', '.join(get_args(Kind))}")
        fault = Fault(**given)
        self.planned.append(fault)
        return fault

    def next(self, method: str, path: str) -> Fault | None:
        """The first plan that fits this call, used up by one."""
        for fault in self.planned:
            fits = fault.method in ("*", method) and fnmatchcase(path, fault.path)
            if not fits or fault.times < 1:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None

    def listed(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self.planned if fault.times > 0]
