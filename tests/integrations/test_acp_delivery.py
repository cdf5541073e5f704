"""Goods of one ACP session that travel apart: read, chosen, and handed off where it is unclear."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.acp import AcpPartner
from integrations.acp_delivery import deliveries_of, selections
from integrations.acp_session import quote_of
from integrations.egress import guarded_client
from integrations.partner import Basket, PartnerRefused
from tests.integrations.partner_schemas import acp, hold_to_acp, valid
from tests.integrations.running_merchants import KEY, Recorder, running
from tests.integrations.test_acp_partner import ADA, HOME, key, pay

SHOP = "https://shop.example"
TENT, BOOK = "tent-hallig-6", "book-inseln"
BOTH = Basket(((TENT, 1), (BOOK, 2)), "EUR", buyer=ADA, address=HOME)


def chosen(quote: Any) -> dict[str, str]:
    return {one.group: one.id for one in quote.deliveries if one.selected}


async def test_a_tent_by_van_and_books_by_post_are_chosen_for_apart_and_bought(tmp_path: Path):
    async with running("shop", tmp_path) as shop:
        recorder = Recorder(guarded_client(shop.allow)._transport)
        async with httpx.AsyncClient(transport=recorder) as client:
            partner = AcpPartner(client, shop.url, KEY)
            first = await partner.quote(BOTH, key=key())
            assert {(d.group, d.id, d.items) for d in first.deliveries} == {
                ("parcel", "standard", (BOOK,)),
                ("parcel", "express", (BOOK,)),
                ("van", "kerb", (TENT,)),
                ("van", "upstairs", (TENT,)),
            }
            assert chosen(first) == {"parcel": "standard", "van": "kerb"}
            wish = replace(BOTH, deliveries={"van": "upstairs", "parcel": "express"})
            second = await partner.revise(first.reference, wish, key=key())
            assert chosen(second) == {"parcel": "express", "van": "upstairs"}
            # 25.00 up the stairs, 8.00 for the hurry, and 19 % on both.
            assert second.total.amount - first.total.amount == 3300 + 627
            half = await partner.revise(
                second.reference, replace(BOTH, deliveries={"parcel": "standard"}), key=key()
            )
            assert chosen(half) == {"parcel": "standard", "van": "upstairs"}
            done = await partner.place(half.reference, pay(half), ADA, key=key())
            assert done.status == "completed"
            again = await partner.quote(wish, key=key())
            assert chosen(again) == {"parcel": "express", "van": "upstairs"}
            alone = replace(wish, lines=((BOOK, 2),))
            left = await partner.revise(again.reference, alone, key=key())
            assert {d.group for d in left.deliveries} == {""}
            with pytest.raises(PartnerRefused) as refused:
                await partner.quote(replace(BOTH, deliveries={"van": "express"}), key=key())
            assert refused.value.code == "unknown_delivery"
    assert {hold_to_acp(exchange) for exchange in recorder.exchanges} >= {"CheckoutSession"}


def session(version: str = "2026-04-17") -> dict[str, Any]:
    """A lamp by freight and a book by post, both of which the merchant calls shipping."""
    return {
        "id": "cs_1",
        "protocol": {"version": version},
        "capabilities": {},
        "status": "ready_for_payment",
        "currency": "eur",
        "line_items": [_line("li_lamp", "lamp", 9000), _line("li_book", "book", 1000)],
        "fulfillment_options": [_option("freight", 3900), _option("post", 490)],
        "selected_fulfillment_options": [_taken("freight", "li_lamp"), _taken("post", "li_book")],
        "fulfillment_groups": [_group("heavy", "li_lamp"), _group("light", "li_book")],
        "totals": [_total("fulfillment", 4390), _total("total", 14390)],
        "messages": [],
        "links": [],
    }


def _line(name: str, item: str, unit: int) -> dict[str, Any]:
    totals = [_total("items_base_amount", unit)]
    return {
        "id": name,
        "item": {"id": item, "unit_amount": unit},
        "quantity": 1,
        "totals": totals,
        "unit_amount": unit,
    }


def _total(kind: str, amount: int) -> dict[str, Any]:
    return {"type": kind, "display_text": kind, "amount": amount}


def _option(name: str, amount: int) -> dict[str, Any]:
    return {"type": "shipping", "id": name, "title": name, "totals": [_total("total", amount)]}


def _taken(option: str, *lines: str) -> dict[str, Any]:
    return {"type": "shipping", "option_id": option, "item_ids": list(lines)}


def _group(name: str, *lines: str) -> dict[str, Any]:
    return {"id": name, "item_ids": list(lines), "destination_type": "shipping"}


WISH = Basket((("lamp", 1), ("book", 1)), "EUR", deliveries={"light": "freight"})


@pytest.mark.parametrize("version", ["2026-04-17", "2026-01-30"])
def test_groups_of_one_kind_may_take_any_option_of_that_kind_in_either_version(version: str):
    seen = session(version)
    valid(acp("CheckoutSession"), seen)
    quote = quote_of(seen, base_url=SHOP)
    assert quote.status == "ready"
    assert chosen(quote) == {"heavy": "freight", "light": "post"}
    assert len(quote.deliveries) == 4
    sent = selections(seen, WISH)
    assert sent == [_taken("freight", "li_lamp"), _taken("freight", "li_book")]
    for entry in sent:
        valid(acp("SelectedFulfillmentOption"), entry)


def test_goods_are_named_back_as_the_merchant_named_them():
    seen = session()
    del seen["fulfillment_groups"]
    seen["selected_fulfillment_options"] = [_taken("freight", "lamp"), _taken("post", "book")]
    quote = quote_of(seen, base_url=SHOP)
    assert chosen(quote) == {"lamp": "freight", "book": "post"}
    sent = selections(seen, replace(WISH, deliveries={"lamp": "post"}))
    assert sent == [_taken("post", "lamp"), _taken("post", "book")]


def _drone(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"][0]["destination_type"] = "drone"


def _left_out(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"].pop()


def _in_both(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"][0]["item_ids"] = ["li_lamp", "li_book"]


def _of_nothing(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"][0]["item_ids"] = []


def _of_strangers(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"][0]["item_ids"] = ["li_piano"]


def _nameless(seen: dict[str, Any]) -> None:
    del seen["fulfillment_groups"][0]["id"]


def _one_name(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"][0]["id"] = "light"


def _off_offer(seen: dict[str, Any]) -> None:
    seen["selected_fulfillment_options"][0]["option_id"] = "balloon"


def _torn(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"] = [_group("all", "li_lamp", "li_book")]


def _elsewhere(seen: dict[str, Any]) -> None:
    seen["fulfillment_details"] = {"address": {"city": "Berlin"}}
    seen["fulfillment_groups"][0]["fulfillment_details"] = {"address": {"city": "Hamburg"}}


def _by_anothers(seen: dict[str, Any]) -> None:
    seen["fulfillment_groups"][1]["fulfillment_option_ids"] = ["freight"]


@pytest.mark.parametrize(
    "bend",
    [_drone, _left_out, _in_both, _of_nothing, _of_strangers, _nameless, _one_name, _off_offer,
     _torn, _elsewhere, _by_anothers],
)  # fmt: skip
def test_a_grouping_that_we_cannot_tell_goes_on_at_the_merchants_page(
    bend: Callable[[dict[str, Any]], None],
):
    seen = deepcopy(session())
    bend(seen)
    quote = quote_of(seen, base_url=SHOP)
    assert (quote.status, quote.deliveries) == ("incomplete", ())
    assert "unknown_grouping" in [note.code for note in quote.notes]
    seen["continue_url"] = f"{SHOP}/continue"
    assert quote_of(seen, base_url=SHOP).status == "needs_handoff"
    assert selections(seen, WISH) == []
    seen |= {"status": "completed", "order": {"id": "ord_1"}}
    assert quote_of(seen, base_url=SHOP).status == "completed"


def test_a_pickup_says_where_and_from_when():
    seen = session()
    del seen["fulfillment_groups"]
    place = {"name": "Harbour store", "address": {"city": "Hamburg"}}
    seen["fulfillment_options"] = [
        {
            **_option("kept", 0),
            "type": "pickup",
            "location": place,
            "ready_by": "2026-12-01T09:00:00Z",
        }
    ]
    seen["selected_fulfillment_options"] = []
    (option,) = quote_of(seen, base_url=SHOP).deliveries
    assert (option.title, str(option.earliest)) == ("kept, Harbour store", "2026-12-01")


def _by_items(seen: dict[str, Any]) -> None:
    freight, post = seen["fulfillment_options"]
    freight["item_ids"], post["item_ids"] = ["li_lamp"], ["li_book", "li_lamp"]


def _by_list(seen: dict[str, Any]) -> None:
    heavy, light = seen["fulfillment_groups"]
    heavy["fulfillment_option_ids"], light["fulfillment_option_ids"] = ["freight", "post"], ["post"]


@pytest.mark.parametrize("tie", [_by_items, _by_list])
def test_a_group_shows_the_options_that_the_merchant_ties_to_it(tie: Callable[..., None]):
    seen = session()
    tie(seen)
    quote = quote_of(seen, base_url=SHOP)
    shown = {(one.group, one.id) for one in quote.deliveries}
    assert shown == {("heavy", "freight"), ("heavy", "post"), ("light", "post")}
    with pytest.raises(PartnerRefused) as refused:
        selections(seen, WISH)  # the book by freight
    assert refused.value.code == "unknown_delivery"
    both_by_post = selections(seen, replace(WISH, delivery_id="post", deliveries={}))
    assert [entry["option_id"] for entry in both_by_post] == ["post", "post"]


def test_options_that_are_called_after_their_group_are_its_own():
    seen = session()
    seen["fulfillment_groups"].append(_group("heavy-2", "li_rug"))
    seen["line_items"].append(_line("li_rug", "rug", 500))
    names = ["heavy-post", "heavy-freight", "light-post", "light-express", "heavy-2-post"]
    seen["fulfillment_options"] = [_option(name, 490) for name in names]
    seen["selected_fulfillment_options"] = [
        _taken("heavy-post", "li_lamp"),
        _taken("light-post", "li_book"),
    ]
    valid(acp("CheckoutSession"), seen)
    shown = [(one.group, one.id) for one in deliveries_of(seen, "EUR")]
    assert sorted(shown) == sorted((name.rsplit("-", 1)[0], name) for name in names)
    wish = replace(WISH, deliveries={"light": "light-express"})
    wish = replace(wish, lines=(*wish.lines, ("rug", 1)))
    assert [e["option_id"] for e in selections(seen, wish)] == ["heavy-post", "light-express"]
    seen["fulfillment_options"].append(_option("by-hand", 900))  # whose is this one?
    assert len(deliveries_of(seen, "EUR")) == 18
