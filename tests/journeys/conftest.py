"""The whole product behind a real socket: real database, simulators, router; a scripted model."""

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from backend import demo
from backend.app import create_app
from backend.database import Database
from backend.parts import Address, Parts
from backend.settings import Settings
from integrations.tls import roots
from tests.databases import fresh_database
from tests.fakes_model import FakeModel
from tests.journeys.meter import Watched
from tests.servers import free_port, serving
from tests.simulators import MERCHANT_KEY, World, world
from tests.web.conftest import browser, chromium, page  # noqa: F401  (fixtures)


@dataclass(frozen=True)
class Product:
    """A running product and its demo keys."""

    url: str
    keys: dict[str, Any]
    model: FakeModel
    world: World
    database: Database
    app: Any
    homes: Path
    partner_port: int  # a merchant of a test's own may listen here: the guard lets us go there

    def client(self, who: str = "plus", **headers: str) -> httpx.AsyncClient:
        key = self.keys.get(who, who)
        return httpx.AsyncClient(
            verify=roots(),
            base_url=self.url,
            headers={"authorization": f"Bearer {key}", **headers},
            timeout=30,
            transport=Watched(verify=roots(), trust_env=False),
        )


@pytest.fixture(scope="session")
def port() -> int:
    """Where the product will listen: the airline must know before it starts."""
    return free_port()


@pytest.fixture(scope="session")
def outside(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    orders_url = f"http://127.0.0.1:{port}/agentic_checkout/webhooks/order_events"
    with world(tmp_path_factory.mktemp("world"), orders_url=orders_url) as made:
        yield made


@pytest.fixture(scope="session")
async def product(
    postgres: str,
    template: str,
    port: int,
    outside: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Product]:
    home: Path = tmp_path_factory.mktemp("home")
    model = FakeModel()
    partner_port = free_port()
    settings = Settings(
        home=home,
        port=port,
        openai_base_url="http://127.0.0.1:9/v1",
        demo=True,
        egress_allow=f"127.0.0.1:{partner_port}",
    )
    with fresh_database(postgres, template) as database_url:
        async with serving(model.app()) as model_url:
            parts = Parts(
                database_url=database_url,
                model_base_url=f"{model_url}/v1",
                model_api_key=SecretStr("sk-test"),
                stripe_api_key=SecretStr("sk_test_journeys"),
                stripe_webhook_secret=SecretStr("whsec_journeys"),
                stripe_base_url=outside.stripe,
                merchants={
                    "mer_demo_shop": Address(outside.shop, MERCHANT_KEY),
                    "mer_demo_tables": Address(outside.tables, MERCHANT_KEY),
                    "mer_demo_hotel": Address(outside.hotel, MERCHANT_KEY),
                    "mer_demo_tickets": Address(outside.tickets, MERCHANT_KEY),
                    "mer_demo_flights": Address(outside.flights, MERCHANT_KEY),
                },
            )
            app = create_app(settings, parts)
            async with serving(app, port=port) as url:
                await demo.seed(
                    app.state.database,
                    vault=app.state.vault,
                    home=home,
                    base_url=url,
                    addresses=parts.merchants,
                    catalogue=app.state.catalogue,
                )
                keys = json.loads((home / "demo.json").read_text())["keys"]
                homes = outside.home
                database = app.state.database
                yield Product(url, keys, model, outside, database, app, homes, partner_port)


@pytest.fixture(autouse=True)
def plain_model(product: Product) -> None:
    """Every test starts with a model that works and has said nothing."""
    vars(product.model).update(vars(FakeModel()))


@pytest.fixture
async def kim(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    """A person on Free, with an account of their own."""
    person = {"name": "Kim", "email": f"{secrets.token_hex(4)}@example.com"}
    async with product.client("operator") as http:
        made = (await http.post("/operator/v1/users", json=person)).json()
    async with product.client(made["key"]) as http:
        yield http
