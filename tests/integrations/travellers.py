"""Who flies in the tests with Duffel, on which offer, and how they pay."""

from datetime import timedelta

from integrations.duffel import DuffelPartner
from integrations.money import Money
from integrations.partner import (
    Basket,
    Buyer,
    PartnerPayment,
    Quote,
)
from tests.integrations.fakes_duffel import NOW

AMELIA = Buyer("Amelia", "Earhart", "amelia@example.com", "+442080160509", "1987-07-24", "f", "mrs")
OFFER = "off_00009htYpSCXrwaB9DnUm0"
FARE = Money(4500, "GBP")
INSTANT = {
    "payment_requirements": {
        "requires_instant_payment": True,
        "payment_required_by": None,
        "price_guarantee_expires_at": None,
    }
}


def seat(buyer: Buyer | None = AMELIA, currency: str = "GBP") -> Basket:
    return Basket(((OFFER, 1),), currency, buyer=buyer)


def pay(quote: Quote) -> PartnerPayment:
    return PartnerPayment("pi_1", quote.total, "mer_1", NOW + timedelta(hours=1))


async def placed(partner: DuffelPartner, quote: Quote) -> Quote:
    return await partner.place(quote.reference, pay(quote), AMELIA, key="place")
