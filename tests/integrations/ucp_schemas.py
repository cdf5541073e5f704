"""Holds UCP exchanges to the published schemas of either version, both ways.

The files refer to each other by path, so each is registered under its path. What a request may
carry is written into the newer schemas as `ucp_request`; it is applied here for each operation.
"""

import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from tests.integrations.partner_schemas import ROOT, Exchange, booking, valid

DATA = ROOT.parent / "shared" / "data" / "ucp"
_BASE = "https://schemas.invalid/"
OLD, NEW = "2026-01-11", "2026-04-08"


def _for(operation: str, schema: Any) -> Any:
    """The schema of a request: what it omits is forbidden, what it requires is required."""
    if isinstance(schema, list):
        return [_for(operation, part) for part in schema]
    if not isinstance(schema, dict) or schema.get("required") is True:
        return schema  # the last: a parameter of another transport, not a schema
    made = {name: _for(operation, part) for name, part in schema.items()}
    required = set(made.get("required", ()))
    for name, part in list(made.get("properties", {}).items()):
        rule = part.get("ucp_request") if isinstance(part, dict) else None
        rule = rule.get(operation) if isinstance(rule, dict) else rule
        if rule == "omit":
            made["properties"][name] = False
        if rule in ("omit", "optional"):
            required.discard(name)
        if rule == "required":
            required.add(name)
    return made | ({"required": sorted(required)} if "required" in made else {})


@cache
def _registry(version: str, operation: str | None) -> Registry:
    folder = DATA / f"v{version}"
    assert folder.is_dir(), f"the official UCP schemas are needed at {folder}"
    found = []
    for path in folder.rglob("*.json"):
        if path.name.endswith((".openapi.json", ".openrpc.json", "openapi.json")):
            continue  # a transport, not a schema
        schema = json.loads(path.read_text())
        if operation is not None:
            schema = _for(operation, schema)
        uri = _BASE + path.relative_to(folder).as_posix()
        if isinstance(schema, dict):
            schema["$id"] = uri
        schema.setdefault("$schema", "https://json-schema.org/draft/2020-12/schema")
        found.append((uri, Resource.from_contents(schema)))
    return Registry().with_resources(found)


@cache
def ucp(version: str, place: str, operation: str | None = None) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": _BASE + place},
        registry=_registry(version, operation),
        format_checker=FormatChecker(),
    )


_SHOPPING = "schemas/shopping/"
_EXTENDED = ("fulfillment.json#/$defs/dev.ucp.shopping.checkout",
             "discount.json#/$defs/dev.ucp.shopping.checkout")  # fmt: skip


def _request(version: str, path: str, method: str) -> tuple[str | None, list[str]]:
    """The operation and the schemas of a request with a body."""
    if re.fullmatch(r".*/checkout-sessions(/[^/]+)?", path):
        operation = "update" if method == "PUT" else "create"
        if version == OLD:
            names = ("checkout", "fulfillment", "discount")
            parts = [f"{name}.{operation}_req.json" for name in names]
            return None, [parts[0], f"{parts[1]}#/$defs/checkout", f"{parts[2]}#/$defs/checkout"]
        more = ["cart.json#/$defs/checkout"] if operation == "create" else []
        return operation, [*_EXTENDED, *more]
    if path.endswith("/complete"):
        return ("complete", ["checkout.json"]) if version == NEW else (None, ["payment_data.json"])
    if re.fullmatch(r".*/carts(/[^/]+)?", path):
        return ("update" if method == "PUT" else "create"), ["cart.json"]
    if path.endswith("/catalog/search"):
        return None, ["catalog_search.json#/$defs/search_request"]
    if path.endswith("/catalog/lookup"):
        return None, ["catalog_lookup.json#/$defs/lookup_request"]
    return None, []


def _answer(version: str, path: str, body: Any) -> list[str]:
    if "/checkout-sessions" in path:
        if version == OLD:
            return ["checkout_resp.json", "fulfillment_resp.json#/$defs/checkout",
                    "discount_resp.json#/$defs/checkout"]  # fmt: skip
        return ["checkout.json", *_EXTENDED]
    if "/carts" in path:
        return ["cart.json"]
    if path.endswith("/catalog/search"):
        return ["catalog_search.json#/$defs/search_response"]
    if path.endswith("/catalog/lookup"):
        return ["catalog_lookup.json#/$defs/lookup_response"]
    if re.fullmatch(r".*/orders/[^/]+(/cancellations/[^/]+/confirm)?", path):
        return ["order.json"]
    raise AssertionError(f"{path} is not of the protocol")


def hold_to_ucp(exchange: Exchange) -> str:
    """Check one exchange both ways; says the path without its ids."""
    request, status, body = exchange
    path = request.url.path
    if path.startswith("/.well-known/ucp"):
        version = body["ucp"]["version"]
        place = "#/$defs/business_profile" if version == NEW else ""
        valid(ucp(version, f"discovery/profile_schema.json{place}"), body)
        return path
    version = path.split("/")[2]
    _headers(request)
    if request.content and "/cancel" not in path:
        operation, names = _request(version, path, request.method)
        assert names, f"{path} takes no body"
        for name in names:
            valid(ucp(version, _SHOPPING + name, operation), json.loads(request.content))
    if status >= 400:
        valid(ucp(NEW, f"{_SHOPPING}types/error_response.json"), body)
    elif path.endswith("/cancellations"):
        valid(booking("Cancellation"), body)
    else:
        for name in _answer(version, path, body):
            valid(ucp(version, _SHOPPING + name), body)
    return re.sub(r"(ck|cart|ord|can)_[0-9a-f]+", "*", path)


def _headers(request: Any) -> None:
    headers = request.headers
    assert re.fullmatch(r'profile="http[^"]+"', headers["ucp-agent"])
    writes = request.method in ("POST", "PUT") and "/catalog/" not in request.url.path
    if writes:
        uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        assert re.fullmatch(uuid, headers["idempotency-key"])
    if f"/{OLD}/" in request.url.path:
        assert re.fullmatch(r"[\w-]+\.\.[\w-]+", headers["request-signature"])
        return
    assert headers["signature"].startswith("sig1=:")
    assert '"@method" "@authority" "@path" "ucp-agent"' in headers["signature-input"]
    assert "alg=" not in headers["signature-input"]
    if writes:
        assert '"idempotency-key" "content-digest" "content-type"' in headers["signature-input"]
