"""People who buy, hesitate and change their minds, in one tab or in two.

Each is one actor of the stage. A request whose process was killed or whose database failed is sent
again with the same key, as a browser does; what a person gives up stays for the workers to end.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy.exc import OperationalError

from tests.simulation.furniture import SELLERS
from tests.simulation.regrets import regret
from tests.simulation.stage import Crash
from tests.simulation.world import World

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


@dataclass(frozen=True, slots=True)
class Habits:
    """How often people do what; `ends` weighs what becomes of an order: a merchant's refund, a
    cancellation, a booking that is moved."""

    sellers: Sequence[str] = SELLERS
    baskets: float = 0.2
    regrets: float = 0.5
    ends: tuple[int, int, int] = (1, 1, 2)


USUAL = Habits()


class Person:
    """Buys `errands` things, one after another, each by a story that the seed chooses."""

    def __init__(self, world: World, who: str, errands: int, habits: Habits) -> None:
        self.world = world
        self.who = who
        self.errands = errands
        self.habits = habits
        self.random = world.stage.random
        self.confirmed = 0

    async def live(self) -> None:
        async with self.world.client(self.who) as self.http:
            for _ in range(self.errands):
                await self.errand()

    async def errand(self) -> None:
        seller = self.random.choice(self.habits.sellers)
        if self.random.random() < self.habits.baskets:
            await self._sheet(seller)
            return
        made = await self._create(seller)
        if made is None:
            return
        if made["settlement"] == "handoff":
            await self._leave_for(made["handoff_url"])
            return
        story = self.random.choices(
            (self.buy, self._buy_twice, self._change_and_buy, self._buy_the_old, self._cancel,
             self._leave, self._buy_and_cancel, self._dawdle),
            weights=(9, 3, 3, 1, 1, 1, 2, 1),
        )[0]  # fmt: skip
        checkout = await story(made)
        if checkout is not None and self.random.random() < self.habits.regrets:
            await regret(self, checkout["id"])

    async def _sheet(self, seller: str) -> None:
        """Things of two merchants on one sheet: one click, a checkout and an outcome for each."""
        others = [one for one in self.habits.sellers if one not in (seller, "airline")]
        made = [await self._create(one) for one in (seller, self.random.choice(others or [seller]))]
        sheet = [one for one in made if one is not None and one["settlement"] != "handoff"]
        for n, checkout in enumerate(sheet[1:]):
            self.world.stage.enter(f"{self.who}-sheet{n}", self._alone(checkout))
        if sheet:
            await self.buy(sheet[0])
        if sheet and self.random.random() < self.habits.regrets:
            await regret(self, self.random.choice(sheet)["id"])

    async def _alone(self, checkout: dict[str, Any]) -> None:
        async with self.world.client(self.who) as http:
            await self.confirm(checkout, self.random.choice(CARDS), http=http)

    async def _create(self, seller: str) -> dict[str, Any] | None:
        shelf = self.world.offers[seller]
        lines = [{"offer_id": self.random.choice(shelf), "quantity": self.random.choice((1, 1, 2))}]
        if seller in ("tables", "airline", "wings"):
            lines[0]["quantity"] = 1
        elif self.random.random() < 0.3:
            other = self.random.choice(shelf)
            if other != lines[0]["offer_id"]:
                lines.append({"offer_id": other, "quantity": 1})
        status, made = await self.send("POST", "/api/checkouts", {"lines": lines})
        return made if status == 201 else None

    async def buy(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        status, answer = await self.confirm(checkout, self.random.choice(CARDS))
        if status == 409 and "checkout" in answer and self.random.random() < 0.7:
            checkout = answer["checkout"]  # the offer changed: what is new is looked at and agreed
            status, answer = await self.confirm(checkout, "pm_card_visa")
        if answer.get("code") == "authentication_required":
            await self._authenticate(checkout["id"])
        return checkout

    async def _buy_twice(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        """Two tabs, two cards, one click each."""

        async def other() -> None:
            async with self.world.client(self.who) as http:
                await self.confirm(checkout, "pm_card_mastercard", http=http)

        self.world.stage.enter(f"{self.who}-tab", other())
        return await self.buy(checkout)

    async def _change_and_buy(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        change = self.random.choice(
            ({"discount_codes": ["WELCOME10"]}, {"fulfilment_option_id": "express"}, {})
        )
        status, changed = await self.send("PUT", f"/api/checkouts/{checkout['id']}", change)
        return await self.buy(changed if status == 200 else checkout)

    async def _buy_the_old(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        """The hash of what was shown before a change buys nothing."""
        url = f"/api/checkouts/{checkout['id']}"
        status, changed = await self.send("PUT", url, {"discount_codes": ["NOPE"]})
        if status == 200 and changed["confirmation_hash"]:
            status, _ = await self.confirm(checkout, "pm_card_visa")
            if status in (200, 202):
                raise Unexpected(f"an old hash bought {checkout['id']}")
        return None

    async def _cancel(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        await self.send("POST", f"/api/checkouts/{checkout['id']}/cancel", {})
        return checkout

    async def _buy_and_cancel(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        async def click() -> None:
            async with self.world.client(self.who) as http:
                await self.send("POST", f"/api/checkouts/{checkout['id']}/cancel", {}, http=http)

        self.world.stage.enter(f"{self.who}-cancels", click())
        return await self.buy(checkout)

    async def _leave(self, _checkout: dict[str, Any]) -> dict[str, Any] | None:
        return None

    async def _dawdle(self, checkout: dict[str, Any]) -> dict[str, Any] | None:
        """Comes back when what was held for them is no longer, or only just."""
        self.world.clock.move(self.random.choice((840.0, 905.0, 1790.0, 1860.0)))
        return await self.buy(checkout)

    async def _leave_for(self, page: str) -> None:
        """Buys on the merchant's own page, or thinks better of it there, or clicks twice."""
        for _ in range(self.random.choice((0, 1, 1, 1, 2))):
            await self.world.stage.gate("looks at the airline")
            ref = httpx.URL(page).params["ref"]
            await self.world.staff["airline"].post(httpx.URL(page).path, data={"ref": ref})

    async def _authenticate(self, checkout_id: str) -> None:
        """The card holder answers the bank, or never comes back to it."""
        fate = self.random.choice(("yes", "yes", "no", "never"))
        if fate != "never":
            answer_the_bank(self.world, checkout_id, passed=fate == "yes")

    async def confirm(
        self, checkout: Mapping[str, Any], card: str, *, http: httpx.AsyncClient | None = None
    ) -> Answer:
        body = {
            "confirmation_hash": checkout["confirmation_hash"] or "none",
            "payment_method": {"type": "card", "token": card},
        }
        self.confirmed += 1
        return await self.send("POST", f"/api/checkouts/{checkout['id']}/confirm", body, http=http)

    async def send(
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
