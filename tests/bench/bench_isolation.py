"""What a merchant that hangs costs the others: the p99 of healthy calls, without and beside it.

`python tests/bench/bench_isolation.py` asks three healthy merchants by the guarded client, first
alone, then while as many callers again ask one that never answers; and the same through one plain
pool of 32 connections without lanes, which is the baseline.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import httpx
import numpy as np
from fastapi import FastAPI, Response

from integrations.egress import guarded_client
from integrations.partner import PartnerError
from integrations.tls import roots
from tests.servers import serving

CALLERS = 12
SECONDS = 8.0
DEADLINE_S = 3.0
HANGS_S = 4 * DEADLINE_S  # longer than anybody waits, and short enough to end with the bench
PAUSE_S = 0.02
RATIO_MAX = 1.2


def house(*, hangs: bool) -> FastAPI:
    app = FastAPI()

    @app.get("/x")
    async def answer() -> Response:
        await asyncio.sleep(HANGS_S if hangs else 0.02)
        return Response("{}", media_type="application/json")

    return app


async def caller(http: httpx.AsyncClient, urls: list[str], number: int, took: list[float]) -> None:
    while True:
        for turn in range(len(urls)):
            began = time.perf_counter()
            with contextlib.suppress(PartnerError, httpx.HTTPError):
                await http.get(f"{urls[(number + turn) % len(urls)]}/x")
            took.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(PAUSE_S)


async def p99(http: httpx.AsyncClient, healthy: list[str], bad: str | None) -> float:
    took: list[float] = []
    tasks = [asyncio.create_task(caller(http, healthy, n, took)) for n in range(CALLERS)]
    if bad is not None:
        tasks += [asyncio.create_task(caller(http, [bad], n, [])) for n in range(4 * CALLERS)]
    await asyncio.sleep(SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return float(np.percentile(took, 99))


async def measure() -> bool:
    async with contextlib.AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(house(hangs=False))) for _ in range(3)]
        bad = await stack.enter_async_context(serving(house(hangs=True)))
        hosts = frozenset(url.removeprefix("http://") for url in (*urls, bad))
        ratios = []
        for name in ("lanes", "one pool"):
            for beside in (None, bad):
                if name == "lanes":
                    http = guarded_client(hosts, total_deadline_s=DEADLINE_S)
                else:
                    limits = httpx.Limits(max_connections=32)
                    http = httpx.AsyncClient(
                        verify=roots(), timeout=DEADLINE_S, limits=limits, trust_env=False
                    )
                found = await p99(http, urls, beside)
                await http.aclose()
                where = "beside a hanging one" if beside else "alone"
                print(f"{name:9} {where:22} p99 {found:8.1f} ms")
                ratios.append(found)
        ours, theirs = ratios[1] / ratios[0], ratios[3] / ratios[2]
        print(f"p99 grows by {ours:.2f}× with lanes, {theirs:.2f}× in one pool; "
              f"≤ {RATIO_MAX}: {'yes' if ours <= RATIO_MAX else 'NO'}")  # fmt: skip
        return ours <= RATIO_MAX


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(measure()) else 1)
