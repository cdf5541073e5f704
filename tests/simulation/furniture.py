"""Who is there before a world begins: people, merchants and what they sell, once for every seed."""

import base64
import tempfile
from collections.abc import Mapping
from datetime import time as clock_time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend import auth, merchants, offers, products
from backend.auth import UserAccount
from backend.database import Database
from backend.demo import ADDRESS, BUYER, CARD
from backend.products import Product
from backend.vault import Vault
from integrations.money import Money
from integrations.partner import BookingDetails, Found
from integrations.simulators import events, flights, goods, leash, tables
from integrations.ucp_profile import WELL_KNOWN
from tests.simulation import wings
from tests.simulation.clock import BEGINNING

KEY = "key-of-the-merchants"
HOOK_SECRET = "whsec_simulation"
ORDERS_SECRET = "whsec_orders"
PEOPLE = 4
# One of them may spend so much a day, which is some purchases.
LIMITED, DAILY = 2, {"operator": {"amount": 180_00, "currency": "EUR"}}
# The second shop is merchant of record: it charges the buyer, and owes us the commission.
# The box office speaks UCP in its newest version; the old box office the one before.
# The airline sells on its own page only and owes us for whom we sent.
# Wings is an account at Duffel, which takes no keys.
SELLERS = ("shop", "record", "tables", "box", "oldbox", "airline", "wings")
_SPOKEN = {
    "shop": "acp", "record": "acp", "tables": "booking", "box": "ucp", "oldbox": "ucp",
    "airline": "acp", "wings": "duffel",
}  # fmt: skip
_SETTLED = {"record": "merchant", "airline": "handoff"}
PROFILES = {"box": WELL_KNOWN, "oldbox": f"{WELL_KNOWN}/2026-01-11"}


def vector(name: str) -> Any:
    """Nobody searches here; a product has a place in the index all the same."""
    return np.eye(1, products.DIMENSIONS, len(name) % products.DIMENSIONS, dtype=np.float32)[0]


async def furnish(url: str) -> dict[str, Any]:
    """People, merchants and offers, once for every world: what `opened` must know of them."""
    database = Database(url)
    kept = vault()
    keys: dict[str, str] = {}
    async with database.transaction() as session:
        for n in range(PEOPLE):
            person = UserAccount(
                id=f"usr_{n:024x}", name=f"Robin {n}", plan="plus", timezone="Europe/Berlin",
                buyer=BUYER | wings.TRAVELLER, address=ADDRESS, payment_token=CARD,
                limits=DAILY if n == LIMITED else {},
            )  # fmt: skip
            session.add(person)
            await session.flush()
            keys[f"person{n}"] = await auth.create_key(session, role="user", user_id=person.id)
        for name in SELLERS:
            await merchants.create(
                session,
                vault=kept,
                id=f"mer_{name}",
                name=f"House {name}",
                protocol=_SPOKEN[name],
                **_address(name),
                outbound_key=wings.TOKEN if name == "wings" else KEY,
                webhook_secret=ORDERS_SECRET,
                status="live",
                settlement=_SETTLED.get(name, "platform"),
                commission_bps=437,
                commission_fixed=7,
                commission_currency="GBP" if name == "wings" else "EUR",
                stripe_account=f"acct_demo_{name}",
            )
            keys[f"mer_{name}"] = await auth.create_key(
                session, role="merchant", merchant_id=f"mer_{name}"
            )
        shelf = await _shelves(session)
    await database.dispose()
    return {"keys": keys, "offers": shelf}


async def _shelves(session: AsyncSession) -> dict[str, list[str]]:
    """What each house sells: the ids of its offers."""
    shelf: dict[str, list[str]] = {}
    for name in ("shop", "record"):
        things = list(goods.load().values())[:24]
        base_url = f"http://{name}"
        rows = [goods.feed_row(one, left=one.stock, base_url=base_url) for one in things]
        shelf[name] = [_add(session, name, row) for row in rows]
    for name in ("box", "oldbox"):
        evenings = [one for one in events.on_sale(BEGINNING.date()) if not one.event.age]
        rows = [events.feed_row(one, left=9, base_url=f"http://{name}") for one in evenings]
        shelf[name] = [_add(session, name, row) for row in rows[4:24]]
    seats = flights.flights(BEGINNING.date())[12:24]
    lines = [flights.feed_row(one, "http://airline") for one in seats]
    shelf["airline"] = [_add(session, "airline", line) for line in lines]
    shelf["tables"] = await _keep(session, "tables", await _dinners())
    shelf["wings"] = await _keep(session, "wings", await wings.found())
    return shelf


async def _keep(session: AsyncSession, seller: str, found: list[Found]) -> list[str]:
    await offers.keep(session, [(f"mer_{seller}", one) for one in found])
    await session.execute(text("UPDATE offer SET expires_at = '2040-01-01Z'"))
    return [offers.booking_id(f"mer_{seller}", one) for one in found]


def vault() -> Vault:
    return Vault(base64.urlsafe_b64encode(b"the key of no real home at all !"))


def _address(name: str) -> dict[str, str]:
    if name in PROFILES:
        return {"discovery_url": f"http://{name}{PROFILES[name]}"}
    found = {"base_url": f"http://{name}"}
    if name == "airline":
        found["handoff_template"] = "http://airline/book/{item_id}?ref={token}"
    return found


def _add(session: Any, seller: str, line: Mapping[str, Any]) -> str:
    fields = {"options": {}} | dict(line)
    row = Product(
        id=products.offer_id(f"mer_{seller}", line["item_id"]),
        merchant_id=f"mer_{seller}",
        embedding=vector(line["item_id"]),
        updated_at=BEGINNING,
        **fields,
        **products.indexed(fields),
    )
    session.add(row)
    return row.id


async def _dinners() -> list[Found]:
    """Tables for two on some evenings, as the house itself finds them."""
    with tempfile.TemporaryDirectory() as home:
        house = tables.build(leash.Arguments(0, Path(home), KEY, leash=False), "http://tables")
        transport = httpx.ASGITransport(house)
        kept: list[Found] = []
        async with httpx.AsyncClient(transport=transport, base_url="http://tables") as http:
            for day in range(3, 9):
                when = (BEGINNING + timedelta(days=day)).date()
                booking = {"date": when.isoformat(), "party": 2, "time": "19:00"}
                answer = await http.post(
                    "/v1/search",
                    json={"vertical": "table", "booking": booking, "limit": 4},
                    headers={"authorization": f"Bearer {KEY}"},
                )
                for found in answer.json()["data"]:
                    at = clock_time.fromisoformat(found["booking"]["time"])
                    price = Money(found["price"], "EUR")
                    details = BookingDetails(when, 2, at)
                    one = Found(found["item_id"], found["title"], price, booking=details)
                    kept.append(one)
    return kept
