"""A processor, a merchant and a database that behave, and misbehave where they are told to.

`Gate` counts every outside call and every commit. At the n-th it does what a real world does:
lose the request, lose the answer, or kill the process before or after the effect.
"""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.database import Database
from backend.fees import Commission
from backend.till import Item, Profile, Seller, Till
from integrations.money import Money
from integrations.partner import (
    Address,
    Basket,
    BookingDetails,
    Buyer,
    CancellationQuote,
    Delivery,
    Note,
    PartnerError,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    PartnerUnreachable,
    Quote,
    QuotedLine,
    Total,
)
from integrations.payments import (
    Method,
    Payment,
    PaymentEvent,
    PaymentRefused,
    PaymentStatus,
    PaymentUnknown,
)


class Crash(BaseException):
    """kill -9: nothing that follows is executed."""


@dataclass
class Gate:
    """`mode` happens at the `at`-th point (from 1). `count` tells how many points a run has."""

    at: int | None = None
    mode: str = "crash_before"
    count: int = 0
    names: list[str] = field(default_factory=list)
    closed: bool = False
    on: str | None = None

    def arm_on(self, name: str, mode: str) -> None:
        """The next point with this name."""
        self.disarm()
        self.on, self.mode = name, mode

    def arm(self, at: int | None, mode: str) -> None:
        self.at, self.mode, self.count, self.names, self.closed = at, mode, 0, [], False
        self.on = None

    def disarm(self) -> None:
        self.arm(None, "crash_before")

    @property
    def reached(self) -> bool:
        return self.at is not None and self.count >= self.at

    def enter(self, name: str) -> str | None:
        """Called before an effect. Returns what must happen after it."""
        if self.closed:
            raise Crash(name)  # the process is dead: no late code of it may act
        self.count += 1
        self.names.append(name)
        if self.on == name:
            self.on, self.at = None, self.count
        if self.count != self.at:
            return None
        if self.mode == "crash_before":
            self._die(name)
        return self.mode

    def leave(self, name: str, fate: str | None) -> None:
        if fate == "crash_after":
            self._die(name)

    def _die(self, name: str) -> None:
        self.closed = True
        raise Crash(name)


class GatedDatabase(Database):
    """A database whose commits are points of the gate."""

    gate: Gate

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        fate = None
        async with super().transaction() as session:
            yield session
            fate = self.gate.enter("commit")
        self.gate.leave("commit", fate)


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

        return await self._act("void", lambda: self._once(key, payment_id, effect))

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
        return PaymentEvent(
            raw["id"], raw["type"], raw.get("payment"), raw.get("purchase"), raw=raw
        )

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


@dataclass
class Session:
    reference: str
    basket: Basket
    status: str = "open"
    held_until: datetime | None = None
    order_id: str | None = None


@dataclass
class MerchantOrder:
    id: str
    reference: str
    total: Money
    token: str
    status: str = "confirmed"


class FakePartner:
    """A merchant with sessions, tax, delivery, holds and cancellations. `orders` is its truth.

    Change `prices`, `tax_bps`, `policy`, `stock` or `currency` to make it drift.
    """

    def __init__(self, gate: Gate, *, currency: str = "EUR", books: bool = False) -> None:
        self.gate = gate
        self.currency = currency
        self.books = books
        self.prices = {"mug": 1250, "pot": 4800, "table-2": 3000}
        self.titles = {"mug": "Clay mug", "pot": "Tea pot", "table-2": "Table for two"}
        self.stock = {"mug": 50, "pot": 50, "table-2": 50}
        self.tax_bps = 1000
        self.delivery = 490
        self.policy = "Free until it is shipped"
        self.sessions: dict[str, Session] = {}
        self.orders: dict[str, MerchantOrder] = {}
        self.keys: dict[str, tuple[Any, str]] = {}
        self.calls: list[str] = []
        self.place_refused: PartnerRefused | None = None
        self.place_slowly = 0
        self.order_at: int | None = None
        self.cancel_refused = False
        self.needs_buyer = True
        self.extra_lines: list[tuple[str, int]] = []
        self.lifetime = timedelta(minutes=30)
        self.keep_back = 0
        self.unreachable: set[str] = set()
        self.stale = False  # reads show a session as it was before its order
        self.forgetful = False
        self._numbers = itertools.count(1)

    async def _act(self, name: str, effect: Callable[[], Any]) -> Any:
        self.calls.append(name)
        fate = self.gate.enter(f"partner.{name}")
        if fate == "unreachable" or name in self.unreachable:
            raise PartnerUnreachable("no connection was made")
        if fate == "lost_before":
            raise PartnerUnknown("the request was lost")
        answer = effect()
        self.gate.leave(name, fate)
        if fate == "lost_after":
            raise PartnerUnknown("the answer was lost")
        return answer

    def _once(self, key: str, parameters: Any, effect: Callable[[], str]) -> str:
        if key in self.keys and not self.forgetful:
            seen, reference = self.keys[key]
            if seen != parameters:
                raise PartnerRefused("same key, other body", code="idempotency_conflict")
            return reference
        reference = effect()
        self.keys[key] = (parameters, reference)
        return reference

    async def quote(self, basket: Basket, *, key: str) -> Quote:
        def effect() -> str:
            session = Session(f"ses_{next(self._numbers)}", basket)
            self.sessions[session.reference] = session
            return session.reference

        return await self._act("quote", lambda: self._view(self._once(key, basket, effect)))

    async def revise(self, reference: str, basket: Basket, *, key: str) -> Quote:
        def effect() -> str:
            self.sessions[reference].basket = basket
            self.sessions[reference].held_until = None
            return reference

        return await self._act("revise", lambda: self._view(self._once(key, basket, effect)))

    async def read(self, reference: str) -> Quote:
        def effect() -> Quote:
            seen = self._view(reference)
            placed = self.stale and seen.status == "completed"
            return replace(seen, status="ready", order=None) if placed else seen

        return await self._act("read", effect)

    async def hold(self, reference: str, *, key: str) -> Quote:
        def effect() -> str:
            if self.books:
                until = datetime.now(UTC) + timedelta(minutes=10)
                self.sessions[reference].held_until = until
            return reference

        return await self._act("hold", lambda: self._view(self._once(key, reference, effect)))

    async def place(
        self, reference: str, payment: PartnerPayment, buyer: Buyer | None, *, key: str
    ) -> Quote:
        def effect() -> str:
            session = self.sessions[reference]
            if self.place_refused is not None:
                raise self.place_refused
            if session.status != "open":
                raise PartnerRefused("this session is over", code="conflict")
            if self.place_slowly:
                session.status = "placing"
                return reference
            self._complete(session, payment)
            return reference

        parameters = (reference, payment, buyer)
        return await self._act("place", lambda: self._view(self._once(key, parameters, effect)))

    def _complete(self, session: Session, payment: PartnerPayment) -> None:
        total = self._view(session.reference).total
        if self.order_at is not None:
            total = Money(self.order_at, total.currency)
        order = MerchantOrder(f"M-{next(self._numbers)}", session.reference, total, payment.token)
        self.orders[order.id] = order
        session.status, session.order_id = "completed", order.id

    async def cancel(self, reference: str, *, key: str) -> Quote:
        del key

        def effect() -> Quote:
            session = self.sessions[reference]
            if session.status == "completed":
                raise PartnerRefused("this session has an order", code="conflict")
            session.status = "canceled"
            return self._view(reference)

        return await self._act("cancel", effect)

    async def order(self, order_id: str) -> PartnerOrder:
        return await self._act(
            "order", lambda: PartnerOrder(order_id, self.orders[order_id].status)
        )

    async def cancellation(self, order_id: str, *, key: str) -> CancellationQuote:
        del key

        def effect() -> CancellationQuote:
            if self.cancel_refused:
                raise PartnerRefused("this cannot be canceled", code="not_cancelable")
            total = self.orders[order_id].total
            kept = Money(self.keep_back, total.currency)
            soon = datetime.now(UTC) + timedelta(minutes=10)
            return CancellationQuote(f"cq_{order_id}", total - kept, kept, soon)

        return await self._act("cancellation", effect)

    async def confirm_cancellation(
        self, order_id: str, quote: CancellationQuote, *, key: str
    ) -> PartnerOrder:
        if quote.refund + quote.fee != self.orders[order_id].total:
            raise PartnerRefused("that is not what was quoted", code="conflict")

        def effect() -> PartnerOrder:
            if self.cancel_refused:
                raise PartnerRefused("too late to cancel", code="not_cancelable")
            if self.orders[order_id].status == "canceled" and key not in self.keys:
                raise PartnerRefused("canceled already", code="conflict")
            self.orders[order_id].status = "canceled"
            self.keys[key] = (order_id, order_id)
            return PartnerOrder(order_id, "canceled")

        return await self._act("confirm_cancellation", effect)

    def finish_slow(self, token: str) -> None:
        """The merchant finishes what it was placing."""
        for session in self.sessions.values():
            if session.status == "placing":
                session.status = "open"
                soon = datetime.now(UTC)
                total = self._view(session.reference).total
                self._complete(session, PartnerPayment(token, total, "mer_shop", soon))

    def live_orders(self, reference: str | None) -> list[MerchantOrder]:
        return [
            o for o in self.orders.values() if o.reference == reference and o.status != "canceled"
        ]

    def _view(self, reference: str) -> Quote:
        if reference not in self.sessions:
            raise PartnerRefused("no such session", code="not_found")
        session = self.sessions[reference]
        basket = session.basket
        lines = tuple(self._line(i, n) for i, n in [*basket.lines, *self.extra_lines])
        goods = sum(line.amount.amount for line in lines)
        off = -500 if "WELCOME" in basket.discount_codes else 0
        tax = (goods + off) * self.tax_bps // 10_000
        shipping = 0 if self.books else self.delivery
        totals = [
            Total("items_base_amount", "Items", self._money(goods)),
            Total("fulfillment", "Delivery", self._money(shipping)),
            Total("tax", "Tax", self._money(tax)),
        ]
        if off:
            totals.append(Total("discount", "Discount", self._money(off)))
        total = self._money(goods + off + tax + shipping)
        totals.append(Total("total", "Total", total))
        notes = self._notes(session)
        status: Any = "ready" if session.status == "open" else session.status
        if status == "ready" and any(n.severity == "error" for n in notes):
            status = "incomplete"
        placed = None
        if session.order_id:
            total = self.orders[session.order_id].total
            placed = PartnerOrder(
                session.order_id, "confirmed", f"https://shop.example/orders/{session.order_id}"
            )
        return Quote(
            reference=reference,
            status=status,
            lines=lines,
            totals=tuple(totals),
            total=total,
            expires_at=datetime.now(UTC) + self.lifetime,
            hold_expires_at=session.held_until,
            deliveries=()
            if self.books
            else (
                Delivery(
                    "post", "Post", self._money(self.delivery), date(2026, 12, 1), selected=True
                ),
            ),
            cancellation_policy=self.policy,
            notes=tuple(notes),
            order=placed,
        )

    def _notes(self, session: Session) -> list[Note]:
        notes = []
        for item_id, quantity in session.basket.lines:
            if self.stock[item_id] < quantity:
                notes.append(Note("error", "out_of_stock", f"{item_id} is sold out"))
        if self.needs_buyer and session.basket.buyer is None:
            notes.append(Note("error", "missing", "Who is it for?", "$.buyer"))
        return notes

    def _line(self, item_id: str, quantity: int) -> QuotedLine:
        unit = self._money(self.prices[item_id])
        return QuotedLine(item_id, self.titles[item_id], quantity, unit, unit * quantity)

    def _money(self, amount: int) -> Money:
        return Money(amount, self.currency)


BUYER = Buyer("Ada", "Lovelace", "ada@example.com", "+44 20 0000")
HOME = Address("Ada Lovelace", "1 Analytical Street", "London", "GB", "N1 9GU")


async def no_pause(_seconds: float) -> None:
    """Waiting is for real servers."""


@dataclass
class World:
    """One shop, one restaurant, one processor and a till between them."""

    database: Database
    gate: Gate
    payments: FakePayments
    shop: FakePartner
    restaurant: FakePartner
    till: Till
    sellers: dict[str, Seller]
    profiles: dict[str, Profile]
    saved: dict[tuple[str, str], Method]

    @classmethod
    def on(cls, database: Database, *, wait_s: float = 0.0) -> "World":
        gate = Gate()
        gated = GatedDatabase(database.url, pool_size=8)
        gated.gate = gate
        payments = FakePayments(gate)
        shop = FakePartner(gate)
        restaurant = FakePartner(gate, books=True)
        sellers = {
            "mer_shop": Seller(
                "mer_shop",
                "Kiln & Co",
                "Kiln & Co Ltd",
                "platform",
                Commission(500, 0, "EUR"),
                "We earn a commission.",
                "acct_kiln",
            ),
            "mer_table": Seller(
                "mer_table",
                "Trattoria Uno",
                "Trattoria Uno SRL",
                "platform",
                Commission(800, 0, "EUR"),
                "We earn a commission.",
                "acct_uno",
            ),
        }
        world = cls(gated, gate, payments, shop, restaurant, None, sellers, {}, {})  # type: ignore[arg-type]
        world.profiles["usr_ada"] = Profile(BUYER, HOME)
        world.till = Till(
            database=gated,
            payments=payments,
            partner_for=world.partner_for,
            seller_for=world.seller_for,
            items_for=world.items_for,
            profile_for=world.profile_for,
            saved_method=world.saved_method,
            webhook_secret=world.webhook_secret,
            public_url="http://emptor.test",
            wait_s=wait_s,
            pause=no_pause,
        )
        return world

    async def partner_for(self, merchant_id: str) -> FakePartner:
        return {"mer_shop": self.shop, "mer_table": self.restaurant}[merchant_id]

    async def seller_for(self, merchant_id: str) -> Seller:
        return self.sellers[merchant_id]

    async def items_for(self, offer_ids: Sequence[str]) -> Mapping[str, Item]:
        euros = {"off_mug": ("mug", 1250), "off_pot": ("pot", 4800)}
        known: dict[str, Item] = {
            offer: Item(offer, "mer_shop", item, item, "purchase", Money(price, "EUR"))
            for offer, (item, price) in euros.items()
        }
        dinner = BookingDetails(date(2026, 12, 24), 2, time(19, 0))
        known["off_table"] = Item(
            "off_table", "mer_table", "table-2", "Table", "booking", Money(3000, "EUR"), dinner
        )
        known["off_site"] = Item(
            "off_site",
            "mer_site",
            "lamp",
            "Lamp",
            "purchase",
            Money(9900, "EUR"),
            handoff_url="https://lamps.example/lamp?ref=emptor",
        )
        return {offer_id: known[offer_id] for offer_id in offer_ids if offer_id in known}

    async def profile_for(self, user_id: str) -> Profile:
        return self.profiles.get(user_id, Profile())

    async def saved_method(self, user_id: str, method_id: str) -> Method | None:
        return self.saved.get((user_id, method_id))

    async def webhook_secret(self, merchant_id: str) -> str | None:
        return f"whsec_{merchant_id}" if merchant_id in self.sellers else None

    async def pass_time(self) -> None:
        """Every lease and pause is over, as after half a minute."""
        async with Database.transaction(self.database) as session:
            for table in ("checkout", "order_refund"):
                await session.execute(
                    text(
                        f"UPDATE {table} SET lease_until = now() - interval '1 second'"  # noqa: S608
                        " WHERE lease_until IS NOT NULL"
                    )
                )
                await session.execute(
                    text(
                        f"UPDATE {table} SET next_drive_at = now() - interval '1 second'"  # noqa: S608
                        " WHERE next_drive_at IS NOT NULL"
                    )
                )
            await session.execute(
                text("UPDATE checkout SET release_at = now() WHERE release_at IS NOT NULL")
            )


def moved(world: World, **changes: Any) -> Till:
    """The till with some ports changed."""
    return replace(world.till, **changes)


__all__ = [
    "BUYER",
    "HOME",
    "Crash",
    "FakePartner",
    "FakePayments",
    "Gate",
    "PartnerError",
    "World",
    "moved",
]
