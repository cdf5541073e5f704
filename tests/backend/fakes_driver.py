"""A worker process that kills itself with SIGKILL at one call, before it leaves or once it is done.

`python -m tests.backend.fakes_driver DATABASE STRIPE CHECKOUT SUFFIX before|after` drives the
checkout until a POST whose path ends so. `till` is what it drives with; the test uses it too.
"""

import asyncio
import base64
import os
import signal
import sys
from dataclasses import replace

import httpx
import numpy as np

from backend.catalogue import Catalogue
from backend.database import Database
from backend.purchase import drive
from backend.till import Till
from backend.vault import Vault
from backend.wiring import Ports, clients, searchers
from integrations.stripe_payments import StripePayments

VAULT = Vault(base64.urlsafe_b64encode(b"the key of no real home at all !"))


class Deadly(httpx.AsyncHTTPTransport):
    """Real calls; the process ends at the one that was named."""

    def __init__(self, suffix: str, when: str) -> None:
        super().__init__()
        self._suffix, self._when = suffix, when

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        here = request.method == "POST" and request.url.path.endswith(self._suffix)
        if here and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await super().handle_async_request(request)
        if here:
            await answer.aread()
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def encode(texts: list[str]) -> np.ndarray:
    return np.eye(1, 512, dtype=np.float32).repeat(len(texts), axis=0)


def till(database: Database, stripe: str, transport: httpx.AsyncBaseTransport) -> Till:
    http = httpx.AsyncClient(transport=transport, timeout=20)
    client = clients(VAULT, http)
    catalogue = Catalogue(database, encode, searchers(client))
    payments = StripePayments("sk_test_kills", "whsec_kills", stripe, http=http)
    ports = Ports(database, catalogue, client, VAULT)
    return replace(ports.till(payments, public_url="http://emptor.test"), wait_s=0.0)


async def main(url: str, stripe: str, checkout_id: str, suffix: str, when: str) -> None:
    await drive(till(Database(url), stripe, Deadly(suffix, when)), checkout_id)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
