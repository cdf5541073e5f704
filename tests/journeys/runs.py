"""AG-UI runs against the product, as a front end makes them."""

import json
import secrets
from typing import Any

import httpx


async def run(
    http: httpx.AsyncClient, thread: str, *, text: str = "", resume: Any = None
) -> list[dict[str, Any]]:
    """All events of one run. A refusal before the first event is an assertion error."""
    message = {"id": secrets.token_hex(4), "role": "user", "content": text}
    body: dict[str, Any] = {
        "threadId": thread,
        "runId": secrets.token_hex(4),
        "messages": [message] if text else [],
        "tools": [],
        "context": [],
        "state": {},
        "forwardedProps": {},
    }
    if resume is not None:
        body["resume"] = resume if isinstance(resume, list) else [resume]
    async with http.stream("POST", "/agui", json=body) as answer:
        assert answer.status_code == 200, await answer.aread()
        lines = [line async for line in answer.aiter_lines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def said(events: list[dict[str, Any]]) -> str:
    return "".join(e["delta"] for e in events if e["type"] == "TEXT_MESSAGE_CONTENT")


def asked(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The interrupt that asks for consent."""
    outcome = events[-1]["outcome"]
    assert outcome["type"] == "interrupt", (outcome, said(events))
    interrupt: dict[str, Any] = outcome["interrupts"][0]
    return interrupt


def accept(interrupt: dict[str, Any], **changed: Any) -> dict[str, Any]:
    shown = interrupt["metadata"]["confirmation_hash"]
    payload = {"accept": True, "confirmation_hash": shown, **changed}
    return {"interruptId": interrupt["id"], "status": "resolved", "payload": payload}
