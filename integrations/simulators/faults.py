"""Fault switches of the demo merchants: what goes wrong, at which operation, how often.

`POST /_sim/faults {"faults": [{"kind", "at", "times", "value"}]}` replaces the list. `at` is an
operation's name or `*`; `times` counts down and -1 lasts until replaced.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal[
    "delay",  # `value` seconds before anything happens, while the key counts as in flight
    "error_before",  # 500, nothing happened
    "error_after",  # 500 although it happened; the key is forgotten, as the protocols demand
    "lost_answer",  # it happened, the connection is cut within the answer
    "html",  # it happened, the answer is a web page
    "truncated",  # it happened, the answer stops inside the JSON
    "wrong_totals",  # the stated total is off by `value` minor units
    "unknown_status",  # a status that no version of the protocol knows
    "wrong_quantity",  # the answer's first line has ten times the quantity
    "price_drift",  # prices are `value` basis points higher
    "out_of_stock",  # the goods are gone when they are to be taken
    "requires_escalation",  # the merchant insists on its own site, `continue_url` says where
    "no_continue_url",  # as above, but without the address
    "keys_down",  # idempotency keys cannot be kept: 503 before anything is done
    "other_version",  # the answer calls itself another version of the protocol
    "missing_field",  # the answer lacks a part that it must have
    "redirect",  # 302 to somewhere else, nothing happened
    "huge",  # it happened, the answer is a megabyte
    "drip",  # it happened, the answer comes a byte at a time
]
KINDS = frozenset(get_args(Kind))


class UnknownFault(ValueError):
    """A fault of no known kind, or with parts that make no sense."""


@dataclass(slots=True)
class Fault:
    kind: str
    at: str
    times: int
    value: float


class Faults:
    """The switches of one process. Not kept on disk: a restart is a clean machine."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def replace(self, wanted: Iterable[Mapping[str, Any]]) -> None:
        faults = [_fault(entry) for entry in wanted]
        with self._lock:
            self._faults = faults

    def strikes(self, kind: Kind, at: str) -> Fault | None:
        """The fault of this kind that hits operation `at` now; each hit is counted."""
        with self._lock:
            for fault in self._faults:
                if fault.kind == kind and fault.at in ("*", at) and fault.times != 0:
                    fault.times -= 1 if fault.times > 0 else 0
                    return fault
        return None

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {"kind": f.kind, "at": f.at, "times": f.times, "value": f.value}
                for f in self._faults
            ]


def _fault(entry: Mapping[str, Any]) -> Fault:
    kind, at = entry.get("kind"), entry.get("at", "*")
    times, value = entry.get("times", 1), entry.get("value", 0)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownFault(f"a fault has one of these kinds: {', '.join(sorted(KINDS))}")
    if not isinstance(at, str) or type(times) is not int or not isinstance(value, int | float):
        raise UnknownFault("at is a word, times a whole number, value a number")
    return Fault(kind, at, times, float(value))
