"""A till between one shop, one restaurant and one processor, all behind one gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from typing import Any

from sqlalchemy import text

from backend.database import Database
from backend.fees import Commission
from backend.till import Item, Profile, Seller, Till
from backend.vault import Vault
from integrations.money import Money
from integrations.partner import (
    Address,
    BookingDetails,
    Buyer,
)
from integrations.payments import (
    Method,
)
from tests.backend.fakes_gate import Gate, GatedDatabase
from tests.backend.fakes_partner import FakePartner
from tests.backend.fakes_payments import FakePayments

BUYER = Buyer("Ada", "Lovelace", "ada@example.com", "+44 20 0000")
HOME = Address("Ada Lovelace", "1 Analytical Street", "London", "GB", "N1 9GU")


async def no_pause(_seconds: float) -> None:
    """Waiting is for real servers."""


@dataclass
class World:
    """One shop, one restaurant, one processor and a till between them."""

    database: Database
    gate: Gate
    payments: FakePayments
    shop: FakePartner
    restaurant: FakePartner
    till: Till
    sellers: dict[str, Seller]
    profiles: dict[str, Profile]
    saved: dict[tuple[str, str], Method]
    vault: Vault | None = None

    @classmethod
    def on(cls, database: Database, *, wait_s: float = 0.0) -> "World":
        gate = Gate()
        gated = GatedDatabase(database.url, pool_size=8)
        gated.gate = gate
        payments = FakePayments(gate)
        shop = FakePartner(gate)
        restaurant = FakePartner(gate, books=True)
        sellers = {
            "mer_shop": Seller(
                "mer_shop",
                "Kiln & Co",
                "Kiln & Co Ltd",
                "platform",
                Commission(500, 0, "EUR"),
                "We earn a commission.",
                "acct_kiln",
            ),
            "mer_table": Seller(
                "mer_table",
                "Trattoria Uno",
                "Trattoria Uno SRL",
                "platform",
                Commission(800, 0, "EUR"),
                "We earn a commission.",
                "acct_uno",
            ),
        }
        world = cls(gated, gate, payments, shop, restaurant, None, sellers, {}, {})  # type: ignore[arg-type]
        world.profiles["usr_ada"] = Profile(BUYER, HOME)
        world.till = Till(
            database=gated,
            payments=payments,
            partner_for=world.partner_for,
            seller_for=world.seller_for,
            items_for=world.items_for,
            profile_for=world.profile_for,
            saved_method=world.saved_method,
            webhook_secret=world.webhook_secret,
            public_url="http://emptor.test",
            wait_s=wait_s,
            pause=no_pause,
        )
        return world

    async def partner_for(self, merchant_id: str) -> FakePartner:
        return {"mer_shop": self.shop, "mer_table": self.restaurant}[merchant_id]

    async def seller_for(self, merchant_id: str) -> Seller:
        return self.sellers[merchant_id]

    async def items_for(self, offer_ids: Sequence[str]) -> Mapping[str, Item]:
        euros = {"off_mug": ("mug", 1250), "off_pot": ("pot", 4800)}
        known: dict[str, Item] = {
            offer: Item(offer, "mer_shop", item, item, "purchase", Money(price, "EUR"))
            for offer, (item, price) in euros.items()
        }
        dinner = BookingDetails(date(2026, 12, 24), 2, time(19, 0))
        known["off_table"] = Item(
            "off_table", "mer_table", "table-2", "Table", "booking", Money(3000, "EUR"), dinner
        )
        known["off_site"] = Item(
            "off_site",
            "mer_site",
            "lamp",
            "Lamp",
            "purchase",
            Money(9900, "EUR"),
            handoff_url="https://lamps.example/lamp?ref=emptor",
        )
        return {offer_id: known[offer_id] for offer_id in offer_ids if offer_id in known}

    async def profile_for(self, user_id: str) -> Profile:
        return self.profiles.get(user_id, Profile())

    async def saved_method(self, user_id: str, method_id: str) -> Method | None:
        return self.saved.get((user_id, method_id))

    async def webhook_secret(self, merchant_id: str) -> str | None:
        return f"whsec_{merchant_id}" if merchant_id in self.sellers else None

    async def pass_time(self) -> None:
        """Every lease and pause is over, as after half a minute."""
        async with Database.transaction(self.database) as session:
            for table in ("checkout", "order_refund"):
                await session.execute(
                    text(
                        f"UPDATE {table} SET lease_until = now() - interval '1 second'"  # noqa: S608
                        " WHERE lease_until IS NOT NULL"
                    )
                )
                await session.execute(
                    text(
                        f"UPDATE {table} SET next_drive_at = now() - interval '1 second'"  # noqa: S608
                        " WHERE next_drive_at IS NOT NULL"
                    )
                )
            await session.execute(
                text("UPDATE checkout SET release_at = now() WHERE release_at IS NOT NULL")
            )


def moved(world: World, **changes: Any) -> Till:
    """The till with some ports changed."""
    return replace(world.till, **changes)
