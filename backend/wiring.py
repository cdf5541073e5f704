"""The till's ports, filled from the tables: who sells, what an offer id means, who pays how."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

import httpx

from backend import auth, merchants
from backend.catalogue import Catalogue, Resolved
from backend.database import Database
from backend.merchants import Merchant
from backend.till import Item, Profile, Seller, Till
from backend.vault import Vault
from integrations.acp import AcpPartner
from integrations.booking import BookingPartner
from integrations.partner import Address, BookingSearch, Buyer, Partner
from integrations.payments import Method, Payments

Client = Callable[[Merchant], AcpPartner | BookingPartner]
SAVED = ("", "default")


def clients(vault: Vault, http: httpx.AsyncClient) -> Client:
    """A client for a merchant in its own protocol, through the guarded address book."""

    def client(row: Merchant) -> AcpPartner | BookingPartner:
        return merchants.partner_for(row, http=http, vault=vault)

    return client


def searchers(client: Client) -> Callable[[Merchant], BookingSearch]:
    """The live search of a merchant that speaks the booking API; others have none."""

    def searcher(row: Merchant) -> BookingSearch:
        made = client(row)
        assert isinstance(made, BookingPartner)
        return made

    return searcher


def seller(row: Merchant) -> Seller:
    """A merchant as the checkout needs it."""
    return Seller(
        id=row.id,
        name=row.name,
        merchant_of_record=row.name,
        settlement=row.settlement,  # type: ignore[arg-type]
        commission=merchants.commission(row),
        disclosure=merchants.disclosure(row),
        destination=row.stripe_account,
        open=row.status == "live",
    )


def till(
    database: Database,
    payments: Payments,
    catalogue: Catalogue,
    client: Client,
    *,
    vault: Vault,
    public_url: str,
) -> Till:
    """Every port reads in a transaction of its own, so none spans a call to the outside."""

    async def merchant(merchant_id: str) -> Merchant:
        async with database.transaction() as session:
            return await merchants.fetch(session, merchant_id)

    async def partner_for(merchant_id: str) -> Partner:
        return client(await merchant(merchant_id))

    async def seller_for(merchant_id: str) -> Seller:
        return seller(await merchant(merchant_id))

    async def items_for(offer_ids: Sequence[str]) -> Mapping[str, Item]:
        resolved = await catalogue.resolve(offer_ids)
        return {offer_id: _item(found) for offer_id, found in resolved.items()}

    async def profile_for(user_id: str) -> Profile:
        async with database.transaction() as session:
            row = await auth.user(session, user_id)
        return Profile(
            buyer=Buyer(**row.buyer) if row.buyer else None,
            address=Address(**row.address) if row.address else None,
        )

    async def saved_method(user_id: str, method_id: str) -> Method | None:
        async with database.transaction() as session:
            row = await auth.user(session, user_id)
        if row.payment_token is None or method_id not in (*SAVED, row.payment_token):
            return None
        return Method(row.payment_token)

    async def webhook_secret(merchant_id: str) -> str | None:
        return merchants.webhook_secret(await merchant(merchant_id), vault)

    return Till(
        database=database,
        payments=payments,
        partner_for=partner_for,
        seller_for=seller_for,
        items_for=items_for,
        profile_for=profile_for,
        saved_method=saved_method,
        webhook_secret=webhook_secret,
        public_url=public_url,
    )


def _item(found: Resolved) -> Item:
    return Item(**{field.name: getattr(found, field.name) for field in fields(Item)})
