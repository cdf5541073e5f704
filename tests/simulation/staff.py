"""Who works while people shop: the product's workers, the processor's courier, merchants' staff.

Each is one actor of the stage and begins again where it is killed, as a supervisor sees to.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy.exc import OperationalError

from backend import idempotency, jobs, release
from backend.checkout import expire_due
from backend.purchase import drive
from backend.refunding import drive_refund
from integrations.simulators.stripe.webhooks import signature
from quotas import usage as allowances
from tests.simulation.furniture import HOOK_SECRET, ORDERS_SECRET
from tests.simulation.stage import Crash, Stage
from tests.simulation.world import World

IDLE_S = 1.0
# Events that name a payment. The others can only be written down; most endpoints ask for none.
TOLD = ("payment_intent.", "charge.")


async def forever(stage: Stage, what: str, once: Callable[[], Awaitable[None]]) -> None:
    """One thing after another; who is killed over one is started again for the next."""
    while True:
        await stage.gate(what)
        try:
            await once()
        except Crash:
            stage.revive()
        except OperationalError:
            if not stage.was_unlucky():
                raise


class Worker:
    """A worker process: the queue's jobs, and the periodic tasks whenever it has nothing to do.

    A job that it was killed over is gone with it: only the row's own time brings it back. A
    periodic task is one job of all workers, as the queue has it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage = world.stage
        self._empty_at = -1

    async def live(self) -> None:
        await forever(self.stage, "works", self.once)

    async def once(self) -> None:
        """A job, else what is due by the clock, else nothing for a while."""
        now, rounds = time.time(), self.world.rounds
        if await self.job():
            return
        if now >= rounds["redrive"]:
            rounds["redrive"] = now + 5.0
            await self.redrive()
        elif now >= rounds["sweep"]:
            rounds["sweep"] = now + 20.0
            await self.sweep()
        else:
            await self.stage.sleep(IDLE_S)

    async def job(self) -> bool:
        """The oldest job of the queue. False: there is none, as none came since it was empty."""
        queued = self.world.database.queued
        if queued == self._empty_at:
            return False
        found = await self.world.rows(
            "DELETE FROM procrastinate_jobs WHERE id = (SELECT id FROM procrastinate_jobs"
            " ORDER BY id LIMIT 1) RETURNING task_name, args"
        )
        if not found:
            self._empty_at = queued
            return False
        [(_, row_id)] = found[0]["args"].items()
        task = {"drive": drive, "refund": drive_refund}[found[0]["task_name"]]
        await task(self.world.till, row_id)
        return True

    async def redrive(self) -> None:
        for task, row_id in await jobs.due(self.world.till):
            await task(self.world.till, row_id)

    async def sweep(self) -> None:
        """What `jobs.sweep` does, row by row: a process of the stage does one thing at a time."""
        till = self.world.till
        async with till.database.transaction() as session:
            await expire_due(session)
            await idempotency.forget_old(session)
            await allowances.sweep(session)
        for row_id in await release.due(till):
            await release.release(till, row_id)


class Courier:
    """Brings the processor's events: late, twice, out of order, forged, and again until taken."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage = world.stage

    async def live(self) -> None:
        async with self.world.client("nobody") as self.http:
            await forever(self.stage, "carries", self.once)

    async def once(self) -> None:
        store, random = self.world.bank.world.store, self.stage.random
        waiting = store.due(self.world.clock.now().timestamp())
        if not waiting:
            await self.stage.sleep(IDLE_S)
            return
        near = waiting[:8] if random.random() < 0.9 else waiting  # some come when all is over
        delivery, event_id, _ = random.choice(near)
        event = store.find(event_id)
        assert event is not None
        if not event["type"].startswith(TOLD) and random.random() < 0.7:
            store.delivered(delivery)
            return
        body = json.dumps(event, separators=(",", ":")).encode()
        at = int(self.world.clock.now().timestamp())
        if random.random() < 0.05:
            forged = signature(body, "whsec_of_somebody_else", at=at)
            answer = await self._bring(body, forged)
            assert answer.status_code == 400, answer.text
        answer = await self._bring(body, signature(body, HOOK_SECRET, at=at))
        if answer.is_success and random.random() < 0.85:
            store.delivered(delivery)

    async def _bring(self, body: bytes, signed: str) -> httpx.Response:
        return await self.http.post(
            "/webhooks/stripe", content=body, headers={"stripe-signature": signed}
        )


class Staff:
    """The merchants' people: prices, stock and answers go wrong, orders are sent and told of."""

    SPOILED = (
        {"kind": "price_drift", "at": "price", "value": 500, "times": 2},
        {"kind": "out_of_stock", "at": "complete"},
        {"kind": "out_of_stock", "at": "confirm"},
        {"kind": "wrong_totals", "at": "complete", "value": 250},
        {"kind": "wrong_totals", "at": "confirm", "value": 250},
        {"kind": "wrong_quantity", "at": "*"},
        {"kind": "unknown_status", "at": "*"},
        {"kind": "missing_field", "at": "*"},
        {"kind": "requires_escalation", "at": "session"},
        {"kind": "no_continue_url", "at": "session"},
    )

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage = world.stage

    async def live(self) -> None:
        async with self.world.client("nobody") as self.http:
            await forever(self.stage, "minds the shop", self.once)

    async def once(self) -> None:
        random = self.stage.random
        await self.stage.sleep(random.choice((2.0, 10.0, 30.0)))
        seller = random.choice(tuple(self.world.staff))
        if random.random() < self.stage.rate * 2:
            fault = {"times": 1} | dict(random.choice(self.SPOILED))
            await self.world.staff[seller].post("/_sim/faults", json={"faults": [fault]})
        found = self.world.merchant_orders(seller)
        if seller in ("shop", "record", "airline") and found and random.random() < 0.3:
            await self.tell(random.choice(found), random.choice(("shipped", "delivered", "odd")))
        if self.world.letters and random.random() < 0.5:
            await self._bring()

    async def tell_again(self) -> None:
        """The airline repeats its orders until they are taken."""
        async with self.world.client("nobody") as self.http:
            for order in self.world.merchant_orders("airline"):
                await self.tell(order, order["status"])

    async def _bring(self) -> None:
        """An event of a box office: in any order, twice, or never."""
        random, letters = self.stage.random, self.world.letters
        letter = random.choice(letters[:6])
        if random.random() < 0.8:
            letters.remove(letter)
        if random.random() < 0.1:
            return
        url, body, vouched = letter
        answer = await self.http.post(httpx.URL(url).path, content=body, headers=vouched())
        assert answer.status_code < 500, answer.text

    async def tell(self, order: dict[str, Any], status: str) -> None:
        data = order | {"status": status}
        body = json.dumps({"type": "order_update", "data": data}).encode()
        at = int(self.world.clock.now().timestamp())
        mac = hmac.new(ORDERS_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256)
        headers = {"merchant-signature": f"t={at},v1={mac.hexdigest()}"}
        url = "/agentic_checkout/webhooks/order_events"
        for _ in range(self.stage.random.choice((1, 1, 2))):
            await self.http.post(url, content=body, headers=headers)
