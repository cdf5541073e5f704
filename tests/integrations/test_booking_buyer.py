"""Whose booking it is: the demo houses ask for it as the published document has it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from integrations.booking import BookingPartner
from integrations.egress import guarded_client
from integrations.partner import Basket, BookingDetails, Buyer, PartnerPayment, PartnerRefused
from tests.integrations.running_merchants import KEY, running

ADA = Buyer("Ada", "Lind", "ada@example.com")
DINNER = BookingDetails(datetime.now(UTC).date() + timedelta(days=3), 2, time(19))
NOBODYS = Basket((("lupa", 1),), "EUR", booking=DINNER)


@pytest.fixture(scope="module")
async def partner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BookingPartner]:
    home = tmp_path_factory.mktemp("tables")
    async with running("tables", home) as house, guarded_client(house.allow) as client:
        yield BookingPartner(client, house.url, KEY)


def pay(quote) -> PartnerPayment:
    return PartnerPayment("pi_1", quote.total, "mch_2", datetime.now(UTC) + timedelta(hours=1))


async def test_a_quote_lacks_a_name_until_somebody_gives_one(partner: BookingPartner):
    quote = await partner.quote(NOBODYS, key="ask")
    assert quote.status == "incomplete"
    assert [note.path for note in quote.notes] == ["$.buyer.email", "$.buyer.first_name"]
    with pytest.raises(PartnerRefused) as refused:
        await partner.hold(quote.reference, key="hold-nobodys")
    assert refused.value.code == "missing"
    with pytest.raises(PartnerRefused):
        await partner.place(quote.reference, pay(quote), None, key="place-nobodys")
    whole = await partner.revise(quote.reference, replace(NOBODYS, buyer=ADA), key="name")
    assert (whole.status, whole.notes) == ("ready", ())
    assert (await partner.hold(whole.reference, key="hold")).hold_expires_at is not None


async def test_a_name_that_comes_with_the_confirmation_is_soon_enough(partner: BookingPartner):
    quote = await partner.quote(NOBODYS, key="late")
    done = await partner.place(quote.reference, pay(quote), ADA, key="place-late")
    assert done.status == "completed"


async def test_a_change_asks_nobody_whose_booking_it_is(partner: BookingPartner):
    quote = await partner.quote(replace(NOBODYS, buyer=ADA), key="own")
    done = await partner.place(quote.reference, pay(quote), ADA, key="place-own")
    assert done.order is not None
    three = replace(NOBODYS, booking=replace(DINNER, party=3))
    more = await partner.change(done.order.id, three, key="three")
    assert (more.status, more.notes) == ("ready", ())
    moved = await partner.place(more.reference, pay(more), None, key="place-three")
    assert moved.order == done.order
