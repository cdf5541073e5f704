"""A merchant that behaves, and misbehaves where its gate says so."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from integrations.money import Money
from integrations.partner import (
    Basket,
    Buyer,
    CancellationQuote,
    Delivery,
    Note,
    PartnerError,
    PartnerGone,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    PartnerUnreachable,
    Quote,
    QuotedLine,
    Total,
)
from tests.backend.fakes_gate import Gate


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
        self.answers: dict[str, list[PartnerError]] = {}  # instead of acting, one after the other
        self.escalates: str | None = None  # the page where the person goes on
        self.stale = False  # reads show a session as it was before its order
        self.forgetful = False
        self._numbers = itertools.count(1)

    async def _act(self, name: str, effect: Callable[[], Any]) -> Any:
        self.calls.append(name)
        fate = self.gate.enter(f"partner.{name}")
        if fate == "unreachable" or name in self.unreachable:
            raise PartnerUnreachable("no connection was made")
        if self.answers.get(name):
            raise self.answers[name].pop(0)
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
            if self.escalates:
                return reference
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

    def sold_to_another(self, reference: str | None, status: str = "completed") -> None:
        """Somebody who is not us finishes the session."""
        session = self.sessions[reference or ""]
        if status == "completed":
            total = self._view(session.reference).total
            soon = datetime.now(UTC)
            self._complete(session, PartnerPayment("tok_another", total, "mer_shop", soon))
        session.status = status

    def live_orders(self, reference: str | None) -> list[MerchantOrder]:
        return [
            o for o in self.orders.values() if o.reference == reference and o.status != "canceled"
        ]

    def _view(self, reference: str) -> Quote:
        if reference not in self.sessions:
            raise PartnerGone("no such session", code="not_found")
        session = self.sessions[reference]
        lines = tuple(self._line(i, n) for i, n in [*session.basket.lines, *self.extra_lines])
        goods = sum(line.amount.amount for line in lines)
        off = -500 if "WELCOME" in session.basket.discount_codes else 0
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
        if self.escalates and session.status == "open":
            status = "needs_handoff"
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
            continue_url=self.escalates if status == "needs_handoff" else None,
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
