"""Duffel: a stay is found, quoted, booked once and given back as its timeline says."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from integrations.duffel import DuffelPartner
from integrations.money import Money
from integrations.partner import (
    Basket,
    BookingDetails,
    BookingWish,
    Buyer,
    PartnerRefused,
    PartnerUnknown,
    Quote,
)
from tests.integrations.fakes_duffel import Duffel
from tests.integrations.travellers import AMELIA, pay, placed

ROOM = BookingWish("room", BookingDetails(date(2020, 2, 12), 2, nights=2), place="London")


async def room(partner: DuffelPartner, buyer: Buyer | None = AMELIA) -> Quote:
    (found,) = await partner.search(ROOM)
    return await partner.quote(Basket(((found.item_id, 1),), "GBP", buyer=buyer), key="quote")


async def test_a_stay_is_found_quoted_booked_and_given_back_for_what_its_timeline_says(
    partner: DuffelPartner, duffel: Duffel
):
    (found,) = await partner.search(ROOM)
    assert (found.title, found.price, found.rating) == ("The Quay", Money(20000, "GBP"), 4.0)
    quote = await room(partner)
    assert (quote.status, quote.total) == (
        "ready",
        Money(20000, "GBP"),
    )  # not the one paid at the desk
    assert quote.cancellation_policy.startswith(
        "You pay £8.00 more at the hotel. £200.00 back until"
    )
    done = await placed(partner, quote)
    assert done.order is not None
    assert (done.status, duffel.balance) == ("completed", 800)
    back = await partner.cancellation(done.order.id, key="cancel")
    assert (back.refund, back.fee) == (Money(20000, "GBP"), Money(0, "GBP"))
    duffel.now = datetime(2020, 2, 2, tzinfo=UTC)
    with pytest.raises(PartnerRefused) as refused:
        await partner.confirm_cancellation(done.order.id, back, key="confirm")
    assert refused.value.code == "expired"
    late = await partner.cancellation(done.order.id, key="late")
    assert (late.refund, late.fee) == (Money(10000, "GBP"), Money(10000, "GBP"))
    ended = await partner.confirm_cancellation(done.order.id, late, key="confirm")
    again = await partner.confirm_cancellation(done.order.id, late, key="confirm")
    assert ended == again
    assert ended.status == "canceled"


async def test_a_lost_booking_is_found_by_its_quote(partner: DuffelPartner, duffel: Duffel):
    quote = await room(partner)
    duffel.lose = {"/stays/bookings"}
    with pytest.raises(PartnerUnknown):
        await placed(partner, quote)
    assert (await partner.read(quote.reference)).status == "completed"
    assert (await placed(partner, quote)).status == "completed"
    assert len(duffel.bookings) == 1


async def test_a_booking_that_may_be_ours_is_never_made_twice(
    partner: DuffelPartner, duffel: Duffel
):
    quote = await room(partner)
    duffel.keeps_metadata, duffel.lose = False, {"/stays/bookings"}
    for code in ("http_502", "look_up_unclear"):
        with pytest.raises(PartnerUnknown) as unknown:
            await placed(partner, quote)
        assert unknown.value.code == code
    assert len(duffel.bookings) == 1


@pytest.mark.parametrize(
    ("word", "status"),
    [("confirmed", "completed"), ("requested", "placing"), ("cancelled", "canceled")],
)
async def test_a_booking_is_what_its_status_says(
    partner: DuffelPartner, duffel: Duffel, word: str, status: str
):
    quote = await room(partner)
    await placed(partner, quote)
    duffel.bookings[0]["status"] = word
    assert (await partner.read(quote.reference)).status == status


async def test_an_unknown_status_is_unknown_and_a_failed_booking_is_over(
    partner: DuffelPartner, duffel: Duffel
):
    quote = await room(partner)
    await placed(partner, quote)
    duffel.bookings[0]["status"] = "awaiting_moonrise"
    with pytest.raises(PartnerUnknown):
        await placed(partner, quote)
    duffel.bookings[0]["status"] = "failed"
    over = await placed(partner, quote)
    assert (over.status, over.notes[0].code) == ("canceled", "booking_failed")
    assert len(duffel.bookings) == 1


async def test_a_place_nobody_knows_has_no_rooms_and_no_tables_are_sold(partner: DuffelPartner):
    assert list(await partner.search(replace(ROOM, place="Atlantis"))) == []
    assert list(await partner.search(replace(ROOM, place=""))) == []
    assert list(await partner.search(replace(ROOM, vertical="table"))) == []
    assert list(await partner.search(replace(ROOM, max_total=Money(19999, "GBP")))) == []


async def test_a_guest_without_a_phone_is_asked_for_it(partner: DuffelPartner, duffel: Duffel):
    quote = await room(partner, replace(AMELIA, phone=""))
    assert (quote.status, [n.path for n in quote.notes]) == ("incomplete", ["$.buyer.phone"])
    with pytest.raises(PartnerRefused):
        await partner.place(quote.reference, pay(quote), replace(AMELIA, phone=""), key="place")
    assert duffel.bookings == []
