"""What the processor refuses, and how it says so: amounts, currencies, cards, parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from babel.numbers import list_currencies

from integrations.money import processor_exponent

AMOUNT_MAX = 99_999_999
_CURRENCIES = frozenset(code.lower() for code in list_currencies())
_WHOLE_UNITS = frozenset({"isk", "ugx"})
_MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "chf": 50, "sek": 300, "nok": 300, "dkk": 250}
_MINIMUM |= {"jpy": 50, "hkd": 400, "mxn": 1000, "pln": 200, "huf": 17500, "czk": 1500}


class ApiError(Exception):
    """An answer other than 2xx. `keep`: what was done so far stays (a declined charge does)."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type_: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.keep = keep
        named = {"type": type_, "message": message, "code": code, "param": param, **extra}
        self.body = {"error": {name: value for name, value in named.items() if value is not None}}


def missing(kind: str, id_: str, *, param: str | None = None) -> ApiError:
    return ApiError(
        f"No such {kind}: '{id_}'",
        status=404 if param is None else 400,
        code="resource_missing",
        param=param or "id",
    )


def only(params: Mapping[str, Any], known: str) -> None:
    """A parameter that nobody knows is an error there, so it is here. `known`: names, spaced."""
    names = known.split()
    for name in params:
        if name not in names and name != "expand":
            raise ApiError(
                f"Received unknown parameter: {name}", code="parameter_unknown", param=name
            )


def text(params: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    value = params.get(name)
    if value is None or value == "":
        if required:
            raise ApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)
        return None
    if not isinstance(value, str):
        raise ApiError(f"Invalid string: {name}", code="parameter_invalid_string", param=name)
    return value


def whole(params: Mapping[str, Any], name: str) -> int | None:
    value = text(params, name)
    if value is None:
        return None
    if not value.lstrip("-").isdecimal():
        raise ApiError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    return int(value)


def flag(params: Mapping[str, Any], name: str) -> bool:
    value = text(params, name)
    if value is None or value.lower() == "false":
        return False
    if value.lower() == "true":
        return True
    raise ApiError(f"Invalid boolean: {value}", param=name)


def mapping(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = params.get(name) or {}
    if not isinstance(value, dict):
        raise ApiError("Invalid object", param=name)
    return value


def metadata(params: Mapping[str, Any], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """Merged into what was there; an empty value removes its key. 50 keys of 40, 500 a value."""
    merged = dict(before or {})
    for key, value in mapping(params, "metadata").items():
        if len(key) > 40 or not isinstance(value, str) or len(value) > 500:
            raise ApiError("Metadata keys have 40 characters, values 500", param="metadata")
        merged[key] = value
    kept = {key: value for key, value in merged.items() if value}
    if len(kept) > 50:
        raise ApiError("Metadata can have up to 50 keys", param="metadata")
    return kept


def allowed_types(params: Mapping[str, Any]) -> list[str]:
    """Which kinds of payment are let in. The old parameter went with 2026-09-30."""
    if "payment_method_types" in params:
        raise ApiError(
            "The payment_method_types parameter is gone; see allowed_payment_method_types.",
            code="payment_method_types_no_longer_supported",
            param="payment_method_types",
        )
    types: Any = params.get("allowed_payment_method_types") or []
    if types and types != ["card"]:
        raise ApiError("Only cards are simulated.", param="allowed_payment_method_types")
    return list(types)


def currency(params: Mapping[str, Any]) -> str:
    code = (text(params, "currency", required=True) or "").lower()
    if code not in _CURRENCIES:
        raise ApiError(f"Invalid currency: {code}", param="currency")
    return code


def check_amount(amount: int, code: str, *, param: str = "amount") -> None:
    if amount < 1:
        raise ApiError(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param=param,
        )
    check_step(amount, code, param=param)
    if amount < _MINIMUM.get(code, 1):
        raise ApiError(
            f"Amount must be at least {_MINIMUM[code]} {code}", code="amount_too_small", param=param
        )
    if amount > AMOUNT_MAX:
        raise ApiError(
            f"Amount must be no more than {AMOUNT_MAX}", code="amount_too_large", param=param
        )


def check_step(amount: int, code: str, *, param: str) -> None:
    """ISK and UGX count in hundredths that must be zero; three-decimal currencies in tens."""
    step = 100 if code in _WHOLE_UNITS else 10 if processor_exponent(code.upper()) == 3 else 1
    if amount % step:
        raise ApiError(
            f"Amounts in {code} must be divisible by {step}; {amount} is not.",
            code="parameter_invalid_integer",
            param=param,
        )


@dataclass(frozen=True, slots=True)
class Card:
    """How one of the published test cards behaves. `decline` is the decline code."""

    brand: str
    last4: str
    decline: str | None = None
    authenticate: bool = False


_DECLINE_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}
# Only these have a code of their own; every other decline is `card_declined`.
_OWN_CODE = frozenset({"expired_card", "incorrect_cvc", "processing_error", "incorrect_number"})

CARDS_BY_NUMBER = {
    "4242424242424242": Card("visa", "4242"),
    "4000056655665556": Card("visa", "5556"),
    "5555555555554444": Card("mastercard", "4444"),
    "378282246310005": Card("amex", "0005"),
    "6200000000000005": Card("unionpay", "0005"),
    "4000000000000077": Card("visa", "0077"),
    "4000000000000002": Card("visa", "0002", "generic_decline"),
    "4000000000009995": Card("visa", "9995", "insufficient_funds"),
    "4000000000009987": Card("visa", "9987", "lost_card"),
    "4000000000009979": Card("visa", "9979", "stolen_card"),
    "4000000000000069": Card("visa", "0069", "expired_card"),
    "4000000000000127": Card("visa", "0127", "incorrect_cvc"),
    "4000000000000119": Card("visa", "0119", "processing_error"),
    "4000000000006975": Card("visa", "6975", "card_velocity_exceeded"),
    "4000000000000341": Card("visa", "0341", "generic_decline"),
    "4000002500003155": Card("visa", "3155", authenticate=True),
    "4000002760003184": Card("visa", "3184", authenticate=True),
    "4000000000003220": Card("visa", "3220", authenticate=True),
    "4000008260003178": Card("visa", "3178", "insufficient_funds", authenticate=True),
    "4000008400001629": Card("visa", "1629", "generic_decline", authenticate=True),
}
_NUMBER_BY_TOKEN = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_debit": "4000056655665556",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_unionpay": "6200000000000005",
    "pm_card_bypassPending": "4000000000000077",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_visa_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_threeDSecure2Required": "4000000000003220",
    "pm_card_threeDSecureRequired": "4000000000003220",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "pm_card_threeDSecureRequiredChargeDeclined": "4000008400001629",
}


def test_card_number(token: str) -> str | None:
    return _NUMBER_BY_TOKEN.get(token)


def decline(card: Card) -> dict[str, str]:
    """The error's words for a card that says no: code, decline_code, message."""
    reason = card.decline or "generic_decline"
    return {
        "code": reason if reason in _OWN_CODE else "card_declined",
        "decline_code": reason,
        "message": _DECLINE_MESSAGES.get(reason, "Your card was declined."),
    }
