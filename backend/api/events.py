"""AG-UI 1.0 events: a turn's story in the protocol's words, and the interrupt that asks to pay.

Specification: docs.ag-ui.com, "Events" and "Interrupt and resume".
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from backend.api import wire
from backend.errors import AppError
from backend.ids import new_id
from backend.streams import Streamed
from backend.tally import cards_as_json
from backend.turn import Closed, Opened, TurnEvent
from graphs.state import Blocked, Cards, Consent, Proposal, Routed, TextDelta
from integrations.money import due

STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
CONSENT_SCHEMA = {
    "type": "object",
    "properties": {
        "accept": {"type": "boolean"},
        "confirmation_hash": {"type": "string"},
        "payment_method": {"type": "object"},
    },
    "required": ["accept", "confirmation_hash"],
}


@dataclass(frozen=True, slots=True)
class Run:
    """The ids that every event of a run repeats. `headers` are known with its first event."""

    thread_id: str
    run_id: str
    headers: dict[str, str] = field(default_factory=dict)


def event(type_: str, **fields: Any) -> dict[str, Any]:
    return {"type": type_, **fields}


def sse(one: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(one, ensure_ascii=False)}\n\n"


async def stream(events: AsyncGenerator[dict[str, Any], None], run: Run) -> Streamed:
    """Waits for the first event, so that a refusal keeps its status."""
    first = await anext(events)

    async def lines() -> AsyncGenerator[str, None]:
        async with aclosing(events) as rest:
            yield sse(first)
            async for one in rest:
                response.whole = one["type"] == "RUN_FINISHED"
                yield sse(one)

    headers = {**STREAM_HEADERS, **run.headers}
    response = Streamed(lines(), media_type="text/event-stream", headers=headers)
    return response


async def turn_events(
    played: AsyncGenerator[TurnEvent, None], run: Run, requested: str, *, whole: bool = False
) -> AsyncGenerator[dict[str, Any], None]:
    """A turn's events in AG-UI's words. An error after the start is `RUN_ERROR`; for who reads
    the `whole` at once it keeps its status, and is raised."""
    story = Story(run, requested)
    async with aclosing(played) as events:
        try:
            async for one in events:
                for told in story.tell(one):
                    yield told
        except AppError as error:
            if whole or not story.begun:
                raise
            for told in story.break_off(error):
                yield told


class Story:
    """What has been told of a run so far."""

    def __init__(self, run: Run, requested: str) -> None:
        self.run = run
        self.requested = requested
        self.begun = False
        self.message_id = new_id("msg")
        self.talking = False
        self.interrupts: list[dict[str, Any]] = []

    def tell(self, one: TurnEvent) -> list[dict[str, Any]]:
        match one:
            case Opened():
                self.message_id = one.turn_id
            case Routed():
                return self._routed(one)
            case TextDelta():
                return self._say(one.text)
            case Cards():
                return [*self._hush(), self._cards(one)]
            case Consent():
                self.interrupts += [interrupt(p) for p in one.proposals]
                return [*self._hush(), _basket(one)]
            case Closed():
                return self._end(one)
        return []

    def _routed(self, routed: Routed) -> list[dict[str, Any]]:
        if self.begun:  # another model stands in, before the first word
            return [_replace("/route", wire.route_json(routed, self.requested))]
        self.begun = True
        self.run.headers.update(wire.headers(routed))
        state = {
            "route": wire.route_json(routed, self.requested),
            "quota": dict(routed.admission.quota),
            "cart": [],
        }
        return [
            event("RUN_STARTED", threadId=self.run.thread_id, runId=self.run.run_id),
            event("STATE_SNAPSHOT", snapshot=state),
        ]

    def _say(self, text: str) -> list[dict[str, Any]]:
        opening = []
        if not self.talking:
            self.talking = True
            opening = [event("TEXT_MESSAGE_START", messageId=self.message_id, role="assistant")]
        delta = event("TEXT_MESSAGE_CONTENT", messageId=self.message_id, delta=text)
        return [*opening, delta] if text else opening

    def _hush(self) -> list[dict[str, Any]]:
        if not self.talking:
            return []
        self.talking = False
        ended, self.message_id = self.message_id, new_id("msg")
        return [event("TEXT_MESSAGE_END", messageId=ended)]

    def _cards(self, cards: Cards) -> dict[str, Any]:
        content = cards_as_json(cards)
        return event(
            "ACTIVITY_SNAPSHOT",
            messageId=new_id("act"),
            activityType=cards.activity,
            content={"items": content["items"]},
            replace=True,
        )

    def _end(self, closed: Closed) -> list[dict[str, Any]]:
        quota = _replace("/quota", dict(closed.quota))
        told = [*self._hush(), quota, _replace("/usage", closed.cost_json())]
        outcome: dict[str, Any] = {"type": "success"}
        if self.interrupts:
            outcome = {"type": "interrupt", "interrupts": self.interrupts}
        return [*told, finished(self.run, outcome, result={"turn_id": closed.turn_id})]

    def break_off(self, error: AppError) -> list[dict[str, Any]]:
        """`rawEvent.turn_id` names what may be asked again at no cost."""
        told = [_replace("/quota", error.extra["quota"])] if "quota" in error.extra else []
        failed = {name: error.extra[name] for name in ("turn_id",) if name in error.extra}
        more = {"rawEvent": failed} if failed else {}
        return [
            *self._hush(),
            *told,
            event("RUN_ERROR", message=error.detail, code=error.specific_code, **more),
        ]


def _basket(asked: Consent) -> dict[str, Any]:
    """The parts of the one sheet, each its merchant's; `/due` is what all that can be confirmed
    comes to, one sum for each currency."""
    sums = due([p.total for p in asked.proposals])
    parts = [*map(_part, asked.proposals), *map(_unready, asked.blocked)]
    money = [{"amount": one.amount, "currency": one.currency} for one in sums]
    added = [("/cart", parts), ("/due", money)]
    return event(
        "STATE_DELTA", delta=[{"op": "add", "path": path, "value": value} for path, value in added]
    )


def _part(proposal: Proposal) -> dict[str, Any]:
    return {
        "checkout_id": proposal.checkout_id,
        "merchant": proposal.merchant_of_record,
        "lines": [dict(line) for line in proposal.lines],
        "total": proposal.total.amount,
        "currency": proposal.total.currency,
    }


def _unready(part: Blocked) -> dict[str, Any]:
    return {"checkout_id": part.checkout_id, "missing": list(part.missing), "url": part.url}


def finished(run: Run, outcome: dict[str, Any], **more: Any) -> dict[str, Any]:
    return event("RUN_FINISHED", threadId=run.thread_id, runId=run.run_id, outcome=outcome, **more)


def _replace(path: str, value: Any) -> dict[str, Any]:
    return event("STATE_DELTA", delta=[{"op": "add", "path": path, "value": value}])


def interrupt(proposal: Proposal) -> dict[str, Any]:
    """Contract §5: the frozen confirmation, its hash, and lines that add up to the total."""
    total = proposal.total
    return {
        "id": f"int_{proposal.checkout_id}_{proposal.confirmation_hash[:12]}",
        "reason": "payment_confirmation",
        "message": f"{total.text()} · {proposal.merchant_of_record}",
        "expiresAt": proposal.expires_at.isoformat().replace("+00:00", "Z"),
        "responseSchema": CONSENT_SCHEMA,
        "metadata": {
            "checkout_id": proposal.checkout_id,
            "url": proposal.url,
            "confirmation": dict(proposal.confirmation),
            "confirmation_hash": proposal.confirmation_hash,
            "merchantOfRecord": proposal.merchant_of_record,
            "lines": [dict(line) for line in proposal.lines],
            "total": total.amount,
            "currency": total.currency,
            "disclosure": proposal.disclosure,
        },
    }
