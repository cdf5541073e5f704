"""Our UCP client against the demo box office: every message held to the published schemas."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from integrations import ucp_shelf
from integrations.egress import guarded_client
from integrations.money import Money
from integrations.partner import (
    Address,
    Basket,
    Buyer,
    PartnerNotNow,
    PartnerPayment,
    PartnerRefused,
    Quote,
)
from integrations.signatures import SigningKey, key_id, public_keys, verify
from integrations.simulators.events import on_sale
from integrations.ucp import Platform, UcpPartner
from integrations.ucp_profile import (
    CART,
    CHECKOUT,
    DISCOUNT,
    FULFILLMENT,
    VERSIONS,
    Directory,
    business_of,
    negotiated,
    platform_profile,
)
from tests.integrations.running_merchants import Recorder, Running, running
from tests.integrations.ucp_platform import Ours, ours, partner_at
from tests.integrations.ucp_schemas import NEW, OLD, hold_to_ucp, ucp, valid
from tests.servers import until

HOME = Address("Ada Lind", "Lindenweg 3", "Berlin", "DE", "10999")
ADA = Buyer("Ada", "Lind", "ada@example.com", "+49 30 123456")


def evening(name: str) -> str:
    """The next evening of an event, as an item id."""
    return next(e.id for e in on_sale(datetime.now(UTC).date()) if e.event.id == name)


JAZZ, GLASS = evening("low-tide-quartet"), evening("glass-orchestra")
SEATS = Basket(((JAZZ, 2),), "EUR", buyer=ADA)
POSTED = Basket(((JAZZ, 2), (GLASS, 1)), "EUR", buyer=ADA, address=HOME)


@pytest.fixture(scope="module")
async def us() -> AsyncIterator[Ours]:
    async with ours() as made:
        yield made


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("tickets", tmp_path_factory.mktemp("tickets")) as merchant:
        yield merchant


@pytest.fixture
async def recorder(house: Running) -> AsyncIterator[Recorder]:
    await house.faults()
    async with guarded_client(house.allow, total_deadline_s=5) as client:
        yield Recorder(client._transport)


@pytest.fixture
async def http(recorder: Recorder) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=recorder) as client:
        yield client


@pytest.fixture
def platform(us: Ours, http: httpx.AsyncClient) -> Platform:
    return us.platform(http)


@pytest.fixture(params=VERSIONS)
def partner(
    request: pytest.FixtureRequest, http: httpx.AsyncClient, house: Running, platform: Platform
) -> UcpPartner:
    return partner_at(house, http, platform, version=request.param)


@pytest.fixture
def newest(http: httpx.AsyncClient, house: Running, platform: Platform) -> UcpPartner:
    return partner_at(house, http, platform)


_numbers = iter(range(10**6))


def key(name: str = "k") -> str:
    return f"{name}-{next(_numbers)}"


def pay(quote: Quote, charge: str = "pi_1") -> PartnerPayment:
    return PartnerPayment(charge, quote.total, "mch_1", datetime.now(UTC) + timedelta(hours=1))


def held(recorder: Recorder) -> set[str]:
    assert recorder.exchanges
    return {hold_to_ucp(exchange) for exchange in recorder.exchanges}


async def test_a_purchase_from_quote_to_order_speaks_either_version(
    partner: UcpPartner, recorder: Recorder
):
    quote = await partner.quote(SEATS, key=key())
    assert quote.status == "ready"
    assert quote.total == Money(2 * 2400 + 150, "EUR")
    assert [(line.item_id, line.quantity) for line in quote.lines] == [(JAZZ, 2)]
    assert quote.cancellation_policy.startswith("Cancel until")
    done = await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert done.status == "completed"
    assert done.order is not None
    assert done.order.permalink_url is not None
    assert (await partner.order(done.order.id)).status == "processing"
    held(recorder)


async def test_the_address_brings_deliveries_and_a_revision_chooses_another(
    partner: UcpPartner, recorder: Recorder
):
    quote = await partner.quote(POSTED, key=key())
    assert quote.status == "ready"
    assert [(d.id, d.selected) for d in quote.deliveries] == [("eticket", True), ("post", False)]
    posted = Basket(**{**_fields(POSTED), "delivery_id": "post", "discount_codes": ("bravo",)})
    again = await partner.revise(quote.reference, posted, key=key())
    assert again.status == "ready"
    assert [d.id for d in again.deliveries if d.selected] == ["post"]
    goods = 2 * 2400 + 3600
    assert again.total == Money(goods - goods // 10 + 390 + 150, "EUR")
    held(recorder)


def _fields(basket: Basket) -> dict[str, object]:
    return {name: getattr(basket, name) for name in Basket.__slots__}


async def test_a_delivery_that_is_not_on_offer_is_refused(newest: UcpPartner):
    wish = Basket(**{**_fields(POSTED), "delivery_id": "pigeon"})
    with pytest.raises(PartnerRefused) as refused:
        await newest.quote(wish, key=key())
    assert refused.value.code == "unknown_delivery"


async def test_what_is_missing_is_named_and_nothing_can_be_placed(newest: UcpPartner):
    quote = await newest.quote(Basket(((JAZZ, 1),), "EUR"), key=key())
    assert quote.status == "incomplete"
    assert [note.path for note in quote.notes if note.severity == "error"] == ["$.buyer.email"]
    with pytest.raises(PartnerRefused) as refused:
        await newest.place(quote.reference, pay(quote), None, key=key())
    assert refused.value.code == "missing"


async def test_an_evening_for_adults_is_handed_to_the_houses_own_page(newest: UcpPartner):
    quote = await newest.quote(
        Basket(((evening("cellar-stand-up"), 1),), "EUR", buyer=ADA), key=key()
    )
    assert quote.status == "needs_handoff"
    assert quote.continue_url is not None
    assert quote.reference in quote.continue_url


async def test_the_same_key_and_body_make_one_checkout_and_other_words_none(
    newest: UcpPartner, recorder: Recorder
):
    name = key()
    first = await newest.quote(SEATS, key=name)
    assert (await newest.quote(SEATS, key=name)).reference == first.reference
    replays = [r for r, *_ in recorder.exchanges if r.url.path.endswith("/checkout-sessions")]
    assert replays[0].content == replays[1].content
    with pytest.raises(Exception) as lost:  # noqa: PT011 (the code says which)
        await newest.quote(Basket(((JAZZ, 3),), "EUR", buyer=ADA), key=name)
    assert getattr(lost.value, "code", "") == "idempotency_conflict"


async def test_keys_that_cannot_be_kept_close_the_door(newest: UcpPartner, house: Running):
    await house.faults({"kind": "keys_down", "at": "create"})
    with pytest.raises(Exception) as lost:  # noqa: PT011
        await newest.quote(SEATS, key=key())
    assert getattr(lost.value, "code", "") == "idempotency_unavailable"


async def test_a_canceled_checkout_is_gone_and_a_completed_one_is_not_canceled(partner: UcpPartner):
    quote = await partner.quote(SEATS, key=key())
    assert (await partner.cancel(quote.reference, key=key())).status == "canceled"
    assert (await partner.cancel(quote.reference, key=key())).status == "canceled"
    bought = await partner.quote(SEATS, key=key())
    await partner.place(bought.reference, pay(bought), ADA, key=key())
    with pytest.raises(PartnerRefused) as refused:
        await partner.cancel(bought.reference, key=key())
    assert refused.value.code == "conflict"


async def test_an_order_is_canceled_for_the_quoted_refund(newest: UcpPartner, recorder: Recorder):
    quote = await newest.quote(SEATS, key=key())
    done = await newest.place(quote.reference, pay(quote), ADA, key=key())
    assert done.order is not None
    terms = await newest.cancellation(done.order.id, key=key())
    assert (terms.refund, terms.fee) == (quote.total, Money.zero("EUR"))
    gone = await newest.confirm_cancellation(done.order.id, terms, key=key())
    assert gone.status == "canceled"
    assert (await newest.order(done.order.id)).status == "canceled"
    held(recorder)


async def test_a_cart_becomes_one_checkout_and_its_contents_win(
    newest: UcpPartner, recorder: Recorder
):
    cart = await ucp_shelf.put_aside(newest, SEATS, key=key())
    assert cart.lines == ((JAZZ, 2),)
    cart = await ucp_shelf.change_cart(
        newest, cart.id, Basket(((JAZZ, 2), (GLASS, 1)), "EUR", buyer=ADA), key=key()
    )
    assert cart.total == Money(2 * 2400 + 3600, "EUR")
    assert await ucp_shelf.read_cart(newest, cart.id) == cart
    both = Basket(((JAZZ, 2), (GLASS, 1)), "EUR", buyer=ADA)
    quote = await newest.quote(both, key=key(), cart_id=cart.id)
    assert (await newest.quote(both, key=key(), cart_id=cart.id)).reference == quote.reference
    other = await newest.quote(SEATS, key=key(), cart_id=cart.id)
    assert other.status == "incomplete"  # the cart has more in it than was asked for here
    gone = await ucp_shelf.cancel_cart(newest, cart.id, key=key())
    assert gone.lines == cart.lines
    with pytest.raises(PartnerRefused):
        await ucp_shelf.read_cart(newest, cart.id)
    held(recorder)


async def test_the_catalogue_is_searched_and_looked_up(newest: UcpPartner, recorder: Recorder):
    found = await ucp_shelf.search(newest, "jazz berlin", price_max=Money(3000, "EUR"))
    assert found[0].item_id.startswith("low-tide-quartet.")
    assert found[0].price == Money(2400, "EUR")
    assert all(one.price <= Money(3000, "EUR") for one in found)
    least = Money(2401, "EUR")
    dearer = await ucp_shelf.search(newest, "jazz berlin", price_min=least)
    assert dearer
    assert all(least <= one.price for one in dearer)
    known = await ucp_shelf.look_up(newest, [JAZZ, "no-such.2026-01-01"])
    assert [one.item_id for one in known] == [JAZZ]
    held(recorder)


async def test_a_business_that_offers_no_search_says_so(
    house: Running, http: httpx.AsyncClient, platform: Platform
):
    old = partner_at(house, http, platform, version=OLD)
    with pytest.raises(PartnerRefused) as refused:
        await ucp_shelf.search(old, "jazz")
    assert refused.value.code == "not_supported"


async def test_an_unsigned_or_foreign_signature_is_turned_away(
    house: Running, http: httpx.AsyncClient, us: Ours
):
    stranger = us.platform(http, key=SigningKey.generate())
    with pytest.raises(PartnerNotNow) as refused:
        await partner_at(house, http, stranger).quote(SEATS, key=key())
    assert refused.value.code == "signature_invalid"


async def test_a_profile_that_cannot_be_read_or_shares_nothing_is_named(
    house: Running, http: httpx.AsyncClient, us: Ours
):
    lost = Platform("http://127.0.0.1:9/.well-known/ucp", us.key, Directory(http))
    with pytest.raises(PartnerRefused) as refused:
        await partner_at(house, http, lost).quote(SEATS, key=key())
    assert refused.value.code == "profile_unreachable"
    async with ours() as poor:
        profile = poor.profile(NEW)["ucp"]
        poor.bent = {"ucp": {**profile, "capabilities": {CART: [{"version": NEW}]}}}
        with pytest.raises(PartnerRefused) as incompatible:
            await partner_at(house, http, poor.platform(http)).quote(SEATS, key=key())
    assert incompatible.value.code == "capabilities_incompatible"


async def test_the_order_is_told_by_a_signed_event_with_an_id(
    newest: UcpPartner, house: Running, us: Ours, http: httpx.AsyncClient
):
    quote = await newest.quote(SEATS, key=key())
    us.events.clear()
    done = await newest.place(quote.reference, pay(quote), ADA, key=key())
    assert done.order is not None
    await until(lambda: bool(us.events), within_s=60)
    headers, body = us.events[0]
    keys = await us.platform(http).directory.keys(house.url, key_id(headers))
    verify(keys, method="POST", url=f"{us.url}/hook", headers=headers, body=body)
    said = json.loads(body)
    assert (said["id"], said["checkout_id"]) == (done.order.id, quote.reference)
    valid(ucp(NEW, "schemas/shopping/order.json"), said)
    assert headers["webhook-id"]
    assert said["attribution"]["token"]


def test_our_own_profile_fits_the_schema_of_its_version():
    for version in VERSIONS:
        made = platform_profile(
            version,
            base_url="https://emptor.example",
            webhook_url="https://emptor.example/ucp/webhooks/orders",
            keys=[SigningKey.generate()],
        )
        place = "#/$defs/platform_profile" if version == NEW else ""
        valid(ucp(version, f"discovery/profile_schema.json{place}"), made)
        assert list(public_keys(made["signing_keys"])) == [made["signing_keys"][0]["kid"]]


def test_an_extension_whose_parent_is_not_shared_is_pruned_with_its_own_children():
    offered = {
        CHECKOUT: (),
        FULFILLMENT: ("dev.ucp.shopping.unheard_of",),
        DISCOUNT: (CART, CHECKOUT),
        "com.example.loyalty": (CHECKOUT,),
    }
    assert negotiated(offered) == {CHECKOUT, DISCOUNT}
    assert negotiated({DISCOUNT: (CART,), CART: ("dev.ucp.shopping.gone",)}) == frozenset()


def _business(**changes: object) -> dict[str, object]:
    made = platform_profile(
        NEW, base_url="https://b.example", webhook_url="https://b.example/x", keys=[]
    )
    made["ucp"]["services"]["dev.ucp.shopping"][0]["endpoint"] = "https://b.example/ucp"
    made["ucp"] |= changes
    return made


def test_a_capability_in_a_version_from_the_future_is_not_used():
    capabilities = {CHECKOUT: [{"version": NEW}], CART: [{"version": "2031-01-01"}]}
    assert business_of(_business(capabilities=capabilities)).active == {CHECKOUT}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": "2031-01-01"}, "version_unsupported"),
        ({"services": {}}, "no_rest_endpoint"),
        ({"capabilities": {CART: [{"version": NEW}]}}, "capabilities_incompatible"),
    ],
)
def test_a_business_we_cannot_buy_from_is_refused_by_name(changes: dict[str, object], code: str):
    with pytest.raises(PartnerRefused) as refused:
        business_of(_business(**changes))
    assert refused.value.code == code


async def test_profiles_are_read_once_and_again_for_a_key_not_seen(house: Running):
    now = [0.0]
    async with guarded_client(house.allow) as client:
        recorder = Recorder(client._transport)
        async with httpx.AsyncClient(transport=recorder) as http:
            directory = Directory(http, clock=lambda: now[0])
            await asyncio.gather(*(directory.business(house.url) for _ in range(2)))
            await directory.business(house.url)
            looks = len(recorder.exchanges)
            assert looks <= 2
            await directory.keys(house.url, "unheard-of")
            assert len(recorder.exchanges) == looks  # not within the minute
            now[0] = 61.0
            await directory.keys(house.url, "unheard-of")
            assert len(recorder.exchanges) == looks + 1
