"""Which model sits in a role for this conversation: pins, windows, never one too small.

The check runs before every dispatch, on an upper bound of the tokens, so that a long conversation
is never cut by the model's own limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backend.errors import BadRequest, NotFound
from integrations.models import ROLES, Capability, Catalogue, Endpoint
from integrations.prices import ceiling
from integrations.tokens import conversation_bound
from quotas.plans import Plan

ANSWER_ROOM = 256  # tokens that must stay free for an answer


class ContextTooLong(BadRequest):
    code = "context_length_exceeded"
    title = "The conversation is longer than any model here can read; start a new one or shorten it"


class Incapable(BadRequest):
    code = "unsupported_content"
    title = "No model here can do what this message asks for"


@dataclass(frozen=True, slots=True)
class Seat:
    """A model for a role, the length its answer may have, and who answers when it cannot."""

    role: str
    model: str
    answer_tokens: int
    fallbacks: tuple[str, ...] = ()
    first_token_s: float = 120.0


class Seats:
    """The catalogue as one endpoint sees it. `restored` legacy models outlive their date."""

    def __init__(self, catalogue: Catalogue, endpoint: Endpoint) -> None:
        self.catalogue = catalogue
        self.endpoint: Endpoint = endpoint
        self.restored: frozenset[str] = frozenset()

    def listed(self) -> list[str]:
        """The ids that a client may pin today, in the file's order."""
        today = datetime.now(UTC).date()
        return self.catalogue.listed(self.endpoint, today=today, restored=self.restored)

    def known(self, model: str) -> None:
        """Raises `NotFound` (`model_not_found`) for an id that is not listed."""
        if model == "auto" or model in self.listed():
            return
        gone = self.catalogue.retiring(model)
        after = f"; {gone.successor} has taken over" if gone else ""
        raise NotFound(
            f"The model {model!r} does not exist{after}; GET /v1/models lists those that do",
            code="model_not_found",
            param="model",
        )

    def current(self, preferred: str | None) -> str | None:
        """A pin from the preferences: of one that has retired, its successor."""
        if preferred is None or preferred in self.listed():
            return preferred
        gone = self.catalogue.retiring(preferred)
        return self.current(gone.successor) if gone else preferred

    def role_of(self, model: str, wanted: str) -> str:
        """The role whose allowance a pinned model uses: the one that it sits in, the wanted one
        first. Where it only stands in for others, one of theirs; a legacy model spends its
        successor's.

        A stand-in's own role comes before the one it stands in for: a pin is no way to the large
        model on the small one's allowance.
        """
        seats = self.catalogue.roles[self.endpoint]
        for role in (wanted, *ROLES):
            if model == seats[role].model:
                return role
        for role in (wanted, *ROLES):
            if model in seats[role].chain:
                return role
        legacy = self.catalogue.models[model]
        return self.role_of(legacy.successor, wanted) if legacy.successor else wanted

    def choosable(self, plan: Plan, model: str, wanted: str = "light") -> bool:
        """Whether somebody on this plan may choose a listed model: by its name, and because the
        role that it sits in is not below the plan's floor."""
        return plan.may_pin(model) and plan.serves(self.role_of(model, wanted))

    def window(self, model: str) -> int:
        return self.catalogue.models[model].context_window

    def fits(self, model: str, tokens: int) -> bool:
        return tokens + ANSWER_ROOM <= self.window(model)

    def able(self, tokens: int, needs: frozenset[Capability] = frozenset()) -> frozenset[str]:
        """The roles whose own model holds the conversation and can do it. A stand-in is for
        outages: were it for room, a long conversation would buy a dearer model than its rung."""
        seats = self.catalogue.roles[self.endpoint]
        own = {role: seats[role].model for role in ROLES}
        return frozenset(r for r in ROLES if self.fits(own[r], tokens) and self._can(own[r], needs))

    def serves(self, model: str, tokens: int, needs: frozenset[Capability]) -> bool:
        """Whether a listed model holds a conversation and can do what it needs."""
        return model in self.listed() and self.fits(model, tokens) and self._can(model, needs)

    def _can(self, model: str, needs: frozenset[Capability]) -> bool:
        return all(self.catalogue.models[model].can(one) for one in needs)

    def ceiling(self, seat: Seat, tokens: int, asked: int | None) -> int:
        """µUSD that an answer may cost at most: what a turn reserves where cost is counted."""
        longest = min(asked or seat.answer_tokens, seat.answer_tokens)
        return ceiling(self.catalogue, seat.model, tokens_in=tokens, tokens_out=longest)

    def take(
        self,
        role: str,
        tokens: int,
        *,
        pinned: str | None = None,
        needs: frozenset[Capability] = frozenset(),
    ) -> Seat:
        """The role's model, or another one whose window is large enough and that can do it.


        A pinned model has nobody to stand in for it. Raises `ContextTooLong` when the
        conversation fits into none, `Incapable` when those that it fits lack what it needs.
        """
        order = (role, "light", "agent", "reasoning", "reasoning_mini", "light_mini")
        seats = self.catalogue.roles[self.endpoint]
        chains = [(pinned,)] if pinned else [seats[r].chain for r in order]
        fitting = [tuple(n for n in chain if self.fits(n, tokens)) for chain in chains]
        for chain in fitting:
            able = [n for n in chain if self._can(n, needs)]
            if able:
                limit = seats[role].max_tokens or self.catalogue.models[able[0]].max_output
                room = self.window(able[0]) - tokens
                patience = seats[role].first_token_s
                return Seat(role, able[0], min(limit, room), tuple(able[1:]), patience)
        if any(fitting):
            raise Incapable(
                f"{pinned or 'No model here'} does not offer {', '.join(sorted(needs))}; "
                "choose another model or leave that out",
                param="messages" if "vision" in needs else "tools",
            )
        largest = max(self.window(name) for chain in chains for name in chain)
        raise ContextTooLong(
            f"This conversation may need {tokens} tokens and the largest window that may answer "
            f"it is {largest}; start a new conversation or shorten this one",
            param="messages",
        )

    def trim(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> list[Mapping[str, Any]]:
        """The newest messages that the largest window holds. The newest one always stays."""
        largest = max(self.window(name) for name in self.listed())
        needed, first = conversation_bound([], tools) + ANSWER_ROOM, len(messages)
        for message in reversed(messages):
            needed += conversation_bound([message])
            if needed > largest and first < len(messages):
                break
            first -= 1
        return list(messages[first:])
