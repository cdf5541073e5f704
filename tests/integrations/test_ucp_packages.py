"""A UCP checkout in several packages: each is read, and chosen for apart."""

from dataclasses import replace
from typing import Any

import pytest

from integrations.partner import Basket, PartnerRefused
from integrations.ucp_profile import CHECKOUT, FULFILLMENT, VERSIONS, Business
from integrations.ucp_requests import selection
from integrations.ucp_session import quote_of

BUSINESS = Business(
    VERSIONS[0], "https://shop.example", frozenset({CHECKOUT, FULFILLMENT}), frozenset()
)
BOTH = Basket((("lamp", 1), ("book", 1)), "EUR")


def _option(name: str, amount: int) -> dict[str, Any]:
    return {"id": name, "title": name, "totals": [{"type": "total", "amount": amount}]}


def _package(name: str, line: str, *options: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "line_item_ids": [line],
        "options": list(options),
        "selected_option_id": options[0]["id"],
    }


def checkout() -> dict[str, Any]:
    """Two ways of delivery, whose packages the business calls by the same name."""
    lamp = _package("1", "li_lamp", _option("freight", 3900), _option("upstairs", 6400))
    book = _package("1", "li_book", _option("post", 490), _option("express", 1290))
    lines = [("li_lamp", "lamp", 9000), ("li_book", "book", 1000)]
    return {
        "ucp": {"version": VERSIONS[0], "status": "success"},
        "id": "ck_1",
        "status": "ready_for_complete",
        "currency": "EUR",
        "line_items": [
            {"id": line, "item": {"id": item, "title": item, "price": price}, "quantity": 1}
            for line, item, price in lines
        ],
        "totals": [
            {"type": "subtotal", "amount": 10000},
            {"type": "fulfillment", "amount": 4390},
            {"type": "total", "amount": 14390},
        ],
        "fulfillment": {
            "methods": [
                {"id": "a", "type": "shipping", "line_item_ids": ["li_lamp"], "groups": [lamp]},
                {"id": "b", "type": "shipping", "line_item_ids": ["li_book"], "groups": [book]},
            ]
        },
    }


def test_each_package_has_its_own_choices_and_names_its_goods():
    quote = quote_of(checkout(), version=VERSIONS[0], base_url="https://shop.example")
    assert quote.status == "ready"
    assert [(d.group, d.id, d.items, d.selected) for d in quote.deliveries] == [
        ("a/1", "freight", ("lamp",), True),
        ("a/1", "upstairs", ("lamp",), False),
        ("b/1", "post", ("book",), True),
        ("b/1", "express", ("book",), False),
    ]


def test_a_choice_for_one_package_leaves_the_other_as_it_is():
    seen = checkout()
    assert selection(BOTH, BUSINESS, seen) is None
    body = selection(replace(BOTH, deliveries={"a/1": "upstairs"}), BUSINESS, seen)
    assert body is not None
    groups = [method["groups"] for method in body["fulfillment"]["methods"]]
    assert groups == [
        [{"id": "1", "selected_option_id": "upstairs"}],
        [{"id": "1", "selected_option_id": "post"}],
    ]


def test_a_package_is_not_sent_by_what_only_another_has():
    with pytest.raises(PartnerRefused) as refused:
        selection(replace(BOTH, deliveries={"a/1": "express"}), BUSINESS, checkout())
    assert refused.value.code == "unknown_delivery"
