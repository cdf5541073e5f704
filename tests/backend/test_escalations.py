"""A checkout that can only go on at the merchant's own page still ends as an order of ours."""

from urllib.parse import parse_qs, urlsplit

import pytest

from backend import merchants
from integrations.partner import PartnerRefused
from tests.backend.buying import books, incidents
from tests.backend.place import sql

PAGE = "https://shop.example/continue/1?basket=7&x=a%20b#pay"


def bought(shown: dict, place, identifier: str = "S-1", **more) -> dict:
    """The merchant's order of a session that ended on its page."""
    (reference,) = place.world.shop.sessions
    return {
        "id": identifier,
        "status": "created",
        "checkout_session_id": reference,
        "currency": "EUR",
        "totals": [{"type": "total", "amount": shown["total"]}],
        **more,
    }


async def escalated(place, page: str = PAGE) -> dict:
    place.world.shop.escalates = page
    shown = await place.quoted()
    assert (shown["state"], shown["confirmation_hash"]) == ("quoted", None)
    return shown


async def again(place, shown: dict) -> dict:
    return (await place.ada.get(f"/api/checkouts/{shown['id']}")).json()


async def test_the_page_that_a_person_is_sent_to_carries_our_mark_behind_its_own_query(place):
    shown = await escalated(place)
    given = urlsplit(shown["handoff_url"])
    assert given.query.startswith("basket=7&x=a%20b&")
    assert parse_qs(given.query)["emptor_token"] == [shown["id"]]
    assert (given.path, given.fragment) == ("/continue/1", "pay")


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/c?id=1&sig=ab%2Fc",
        "https://shop.example/c?X-Amz-Signature=1&id=2",
        "https://shop.example/c?hmac=00",
        "https://shop.example/c?emptor_token=ours",
        None,
    ],
)
def test_an_address_that_signs_its_query_is_left_as_it_is(url):
    assert merchants.marked(url, "chk_1.mark") == url


def test_words_that_only_look_like_a_signature_do_not_keep_our_mark_away():
    url = merchants.marked("https://shop.example/c?design=blue&signal=1", "chk_1.mark")
    assert url == "https://shop.example/c?design=blue&signal=1&emptor_token=chk_1.mark"


async def test_an_order_of_an_escalated_checkout_is_booked_once_with_its_commission(place):
    shown = await escalated(place)
    for _ in range(2):
        assert (await place.told(bought(shown, place), kind="order_create")).is_success
    now = await again(place, shown)
    assert (now["state"], now["settlement"]) == ("completed", "handoff")
    order = await place.shown(now["order_id"])
    assert (order["merchant_order_id"], order["total"]) == ("S-1", shown["total"])
    assert [line["title"] for line in order["lines"]] == ["Clay mug"]
    fee = round(shown["total"] * 0.05)
    assert await books(place.world) == {
        "receivable:merchant:mer_shop": fee,
        "fee_accrued:merchant:mer_shop": -fee,
    }
    assert place.world.payments.charges == {}


async def test_the_token_of_the_page_names_the_checkout_where_no_session_does(place):
    shown = await escalated(place)
    token = place.world.vault.mark(shown["id"])
    order = bought(shown, place, checkout_session_id="theirs", attribution={"token": token})
    assert (await place.told(order, kind="order_create")).is_success
    assert (await again(place, shown))["state"] == "completed"


async def test_what_comes_back_of_an_escalated_order_takes_our_fee_with_it(place):
    shown = await escalated(place)
    await place.told(bought(shown, place), kind="order_create")
    await place.told(bought(shown, place, status="canceled"))
    assert (await books(place.world))["receivable:merchant:mer_shop"] == 0
    order = await place.shown((await again(place, shown))["order_id"])
    assert (order["state"], order["refunded"]) == ("canceled", shown["total"])


async def test_a_checkout_that_was_sent_away_when_it_was_ordered_can_still_be_bought_there(place):
    """The card was let go; what the person then buys on the page is an order that earns."""
    shown = await place.quoted()
    place.world.shop.place_refused = PartnerRefused(
        "only on our page", code="requires_escalation", continue_url=PAGE
    )
    await place.confirm(shown)
    failed = await again(place, shown)
    assert failed["state"] == "failed"
    assert "emptor_token" in failed["handoff_url"]
    assert place.world.payments.held_for(shown["id"]) == 0
    dearer = bought(shown, place, totals=[{"type": "total", "amount": 9000}])
    assert (await place.told(dearer, kind="order_create")).is_success
    now = await again(place, shown)
    assert (now["state"], now["failure"]) == ("completed", None)
    order = await place.shown(now["order_id"])
    assert (order["total"], order["totals"][-1]["amount"]) == (9000, 9000)
    assert (await books(place.world))["receivable:merchant:mer_shop"] == 450


async def test_an_order_of_a_checkout_that_was_given_up_is_a_persons_matter(place):
    shown = await escalated(place)
    await sql(place, "UPDATE checkout SET state = 'canceled'")
    assert (await place.told(bought(shown, place), kind="order_create")).is_success
    assert (await again(place, shown))["order_id"] is None
    assert await incidents(place.world) == ["total_mismatch"]
