"""Which models are well: a circuit breaker for each, and one budget for asking again.

In memory and for this process: what is down for one process it finds out for itself within three
calls, and no shared store can be down with it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FAILURES = 3  # in a row, until a model rests
REST_S = 30.0  # then one call may try it again
SHARE = 0.2  # of the calls may be asked again: a sick provider must not double the load
BURST = 10.0


@dataclass(slots=True)
class _Pulse:
    failures: int = 0
    rests_until: float = 0.0
    last_failure: str = ""


@dataclass(slots=True)
class Health:
    """`clock` is monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    budget: float = BURST
    pulses: dict[str, _Pulse] = field(default_factory=dict)

    def asked(self) -> None:
        """A call begins: it earns its share of another one."""
        self.budget = min(BURST, self.budget + SHARE)

    def may_retry(self) -> bool:
        """Whether there is budget to ask another model. Takes it."""
        if self.budget < 1:
            return False
        self.budget -= 1
        return True

    def open_to(self, model: str) -> bool:
        """Whether to ask it now. A rest that is over lets one call through, then rests again."""
        pulse = self.pulses.get(model)
        if pulse is None or pulse.failures < FAILURES:
            return True
        if self.clock() < pulse.rests_until:
            return False
        pulse.rests_until = self.clock() + REST_S
        return True

    def worked(self, model: str) -> None:
        self.pulses.pop(model, None)

    def failed(self, model: str, why: str) -> None:
        pulse = self.pulses.setdefault(model, _Pulse())
        pulse.failures += 1
        pulse.last_failure = why
        if pulse.failures >= FAILURES:
            pulse.rests_until = self.clock() + REST_S

    def resting(self) -> list[str]:
        """The models that are not asked now, by name."""
        return sorted(name for name, pulse in self.pulses.items() if pulse.failures >= FAILURES)

    def of(self, model: str) -> dict[str, Any]:
        """`{"state": "well"|"failing"|"resting", "failures", "last_failure"}`."""
        pulse = self.pulses.get(model)
        if pulse is None:
            return {"state": "well", "failures": 0, "last_failure": None}
        state = "resting" if pulse.failures >= FAILURES else "failing"
        return {"state": state, "failures": pulse.failures, "last_failure": pulse.last_failure}
