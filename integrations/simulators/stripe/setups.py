"""Cards kept for later: the SetupIntent behind a Checkout Session in setup mode."""

from integrations.simulators.stripe import customers, shapes
from integrations.simulators.stripe.rules import (
    ApiError,
    allowed_types,
    currency,
    mapping,
    metadata,
    only,
)
from integrations.simulators.stripe.store import Thing
from integrations.simulators.stripe.world import Params, World


def terms(params: Params) -> tuple[None, str | None, None]:
    """Nothing is sold, so there is no amount; the currency decides what may be offered."""
    for name in ("line_items", "subscription_data"):
        if params.get(name):
            raise ApiError(f"You can not pass `{name}` in `setup` mode.", param=name)
    if not params.get("currency") and not allowed_types(params):
        raise ApiError(
            "Missing required param: currency.", code="parameter_missing", param="currency"
        )
    return None, currency(params) if params.get("currency") else None, None


def begin(world: World, session: Thing, params: Params) -> Thing:
    """→ what the session then says of it."""
    given = mapping(params, "setup_intent_data")
    only(given, "metadata description on_behalf_of")
    intent = world.store.add(shapes.setup_intent(session["customer"], metadata(given)))
    world.emit("setup_intent.created", intent)
    return {
        "setup_intent": intent["id"],
        "payment_status": "no_payment_required",
        "total_details": None,
    }


def finish(world: World, session: Thing, token: str) -> None:
    """The card is checked and attached to the customer. A declined one leaves the page open."""
    intent = world.need("setup_intent", session["setup_intent"])
    method = (
        customers.attach(world, {"customer": intent["customer"]}, token)
        if intent["customer"]
        else customers.retrieve_method(world, {}, token)
    )
    intent |= {"payment_method": method["id"], "status": "succeeded"}
    world.store.save(intent)
    world.emit("setup_intent.succeeded", intent)


def give_up(world: World, session: Thing) -> None:
    intent = world.need("setup_intent", session["setup_intent"])
    intent |= {"status": "canceled", "cancellation_reason": "abandoned"}
    world.store.save(intent)
    world.emit("setup_intent.canceled", intent)


def retrieve(world: World, params: Params, id_: str) -> Thing:
    only(params, "client_secret")
    return world.need("setup_intent", id_)
