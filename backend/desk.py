"""One person's desk: the graph's port to checkouts and orders. It can propose, never confirm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from backend import changes, orders, refunds
from backend.checkout import Checkout
from backend.confirmation import amount_of, sheet
from backend.errors import AppError
from backend.quoting import quote
from backend.till import Language, Till
from graphs.state import Blocked, Cancellation, OrderFact, Proposal

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PersonDesk:
    """`graphs.state.Desk` for one person in one conversation."""

    till: Till
    user_id: str
    thread_id: str | None

    async def propose(
        self, lines: Sequence[tuple[str, int]], *, key: str, language: Language = "en"
    ) -> Sequence[Proposal | Blocked]:
        """One checkout a merchant, in the order in which the merchants first appear."""
        items = await self.till.items_for([offer_id for offer_id, _ in lines])
        by_merchant: dict[str, list[tuple[str, int]]] = {}
        for offer_id, quantity in lines:
            if offer_id in items:
                of = by_merchant.setdefault(items[offer_id].merchant_id, [])
                of.append((offer_id, quantity))
        return [
            await self._one(basket, f"{key}:{merchant}", language)
            for merchant, basket in by_merchant.items()
        ]

    async def _one(
        self, lines: list[tuple[str, int]], key: str, language: Language
    ) -> Proposal | Blocked:
        try:
            row = await quote(
                self.till,
                user_id=self.user_id,
                lines=lines,
                thread_id=self.thread_id,
                request_key=key,
                language=language,
            )
        except AppError as error:
            log.info("proposal_failed", code=error.specific_code, detail=error.detail)
            return Blocked("", (error.specific_code,), self.till.public_url)
        return proposal(row, self.till.public_url)

    async def start_change(
        self, order_id: str, wanted: Mapping[str, Any], *, key: str, language: Language = "en"
    ) -> Proposal | Blocked:
        try:
            row = await changes.quote(
                self.till,
                user_id=self.user_id,
                order_id=order_id,
                wanted=wanted,
                thread_id=self.thread_id,
                request_key=key,
                language=language,
            )
        except AppError as error:
            log.info("change_not_quoted", code=error.specific_code, detail=error.detail)
            return Blocked("", (error.specific_code,), self.till.public_url)
        return proposal(row, self.till.public_url)

    async def start_cancellation(self, order_id: str) -> Cancellation | None:
        try:
            row = await refunds.quote_cancellation(
                self.till, user_id=self.user_id, order_id=order_id
            )
            async with self.till.database.transaction() as session:
                order = await orders.fetch(session, order_id, user_id=self.user_id)
        except AppError as error:
            log.info("cancellation_not_quoted", code=error.specific_code, detail=error.detail)
            return None
        assert row.expires_at is not None  # every cancellation quote has an end
        return Cancellation(
            refund=row.back,
            fee=row.kept,
            expires_at=row.expires_at,
            url=f"{self.till.public_url}/checkout/{order.checkout_id}",
        )

    async def orders(self) -> Sequence[OrderFact]:
        async with self.till.database.transaction() as session:
            rows = await orders.newest(session, user_id=self.user_id, limit=5)
        return [orders.fact(row) for row in rows]


def page(row: Checkout, public_url: str) -> str:
    """Where a person confirms."""
    return f"{public_url}/checkout/{row.id}"


_PARTS = (("$.buyer", "buyer"), ("$.fulfillment", "address"))


def _wanted(note: Mapping[str, Any]) -> str:
    """What a merchant's message asks for. `missing` alone says nothing: its path says of what."""
    code, path = str(note["code"]), str(note["path"] or "")
    named = (part for start, part in _PARTS if path.startswith(start))
    return next(named, code) if code == "missing" else code


def proposal(row: Checkout, public_url: str) -> Proposal | Blocked:
    """What a checkout's row lets the person do now."""
    url = page(row, public_url)
    if row.state != "awaiting_confirmation" or not row.confirmation or row.expires_at is None:
        missing = tuple(dict.fromkeys(map(_wanted, row.messages))) or (row.state,)
        return Blocked(row.id, missing, url, handoff_url=row.handoff_url)
    return Proposal(
        checkout_id=row.id,
        confirmation=row.confirmation,
        confirmation_hash=row.confirmation_hash or "",
        merchant_of_record=row.merchant_of_record,
        lines=tuple(sheet(row.confirmation)),
        total=amount_of(row.confirmation),
        disclosure=row.disclosure,
        expires_at=row.expires_at,
        url=url,
    )
