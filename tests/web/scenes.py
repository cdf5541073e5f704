"""What the stand-in answers: one short scene for each thing that the page must be able to show.

The first word found in the question chooses the scene. Shapes are those of the real server.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from tests.web import wares

CAPS = {"light": 40, "reasoning": 10, "agent": 30, "light_mini": 200, "reasoning_mini": 60}
PAYMENT_METHODS = [
    {"type": "card", "token": "pm_card_visa", "label": "Visa ending in 4242 (test card)"},
    {
        "type": "card",
        "token": "pm_card_mastercard",
        "label": "Mastercard ending in 4444 (test card)",
    },
]
REPORTS: dict[str, list[dict[str, Any]]] = {
    "revenue": [
        {"currency": "EUR", "orders": 12, "gross": 148_250, "fee_accrued": 8_895},
        {"currency": "JPY", "orders": 2, "gross": 24_000, "fee_accrued": 1_440},
    ],
    "routing": [{"kind": "casual", "role": "light", "turns": 120, "share": 0.6}],
}
MARKDOWN = """Here is a **short** answer with `code`.

1. First, soak them for an hour.
2. Then simmer until *soft*.

```python
def soft(minutes: int) -> bool:
    return minutes > 25
```

| lentil | minutes |
|---|---|
| red | 12 |
| green | 30 |

See [a page](https://example.com/lentils) for more. That is all."""
ATTACK = """Hello <img src=x onerror="window.stolen=1"> and <script>window.stolen=1</script> there.

[run me](javascript:window.stolen=1) and [data](data:text/html,<script>alert(1)</script>) and
[fine](https://example.com/) and [ours](/checkout/chk_1)

![tracker](https://tracker.invalid/pixel.png)

<iframe src="https://tracker.invalid/"></iframe>
<a href="https://x.invalid" onclick="window.stolen=1">raw</a>

The end of it."""


EVERYDAY = {
    "kind": "casual",
    "role": "light",
    "model": "qwen2.5-1.5b-instruct",
    "cause": "classifier",
}
PACKS = [
    {
        "name": "thinking_20",
        "title": "20 reasoning answers",
        "price": {"amount": 300, "currency": "EUR"},
        "bucket": "reasoning",
        "units": 20,
        "days": 365,
    },
    {
        "name": "thinking_summer",
        "title": "Summer pack",
        "price": {"amount": 900, "currency": "EUR"},
        "bucket": "reasoning",
    },
]
HARD = {
    "kind": "complex",
    "role": "reasoning",
    "model": "qwen2.5-1.5b-instruct",
    "cause": "explicit_effort",
}
SHOPPING = {
    "kind": "commercial",
    "role": "agent",
    "model": "qwen2.5-1.5b-instruct",
    "cause": "classifier",
}


def quota(stand_in: Any, *, plan: str) -> dict[str, Any]:
    """Every allowance by one policy; a rolling one has no end, only its next room."""
    left, rolling = stand_in.left, stand_in.policy == "rolling"
    resets = wares.moment(timedelta(hours=3))
    return {
        "plan": plan,
        "binding": None,
        "buckets": [
            {
                "name": name,
                "unit": "turns",
                "policy": stand_in.policy,
                "window_s": 18_000,
                "used": cap - left[name],
                "held": 0,
                "cap": cap,
                "remaining": left[name],
                "resets_at": resets if left[name] < cap and not rolling else None,
                "next_free_at": resets if not left[name] else None,
                "fallback": f"{name}_mini" if f"{name}_mini" in CAPS else None,
            }
            for name, cap in CAPS.items()
        ],
        "charged": {},
        "exits": exits() if left["reasoning"] == 0 else [],
    }


def exits() -> list[dict[str, Any]]:
    return [
        {"action": "wait", "until": wares.moment(timedelta(hours=3))},
        {"action": "buy_credits", "bucket": "reasoning"},
        {"action": "upgrade", "plans": ["pro"]},
    ]


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def _state(stand_in: Any, plan: str, route: dict[str, Any]) -> dict[str, Any]:
    full = {
        "confidence": 0.93,
        "policy_version": "2026-11-1",
        "requested": "auto",
        "requested_role": route["role"],
        "downgrade_reason": None,
        **route,
        "intent": route["kind"],
    }
    return _event(
        "STATE_SNAPSHOT",
        snapshot={"route": full, "quota": quota(stand_in, plan=plan), "cart": []},
    )


async def _say(stand_in: Any, text: str) -> AsyncIterator[dict[str, Any]]:
    message = f"msg_{secrets.token_hex(4)}"
    yield _event("TEXT_MESSAGE_START", messageId=message, role="assistant")
    for start in range(0, len(text), 7):
        await asyncio.sleep(stand_in.token_delay_s)
        yield _event("TEXT_MESSAGE_CONTENT", messageId=message, delta=text[start : start + 7])
    yield _event("TEXT_MESSAGE_END", messageId=message)


def _cards(activity: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    message = f"act_{secrets.token_hex(4)}"
    return _event(
        "ACTIVITY_SNAPSHOT",
        messageId=message,
        activityType=activity,
        content={"items": items},
        replace=True,
    )


async def play(
    stand_in: Any, text: str, effort: str | None, plan: str
) -> AsyncIterator[dict[str, Any]]:
    """The run for one question."""
    yield _event("RUN_STARTED", threadId="t", runId="r")
    scene = next((act for word, act in _SCENES if word in text.lower()), _everyday)
    async for event in scene(stand_in, plan, effort):
        yield event


async def _everyday(stand_in: Any, plan: str, effort: str | None) -> AsyncIterator[dict[str, Any]]:
    role = "reasoning" if effort == "high" else "light"
    stand_in.left[role] -= 1
    yield _state(stand_in, plan, HARD if effort == "high" else EVERYDAY)
    async for event in _say(stand_in, MARKDOWN):
        yield event
    yield _event(
        "STATE_DELTA",
        delta=[{"op": "replace", "path": "/quota", "value": quota(stand_in, plan=plan)}],
    )
    yield _event("RUN_FINISHED", outcome={"type": "success"})


async def _limit(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    stand_in.left["reasoning"] = 0
    downgraded = {
        **HARD,
        "role": "reasoning_mini",
        "requested_role": "reasoning",
        "downgrade_reason": "allowance_used:reasoning",
    }
    yield _state(stand_in, plan, downgraded)
    async for event in _say(stand_in, "The mini model's answer. It is shorter."):
        yield event
    yield _event("RUN_FINISHED", outcome={"type": "success"})


async def _offers(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    yield _state(stand_in, plan, {**SHOPPING, "sub": "purchase"})
    async for event in _say(stand_in, "These fit best."):
        yield event
    yield _cards("product-list", wares.TENTS)
    yield _event("RUN_FINISHED", outcome={"type": "success"})


async def _tables(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    yield _state(stand_in, plan, {**SHOPPING, "sub": "booking"})
    yield _cards("booking-options", wares.TABLES)
    yield _event("RUN_FINISHED", outcome={"type": "success"})


async def _mischief(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    yield _state(stand_in, plan, SHOPPING)
    yield _cards("product-list", wares.MISCHIEF)
    yield _event("RUN_FINISHED", outcome={"type": "success"})


async def _attack(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    yield _state(stand_in, plan, EVERYDAY)
    async for event in _say(stand_in, ATTACK):
        yield event
    yield _event("RUN_FINISHED", outcome={"type": "success"})


async def _buy(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    async for event in _propose(stand_in, plan, changes=False):
        yield event


async def _change(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    async for event in _propose(stand_in, plan, changes=True):
        yield event


async def _propose(stand_in: Any, plan: str, *, changes: bool) -> AsyncIterator[dict[str, Any]]:
    made = stand_in.open_checkout("off_trail")
    wares.complete_details(made, {})
    made["changes"] = changes
    yield _state(stand_in, plan, {**SHOPPING, "sub": "purchase"})
    async for event in _say(stand_in, "Here is the final price. Nothing is paid yet."):
        yield event
    yield _event(
        "RUN_FINISHED", outcome={"type": "interrupt", "interrupts": [wares.interrupt(made)]}
    )


async def _fail(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    yield _state(stand_in, plan, EVERYDAY)
    async for event in _say(stand_in, "It begins well, "):
        yield event
    owed = {"turn_id": "trn_owed"}
    yield _event("RUN_ERROR", message="The model stopped", code="model_failed", rawEvent=owed)


class Cut(Exception):
    """Ends the connection in the middle of the stream."""


async def _cut(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    yield _state(stand_in, plan, EVERYDAY)
    async for event in _say(stand_in, "It begins well, "):
        yield event
    raise Cut


async def _slow(stand_in: Any, plan: str, _effort: str | None) -> AsyncIterator[dict[str, Any]]:
    yield _state(stand_in, plan, EVERYDAY)
    async for event in _say(stand_in, "word " * 6000):
        yield event
    yield _event("RUN_FINISHED", outcome={"type": "success"})


_SCENES = [
    ("mischief", _mischief),
    ("attack", _attack),
    ("change", _change),
    ("buy", _buy),
    ("limit", _limit),
    ("fail", _fail),
    ("cut", _cut),
    ("slow", _slow),
    ("tent", _offers),
    ("帐篷", _offers),
    ("table", _tables),
    ("两人桌", _tables),
]


async def resumed(
    stand_in: Any, made: dict[str, Any], entry: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """The run that follows a person's decision."""
    yield _event("RUN_STARTED", threadId="t", runId="r")
    payload = entry.get("payload") or {}
    outcome: dict[str, Any] = {"type": "success"}
    card = None
    if entry["status"] != "resolved" or payload.get("accept") is not True:
        text = "All right. Nothing was bought and nothing was paid."
        made["state"] = "canceled"
    else:
        try:
            await stand_in.pay(made, payload.get("confirmation_hash"))
            text = f"Paid. Your order {made['order_id']} is placed."
            card = {
                "order_id": made["order_id"],
                "state": "placed",
                "title": made["lines"][0]["title"],
            }
        except Exception as refused:  # the stand-in's own refusals only; see StandIn.pay
            document = getattr(refused, "document", None)
            if document is None:
                raise
            text = document["detail"]
            if document["code"] == "offer_changed":
                outcome = {"type": "interrupt", "interrupts": [wares.interrupt(made)]}
    async for event in _say(stand_in, text):
        yield event
    if card is not None:
        yield _cards("order", [card])
    yield _event("RUN_FINISHED", outcome=outcome)


def stored_turn(text: str) -> dict[str, Any]:
    return {
        "id": f"trn_{secrets.token_hex(4)}",
        "state": "done",
        "text": text,
        "answer": "",
        "activities": [],
        "checkouts": [],
        "route": None,
    }


def keep(turn: dict[str, Any], event: dict[str, Any]) -> None:
    """Writes into the stored turn what `event` told."""
    match event["type"]:
        case "TEXT_MESSAGE_CONTENT":
            turn["answer"] += event["delta"]
        case "STATE_SNAPSHOT":
            turn["route"] = event["snapshot"]["route"]
        case "ACTIVITY_SNAPSHOT":
            kept = {"activity": event["activityType"], "items": event["content"]["items"]}
            turn["activities"].append(kept)
        case "RUN_FINISHED" if event["outcome"]["type"] == "interrupt":
            turn["checkouts"] = [
                i["metadata"]["checkout_id"] for i in event["outcome"]["interrupts"]
            ]
        case "RUN_ERROR":
            turn["state"] = "failed"
