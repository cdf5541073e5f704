"""Every error the surface can answer, with its status and code. Knows no web framework.

AppError
├── BadRequest 400
│   └── IdempotencyKeyRequired 400
├── Unauthenticated 401
├── PaymentDeclined 402
│   └── AuthenticationRequired 402
├── Forbidden 403
├── NotFound 404
├── Conflict 409
│   ├── OfferChanged 409
│   ├── OfferExpired 409
│   ├── AlreadyCanceled 409
│   ├── OrderDisputed 409
│   └── IdempotencyInFlight 409
├── PayloadTooLarge 413
├── Unprocessable 422
│   ├── ConfirmationMismatch 422
│   └── IdempotencyConflict 422
├── TooManyRequests 429
│   └── QuotaExhausted 429
├── UpstreamFailed 502
│   ├── ModelFailed 502
│   └── MerchantFailed 502
└── Unavailable 503

`api/problems.py` turns them into RFC 9457 problem documents or OpenAI's error shape.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class AppError(Exception):
    """`detail` says what to do. `extra` is merged into the document, `headers` into the answer."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = list(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
        self.param = param
        self.specific_code = code or self.code


class BadRequest(AppError):
    status = 400
    code = "invalid_request"
    title = "The request cannot be understood"


class IdempotencyKeyRequired(BadRequest):
    code = "idempotency_key_required"
    title = "Send an Idempotency-Key header: this request moves money"


class Unauthenticated(AppError):
    status = 401
    code = "invalid_api_key"
    title = "Send a valid key as `Authorization: Bearer KEY`, or sign in"


class PaymentDeclined(AppError):
    status = 402
    code = "payment_declined"
    title = "The payment was declined; use another payment method"


class AuthenticationRequired(PaymentDeclined):
    code = "authentication_required"
    title = "The bank asks the card holder to confirm the payment"


class Forbidden(AppError):
    status = 403
    code = "forbidden"
    title = "This key's role may not do that"


class NotFound(AppError):
    status = 404
    code = "not_found"
    title = "There is nothing of yours at this address"


class Conflict(AppError):
    status = 409
    code = "conflict"
    title = "The current state does not allow that"


class OfferChanged(Conflict):
    code = "offer_changed"
    title = "The merchant changed the offer; nothing was charged. Look at the new one"


class OfferExpired(Conflict):
    code = "offer_expired"
    title = "The offer has expired; nothing was charged. Ask for a new one"


class AlreadyCanceled(Conflict):
    code = "already_canceled"
    title = "This has been canceled already"


class OrderDisputed(Conflict):
    code = "order_disputed"
    title = "The card holder's bank decides about this charge: nothing more of it can be refunded"


class IdempotencyInFlight(Conflict):
    code = "idempotency_in_flight"
    title = "The first request with this key is still running; try again shortly"


class PayloadTooLarge(AppError):
    status = 413
    code = "payload_too_large"
    title = "The body is larger than this address takes"


class Unprocessable(AppError):
    status = 422
    code = "unprocessable"
    title = "The request is well-formed but cannot be carried out"


class ConfirmationMismatch(Unprocessable):
    code = "confirmation_mismatch"
    title = "The hash is not that of the confirmation shown; nothing was charged"


class IdempotencyConflict(Unprocessable):
    code = "idempotency_conflict"
    title = "This Idempotency-Key was used with another body; use a new key"


class TooManyRequests(AppError):
    status = 429
    code = "rate_limit_exceeded"
    title = "Too many requests; wait as long as Retry-After says"


class QuotaExhausted(TooManyRequests):
    code = "insufficient_quota"
    title = "This allowance and its fallbacks are used up"


class UpstreamFailed(AppError):
    status = 502
    code = "upstream_failed"
    title = "Another service did not answer as it should"


class ModelFailed(UpstreamFailed):
    code = "model_failed"
    title = "The model did not answer; nothing was charged. Try again"


class MerchantFailed(UpstreamFailed):
    code = "merchant_failed"
    title = "The merchant did not answer as it should; nothing was charged"


class Unavailable(AppError):
    status = 503
    code = "unavailable"
    title = "Not ready; try again shortly"
