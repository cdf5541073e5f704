"""The allowance's side of a turn: the graph asks here which role may answer."""

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

import quotas.usage as allowances
from backend.errors import Forbidden, QuotaExhausted
from backend.seats import Seat
from backend.threads import TurnRow
from backend.turn import Chat, Request
from graphs.state import Admission, Role, Route, Turn
from integrations.models import conversation_bound


class Gate:
    """The graph's `Allowances` port for one turn: reserves in a transaction of its own."""

    def __init__(self, chat: Chat, request: Request, turn: Turn) -> None:
        self._chat = chat
        self._request = request
        self._turn = turn

    async def admit(self, route: Route) -> Admission:
        """Raises `QuotaExhausted` when the ladder has no rung left, `Forbidden` for a pin."""
        chat, request = self._chat, self._request
        plan = chat.plan_of(request.user)
        pinned = request.model if request.model != "auto" else request.user.pinned_model
        role: str = route.role
        if pinned and not self._turn.housekeeping:
            chat.seats.known(pinned)  # a preference may outlive its model
            if not plan.may_pin(pinned):
                raise Forbidden(
                    f"Your plan ({plan.name}) does not include choosing {pinned}; use `auto`",
                    code="model_not_allowed",
                    param="model",
                )
            role = chat.seats.role_of(pinned, route.role)
        tokens = conversation_bound(self._turn.messages, self._turn.tools)
        if self._turn.housekeeping:
            seat = chat.seats.take("light_mini", tokens)
            async with chat.database.transaction() as session:
                return await self._admitted(session, route, seat, None, {})
        chat.seats.take(role, tokens, pinned=pinned)  # too long is refused before it is counted
        async with chat.database.transaction() as session:
            allowance = await allowances.reserve(
                session,
                turn_id=self._turn.id,
                subject=request.user.id,
                plan=plan,
                role=role,
                timezone=request.user.timezone,
            )
            if not allowance.granted or allowance.served_role is None:
                raise _exhausted(allowance)
            kept_pin = pinned if allowance.served_role == role else None
            seat = chat.seats.take(allowance.served_role, tokens, pinned=kept_pin)
            return await self._admitted(
                session, route, seat, allowance.downgrade_reason, allowance.quota
            )

    async def _admitted(
        self,
        session: AsyncSession,
        route: Route,
        seat: Seat,
        reason: str | None,
        quota: Mapping[str, Any],
    ) -> Admission:
        plan = self._chat.plan_of(self._request.user)
        await session.execute(
            update(TurnRow)
            .where(col(TurnRow.id) == self._turn.id)
            .values(
                kind=route.kind,
                sub=route.sub,
                domain=route.domain,
                action=route.action,
                role=route.role,
                served_role=seat.role,
                model=seat.model,
                cause=route.cause,
                confidence=route.confidence,
                policy_version=route.policy_version,
                downgrade_reason=reason,
            )
        )
        return Admission(
            role=cast(Role, seat.role),
            model=seat.model,
            downgrade_reason=reason,
            quota=quota,
            answer_tokens=seat.answer_tokens,
            effort=plan.bounded(route.effort) if route.effort else None,
        )


def _exhausted(allowance: allowances.Allowance) -> QuotaExhausted:
    wait = max(1, allowance.retry_after_s or 1)
    return QuotaExhausted(
        f"Your {allowance.requested_role} allowance and its fallbacks are used up; "
        f"wait {wait} s, or move to a larger plan",
        extra={"quota": dict(allowance.quota)},
        headers={"Retry-After": str(wait)},
    )
