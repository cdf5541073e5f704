"""AG-UI 1.0 at `POST /agui`: a run is a turn, consent is an interrupt, resume is a confirmation.

The server owns the history: of the input it reads the thread id, the newest user message and the
resume entries.
"""

from typing import Any

from ag_ui.core import RunAgentInput
from fastapi import APIRouter, Request
from fastapi.responses import Response

from backend import auth, threads
from backend import turn as turns
from backend.api import resuming
from backend.api.events import Run, stream, turn_events
from backend.api.guests import speaker
from backend.api.strict import check_json
from backend.auth import UserAccount, UserKey
from backend.chat import play
from backend.errors import BadRequest, Unprocessable
from backend.idempotency import IdempotentRoute
from backend.threads import Thread
from backend.turn import Chat

router = APIRouter(tags=["AG-UI"], route_class=IdempotentRoute)

DECISIONS_MAX = 20
ID_MAX = 255


@router.post(
    "/agui",
    response_model=None,
    responses={200: {"description": "AG-UI events", "content": {"text/event-stream": {}}}},
)
async def run_agent(body: RunAgentInput, request: Request, who: UserKey) -> Response:
    """One run: a new user message, or `resume` with what the person decided."""
    chat: Chat = request.app.state.chat
    try:
        check_json([body.thread_id, body.run_id, *(entry.payload for entry in body.resume or ())])
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if max(len(body.thread_id), len(body.run_id)) > ID_MAX:
        raise Unprocessable(
            f"threadId, runId: at most {ID_MAX} characters each", code="invalid_request"
        )
    if body.resume:
        resolved = [resuming.Resume(e.interrupt_id, e.status, e.payload) for e in body.resume]
        if len(resolved) > DECISIONS_MAX:
            raise Unprocessable(
                f"resume: at most {DECISIONS_MAX} decisions at once", code="invalid_request"
            )
        run = Run(body.thread_id, body.run_id)
        events = resuming.resume(request, who, run, resolved)
    else:
        asked = await _asked(request, body, who)
        run = Run(body.thread_id, body.run_id)
        events = turn_events(play(chat, asked), run, asked.model)
    return await stream(events, run)


async def _asked(request: Request, body: RunAgentInput, who: auth.Principal) -> turns.Request:
    chat: Chat = request.app.state.chat
    said = [m for m in body.messages if m.role == "user"]
    if not said:
        raise Unprocessable("messages: a run needs a user message", code="invalid_request")
    text = _text(said[-1].content)
    try:
        check_json(text)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    user = await speaker(request, who)
    async with chat.database.transaction() as session:
        thread = await threads.thread_for_client(session, who.user_id, body.thread_id)
    return request_for(user, thread, text, surface="agui")


def request_for(
    user: UserAccount, thread: Thread, text: str, *, surface: Any, **more: Any
) -> turns.Request:
    if not text.strip():
        raise Unprocessable("The message is empty; write something", code="invalid_request")
    message = {"role": "user", "content": text}
    return turns.Request(user=user, surface=surface, messages=(message,), thread=thread, **more)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(getattr(part, "text", "") or "" for part in content or [])
