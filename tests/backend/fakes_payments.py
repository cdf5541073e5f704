"""A processor that behaves, and misbehaves where its gate says so."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integrations.money import Money
from integrations.payments import (
    Dispute,
    Method,
    Payment,
    PaymentEvent,
    PaymentRefused,
    PaymentStatus,
    PaymentUnknown,
)
from tests.backend.fakes_gate import Gate


@dataclass
class Charge:
    id: str
    purchase_id: str
    amount: Money
    status: PaymentStatus
    token: str
    destination: str | None
    fee: Money | None
    captured: int = 0
    refunded: int = 0
    fee_refunded: bool = False
    decline_code: str | None = None


class FakePayments:
    """A processor with idempotency keys, declines and 3-D Secure. `charges` is its truth."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.charges: dict[str, Charge] = {}
        self.keys: dict[str, tuple[Any, Any]] = {}
        self.refunds: list[tuple[str, Money, bool, str]] = []
        self.calls: list[str] = []
        self.capture_refused = False
        self.blind = False  # look-ups lag behind, as a search index does
        self.forgetful = False  # keys are forgotten, as after a day
        self.void_answers_500 = False  # it is done, and its key answers the failure ever after
        self.banks: dict[str, Dispute] = {}
        self.disputed: dict[str, str] = {}  # dispute → payment
        self._numbers = itertools.count(1)

    async def _act(self, name: str, effect: Callable[[], Payment | None]) -> Any:
        self.calls.append(name)
        fate = self.gate.enter(f"payments.{name}")
        if fate in {"lost_before", "unreachable"}:
            raise PaymentUnknown("the request was lost")
        answer = effect()
        self.gate.leave(name, fate)
        if fate == "lost_after":
            raise PaymentUnknown("the answer was lost")
        return answer

    def _once(self, key: str, parameters: Any, effect: Callable[[], Payment]) -> Payment:
        if key in self.keys and not self.forgetful:
            seen, charge_id = self.keys[key]
            if seen != parameters:
                raise PaymentRefused("same key, other parameters", code="idempotency_error")
            return self._view(self.charges[charge_id])
        payment = effect()
        self.keys[key] = (parameters, payment.id)
        return payment

    def _view(self, charge: Charge) -> Payment:
        currency = charge.amount.currency
        return Payment(
            id=charge.id,
            status=charge.status,
            amount=charge.amount,
            captured=Money(charge.captured, currency),
            refunded=Money(charge.refunded, currency),
            decline_code=charge.decline_code,
            next_action={"type": "redirect", "url": "https://bank.example/3ds"}
            if charge.status == "requires_action"
            else None,
            processor_fee=Money(charge.captured * 29 // 1000, currency)
            if charge.captured
            else None,
            purchase_id=charge.purchase_id,
            disputed=charge.id in self.disputed.values(),
        )

    async def authorise(
        self,
        *,
        purchase_id: str,
        amount: Money,
        method: Method,
        destination: str | None,
        fee: Money | None,
        key: str,
    ) -> Payment:
        def effect() -> Payment:
            if method.token == "pm_unknown":
                raise PaymentRefused("no such payment method", code="resource_missing")
            status: PaymentStatus = "authorised"
            if method.token == "pm_card_chargeDeclined":
                status = "declined"
            elif method.token == "pm_card_authenticationRequired":
                status = "requires_action"
            charge = Charge(
                f"pi_{next(self._numbers)}",
                purchase_id,
                amount,
                status,
                method.token,
                destination,
                fee,
                decline_code="generic_decline" if status == "declined" else None,
            )
            self.charges[charge.id] = charge
            return self._view(charge)

        parameters = (purchase_id, amount, method, destination, fee)
        return await self._act("authorise", lambda: self._once(key, parameters, effect))

    async def read(self, payment_id: str) -> Payment:
        return await self._act("read", lambda: self._view(self.charges[payment_id]))

    async def find(self, purchase_id: str) -> Payment | None:
        def effect() -> Payment | None:
            mine = [c for c in self.charges.values() if c.purchase_id == purchase_id]
            return self._view(mine[-1]) if mine and not self.blind else None

        return await self._act("find", effect)

    async def capture(self, payment_id: str, *, key: str) -> Payment:
        def effect() -> Payment:
            charge = self.charges[payment_id]
            if self.capture_refused or charge.status != "authorised":
                raise PaymentRefused("cannot be captured", code="payment_intent_unexpected_state")
            charge.status, charge.captured = "captured", charge.amount.amount
            return self._view(charge)

        return await self._act("capture", lambda: self._once(key, payment_id, effect))

    async def void(self, payment_id: str, *, key: str) -> Payment:
        def effect() -> Payment:
            charge = self.charges[payment_id]
            if charge.status == "captured":
                raise PaymentRefused("captured already", code="payment_intent_unexpected_state")
            charge.status = "voided"
            return self._view(charge)

        payment = await self._act("void", lambda: self._once(key, payment_id, effect))
        if self.void_answers_500:
            raise PaymentUnknown("500, stored under its key")
        return payment

    async def refund(self, payment_id: str, amount: Money, *, with_fee: bool, key: str) -> Payment:
        def effect() -> Payment:
            charge = self.charges[payment_id]
            if charge.refunded + amount.amount > charge.captured:
                raise PaymentRefused("more than was captured", code="charge_already_refunded")
            charge.refunded += amount.amount
            charge.fee_refunded = charge.fee_refunded or with_fee
            self.refunds.append((payment_id, amount, with_fee, key))
            return self._view(charge)

        parameters = (payment_id, amount, with_fee)
        return await self._act("refund", lambda: self._once(key, parameters, effect))

    def event(self, body: bytes, signature: str) -> PaymentEvent:
        if signature != "good":
            raise PaymentRefused("the signature does not fit", code="bad_signature")
        raw = json.loads(body)
        told = self.banks.get(raw.get("dispute", ""))
        if raw["type"].startswith("charge.dispute.") and told is None:
            told = Dispute("dp_1", "open", self.charges[raw["payment"]].amount)
        return PaymentEvent(
            raw["id"], raw["type"], raw.get("payment"), raw.get("purchase"), dispute=told, raw=raw
        )

    async def disputes(self, payment_id: str) -> list[Dispute]:
        return [one for one in self.banks.values() if self.disputed[one.id] == payment_id]

    async def touched(self, since: datetime) -> frozenset[str]:
        assert since <= datetime.now(UTC)
        returned = {payment_id for payment_id, *_ in self.refunds}
        return frozenset(returned | set(self.disputed.values()))

    async def ready(self) -> bool:
        return True

    def authenticate(self, payment_id: str, *, succeeds: bool = True) -> None:
        """The card holder answers the bank."""
        charge = self.charges[payment_id]
        charge.status = "authorised" if succeeds else "declined"

    def captured_for(self, purchase_id: str) -> int:
        return sum(c.captured - c.refunded for c in self._of(purchase_id))

    def held_for(self, purchase_id: str) -> int:
        held = {"authorised", "requires_action", "processing"}
        return sum(c.amount.amount for c in self._of(purchase_id) if c.status in held)

    def _of(self, purchase_id: str) -> list[Charge]:
        return [c for c in self.charges.values() if c.purchase_id == purchase_id]
