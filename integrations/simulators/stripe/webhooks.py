"""Events on their way to us: signed as Stripe signs them, repeated until somebody says 2xx."""

import asyncio
import hashlib
import hmac
import json
import logging
import time

import httpx

from integrations.simulators.stripe.world import World, shown

_log = logging.getLogger(__name__)
_POLL_S = 0.05
_RETRY_S = (0.5, 1, 2, 5, 10, 30, 60)


def signature(body: bytes, secret: str, *, at: int) -> str:
    """`t=…,v1=…`: HMAC-SHA256 over "t.body" (Stripe documentation, "Verify manually")."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


async def deliver_forever(world: World) -> None:
    """Until cancelled. What was not delivered waits in the store, also across a restart."""
    async with httpx.AsyncClient(timeout=10, follow_redirects=False, trust_env=False) as http:
        while True:
            waiting = await asyncio.to_thread(world.store.due, time.time())
            if world.hooks.reversed:
                waiting.reverse()
            for delivery, event_id, attempts in waiting if world.hooks.url else ():
                if await _deliver(world, http, event_id):
                    await asyncio.to_thread(world.store.delivered, delivery)
                    continue
                wait = _RETRY_S[min(attempts, len(_RETRY_S) - 1)]
                await asyncio.to_thread(world.store.retry, delivery, due=time.time() + wait)
            await asyncio.sleep(_POLL_S)


async def _deliver(world: World, http: httpx.AsyncClient, event_id: str) -> bool:
    event = await asyncio.to_thread(_read, world, event_id)
    body = json.dumps(shown(event), separators=(",", ":")).encode()
    headers = {
        "content-type": "application/json; charset=utf-8",
        "stripe-signature": signature(body, world.hooks.secret, at=int(time.time())),
    }
    try:
        answer = await http.post(world.hooks.url or "", content=body, headers=headers)
    except httpx.HTTPError as error:
        _log.info("webhook %s was not taken: %s", event_id, type(error).__name__)
        return False
    return answer.is_success


def _read(world: World, event_id: str) -> dict[str, object] | None:
    with world.store.transaction():
        return world.store.find(event_id, "event")
