"""ACP merchants upgrade at different times: the version is agreed on by what a refusal lists."""

from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from integrations import acp
from integrations.acp import AcpPartner
from integrations.egress import guarded_client
from integrations.partner import PartnerRefused
from tests.integrations.running_merchants import KEY, Running, running
from tests.integrations.test_acp_partner import ADA, TENT, key, pay


class Older(httpx.AsyncBaseTransport):
    """A shop that speaks `versions` only; behind it the real one answers in its own."""

    def __init__(self, inner: httpx.AsyncBaseTransport, versions: Sequence[str]) -> None:
        self._inner = inner
        self.versions = list(versions)
        self.heard: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        version = request.headers["api-version"]
        self.heard.append(version)
        if version not in self.versions:
            body = {
                "type": "invalid_request",
                "code": "unsupported_api_version",
                "message": "Speak otherwise",
                "supported_versions": self.versions,
            }
            return httpx.Response(400, json=body, request=request)
        request.headers["api-version"] = "2026-04-17"
        return await self._inner.handle_async_request(request)


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("shop", tmp_path_factory.mktemp("shop")) as merchant:
        yield merchant


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    acp.SPOKEN.clear()


async def test_an_older_merchant_is_spoken_to_in_its_version_from_quote_to_order(shop: Running):
    async with guarded_client(shop.allow) as outside:
        older = Older(outside._transport, ["2025-12-12", "2026-01-30"])
        async with httpx.AsyncClient(transport=older) as http:
            quote = await AcpPartner(http, shop.url, KEY).quote(TENT, key=key())
            assert older.heard == ["2026-04-17", "2026-01-30"]
            again = AcpPartner(http, shop.url, KEY)  # a new client of the same merchant knows
            done = await again.place(quote.reference, pay(quote), ADA, key=key())
            assert done.status == "completed"
            assert set(older.heard[1:]) == {"2026-01-30"}
            older.versions = ["2026-04-17"]  # the merchant upgrades
            assert (await again.read(quote.reference)).status == "completed"
            assert older.heard[-2:] == ["2026-01-30", "2026-04-17"]


async def test_a_merchant_that_shares_no_version_with_us_is_refused_once(shop: Running):
    async with guarded_client(shop.allow) as outside:
        foreign = Older(outside._transport, ["2031-01-01"])
        async with httpx.AsyncClient(transport=foreign) as http:
            with pytest.raises(PartnerRefused) as refused:
                await AcpPartner(http, shop.url, KEY).quote(TENT, key=key())
    assert refused.value.code == "unsupported_api_version"
    assert foreign.heard == ["2026-04-17"]
