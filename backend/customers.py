"""Who a person is at the processor: one customer, made when it is first needed."""

from typing import Any

from backend import subscribers
from backend.auth import UserAccount
from backend.database import Database
from backend.errors import PaymentDeclined, Unavailable
from integrations.billing import Billing
from integrations.payments import PaymentRefused, PaymentUnknown


async def of(database: Database, billing: Billing, user: UserAccount) -> str:
    """The customer's id. Two at once agree on the first that was written down."""
    async with database.transaction() as session:
        row = await subscribers.ensure(session, user.id)
    if row.customer_id is not None:
        return row.customer_id
    made: str = await asked(
        billing.customer(user_id=user.id, email=user.email, key=f"customer:{user.id}")
    )
    async with database.transaction() as session:
        return await subscribers.name(session, user.id, made)


async def asked(call: Any) -> Any:
    """The processor's errors in our words. Nothing was charged by any of these calls."""
    try:
        return await call
    except PaymentUnknown as error:
        raise Unavailable(f"The payment service does not answer: {error.detail}") from error
    except PaymentRefused as error:
        raise PaymentDeclined(error.detail, code=error.code) from error
