"""Reading sessions: unknown never means ready, sums must agree, text is cleaned."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from integrations.acp_session import STATUSES, quote_of
from integrations.answers import Inconsistent
from integrations.money import Money
from integrations.wire import Unreadable
from tests.integrations.partner_schemas import ACP_DATA, acp_bundle

SHOP = "https://shop.example"


def _total(kind: str, amount: int) -> dict[str, Any]:
    return {"type": kind, "display_text": kind, "amount": amount}


def session(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": "cs_1",
        "status": "ready_for_payment",
        "currency": "eur",
        "line_items": [
            {
                "id": "li_1",
                "item": {"id": "mug"},
                "name": "Mug",
                "quantity": 2,
                "unit_amount": 1000,
                "totals": [_total("items_base_amount", 2000), _total("total", 2000)],
            }
        ],
        "totals": [
            _total("items_base_amount", 2000),
            _total("fulfillment", 490),
            _total("tax", 473),
            _total("total", 2963),
        ],
        "fulfillment_options": [],
        "messages": [],
        "links": [],
        "capabilities": {},
    }
    return copy.deepcopy(base) | changes


def read(**changes: Any):
    return quote_of(session(**changes), base_url=SHOP)


def test_every_status_of_the_schema_is_mapped():
    declared = acp_bundle()["$defs"]["CheckoutSessionBase"]["properties"]["status"]["enum"]
    assert set(STATUSES) == set(declared)
    assert len(declared) == 11


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("incomplete", "incomplete"),
        ("not_ready_for_payment", "incomplete"),
        ("ready_for_payment", "ready"),
        ("requires_escalation", "needs_handoff"),
        ("authentication_required", "needs_handoff"),
        ("pending_approval", "placing"),
        ("in_progress", "placing"),
        ("complete_in_progress", "placing"),
        ("canceled", "canceled"),
        ("expired", "expired"),
    ],
)
def test_a_status_means_the_same_wherever_it_comes_from(word: str, status: str):
    quote = read(status=word, continue_url=f"{SHOP}/go")
    assert quote.status == status
    assert quote.order is None


@pytest.mark.parametrize("word", ["awaiting_moonrise", "READY_FOR_PAYMENT", "", "ready"])
def test_an_unknown_status_is_never_ready(word: str):
    assert read(status=word).status == "incomplete"
    assert read(status=word, continue_url=f"{SHOP}/go").status == "needs_handoff"
    assert [note.code for note in read(status=word).notes] == ["unknown_status"]


def test_an_escalation_without_an_address_is_incomplete():
    for word in ("requires_escalation", "authentication_required"):
        for url in (
            None,
            "javascript:alert(1)",
            "http://elsewhere.example/",
            "https://a@b.example",
        ):
            quote = read(status=word, continue_url=url)
            assert quote.status == "incomplete"
            assert quote.continue_url is None


def test_completed_needs_an_order_with_an_id():
    order = {"id": "ord_9", "checkout_session_id": "cs_1", "permalink_url": f"{SHOP}/o/9"}
    done = read(status="completed", order=order)
    assert done.status == "completed"
    assert done.order is not None
    assert (done.order.id, done.order.permalink_url) == ("ord_9", f"{SHOP}/o/9")
    for missing in (None, {}, {"id": ""}):
        quote = read(status="completed", order=missing)
        assert quote.status == "placing"
        assert quote.order is None
    assert read(order=order).order is None  # an order without completion is no order


def test_a_blocking_error_keeps_a_ready_session_from_being_ready():
    def message(code: str) -> dict[str, Any]:
        return {"type": "error", "code": code, "content_type": "plain", "content": "No."}

    assert read(messages=[message("out_of_stock")]).status == "incomplete"
    assert read(messages=[message("a_code_of_2030")]).status == "incomplete"
    assert read(messages=[message("payment_declined")]).status == "ready"
    warning = {"type": "warning", "code": "low_stock", "content_type": "plain", "content": "Few"}
    assert read(messages=[warning]).status == "ready"


@pytest.mark.parametrize(
    "changes",
    [
        {"totals": [_total("items_base_amount", 2000), _total("total", 1999)]},
        {"totals": [_total("items_base_amount", 1999), _total("total", 1999)]},
        {"totals": [_total("subtotal", 1500), _total("total", 1500)]},
        {"totals": [_total("items_base_amount", 2000)]},
        {"totals": [_total("total", 2000), _total("total", 2000)]},
        {"totals": [_total("items_base_amount", 2000), _total("fee", 1), _total("total", 2000)]},
        {"totals": [_total("surcharge_of_2030", 5), _total("total", 2000)]},
        {"totals": [_total("discount", 3000), _total("total", -1000)]},
        {"currency": "zzz"},
        {"currency": None},
    ],
)
def test_a_session_that_contradicts_itself_is_refused(changes: dict[str, Any]):
    with pytest.raises(Inconsistent) as refused:
        read(**changes)
    assert refused.value.code == "inconsistent_totals"


def test_a_line_whose_amount_is_not_price_times_quantity_is_refused():
    wrong = session()
    wrong["line_items"][0]["totals"][0]["amount"] = 1999
    with pytest.raises(Inconsistent):
        quote_of(wrong, base_url=SHOP)
    without_price = session()
    del without_price["line_items"][0]["unit_amount"]
    assert quote_of(without_price, base_url=SHOP).lines[0].unit == Money(1000, "EUR")


def test_a_completed_session_with_wrong_sums_keeps_its_order_and_says_so():
    totals = [_total("items_base_amount", 2000), _total("total", 9999)]
    quote = read(status="completed", order={"id": "ord_9"}, totals=totals)
    assert quote.status == "completed"
    assert quote.total == Money(9999, "EUR")
    assert [note.code for note in quote.notes] == ["inconsistent_totals"]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"line_items": "none"},
        {"line_items": [1]},
        {"totals": [{"type": "total", "amount": "12"}]},
        {"totals": [{"type": "total", "amount": True}]},
        {"totals": [{"type": "total", "amount": 12.5}]},
        {"totals": [{"type": "total", "amount": 2**60}]},
        {"expires_at": "tomorrow"},
        {"expires_at": "2026-01-01T00:00:00"},
    ],
)
def test_a_malformed_session_is_unreadable(changes: dict[str, Any]):
    with pytest.raises(Unreadable):
        read(**changes)


def test_a_discount_may_stand_before_or_after_the_subtotal():
    after = [_total("subtotal", 2000), _total("discount", 500), _total("total", 1500)]
    before = [
        _total("items_base_amount", 2000),
        _total("discount", 500),
        _total("subtotal", 1500),
        _total("total", 1500),
    ]
    assert read(totals=after).total == read(totals=before).total == Money(1500, "EUR")


def test_numbers_written_as_floats_are_whole_numbers_where_they_are():
    assert read(totals=[_total("total", 2000.0)]).total == Money(2000, "EUR")


def test_hidden_and_endless_merchant_text_is_cleaned():
    hidden = "Mug\u202e\u200b\U000e0041\x00 <b>" + "x" * 5000
    dirty = session()
    dirty["line_items"][0]["name"] = hidden
    message = {"type": "info", "content_type": "plain", "content": "Buy\u2066\n\n10\x07"}
    dirty["messages"] = [message]
    quote = quote_of(dirty, base_url=SHOP)
    assert quote.lines[0].title.startswith("Mug <b>xxx")
    assert len(quote.lines[0].title) == 200
    assert quote.notes[0].text == "Buy 10"


def test_deliveries_dates_and_the_earlier_of_two_ends_are_read():
    option = {
        "type": "shipping",
        "id": "std",
        "title": "Standard",
        "earliest_delivery_time": "2026-11-24T10:00:00Z",
        "totals": [_total("total", 490)],
    }
    quote = read(
        fulfillment_options=[option, {"type": "shipping", "id": "odd", "title": "?", "totals": []}],
        selected_fulfillment_options=[{"type": "shipping", "option_id": "std", "item_ids": []}],
        expires_at="2026-11-22T10:00:00Z",
        quote_expires_at="2026-11-22T09:00:00+02:00",
        links=[{"type": "return_policy", "title": "30 days", "url": f"{SHOP}/r"}],
    )
    assert [(d.id, d.selected, str(d.earliest)) for d in quote.deliveries] == [
        ("std", True, "2026-11-24")
    ]
    assert quote.expires_at is not None
    assert quote.expires_at.isoformat() == "2026-11-22T07:00:00+00:00"
    assert quote.cancellation_policy == "30 days"


def _sessions(value: Any, where: str):
    if isinstance(value, dict):
        if {"line_items", "status", "totals", "fulfillment_options"} <= set(value):
            yield where, value
        for key, inner in value.items():
            yield from _sessions(inner, f"{where}/{key}")


def test_every_session_of_the_official_examples_is_read_and_adds_up():
    paths = sorted((ACP_DATA / "examples").rglob("*.json"))
    assert paths, f"the official examples are needed under {ACP_DATA}"
    found = {}
    for path in paths:
        for where, value in _sessions(json.loads(path.read_text()), Path(path).stem):
            quote = quote_of(value, base_url="https://www.testshop.com")
            found[where] = quote.status
            items = sum(line.amount.amount for line in quote.lines)
            less = {"discount", "items_discount", "store_credit"}
            skip = {"items_base_amount", "subtotal", "total"}
            parts = sum(
                -t.amount.amount if t.type in less else t.amount.amount
                for t in quote.totals
                if t.type not in skip
            )
            assert items + parts == quote.total.amount, where
    assert len(found) == 15
    assert found["examples.agentic_checkout/checkout_session_with_out_of_stock"] == "incomplete"
    assert found["examples.agentic_checkout/complete_checkout_session_response"] == "completed"
    assert "placing" not in found.values()
