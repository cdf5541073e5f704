"""Reading quotes of the booking API: never more than the partner says."""

from typing import Any

import pytest

from integrations.answers import Inconsistent
from integrations.booking import quote_of
from integrations.wire import Unreadable


def _quote(**changes: Any) -> dict[str, Any]:
    return {
        "id": "q_1",
        "status": "ready",
        "lines": [{"item_id": "t", "title": "T", "quantity": 1, "unit_amount": 10, "amount": 10}],
        "totals": [{"type": "total", "label": "Total", "amount": 10}],
        "total": 10,
        "currency": "EUR",
        "booking": {"date": "2026-12-01", "party": 2},
        "price_guaranteed_until": "2026-12-01T10:00:00Z",
        "cancellation_policy": "None.",
        "messages": [],
    } | changes


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "ready"),
        ({"status": "held"}, "ready"),
        ({"status": "placing"}, "placing"),
        ({"status": "completed"}, "placing"),
        ({"status": "completed", "order": {"id": "bk_1"}}, "completed"),
        ({"status": "needs_handoff"}, "incomplete"),
        ({"status": "needs_handoff", "continue_url": "https://p.example/x"}, "needs_handoff"),
        ({"status": "of_2030"}, "incomplete"),
        ({"status": "expired"}, "expired"),
        ({"messages": [{"severity": "error", "code": "closed", "text": "No"}]}, "incomplete"),
        ({"messages": [{"severity": "of_2030", "code": "x", "text": "Hm"}]}, "ready"),
    ],
)
def test_a_state_is_never_more_than_it_says(changes: dict[str, Any], status: str):
    assert quote_of(_quote(**changes), base_url="https://p.example").status == status


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"total": 11}, Inconsistent),
        ({"total": -10, "totals": []}, Inconsistent),
        ({"currency": "eur"}, Inconsistent),
        ({"totals": [{"type": "fee", "label": "F", "amount": 1}]}, Inconsistent),
        ({"totals": [{"type": "items_base_amount", "label": "F", "amount": 9}]}, Inconsistent),
        ({"id": ""}, Unreadable),
        ({"total": "10"}, Unreadable),
        ({"lines": {}}, Unreadable),
        ({"pay_by": "soon"}, Unreadable),
    ],
)
def test_a_quote_that_contradicts_itself_or_the_document_is_refused(
    changes: dict[str, Any], error: type[Exception]
):
    with pytest.raises(error):
        quote_of(_quote(**changes), base_url="https://p.example")
