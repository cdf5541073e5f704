"""The allowance's side of a turn: the graph asks here which role may answer."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend.checkout import MOVING, Checkout
from backend.errors import Forbidden, QuotaExhausted
from backend.seats import Seat
from backend.threads import TurnRow
from backend.turn import Chat, Request
from graphs.lifted import plainly
from graphs.state import Admission, Role, Route, Turn
from integrations.models import Capability, needs
from integrations.tokens import conversation_bound
from quotas.many import Ask
from quotas.plans import Plan
from quotas.plans import Role as PlanRole
from quotas.usage import Allowance, meter

_WAYS = {"buy_credits": "buy credits", "upgrade": "move to a larger plan"}
_UPWARDS: tuple[Role, ...] = ("light", "reasoning_mini", "reasoning")
PURCHASE_LASTS = timedelta(minutes=30)


class Gate:
    """The graph's `Allowances` port for one turn: it reserves before anything is said."""

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
        if self._turn.housekeeping:
            able = chat.seats.able(tokens, asks)
            if "light_mini" in able:
                seat = chat.seats.take("light_mini", tokens, needs=asks)
                return await self._free(route, seat, await self._meter(plan))
            # What the smallest model cannot take is no errand: it spends what it is answered by.
            route = replace(route, role=next((r for r in _UPWARDS if r in able), "reasoning"))
        role = spent = self._chosen(plan, route, pinned)
        if (lighter := route.lifted_from) and not pinned:
            route = await self._lifted(plan, route)
            role, spent = route.role, lighter
        # Too long is refused before it is counted.
        wanted = chat.seats.take(role, tokens, pinned=pinned, needs=asks)
        ceilings = self._ceilings(plan, wanted, tokens, asks)
        viewer = chat.viewer(request.user)
        allowance, seat = Allowance(self._turn.id, spent, granted=False), wanted

        async def write(session: AsyncSession, given: Allowance) -> None:
            nonlocal seat
            if given.served_role not in (None, spent):
                seat = chat.seats.take(given.served_role, tokens, needs=asks)
            await self._write(session, plainly(route, seat.role), seat, given.downgrade_reason)

        # Nearly everybody gets what they asked for. Only who does not is asked about a purchase.
        for among in ((), chat.seats.able(tokens, asks)):
            ask = Ask(self._turn.id, viewer, spent, ceilings=ceilings, among=among)
            allowance = await chat.clerk.reserve(ask, write)
            if allowance.granted:
                break
            if among == () and await self._buying():
                return await self._free(route, wanted, allowance.quota)
        if not allowance.granted:
            raise _exhausted(allowance)
        quota = told(allowance.quota, plainly(route, seat.role), seat.role)
        return self._admission(route, seat, allowance.downgrade_reason, quota, ceilings)

    def _chosen(self, plan: Plan, route: Route, pinned: str | None) -> str:
        """The role that answers. Raises `Forbidden` for a pin that the plan does not include."""
        if not pinned:
            return route.role
        self._chat.seats.known(pinned)  # a preference may outlive its model
        if not self._chat.seats.choosable(plan, pinned, route.role):
            raise Forbidden(
                f"Your plan ({plan.name}) does not include choosing {pinned}; use `auto`",
                code="model_not_allowed",
                param="model",
            )
        return self._chat.seats.role_of(pinned, route.role)

    async def _lifted(self, plan: Plan, route: Route) -> Route:
        """The route, lifted still where the larger role has some allowance left itself, and where
        neither role counts cost, in which a larger model would be dearer."""
        quota = await self._meter(plan)
        left = {b["name"]: b["remaining"] for b in quota["buckets"]}
        pair = [b for b in plan.buckets if b.role in (route.role, route.lifted_from)]
        lasts = all(b.unit == "turns" and (left[b.name] or b.role != route.role) for b in pair)
        return route if lasts else plainly(route, "")

    async def _meter(self, plan: Plan) -> dict[str, Any]:
        viewer = self._chat.viewer(self._request.user)
        async with self._chat.database.transaction() as session:
            return await meter(session, viewer.subject, plan, timezone=viewer.timezone)

    def _pinned(
        self, plan: Plan, route: Route, tokens: int, asks: frozenset[Capability]
    ) -> str | None:
        """Who must answer: by the request, by preference, else by the person's words. A preference
        and words are a wish: a model that the plan rules out, as it was chosen on another one, or
        words for one that cannot do it, are not refused but not heard."""
        seats, named = self._chat.seats, route.asked_model
        if self._request.model != "auto":
            return self._request.model
        preferred = seats.current(self._request.user.pinned_model)
        # A preferred model that there is no more is told; one that the plan rules out, not heard.
        gone = preferred not in seats.listed()
        if preferred and not self._request.unpinned and (gone or seats.choosable(plan, preferred)):
            return preferred
        heard = named is not None and seats.serves(named, tokens, asks)
        return named if named and heard and seats.choosable(plan, named, route.role) else None

    async def _buying(self) -> bool:
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
        async with self._chat.database.transaction() as session:
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

    async def _free(self, route: Route, seat: Seat, quota: Mapping[str, Any]) -> Admission:
        """Admitted without an allowance."""
        async with self._chat.database.transaction() as session:
            await self._write(session, route, seat, None)
        return self._admission(route, seat, None, quota, {})

    async def _write(
        self, session: AsyncSession, route: Route, seat: Seat, reason: str | None
    ) -> None:
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

    def _admission(
        self,
        route: Route,
        seat: Seat,
        reason: str | None,
        quota: Mapping[str, Any],
        ceilings: Mapping[PlanRole, int],
    ) -> Admission:
        plan = self._chat.plan_of(self._request.user)
        return Admission(
            role=cast(Role, seat.role),
            model=seat.model,
            downgrade_reason=reason,
            quota=quota,
            answer_tokens=seat.answer_tokens,
            effort=plan.bounded(route.effort) if route.effort else None,
            fallbacks=seat.fallbacks,
            first_token_s=seat.first_token_s,
            ceilings=ceilings,
        )


def told(quota: Mapping[str, Any], route: Route, served: str) -> Mapping[str, Any]:
    """The quota object with the roles that were truly asked for and served, where the turn spent
    the allowance of another one or none."""
    if quota["served_role"] is None or route.lifted_from:
        return {**quota, "requested_role": route.role, "served_role": served}
    return quota


def _exhausted(allowance: Allowance) -> QuotaExhausted:
    quota, wait = dict(allowance.quota), allowance.retry_after_s
    # A rung with room that did not take the turn: its window is too small, or it lacks an ability.
    unfit = [one["role"] for one in quota["exits"] if one["action"] == "use_mini"]
    quota["exits"] = [one for one in quota["exits"] if one["action"] != "use_mini"]
    ways = [f"wait {wait} s"] if wait else []
    offered = {one["action"] for one in quota["exits"]}
    ways += [said for action, said in _WAYS.items() if action in offered]
    said = f"Your {allowance.requested_role} allowance and its fallbacks are used up"
    if unfit:
        said = (
            f"Your {allowance.requested_role} allowance is used up, and {', '.join(unfit)}, which "
            "has room, cannot take this conversation: it is too long, or asks for what that cannot"
        )
        ways = ["begin a new conversation", *ways]
    return QuotaExhausted(
        said + (f"; {', or '.join(ways)}" if ways else ""),
        extra={"quota": quota, "exits": quota["exits"]},
        headers={"Retry-After": str(wait)} if wait else {},
    )
