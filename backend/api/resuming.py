"""AG-UI's resume: what a person decided about interrupts. It calls the page's own `confirm`.

A resume without the hash that was shown pays nothing, whatever else it says. Several merchants of
one sheet are several entries: each is confirmed with its own hash and ends in its own way, one
after the other; none of them waits for another's success, and none is tried twice.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from backend import auth, consent, threads
from backend.api.events import Run, event, finished, interrupt
from backend.api.payment_method import method_for
from backend.auth import Principal
from backend.checkout import Checkout, fetch
from backend.desk import proposal
from backend.errors import AppError, NotFound, Unprocessable
from backend.ids import new_id
from backend.masking import mask_cards
from backend.receipt import receipt
from backend.threads import TurnRow
from backend.till import Till
from graphs import sentences
from graphs.language import spoken
from graphs.state import Blocked, Proposal

# A resume that names no method means the one the person keeps with us.
SAVED = {"type": "saved", "id": "default"}
_SAID = {
    "en": {
        "declined": "All right. Nothing was bought and nothing was paid.",
        "no_hash": "Nothing was bought: the answer did not name the confirmation that was shown.",
        "moving": "The merchant is still working on it. Nothing more is needed from you; "
        "{url} shows how it ends.",
    },
    "zh": {
        "declined": "好的，没有购买，也没有付款。",
        "no_hash": "没有购买：回复中没有所展示的确认内容的标识。",
        "moving": "商家仍在处理，您无需再做什么；结果请见 {url}。",
    },
}


@dataclass(frozen=True, slots=True)
class Resume:
    interrupt_id: str
    status: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Told:
    """How a decision ends: a sentence, perhaps a card, perhaps another question. `code` says why
    nothing was paid; `next_action` is what the bank asks of the person."""

    text: str
    card: dict[str, Any] | None = None
    again: Proposal | None = None
    code: str = ""
    next_action: Mapping[str, Any] | None = None


async def resume(
    request: Request, who: Principal, run: Run, entries: Sequence[Resume]
) -> AsyncGenerator[dict[str, Any], None]:
    """The run's events. Raises `NotFound` before the first one for a foreign interrupt, and
    `Unprocessable` for two decisions about one checkout."""
    till: Till = request.app.state.till
    async with till.database.transaction() as session:
        rows = [
            await fetch(session, _checkout_id(entry.interrupt_id), user_id=who.user_id)
            for entry in entries
        ]
        user = await auth.user(session, who.user_id)
    if len({row.id for row in rows}) < len(rows):
        raise Unprocessable("resume: decide once about each interrupt", code="invalid_request")
    yield event("RUN_STARTED", threadId=run.thread_id, runId=run.run_id)
    ended = []
    for entry, row in zip(entries, rows, strict=True):
        told = await _decide(till, request, user, row, entry, await _language(till, row))
        ended.append(told)
        for one in _tell(await _write(till, user, row, told), told):
            yield one
    again = [interrupt(told.again) for told in ended if told.again is not None]
    outcome = {"type": "interrupt", "interrupts": again} if again else {"type": "success"}
    async with till.database.transaction() as session:
        rows = [await fetch(session, row.id, user_id=who.user_id) for row in rows]
    outcomes = [_outcome(*one) for one in zip(entries, rows, ended, strict=True)]
    yield finished(run, outcome, result={"outcomes": outcomes})


def _tell(message_id: str, told: Told) -> list[dict[str, Any]]:
    said = [
        event("TEXT_MESSAGE_START", messageId=message_id, role="assistant"),
        event("TEXT_MESSAGE_CONTENT", messageId=message_id, delta=told.text),
        event("TEXT_MESSAGE_END", messageId=message_id),
    ]
    if told.card is None:
        return said
    card = event(
        "ACTIVITY_SNAPSHOT",
        messageId=new_id("act"),
        activityType="order",
        content={"items": [told.card]},
        replace=True,
    )
    return [*said, card]


def _outcome(entry: Resume, row: Checkout, told: Told) -> dict[str, Any]:
    """How one decision ended, as its checkout's row has it now."""
    return {
        "interruptId": entry.interrupt_id,
        "checkout_id": row.id,
        "state": row.state,
        "order_id": row.order_id,
        **({"code": told.code} if told.code else {}),
        **({"next_action": told.next_action} if told.next_action else {}),
    }


def _checkout_id(interrupt_id: str) -> str:
    parts = interrupt_id.split("_")
    if len(parts) != 4 or parts[0] != "int":
        raise NotFound("There is no interrupt with this id")
    return f"{parts[1]}_{parts[2]}"


async def _decide(
    till: Till,
    request: Request,
    user: auth.UserAccount,
    row: Checkout,
    entry: Resume,
    language: str,
) -> Told:
    payload: Mapping[str, Any] = entry.payload if isinstance(entry.payload, Mapping) else {}
    words = _SAID[language]
    if entry.status != "resolved" or payload.get("accept") is not True:
        return Told(words["declined"])
    shown = payload.get("confirmation_hash")
    if not isinstance(shown, str) or not shown:
        return Told(words["no_hash"])
    try:
        given = consent.Consent(
            confirmation_hash=shown,
            method=await method_for(till, user.id, payload.get("payment_method") or SAVED),
            address=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
        )
        status, _ = await consent.confirm(till, user_id=user.id, checkout_id=row.id, consent=given)
    except AppError as error:
        return await _refused(till, row, error, language)
    if status == 202:
        return Told(words["moving"].format(url=f"{till.public_url}/checkout/{row.id}"))
    text, card = await receipt(till, user_id=user.id, checkout_id=row.id, language=language)
    return Told(text, card)


async def _refused(till: Till, row: Checkout, error: AppError, language: str) -> Told:
    """Say why, and when the offer changed, ask again with what it is now."""
    async with till.database.transaction() as session:
        fresh = await fetch(session, row.id, user_id=row.user_id)
    now = proposal(fresh, till.public_url)
    again = now if isinstance(now, Proposal) and error.specific_code == "offer_changed" else None
    if isinstance(now, Blocked) and error.specific_code == "not_confirmable":
        return Told(sentences.blocked(now, language), code=error.specific_code)
    return Told(
        error.detail,
        again=again,
        code=error.specific_code,
        next_action=fresh.next_action if fresh.step == "authenticate" else None,
    )


async def _language(till: Till, row: Checkout) -> str:
    if row.thread_id is None:
        return "en"
    async with till.database.transaction() as session:
        past = await threads.history(session, row.thread_id, limit=20)
    # A decision is a turn without words of its own: an earlier one says what is spoken here.
    return spoken(next((turn.text for turn in reversed(past) if turn.text), ""))


async def _write(till: Till, user: auth.UserAccount, row: Checkout, told: Told) -> str:
    """The decision joins the conversation's history as a turn that cost nothing."""
    made = TurnRow(
        thread_id=row.thread_id,
        user_id=user.id,
        plan=user.plan,
        surface="agui",
        state="done",
        text="",
        answer=mask_cards(told.text),
        cards=[{"activity": "order", "items": [told.card]}] if told.card else [],
        interrupts=[{"checkout_id": row.id}] if told.again else [],
        housekeeping=True,  # a decision, not a question: no report counts it as a turn
    )
    async with till.database.transaction() as session:
        session.add(made)
    return made.id
