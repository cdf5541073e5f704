"""Holds exchanges to the published schemas: ACP's official bundle and our booking OpenAPI."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker

ROOT = Path(__file__).parents[2]
ACP_DATA = ROOT.parent / "shared" / "data" / "acp"
BOOKING = ROOT / "integrations" / "booking.openapi.json"

Exchange = tuple[httpx.Request, int, Any]


@cache
def acp_bundle() -> dict[str, Any]:
    path = ACP_DATA / "json-schema" / "schema.agentic_checkout.json"
    assert path.is_file(), f"the official ACP schemas are needed at {path}"
    return json.loads(path.read_text())


@cache
def booking_document() -> dict[str, Any]:
    return json.loads(BOOKING.read_text())


@cache
def acp(name: str) -> Draft202012Validator:
    bundle = acp_bundle()
    schema = {**bundle, "$ref": f"#/$defs/{name}"}
    return Draft202012Validator(schema, format_checker=FormatChecker())


@cache
def booking(name: str) -> Draft202012Validator:
    schema = {**booking_document(), "$ref": f"#/components/schemas/{name}"}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return Draft202012Validator(schema, format_checker=FormatChecker())


def valid(validator: Draft202012Validator, value: Any) -> None:
    errors = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(value)]
    assert not errors, errors


_ACP_REQUESTS = (
    (r"/checkout_sessions", "CheckoutSessionCreateRequest"),
    (r"/checkout_sessions/[^/]+", "CheckoutSessionUpdateRequest"),
    (r"/checkout_sessions/[^/]+/complete", "CheckoutSessionCompleteRequest"),
    (r"/checkout_sessions/[^/]+/cancel", "CancelSessionRequest"),
)
_EXTENSION = re.compile(r"/orders/[^/]+/cancellations.*")


def hold_to_acp(exchange: Exchange) -> str:
    """Check one exchange both ways and say which schema its answer was held to."""
    request, status, body = exchange
    path = request.url.path
    if request.method == "POST":
        headers = request.headers
        assert headers["content-type"] == "application/json"
        assert 0 < len(headers["idempotency-key"]) <= 255
        assert {"authorization", "api-version", "request-id", "timestamp", "user-agent"} <= {
            name.lower() for name in headers
        }
        for pattern, name in _ACP_REQUESTS:
            if re.fullmatch(pattern, path):
                valid(acp(name), json.loads(request.content))
    if status >= 400:
        answer = "Error"
    elif path == "/.well-known/acp.json":
        answer = "DiscoveryResponse"
    elif re.fullmatch(r"/orders/[^/]+(/cancellations/[^/]+/confirm)?", path):
        answer = "Order"
    elif _EXTENSION.fullmatch(path):
        valid(booking("Cancellation"), body)
        return "Cancellation"
    else:
        answer = "CheckoutSessionWithOrder" if body["status"] == "completed" else "CheckoutSession"
    valid(acp(answer), body)
    return answer


def hold_to_booking(exchange: Exchange) -> str:
    """Check one exchange against the published document and name the operation."""
    request, status, body = exchange
    for template, methods in booking_document()["paths"].items():
        operation = methods.get(request.method.lower())
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if operation is None or not re.fullmatch(pattern, request.url.path):
            continue
        if request.method == "POST":
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            valid(booking(schema["$ref"].rsplit("/", 1)[1]), json.loads(request.content))
            parameters = [p["$ref"] for p in operation.get("parameters", ())]
            if "#/components/parameters/IdempotencyKey" in parameters:
                assert request.headers["idempotency-key"]
        if status >= 400:
            valid(booking("Error"), body)
        else:
            content = operation["responses"][str(status)]["content"]["application/json"]
            valid(booking(content["schema"]["$ref"].rsplit("/", 1)[1]), body)
        return str(operation["operationId"])
    raise AssertionError(f"{request.method} {request.url.path} is not in the published document")
