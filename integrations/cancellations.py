"""A partner's cancellation quote: what comes back, what is kept, until when that holds."""

from collections.abc import Mapping
from typing import Any

from integrations.money import Money, MoneyError
from integrations.partner import CancellationQuote
from integrations.wire import Unreadable, integer_at, text_at, time_at


def cancellation_of(value: Mapping[str, Any]) -> CancellationQuote:
    """`{id, refund_amount, fee_amount, currency, expires_at}` as a `CancellationQuote`.

    Raises `Unreadable` for a missing part or a negative amount.
    """
    identifier = text_at(value, "id", 200)
    expires_at = time_at(value, "expires_at")
    if not identifier or expires_at is None:
        raise Unreadable("the cancellation quote has no id or no end")
    currency = text_at(value, "currency", 3).upper()
    try:
        refund = Money(integer_at(value, "refund_amount"), currency)
        fee = Money(integer_at(value, "fee_amount"), currency)
    except MoneyError as error:
        raise Unreadable(str(error)) from error
    if refund.amount < 0 or fee.amount < 0:
        raise Unreadable("a refund and a fee are never negative")
    return CancellationQuote(identifier, refund, fee, expires_at)
