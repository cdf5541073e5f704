"""The till's ports, filled from the tables: who sells, what an offer id means, who pays how."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import httpx

from backend import auth, cards, merchants
from backend.auth import UserAccount
from backend.catalogue import Catalogue, Resolved
from backend.database import Database
from backend.merchants import Merchant
from backend.till import Item, Profile, Seller, Till
from backend.vault import Vault
from integrations.booking import BookingPartner
from integrations.duffel import DuffelPartner
from integrations.partner import Address, BookingSearch, Buyer, Partner
from integrations.payments import Delegate, Method, Payments
from integrations.ucp import Platform

Client = Callable[[Merchant], merchants.Client]
SAVED = ("", "default")


def clients(vault: Vault, http: httpx.AsyncClient, ucp: Platform | None = None) -> Client:
    """A client for a merchant in its own protocol, through the guarded address book."""

    def client(row: Merchant) -> merchants.Client:
        return merchants.partner_for(row, http=http, vault=vault, ucp=ucp)

    return client


def searchers(client: Client) -> Callable[[Merchant], BookingSearch]:
    """The live search of a merchant that sells by date; others have none."""

    def searcher(row: Merchant) -> BookingSearch:
        made = client(row)
        assert isinstance(made, BookingPartner | DuffelPartner)
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
        disclosure_zh=merchants.disclosure(row, "zh"),
    )


@dataclass(frozen=True, slots=True)
class Ports:
    """What the till asks. Each port reads in a transaction of its own, so none spans a call out."""

    database: Database
    catalogue: Catalogue
    client: Client
    vault: Vault

    def till(
        self, payments: Payments, *, public_url: str, delegate: Delegate | None = None
    ) -> Till:
        return Till(
            database=self.database,
            payments=payments,
            partner_for=self.partner_for,
            seller_for=self.seller_for,
            items_for=self.items_for,
            profile_for=self.profile_for,
            saved_method=self.saved_method,
            webhook_secret=self.webhook_secret,
            mark=self.vault.mark,
            delegate=delegate,
            public_url=public_url,
        )

    async def partner_for(self, merchant_id: str) -> Partner:
        return self.client(await self._merchant(merchant_id))

    async def seller_for(self, merchant_id: str) -> Seller:
        return seller(await self._merchant(merchant_id))

    async def items_for(self, offer_ids: Sequence[str]) -> Mapping[str, Item]:
        resolved = await self.catalogue.resolve(offer_ids)
        return {offer_id: _item(found) for offer_id, found in resolved.items()}

    async def profile_for(self, user_id: str) -> Profile:
        row = await self._person(user_id)
        return Profile(
            buyer=Buyer(**row.buyer) if row.buyer else None,
            address=Address(**row.address) if row.address else None,
        )

    async def saved_method(self, user_id: str, method_id: str) -> Method | None:
        """One that this person keeps. Unnamed: the one on file, else the newest card."""
        row = await self._person(user_id)
        if row.payment_token is not None and method_id in (*SAVED, row.payment_token):
            return Method(row.payment_token)
        async with self.database.transaction() as session:
            kept = await cards.saved(session, user_id)
        fits = (one for one in kept if method_id in (*SAVED, one.id))
        found = next(fits, None)
        return cards.method(found) if found is not None else None

    async def webhook_secret(self, merchant_id: str) -> str | None:
        return merchants.webhook_secret(await self._merchant(merchant_id), self.vault)

    async def _merchant(self, merchant_id: str) -> Merchant:
        async with self.database.transaction() as session:
            return await merchants.fetch(session, merchant_id)

    async def _person(self, user_id: str) -> UserAccount:
        async with self.database.transaction() as session:
            return await auth.user(session, user_id)


def _item(found: Resolved) -> Item:
    return Item(**{field.name: getattr(found, field.name) for field in fields(Item)})
