"""What is taped: one walk a client, from the first question to the money back.

A walk asks the same at any time: its keys and its day are given, its ids come from the answers. It
returns what a checkout would have read out of the answers, so that a tape and the thing that was
taped can be held against each other.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx

from integrations.acp import AcpPartner
from integrations.booking import BookingPartner
from integrations.money import Money
from integrations.partner import (
    Address,
    Basket,
    BookingDetails,
    BookingWish,
    Buyer,
    Partner,
    PartnerPayment,
    PartnerRefused,
    Quote,
)
from integrations.payments import Method, PaymentRefused
from integrations.signatures import SigningKey
from integrations.simulators.events import on_sale
from integrations.stripe_payments import StripePayments
from integrations.tls import roots
from integrations.ucp import Platform, UcpPartner
from integrations.ucp_profile import VERSIONS, WELL_KNOWN, Directory
from integrations.ucp_shelf import put_aside, search

ADA = Buyer("Ada", "Lind", "ada@example.com", "+49 30 123456")
HOME = Address("Ada Lind", "Lindenweg 3", "Berlin", "DE", "10999")
STRIPE_KEY = "sk_test_for_tapes"
EURO = Money(12000, "EUR")

Facts = Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Place:
    """Where the walk goes: `profile_url` and `key` are who we are to a UCP business."""

    url: str
    day: date
    merchant_key: str = "k_demo"
    profile_url: str = "https://emptor.example/.well-known/ucp"
    key: SigningKey | None = None


def payment(quote: Quote, day: date) -> PartnerPayment:
    return PartnerPayment("pi_taped", quote.total, "mch_taped", datetime.combine(day, time(), UTC))


def undated(text: str) -> str:
    """An item's id or title without the day it is for, so that another day's walk says the same."""
    return re.sub(r"\d{4}-\d{2}-\d{2}|\w{3} \d{2} \w{3}", "DAY", text)


def facts(said: Mapping[str, Quote]) -> list[tuple[str, Any]]:
    return [
        (
            step,
            (
                quote.status,
                quote.total,
                [(undated(line.item_id), line.quantity) for line in quote.lines],
            ),
        )
        for step, quote in said.items()
    ]


async def nothing(_order_id: str) -> Facts:
    return []


async def bought(
    partner: Partner,
    quote: Quote,
    day: date,
    *,
    meanwhile: Callable[[str], Awaitable[Facts]] = nothing,
) -> Facts:
    """Placed, read, and given back for what the merchant says."""
    done = await partner.place(quote.reference, payment(quote, day), ADA, key="tape:place")
    assert done.order is not None
    order = await partner.order(done.order.id)
    told = await meanwhile(order.id)
    back = await partner.cancellation(order.id, key="tape:cancellation")
    ended = await partner.confirm_cancellation(order.id, back, key="tape:canceled")
    return [
        *facts({"placed": done}),
        ("order", order.status),
        *told,
        ("back", (back.refund, back.fee)),
        ("ended", ended.status),
    ]


async def refused(asked: Awaitable[Any]) -> tuple[str, str]:
    try:
        await asked
    except (PartnerRefused, PaymentRefused) as error:
        return "refused", error.code
    raise AssertionError("that should have been refused")


async def acp(at: Place) -> Facts:
    """A shop by ACP: discounts kept and turned down, another delivery, another basket."""
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        partner = AcpPartner(http, at.url, at.merchant_key)
        basket = Basket(
            (("tent-fjell-2", 1),),
            "EUR",
            buyer=ADA,
            address=HOME,
            delivery_id="express",
            discount_codes=("WELCOME10", "NOPE"),
        )
        first = await partner.quote(basket, key="tape:quote")
        two = replace(basket, lines=(("tent-fjell-2", 2), ("mug-steinzeug", 1)))
        second = await partner.revise(first.reference, two, key="tape:revise")
        again = await partner.read(first.reference)
        dropped = await partner.quote(replace(basket, discount_codes=()), key="tape:other")
        gone = await partner.cancel(dropped.reference, key="tape:drop")
        return [
            *facts({"first": first, "second": second, "again": again, "gone": gone}),
            ("said", [note.code for note in first.notes]),
            ("delivery", [d.id for d in first.deliveries if d.selected]),
            await refused(partner.quote(replace(basket, lines=(("nothing", 1),)), key="tape:no")),
            *await bought(partner, second, at.day),
        ]


async def booking(at: Place) -> Facts:
    """A table by the booking API: searched, moved by an hour, held, booked, one more, canceled."""
    async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
        partner = BookingPartner(http, at.url, at.merchant_key)
        seven = BookingDetails(at.day + timedelta(days=20), 2, time(19))
        found = await partner.search(BookingWish("table", seven, "an Italian place", "Berlin"))
        basket = Basket((("lupa", 1),), "EUR", buyer=ADA, booking=seven)
        first = await partner.quote(basket, key="tape:quote")
        eight = replace(basket, booking=replace(seven, time=time(20)))
        second = await partner.revise(first.reference, eight, key="tape:revise")
        held = await partner.hold(second.reference, key="tape:hold")
        dropped = await partner.quote(basket, key="tape:other")
        gone = await partner.cancel(dropped.reference, key="tape:drop")
        three = replace(basket, booking=replace(seven, time=time(20), party=3))

        async def one_more(order_id: str) -> Facts:
            more = await partner.change(order_id, three, key="tape:change")
            moved = await partner.place(more.reference, payment(more, at.day), ADA, key="tape:move")
            return facts({"more": more, "moved": moved})

        return [
            ("found", found[0].item_id),
            *facts({"first": first, "second": second, "held": held, "gone": gone}),
            ("kept", held.hold_expires_at is not None),
            await refused(partner.quote(replace(basket, lines=(("nothing", 1),)), key="tape:no")),
            *await bought(partner, held, at.day, meanwhile=one_more),
        ]


def ucp(version: str) -> Callable[[Place], Awaitable[Facts]]:
    async def walk(at: Place) -> Facts:
        """Tickets by UCP: found, put into a cart where it has one, posted, paid, given back."""
        async with httpx.AsyncClient(verify=roots(), trust_env=False) as http:
            key = at.key or SigningKey.generate()
            platform = Platform(at.profile_url, key, Directory(http))
            old = "" if version == VERSIONS[0] else f"{WELL_KNOWN}/{version}"
            partner = UcpPartner(http, at.url + old, at.merchant_key, platform=platform)
            evening = next(e.id for e in on_sale(at.day) if e.event.id == "low-tide-quartet")
            basket = Basket(((evening, 2),), "EUR", buyer=ADA, address=HOME)
            told: list[tuple[str, Any]] = []
            cart_id = None
            if version == VERSIONS[0]:
                found = await search(partner, "late jazz", limit=3)
                cart = await put_aside(partner, basket, key="tape:cart")
                cart_id = cart.id
                told = [("found", undated(found[0].title)), ("cart", (len(cart.lines), cart.total))]
            first = await partner.quote(basket, key="tape:quote", cart_id=cart_id)
            posted = replace(basket, delivery_id="post", discount_codes=("bravo",))
            second = await partner.revise(first.reference, posted, key="tape:revise")
            again = await partner.read(first.reference)
            return [
                *told,
                *facts({"first": first, "second": second, "again": again}),
                ("delivery", [d.id for d in second.deliveries if d.selected]),
                await refused(
                    partner.quote(replace(basket, lines=(("nothing", 1),)), key="tape:no")
                ),
                *await bought(partner, second, at.day),
            ]

    return walk


async def stripe(at: Place) -> Facts:
    """A charge with our fee: blocked, captured, part of it back; a decline; a void; a refusal."""
    payments = StripePayments(STRIPE_KEY, "whsec_for_tapes", at.url, retries=0)
    try:
        account = await payments.open_account(
            merchant_id="mer_taped", name="Taped", country="DE", key="tape:account"
        )

        async def block(purchase: str, card: str) -> Any:
            return await payments.authorise(
                purchase_id=purchase,
                amount=EURO,
                method=Method(card),
                destination=account,
                fee=Money(480, "EUR"),
                key=f"{purchase}:authorise",
            )

        blocked = await block("chk_taped_1", "pm_card_visa")
        captured = await payments.capture(blocked.id, key="tape:capture")
        part = Money(2000, "EUR")
        back = await payments.refund(blocked.id, part, with_fee=True, key="tape:refund")
        found = await payments.find("chk_taped_1")
        declined = await block("chk_taped_2", "pm_card_chargeDeclinedInsufficientFunds")
        asking = await block("chk_taped_3", "pm_card_authenticationRequired")
        voided = await payments.void(asking.id, key="tape:void")
        return [
            ("blocked", (blocked.status, blocked.amount, blocked.captured)),
            ("captured", (captured.status, captured.captured, captured.processor_fee)),
            ("back", (back.refunded, back.fee, back.fee_refunded)),
            ("found", found is not None and found.id == blocked.id),
            ("declined", (declined.status, declined.decline_code)),
            ("asking", asking.status),
            ("voided", voided.status),
            await refused(payments.refund(blocked.id, EURO, with_fee=True, key="tape:too-much")),
        ]
    finally:
        await payments.aclose()


@dataclass(frozen=True)
class Taped:
    """A walk, and the simulator that it was taped from."""

    walk: Callable[[Place], Awaitable[Facts]]
    module: str


TAPES: Mapping[str, Taped] = {
    "acp": Taped(acp, "shop"),
    "booking": Taped(booking, "tables"),
    "stripe": Taped(stripe, "stripe"),
    **{f"ucp-{version}": Taped(ucp(version), "tickets") for version in VERSIONS},
}
