"""What a turn has done so far; the one place its end is computed from."""

import time
from dataclasses import dataclass, field
from typing import Any

from graphs.state import (
    Called,
    Cards,
    Consent,
    Event,
    Finished,
    Offer,
    Remembered,
    Routed,
    TextDelta,
    ToolCallDelta,
)


@dataclass(slots=True)
class Tally:
    """What a turn has done so far; the one place its end is computed from."""

    turn_id: str
    started: float = field(default_factory=time.monotonic)
    first_token_ms: int | None = None
    text: list[str] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    cards: list[dict[str, Any]] = field(default_factory=list)
    interrupts: list[dict[str, Any]] = field(default_factory=list)
    memory: str = ""
    routed: Routed | None = None
    reason: str = "stop"
    finished: bool = False

    def note(self, event: Event) -> bool:
        """Take an event down. True when it is the first thing the person gets to see."""
        match event:
            case Routed():
                self.routed = event
            case TextDelta(text):
                self.text.append(text)
            case Called():
                self.calls.append(event)
            case Cards():
                self.cards.append(cards_as_json(event))
            case Consent(proposals, blocked):
                ids = [*(p.checkout_id for p in proposals), *(b.checkout_id for b in blocked)]
                self.interrupts += [{"checkout_id": one} for one in ids]
            case Remembered(note):
                self.memory = note
            case Finished(reason):
                self.reason, self.finished = reason, True
        visible = isinstance(event, TextDelta | ToolCallDelta | Cards | Consent)
        if visible and self.first_token_ms is None:
            self.first_token_ms = self.elapsed_ms()
            return True
        return False

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started) * 1000)


def cards_as_json(cards: Cards) -> dict[str, Any]:
    """An activity as contract §5 has it: `{"activity", "items"}`."""
    items: list[dict[str, Any]] = [
        {
            "offer_id": o.offer_id,
            "merchant": o.merchant,
            "title": o.title,
            "price": {"amount": o.price.amount, "currency": o.price.currency},
            **({"image": image} if (image := _image(o)) else {}),
            "availability": o.availability,
            "description": o.description,
            "rating": o.rating,
            "attributes": dict(o.attributes),
            "why": o.why,
            "disclosure": o.disclosure,
        }
        for o in cards.offers
    ]
    items += [
        {
            "order_id": order.order_id,
            "state": order.state,
            "title": order.title,
            "merchant": order.merchant,
            "total": {"amount": order.total.amount, "currency": order.total.currency},
            "placed_at": order.placed_at.isoformat(),
        }
        for order in cards.orders
    ]
    return {"activity": cards.activity, "items": items}


def _image(offer: Offer) -> dict[str, Any] | None:
    if offer.image is None:
        return None
    image = offer.image
    return {"url": image.url, "alt": image.alt, "width": image.width, "height": image.height}
