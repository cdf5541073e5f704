"""How a person pays for a plan, and what is then in the rows and in the books."""

from typing import Any

import httpx
from sqlalchemy import text

from backend import ledger
from integrations.tls import roots
from tests.journeys.conftest import Product
from tests.servers import eventually

VISA = "pm_card_visa"
SECRET = "whsec_journeys"
ENDED = {"url": None, "copies": 1, "reversed": False}


def arriving(product: Product) -> dict[str, Any]:
    return {"url": f"{product.url}/webhooks/stripe", "secret": SECRET}


async def hooks(product: Product, **given: Any) -> None:
    """How the processor's events go out from now on; `url=None`: they are lost."""
    async with httpx.AsyncClient(verify=roots(), timeout=30) as http:
        (await http.post(f"{product.world.stripe}/_sim/webhooks", json=given)).raise_for_status()


async def pay(url: str, choice: str = VISA, *, name: str = "payment_method") -> httpx.Response:
    """Look at the hosted page, then press one of its buttons."""
    async with httpx.AsyncClient(verify=roots(), timeout=30) as browser:
        page = await browser.get(url)
        assert f'value="{choice}"' in page.text
        return await browser.post(url, data={name: choice})


async def subscribe(http: httpx.AsyncClient, plan: str = "plus") -> None:
    asked = await http.post("/api/plan", json={"plan": plan})
    assert asked.status_code == 201, asked.text
    assert (await pay(asked.json()["url"])).status_code == 303
    await eventually(lambda: plan_of(http), plan, within_s=60)


async def plan_of(http: httpx.AsyncClient) -> str:
    return str((await http.get("/api/me")).json()["plan"])


async def rows(product: Product, query: str, **values: Any) -> list[tuple[Any, ...]]:
    async with product.database.transaction() as session:
        return [tuple(row) for row in (await session.execute(text(query), values)).all()]


async def row_of(product: Product, http: httpx.AsyncClient) -> dict[str, Any]:
    me = (await http.get("/api/me")).json()["id"]
    async with product.database.transaction() as session:
        found = await session.execute(
            text("SELECT * FROM subscriber WHERE user_id = :u"), {"u": me}
        )
        return dict(found.mappings().one())


async def booked(product: Product, http: httpx.AsyncClient) -> list[tuple[str, int]]:
    """(account, Σ) over everything that this person paid for, by account."""
    me = (await http.get("/api/me")).json()["id"]
    return await rows(
        product,
        "SELECT e.account, sum(e.amount)::bigint FROM ledger_entry e JOIN ledger_transaction t"
        " ON t.id = e.transaction_id WHERE split_part(t.ref, ':', 1) IN"
        " (SELECT id FROM billing_payment WHERE user_id = :u) GROUP BY 1 ORDER BY 1",
        u=me,
    )


async def passes(product: Product, subscription: str, act: str, **given: str) -> None:
    url = f"{product.world.stripe}/_sim/subscriptions/{subscription}/{act}"
    async with httpx.AsyncClient(verify=roots(), timeout=30) as http:
        (await http.post(url, json=given)).raise_for_status()


async def holds(product: Product) -> bool:
    async with product.database.transaction() as session:
        return (await ledger.verify(session)).ok
