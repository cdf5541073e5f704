"""A router version that hangs: it is left alone, and it holds nobody up, not even at the end."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backend.rollout import GIVE_UP_AFTER, Loaded, Pick, Plan, VersionFailed
from graphs.router.rules_only import RulesOnly
from graphs.state import Ask, Route

ROOT = Path(__file__).parents[2]
STOPS = """
import threading
from backend.rollout import Loaded, VersionFailed
from graphs.state import Ask

class Hangs:
    def route(self, ask):
        threading.Event().wait()

hangs = Loaded("hangs", Hangs())
try:
    hangs.decide(Ask("hello"), 0.05)
except VersionFailed:
    print("gave up")
hangs.close()
"""


class Hangs:
    """Waits until the test is over; counts who asked."""

    def __init__(self) -> None:
        self.asked, self.over = 0, threading.Event()

    def route(self, ask: Ask) -> Route:
        self.asked += 1
        self.over.wait()
        return RulesOnly().route(ask)


def test_the_product_stops_although_a_version_hangs():
    script = [sys.executable, "-c", STOPS]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "gave up")


async def test_a_shadow_that_hangs_is_left_alone_after_a_few_turns():
    router = Hangs()
    shadow = Loaded("hangs", router, shadow_s=0.02)
    base = Loaded("healthy", RulesOnly())
    plan = Plan(1, "healthy", "hangs", "shadow", 0, {"healthy": base, "hangs": shadow})
    for number in range(GIVE_UP_AFTER + 5):
        pick = Pick(plan, "base", RulesOnly())
        assert pick.route(Ask(f"hello {number}")).kind == "casual"
        assert await pick.shadowed() is None
    assert router.asked == GIVE_UP_AFTER
    with pytest.raises(VersionFailed, match="rests"):
        shadow.ask(Ask("hello"))
    router.over.set()
    shadow.close()
    base.close()
