"""Our side of UCP for tests without the product: a profile, a key, and a place for order events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI, Request

from integrations.signatures import SigningKey
from integrations.ucp import Platform, UcpPartner
from integrations.ucp_profile import VERSIONS, WELL_KNOWN, Directory, platform_profile
from tests.integrations.running_merchants import KEY, Running
from tests.servers import free_port, serving


@dataclass
class Ours:
    """Where our profile stands, what it says, and the events that came in, raw."""

    url: str
    key: SigningKey = field(default_factory=SigningKey.generate)
    bent: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def profile(self, version: str) -> dict[str, Any]:
        hook = f"{self.url}/hook"
        made = platform_profile(version, base_url=self.url, webhook_url=hook, keys=[self.key])
        return made | self.bent

    def platform(self, http: httpx.AsyncClient, *, key: SigningKey | None = None) -> Platform:
        return Platform(self.url + WELL_KNOWN, key or self.key, Directory(http))


@asynccontextmanager
async def ours() -> AsyncIterator[Ours]:
    port = free_port()
    made = Ours(f"http://127.0.0.1:{port}")
    app = FastAPI()

    @app.get(WELL_KNOWN)
    def newest() -> dict[str, Any]:
        return made.profile(VERSIONS[0])

    @app.get(WELL_KNOWN + "/{version}")
    def versioned(version: str) -> dict[str, Any]:
        return made.profile(version)

    @app.post("/hook")
    async def hook(request: Request) -> dict[str, Any]:
        made.events.append((dict(request.headers), await request.body()))
        return {"ucp": {"version": VERSIONS[0]}}

    async with serving(app, port=port):
        yield made


def partner_at(
    merchant: Running, http: httpx.AsyncClient, platform: Platform, *, version: str = VERSIONS[0]
) -> UcpPartner:
    """A client that finds the merchant's profile of this version."""
    place = merchant.url if version == VERSIONS[0] else f"{merchant.url}{WELL_KNOWN}/{version}"
    return UcpPartner(http, place, KEY, platform=platform)
