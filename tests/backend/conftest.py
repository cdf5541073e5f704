"""A till with its fake merchants and payments, and the same behind a server."""

import asyncio

import pytest
from fastapi import FastAPI

from backend import auth, subscribers
from backend.api import checkouts, problems, ucp, webhooks
from backend.auth import UserAccount
from backend.database import Database
from backend.settings import ROOT
from backend.subscriptions import Counter
from backend.vault import Vault
from integrations.payments import Method
from quotas import packs
from quotas.plans import Plans
from tests.backend.fakes_billing import Processor
from tests.backend.fakes_checkout import World
from tests.backend.place import Place, work
from tests.servers import serving


@pytest.fixture
async def world(database):
    made = World.on(database)
    yield made
    await made.database.dispose()


@pytest.fixture(scope="module")
async def served():
    """One server for all tests here; each puts its own world behind it."""
    app = FastAPI()
    problems.install(app)
    app.include_router(checkouts.router)
    app.include_router(webhooks.router)
    app.include_router(ucp.router)
    async with serving(app) as url:
        yield app, url


@pytest.fixture
async def place(database, served, tmp_path):
    app, url = served
    world = World.on(database, wait_s=20)
    world.saved["usr_ada", "sav_1"] = Method("pm_card_visa", "cus_ada")
    keys = {}
    async with database.transaction() as session:
        session.add_all([UserAccount(id=who, name=who) for who in ("usr_ada", "usr_eve")])
        await session.flush()
        for who in ("usr_ada", "usr_eve"):
            keys[who] = await auth.create_key(session, role="user", user_id=who)
        keys["mer_shop"] = await auth.create_key(session, role="merchant", merchant_id="mer_shop")
    app.state.database, app.state.till = database, world.till
    app.state.vault = world.vault = Vault.at(tmp_path)
    worker = asyncio.create_task(work(world))
    made = Place(world, url, keys)
    yield made
    for client in made.clients.values():
        await client.aclose()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await world.database.dispose()


@pytest.fixture
async def counter(database: Database) -> Counter:
    plans = Plans.load(ROOT / "quotas" / "plans.toml")
    async with database.transaction() as session:
        session.add(UserAccount(id="usr_1", name="Kim"))
        await subscribers.ensure(session, "usr_1")
        await subscribers.name(session, "usr_1", "cus_1")
    return Counter(database, Processor(), plans, packs.load(plans), "http://x")
