"""Demo data: three people, two operators, the demo merchants. Made at start when EMPTOR_DEMO=1.

Safe to repeat: rows are found by their fixed ids; a key that still works is kept.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend import auth, feeds, merchants
from backend.auth import UserAccount
from backend.catalogue import Catalogue
from backend.database import Database
from backend.errors import Unauthenticated
from backend.ids import new_id
from backend.vault import Vault
from integrations.tls import roots

log = structlog.get_logger()
PLANS = ("free", "plus", "pro")
BUYER = {
    "first_name": "Robin",
    "last_name": "Sample",
    "email": "robin@example.com",
    "phone": "+49 30 5550100",
}
ADDRESS = {
    "name": "Robin Sample",
    "line_one": "Musterstraße 1",
    "line_two": "",
    "city": "Berlin",
    "state": "",
    "country": "DE",
    "postal_code": "10115",
}
CARD = "pm_card_visa"  # the processor's own test method; it exists on the simulator alike


@dataclass(frozen=True, slots=True)
class DemoMerchant:
    """A simulated partner: where it listens, what it is called, what it pays us."""

    id: str
    name: str
    protocol: str
    commission_bps: int
    feed: bool
    handoff: bool = False


MERCHANTS = (
    DemoMerchant("mer_demo_shop", "Fernweh Outdoor & Home", "acp", 400, feed=True),
    DemoMerchant("mer_demo_tables", "Tafelrunde Bookings", "booking", 600, feed=False),
    DemoMerchant("mer_demo_hotel", "Schlüsselbund Hotels", "booking", 800, feed=False),
    DemoMerchant("mer_demo_tickets", "Vorhang auf! Tickets", "ucp", 500, feed=True),
    DemoMerchant("mer_demo_flights", "Wolkenweg Airways", "acp", 300, feed=True, handoff=True),
)


async def seed(
    database: Database,
    *,
    vault: Vault,
    home: Path,
    base_url: str,
    addresses: Mapping[str, tuple[str, str]],
    catalogue: Catalogue,
) -> None:
    """`addresses`: merchant id → (base URL, outbound key). Writes `demo.json` (mode 0600)."""
    path = home / "demo.json"
    kept = _read(path)
    async with database.transaction() as session:
        keys: dict[str, Any] = {plan: await _person(session, plan, kept) for plan in PLANS}
        keys["operator"] = await _key(session, kept.get("operator"), role="operator")
        keys["operator_read_only"] = await _key(
            session, kept.get("operator_read_only"), role="operator", read_only=True
        )
        keys["merchants"] = {}
        for merchant in MERCHANTS:
            if merchant.id in addresses:
                url, outbound = addresses[merchant.id]
                await _merchant(session, vault, merchant, url=url, outbound=outbound)
                known = kept.get("merchants", {}).get(merchant.id)
                keys["merchants"][merchant.id] = await _key(
                    session, known, role="merchant", merchant_id=merchant.id
                )
    _write(path, {"base_url": base_url, "keys": keys})
    for merchant in MERCHANTS:
        if merchant.feed and merchant.id in addresses:
            await _feed(catalogue, merchant.id, addresses[merchant.id][0])


async def _person(session: AsyncSession, plan: str, kept: Mapping[str, Any]) -> str:
    """The person's key. Whoever had their data erased stays gone; somebody new takes the place."""
    known = kept.get(plan)
    if known and await _works(session, known):
        return str(known)
    user_id = f"usr_demo_{plan}"
    row = await session.get(UserAccount, user_id)
    if row is not None and row.deleted_at is not None:
        row, user_id = None, new_id("usr")
    if row is None:
        session.add(
            UserAccount(
                id=user_id,
                name=f"Robin ({plan})",
                plan=plan,
                timezone="Europe/Berlin",
                buyer=BUYER,
                address=ADDRESS,
                payment_token=CARD,
            )
        )
        await session.flush()
    return await auth.create_key(session, role="user", user_id=user_id)


async def _key(session: AsyncSession, known: str | None, **whose: Any) -> str:
    """The key of an earlier start while it works, else a new one."""
    if known and await _works(session, known):
        return known
    return await auth.create_key(session, **whose)


async def _works(session: AsyncSession, key: str) -> bool:
    try:
        await auth.by_key(session, key)
    except Unauthenticated:
        log.info("demo_key_renewed")
        return False
    return True


async def _merchant(
    session: AsyncSession, vault: Vault, of: DemoMerchant, *, url: str, outbound: str
) -> None:
    fields: dict[str, Any] = {
        "name": of.name,
        "protocol": of.protocol,
        "discovery_url" if of.protocol == "ucp" else "base_url": url,
        "outbound_key": outbound,
        "status": "live",
    }
    site = {}
    if of.handoff:  # its page may have moved to another port, and it signs with the same key
        page = f"{url}/book/{{item_id}}?ref={{token}}"
        site = {"handoff_template": page, "webhook_secret": outbound}
    if await merchants.find(session, of.id) is None:
        await merchants.create(
            session,
            vault=vault,
            id=of.id,
            settlement="handoff" if of.handoff else "platform",
            commission_bps=of.commission_bps,
            commission_fixed=0,
            commission_currency="EUR",
            stripe_account=f"acct_{of.id.removeprefix('mer_')}",
            **fields,
            **site,
        )
    else:
        await merchants.connect(session, of.id, vault=vault, base_url=url, outbound_key=outbound)
        await merchants.change(session, of.id, vault=vault, **site)


async def _feed(catalogue: Catalogue, merchant_id: str, url: str) -> None:
    """The demo shop has no one to push its feed, so its first one is fetched."""
    async with httpx.AsyncClient(verify=roots(), trust_env=False, timeout=20) as http:
        answer = await http.get(f"{url}/feed.jsonl")
        answer.raise_for_status()
    # A version of its own for each start: the demo's products are mended even if the feed is old.
    taken = await feeds.replace(catalogue, merchant_id, answer.content, version=new_id("fed"))
    if taken.errors:
        log.warning("demo_feed_rejected_rows", rejected=taken.rejected)


def _read(path: Path) -> dict[str, Any]:
    try:
        keys = json.loads(path.read_text())["keys"]
    except (FileNotFoundError, KeyError, json.JSONDecodeError):
        return {}
    return keys if isinstance(keys, dict) else {}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=2)
    draft.replace(path)
