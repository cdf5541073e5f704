"""Fault switches of the demo merchants, as a test turns them."""

import httpx

from integrations.tls import roots
from tests.simulators import MERCHANT_KEY


async def troubled(merchant: str, *faults: dict[str, object]) -> None:
    """These faults from now on, and none of before."""
    key = {"authorization": f"Bearer {MERCHANT_KEY}"}
    async with httpx.AsyncClient(
        verify=roots(), base_url=merchant, headers=key, trust_env=False
    ) as http:
        (await http.post("/_sim/faults", json={"faults": list(faults)})).raise_for_status()
