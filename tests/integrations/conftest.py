"""Duffel, served, and our client of it: for the tests of flights and of stays."""

from collections.abc import AsyncIterator

import httpx
import pytest

from integrations.duffel import DuffelPartner
from integrations.tls import roots
from tests.integrations.fakes_duffel import TOKEN, Duffel, app
from tests.servers import serving


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Duffel, str]]:
    duffel = Duffel()
    async with serving(app(duffel)) as url:
        yield duffel, url


@pytest.fixture
def duffel(served: tuple[Duffel, str]) -> Duffel:
    vars(served[0]).update(vars(Duffel()))
    served[0].offer()
    return served[0]


@pytest.fixture
async def partner(served: tuple[Duffel, str], duffel: Duffel) -> AsyncIterator[DuffelPartner]:
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        yield DuffelPartner(http, served[1], TOKEN, clock=duffel.clock)
