"""The till's ports, filled from the tables: who sells, what an offer id means, who pays how."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import httpx

from backend import auth, catalogue, merchants
from backend.database import Database
from backend.till import Item, Profile, Seller, Till
from backend.vault import Vault
from integrations.partner import Address, Buyer, Partner
from integrations.payments import Method, Payments

PartnerFor = Callable[[str], Awaitable[Partner]]


def partners(database: Database, vault: Vault, http: httpx.AsyncClient) -> PartnerFor:
    """A client for a merchant in its own protocol, by id."""

    async def partner_for(merchant_id: str) -> Partner:
        async with database.transaction() as session:
            row = await merchants.fetch(session, merchant_id)
        return merchants.partner_for(row, http=http, vault=vault)

    return partner_for


def till(
    database: Database,
    payments: Payments,
    partner_for: PartnerFor,
    *,
    vault: Vault,
    public_url: str,
) -> Till:
    async def seller_for(merchant_id: str) -> Seller:
        async with database.transaction() as session:
            return merchants.seller(await merchants.fetch(session, merchant_id))

    async def items_for(offer_ids: Sequence[str]) -> Mapping[str, Item]:
        async with database.transaction() as session:
            return await catalogue.items(session, offer_ids)

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
        if row.payment_token is None or method_id not in ("", "default", row.payment_token):
            return None
        return Method(row.payment_token)

    async def webhook_secret(merchant_id: str) -> str | None:
        async with database.transaction() as session:
            row = await merchants.find(session, merchant_id)
        return vault.open(row.webhook_secret) if row and row.webhook_secret else None

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
