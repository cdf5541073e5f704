"""`payment_method` as contract §7 has it, from the page, an API client or an AG-UI resume."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from backend.api.strict import Strict
from backend.errors import Unprocessable
from backend.masking import mask_cards
from backend.till import Till
from integrations.payments import Method


def _no_number(token: str) -> str:
    if mask_cards(token) != token:
        raise ValueError("a card number is never sent here")
    return token


class Card(Strict):
    """`token` is a payment method id of the processor. A card number is never sent here."""

    type: Literal["card"]
    token: Annotated[
        str,
        Field(min_length=1, max_length=200, pattern=r"^[A-Za-z]+_[A-Za-z0-9_]+$"),
        AfterValidator(_no_number),
    ]


class Saved(Strict):
    type: Literal["saved"]
    id: Annotated[str, Field(min_length=1, max_length=200)]


PaymentMethod = Annotated[Card | Saved, Field(discriminator="type")]
_ANY: TypeAdapter[Card | Saved] = TypeAdapter(PaymentMethod)


async def method_for(till: Till, user_id: str, sent: Any) -> Method | None:
    """What the processor takes. None stays None: not everything confirmed is charged by us.

    Raises `Unprocessable` for another shape or a saved method that is not this person's.
    """
    if sent is None:
        return None
    try:
        method = sent if isinstance(sent, Card | Saved) else _ANY.validate_python(sent)
    except ValidationError as error:
        raise Unprocessable(
            'payment_method is {"type":"card","token":…} or {"type":"saved","id":…}',
            code="invalid_request",
        ) from error
    if isinstance(method, Card):
        return Method(token=method.token)
    saved = await till.saved_method(user_id, method.id)
    if saved is None:
        raise Unprocessable("There is no saved payment method with this id", code="unknown_method")
    return saved
