"""Our ACP client against the demo shop over real HTTP, held to the official schemas both ways."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.acp import AcpPartner
from integrations.egress import guarded_client
from integrations.money import Money
from integrations.partner import (
    Address,
    Basket,
    Buyer,
    Partner,
    PartnerGone,
    PartnerNotNow,
    PartnerPayment,
    PartnerRefused,
    PartnerUnreachable,
    Quote,
)
from tests.integrations import fakes_sockets as fakes
from tests.integrations.partner_schemas import hold_to_acp
from tests.integrations.running_merchants import (
    KEY,
    Recorder,
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


async def test_a_purchase_runs_from_quote_to_refund_and_every_message_fits_the_schemas(
    shop: Running,
):
    recorder = Recorder(guarded_client(shop.allow)._transport)
    async with httpx.AsyncClient(transport=recorder) as client:
        partner = AcpPartner(client, shop.url, KEY)
        codes = ("WELCOME10", "NOPE", "SUMMER24", "FIVE")
        basket = replace(TENT, delivery_id="express", discount_codes=codes)
        quote = await partner.quote(basket, key=key())
        assert quote.status == "ready"
        assert [d.id for d in quote.deliveries if d.selected] == ["express"]
        assert [n.code for n in quote.notes] == [
            "discount_code_invalid",
            "discount_code_expired",
            "discount_code_combination_disallowed",
        ]
        two = replace(basket, lines=(("tent-fjell-2", 2), ("mug-steinzeug", 1)))
        quote = await partner.revise(quote.reference, two, key=key())
        assert [(x.item_id, x.quantity) for x in quote.lines] == list(two.lines)
        # 2 x 179 + 22 less 10 % is 342.00; express is 8.00; 19 % of both is 66.50.
        assert quote.total == Money(34200 + 800 + 6498 + 152, "EUR")
        assert (await partner.read(quote.reference)).total == quote.total
        assert (await partner.hold(quote.reference, key=key())).status == "ready"
        done = await partner.place(quote.reference, pay(quote), ADA, key=key())
        assert done.status == "completed"
        assert done.order is not None
        assert (await partner.order(done.order.id)).status == "created"
        offer = await partner.cancellation(done.order.id, key=key())
        assert (offer.refund, offer.fee) == (quote.total, Money(0, "EUR"))
        ended = await partner.confirm_cancellation(done.order.id, offer, key=key())
        assert ended.status == "canceled"
        other = await partner.quote(TENT, key=key())
        assert (await partner.cancel(other.reference, key=key())).status == "canceled"
        for refused in (Basket((("nothing", 1),), "EUR"), replace(TENT, currency="USD")):
            with pytest.raises(PartnerRefused):
                await partner.quote(refused, key=key())
    schemas = Counter(hold_to_acp(exchange) for exchange in recorder.exchanges)
    assert schemas["CheckoutSessionWithOrder"] == 1
    assert schemas["CheckoutSession"] >= 9
    assert {"Error", "Order", "DiscoveryResponse", "Cancellation"} <= set(schemas)


async def test_attribution_goes_out_and_is_never_echoed(shop: Running):
    recorder = Recorder(guarded_client(shop.allow)._transport)
    async with httpx.AsyncClient(transport=recorder) as client:
        partner = AcpPartner(client, shop.url, KEY, publisher="emptor-test")
        quote = await partner.quote(TENT, key="purchase-7:quote")
        await partner.place(quote.reference, pay(quote), ADA, key="purchase-7:place")
    sent = [r.content.decode() for r, _, _ in recorder.exchanges if r.method == "POST"]
    assert '"token": "purchase-7:quote", "touchpoint": "first"' in sent[0]
    assert '"token": "purchase-7:place", "touchpoint": "last"' in sent[1]
    assert "emptor-test" not in str([body for _, _, body in recorder.exchanges])


async def test_without_an_address_the_quote_is_incomplete_and_says_what_is_missing(
    partner: Partner,
):
    quote = await partner.quote(replace(TENT, address=None), key=key())
    assert quote.status == "incomplete"
    assert [(n.severity, n.code, n.path) for n in quote.notes] == [
        ("error", "missing", "$.fulfillment_details.address")
    ]
    assert (await partner.revise(quote.reference, TENT, key=key())).status == "ready"


async def test_tax_and_delivery_follow_the_destination(partner: Partner):
    book = Basket((("book-brot", 1),), "EUR", buyer=ADA)
    totals = {}
    for country in ("DE", "FR", "GB", "US"):
        quote = await partner.quote(
            replace(book, address=replace(HOME, country=country)), key=key()
        )
        totals[country] = {t.type: t.amount.amount for t in quote.totals}
    assert totals["DE"] == {
        "items_base_amount": 2800, "subtotal": 2800, "fulfillment": 490,
        "tax": 196 + 93, "total": 2800 + 490 + 289,
    }  # fmt: skip
    assert totals["FR"]["tax"] == 154 + 198
    assert totals["GB"]["tax"] == 0 + 298
    assert (totals["US"]["tax"], totals["US"]["fulfillment"]) == (0, 2490)


async def test_the_total_must_be_what_was_authorised(partner: Partner, shop: Running):
    quote = await partner.quote(TENT, key=key())
    await shop.faults({"kind": "price_drift", "at": "price", "times": -1, "value": 100})
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "price_changed"
    now = await partner.read(quote.reference)
    assert now.total.amount > quote.total.amount
    await shop.faults()
    assert (await partner.read(quote.reference)).total == quote.total


async def test_a_declined_payment_is_a_refusal_and_another_may_follow(partner: Partner):
    quote = await partner.quote(TENT, key=key())
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote, "tok_declined_x"), ADA, key=key())
    assert refused.value.code == "payment_declined"
    done = await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert done.status == "completed"


async def test_goods_that_go_at_the_last_moment_are_a_refusal(partner: Partner, shop: Running):
    basket = replace(TENT, lines=(("chair-biber", 1),))
    quote = await partner.quote(basket, key=key())
    await shop.faults({"kind": "out_of_stock", "at": "complete"})
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "out_of_stock"
    assert (await partner.read(quote.reference)).status == "incomplete"


async def test_an_escalation_is_handed_off_and_places_nothing(partner: Partner, shop: Running):
    quote = await partner.quote(TENT, key=key())
    before = len(await shop.orders())
    await shop.faults({"kind": "requires_escalation", "at": "session", "times": -1})
    seen = await partner.read(quote.reference)
    assert seen.status == "needs_handoff"
    assert seen.continue_url == f"{shop.url}/continue/{quote.reference}"
    placed = await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert placed.status == "needs_handoff"
    await shop.faults({"kind": "no_continue_url", "at": "session", "times": -1})
    assert (await partner.read(quote.reference)).status == "incomplete"
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "requires_escalation"
    assert len(await shop.orders()) == before


async def test_cancelling_twice_is_calm_but_a_completed_session_refuses(partner: Partner):
    quote = await partner.quote(TENT, key=key())
    assert (await partner.cancel(quote.reference, key=key())).status == "canceled"
    assert (await partner.cancel(quote.reference, key=key())).status == "canceled"
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "canceled"
    done = await partner.quote(TENT, key=key())
    await partner.place(done.reference, pay(done), ADA, key=key())
    with pytest.raises(PartnerRefused) as refused:
        await partner.cancel(done.reference, key=key())
    assert refused.value.code == "already_final"


async def test_an_expired_session_is_expired_and_cannot_be_placed(tmp_path: Path):
    async with running("shop", tmp_path) as shop, guarded_client(shop.allow) as client:
        partner = AcpPartner(client, shop.url, KEY)
        quote = await partner.quote(TENT, key=key())
        await shop.sim("clock", {"advance_s": 3601})
        assert (await partner.read(quote.reference)).status == "expired"
        with pytest.raises(PartnerRefused) as refused:
            await partner.place(quote.reference, pay(quote), ADA, key=key())
        assert refused.value.code == "expired"


async def test_a_shipped_order_is_not_cancelled(partner: Partner, shop: Running):
    quote = await partner.quote(TENT, key=key())
    done = await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert done.order is not None
    await shop.sim(f"orders/{done.order.id}", {"status": "shipped"})
    assert (await partner.order(done.order.id)).status == "shipped"
    with pytest.raises(PartnerRefused) as refused:
        await partner.cancellation(done.order.id, key=key())
    assert refused.value.code == "not_cancelable"


async def test_unknown_things_wrong_keys_and_dead_merchants_are_told_apart(
    shop: Running, http: httpx.AsyncClient, partner: Partner
):
    for call in (partner.read("cs_nothing"), partner.order("ord_nothing")):
        with pytest.raises(PartnerGone) as gone:
            await call
        assert gone.value.code == "not_found"
    with pytest.raises(PartnerNotNow) as refused:
        await AcpPartner(http, shop.url, "wrong").quote(TENT, key=key())
    assert refused.value.code == "unauthorized"
    with pytest.raises(ValueError, match="2025-01-01"):
        AcpPartner(http, shop.url, KEY, api_version="2025-01-01")
    async with fakes.sink(fakes.answer()) as sink:
        dead = f"127.0.0.1:{sink.port}"
    async with guarded_client(frozenset({dead})) as client:
        with pytest.raises(PartnerUnreachable):
            await AcpPartner(client, f"http://{dead}", KEY).quote(TENT, key=key())


async def test_a_merchant_without_orders_or_cancellation_is_not_asked_for_them():
    discovery = b'{"capabilities": {"services": ["checkout"]}}'
    async with fakes.sink(fakes.answer(discovery)) as sink:
        async with guarded_client(frozenset({f"127.0.0.1:{sink.port}"})) as client:
            partner = AcpPartner(client, f"http://127.0.0.1:{sink.port}/api", KEY)
            for call in (partner.order("o"), partner.cancellation("o", key=key())):
                with pytest.raises(PartnerRefused) as refused:
                    await call
                assert refused.value.code == "not_supported"
        assert bytes(sink.received).count(b"GET /.well-known/acp.json") == 2
        assert b"POST" not in bytes(sink.received)


async def test_a_merchant_without_a_handler_that_we_can_use_is_refused(
    partner: Partner, shop: Running, http: httpx.AsyncClient
):
    def points_only(session: Any) -> None:
        for handler in session["capabilities"]["payment"]["handlers"]:
            handler["name"] = "dev.acp.seller_backed.points"

    quote = await partner.quote(TENT, key=key())
    before = len(await shop.orders())
    async with httpx.AsyncClient(transport=Tampering(http._transport, points_only)) as client:
        with pytest.raises(PartnerRefused) as refused:
            await AcpPartner(client, shop.url, KEY).place(
                quote.reference, pay(quote), ADA, key=key()
            )
    assert refused.value.code == "no_payment_handler"
    assert len(await shop.orders()) == before


async def test_too_many_units_never_leave_the_house(partner: Partner):
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(replace(TENT, lines=(("tent-fjell-2", 201),)), key=key())
    assert refused.value.code == "quantity_exceeded"
