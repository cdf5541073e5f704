"""Our UCP client when a business fails, lies or falls silent: one order or none, known which."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from integrations.egress import guarded_client
from integrations.partner import (
    Basket,
    Buyer,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    PartnerUnreachable,
    Quote,
)
from integrations.ucp import UcpPartner
from integrations.ucp_profile import VERSIONS, Directory
from tests.integrations.running_merchants import KEY, Running, Tampering, running
from tests.integrations.test_ucp_partner import ADA, GLASS, JAZZ, SEATS, evening, key, pay
from tests.integrations.ucp_platform import Ours, ours, partner_at


@pytest.fixture(scope="module")
async def us() -> AsyncIterator[Ours]:
    async with ours() as made:
        yield made


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("tickets", tmp_path_factory.mktemp("tickets")) as merchant:
        yield merchant


@pytest.fixture
async def http(house: Running) -> AsyncIterator[httpx.AsyncClient]:
    await house.faults()
    async with guarded_client(house.allow, total_deadline_s=5) as client:
        yield client


@pytest.fixture(params=VERSIONS)
def partner(
    request: pytest.FixtureRequest, http: httpx.AsyncClient, house: Running, us: Ours
) -> UcpPartner:
    return partner_at(house, http, us.platform(http), version=request.param)


@pytest.mark.parametrize(
    ("kind", "code", "happened"),
    [
        ("error_before", "internal_error", False),
        ("error_after", "internal_error", True),
        ("keys_down", "idempotency_unavailable", False),
        ("redirect", "redirected", False),
        ("lost_answer", "connection_cut", True),
        ("truncated", "connection_cut", True),
        ("html", "unreadable", True),
        ("huge", "too_large", True),
        ("unknown_status", "unknown_status", True),
        ("missing_field", "unreadable", True),
    ],
)
async def test_an_unknown_outcome_is_found_by_reading_and_the_same_key_makes_one_order(
    partner: UcpPartner, house: Running, kind: str, code: str, *, happened: bool
):
    quote = await partner.quote(SEATS, key=key())
    before = len(await house.orders())
    await house.faults({"kind": kind, "at": "complete"})
    place = key("place")
    with pytest.raises(PartnerUnknown) as unknown:
        await partner.place(quote.reference, pay(quote), ADA, key=place)
    assert unknown.value.code == code
    seen = await partner.read(quote.reference)
    assert (seen.status == "completed") is happened
    assert (seen.order is not None) is happened
    done = await partner.place(quote.reference, pay(quote), ADA, key=place)
    assert done.status == "completed"
    assert len(await house.orders()) == before + 1


@pytest.mark.parametrize("kind", ["delay", "drip"])
async def test_a_business_that_takes_too_long_is_unknown_and_its_late_order_is_found(
    house: Running, us: Ours, kind: str
):
    async with guarded_client(house.allow, total_deadline_s=0.5) as client:
        partner = partner_at(house, client, us.platform(client))
        quote = await partner.quote(SEATS, key=key())
        await house.faults({"kind": kind, "at": "complete", "value": 1.0})
        place = key("place")
        with pytest.raises(PartnerUnknown) as unknown:
            await partner.place(quote.reference, pay(quote), ADA, key=place)
        assert unknown.value.code == "timeout"
        for _ in range(100):
            seen = await partner.read(quote.reference)
            if seen.status == "completed":
                break
            await asyncio.sleep(0.05)
        again = await partner.place(quote.reference, pay(quote), ADA, key=place)
        assert again.order == seen.order
        assert again.order is not None


@pytest.mark.parametrize("kind", ["unknown_status", "other_version", "requires_escalation"])
async def test_what_we_do_not_know_goes_on_at_the_businesss_own_page(
    partner: UcpPartner, house: Running, kind: str
):
    at = "session" if kind == "requires_escalation" else "create"
    await house.faults({"kind": kind, "at": at})
    quote = await partner.quote(SEATS, key=key())
    assert quote.status == "needs_handoff"
    assert quote.continue_url is not None
    assert quote.continue_url.startswith(f"{house.url}/continue/")


async def test_a_missing_part_is_a_no_that_says_where_to_go_on(partner: UcpPartner, house: Running):
    await house.faults({"kind": "missing_field", "at": "create"})
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(SEATS, key=key())
    assert refused.value.continue_url is not None
    assert refused.value.continue_url.startswith(f"{house.url}/continue/")


async def test_an_escalation_without_an_address_cannot_be_confirmed(
    partner: UcpPartner, house: Running
):
    await house.faults({"kind": "no_continue_url", "at": "session"})
    quote = await partner.quote(SEATS, key=key())
    assert (quote.status, quote.continue_url) == ("incomplete", None)


async def test_a_wrong_total_is_refused_before_the_purchase_and_noted_after_it(
    partner: UcpPartner, house: Running
):
    await house.faults({"kind": "wrong_totals", "at": "create", "value": 1})
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(SEATS, key=key())
    assert refused.value.code == "inconsistent_totals"
    quote = await partner.quote(SEATS, key=key())
    await house.faults({"kind": "wrong_totals", "at": "complete", "value": 1})
    done = await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert done.status == "completed"
    assert [n.code for n in done.notes if n.severity == "error"] == ["inconsistent_totals"]


async def test_a_price_that_moved_is_not_paid(partner: UcpPartner, house: Running):
    quote = await partner.quote(SEATS, key=key())
    await house.faults({"kind": "price_drift", "at": "price", "times": -1, "value": 500})
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "price_changed"


_SOLD_OUT = {"2026-04-08": "paper-moon", "2026-01-11": "waltz-for-beginners"}


@pytest.mark.parametrize("charge", ["tok_declined_1", "pi_1"])
async def test_a_clear_no_at_completion_makes_no_order(
    partner: UcpPartner, house: Running, charge: str
):
    seats = Basket(((GLASS, 1),), "EUR", buyer=ADA)
    if charge == "pi_1":  # what is sold out stays so: each version has its own evening
        seats = Basket(((evening(_SOLD_OUT[(await partner.business()).version]), 1),), "EUR", ADA)
    quote = await partner.quote(seats, key=key())
    before = len(await house.orders())
    if charge == "pi_1":
        await house.faults({"kind": "out_of_stock", "at": "complete"})
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote, charge), ADA, key=key())
    assert refused.value.code == ("out_of_stock" if charge == "pi_1" else "payment_failed")
    assert len(await house.orders()) == before


def _ten_times(session: Any) -> None:
    if "line_items" not in session:
        return
    line = session["line_items"][0]
    line["quantity"] *= 10
    more = 9 * 2 * line["item"]["price"]
    for total in (*line["totals"], *session["totals"]):
        if total["type"] in ("subtotal", "total"):
            total["amount"] += more


def _another_item(session: Any) -> None:
    for line in session.get("line_items", []):
        line["item"]["id"] = "something-else.2026-12-01"


def _no_handler(session: Any) -> None:
    if "id" in session:
        session["ucp"]["payment_handlers"] = {}


@pytest.mark.parametrize("bend", [_ten_times, _another_item])
async def test_a_checkout_for_other_goods_than_asked_is_never_ready(
    house: Running, us: Ours, http: httpx.AsyncClient, bend: Any
):
    async with httpx.AsyncClient(transport=Tampering(http._transport, bend)) as client:
        partner = partner_at(house, client, us.platform(client))
        quote = await partner.quote(SEATS, key=key())
        assert quote.status == "incomplete"
        assert [n.code for n in quote.notes if n.severity == "error"] == ["lines_differ"]


async def test_a_business_that_takes_none_of_our_payments_is_refused_before_anything_happens(
    house: Running, us: Ours, http: httpx.AsyncClient
):
    before = len(await house.orders())
    async with httpx.AsyncClient(transport=Tampering(http._transport, _no_handler)) as client:
        partner = partner_at(house, client, us.platform(client))
        quote = await partner.quote(SEATS, key=key())
        with pytest.raises(PartnerRefused) as refused:
            await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "no_payment_handler"
    assert len(await house.orders()) == before


async def test_a_business_that_is_not_there_did_nothing(us: Ours):
    async with guarded_client(frozenset({"127.0.0.1:9"}), total_deadline_s=2) as client:
        nobody = UcpPartner(client, "http://127.0.0.1:9", KEY, platform=us.platform(client))
        with pytest.raises(PartnerUnreachable):
            await nobody.quote(SEATS, key=key())


async def test_an_order_outlives_kill_9_and_the_repeat_finds_it(
    us: Ours, tmp_path_factory: pytest.TempPathFactory
):
    async with (
        running("tickets", tmp_path_factory.mktemp("killed")) as house,
        AsyncExitStack() as stack,
    ):
        client = await stack.enter_async_context(guarded_client(house.allow, total_deadline_s=5))
        partner = partner_at(house, client, us.platform(client))
        quote: Quote = await partner.quote(Basket(((JAZZ, 1),), "EUR", buyer=ADA), key=key())
        place, payment = key("place"), pay(quote)
        done = await _placed(partner, quote, payment, ADA, place)
        await house.end(9)
        await house.start()
        again = await _placed(partner, quote, payment, ADA, place)
        assert again.order == done.order
        assert len(await house.orders()) == 1
        # The house's keys outlive it too: its profile is still the one that was read.
        before = await Directory(client).business(house.url)
        assert before.keys.keys() == (await partner.business()).keys.keys()


async def _placed(
    partner: UcpPartner, quote: Quote, payment: PartnerPayment, buyer: Buyer, place: str
) -> Quote:
    done = await partner.place(quote.reference, payment, buyer, key=place)
    assert done.status == "completed"
    return done
