"""What holds a minute after the last fault: charge ⇔ merchant order ⇔ ledger, and nothing is held.

All of the world is held together once, whether or not a look saw it being written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from backend import ledger, reconciling
from backend.database import Database
from tests.simulation.invariants import CHECKOUTS, ENDED, SESSION, hold, returned
from tests.simulation.world import World

_LEFT = """
SELECT (SELECT count(*) FROM checkout WHERE next_drive_at IS NOT NULL OR release_at IS NOT NULL)
  + (SELECT count(*) FROM order_refund WHERE next_drive_at IS NOT NULL)
  + (SELECT count(*) FROM procrastinate_jobs) AS n
"""
_ORDERS = """
SELECT o.*, coalesce((SELECT sum(amount) FROM order_refund r
  WHERE r.order_id = o.id AND r.state = 'completed'), 0) AS returned
FROM purchase_order o
"""
_UNPAID_CHANGES = "SELECT subject AS id FROM incident WHERE kind = 'change_unpaid'"


async def quiet(world: World) -> bool:
    """Whether nothing is left to do for anybody: the rest of the minute would change nothing."""
    if world.bank.world.store.due(world.clock.now().timestamp()):
        return False
    [left] = await world.rows(_LEFT)
    return not left["n"]


async def decided(world: World, *, but: str = "authenticate") -> None:
    """Nothing is under way any more, `but` for what waits for the bank's card holder."""
    moving = [r for r in await world.rows(CHECKOUTS) if r["state"] not in ENDED and r["confirmed"]]
    moving = [row for row in moving if row["step"] != but]
    hold(not moving, "not decided within a minute", rows=moving)
    refunds = await world.rows(
        "SELECT * FROM order_refund WHERE state IN ('confirming', 'refunding')"
    )
    hold(not refunds, "a refund is not decided within a minute", rows=refunds)


async def settled(world: World) -> None:
    """What everybody has at the end is the same."""
    await decided(world, but="")
    checkouts = {row["id"]: row for row in await world.rows(CHECKOUTS)}
    orders = {row["id"]: row for row in await world.rows(_ORDERS)}
    of_checkout = {row["checkout_id"]: row for row in orders.values()}
    unpaid = {row["id"] for row in await world.rows(_UNPAID_CHANGES)}
    money = _money(world)
    for row in checkouts.values():
        order, (held, net) = of_checkout.get(row["id"]), money.get(row["id"], (0, 0))
        hold(held == 0, "money is still held", row=row, held=held)
        platform = order is not None and row["settlement"] == "platform"
        due = order["total"] - order["refunded"] if order and platform else 0
        hold(net == due, "the charge is not the order", row=row, net=net, due=due)
        if order is None:
            done = row["state"] == "completed" or row["id"] in unpaid
            hold(done or not _placed(world, row), "a merchant order that nobody pays", row=row)
        elif row["settlement"] == "handoff":
            _sent_there(world, row, order)
        else:
            _theirs(world, orders.get(order["part_of"], order), order)
    for theirs in world.merchant_orders("airline"):
        row = checkouts[_sent(theirs)]
        known = row["order_id"] is not None or row["state"] in ENDED
        hold(known, "an order of the airline is not booked", row=row)
    _flown(world, [row for row in orders.values() if row["part_of"] is None])
    await _books(world)


def _flown(world: World, orders: Sequence[Mapping[str, Any]]) -> None:
    """What a merchant delivers once is paid once; and no seat at Wings is paid that nobody has."""
    owners = Counter((row["merchant_id"], row["merchant_order_id"]) for row in orders)
    shared = [key for key, n in owners.items() if n > 1]
    hold(not shared, "one merchant order was sold to several purchases", shared=shared)
    for seat in world.wings.documents():
        ours = owners[("mer_wings", seat["id"])] == 1
        hold(ours or seat["status"] != "confirmed", "a seat that nobody pays", seat=seat)


def _placed(world: World, row: Mapping[str, Any]) -> bool:
    """Whether the merchant has a living order of this checkout's session."""
    seller = row["merchant_id"].removeprefix("mer_")
    return any(
        order["status"] != "canceled" and order[SESSION[seller]] == row["reference"]
        for order in (world.merchant_orders(seller) if seller in SESSION else ())
    )


def _theirs(world: World, whole: Mapping[str, Any], order: Mapping[str, Any]) -> None:
    """The merchant has the order as long as we say so, as it was booked last."""
    theirs = world.merchant_order(whole["merchant_id"], order["merchant_order_id"])
    hold(theirs is not None, "the merchant does not know the order", order=order)
    assert theirs is not None
    canceled = whole["state"] == "canceled"
    hold((theirs["status"] == "canceled") == canceled, "the merchant's order is not ours",
         order=order, theirs=theirs)  # fmt: skip
    hold(order["returned"] == order["refunded"], "refunds differ", order=order)
    if "booking" in theirs:
        hold(theirs["booking"] == whole["booking"], "another booking", order=whole, theirs=theirs)


def _sent_there(world: World, row: Mapping[str, Any], order: Mapping[str, Any]) -> None:
    """What we book of a hand-off is an order that the merchant has, at what it took for it."""
    theirs = [o for o in world.merchant_orders("airline") if o["id"] == order["merchant_order_id"]]
    hold(len(theirs) == 1, "a hand-off's order is not the merchant's", row=row)
    hold(
        [t["amount"] for t in theirs[0]["totals"]] == [order["total"]]
        and _sent(theirs[0]) == row["id"],
        "a hand-off's order is another one", row=row, theirs=theirs,
    )  # fmt: skip


def _sent(order: Mapping[str, Any]) -> str:
    """The checkout that the airline's order names: its token is the id with our mark behind it."""
    return str(order["affiliate_attribution"]["token"]).partition(".")[0]


def _money(world: World) -> dict[str, tuple[int, int]]:
    """purchase → (blocked, captured less refunded), by the processor's own books."""
    back = returned(world)
    found: dict[str, tuple[int, int]] = {}
    for intent in world.bank_things("payment_intent"):
        purchase = intent["metadata"]["purchase_id"]
        held, net = found.get(purchase, (0, 0))
        blocked = intent["status"] in {"requires_capture", "requires_action"}
        received = intent["amount_received"]
        net += received - back.get(intent["id"], 0) if received else 0
        found[purchase] = (held + intent["amount"] * blocked, net)
    return found


async def _books(world: World) -> None:
    async with Database.transaction(world.database) as session:
        checked = await ledger.verify(session)
    hold(checked.ok, "the ledger's chain is broken", checked=checked)
    made = await reconciling.reconcile(world.database, world.till.payments)
    hold(made.ok, "reconciliation differs", differences=made.differences)
