"""One bad partner: what it may hold up is its own calls."""

import asyncio
import contextlib

import httpx
import pytest
from fastapi import FastAPI, Response

from integrations.egress import guarded_client
from integrations.lanes import FAILURES_MAX, PAUSE_MAX_S, PAUSE_S, Lanes
from integrations.partner import PartnerError, PartnerUnreachable
from tests.servers import serving


class Ticks:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def call(lanes: Lanes, host: str, *, well: bool) -> None:
    async with lanes.through(host) as passage:
        passage.well = well


async def closed(lanes: Lanes, host: str = "bad") -> bool:
    try:
        await call(lanes, host, well=True)
    except PartnerUnreachable as refused:
        return refused.code == "breaker_open"
    return False


async def test_failures_in_a_row_close_a_lane_and_only_that_one():
    lanes = Lanes(now=Ticks())
    for _ in range(FAILURES_MAX - 1):
        await call(lanes, "bad", well=False)
    await call(lanes, "bad", well=True)
    for _ in range(FAILURES_MAX):
        await call(lanes, "bad", well=False)
    assert await closed(lanes)
    assert not await closed(lanes, "good")


async def test_after_a_pause_one_call_sees_whether_it_is_well_again():
    ticks = Ticks()
    lanes = Lanes(now=ticks)
    for _ in range(FAILURES_MAX):
        await call(lanes, "bad", well=False)
    ticks.at += PAUSE_S + 0.1
    async with lanes.through("bad") as probe:
        assert await closed(lanes)  # one at a time
        probe.well = True
    assert not await closed(lanes)


async def test_the_pauses_grow_while_it_stays_bad_and_end_within_a_minute_of_its_recovery():
    ticks = Ticks()
    lanes = Lanes(now=ticks)
    for _ in range(FAILURES_MAX):
        await call(lanes, "bad", well=False)
    pauses = []
    for _ in range(6):
        began = ticks.at
        while await closed_now(lanes):
            ticks.at += 0.5
        pauses.append(ticks.at - began)
        await call(lanes, "bad", well=False)
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(PAUSE_S, abs=0.5)
    assert pauses[-1] == pytest.approx(PAUSE_MAX_S, abs=0.5)


async def closed_now(lanes: Lanes) -> bool:
    """Whether a call would be refused now, without making one."""
    lane = lanes._lanes["bad"]
    return lanes.now() < lane.closed_until


async def test_a_call_that_is_given_up_frees_its_place():
    lanes = Lanes(at_once=1, wait_s=0.05)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01), lanes.through("slow"):
            await asyncio.Event().wait()
    await call(lanes, "slow", well=True)
    async with lanes.through("slow"):
        with pytest.raises(PartnerUnreachable) as refused:
            await call(lanes, "slow", well=True)
    assert refused.value.code == "busy"


class House:
    """A merchant that answers, fails or hangs, and counts what reached it."""

    def __init__(self, mood: str = "well") -> None:
        self.mood, self.heard, self.at_once, self.most = mood, 0, 0, 0
        self.freed = asyncio.Event()
        self.app = FastAPI()
        self.app.add_api_route("/x", self.answer, methods=["GET", "POST"])

    async def answer(self) -> Response:
        self.heard += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            if self.mood == "hangs":
                await self.freed.wait()
        finally:
            self.at_once -= 1
        status = {"fails": 503, "refuses": 404}.get(self.mood, 200)
        return Response('{"ok":true}', status, media_type="application/json")


async def ask(http: httpx.AsyncClient, url: str, method: str = "GET", **more) -> int | str:
    try:
        return (await http.request(method, f"{url}/x", **more)).status_code
    except PartnerError as error:
        return error.code


async def test_a_house_that_hangs_holds_its_lane_and_nobody_elses():
    bad, good = House("hangs"), House()
    async with serving(bad.app) as slow, serving(good.app) as quick:
        hosts = frozenset(url.removeprefix("http://") for url in (slow, quick))
        async with guarded_client(hosts, total_deadline_s=20, lanes=Lanes(at_once=3)) as http:
            waiting = [asyncio.create_task(ask(http, slow)) for _ in range(40)]
            async with asyncio.timeout(15):
                answers = await asyncio.gather(*(ask(http, quick) for _ in range(40)))
            assert answers == [200] * 40
            assert bad.most == 3
            bad.freed.set()
            assert await asyncio.gather(*waiting) == [200] * 40


async def test_what_fails_is_no_longer_asked_but_a_no_is_no_failure():
    bad, strict = House("fails"), House("refuses")
    async with serving(bad.app) as one, serving(strict.app) as other:
        hosts = frozenset(url.removeprefix("http://") for url in (one, other))
        async with guarded_client(hosts) as http:
            seen = [await ask(http, one) for _ in range(FAILURES_MAX + 3)]
            assert seen == [503] * FAILURES_MAX + ["breaker_open"] * 3
            assert bad.heard == FAILURES_MAX
            assert {await ask(http, other) for _ in range(FAILURES_MAX + 3)} == {404}


async def test_a_search_that_fails_stops_no_purchase():
    house = House("fails")
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(house.app))
        http = guarded_client(frozenset({url.removeprefix("http://")}))
        await stack.enter_async_context(http)
        for _ in range(FAILURES_MAX + 1):
            searched = await ask(http, url, "POST")
        assert searched == "breaker_open"
        house.mood = "well"
        assert await ask(http, url, "POST", headers={"idempotency-key": "k"}) == 200
