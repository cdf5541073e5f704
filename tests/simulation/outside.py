"""Every way out of the product and back: the outside's servers in this process, behind faults.

The servers are the very ones that run as processes elsewhere (the simulated Stripe, the demo
merchants); only the wire between is ours. It loses requests and answers, breaks them, delays them
until nobody waits any more, and kills whoever sent them.
"""

import itertools
import re
from collections.abc import Mapping
from typing import Any

import httpx

from tests.simulation.stage import Stage

FATES = (
    "crash_before",  # killed before the request left
    "crash_after",  # killed after it took effect, before the answer came
    "refused",  # no connection
    "lost_before",  # time-out, nothing happened
    "lost_after",  # it happened, the answer is lost
    "late",  # time-out now; it happens at some later moment
    "slow",  # it happens, and the answer comes when nobody waits for it any more
    "limited",  # (a merchant) 429, nothing happened
    "error_before",  # 503, nothing happened
    "error_after",  # it happened, and the answer is 500
    "garbage",  # it happened, and the answer is a web page
    "replayed_500",  # (the processor) it happened, and its key answers 500 from now on
    "twice",  # the wire delivers the request two times
)
WRITES_ONLY = ("late", "slow", "error_after", "replayed_500", "twice")
KEYED_ONLY = ("late", "twice")  # what happens again, or too late, where nothing tells it from new
SLOW_S = (12.0, 29.0, 31.0, 70.0)
RETRY_AFTER = ("soon", "0", "2", "20", "3600")  # what a merchant that limits us may say
_IDS = re.compile(r"/[a-z]{1,5}_[A-Za-z0-9]{8,}")


class Wire(httpx.AsyncBaseTransport):
    """`servers`: host → application. `stored_500` plans the processor's own stored failure."""

    def __init__(self, stage: Stage, servers: Mapping[str, Any], stored_500: Any) -> None:
        self._stage = stage
        self._to = {host: httpx.ASGITransport(app) for host, app in servers.items()}
        self._stored_500 = stored_500
        self._late = itertools.count(1)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        host, write = request.url.host, request.method != "GET"
        point = f"{request.method} {host}{_IDS.sub('/_', request.url.path)}"
        await self._stage.gate(point)
        possible = [f for f in FATES if write or f not in WRITES_ONLY]
        foreign = "limited" if host == "stripe" else "replayed_500"
        possible = [f for f in possible if f != foreign]
        if host == "wings":
            possible = [f for f in possible if f not in KEYED_ONLY]
        fate = self._stage.fate(possible)
        answer = await self._before(fate, request, point)
        if answer is None:
            answer = await self._deliver(request)
        answer = await self._after(fate, request, answer, point)
        await self._stage.gate(f"{point} answered")
        return answer

    async def _before(
        self, fate: str | None, request: httpx.Request, point: str
    ) -> httpx.Response | None:
        match fate:
            case "crash_before":
                self._stage.die(point)
            case "refused":
                raise httpx.ConnectError("refused", request=request)
            case "lost_before":
                raise httpx.ReadTimeout("nothing came", request=request)
            case "late":
                again = _copy(request)
                self._stage.enter(f"late-{next(self._late)}", self._arrive(again))
                raise httpx.ReadTimeout("nothing came yet", request=request)
            case "limited":
                said = {"Retry-After": self._stage.random.choice(RETRY_AFTER)}
                body = {"type": "x", "code": "rate_limited", "message": "slow down"}
                return httpx.Response(429, json=body, headers=said)
            case "error_before":
                return httpx.Response(503, json={"type": "x", "code": "down", "message": "down"})
            case "replayed_500":
                self._stored_500(request)
        return None

    async def _arrive(self, request: httpx.Request) -> None:
        await self._deliver(request)

    async def _after(
        self, fate: str | None, request: httpx.Request, answer: httpx.Response, point: str
    ) -> httpx.Response:
        match fate:
            case "crash_after":
                self._stage.die(point)
            case "slow":
                await self._stage.sleep(self._stage.random.choice(SLOW_S))
                raise httpx.ReadTimeout("it came too late", request=request)
            case "lost_after":
                raise httpx.ReadError("cut", request=request)
            case "error_after":
                return httpx.Response(500, json={"type": "x", "code": "oops", "message": "oops"})
            case "garbage":
                return httpx.Response(200, html="<!doctype html><title>Maintenance</title>")
            case "twice":
                await self._deliver(_copy(request))
        return answer

    async def _deliver(self, request: httpx.Request) -> httpx.Response:
        answer = await self._to[request.url.host].handle_async_request(request)
        await answer.aread()
        return answer


def _copy(request: httpx.Request) -> httpx.Request:
    return httpx.Request(
        request.method, request.url, headers=request.headers, content=request.content
    )
