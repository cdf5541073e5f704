"""A whole world in one process: the real application, its database, the outside's real servers.

Nothing of the product is replaced: its routes, its till, its protocol clients and the processor's
own SDK run. What is ours is the wire between them, the database's commits and the clock.
"""

import asyncio
import base64
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import time as clock_time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from backend import auth, merchants, offers, products
from backend.app import create_app
from backend.auth import UserAccount
from backend.catalogue import Catalogue
from backend.database import Database
from backend.demo import ADDRESS, BUYER, CARD
from backend.parts import Parts
from backend.products import Product
from backend.settings import Settings
from backend.signing import signing_key
from backend.till import Till
from backend.vault import Vault
from backend.wiring import Ports, clients, searchers
from integrations.money import Money
from integrations.partner import BookingDetails, Found
from integrations.simulators import events, flights, goods, leash, shop, tables, tickets
from integrations.simulators.box_orders import Vouch
from integrations.simulators.stripe.server import Server
from integrations.simulators.stripe.store import Store
from integrations.simulators.stripe.world import Hooks
from integrations.simulators.stripe.world import World as Bank
from integrations.stripe_payments import StripePayments
from integrations.ucp import Platform
from integrations.ucp_profile import WELL_KNOWN, Directory
from tests.simulation.audience import Audience, Book
from tests.simulation.clock import BEGINNING, Clock, use_now
from tests.simulation.lots import Lots
from tests.simulation.outside import Wire
from tests.simulation.records import StagedDatabase
from tests.simulation.stage import Stage

KEY = "key-of-the-merchants"
HOOK_SECRET = "whsec_simulation"
ORDERS_SECRET = "whsec_orders"
PEOPLE = 4
# One of them may spend so much a day, which is about one purchase.
LIMITED, DAILY = 2, {"operator": {"amount": 60_00, "currency": "EUR"}}
# The second shop is merchant of record: it charges the buyer, and owes us the commission.
# The box office speaks UCP in its newest version; the old box office the one before.
# The airline sells on its own page only and owes us for whom we sent.
SELLERS = ("shop", "record", "tables", "box", "oldbox", "airline")
_SPOKEN = {"shop": "acp", "record": "acp", "tables": "booking", "box": "ucp", "oldbox": "ucp"} | {
    "airline": "acp"
}
_SETTLED = {"record": "merchant", "airline": "handoff"}
_PROFILES = {"box": WELL_KNOWN, "oldbox": f"{WELL_KNOWN}/2026-01-11"}
_SETTINGS = Settings(
    home=Path("unused"), port=1, openai_base_url="http://127.0.0.1:9/v1", demo=False
)
_PARTS = Parts(
    database_url="postgresql://unused",
    model_base_url="http://127.0.0.1:9/v1",
    model_api_key=SecretStr("unused"),
    stripe_base_url="http://stripe",
    stripe_api_key=SecretStr("sk_test_simulation"),
    stripe_webhook_secret=SecretStr(HOOK_SECRET),
    merchants={},
)


def _vector(name: str) -> Any:
    """Nobody searches here; a product has a place in the index all the same."""
    return np.eye(1, products.DIMENSIONS, len(name) % products.DIMENSIONS, dtype=np.float32)[0]


Letter = tuple[str, bytes, Vouch]  # an order event of a box office: address, body, headers


@dataclass
class World:
    """`offers` by merchant; `keys` of people and merchants; `letters` that nobody brought yet.

    `seen` and `held` are the checkouts and holds of the last look, `seen_at` what was written by
    then.
    """

    stage: Stage
    clock: Clock
    database: StagedDatabase
    till: Till
    app: FastAPI
    home: Path
    bank: Server
    staff: Mapping[str, httpx.AsyncClient]
    offers: Mapping[str, Sequence[str]]
    keys: Mapping[str, str]
    audience: Audience
    letters: list[Letter]
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    seen_at: tuple[int, ...] = ()
    seen_xid: int = 0

    def client(self, who: str) -> httpx.AsyncClient:
        """Somebody in front of our API. An error of ours that is no answer is raised as it is."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=("192.0.2.7", 1)),
            base_url="http://emptor",
            headers={"authorization": f"Bearer {self.keys[who]}"} if who in self.keys else {},
        )

    def bank_things(self, kind: str) -> list[dict[str, Any]]:
        return self.audience.books["stripe"].every(kind)

    def merchant_orders(self, seller: str) -> list[dict[str, Any]]:
        return self.audience.books[seller].every("order")

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """What the database holds now, read outside of the stage."""
        return self.audience.rows(query, **values)


async def furnish(url: str) -> dict[str, Any]:
    """People, merchants and offers, once for every world: what `opened` must know of them."""
    database = Database(url)
    vault = _vault()
    keys: dict[str, str] = {}
    async with database.transaction() as session:
        for n in range(PEOPLE):
            person = UserAccount(
                id=f"usr_{n:024x}", name=f"Robin {n}", plan="plus", timezone="Europe/Berlin",
                buyer=BUYER, address=ADDRESS, payment_token=CARD,
                limits=DAILY if n == LIMITED else {},
            )  # fmt: skip
            session.add(person)
            await session.flush()
            keys[f"person{n}"] = await auth.create_key(session, role="user", user_id=person.id)
        for name in SELLERS:
            await merchants.create(
                session,
                vault=vault,
                id=f"mer_{name}",
                name=f"House {name}",
                protocol=_SPOKEN[name],
                **_address(name),
                outbound_key=KEY,
                webhook_secret=ORDERS_SECRET,
                status="live",
                settlement=_SETTLED.get(name, "platform"),
                commission_bps=437,
                commission_fixed=7,
                commission_currency="EUR",
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
    shelf["tables"] = await _dinners(session)
    return shelf


def _vault() -> Vault:
    return Vault(base64.urlsafe_b64encode(b"the key of no real home at all !"))


def _address(name: str) -> dict[str, str]:
    if name in _PROFILES:
        return {"discovery_url": f"http://{name}{_PROFILES[name]}"}
    found = {"base_url": f"http://{name}"}
    if name == "airline":
        found["handoff_template"] = "http://airline/book/{item_id}?ref={token}"
    return found


def _add(session: Any, seller: str, line: Mapping[str, Any]) -> str:
    fields = dict(line)
    row = Product(
        id=products.offer_id(f"mer_{seller}", line["item_id"]),
        merchant_id=f"mer_{seller}",
        embedding=_vector(line["item_id"]),
        updated_at=BEGINNING,
        **fields,
        **products.indexed(fields),
    )
    session.add(row)
    return row.id


async def _dinners(session: Any) -> list[str]:
    """Tables for two on some evenings, as the house itself finds them."""
    with tempfile.TemporaryDirectory() as home:
        house = tables.build(leash.Arguments(0, Path(home), KEY, leash=False), "http://tables")
        transport = httpx.ASGITransport(house)
        kept: list[tuple[str, Found]] = []
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
                    kept.append(("mer_tables", one))
    await offers.keep(session, kept)
    await session.execute(text("UPDATE offer SET expires_at = '2040-01-01Z'"))
    return [offers.booking_id(merchant, one) for merchant, one in kept]


@asynccontextmanager
async def opened(
    url: str, furniture: Mapping[str, Any], seed: int, *, rate: float
) -> AsyncIterator[World]:
    """The world of this seed, on a copy of the furnished database."""
    stage = Stage(seed, rate=rate)
    use_now(url)
    with (
        tempfile.TemporaryDirectory(dir=_fast()) as folder,
        Clock() as clock,
        Lots(seed),
        capture_logs(),  # what is meant to fail is not told; a violation says what matters
    ):
        home = Path(folder)
        bank = Server(Bank(Store(home / "stripe"), "http://stripe", _hooks()))
        letters: list[Letter] = []
        ours = httpx.ASGITransport(FastAPI())  # the product, as soon as it stands
        profiles = httpx.AsyncClient(transport=ours)
        houses = {name: _house(name, home / name, profiles, letters) for name in SELLERS}
        wire = Wire(stage, {"stripe": bank.app(), **houses}, _stored_500(bank))
        database = StagedDatabase(url, stage, clock)
        app, till = _application(database, httpx.AsyncClient(transport=wire), home)
        ours.app = app
        staff = {
            name: httpx.AsyncClient(
                transport=httpx.ASGITransport(house),
                base_url=f"http://{name}",
                headers={"authorization": f"Bearer {KEY}"},
            )
            for name, house in houses.items()
        }
        books = {name: Book(home / name / "state.sqlite", "document") for name in SELLERS}
        books["stripe"] = Book(home / "stripe" / "stripe.sqlite3", "thing")
        audience = Audience(url, books)
        try:
            yield World(
                stage, clock, database, till, app, home, bank, staff,
                furniture["offers"], furniture["keys"], audience, letters,
            )  # fmt: skip
        finally:
            await stage.kill()
            audience.close()
            await database.dispose()
            await asyncio.to_thread(bank.world.store.close)


def _house(name: str, home: Path, http: httpx.AsyncClient, letters: list[Letter]) -> FastAPI:
    """A merchant's server. What a box office would tell by itself waits for somebody to bring."""
    arguments, base_url = leash.Arguments(0, home, KEY, leash=False), f"http://{name}"
    if name in _PROFILES:
        return tickets.build(
            arguments, base_url, http=http, deliver=lambda *letter: letters.append(letter)
        )
    kinds: dict[str, Any] = {"tables": tables, "airline": flights}
    return kinds.get(name, shop).build(arguments, base_url)  # type: ignore[no-any-return]


def _hooks() -> Hooks:
    return Hooks("http://emptor/webhooks/stripe", HOOK_SECRET)


def _fast() -> str | None:
    """The outside's own books need not reach a disk: no machine is lost here."""
    memory = Path("/dev/shm")  # noqa: S108  (a folder with a name of its own is made in it)
    return str(memory) if memory.is_dir() else None


def _stored_500(bank: Server) -> Any:
    def plan(request: httpx.Request) -> None:
        bank.faults.plan(
            {
                "kind": "error_after",
                "method": request.method,
                "path": request.url.path,
                "stored": True,
            }
        )

    return plan


def _application(
    database: StagedDatabase, http: httpx.AsyncClient, home: Path
) -> tuple[FastAPI, Till]:
    """The product without the parts that start by themselves: workers, sweeps and the model."""
    app = create_app(_SETTINGS, _PARTS)
    payments = StripePayments(
        "sk_test_simulation", HOOK_SECRET, "http://stripe",
        return_url="http://emptor/checkout/{purchase_id}", retries=0, http=http,
    )  # fmt: skip
    directory = Directory(http, clock=time.time)
    key = signing_key(home, _vault())
    platform = app.state.ucp = Platform(_SETTINGS.url + WELL_KNOWN, key, directory)
    client = clients(_vault(), http, platform)

    def encode(texts: list[str]) -> Any:
        return np.stack([_vector(one) for one in texts])

    catalogue = Catalogue(database, encode, searchers(client))
    ports = Ports(database, catalogue, client, _vault())

    async def pause(_seconds: float) -> None:
        await database.stage.gate("pause")

    till = replace(ports.till(payments, public_url="http://emptor"), wait_s=0.0, pause=pause)
    state = app.state
    state.database, state.till, state.vault, state.catalogue = database, till, _vault(), catalogue
    state.limiter = FixedWindowRateLimiter(MemoryStorage())
    return app, till
