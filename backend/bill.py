"""A turn's bill: what its calls used and cost us, and what of it an allowance of cost counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backend.tally import Tally
from graphs.assistant import told_to
from graphs.state import Called, Turn
from integrations.models import Catalogue, Cost, Usage, cost
from integrations.tokens import conversation_estimate, token_estimate

UNSAID = Usage(estimated=True)  # the provider did not say what it used


@dataclass(frozen=True, slots=True)
class Bill:
    """A turn's calls with their prices.

    `usd_micros` is what they cost us, `charged` what the person's allowance counts of it. Both are
    None when a price that they need is unknown.
    """

    calls: tuple[tuple[Called, Cost], ...]
    charged: int | None

    @property
    def usage(self) -> Usage:
        used = [call.usage for call, _ in self.calls]
        return Usage(
            input=sum(u.input for u in used),
            cached=sum(u.cached for u in used),
            output=sum(u.output for u in used),
            reasoning=sum(u.reasoning for u in used),
            estimated=any(u.estimated for u in used),
        )

    @property
    def usd_micros(self) -> int | None:
        return _sum(price.usd_micros for _, price in self.calls)

    @property
    def energy_wh(self) -> tuple[float, float] | None:
        known = [price.energy_wh for _, price in self.calls if price.energy_wh is not None]
        if len(known) < len(self.calls):
            return None
        return sum(low for low, _ in known), sum(high for _, high in known)

    @property
    def price_version(self) -> str | None:
        return "+".join(sorted({price.price_version for _, price in self.calls})) or None

    @property
    def energy_version(self) -> str | None:
        return "+".join(sorted({price.energy_version for _, price in self.calls})) or None


def draw_up(catalogue: Catalogue, turn: Turn, tally: Tally, *, cut: bool) -> Bill:
    """`cut`: the turn ended before the provider could say what it used."""
    calls = list(tally.calls)
    served = tally.routed.admission if tally.routed else None
    answered = any(call.by == "answer" for call in calls)
    if cut and served is not None and tally.text and not answered:
        calls.append(Called(served.model, UNSAID))
    calls = [
        replace(call, usage=_counted(turn, tally))
        if call.by == "answer" and _unsaid(call.usage, tally)
        else call
        for call in calls
    ]
    priced = tuple((call, _price(catalogue, call)) for call in calls)
    promised = served.instead_of if served else None
    return Bill(priced, _charged(catalogue, priced, promised))


def _charged(
    catalogue: Catalogue, priced: Sequence[tuple[Called, Cost]], promised: str | None
) -> int | None:
    """What is not the person's doing is our expense: a judge that helps to route, and what a dearer
    model costs that stands in for the `promised` one."""
    theirs = []
    for call, price in priced:
        if call.by == "judge":
            continue
        prices = {price.usd_micros}
        if promised is not None:
            prices.add(_price(catalogue, replace(call, model=promised)).usd_micros)
        theirs.append(min((p for p in prices if p is not None), default=None))
    return _sum(theirs)


def _sum(prices: Iterable[int | None]) -> int | None:
    known = list(prices)
    return None if None in known else sum(price or 0 for price in known)


def _price(catalogue: Catalogue, call: Called) -> Cost:
    """By the tables that held when the call began."""
    return cost(
        call.model,
        catalogue.models[call.model],
        call.usage,
        overlay=f"models.toml@{catalogue.version}",
        at=datetime.now(UTC) - timedelta(seconds=call.seconds or 0),
        seconds=call.seconds,
    )


def _unsaid(usage: Usage, tally: Tally) -> bool:
    """Nothing is read for no tokens, and no word written: a zero there is a provider's silence."""
    return usage.input == 0 or (usage.output == 0 and bool(tally.text))


def _counted(turn: Turn, tally: Tally) -> Usage:
    """Our own count, for a provider that did not say what it used; marked as such."""
    sent = told_to(turn, tally.routed.admission.role) if tally.routed else turn.messages
    return Usage(
        input=conversation_estimate(sent, turn.tools),
        output=token_estimate("".join(tally.text)),
        estimated=True,
    )
