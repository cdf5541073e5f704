"""Who acts: people who buy, hesitate and change their minds, merchants' staff, workers, couriers.

Each is one actor of the stage. A request whose process was killed or whose database failed is sent
again with the same key, as a browser does; what a person gives up stays for the workers to end.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy.exc import OperationalError

from backend import idempotency, jobs, release
from backend.checkout import expire_due
from backend.purchase import drive
from backend.refunding import drive_refund
from integrations.simulators.stripe.webhooks import signature
from tests.simulation.stage import Crash
from tests.simulation.world import HOOK_SECRET, ORDERS_SECRET, SELLERS, World

CARDS = (
    *("pm_card_visa",) * 7,
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
)
TRIES_MAX = 12
OURS = frozenset({500, 503})  # allowed only where a transaction was made to fail
Answer = tuple[int, dict[str, Any]]


class Unexpected(AssertionError):
    """An answer that nobody should get."""


class Person:
    """Buys `errands` things, one after another, each by a story that the seed chooses."""

    def __init__(self, world: World, who: str, errands: int) -> None:
        self.world = world
        self.who = who
        self.errands = errands
        self.random = world.stage.random
        self.confirmed = 0

    async def live(self) -> None:
        async with self.world.client(self.who) as self.http:
            for _ in range(self.errands):
                await self.errand()

    async def errand(self) -> None:
        made = await self._create()
        if made is None:
            return
        story = self.random.choices(
            (self._buy, self._buy_twice, self._change_and_buy, self._buy_the_old, self._cancel,
             self._leave, self._buy_and_cancel),
            weights=(9, 3, 3, 1, 1, 1, 2),
        )[0]  # fmt: skip
        checkout = await story(made)
        if checkout is not None and self.random.random() < 0.35:
            await self._regret(checkout["id"])

    async def _create(self) -> dict[str, Any] | None:
        seller = self.random.choice(SELLERS)
        shelf = self.world.offers[seller]
        lines = [{"offer_id": self.random.choice(shelf), "quantity": self.random.choice((1, 1, 2))}]
        if seller == "tables":
            lines[0]["quantity"] = 1
        elif self.random.random() < 0.3:
            other = self.random.choice(shelf)
            if other != lines[0]["offer_id"]:
                lines.append({"offer_id": other, "quantity": 1})
        status, made = await self._send("POST", "/api/checkouts", {"lines": lines})
        return made if status == 201 else None

    async def _buy(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        status, answer = await self._confirm(checkout, self.random.choice(CARDS))
        if status == 409 and "checkout" in answer and self.random.random() < 0.7:
            checkout = answer["checkout"]  # the offer changed: what is new is looked at and agreed
            status, answer = await self._confirm(checkout, "pm_card_visa")
        if answer.get("code") == "authentication_required":
            await self._authenticate(checkout["id"])
        return checkout

    async def _buy_twice(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        """Two tabs, two cards, one click each."""

        async def other() -> None:
            async with self.world.client(self.who) as http:
                await self._confirm(checkout, "pm_card_mastercard", http=http)

        self.world.stage.enter(f"{self.who}-tab", other())
        return await self._buy(checkout)

    async def _change_and_buy(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        change = self.random.choice(
            ({"discount_codes": ["WELCOME10"]}, {"fulfilment_option_id": "express"}, {})
        )
        status, changed = await self._send("PUT", f"/api/checkouts/{checkout['id']}", change)
        return await self._buy(changed if status == 200 else checkout)

    async def _buy_the_old(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        """The hash of what was shown before a change buys nothing."""
        url = f"/api/checkouts/{checkout['id']}"
        status, changed = await self._send("PUT", url, {"discount_codes": ["NOPE"]})
        if status == 200 and changed["confirmation_hash"]:
            status, _ = await self._confirm(checkout, "pm_card_visa")
            if status in (200, 202):
                raise Unexpected(f"an old hash bought {checkout['id']}")
        return None

    async def _cancel(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        await self._send("POST", f"/api/checkouts/{checkout['id']}/cancel", {})
        return checkout

    async def _buy_and_cancel(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        async def click() -> None:
            async with self.world.client(self.who) as http:
                await self._send("POST", f"/api/checkouts/{checkout['id']}/cancel", {}, http=http)

        self.world.stage.enter(f"{self.who}-cancels", click())
        return await self._buy(checkout)

    async def _leave(self, _checkout: dict[str, Any]) -> dict[str, Any] | None:
        return None

    async def _authenticate(self, checkout_id: str) -> None:
        """The card holder answers the bank, or never does."""
        fate = self.random.choice(("yes", "yes", "no", "never"))
        if fate != "never":
            answer_the_bank(self.world, checkout_id, passed=fate == "yes")

    async def _regret(self, checkout_id: str) -> None:
        """Looks at the order after a while; cancels it, or the merchant gives something back."""
        for _ in range(6):
            await self.world.stage.gate("waits")
            status, found = await self._send("GET", f"/api/checkouts/{checkout_id}", None)
            if status != 200 or found["state"] in {"completed", "failed", "canceled", "expired"}:
                break
        if status != 200 or not found["order_id"]:
            return
        url = f"/api/orders/{found['order_id']}"
        if self.random.random() < 0.5:
            await self._refund(found, url)
            return
        status, quote = await self._send("POST", f"{url}/cancellation", {})
        if status == 201:
            await self._send("POST", f"{url}/cancellation/{quote['id']}/confirm", {})

    async def _refund(self, found: dict[str, Any], url: str) -> None:
        amount = self.random.choice((None, 1, 100, (found["total"] or 0) // 3 or 1))
        body = {"reason": "sorry"} | ({"amount": amount} if amount else {})
        async with self.world.client(found["merchant"]["id"]) as staff:
            url = url.replace("/api/", "/merchant/v1/")
            await self._send("POST", f"{url}/refund", body, http=staff)

    async def _confirm(
        self, checkout: Mapping[str, Any], card: str, *, http: httpx.AsyncClient | None = None
    ) -> Answer:
        body = {
            "confirmation_hash": checkout["confirmation_hash"] or "none",
            "payment_method": {"type": "card", "token": card},
        }
        self.confirmed += 1
        return await self._send("POST", f"/api/checkouts/{checkout['id']}/confirm", body, http=http)

    async def _send(
        self, method: str, url: str, body: Any, *, http: httpx.AsyncClient | None = None
    ) -> Answer:
        """One intention: the same key until there is an answer, or the person gives up."""
        stage, key = self.world.stage, secrets.token_hex(8)
        for _ in range(TRIES_MAX):
            await stage.gate("clicks")
            try:
                answer = await (http or self.http).request(
                    method, url, json=body, headers={"idempotency-key": key}
                )
            except Crash:
                stage.revive()
                continue
            except OperationalError:
                if not stage.was_unlucky():
                    raise
                continue
            if answer.status_code in OURS and not stage.was_unlucky():
                raise Unexpected(f"{method} {url}: {answer.status_code} {answer.text}")
            found = answer.json()
            if answer.status_code >= 500 or found.get("code") == "idempotency_in_flight":
                continue
            return answer.status_code, found
        return 0, {}


def answer_the_bank(world: World, checkout_id: str, *, passed: bool) -> None:
    for intent in world.bank_things("payment_intent"):
        mine = intent["metadata"].get("purchase_id") == checkout_id
        if mine and intent["status"] == "requires_action":
            world.bank._act(intent["id"], passed=passed)


class Worker:
    """A worker process: the queue's jobs, and the periodic tasks whenever it has nothing to do.

    A job that it was killed over is gone with it: only the row's own time brings it back.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage = world.stage

    async def live(self) -> None:
        while True:
            await self.stage.gate("works")
            try:
                await self.once()
            except Crash:
                self.stage.revive()
            except OperationalError:
                if not self.stage.was_unlucky():
                    raise

    async def once(self) -> None:
        if await self.job():
            return
        chance = self.stage.random.random()
        if chance < 0.3:
            await self.redrive()
        elif chance < 0.36:
            await self.sweep()

    async def job(self) -> bool:
        """The oldest job of the queue. False: there is none."""
        found = await self.world.rows(
            "DELETE FROM procrastinate_jobs WHERE id = (SELECT id FROM procrastinate_jobs"
            " ORDER BY id LIMIT 1) RETURNING task_name, args"
        )
        if not found:
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
        for row_id in await release.due(till):
            await release.release(till, row_id)


class Courier:
    """Brings the processor's events: late, twice, out of order, forged, and again until taken."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage = world.stage

    async def live(self) -> None:
        async with self.world.client("nobody") as self.http:
            while True:
                await self.stage.gate("carries")
                try:
                    await self.once()
                except Crash:
                    self.stage.revive()
                except OperationalError:
                    if not self.stage.was_unlucky():
                        raise

    async def once(self) -> None:
        store, random = self.world.bank.world.store, self.stage.random
        waiting = store.due(self.world.clock.now().timestamp())
        if not waiting:
            return
        delivery, event_id, _ = random.choice(waiting[:8])
        event = next(e for e in self.world.bank_things("event") if e["id"] == event_id)
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
            while True:
                await self.stage.gate("minds the shop")
                try:
                    await self.once()
                except Crash:
                    self.stage.revive()
                except OperationalError:
                    if not self.stage.was_unlucky():
                        raise

    async def once(self) -> None:
        random = self.stage.random
        seller = random.choice(SELLERS)
        if random.random() < self.stage.rate * 2:
            fault = {"times": 1} | dict(random.choice(self.SPOILED))
            await self.world.staff[seller].post("/_sim/faults", json={"faults": [fault]})
        found = self.world.merchant_orders(seller)
        if seller != "tables" and found and random.random() < 0.3:
            await self._tell(random.choice(found), random.choice(("shipped", "delivered", "odd")))

    async def _tell(self, order: dict[str, Any], status: str) -> None:
        data = order | {"status": status}
        body = json.dumps({"type": "order_update", "data": data}).encode()
        at = int(self.world.clock.now().timestamp())
        mac = hmac.new(ORDERS_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256)
        headers = {"merchant-signature": f"t={at},v1={mac.hexdigest()}"}
        url = "/agentic_checkout/webhooks/order_events"
        for _ in range(self.stage.random.choice((1, 1, 2))):
            await self.http.post(url, content=body, headers=headers)
