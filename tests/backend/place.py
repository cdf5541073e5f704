"""A served checkout with its worker, and the people who buy there by HTTP."""

import asyncio
import hashlib
import hmac
import json
import time

import httpx
from sqlalchemy import text

from backend.purchase import drive
from backend.refunding import drive_refund
from integrations.tls import roots
from tests.backend.fakes_checkout import World

MUGS = {"lines": [{"offer_id": "off_mug", "quantity": 2}]}
CARD = {"type": "card", "token": "pm_card_visa"}
JSON = {"Content-Type": "application/json"}
ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
}


class Place:
    """A served application, its world, and one client a person."""

    def __init__(self, world: World, url: str, keys: dict[str, str]) -> None:
        self.world, self.url, self.keys = world, url, keys
        self.clients = {
            who: httpx.AsyncClient(
                verify=roots(), base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60
            )
            for who, key in keys.items()
        }
        self.ada = self.clients["usr_ada"]
        self.eve = self.clients["usr_eve"]

    async def quoted(self, body=None) -> dict:
        answer = await self.ada.post("/api/checkouts", json=body or MUGS)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def confirm(self, shown: dict, *, method=CARD, key="k1", **changes) -> httpx.Response:
        return await self.ada.post(
            f"/api/checkouts/{shown['id']}/confirm",
            json={
                "confirmation_hash": shown["confirmation_hash"],
                "payment_method": method,
                **changes,
            },
            headers={"Idempotency-Key": key} if key else {},
        )

    async def bought(self) -> dict:
        answer = await self.confirm(await self.quoted())
        assert answer.status_code == 200, answer.text
        order = await self.ada.get(f"/api/orders/{answer.json()['order_id']}")
        return order.json()

    async def shown(self, order_id: str) -> dict:
        return (await self.ada.get(f"/api/orders/{order_id}")).json()

    async def told(self, data: dict, *, kind="order_update", by="mer_shop") -> httpx.Response:
        """What a merchant says of its order, signed as ACP has it."""
        body = json.dumps({"type": kind, "data": data}).encode()
        at = f"{int(time.time())}"
        made = hmac.new(f"whsec_{by}".encode(), at.encode() + b"." + body, hashlib.sha256)
        headers = {"Merchant-Signature": f"t={at},v1={made.hexdigest()}", **JSON}
        path = "/agentic_checkout/webhooks/order_events"
        return await self.ada.post(path, content=body, headers=headers)


async def work(world: World) -> None:
    """A worker in small: takes the queue's jobs as they come."""
    take = text("DELETE FROM procrastinate_jobs WHERE status = 'todo' RETURNING task_name, args")
    while True:
        async with world.database.transaction() as session:
            taken = (await session.execute(take)).all()
        for task, args in taken:
            drive_it = {"drive": drive, "refund": drive_refund}[task]
            await drive_it(world.till, *args.values())
        await asyncio.sleep(0.02)


async def sql(place, statement: str, **values) -> None:
    async with place.world.database.transaction() as session:
        await session.execute(text(statement), values)
