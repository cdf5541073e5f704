"""Who runs out is answered by the next rung, and who is denied has taken nothing."""

import pytest

from backend.database import Database
from quotas.plans import UnknownRole
from tests.quotas.fakes_plans import DAY, HOUR, bucket, light, plan
from tests.quotas.turns import NOON, counts, release, seconds, shown, take


async def test_a_turn_is_served_as_asked_while_there_is_room(database: Database):
    given = await take(database, "t1", plan(light(2)))
    assert given.granted
    assert (given.served_role, given.downgrade_reason, given.buckets) == ("light", None, ("light",))
    assert given.quota["charged"] == {"light": 1}
    assert given.quota["binding"] is None
    assert counts(given.quota["buckets"][0]) == (0, 1, 1)


async def test_a_used_up_allowance_is_answered_by_the_fallback_and_said(database: Database):
    two = plan(light(2))
    for turn in ("t1", "t2"):
        await take(database, turn, two)
    third = await take(database, "t3", two)
    assert third.granted
    assert (third.requested_role, third.served_role) == ("light", "light_mini")
    assert third.downgrade_reason == "allowance_used:light"
    assert third.quota["binding"] == "light"
    assert third.quota["downgrade_reason"] == "allowance_used:light"
    assert third.quota["charged"] == {"light_mini": 1}


async def test_the_ladder_is_walked_to_its_end_and_then_says_how_long_to_wait(database: Database):
    small = plan(
        bucket("reasoning", 1, fallback="reasoning_mini", window=7 * HOUR),
        bucket("reasoning_mini", 1, fallback="light", window=2 * HOUR),
        light(1, window=5 * HOUR),
        bucket("light_mini", 1, window=3 * HOUR),
    )
    served = [await take(database, f"t{n}", small, "reasoning") for n in range(5)]
    assert [a.served_role for a in served] == [
        "reasoning",
        "reasoning_mini",
        "light",
        "light_mini",
        None,
    ]
    assert {a.downgrade_reason for a in served[1:4]} == {"allowance_used:reasoning"}
    last = served[-1]
    assert not last.granted
    assert last.retry_after_s == 2 * HOUR  # the first rung that is free again
    assert last.quota["binding"] == "reasoning"
    assert last.quota["charged"] == {}
    again = await take(database, "t9", small, "reasoning", at=NOON + seconds(2 * HOUR))
    assert again.served_role == "reasoning_mini"


async def test_a_denied_turn_leaves_no_trace_and_may_ask_again(database: Database):
    closed = plan(bucket("light", 1))
    await take(database, "t1", closed)
    assert not (await take(database, "t2", closed)).granted
    await release(database, "t1")
    assert (await take(database, "t2", closed)).granted


async def test_a_closed_bucket_never_opens_by_waiting(database: Database):
    none = await take(database, "t", plan(bucket("light", 0)))
    assert (none.granted, none.retry_after_s) == (False, None)
    mini = await take(database, "t", plan(light(0)))
    assert mini.served_role == "light_mini"


async def test_a_turn_needs_room_in_every_bucket_of_its_role(database: Database):
    both = plan(
        light(3),
        light(2, name="light_week", role="light", window=7 * DAY),
    )
    served = [(await take(database, f"t{n}", both)) for n in range(3)]
    assert [a.served_role for a in served] == ["light", "light", "light_mini"]
    assert served[0].quota["charged"] == {"light": 1, "light_week": 1}
    assert served[2].downgrade_reason == "allowance_used:light_week"
    assert counts(await shown(database, both)) == (0, 2, 1)  # the other bucket gave nothing


async def test_a_role_that_the_plan_does_not_have_is_an_error(database: Database):
    with pytest.raises(UnknownRole):
        await take(database, "t", plan(), "oracle")


async def test_a_floor_lifts_what_routing_asks_for(database: Database):
    given = await take(database, "t", plan(light(1), floor="light"), "light_mini")
    assert (given.served_role, given.downgrade_reason) == ("light", None)


async def test_subjects_do_not_share(database: Database):
    one = plan(light(1))
    first = await take(database, "t1", one, subject="a")
    second = await take(database, "t2", one, subject="b")
    assert (first.served_role, second.served_role) == ("light", "light")
