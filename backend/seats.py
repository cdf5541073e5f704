"""Which model sits in a role for this conversation: pins, windows, never one too small.

The check runs before every dispatch, on an upper bound of the tokens, so that a long conversation
is never cut by the model's own limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import BadRequest, NotFound
from integrations.models import ROLES, Catalogue, Endpoint, Usage, conversation_bound, cost

ANSWER_ROOM = 256  # tokens that must stay free for an answer
UNKNOWN_USD_MICROS = 100  # a token of a model without a known price: dearer than any there is


class ContextTooLong(BadRequest):
    code = "context_length_exceeded"
    title = "The conversation is longer than any model here can read; start a new one or shorten it"


@dataclass(frozen=True, slots=True)
class Seat:
    """A model for a role and the length its answer may have."""

    role: str
    model: str
    answer_tokens: int


class Seats:
    """The catalogue as one endpoint sees it."""

    def __init__(self, catalogue: Catalogue, endpoint: Endpoint) -> None:
        self.catalogue = catalogue
        self.endpoint: Endpoint = endpoint

    def known(self, model: str) -> None:
        """Raises `NotFound` (`model_not_found`) for an id that is not listed."""
        if model != "auto" and model not in self.catalogue.listed(self.endpoint):
            raise NotFound(
                f"The model {model!r} does not exist; GET /v1/models lists those that do",
                code="model_not_found",
                param="model",
            )

    def role_of(self, model: str, wanted: str) -> str:
        """The role whose allowance a pinned model uses: the wanted one if it fits, else its own."""
        seats = self.catalogue.roles[self.endpoint]
        if seats[wanted].model == model:
            return wanted
        return next(role for role in ROLES if seats[role].model == model)

    def window(self, model: str) -> int:
        return self.catalogue.models[model].context_window

    def fits(self, model: str, tokens: int) -> bool:
        return tokens + ANSWER_ROOM <= self.window(model)

    def able(self, tokens: int) -> frozenset[str]:
        """The roles whose own model holds the conversation: no other may stand in for one."""
        seats = self.catalogue.roles[self.endpoint]
        return frozenset(role for role in ROLES if self.fits(seats[role].model, tokens))

    def ceiling(self, seat: Seat, tokens: int, asked: int | None) -> int:
        """µUSD that an answer may cost at most: what a turn reserves where cost is counted."""
        used = Usage(input=tokens, output=min(asked or seat.answer_tokens, seat.answer_tokens))
        known = cost(seat.model, self.catalogue.models[seat.model], used).usd_micros
        return UNKNOWN_USD_MICROS * (used.input + used.output) if known is None else known

    def take(self, role: str, tokens: int, *, pinned: str | None = None) -> Seat:
        """The role's model, or another role's whose window is large enough.

        Raises `ContextTooLong` when none is, or when the pinned one is not.
        """
        order = (role, "light", "agent", "reasoning", "reasoning_mini", "light_mini")
        seats = self.catalogue.roles[self.endpoint]
        names = [pinned] if pinned else [seats[r].model for r in order]
        for name in names:
            if self.fits(name, tokens):
                limit = seats[role].max_tokens or self.catalogue.models[name].max_output
                room = self.window(name) - tokens
                return Seat(role, name, min(limit, room))
        raise ContextTooLong(
            f"This conversation may need {tokens} tokens and the largest window that may answer "
            f"it is {max(map(self.window, names))}; start a new conversation or shorten this one",
            param="messages",
        )

    def trim(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> list[Mapping[str, Any]]:
        """The newest messages that the largest window holds. The newest one always stays."""
        largest = max(self.window(name) for name in self.catalogue.listed(self.endpoint))
        kept: list[Mapping[str, Any]] = []
        for message in reversed(messages):
            if kept and conversation_bound([message, *kept], tools) + ANSWER_ROOM > largest:
                break
            kept.insert(0, message)
        return kept
