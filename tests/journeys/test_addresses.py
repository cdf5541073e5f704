"""What an address may hold, and what is found at the pages' addresses."""

import re
from collections.abc import Iterator

import pytest

from tests.journeys.conftest import Product

WRONG = ("%00", "a%00b", "%ED%A0%80", "%FF")
KEYS = {"/operator/v1": "operator", "/merchant/v1": "mer_demo_shop"}


def filled(path: str, name: str, value: str) -> str:
    """The address with `value` for one parameter and a plain word for the others."""
    return re.sub(r"{(\w+)}", lambda found: value if found[1] == name else "x", path)


def addresses(document: dict) -> Iterator[tuple[str, str]]:
    """Every operation with something wrong in each parameter of its path and query."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                name, place = parameter["name"], parameter["in"]
                for wrong in WRONG:
                    if place == "path":
                        yield method, filled(path, name, wrong)
                    elif place == "query":
                        yield method, f"{filled(path, '', '')}?{name}={wrong}"


async def test_no_route_takes_an_address_that_no_row_could_hold(product: Product):
    keys = {
        prefix: product.keys.get(who) or product.keys["merchants"][who]
        for prefix, who in KEYS.items()
    }
    said = []
    async with product.client() as http:
        found = list(addresses((await http.get("/openapi.json")).json()))
        for method, address in found:
            key = next((k for prefix, k in keys.items() if address.startswith(prefix)), None)
            headers = {"idempotency-key": "k"} | ({"authorization": f"Bearer {key}"} if key else {})
            body = {} if method in {"get", "delete", "head"} else {"json": {}}
            answer = await http.request(method, address, headers=headers, **body)
            said.append((answer.status_code, method, address))
            assert answer.headers["x-request-id"]
            if address.startswith("/v1/"):
                assert answer.json()["error"]["code"] == "invalid_request", address
            elif answer.status_code == 400:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["code"] == "invalid_request"
    assert [one for one in said if one[0] != 400] == []
    assert len(found) > 200


@pytest.mark.parametrize("address", ["/%00", "/checkout/%00", "/assets/a%00.js", "/nothing?a=%00"])
async def test_a_page_takes_no_such_address_either(product: Product, address):
    async with product.client(accept="text/html") as http:
        answer = await http.get(address)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_other_languages_in_an_address_are_read(product: Product):
    async with product.client() as http:
        for query in ("%E8%8C%B6", "caf%C3%A9", "%F0%9F%8D%B5"):
            assert (await http.get(f"/api/search?q={query}")).status_code == 200


PAGES = ("/", "/checkout/chk_any", "/card", "/operator", "/operator/", "/merchant", "/merchant/")


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json", None])
async def test_the_pages_are_pages_whatever_is_accepted(product: Product, accept):
    async with product.client() as http:
        if accept is None:
            del http.headers["accept"]
        else:
            http.headers["accept"] = accept
        for address in PAGES:
            got, head = await http.get(address), await http.head(address)
            for answer in (got, head):
                assert answer.status_code == 200, address
                assert answer.headers["content-type"].startswith("text/html")
                assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
                assert answer.headers["x-frame-options"] == "DENY"
            assert got.text.startswith("<!doctype html>")
            assert (head.content, head.headers["etag"]) == (b"", got.headers["etag"])


async def test_what_is_no_page_is_said_so_and_assets_stay_what_they_are(product: Product):
    async with product.client() as http:
        for address in (
            "/api/nothing",
            "/operator/v1/nothing",
            "/merchant/v1/x",
            "/checkout",
            "/x",
        ):
            answer = await http.get(address)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), address
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await http.post("/operator", json={})).status_code == 405
        (script,) = set(re.findall(r'src="(/assets/[^"]+\.js)"', (await http.get("/")).text))
        asset = await http.get(script)
        assert "javascript" in asset.headers["content-type"]
        assert "immutable" in asset.headers["cache-control"]
        assert (await http.get("/assets/nothing.js")).status_code == 404
