"""Our ACP client when the shop fails, lies or falls silent: one order or none, and known which."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from integrations.acp import AcpPartner
from integrations.egress import guarded_client
from integrations.partner import (
    Address,
    Basket,
    Buyer,
    Partner,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    Quote,
)
from tests.integrations.running_merchants import (
    KEY,
    Running,
    Tampering,
    running,
)

HOME = Address("Ada Lind", "Lindenweg 3", "Berlin", "DE", "10999")
ADA = Buyer("Ada", "Lind", "ada@example.com", "+49 30 123456")
TENT = Basket((("tent-fjell-2", 1),), "EUR", buyer=ADA, address=HOME)


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("shop", tmp_path_factory.mktemp("shop")) as merchant:
        yield merchant


@pytest.fixture
async def http(shop: Running) -> AsyncIterator[httpx.AsyncClient]:
    await shop.faults()
    async with guarded_client(shop.allow, total_deadline_s=5) as client:
        yield client


@pytest.fixture
def partner(http: httpx.AsyncClient, shop: Running) -> Partner:
    return AcpPartner(http, shop.url, KEY)


_numbers = iter(range(10**6))


def key(name: str = "k") -> str:
    return f"{name}-{next(_numbers)}"


def pay(quote: Quote, charge: str = "pi_1") -> PartnerPayment:
    return PartnerPayment(charge, quote.total, "mch_1", datetime.now(UTC) + timedelta(hours=1))


async def _fails(partner: Partner, shop: Running, kind: str, code: str) -> Quote:
    """Place with a fault at completion, look the purchase up, repeat with the same key."""
    quote = await partner.quote(TENT, key=key())
    before = len(await shop.orders())
    await shop.faults({"kind": kind, "at": "complete"})
    place = key("place")
    with pytest.raises(PartnerUnknown) as unknown:
        await partner.place(quote.reference, pay(quote), ADA, key=place)
    assert unknown.value.code == code
    seen = await partner.read(quote.reference)
    done = await partner.place(quote.reference, pay(quote), ADA, key=place)
    assert done.status == "completed"
    assert len(await shop.orders()) == before + 1
    return seen


@pytest.mark.parametrize(
    ("kind", "code", "happened"),
    [
        ("error_before", "internal_error", False),
        ("error_after", "internal_error", True),
        ("lost_answer", "connection_cut", True),
        ("truncated", "connection_cut", True),
        ("html", "unreadable", True),
    ],
)
async def test_an_unknown_outcome_is_found_by_reading_and_the_same_key_makes_one_order(
    partner: Partner, shop: Running, kind: str, code: str, *, happened: bool
):
    seen = await _fails(partner, shop, kind, code)
    assert (seen.status == "completed") is happened
    assert (seen.order is not None) is happened


async def test_a_merchant_that_takes_too_long_is_unknown_and_its_late_order_is_found(
    shop: Running,
):
    async with guarded_client(shop.allow, total_deadline_s=0.5) as client:
        partner = AcpPartner(client, shop.url, KEY)
        quote = await partner.quote(TENT, key=key())
        await shop.faults({"kind": "delay", "at": "complete", "value": 1.0})
        place = key("place")
        with pytest.raises(PartnerUnknown) as unknown:
            await partner.place(quote.reference, pay(quote), ADA, key=place)
        assert unknown.value.code == "timeout"
        for _ in range(100):
            seen = await partner.read(quote.reference)
            if seen.status == "completed":
                break
            await asyncio.sleep(0.05)
        assert seen.status == "completed"
        again = await partner.place(quote.reference, pay(quote), ADA, key=place)
        assert again.order == seen.order


async def test_a_wrong_total_is_refused_before_the_purchase_and_noted_after_it(
    partner: Partner, shop: Running
):
    await shop.faults({"kind": "wrong_totals", "at": "create", "value": 1})
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(TENT, key=key())
    assert refused.value.code == "inconsistent_totals"
    quote = await partner.quote(TENT, key=key())
    await shop.faults({"kind": "wrong_totals", "at": "complete", "value": 1})
    done = await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert done.status == "completed"
    assert [n.code for n in done.notes if n.severity == "error"] == ["inconsistent_totals"]


async def test_an_unknown_status_is_never_ready_and_after_completion_unknown(
    partner: Partner, shop: Running
):
    await shop.faults({"kind": "unknown_status", "at": "create"})
    assert (await partner.quote(TENT, key=key())).status == "incomplete"
    quote = await partner.quote(TENT, key=key())
    await shop.faults({"kind": "unknown_status", "at": "complete"})
    with pytest.raises(PartnerUnknown) as unknown:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert unknown.value.code == "unknown_status"


async def test_a_merchant_that_changes_the_quantity_is_not_ready(partner: Partner, shop: Running):
    await shop.faults({"kind": "wrong_quantity", "at": "create"})
    with pytest.raises(PartnerRefused):  # ten times the goods do not add up to the old total
        await partner.quote(TENT, key=key())


def _ten_times(session: Any) -> None:
    session["line_items"][0]["quantity"] *= 10
    for totals in (session["line_items"][0]["totals"], session["totals"]):
        for total in totals:
            if total["type"] in ("items_base_amount", "subtotal", "total"):
                total["amount"] += 9 * 17900


def _another_item(session: Any) -> None:
    session["line_items"][0]["item"]["id"] = "tent-hallig-6"


def _one_more(session: Any) -> None:
    free = {**session["line_items"][0], "item": {"id": "gift"}, "unit_amount": 0, "totals": []}
    session["line_items"].append(free)


@pytest.mark.parametrize("bend", [_ten_times, _another_item, _one_more])
async def test_a_session_for_other_goods_than_asked_is_never_ready(
    shop: Running, http: httpx.AsyncClient, bend: Callable[[Any], None]
):
    async with httpx.AsyncClient(transport=Tampering(http._transport, bend)) as client:
        partner = AcpPartner(client, shop.url, KEY)
        quote = await partner.quote(TENT, key=key())
        assert quote.status == "incomplete"
        assert [n.code for n in quote.notes if n.severity == "error"] == ["lines_differ"]
        assert (await partner.revise(quote.reference, TENT, key=key())).status == "incomplete"
