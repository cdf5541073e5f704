"""One table over every protocol: what we do not know is handed off or not done, never guessed.

A quote that says something new is never ready: it goes on at the partner's page where it names one.
An answer to "place it" that says something new is unknown, never a success and never a refusal.
Duffel has no page of ours to go on at; its own table is in test_duffel.py.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from typing import Any

import httpx
import pytest

from integrations.acp import AcpPartner
from integrations.booking import BookingPartner
from integrations.partner import (
    Address,
    Basket,
    BookingDetails,
    Buyer,
    Partner,
    PartnerPayment,
    PartnerRefused,
    PartnerUnknown,
    Quote,
)
from integrations.simulators.events import on_sale
from integrations.ucp_profile import VERSIONS
from tests.integrations.running_merchants import KEY, Running, running
from tests.integrations.ucp_platform import ours, partner_at

ADA = Buyer("Ada", "Lind", "ada@example.com", "+49 30 123456")
HOME = Address("Ada Lind", "Lindenweg 3", "Berlin", "DE", "10999")
TODAY = datetime.now(UTC).date()
PROTOCOLS = ("acp", "booking", *(f"ucp {version}" for version in VERSIONS))
ON = "https://partner.example/go-on"
ENDS = datetime.now(UTC) + timedelta(hours=1)  # the same bytes at every try

Bend = Callable[[dict[str, Any]], None]


class Bent(httpx.AsyncBaseTransport):
    """The partner as it is, but for the answers that tell of a quote: those are bent."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.bend: Bend | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = json.loads(await response.aread())
        if self.bend is not None and {"totals", "status"} <= set(body):
            self.bend(body)
        await response.aclose()
        return httpx.Response(response.status_code, json=body, request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Spoken:
    """A partner in one protocol, what to ask it for, and the transport that bends its answers."""

    partner: Partner
    basket: Basket
    wire: Bent
    evenings: int = 0

    async def quote(self, key: str) -> Quote:
        self.evenings += 1
        basket = self.basket
        if basket.booking is not None:  # a table a test: none takes another one's
            day = basket.booking.date + timedelta(days=self.evenings)
            basket = replace(basket, booking=replace(basket.booking, date=day))
        return await self.partner.quote(basket, key=f"{key}-{self.evenings}")

    async def place(self, quote: Quote) -> Quote:
        payment = PartnerPayment("pi_1", quote.total, "mch", ENDS)
        return await self.partner.place(quote.reference, payment, ADA, key=f"p-{quote.reference}")


@pytest.fixture(scope="module")
async def houses(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Running]]:
    homes = {name: tmp_path_factory.mktemp(name) for name in ("shop", "tables", "tickets")}
    async with (
        running("shop", homes["shop"]) as shop,
        running("tables", homes["tables"]) as tables,
        running("tickets", homes["tickets"]) as tickets,
    ):
        yield {"acp": shop, "booking": tables, "ucp": tickets}


@pytest.fixture(scope="module")
async def spoken(houses: dict[str, Running]) -> AsyncIterator[dict[str, Spoken]]:
    """A client for each protocol, each behind a transport of its own."""
    wires = {name: Bent() for name in PROTOCOLS}
    evening = next(e.id for e in on_sale(TODAY) if e.event.id == "low-tide-quartet")
    dinner = BookingDetails(TODAY + timedelta(days=40), 2, clock(19))
    made: dict[str, Spoken] = {}
    async with ours() as us:
        https = {name: httpx.AsyncClient(transport=wires[name]) for name in PROTOCOLS}
        for name, http in https.items():
            house = houses[name.split()[0]]
            if name == "acp":
                shop = AcpPartner(http, house.url, KEY)
                basket = Basket((("tent-fjell-2", 1),), "EUR", buyer=ADA, address=HOME)
                made[name] = Spoken(shop, basket, wires[name])
            elif name == "booking":
                tables = BookingPartner(http, house.url, KEY)
                basket = Basket((("lupa", 1),), "EUR", buyer=ADA, booking=dinner)
                made[name] = Spoken(tables, basket, wires[name])
            else:
                platform = us.platform(http)
                office = partner_at(house, http, platform, version=name.split()[1])
                made[name] = Spoken(office, Basket(((evening, 1),), "EUR", buyer=ADA), wires[name])
        yield made
        for http in https.values():
            await http.aclose()


@pytest.fixture(params=PROTOCOLS)
def one(request: pytest.FixtureRequest, spoken: dict[str, Spoken]) -> Spoken:
    found = spoken[request.param]
    found.wire.bend = None
    return found


def an_unknown_state(body: dict[str, Any]) -> None:
    body["status"] = "awaiting_moonrise"


def a_missing_currency(body: dict[str, Any]) -> None:
    del body["currency"]


def a_missing_total(body: dict[str, Any]) -> None:
    body["totals"] = [t for t in body["totals"] if t["type"] != "total"]
    body.pop("total", None)


def a_text_for_a_number(body: dict[str, Any]) -> None:
    body["totals"][-1]["amount"] = "many"
    body["total"] = "many"


def another_version(body: dict[str, Any]) -> None:
    """The booking API writes no version into its answers: there it is another state."""
    if "ucp" in body:
        body["ucp"]["version"] = "2031-12-31"
    elif "line_items" in body:
        body["protocol"] = {"version": "2031-12-31"}
    else:
        an_unknown_state(body)


def a_step_for_the_person(body: dict[str, Any]) -> None:
    body["status"] = "requires_escalation" if "line_items" in body else "needs_handoff"


UNKNOWN = (an_unknown_state, a_missing_currency, a_missing_total, a_text_for_a_number,
           another_version)  # fmt: skip


def with_a_page(bend: Bend) -> Bend:
    def made(body: dict[str, Any]) -> None:
        body["continue_url"] = ON
        bend(body)

    return made


def without_a_page(bend: Bend) -> Bend:
    def made(body: dict[str, Any]) -> None:
        body.pop("continue_url", None)
        bend(body)

    return made


async def ends(asked: Awaitable[Quote]) -> tuple[str, str | None]:
    """The state it ended in, or what was raised; and where it goes on."""
    try:
        quote = await asked
    except PartnerRefused as refused:
        return "refused", refused.continue_url
    except PartnerUnknown:
        return "unknown", None
    return quote.status, quote.continue_url if quote.status == "needs_handoff" else None


@pytest.mark.parametrize("bend", [*UNKNOWN, a_step_for_the_person])
async def test_a_quote_that_says_something_new_goes_on_at_the_partners_page(
    one: Spoken, bend: Bend
):
    one.wire.bend = with_a_page(bend)
    state, on = await ends(one.quote(f"on-{bend.__name__}"))
    assert (state in ("needs_handoff", "refused"), on) == (True, ON)


@pytest.mark.parametrize("bend", [*UNKNOWN, a_step_for_the_person])
async def test_without_a_page_to_go_on_at_it_is_not_ready(one: Spoken, bend: Bend):
    one.wire.bend = without_a_page(bend)
    state, on = await ends(one.quote(f"off-{bend.__name__}"))
    assert (state in ("incomplete", "refused", "unknown"), on) == (True, None)


@pytest.mark.parametrize("bend", UNKNOWN)
async def test_an_answer_to_place_it_that_says_something_new_is_unknown(one: Spoken, bend: Bend):
    quote = await one.quote(f"place-{bend.__name__}")
    assert quote.status == "ready"
    last: list[str] = []

    def after_placing(body: dict[str, Any]) -> None:
        if body["status"] == "completed":
            last.append(body["status"])
            without_a_page(bend)(body)
            body.pop("order", None)

    one.wire.bend = after_placing
    assert await ends(one.place(quote)) == ("unknown", None)
    assert last == ["completed"]
    # The same asked again finds what the first request made.
    one.wire.bend = None
    assert (await ends(one.place(quote)))[0] == "completed"


async def test_a_step_that_only_the_person_can_take_places_nothing(one: Spoken):
    quote = await one.quote("escalates")
    one.wire.bend = with_a_page(a_step_for_the_person)
    assert await ends(one.place(quote)) == ("needs_handoff", ON)
    one.wire.bend = None
    assert (await one.partner.read(quote.reference)).status in ("ready", "completed")
