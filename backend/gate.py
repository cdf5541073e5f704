"""The allowance's side of a turn: the graph asks here which role may answer."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

import quotas.usage as allowances
from backend.checkout import MOVING, Checkout
from backend.errors import Forbidden, QuotaExhausted
from backend.seats import Seat
from backend.threads import TurnRow
from backend.turn import Chat, Request
from graphs.state import Admission, Role, Route, Turn
from integrations.models import Capability, conversation_bound, needs
from quotas.plans import Plan
from quotas.plans import Role as PlanRole

PURCHASE_LASTS = timedelta(minutes=30)


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
        tokens = conversation_bound(self._turn.messages, self._turn.tools)
        asks = needs(self._turn.messages, self._turn.tools, self._turn.response_format)
        pinned = self._pinned(plan, route, tokens, asks)
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
        if self._turn.housekeeping:
            seat = chat.seats.take("light_mini", tokens, needs=asks)
            async with chat.database.transaction() as session:
                return await self._admitted(session, route, seat, None, {})
        # Too long is refused before it is counted.
        wanted = chat.seats.take(role, tokens, pinned=pinned, needs=asks)
        async with chat.database.transaction() as session:
            buying = await self._buying(session)
            allowance = await allowances.reserve(
                session,
                turn_id=self._turn.id,
                subject=request.user.id,
                plan=plan,
                role=role,
                timezone=request.user.timezone,
                ceilings=self._ceilings(plan, wanted, tokens, asks),
                among=() if buying else chat.seats.able(tokens, asks),
            )
            if not allowance.granted or allowance.served_role is None:
                if buying:
                    return await self._admitted(session, route, wanted, None, allowance.quota)
                raise _exhausted(allowance)
            seat = wanted
            if allowance.served_role != role:
                seat = chat.seats.take(allowance.served_role, tokens, needs=asks)
            return await self._admitted(
                session, route, seat, allowance.downgrade_reason, allowance.quota
            )

    def _pinned(
        self, plan: Plan, route: Route, tokens: int, asks: frozenset[Capability]
    ) -> str | None:
        """Who must answer: by the request, by preference, else by the person's words. Words are a
        wish: a model that the plan or the conversation rules out is not refused but not heard."""
        seats, named = self._chat.seats, route.asked_model
        if self._request.model != "auto":
            return self._request.model
        if preferred := seats.current(self._request.user.pinned_model):
            return preferred
        heard = named is not None and plan.may_pin(named) and seats.serves(named, tokens, asks)
        return named if heard else None

    async def _buying(self, session: AsyncSession) -> bool:
        """Between a confirmation and its receipt nobody is cut off or handed a smaller model.

        A turn without an allowance is then free. The time limit keeps a purchase whose outcome
        stays unknown from being a free pass.
        """
        thread = self._request.thread
        moving = exists().where(
            col(Checkout.user_id) == self._request.user.id,
            col(Checkout.state).in_(MOVING),
            col(Checkout.confirmed_at) > func.now() - PURCHASE_LASTS,
        )
        if thread is not None:
            moving = moving.where(col(Checkout.thread_id) == thread.id)
        return bool((await session.execute(select(moving))).scalar_one())

    def _ceilings(
        self, plan: Plan, wanted: Seat, tokens: int, asks: frozenset[Capability]
    ) -> dict[PlanRole, int]:
        """What an answer may cost in each role, where the plan counts cost at all."""
        seats, asked = self._chat.seats, self._turn.max_tokens
        counted = {b.role for b in plan.buckets if b.unit == "micro_usd"}
        able = seats.able(tokens, asks)
        return {
            role: seats.ceiling(
                wanted if role == wanted.role else seats.take(role, tokens, needs=asks),
                tokens,
                asked,
            )
            for role in counted
            if role == wanted.role or role in able
        }

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
            fallbacks=seat.fallbacks,
            first_token_s=seat.first_token_s,
        )


def _exhausted(allowance: allowances.Allowance) -> QuotaExhausted:
    quota, wait = allowance.quota, allowance.retry_after_s
    ways = [f"wait {wait} s"] if wait else []
    ways += ["buy credits"]
    ways += (
        ["move to a larger plan"] if any(e["action"] == "upgrade" for e in quota["exits"]) else []
    )
    return QuotaExhausted(
        f"Your {allowance.requested_role} allowance and its fallbacks are used up; "
        f"{', or '.join(ways)}",
        extra={"quota": dict(quota), "exits": quota["exits"]},
        headers={"Retry-After": str(wait)} if wait else {},
    )
