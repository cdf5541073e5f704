"""Who asks a UCP business, and what both can do: profile, signature, overlap.

Every request names the platform's profile. It is fetched, kept for a minute, and decides the
version, the capabilities of the answer, the key that a signature must fit, and where order events
go. An unsigned request is turned away: a bearer key alone can be copied out of a log.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import Request

from integrations.partner import PartnerError
from integrations.signatures import SignatureRefused, public_keys
from integrations.simulators.merchant import Call, Merchant, Refusal
from integrations.simulators.store import Document
from integrations.ucp_profile import CHECKOUT, ORDER, VERSIONS, negotiated
from integrations.ucp_signing import check
from integrations.wire import object_at, objects_at, text_at

_PROFILE = re.compile(r'profile="([^"]{1,2000})"')
_FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class Agent:
    """A platform whose signature fitted. `active` is what it and this business both can do."""

    profile: str
    version: str
    active: frozenset[str]
    webhook_url: str | None
    keys: Mapping[str, Any]


class Gate:
    """Lets a request in, or raises the `Refusal` that the protocol has for it."""

    def __init__(self, merchant: Merchant, http: httpx.AsyncClient | None = None) -> None:
        self._merchant = merchant
        self._http = http or httpx.AsyncClient(trust_env=False, timeout=5)
        self._known: dict[str, tuple[float, Document]] = {}

    async def write(self, request: Request) -> tuple[Call, Agent]:
        """A POST or PUT: its body, its key and who sent it."""
        call = await self._merchant.call(request)
        return call, await self._agent(request, call.raw)

    async def ask(self, request: Request) -> tuple[Document, Agent]:
        """A request without a key: a GET, or a search that has a body all the same."""
        self._merchant.authorise(request)
        raw = await request.body()
        try:
            body = await request.json() if raw else {}
        except ValueError as error:
            raise Refusal(400, "invalid_json", "The body is not JSON") from error
        if not isinstance(body, dict):
            raise Refusal(400, "invalid_json", "The body is not a JSON object")
        return body, await self._agent(request, raw)

    async def _agent(self, request: Request, raw: bytes) -> Agent:
        found = _PROFILE.search(request.headers.get("ucp-agent", ""))
        if found is None or not _reachable(found[1]):
            raise Refusal(400, "invalid_profile_url", "UCP-Agent names no https profile")
        profile = await self._profile(found[1])
        agent = _agent_of(found[1], profile)
        wanted = request.path_params.get("version") or request.url.path.split("/")[2]
        if agent.version != wanted:
            raise Refusal(422, "version_unsupported", f"This address is for UCP {wanted}")
        try:
            check(
                agent.version,
                agent.keys,
                method=request.method,
                url=str(request.url),
                headers=dict(request.headers),
                body=raw,
            )
        except SignatureRefused as refused:
            status = 400 if refused.code == "digest_mismatch" else 401
            raise Refusal(status, refused.code, refused.detail) from refused
        return agent

    async def _profile(self, url: str) -> Document:
        seen = self._known.get(url)
        if seen is not None and time.monotonic() - seen[0] < _FRESH_S:
            return seen[1]
        try:
            answer = await self._http.get(url)
            document = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise Refusal(424, "profile_unreachable", "Your profile cannot be read") from error
        if not isinstance(document, dict):
            raise Refusal(422, "profile_malformed", "Your profile is not an object")
        self._known[url] = (time.monotonic(), document)
        return document


def _agent_of(url: str, profile: Document) -> Agent:
    try:
        ucp = object_at(profile, "ucp")
        version = text_at(ucp, "version", 20)
        offered, webhook_url = _offered(ucp, version)
        keys = public_keys(objects_at(profile, "signing_keys"))
    except PartnerError as error:
        raise Refusal(422, "profile_malformed", error.detail) from error
    if version not in VERSIONS:
        raise Refusal(422, "version_unsupported", f"We speak {', '.join(VERSIONS)}")
    active = negotiated(offered)
    if CHECKOUT not in active:
        raise Refusal(200, "capabilities_incompatible", "Nothing can be bought without a checkout")
    return Agent(url, version, active, webhook_url, keys)


def _offered(ucp: Mapping[str, Any], version: str) -> tuple[dict[str, tuple[str, ...]], str | None]:
    if version == "2026-01-11":
        listed = [(text_at(c, "name", 200), c) for c in objects_at(ucp, "capabilities")]
    else:
        held = object_at(ucp, "capabilities")
        listed = [(name, entry) for name in held for entry in objects_at(held, name)]
    offered, webhook_url = {}, None
    for name, entry in listed:
        parents = entry.get("extends") or []
        offered[name] = tuple(parents) if isinstance(parents, list) else (str(parents),)
        if name == ORDER:
            webhook_url = text_at(object_at(entry, "config"), "webhook_url", 2000) or None
    return offered, webhook_url


def _reachable(url: str) -> bool:
    """https, or http on this machine: the demo has no certificates."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")
