"""Duffel: its published payloads are read exactly, and a flight is booked once."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
import pytest

from integrations.duffel import DuffelPartner
from integrations.duffel_flights import FlightWish
from integrations.money import Money
from integrations.partner import (
    Basket,
    BookingDetails,
    BookingSearch,
    Partner,
    PartnerNotNow,
    PartnerRefused,
    PartnerUnknown,
)
from integrations.tls import roots
from integrations.wire import Unreadable
from tests.integrations.fakes_duffel import NOW, Duffel, published
from tests.integrations.travellers import AMELIA, FARE, INSTANT, OFFER, pay, placed, seat


def test_the_client_is_a_partner_and_a_search(partner: DuffelPartner):
    seen: tuple[Partner, BookingSearch] = (partner, partner)
    assert seen[0] is seen[1]


# --- flights --------------------------------------------------------------------------------------


async def test_flights_are_found_with_what_they_cost_in_minor_units(partner: DuffelPartner):
    (found,) = await partner.flights(FlightWish("LHR", "JFK", date(2020, 4, 24)))
    assert (found.item_id, found.price) == (OFFER, FARE)
    assert found.title == "British Airways LHR–JFK 2020-06-13 16:38"
    assert found.booking == BookingDetails(date(2020, 6, 13), 1, time(16, 38, 2))
    assert found.attributes["refund"] == "Refundable before departure for £100.00."


async def test_a_seat_is_held_paid_and_given_back_by_two_step_moves(
    partner: DuffelPartner, duffel: Duffel
):
    quote = await partner.quote(seat(), key="quote")
    assert (quote.status, quote.total) == ("ready", FARE)
    assert quote.lines[0].item_id == OFFER
    assert quote.hold_expires_at == datetime(2020, 1, 17, 10, 42, 14, tzinfo=UTC)
    assert duffel.balance == 1000  # held, not paid
    assert (await partner.hold(quote.reference, key="hold")).status == "ready"
    done = await placed(partner, quote)
    assert (done.status, done.total, duffel.balance) == ("completed", FARE, 955)
    assert done.order is not None
    assert (await partner.order(done.order.id)).status == "confirmed"
    duffel.refund = "40.00"
    back = await partner.cancellation(done.order.id, key="cancel")
    assert (back.refund, back.fee) == (Money(4000, "GBP"), Money(500, "GBP"))
    assert duffel.balance == 955  # a quote moves nothing
    ended = await partner.confirm_cancellation(done.order.id, back, key="confirm")
    assert (ended.status, duffel.balance) == ("canceled", 995)


async def test_an_airline_that_holds_nothing_is_paid_at_once(
    partner: DuffelPartner, duffel: Duffel
):
    duffel.offer(**INSTANT)
    quote = await partner.quote(seat(), key="quote")
    assert (quote.status, quote.hold_expires_at, duffel.orders) == ("ready", None, [])
    assert quote.expires_at == datetime(2020, 1, 17, 10, 42, 14, 545000, tzinfo=UTC)
    assert (await partner.read(quote.reference)).total == FARE
    done = await placed(partner, quote)
    assert (done.status, len(duffel.orders), duffel.balance) == ("completed", 1, 955)


@pytest.mark.parametrize("path", ["/air/orders", "/air/payments"])
async def test_a_lost_answer_is_unknown_then_found_and_nothing_is_ordered_or_paid_twice(
    partner: DuffelPartner, duffel: Duffel, path: str
):
    if path == "/air/orders":
        duffel.offer(**INSTANT)
    quote = await partner.quote(seat(), key="quote")
    duffel.lose = {path}
    with pytest.raises(PartnerUnknown):
        await placed(partner, quote)
    assert (await partner.read(quote.reference)).status == "completed"
    again = await placed(partner, quote)
    assert (again.status, len(duffel.orders), duffel.balance) == ("completed", 1, 955)


async def test_a_paid_seat_that_cannot_be_looked_at_is_unknown_and_never_unpaid(
    partner: DuffelPartner, duffel: Duffel
):
    quote = await partner.quote(seat(), key="quote")
    duffel.limit = {"/air/payments"}
    with pytest.raises(PartnerUnknown):
        await placed(partner, quote)
    assert (await partner.read(quote.reference)).status == "completed"


async def test_a_lost_hold_is_found_by_the_next_quote(partner: DuffelPartner, duffel: Duffel):
    duffel.lose = {"/air/orders"}
    with pytest.raises(PartnerUnknown):
        await partner.quote(seat(), key="quote")
    quote = await partner.quote(seat(), key="quote")
    assert (quote.status, len(duffel.orders)) == ("ready", 1)


async def test_a_seat_that_was_ordered_for_another_purchase_is_never_sold_again(
    partner: DuffelPartner, duffel: Duffel
):
    duffel.offer(**INSTANT)
    baskets = [replace(seat(), owner=owner) for owner in ("chk_1", "chk_2")]
    mine, theirs = [await partner.quote(basket, key="quote") for basket in baskets]
    assert (await placed(partner, mine)).status == "completed"
    assert (await partner.read(theirs.reference)).status == "expired"
    with pytest.raises(PartnerRefused):
        await placed(partner, theirs)
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(baskets[1], key="again")
    assert refused.value.code == "sold_out"
    await partner.cancel(theirs.reference, key="drop")
    assert (await placed(partner, mine)).status == "completed"
    assert ([order["cancelled_at"] for order in duffel.orders], duffel.balance) == ([None], 955)


async def test_a_seat_that_is_held_for_another_purchase_is_not_handed_to_this_one(
    partner: DuffelPartner, duffel: Duffel
):
    baskets = [replace(seat(), owner=owner) for owner in ("chk_1", "chk_2")]
    mine = await partner.quote(baskets[0], key="quote")
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(baskets[1], key="quote")
    assert refused.value.code == "sold_out"
    assert await partner.quote(baskets[0], key="quote") == mine
    assert len(duffel.orders) == 1


async def test_a_revision_and_a_cancel_let_the_held_seat_go(partner: DuffelPartner, duffel: Duffel):
    quote = await partner.quote(seat(), key="quote")
    again = await partner.revise(quote.reference, seat(), key="again")
    assert again.reference != quote.reference
    assert [bool(order["cancelled_at"]) for order in duffel.orders] == [False, True]
    assert (await partner.cancel(again.reference, key="drop")).status == "canceled"
    assert all(order["cancelled_at"] for order in duffel.orders)
    assert duffel.balance == 1000


async def test_a_paid_order_is_not_let_go_like_a_hold(partner: DuffelPartner, duffel: Duffel):
    quote = await partner.quote(seat(), key="quote")
    await placed(partner, quote)
    with pytest.raises(PartnerRefused) as refused:
        await partner.cancel(quote.reference, key="drop")
    assert (refused.value.code, duffel.orders[0]["cancelled_at"]) == ("already_completed", None)


async def test_what_a_traveller_has_not_said_is_asked_for_and_never_guessed(
    partner: DuffelPartner, duffel: Duffel
):
    nameless = replace(AMELIA, born_on="", gender="")
    quote = await partner.quote(seat(nameless), key="quote")
    assert (quote.status, duffel.orders) == ("incomplete", [])
    assert [note.path for note in quote.notes] == ["$.buyer.born_on", "$.buyer.gender"]
    duffel.offer(**INSTANT)
    ready = await partner.quote(seat(), key="quote")
    with pytest.raises(PartnerRefused):
        await partner.place(ready.reference, pay(ready), nameless, key="place")
    assert (duffel.orders, duffel.balance) == ([], 1000)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"passenger_identity_documents_required": True}, "identity_documents"),
        ({"passenger_identity_documents_required": "perhaps"}, "identity_documents"),
        ({"passengers": [{"id": "a"}, {"id": "b"}]}, "several_passengers"),
        ({"partial": True}, "partial_offer"),
    ],
)
async def test_what_we_cannot_sell_is_never_ready_and_orders_nothing(
    partner: DuffelPartner, duffel: Duffel, changes: dict[str, Any], code: str
):
    duffel.offer(**changes)
    quote = await partner.quote(seat(), key="quote")
    assert (quote.status, duffel.orders) == ("incomplete", [])
    assert code in [note.code for note in quote.notes]


async def test_a_price_that_moved_is_not_paid(partner: DuffelPartner, duffel: Duffel):
    quote = await partner.quote(seat(), key="quote")
    duffel.orders[0]["total_amount"] = "45.01"
    with pytest.raises(PartnerRefused) as refused:
        await placed(partner, quote)
    assert (refused.value.code, duffel.balance) == ("price_changed", 1000)


async def test_time_runs_out_on_offers_and_on_holds(partner: DuffelPartner, duffel: Duffel):
    quote = await partner.quote(seat(), key="quote")
    duffel.now = NOW + timedelta(hours=1)
    assert (await partner.read(quote.reference)).status == "expired"
    with pytest.raises(PartnerRefused) as refused:
        await placed(partner, quote)
    assert (refused.value.code, duffel.balance) == ("expired", 1000)
    duffel.orders.clear()
    assert (await partner.quote(seat(), key="other")).status == "expired"


async def test_an_empty_balance_and_another_currency_are_clear_refusals(
    partner: DuffelPartner, duffel: Duffel
):
    quote = await partner.quote(seat(), key="quote")
    duffel.balance *= 0
    with pytest.raises(PartnerRefused) as refused:
        await placed(partner, quote)
    assert refused.value.code == "insufficient_balance"
    duffel.orders.clear()
    with pytest.raises(PartnerRefused) as refused:
        await partner.quote(seat(currency="EUR"), key="euro")
    assert refused.value.code == "currency"


async def test_a_refund_that_is_no_money_is_left_to_the_airline(
    partner: DuffelPartner, duffel: Duffel
):
    done = await placed(partner, await partner.quote(seat(), key="quote"))
    assert done.order is not None
    for word in ("voucher", "airline_credits", "moonstones"):
        duffel.refund_to = word
        with pytest.raises(PartnerRefused) as refused:
            await partner.cancellation(done.order.id, key=f"cancel-{word}")
        assert refused.value.code == "refund_not_in_money"
    duffel.refund_to, duffel.refund = "balance", "45.01"
    with pytest.raises(Unreadable):
        await partner.cancellation(done.order.id, key="too-much")


async def test_an_order_that_does_not_say_whether_it_is_paid_is_unknown(
    partner: DuffelPartner, duffel: Duffel
):
    quote = await partner.quote(seat(), key="quote")
    for state in ({}, {"awaiting_payment": "yes"}, {"awaiting_payment": True}):
        duffel.orders[0]["payment_status"] = state
        with pytest.raises(PartnerUnknown):
            await placed(partner, quote)
    assert duffel.balance == 1000


async def test_ids_of_no_kind_wrong_tokens_and_two_seats_are_refused(
    served: tuple[Duffel, str], partner: DuffelPartner
):
    for asked in (Basket((("x", 1),), "GBP"), Basket(((OFFER, 2),), "GBP")):
        with pytest.raises(PartnerRefused):
            await partner.quote(asked, key="no")
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        stranger = DuffelPartner(http, served[1], "not the token")
        with pytest.raises(PartnerNotNow) as refused:
            await stranger.read(OFFER)
    assert refused.value.code == "access_token_not_found"


# --- the published payloads, as they are --------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "status"),
    [
        ("create-hold-order", {}, "canceled"),  # the published one was canceled
        ("create-hold-order", {"cancelled_at": None}, "ready"),
        ("create-instant-order", {}, "canceled"),
        ("create-instant-order", {"cancelled_at": None}, "completed"),
        ("get-order-by-id", {"cancelled_at": None}, "ready"),
    ],
)
async def test_a_published_order_is_what_it_says(
    partner: DuffelPartner, duffel: Duffel, name: str, changes: dict[str, Any], status: str
):
    duffel.orders = [published(name) | changes]
    quote = await partner.read(f"{published(name)['id']}:{OFFER}")
    assert (quote.status, quote.total) == (status, Money(9080, "GBP"))
