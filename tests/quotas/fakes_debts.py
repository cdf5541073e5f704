"""One allowance of cost in memory, with what its windows owe: written from the rules, in UTC."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quotas.plans import Bucket


@dataclass
class Window:
    end: datetime
    used: int = 0
    held: int = 0
    overage: int = 0
    carried: int = 0


class Debtor:
    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.windows: list[Window] = []
        self.holds: dict[str, tuple[int, int]] = {}

    def end(self, at: datetime) -> datetime:
        """Of a window that opens at this time."""
        if self.bucket.policy == "calendar":
            at = at.replace(hour=0, minute=0, second=0)
        return at + timedelta(seconds=self.bucket.window)

    def level(self, at: datetime) -> tuple[int, int, int]:
        """What is owed, used and held of the window that counts now."""
        if not self.windows:
            return 0, 0, 0
        last = self.windows[-1]
        if at < last.end:
            return last.carried, last.used, last.held
        owed = min(self.bucket.cap, last.overage) if at < self.end(last.end) else 0
        return owed, 0, 0

    def remaining(self, at: datetime) -> int:
        return max(0, self.bucket.cap - sum(self.level(at)))

    def reserve(self, turn: str, cost: int, at: datetime) -> bool:
        if self.remaining(at) < cost:
            return False
        if not self.windows or at >= self.windows[-1].end:
            self.windows.append(Window(self.end(at), carried=self.level(at)[0]))
        self.windows[-1].held += cost
        self.holds[turn] = (len(self.windows) - 1, cost)
        return True

    def settle(self, turn: str, spent: int) -> None:
        n, cost = self.holds.pop(turn)
        window = self.windows[n]
        window.held -= cost
        over = window.used + window.carried + window.held + spent - self.bucket.cap
        beyond = max(0, min(spent - cost, over))
        window.used += spent
        window.overage += beyond
        if n + 1 < len(self.windows):
            after = self.windows[n + 1]
            after.carried = min(self.bucket.cap, after.carried + beyond)
