"""PaymentIntents: create, confirm, authenticate, capture, cancel, list, search."""

import re
import time

from integrations.money import processor_exponent
from integrations.simulators.stripe import connect, customers, movements, shapes, shared
from integrations.simulators.stripe.rules import (
    CARDS_BY_NUMBER,
    ApiError,
    Card,
    allowed_types,
    check_amount,
    check_step,
    currency,
    decline,
    flag,
    mapping,
    metadata,
    only,
    text,
    whole,
)
from integrations.simulators.stripe.store import Thing
from integrations.simulators.stripe.world import Params, World, shown

_PLAIN = (
    "description receipt_email on_behalf_of transfer_group setup_future_usage "
    "statement_descriptor statement_descriptor_suffix"
)
_CREATE = (
    f"{_PLAIN} amount currency customer payment_method payment_method_types"
    " allowed_payment_method_types automatic_payment_methods confirm capture_method"
    " application_fee_amount transfer_data metadata return_url off_session shipping"
    " error_on_requires_action payment_method_options confirmation_method payment_method_data"
)
_CONFIRM = (
    "payment_method return_url off_session capture_method receipt_email "
    "error_on_requires_action setup_future_usage payment_method_types "
    "allowed_payment_method_types shipping"
)
_CAPTURE = (
    "amount_to_capture application_fee_amount metadata final_capture "
    "statement_descriptor statement_descriptor_suffix transfer_data"
)
_REASONS = frozenset(("duplicate", "fraudulent", "requested_by_customer", "abandoned"))
_CONFIRMABLE = frozenset(("requires_payment_method", "requires_confirmation"))
_CANCELABLE = _CONFIRMABLE | {"requires_capture", "requires_action", "processing"}
_CLAUSE = re.compile(r"(?:metadata\['([\w.-]+)'\]|(status|currency|customer)):[\"']([^\"']*)[\"']")


def create(world: World, params: Params) -> Thing:
    only(params, _CREATE)
    code = currency(params)
    amount = whole(params, "amount")
    if amount is None:
        raise ApiError("Missing required param: amount.", code="parameter_missing", param="amount")
    check_amount(amount, code)
    intent = shapes.payment_intent(amount, code, metadata(params))
    intent |= {name: text(params, name) for name in _PLAIN.split()}
    intent["capture_method"] = text(params, "capture_method") or "automatic_async"
    if intent["capture_method"] not in ("automatic", "automatic_async", "manual"):
        raise ApiError("Invalid capture_method", param="capture_method")
    _methods(intent, params)
    connect.fee_terms(world, intent, params)
    intent["shipping"] = mapping(params, "shipping") or None
    intent["customer"] = text(params, "customer")
    if intent["customer"]:
        world.need("customer", intent["customer"], param="customer")
    if token := text(params, "payment_method"):
        intent["payment_method"] = customers.use(world, token, intent["customer"])["id"]
        intent["status"] = "requires_confirmation"
    if granted := text(mapping(params, "payment_method_data"), "shared_payment_granted_token"):
        intent["payment_method"] = shared.redeem(world, granted, intent)
        intent["status"] = "requires_confirmation"
    _confirm_terms(intent, params)
    world.store.add(intent)
    world.emit("payment_intent.created", intent)
    return _attempt(world, intent, params) if flag(params, "confirm") else intent


def _methods(intent: Thing, params: Params) -> None:
    automatic = mapping(params, "automatic_payment_methods")
    if allowed_types(params) and automatic:
        raise ApiError(
            "You may only specify one of these parameters: automatic_payment_methods,"
            " allowed_payment_method_types.",
        )
    if flag(automatic, "enabled"):
        redirects = text(automatic, "allow_redirects") or "always"
        intent["automatic_payment_methods"] = {"allow_redirects": redirects, "enabled": True}
        if redirects == "always" and flag(params, "confirm") and not params.get("return_url"):
            raise ApiError(
                "This PaymentIntent accepts methods that redirect: give a return_url, or set"
                " automatic_payment_methods[allow_redirects] to never.",
                param="return_url",
            )


def _confirm_terms(intent: Thing, params: Params) -> None:
    if url := text(params, "return_url"):
        intent["_return_url"] = url


def confirm(world: World, params: Params, id_: str) -> Thing:
    only(params, _CONFIRM)
    intent = world.need("payment_intent", id_)
    if intent["status"] not in _CONFIRMABLE:
        raise _unexpected(intent, "confirm")
    allowed_types(params)
    if token := text(params, "payment_method"):
        intent["payment_method"] = customers.use(world, token, intent["customer"])["id"]
    _confirm_terms(intent, params)
    return _attempt(world, intent, params)


def _attempt(world: World, intent: Thing, params: Params) -> Thing:
    if intent["payment_method"] is None:
        raise ApiError(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    method = world.need("payment_method", intent["payment_method"])
    card = CARDS_BY_NUMBER[method["_number"]]
    if not card.authenticate:
        return _charge(world, intent, method, card)
    if flag(params, "off_session") or flag(params, "error_on_requires_action"):
        words = {
            "code": "authentication_required",
            "decline_code": "authentication_required",
            "message": "Your card was declined. This transaction requires authentication.",
        }
        _fail(world, intent, method, card, words)
    intent["status"] = "requires_action"
    page = f"{world.url}/_sim/authenticate/{intent['id']}"
    intent["next_action"] = (
        {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": intent["_return_url"], "url": page},
        }
        if intent["_return_url"]
        else {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page},
        }
    )
    world.store.save(intent)
    world.emit("payment_intent.requires_action", intent)
    return intent


def authenticate(world: World, id_: str, *, passed: bool) -> Thing:
    """What the bank's page does: the card holder agreed, or did not."""
    intent = world.need("payment_intent", id_)
    if intent["status"] != "requires_action":
        raise _unexpected(intent, "authenticate")
    intent["next_action"] = None
    method = world.need("payment_method", intent["payment_method"])
    card = CARDS_BY_NUMBER[method["_number"]]
    if passed and card.decline is None:
        return _charge(world, intent, method, card)
    failed = {
        "code": "payment_intent_authentication_failure",
        "message": "The provided PaymentMethod has failed authentication.",
    }
    try:
        _fail(world, intent, method, card, decline(card) if passed else failed, asked=passed)
    except ApiError:
        return intent  # the page has no API caller to tell; the event says it
    return intent


def _charge(world: World, intent: Thing, method: Thing, card: Card) -> Thing:
    if card.decline is not None:
        _fail(world, intent, method, card, decline(card))
    charge = world.store.add(movements.charge(intent, method, card))
    method["_used"] = True
    world.store.save(method)
    intent |= {
        "latest_charge": charge["id"],
        "last_payment_error": None,
        "next_action": None,
        "status": "requires_capture",
        "amount_capturable": intent["amount"],
    }
    world.store.save(intent)
    world.emit("charge.succeeded", charge)
    if intent["capture_method"] == "manual":
        world.emit("payment_intent.amount_capturable_updated", intent)
        return intent
    return _collect(world, intent, charge, intent["amount"])


def _fail(
    world: World,
    intent: Thing,
    method: Thing,
    card: Card,
    words: dict[str, str],
    *,
    asked: bool = True,
) -> None:
    """Ends in the 402 that the caller sees; charge and intent keep the failure."""
    if asked:
        charge = movements.charge(intent, method, card) | {
            "status": "failed",
            "paid": False,
            "failure_code": words["code"],
            "failure_message": words["message"],
        }
        charge["outcome"] |= {
            "network_status": "declined_by_network",
            "reason": words.get("decline_code"),
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }
        intent["latest_charge"] = world.store.add(charge)["id"]
        world.emit("charge.failed", charge)
    problem = words | {"type": "card_error", "payment_method": shown(method)}
    if asked:
        problem["charge"] = intent["latest_charge"]
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_payment_error": problem,
        "next_action": None,
    }
    world.store.save(intent)
    world.emit("payment_intent.payment_failed", intent)
    named = {name: words[name] for name in ("code", "decline_code") if name in words}
    raise ApiError(
        words["message"],
        status=402,
        type_="card_error",
        keep=True,
        payment_intent=shown(intent),
        charge=intent["latest_charge"],
        **named,
    )


def capture(world: World, params: Params, id_: str) -> Thing:
    only(params, _CAPTURE)
    intent = world.need("payment_intent", id_)
    if intent["status"] != "requires_capture":
        raise _unexpected(intent, "capture")
    amount = whole(params, "amount_to_capture")
    amount = intent["amount_capturable"] if amount is None else amount
    if not 1 <= amount <= intent["amount_capturable"]:
        raise ApiError(
            f"The amount_to_capture ({amount}) must be between 1 and the amount capturable"
            f" ({intent['amount_capturable']}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    check_step(amount, intent["currency"], param="amount_to_capture")
    fee = whole(params, "application_fee_amount")
    if fee is not None:
        intent["application_fee_amount"] = fee
    if (intent["application_fee_amount"] or 0) > amount:
        raise ApiError(
            "The application fee is more than what is captured.", param="application_fee_amount"
        )
    intent["metadata"] = metadata(params, intent["metadata"])
    return _collect(world, intent, world.need("charge", intent["latest_charge"]), amount)


def _collect(world: World, intent: Thing, charge: Thing, amount: int) -> Thing:
    code = intent["currency"]
    entry = movements.balance_transaction(
        type_="charge",
        amount=amount,
        fee=processing_fee(amount, code),
        currency=code,
        source=charge["id"],
        description=intent["description"],
    )
    rest = charge["amount"] - amount
    charge |= {
        "captured": True,
        "amount_captured": amount,
        "amount_refunded": rest,
        "application_fee_amount": intent["application_fee_amount"],
        "balance_transaction": world.store.add(entry)["id"],
    }
    world.store.save(charge)
    connect.settle(world, charge, amount)
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    world.store.save(intent)
    if intent["capture_method"] == "manual":
        world.emit("charge.captured", charge)
    world.emit("payment_intent.succeeded", intent)
    return intent


def processing_fee(amount: int, code: str) -> int:
    """2.9 % and 30 hundredths, in the smallest unit that the processor counts, rounded up."""
    fixed: int = 30 * 10 ** max(0, processor_exponent(code.upper()) - 2)
    return min(amount, -(-amount * 29 // 1000) + fixed)


def cancel(world: World, params: Params, id_: str) -> Thing:
    only(params, "cancellation_reason")
    reason = text(params, "cancellation_reason")
    if reason is not None and reason not in _REASONS:
        raise ApiError("Invalid cancellation_reason", param="cancellation_reason")
    intent = world.need("payment_intent", id_)
    if intent["status"] not in _CANCELABLE:
        raise _unexpected(intent, "cancel")
    return release(world, intent, reason)


def release(world: World, intent: Thing, reason: str | None) -> Thing:
    """Give the block back. `automatic` is what happens by itself after seven days."""
    if intent["status"] == "requires_capture":
        charge = world.need("charge", intent["latest_charge"])
        charge |= {"amount_refunded": charge["amount"], "refunded": True}
        world.store.save(charge)
        world.emit("charge.refunded", charge)
    intent |= {
        "status": "canceled",
        "canceled_at": int(time.time()),
        "cancellation_reason": reason,
        "amount_capturable": 0,
        "next_action": None,
    }
    world.store.save(intent)
    world.emit("payment_intent.canceled", intent)
    return intent


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "client_secret")
    return world.need("payment_intent", id_)


def update(world: World, params: Params, id_: str) -> Thing:
    only(params, "metadata description receipt_email")
    intent = world.need("payment_intent", id_)
    intent["metadata"] = metadata(params, intent["metadata"])
    for name in ("description", "receipt_email"):
        intent[name] = text(params, name) if name in params else intent[name]
    return world.store.save(intent)


def index(world: World, params: Params) -> Thing:
    only(params, "limit created customer starting_after ending_before")
    customer = text(params, "customer")
    return world.page(
        "payment_intent",
        params,
        "/v1/payment_intents",
        lambda intent: customer is None or intent["customer"] == customer,
    )


def search(world: World, params: Params) -> Thing:
    """Clauses joined by AND. As the real one, it does not know what is only seconds old."""
    only(params, "query limit page")
    query = text(params, "query", required=True) or ""
    clauses = [_CLAUSE.fullmatch(part.strip()) for part in re.split(r"\bAND\b", query)]
    if None in clauses:
        raise ApiError("We were unable to parse your search query.", param="query")
    wanted = [(m[1], m[2], m[3]) for m in clauses if m is not None]

    def matches(intent: Thing) -> bool:
        return all(
            (intent["metadata"].get(key) if key else intent[name]) == value
            for key, name, value in wanted
        )

    old = world.store.newest("payment_intent", born_before=time.time() - world.search_lag_s)
    found = [intent for intent in old if matches(intent)]
    limit = whole(params, "limit") or 10
    return shapes.listing(
        found[:limit], "/v1/payment_intents/search", has_more=len(found) > limit
    ) | {"object": "search_result", "next_page": None, "total_count": None}


def _unexpected(intent: Thing, verb: str) -> ApiError:
    return ApiError(
        f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=shown(intent),
    )
