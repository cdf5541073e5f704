"""People who buy, hesitate and change their minds, in one tab or in two.

Each is one actor of the stage. A request whose process was killed or whose database failed is sent
again with the same key, as a browser does; what a person gives up stays for the workers to end.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy.exc import OperationalError

from tests.simulation.stage import Crash
from tests.simulation.world import SELLERS, World

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
        if made["settlement"] == "handoff":
            await self._leave_for(made["handoff_url"])
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
        if seller in ("tables", "airline"):
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

    async def _leave_for(self, page: str) -> None:
        """Buys on the merchant's own page, or thinks better of it there, or clicks twice."""
        for _ in range(self.random.choice((0, 1, 1, 1, 2))):
            await self.world.stage.gate("looks at the airline")
            ref = httpx.URL(page).params["ref"]
            await self.world.staff["airline"].post(httpx.URL(page).path, data={"ref": ref})

    async def _authenticate(self, checkout_id: str) -> None:
        """The card holder answers the bank, or never does."""
        fate = self.random.choice(("yes", "yes", "no", "never"))
        if fate != "never":
            answer_the_bank(self.world, checkout_id, passed=fate == "yes")

    async def _regret(self, checkout_id: str) -> None:
        """Looks at the order after a while; cancels it, or the merchant gives something back."""
        for _ in range(6):
            await self.world.stage.sleep(self.random.choice((1.0, 4.0, 12.0)))
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
            if found.get("code") == "idempotency_in_flight":
                await stage.sleep(self.random.choice((2.0, 20.0, 65.0)))
                continue
            if answer.status_code >= 500:
                continue
            return answer.status_code, found
        return 0, {}


def answer_the_bank(world: World, checkout_id: str, *, passed: bool) -> None:
    for intent in world.bank_things("payment_intent"):
        mine = intent["metadata"].get("purchase_id") == checkout_id
        if mine and intent["status"] == "requires_action":
            world.bank._act(intent["id"], passed=passed)
