"""Order events as our published booking API has them: taken in like those of ACP."""

import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.backend.buying import books, incidents
from tests.backend.place import CARD, JSON, Place
from tests.integrations.partner_schemas import booking as schema
from tests.integrations.partner_schemas import booking_document, valid

DINNER = {"lines": [{"offer_id": "off_table", "quantity": 1}]}


def example(of: dict[str, Any]) -> Any:
    """A value of the schema, with all that it names, optional or not."""
    document = booking_document()
    if "$ref" in of:
        return example(document["components"]["schemas"][of["$ref"].rsplit("/", 1)[1]])
    match of["type"]:
        case "object":
            return {name: example(one) for name, one in of["properties"].items()}
        case "array":
            return [example(of["items"])]
        case "integer":
            return of.get("minimum", 1)
    formats = {"date": "2031-05-02", "date-time": "2026-01-01T10:00:00Z"}
    formats |= {"uri": "https://table.example/o"}
    if "format" in of:
        return formats[of["format"]]
    patterned = {"^[A-Z]{3}$": "EUR", "^([01][0-9]|2[0-3]):[0-5][0-9]$": "19:30"}
    return patterned.get(of.get("pattern", ""), of.get("examples", ["any"])[0])


def event(order: dict[str, Any], name: str = "evt_1", **told: Any) -> dict[str, Any]:
    """The published event about our order, as it stands after what is `told`."""
    document = booking_document()
    webhook = document["webhooks"]["orderEvent"]["post"]["requestBody"]["content"]
    made: dict[str, Any] = example(webhook["application/json"]["schema"])
    made |= {"id": name, "created_at": datetime.now(UTC).isoformat()}
    made["order"] |= {"id": order["merchant_order_id"], "total": order["total"], "refunded": 0}
    made["order"] |= {"status": "confirmed", "currency": "EUR", "booking": order["booking"]}
    made["order"]["totals"] = [{"type": "total", "label": "Total", "amount": order["total"]}]
    made["order"] |= told
    valid(schema("OrderEvent"), made)
    return made


async def tell(place: Place, said: dict[str, Any], *, at: float | None = None) -> httpx.Response:
    body = json.dumps(said).encode()
    moment = str(int(at or time.time())).encode()
    made = hmac.new(b"whsec_mer_table", moment + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Merchant-Signature": f"t={moment.decode()},v1={made}", **JSON}
    path = "/agentic_checkout/webhooks/order_events"
    return await place.ada.post(path, content=body, headers=headers)


@pytest.fixture
async def record(place: Place) -> Place:
    """The restaurant is merchant of record: it charges, and owes us the commission."""
    seller = place.world.sellers["mer_table"]
    place.world.sellers["mer_table"] = replace(seller, settlement="merchant", destination=None)
    return place


async def dined(place: Place) -> dict[str, Any]:
    answer = await place.confirm(await place.quoted(DINNER), method=CARD)
    assert answer.status_code == 200, answer.text
    return await place.shown(answer.json()["order_id"])


def quote_of(place: Place) -> str:
    (found,) = place.world.restaurant.sessions
    return str(found)


async def owed(place: Place) -> int:
    return (await books(place.world)).get("receivable:merchant:mer_table", 0)


async def test_an_event_is_taken_in_once_whenever_it_was_signed(place):
    order = await dined(place)
    said = event(order, quote_id=quote_of(place), status="fulfilled")
    answers = [await tell(place, said, at=time.time() - back) for back in (0, 5, 9)]
    assert [a.status_code for a in answers] == [200, 200, 200], answers[0].text
    assert [a.json()["duplicate"] for a in answers] == [False, True, True]
    assert (await place.shown(order["id"]))["state"] == "fulfilled"


async def test_its_sender_is_found_by_the_orders_own_number_too(place):
    order = await dined(place)
    said = event(order, quote_id="a_quote_of_its_own", status="fulfilled")
    assert (await tell(place, said)).status_code == 200
    assert (await place.shown(order["id"]))["state"] == "fulfilled"
    other = event(order, "evt_2", id="M-999", quote_id="a_quote_of_its_own")
    assert (await tell(place, other)).status_code == 401


async def test_what_came_back_takes_our_fee_back_in_proportion_once(record):
    order = await dined(record)
    fee = await owed(record)
    for number in range(2):
        said = event(order, f"evt_{number}", quote_id=quote_of(record), refunded=1000)
        assert (await tell(record, said)).is_success
    shown = await record.shown(order["id"])
    assert (shown["state"], shown["refunded"]) == ("partially_refunded", 1000)
    assert await owed(record) == fee - round(fee * 1000 / order["total"])
    assert await incidents(record.world) == []


async def test_a_canceled_booking_gives_back_what_it_says_and_the_rest_when_it_says_so(record):
    order = await dined(record)
    fee, total = await owed(record), order["total"]
    for number, back in enumerate((total - 900, total - 900, total)):
        said = event(order, f"evt_{number}", status="canceled", refunded=back)
        assert (await tell(record, said)).is_success
        shown = await record.shown(order["id"])
        assert (shown["state"], shown["refunded"]) == ("canceled", back)
        assert await owed(record) == fee - round(fee * back / total)
    assert await incidents(record.world) == []


@pytest.mark.parametrize("wrong", [{"currency": "USD", "refunded": 5}, {"refunded": 10**6}])
async def test_sums_that_cannot_be_right_are_a_persons_matter(record, wrong):
    order = await dined(record)
    before = await owed(record)
    assert (await tell(record, event(order, **wrong))).is_success
    assert (await record.shown(order["id"]))["refunded"] == 0
    assert await owed(record) == before
    assert await incidents(record.world) == ["total_mismatch"]


async def test_what_a_platform_merchant_gave_back_and_canceled_alone_is_a_persons_matter(place):
    order = await dined(place)
    assert (await tell(place, event(order, status="canceled", refunded=order["total"]))).is_success
    assert (await place.shown(order["id"]))["refunded"] == 0
    assert set(await incidents(place.world)) == {"merchant_canceled", "merchant_refunded"}


async def test_a_booking_that_the_merchant_moved_is_told_as_it_is_now(place):
    order = await dined(place)
    moved = {**order["booking"], "party": 3, "date": "2031-06-01"}
    assert (await tell(place, event(order, booking=moved))).is_success
    shown = await place.shown(order["id"])
    assert (shown["booking"], shown["total"]) == (moved, order["total"])
    assert shown["events"][-1]["type"] == "changed"
    late = event(order, "evt_0")
    late["created_at"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert (await tell(place, late)).is_success
    assert (await place.shown(order["id"]))["booking"] == moved


@pytest.mark.parametrize(
    "change", [{"id": ""}, {"id": 7}, {"id": "x" * 201}, {"order": []}, {"type": None}]
)
async def test_an_event_of_neither_form_is_refused_in_words(place, change):
    said = event(await dined(place)) | change
    answer = await tell(place, said)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(("id: ", "An order event is "))
