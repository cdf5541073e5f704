"""One commercial turn while it runs: what it may use, what it understood, and how it ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from graphs.memory import Draft, Memory
from graphs.state import Admission, Event, Offer, Proposal, Route, Turn, TurnContext
from graphs.wishes import Reading

SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to say, word for word, in the person's language. `memory` is stored behind the answer
    (see `graphs.memory`), never shown. `proposals` were emitted as `Consent` already."""

    text: str
    memory: str = ""
    proposals: tuple[Proposal, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """Everything the steps of one turn need, fixed before the first of them runs."""

    turn: Turn
    route: Route
    admission: Admission
    context: TurnContext
    emit: Callable[[Event], None]
    memory: Memory
    reading: Reading
    today: date
    alone: bool = True  # False: one errand of several, whose sheet is named once for all

    @property
    def language(self) -> str:
        return self.turn.language

    @property
    def may_propose(self) -> bool:
        return not (self.route.no_purchase or self.reading.refuses)

    async def shown(self) -> Sequence[Offer]:
        """What was shown before, as the shelf has it now."""
        shown = [offer.offer_id for offer in self.memory.offers]
        return await self.context.shelf.get(shown, language=self.turn.language)


def activity(draft: Draft) -> Literal["product-list", "booking-options"]:
    return "product-list" if draft.vertical == "product" else "booking-options"
