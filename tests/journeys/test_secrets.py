"""Secrets are shown once, to whoever asked; no table holds one that can be read."""

import secrets
from typing import Any

import httpx
from sqlalchemy import text

from integrations.tls import roots
from tests.journeys.conftest import Product

READER = {"role": "operator", "read_only": True}
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"


async def everything(product: Product) -> str:
    """Every row of every table; bytes as text, as a thief of a dump would read them."""
    rows = []
    async with product.database.transaction() as session:
        await session.execute(text("SET LOCAL bytea_output = 'escape'"))
        for table in (await session.execute(text(TABLES))).scalars().all():
            found = await session.execute(text(f'SELECT t::text FROM "{table}" t'))  # noqa: S608
            rows += found.scalars().all()
    return "\n".join(rows)


async def post(http: httpx.AsyncClient, path: str, body: Any, key: str) -> httpx.Response:
    return await http.post(path, json=body, headers={"Idempotency-Key": key})


async def test_two_operators_with_one_idempotency_key_get_two_secrets(product: Product):
    key = secrets.token_hex(8)
    async with product.client("operator") as http:
        second = (await http.post("/operator/v1/keys", json={"role": "operator"})).json()["key"]
        mine = await post(http, "/operator/v1/keys", READER, key)
        again = await post(http, "/operator/v1/keys", READER, key)
        cookie = await http.post("/api/session", json={"key": second})
    assert again.json() == mine.json()
    assert again.headers["idempotent-replayed"] == "true"
    async with product.client(second) as http:
        theirs = await post(http, "/operator/v1/keys", READER, key)
    async with httpx.AsyncClient(
        verify=roots(), base_url=product.url, cookies=cookie.cookies, trust_env=False
    ) as http:
        in_session = await post(http, "/operator/v1/keys", READER, key)
    answers = (mine, theirs, in_session)
    assert len({one.json()["key"] for one in answers}) == 3
    assert not any("idempotent-replayed" in one.headers for one in answers)


async def test_a_persons_two_keys_are_one_caller(product: Product):
    async with product.client("operator") as http:
        made = (await http.post("/operator/v1/users", json={"name": "Kim"})).json()
        body = {"role": "user", "user_id": made["id"]}
        other = (await http.post("/operator/v1/keys", json=body)).json()["key"]
    threads = []
    for token in (made["key"], other):
        async with product.client(token) as http:
            threads.append((await post(http, "/api/threads", {}, "one")).json()["id"])
    assert threads[0] == threads[1]


async def test_no_table_holds_a_secret_that_was_given_out_or_in(product: Product):
    webhook, outbound = secrets.token_hex(16), secrets.token_hex(16)
    password = secrets.token_hex(12)
    merchant = {
        "name": "Sealed",
        "protocol": "acp",
        "base_url": product.world.shop,
        "outbound_key": outbound,
        "webhook_secret": webhook,
    }
    account = {"email": f"{secrets.token_hex(6)}@example.com", "password": password}
    given = []
    async with product.client("operator") as http:
        for path, body in (
            ("/operator/v1/users", {"name": "Kim", **account}),
            ("/operator/v1/keys", READER),
            ("/operator/v1/keys", {"role": "merchant", "merchant_id": "mer_demo_shop"}),
        ):
            answer = await post(http, path, body, secrets.token_hex(8))
            given.append(answer.json()["key"])
        made = await post(http, "/operator/v1/merchants", merchant, secrets.token_hex(8))
        assert made.status_code == 201, made.text
    async with httpx.AsyncClient(verify=roots(), base_url=product.url, trust_env=False) as http:
        answer = await post(http, "/api/session", {}, secrets.token_hex(8))
        given.append(answer.cookies["emptor_session"].split(".")[0])
        await post(http, "/api/threads", {}, secrets.token_hex(8))
    stored = await everything(product)
    assert "mer_demo_shop" in stored
    held = [one for one in (*given, webhook, outbound, password) if one in stored]
    assert held == []
