"""kill -9 to a real worker process, between an effect and its record: the next one finishes.

The processor and the shop are processes of their own and outlive the worker, as the real ones do.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from backend import consent, feeds, jobs, ledger, merchants, products, quoting
from backend.auth import UserAccount
from backend.catalogue import Catalogue
from backend.consent import Consent
from backend.demo import ADDRESS, BUYER
from backend.till import Till
from integrations.payments import Method
from integrations.simulators.goods import feed_row, load
from integrations.tls import roots
from tests.backend.fakes_driver import VAULT, encode, till
from tests.backend.fakes_shelf import jsonl
from tests.simulators import MERCHANT_KEY, simulator

ROOT = Path(__file__).parents[2]
USER = "usr_000000000000000000000001"
ITEM = next(iter(load().values()))


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    home = tmp_path_factory.mktemp("outside")
    with (
        simulator("stripe", "--home", str(home / "stripe")) as stripe,
        simulator("shop", "--home", str(home / "shop"), "--key", MERCHANT_KEY) as shop,
    ):
        yield stripe, shop


async def confirmed(database, stripe: str, shop: str) -> tuple[Till, str]:
    """A purchase that a person has just agreed to, and that nobody drives yet."""
    async with database.transaction() as session:
        session.add(UserAccount(id=USER, name="Robin", plan="plus", buyer=BUYER, address=ADDRESS))
        await merchants.create(
            session,
            vault=VAULT,
            id="mer_shop",
            name="Kontor",
            protocol="acp",
            base_url=shop,
            outbound_key=MERCHANT_KEY,
            status="live",
            commission_bps=400,
            stripe_account="acct_demo_kontor",
        )
    made = till(database, stripe, httpx.AsyncHTTPTransport())
    shelf = Catalogue(database, encode, lambda _: None)
    await feeds.replace(
        shelf, "mer_shop", jsonl(feed_row(ITEM, left=9, base_url=shop)), version="1"
    )
    line = (products.offer_id("mer_shop", ITEM.id), 1)
    row = await quoting.quote(made, user_id=USER, lines=[line])
    given = Consent(row.confirmation_hash or "", Method("pm_card_visa"))
    await consent.confirm(made, user_id=USER, checkout_id=row.id, consent=given)
    return made, row.id


async def killed(database, stripe: str, checkout_id: str, suffix: str, when: str) -> None:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.backend.fakes_driver",
        database.url, stripe, checkout_id, suffix, when,
        cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await worker.communicate()
    assert worker.returncode == -signal.SIGKILL, said.decode()[-2000:]


async def seen(url: str, path: str, **params: str) -> list[dict[str, Any]]:
    headers = {"authorization": f"Bearer {MERCHANT_KEY}"}
    async with httpx.AsyncClient(verify=roots(), trust_env=False, headers=headers) as http:
        found: list[dict[str, Any]] = (await http.get(f"{url}{path}", params=params)).json()["data"]
    return found


@pytest.mark.parametrize(
    ("suffix", "when"),
    [("/v1/payment_intents", "after"), ("/complete", "after"), ("/capture", "before"),
     ("/capture", "after")],
)  # fmt: skip
async def test_a_worker_that_was_killed_leaves_a_purchase_that_the_next_one_ends(
    database, outside, suffix, when
):
    stripe, shop = outside
    made, checkout_id = await confirmed(database, stripe, shop)
    await killed(database, stripe, checkout_id, suffix, when)
    async with database.transaction() as session:
        left = "UPDATE checkout SET lease_until = now(), next_drive_at = now() RETURNING state"
        assert (await session.execute(text(left))).scalar_one() in {"authorising", "placing"}
    assert await jobs.redrive(made) == 1
    await made.payments.aclose()
    async with database.transaction() as session:
        row = (await session.execute(text("SELECT * FROM checkout"))).mappings().one()
        booked = (await session.execute(text("SELECT ref FROM ledger_transaction"))).scalars().all()
        assert (await ledger.verify(session)).ok
    charges = await seen(stripe, "/_sim/payment_intents", purchase_id=checkout_id)
    assert [(c["status"], c["amount_received"]) for c in charges] == [("succeeded", row["total"])]
    orders = await seen(shop, "/_sim/orders")
    mine = [o["id"] for o in orders if o["checkout_session_id"] == row["reference"]]
    assert (row["state"], mine, booked) == ("completed", [row["merchant_order_id"]], [checkout_id])
