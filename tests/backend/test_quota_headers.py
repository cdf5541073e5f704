"""The allowance in the headers of an answer and of a refusal."""

import re

from backend.api import wire
from backend.database import Database
from tests.quotas.fakes_plans import HOUR, light, plan
from tests.quotas.turns import settle, take


async def test_a_rolling_window_says_when_it_next_has_room(database: Database):
    """It has no end: without the moment a client is told to come back in zero seconds."""
    rolling = plan(light(1, policy="rolling", window=HOUR, fallback=None))
    await take(database, "t", rolling, at=None)
    await settle(database, "t", at=None)
    denied = await take(database, "denied", rolling, at=None)
    said = wire.limits(denied.quota)
    assert said["x-emptor-quota-reset"] == denied.quota["buckets"][0]["next_free_at"]
    left = re.search(r"t=(\d+)$", said["ratelimit"])
    assert left is not None
    assert HOUR - 120 < int(left[1]) <= HOUR + 60
    assert said["x-ratelimit-reset-requests"].startswith(("59m", "1h", "58m"))
