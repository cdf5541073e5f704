"""Our booking client against the demo partner, held to the published OpenAPI both ways."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.booking import BookingPartner
from integrations.egress import guarded_client
from integrations.money import Money
from integrations.partner import (
    Basket,
    BookingDetails,
    BookingSearch,
    BookingWish,
    Buyer,
    Partner,
    PartnerOrder,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    Quote,
)
from tests.integrations.partner_schemas import booking_document, hold_to_booking
from tests.integrations.running_merchants import (
    KEY,
    Recorder,
    Running,
    Tampering,
    running,
)

ADA = Buyer("Ada", "Lind", "ada@example.com")
SOON = datetime.now(UTC).date() + timedelta(days=20)
DINNER = BookingDetails(SOON, 2, time(19))
NIGHTS = BookingDetails(SOON, 2, None, 2)


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running("tables", tmp_path_factory.mktemp("tables")) as merchant:
        yield merchant


@pytest.fixture
async def partner(house: Running) -> AsyncIterator[BookingPartner]:
    await house.faults()
    async with guarded_client(house.allow, total_deadline_s=5) as client:
        yield BookingPartner(client, house.url, KEY)


@pytest.fixture(scope="module")
async def hotels(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BookingPartner]:
    home = tmp_path_factory.mktemp("hotel")
    async with running("hotel", home) as house, guarded_client(house.allow) as client:
        yield BookingPartner(client, house.url, KEY)


_numbers = iter(range(10**6))


def key() -> str:
    return f"k-{next(_numbers)}"


_evenings = iter(range(1, 300))


def evening() -> BookingDetails:
    """A dinner on a date of its own, so that no test takes another one's table."""
    return replace(DINNER, date=SOON + timedelta(days=next(_evenings)))


def table(item: str = "lupa", details: BookingDetails | None = None) -> Basket:
    return Basket(((item, 1),), "EUR", buyer=ADA, booking=details or evening())


def pay(quote: Quote, charge: str = "pi_1") -> PartnerPayment:
    return PartnerPayment(charge, quote.total, "mch_2", datetime.now(UTC) + timedelta(hours=1))


async def booked(partner: Partner, basket: Basket) -> Quote:
    quote = await partner.quote(basket, key=key())
    return await partner.place(quote.reference, pay(quote), ADA, key=key())


def test_the_client_is_a_partner_and_a_search(partner: BookingPartner):
    seen: tuple[Partner, BookingSearch] = (partner, partner)
    assert seen[0] is seen[1]


async def moves(partner: BookingPartner, order: PartnerOrder) -> None:
    """One more at the table is paid for, one less comes back, and a stale change is refused."""
    moved = await partner.change(order.id, table(details=replace(DINNER, party=3)), key=key())
    assert moved.total == Money(1000, "EUR")  # one more person
    assert {t.type: t.amount.amount for t in moved.totals}["already_paid"] == 2000
    changed = await partner.place(moved.reference, pay(moved), ADA, key=key())
    assert (changed.status, changed.order) == ("completed", order)
    fewer = await partner.change(order.id, table(details=replace(DINNER, party=2)), key=key())
    stale = await partner.change(order.id, table(details=replace(DINNER, party=4)), key=key())
    assert fewer.total == Money(0, "EUR")
    assert {t.type: t.amount.amount for t in fewer.totals}["refund_due"] == 1000
    await partner.place(fewer.reference, pay(fewer), ADA, key=key())
    with pytest.raises(PartnerRefused):  # it would change what is no longer there
        await partner.place(stale.reference, pay(stale), ADA, key=key())


async def test_a_booking_runs_from_search_to_refund_and_fits_the_published_document(
    house: Running,
):
    recorder = Recorder(guarded_client(house.allow)._transport)
    async with httpx.AsyncClient(transport=recorder) as client:
        partner = BookingPartner(client, house.url, KEY)
        limit = Money(2500, "EUR")
        wish = BookingWish("table", DINNER, "an Italian place", "Berlin", limit)
        found = await partner.search(wish)
        assert found[0].item_id == "lupa"
        assert found[0].booking == DINNER
        assert found[0].price == Money(2000, "EUR")  # 10.00 a person
        assert found[0].title_zh == "蓝狼小馆"
        quote = await partner.quote(table(details=DINNER), key=key())
        later = replace(DINNER, time=time(20))
        quote = await partner.revise(quote.reference, table(details=later), key=key())
        held = await partner.hold(quote.reference, key=key())
        assert held.status == "ready"
        assert held.hold_expires_at is not None
        assert held.expires_at is not None
        assert held.expires_at >= held.hold_expires_at
        assert (await partner.read(quote.reference)).hold_expires_at == held.hold_expires_at
        done = await partner.place(quote.reference, pay(held), ADA, key=key())
        assert (done.status, done.total) == ("completed", Money(2000, "EUR"))
        assert done.order is not None
        assert (await partner.order(done.order.id)).status == "confirmed"
        await moves(partner, done.order)
        offer = await partner.cancellation(done.order.id, key=key())
        assert (offer.refund, offer.fee) == (Money(2000, "EUR"), Money(0, "EUR"))
        ended = await partner.confirm_cancellation(done.order.id, offer, key=key())
        assert ended.status == "canceled"
        dropped = await partner.quote(table("forno-est"), key=key())
        assert (await partner.cancel(dropped.reference, key=key())).status == "canceled"
        with pytest.raises(PartnerRefused):
            await partner.quote(table("nowhere"), key=key())
    operations = [hold_to_booking(exchange) for exchange in recorder.exchanges]
    document = booking_document()
    declared = {m["operationId"] for path in document["paths"].values() for m in path.values()}
    assert set(operations) == declared
    sent = [r.content.decode() for r, _, _ in recorder.exchanges]
    assert any('"attribution": {"provider": "emptor"' in body for body in sent)


def test_the_published_document_is_sound():
    document = booking_document()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert node
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["responses"]["default"]
    assert "Merchant-Signature" in text
    closed = [n for n, s in document["components"]["schemas"].items() if n.endswith("Request")]
    assert closed
    for name in closed:
        assert document["components"]["schemas"][name]["additionalProperties"] is False


async def test_a_room_costs_its_nights_and_the_city_tax(hotels: BookingPartner):
    paris = replace(NIGHTS, nights=2)
    found = await hotels.search(BookingWish("room", paris, "hotel", "Paris"))
    assert found[0].item_id.startswith("hotel-des-tilleuls.")
    assert {f.attributes["city"] for f in found} == {"Paris"}
    quote = await hotels.quote(table("hotel-des-tilleuls.double", paris), key=key())
    assert quote.lines[0].amount == Money(2 * 16900, "EUR")
    assert {t.type: t.amount.amount for t in quote.totals} == {
        "items_base_amount": 33800,
        "tax": 2 * 2 * 325,
        "total": 35100,
    }


async def test_a_price_that_moved_is_refused_and_nothing_is_booked(
    partner: BookingPartner, house: Running
):
    quote = await partner.quote(table(), key=key())
    before = len(await house.orders())
    await house.faults({"kind": "price_drift", "at": "price", "times": -1, "value": 500})
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "amount_mismatch"
    assert (await partner.read(quote.reference)).total == Money(2100, "EUR")
    assert len(await house.orders()) == before


async def test_a_hold_freezes_the_price(partner: BookingPartner, house: Running):
    quote = await partner.quote(table(), key=key())
    held = await partner.hold(quote.reference, key=key())
    await house.faults({"kind": "price_drift", "at": "price", "times": -1, "value": 500})
    done = await partner.place(quote.reference, pay(held), ADA, key=key())
    assert done.total == quote.total


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("error_before", "internal_error"),
        ("error_after", "internal_error"),
        ("lost_answer", "connection_cut"),
        ("html", "unreadable"),
    ],
)
async def test_a_lost_answer_then_the_same_key_makes_one_booking(
    partner: BookingPartner, house: Running, kind: str, code: str
):
    quote = await partner.quote(table(), key=key())
    before = len(await house.orders())
    await house.faults({"kind": kind, "at": "confirm"})
    same = key()
    with pytest.raises(PartnerUnknown) as unknown:
        await partner.place(quote.reference, pay(quote), ADA, key=same)
    assert unknown.value.code == code
    seen = await partner.read(quote.reference)
    assert (seen.status == "completed") is (kind != "error_before")
    done = await partner.place(quote.reference, pay(quote), ADA, key=same)
    assert done.status == "completed"
    assert len(await house.orders()) == before + 1


async def test_a_taken_table_and_a_declined_payment_are_clear_refusals(
    partner: BookingPartner, house: Running
):
    quote = await partner.quote(table(), key=key())
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote, "tok_declined"), ADA, key=key())
    assert refused.value.code == "payment_declined"
    await house.faults({"kind": "out_of_stock", "at": "confirm"})
    with pytest.raises(PartnerRefused) as refused:
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    assert refused.value.code == "sold_out"


async def test_an_unknown_status_is_unknown_and_a_handoff_places_nothing(
    partner: BookingPartner, house: Running
):
    await house.faults({"kind": "unknown_status", "at": "quote"})
    assert (await partner.quote(table(), key=key())).status == "incomplete"
    quote = await partner.quote(table(), key=key())
    await house.faults({"kind": "unknown_status", "at": "confirm"})
    with pytest.raises(PartnerUnknown):
        await partner.place(quote.reference, pay(quote), ADA, key=key())
    await house.faults({"kind": "requires_escalation", "at": "session"})
    handed = await partner.quote(table(), key=key())
    assert handed.status == "needs_handoff"
    assert handed.continue_url == f"{house.url}/continue/{handed.reference}"


async def test_a_partner_that_multiplies_the_quantity_is_refused(
    partner: BookingPartner, house: Running
):
    await house.faults({"kind": "wrong_quantity", "at": "quote"})
    with pytest.raises(PartnerRefused):
        await partner.quote(table(), key=key())
    await house.faults({"kind": "wrong_totals", "at": "quote"})
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(table(), key=key())
    assert refused.value.code == "inconsistent_totals"


def _other_evening(quote: Any) -> None:
    quote["booking"]["time"] = "21:00"


def _bigger_party(quote: Any) -> None:
    quote["booking"]["party"] = 10


def _other_place(quote: Any) -> None:
    quote["lines"][0]["item_id"] = "blaue-maus"


@pytest.mark.parametrize("bend", [_other_evening, _bigger_party, _other_place])
async def test_a_quote_for_something_else_than_asked_is_never_ready(
    house: Running, bend: Callable[[Any], None]
):
    inner = guarded_client(house.allow)._transport
    async with httpx.AsyncClient(transport=Tampering(inner, bend)) as client:
        quote = await BookingPartner(client, house.url, KEY).quote(table(), key=key())
    await inner.aclose()
    assert quote.status == "incomplete"
    assert [n.code for n in quote.notes] == ["lines_differ"]


async def test_a_booking_needs_one_item_and_a_date(partner: BookingPartner):
    for basket in (replace(table(), booking=None), replace(table(), lines=(("a", 1), ("b", 1)))):
        with pytest.raises(PartnerRefused) as refused:
            await partner.quote(basket, key=key())
        assert refused.value.code == "missing"
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(replace(table(), currency="USD"), key=key())
    assert refused.value.code == "unsupported_currency"


async def test_two_clients_race_for_the_last_table_and_one_gets_it(
    partner: BookingPartner, house: Running
):
    details = evening()
    quotes = []
    for _ in range(30):  # until nothing is left, as the partner itself says
        try:
            quotes.append(await partner.quote(table("lupa", details), key=key()))
            await partner.hold(quotes[-1].reference, key=key())
        except PartnerRefused:
            break
    assert 12 <= len(quotes) <= 24
    last = quotes.pop()
    await partner.cancel(last.reference, key=key())
    rivals = [await partner.quote(table("lupa", details), key=key()) for _ in range(2)]
    outcomes = await asyncio.gather(
        *(partner.place(q.reference, pay(q), ADA, key=key()) for q in rivals),
        return_exceptions=True,
    )
    won = [o for o in outcomes if isinstance(o, Quote)]
    lost = [o for o in outcomes if isinstance(o, PartnerRefused)]
    assert (len(won), [o.code for o in lost]) == (1, ["sold_out"])


async def test_a_hold_that_runs_out_frees_the_room_and_cannot_be_paid(tmp_path: Path):
    async with running("hotel", tmp_path) as house, guarded_client(house.allow) as client:
        partner = BookingPartner(client, house.url, KEY)
        rooms = replace(NIGHTS, party=1)
        quote = await partner.quote(table("lindenruh.suite", rooms), key=key())
        assert (await partner.hold(quote.reference, key=key())).hold_expires_at is not None
        await house.sim("clock", {"advance_s": 901})
        assert (await partner.read(quote.reference)).status == "expired"
        with pytest.raises(PartnerRefused) as refused:
            await partner.place(quote.reference, pay(quote), ADA, key=key())
        assert refused.value.code == "expired"
        again = await partner.quote(table("lindenruh.suite", rooms), key=key())
        assert (await partner.hold(again.reference, key=key())).status == "ready"
        await house.sim("clock", {"advance_s": 7200})
        stale = await partner.read(again.reference)
        assert stale.status == "expired"
        with pytest.raises(PartnerRefused):
            await partner.hold(again.reference, key=key())


async def test_a_room_canceled_late_costs_a_night_and_a_stale_offer_is_void(tmp_path: Path):
    async with running("hotel", tmp_path) as house, guarded_client(house.allow) as client:
        partner = BookingPartner(client, house.url, KEY)
        room = await booked(partner, table("lindenruh.double", NIGHTS))
        fixed = await booked(partner, table("lindenruh.saver", NIGHTS))
        assert room.order is not None
        assert fixed.order is not None
        early = await partner.cancellation(room.order.id, key=key())
        assert early.fee == Money(0, "EUR")
        assert (await partner.cancellation(fixed.order.id, key=key())).refund == Money(0, "EUR")
        await house.sim("clock", {"advance_s": noon_of(SOON)})
        with pytest.raises(PartnerRefused) as refused:
            await partner.confirm_cancellation(room.order.id, early, key=key())
        assert refused.value.code == "expired"
        late = await partner.cancellation(room.order.id, key=key())
        assert late.fee == Money(13900, "EUR")  # the first night
        assert late.refund + late.fee == room.total


async def test_a_table_canceled_late_keeps_half_and_one_missed_keeps_all(tmp_path: Path):
    async with running("tables", tmp_path) as house, guarded_client(house.allow) as client:
        partner = BookingPartner(client, house.url, KEY)
        done = await booked(partner, table(details=DINNER))
        assert done.order is not None
        await house.sim("clock", {"advance_s": noon_of(SOON)})
        late = await partner.cancellation(done.order.id, key=key())
        assert (late.refund, late.fee) == (Money(1000, "EUR"), Money(1000, "EUR"))
        await house.sim("clock", {"advance_s": 86400})
        gone = await partner.cancellation(done.order.id, key=key())
        assert gone.refund == Money(0, "EUR")
        with pytest.raises(PartnerRefused):
            await partner.quote(table(details=DINNER), key=key())  # that evening has passed


def noon_of(day: date) -> float:
    """Seconds from now to that day's noon."""
    return (datetime.combine(day, time(12), UTC) - datetime.now(UTC)).total_seconds()
