"""Connect: accounts, destination charges, application fees, transfers and their way back."""

from integrations.money import divide_half_even
from integrations.simulators.stripe import movements, shapes
from integrations.simulators.stripe.rules import (
    ApiError,
    check_step,
    currency,
    mapping,
    metadata,
    only,
    text,
    whole,
)
from integrations.simulators.stripe.store import Thing
from integrations.simulators.stripe.world import Params, World

_ACCOUNT = (
    "type country email business_type business_profile capabilities controller "
    "default_currency metadata"
)
_CURRENCY_BY_COUNTRY = {"US": "usd", "GB": "gbp", "JP": "jpy", "CN": "cny", "CH": "chf"}


def create_account(world: World, params: Params) -> Thing:
    only(params, _ACCOUNT)
    country = text(params, "country") or "US"
    account = shapes.account(
        country=country,
        currency=text(params, "default_currency") or _CURRENCY_BY_COUNTRY.get(country, "eur"),
        email=text(params, "email"),
        metadata=metadata(params),
    )
    account["type"] = text(params, "type") or "none"
    account["business_type"] = text(params, "business_type")
    return _describe(world, world.store.add(account), params)


def update_account(world: World, params: Params, id_: str) -> Thing:
    only(params, _ACCOUNT)
    account = world.need("account", id_)
    account["metadata"] = metadata(params, account["metadata"])
    return _describe(world, account, params)


def _describe(world: World, account: Thing, params: Params) -> Thing:
    """Here nobody checks papers: a capability that is asked for is active at once."""
    for name, asked in mapping(params, "capabilities").items():
        wanted = isinstance(asked, dict) and asked.get("requested") == "true"
        account["capabilities"][name] = "active" if wanted else "inactive"
    account["charges_enabled"] = account["capabilities"].get("card_payments") == "active"
    account["business_profile"] |= {
        key: value
        for key, value in mapping(params, "business_profile").items()
        if key in account["business_profile"]
    }
    world.store.save(account)
    world.emit("account.updated", account)
    return account


def retrieve_account(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("account", id_)


def list_accounts(world: World, params: Params) -> Thing:
    only(params, "limit created starting_after ending_before")
    return world.page("account", params, "/v1/accounts")


def fee_terms(world: World, intent: Thing, params: Params) -> None:
    """`transfer_data` and `application_fee_amount`, checked before any card is asked."""
    terms = mapping(params, "transfer_data")
    only(terms, "destination amount")
    fee = whole(params, "application_fee_amount")
    share = whole(terms, "amount")
    if destination := text(terms, "destination"):
        account = world.need("account", destination, param="transfer_data[destination]")
        if account["capabilities"].get("transfers") != "active":
            raise ApiError(
                "Your destination account needs to have at least one of the following"
                " capabilities enabled: transfers, crypto_transfers, legacy_payments",
                code="insufficient_capabilities_for_transfer",
            )
        intent["transfer_data"] = {"destination": destination}
        if share is not None:
            intent["transfer_data"]["amount"] = share
    if fee is None:
        return
    if destination is None or share is not None:
        raise ApiError(
            "Can only apply an application_fee_amount when the PaymentIntent is attempting a"
            " transfer with transfer_data[destination] and without transfer_data[amount].",
            param="application_fee_amount",
        )
    if not 0 <= fee <= intent["amount"]:
        raise ApiError(
            "The application fee must be between 0 and the amount.",
            param="application_fee_amount",
        )
    check_step(fee, intent["currency"], param="application_fee_amount")
    intent["application_fee_amount"] = fee


def settle(world: World, charge: Thing, amount: int) -> None:
    """At capture: the money goes on to the merchant, and the fee comes back from there."""
    terms = charge["transfer_data"]
    if not terms:
        return
    share = min(amount, terms.get("amount", amount))
    transfer = movements.transfer(
        amount=share,
        currency=charge["currency"],
        destination=terms["destination"],
        source=charge["id"],
        group=charge["transfer_group"],
    )
    world.store.add(transfer)
    transfer["balance_transaction"] = _book(world, "transfer", -share, transfer)
    world.store.save(transfer)
    charge["transfer"] = transfer["id"]
    world.emit("transfer.created", transfer)
    if charge["application_fee_amount"]:
        fee = movements.application_fee(
            charge, amount=charge["application_fee_amount"], account=terms["destination"]
        )
        world.store.add(fee)
        fee["balance_transaction"] = _book(world, "application_fee", fee["amount"], fee)
        world.store.save(fee)
        charge["application_fee"] = fee["id"]
        world.emit("application_fee.created", fee)
    world.store.save(charge)


def _book(world: World, type_: str, amount: int, source: Thing) -> str:
    entry = movements.balance_transaction(
        type_=type_,
        amount=amount,
        fee=0,
        currency=source["currency"],
        source=source["id"],
        description=None,
    )
    return str(world.store.add(entry)["id"])


def give_fee_back(world: World, charge: Thing, *, refunded: int) -> None:
    """In proportion to all that was refunded so far, so that a full refund ends exact."""
    if charge["application_fee"] is None:
        raise ApiError(
            f"Charge {charge['id']} has no application fee to refund.",
            param="refund_application_fee",
        )
    fee = world.need("application_fee", charge["application_fee"])
    due = divide_half_even(fee["amount"] * refunded, charge["amount_captured"])
    if due > fee["amount_refunded"]:
        _refund_fee(world, fee, due - fee["amount_refunded"], {})


def reverse(world: World, charge: Thing, *, refunded: int, refund: Thing) -> str:
    transfer_id = charge.get("transfer")
    if not transfer_id:
        raise ApiError(
            f"Charge {charge['id']} has no transfer to reverse.", param="reverse_transfer"
        )
    transfer = world.need("transfer", transfer_id)
    due = divide_half_even(transfer["amount"] * refunded, charge["amount_captured"])
    return str(_reverse(world, transfer, due - transfer["amount_reversed"], refund["id"])["id"])


def _reverse(world: World, transfer: Thing, amount: int, refund: str | None) -> Thing:
    left = transfer["amount"] - transfer["amount_reversed"]
    if not 0 < amount <= left:
        raise ApiError(f"Transfer {transfer['id']} has {left} left to reverse.", param="amount")
    back = world.store.add(movements.transfer_reversal(transfer, amount=amount, refund=refund))
    back["balance_transaction"] = _book(world, "transfer_refund", amount, back)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, world.store.save(back))
    world.store.save(transfer)
    world.emit("transfer.reversed", transfer)
    return back


def _refund_fee(world: World, fee: Thing, amount: int, notes: dict[str, str]) -> Thing:
    left = fee["amount"] - fee["amount_refunded"]
    if not 0 < amount <= left:
        raise ApiError(f"Refund amount is greater than the {left} left of the fee.", param="amount")
    back = world.store.add(movements.fee_refund(fee, amount=amount, metadata=notes))
    back["balance_transaction"] = _book(world, "application_fee_refund", -amount, back)
    fee["amount_refunded"] += amount
    fee["refunded"] = fee["amount_refunded"] == fee["amount"]
    fee["refunds"]["data"].insert(0, world.store.save(back))
    world.store.save(fee)
    world.emit("application_fee.refunded", fee)
    return back


def refund_fee(world: World, params: Params, id_: str) -> Thing:
    only(params, "amount metadata")
    fee = world.need("application_fee", id_)
    amount = whole(params, "amount")
    left = int(fee["amount"] - fee["amount_refunded"])
    return _refund_fee(world, fee, left if amount is None else amount, metadata(params))


def retrieve_fee(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("application_fee", id_)


def list_fees(world: World, params: Params) -> Thing:
    only(params, "charge limit created starting_after ending_before")
    charge = text(params, "charge")
    return world.page(
        "application_fee",
        params,
        "/v1/application_fees",
        lambda fee: charge is None or fee["charge"] == charge,
    )


def create_transfer(world: World, params: Params) -> Thing:
    only(
        params, "amount currency destination source_transaction transfer_group description metadata"
    )
    code = currency(params)
    amount = whole(params, "amount")
    if amount is None or amount < 1:
        raise ApiError("Invalid amount", code="parameter_invalid_integer", param="amount")
    destination = text(params, "destination", required=True) or ""
    world.need("account", destination, param="destination")
    source = text(params, "source_transaction")
    if source is not None:
        world.need("charge", source, param="source_transaction")
    transfer = movements.transfer(
        amount=amount,
        currency=code,
        destination=destination,
        source=source,
        group=text(params, "transfer_group"),
    )
    transfer["description"] = text(params, "description")
    transfer["metadata"] = metadata(params)
    world.store.add(transfer)
    transfer["balance_transaction"] = _book(world, "transfer", -amount, transfer)
    world.store.save(transfer)
    world.emit("transfer.created", transfer)
    return transfer


def reverse_transfer(world: World, params: Params, id_: str) -> Thing:
    only(params, "amount metadata refund_application_fee")
    transfer = world.need("transfer", id_)
    amount = whole(params, "amount")
    left = int(transfer["amount"] - transfer["amount_reversed"])
    return _reverse(world, transfer, left if amount is None else amount, None)


def retrieve_transfer(world: World, params: Params, id_: str) -> Thing:
    only(params, "")
    return world.need("transfer", id_)


def list_transfers(world: World, params: Params) -> Thing:
    only(params, "destination transfer_group limit created starting_after ending_before")
    wanted = {n: params[n] for n in ("destination", "transfer_group") if params.get(n)}
    return world.page(
        "transfer",
        params,
        "/v1/transfers",
        lambda transfer: all(transfer[n] == v for n, v in wanted.items()),
    )


def balance(world: World, params: Params) -> Thing:
    """The sum of all entries: what the platform has, wherever it is on its way."""
    only(params, "")
    sums: dict[str, int] = {}
    for entry in world.store.newest("balance_transaction"):
        sums[entry["currency"]] = sums.get(entry["currency"], 0) + entry["net"]
    pending = [
        {"amount": amount, "currency": code, "source_types": {"card": amount}}
        for code, amount in sorted(sums.items())
    ]
    zero = [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}]
    return {
        "object": "balance",
        "available": zero,
        "connect_reserved": [],
        "livemode": False,
        "pending": pending or zero,
        "refund_and_dispute_prefunding": {"available": [], "pending": []},
    }
