"""A whole world in one process: the real application, its database, the outside's real servers.

Nothing of the product is replaced: its routes, its till, its protocol clients and the processor's
own SDK run. What is ours is the wire between them, the database's commits and the clock.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import SecretStr
from starlette.datastructures import State
from structlog.testing import capture_logs

from backend.app import create_app
from backend.catalogue import Catalogue
from backend.parts import Parts
from backend.settings import Settings
from backend.signing import signing_key
from backend.till import Till
from backend.wiring import Ports, clients, searchers
from integrations.simulators import flights, leash, shop, tables, tickets
from integrations.simulators.box_orders import Vouch
from integrations.simulators.stripe.server import Server
from integrations.simulators.stripe.store import Store
from integrations.simulators.stripe.world import Hooks
from integrations.simulators.stripe.world import World as Bank
from integrations.stripe_payments import StripePayments
from integrations.ucp import Platform
from integrations.ucp_profile import WELL_KNOWN, Directory
from tests.simulation.audience import Audience, Book
from tests.simulation.clock import Clock, use_now
from tests.simulation.furniture import HOOK_SECRET, KEY, PROFILES, SELLERS, vault, vector
from tests.simulation.lots import Lots
from tests.simulation.outside import Wire
from tests.simulation.records import StagedDatabase
from tests.simulation.stage import Stage
from tests.simulation.wings import Wings

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

Letter = tuple[str, bytes, Vouch]  # an order event of a box office: address, body, headers


@dataclass
class World:
    """`offers` by merchant; `keys` of people and merchants; `letters` that nobody brought yet;
    `rounds` says when the queue gives out each periodic task again.
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
    wings: Wings
    rounds: dict[str, float] = field(default_factory=lambda: {"redrive": 0.0, "sweep": 0.0})

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
        if seller == "wings":
            return self.wings.documents()
        return self.audience.books[seller].every("order")

    def merchant_order(self, merchant_id: str, order_id: str) -> dict[str, Any] | None:
        """As the merchant itself has it; None where it has none."""
        found = self.merchant_orders(merchant_id.removeprefix("mer_"))
        return next((order for order in found if order["id"] == order_id), None)

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """What the database holds now, read outside of the stage."""
        return self.audience.rows(query, **values)


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
        _undisturbed(),
        capture_logs(),  # what is meant to fail is not told; a violation says what matters
    ):
        home = Path(folder)
        bank = Server(Bank(Store(home / "stripe"), "http://stripe", _hooks()))
        letters: list[Letter] = []
        ours = httpx.ASGITransport(FastAPI())  # the product, as soon as it stands
        profiles = httpx.AsyncClient(transport=ours)
        houses = {
            name: _house(name, home / name, profiles, letters)
            for name in SELLERS
            if name != "wings"
        }
        wings = Wings.on_sale()
        outside = {"stripe": bank.app(), **houses}
        wire = Wire(stage, outside | {"wings": wings.app()}, _stored_500(bank))
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
        audience = Audience(url, {name: _book(home / name) for name in outside})
        try:
            yield World(
                stage, clock, database, till, app, home, bank, staff,
                furniture["offers"], furniture["keys"], audience, letters, wings,
            )  # fmt: skip
        finally:
            await stage.kill()
            audience.close()
            await database.dispose()
            await asyncio.to_thread(bank.world.store.close)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What there was before is no garbage: looking through it all again takes a twentieth of
    a world's time."""
    before, ours = gc.get_threshold(), gc.get_freeze_count() == 0
    if ours:
        gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if ours:
            gc.unfreeze()


def _house(name: str, home: Path, http: httpx.AsyncClient, letters: list[Letter]) -> FastAPI:
    """A merchant's server. What a box office would tell by itself waits for somebody to bring."""
    arguments, base_url = leash.Arguments(0, home, KEY, leash=False), f"http://{name}"
    if name in PROFILES:
        return tickets.build(
            arguments, base_url, http=http, deliver=lambda *letter: letters.append(letter)
        )
    kinds: dict[str, Any] = {"tables": tables, "airline": flights}
    return kinds.get(name, shop).build(arguments, base_url)  # type: ignore[no-any-return]


def _book(home: Path) -> Book:
    if home.name == "stripe":
        return Book(home / "stripe.sqlite3", "thing")
    return Book(home / "state.sqlite", "document")


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


@cache
def _routes() -> FastAPI:
    """The product's routes are one for all worlds: each gives them a state of its own."""
    return create_app(_SETTINGS, _PARTS)


def _application(
    database: StagedDatabase, http: httpx.AsyncClient, home: Path
) -> tuple[FastAPI, Till]:
    """The product without the parts that start by themselves: workers, sweeps and the model."""
    app = _routes()
    payments = StripePayments(
        "sk_test_simulation", HOOK_SECRET, "http://stripe",
        return_url="http://emptor/checkout/{purchase_id}", retries=0, http=http,
    )  # fmt: skip
    directory = Directory(http, clock=time.time)
    key = signing_key(home, vault())
    platform = Platform(_SETTINGS.url + WELL_KNOWN, key, directory)
    client = clients(vault(), http, platform)

    def encode(texts: list[str]) -> Any:
        return np.stack([vector(one) for one in texts])

    catalogue = Catalogue(database, encode, searchers(client))
    ports = Ports(database, catalogue, client, vault())

    async def pause(_seconds: float) -> None:
        await database.stage.gate("pause")

    till = replace(ports.till(payments, public_url="http://emptor"), wait_s=0.0, pause=pause)
    state = app.state = State({"settings": _SETTINGS, "ucp": platform})
    state.database, state.till, state.vault, state.catalogue = database, till, vault(), catalogue
    state.limiter = FixedWindowRateLimiter(MemoryStorage())
    return app, till
