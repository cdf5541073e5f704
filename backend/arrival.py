"""A guest who becomes somebody: what they said, bought and were given comes along.

Nothing is copied. The rows change their person in one transaction, the guest's sessions end, and
the guest's account stays behind empty. Allowances that the guest used are not carried over.
"""

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from backend import auth
from backend.auth import UserAccount
from backend.cards import SavedCard
from backend.checkout import Checkout
from backend.errors import Conflict
from backend.orders import PurchaseOrder
from backend.threads import Thread, TurnRow
from quotas import grants


async def bring_along(session: AsyncSession, *, guest_id: str, user_id: str) -> bool:
    """Everything of the guest now belongs to the person. False when there is no such guest."""
    guest = await session.get(UserAccount, guest_id, with_for_update=True)
    if guest is None or not guest.guest or guest.deleted_at is not None or guest_id == user_id:
        return False
    # A client's own thread ids are unique for one person; the account's thread keeps its name.
    named = select(col(Thread.client_id)).where(
        col(Thread.user_id) == user_id, col(Thread.client_id).is_not(None)
    )
    await session.execute(
        update(Thread)
        .where(col(Thread.user_id) == guest_id, col(Thread.client_id).in_(named))
        .values(client_id=None)
    )
    for table in (Thread, TurnRow, Checkout, PurchaseOrder, SavedCard):
        await session.execute(
            update(table).where(col(table.user_id) == guest_id).values(user_id=user_id)
        )
    await grants.hand_over(session, of=guest_id, to=user_id)
    await auth.revoke(session, guest_id)
    gone = update(UserAccount).where(col(UserAccount.id) == guest_id)
    await session.execute(gone.values(deleted_at=func.now()))
    return True


async def settle_in(
    session: AsyncSession, guest_id: str, *, email: str, password_hash: str, name: str
) -> UserAccount:
    """The guest gets an account of their own, in place: the same person with the same history.

    Raises `Conflict` for an address that has an account, or for somebody who is no guest.
    """
    row = await auth.user(session, guest_id)
    if not row.guest:
        raise Conflict("You have an account already", code="not_a_guest")
    row.email, row.password_hash, row.name, row.guest = email.lower(), password_hash, name, False
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(
            "This e-mail address has an account; sign in, and your conversations come along",
            code="email_taken",
        ) from error
    return row
