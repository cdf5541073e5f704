"""What must always hold (contract §10), read from four books that know nothing of each other.

The processor's, the merchants', our ledger and our rows. `during` holds after every step, whatever
has just been cut in half; `settled` must hold a minute after the last fault.
"""

from collections.abc import Mapping
from typing import Any

from backend import ledger, reconciling
from backend.database import Database
from tests.simulation.world import World

ENDED = frozenset({"completed", "failed", "canceled", "expired"})
HELD = frozenset({"reserved", "in_flight"})
MINUTE_S = 60
_LONG = frozenset({"confirmation", "confirmation_hash", "lines", "totals", "confirmed"})
_SESSION = {
    "shop": "checkout_session_id",
    "record": "checkout_session_id",
    "tables": "quote_id",
    "box": "checkout_id",
    "oldbox": "checkout_id",
}

_UNBALANCED = """
SELECT transaction_id, currency, sum(amount) AS off FROM ledger_entry
GROUP BY transaction_id, currency HAVING sum(amount) <> 0
"""
# Order, checkout and booking are one transaction: at no moment is one there without the others.
_TORN = """
SELECT c.id, c.state, o.id AS order_id, t.id AS booked FROM checkout c
LEFT JOIN purchase_order o ON o.checkout_id = c.id
LEFT JOIN ledger_transaction t ON t.kind = 'captured' AND t.ref = c.id
WHERE (c.state = 'completed') <> (o.id IS NOT NULL)
   OR (o.id IS NULL AND t.id IS NOT NULL)
   OR (o.id IS NOT NULL AND t.id IS NULL AND (o.settlement = 'platform' OR o.fee > 0))
   OR (o.id IS NOT NULL AND c.order_id IS DISTINCT FROM o.id)
"""
# What a person agreed to on one of their days, less what failed, is within the day's limit.
_OVERSPENT = """
SELECT u.id, sum(c.total) AS spent, u.limits FROM user_account u JOIN checkout c ON c.user_id = u.id
WHERE jsonb_exists(u.limits, 'operator') AND c.confirmed_at IS NOT NULL
  AND c.state IN ('authorising', 'placing', 'outcome_unknown', 'completed')
GROUP BY u.id, date_trunc('day', c.confirmed_at AT TIME ZONE u.timezone)
HAVING sum(c.total) > CAST(u.limits -> 'operator' ->> 'amount' AS bigint)
"""
# The meter's counters are the sum of the open holds, and never more than the cap.
_MISCOUNTED = """
SELECT b.id, b.subject, b.name, b.used, b.held, b.cap, sum(h.amount) AS promised
FROM quota_bucket b LEFT JOIN (
  SELECT unnest(bucket_ids) AS id, unnest(amounts) AS amount FROM quota_hold
  WHERE state IN ('reserved', 'in_flight')) h ON h.id = b.id
GROUP BY b.id HAVING b.held <> coalesce(sum(h.amount), 0) OR b.used + b.held > b.cap
"""
_CHECKOUTS = """
SELECT id, state, step, merchant_id, settlement, total, currency, lines, reference, confirmed,
  confirmation, confirmation_hash, payment_id, order_id, merchant_order_id, failure_code
FROM checkout
"""
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


_WRONG = {
    "unbalanced": "a ledger transaction does not sum to zero",
    "overspent": "more was agreed to than a day's limit",
    "torn": "checkout, order and ledger disagree",
    "miscounted": "what is held is not what was promised, or more than the cap",
}
# What is wrong now, and the checkouts that were written since the last look.
_LOOK = f"""
SELECT (SELECT json_agg(w) FROM ({_UNBALANCED}) w) AS unbalanced,
  (SELECT json_agg(w) FROM ({_OVERSPENT}) w) AS overspent,
  (SELECT json_agg(w) FROM ({_TORN}) w) AS torn,
  (SELECT json_agg(w) FROM ({_MISCOUNTED}) w) AS miscounted,
  (SELECT json_agg(w) FROM (SELECT turn_id AS id, state FROM quota_hold
    WHERE xmin::text::bigint >= %(since)s) w) AS holds,
  (SELECT json_agg(w) FROM ({_CHECKOUTS} WHERE xmin::text::bigint >= %(since)s) w) AS rows,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid
"""  # noqa: S608  (made of constants)


class Violated(AssertionError):
    """One of the things that must always hold does not."""


def _hold(true: bool, what: str, **seen: Any) -> None:
    if not true:
        raise Violated(f"{what}: {_brief(seen)}")


def _brief(seen: Any) -> Any:
    """Without what only makes a failure long."""
    if isinstance(seen, Mapping):
        kept = {k: v for k, v in seen.items() if k not in _LONG and v is not None}
        return {k: _brief(v) for k, v in kept.items()}
    return [_brief(one) for one in seen] if isinstance(seen, list) else seen


async def during(world: World) -> None:
    """After any step: money that moved was agreed to, once; nothing that ended moves again.

    Where neither our books nor anybody else's were written since, it would see the same again.
    """
    written = (world.database.writes, *world.audience.versions())
    if written == world.seen_at:
        return
    [look] = await world.rows(_LOOK, since=world.seen_xid)
    for wrong, what in _WRONG.items():
        _hold(not look[wrong], what, rows=look[wrong])
    for row in look["rows"] or []:
        before = world.seen.get(row["id"], row)
        same = all(row[name] == before[name] for name in ("state", "order_id"))
        _hold(
            before["state"] not in ENDED or same,
            "what had ended moved again", before=before, now=row,
        )  # fmt: skip
        world.seen[row["id"]] = row
    for hold in look["holds"] or []:
        before = world.held.get(hold["id"], "reserved")
        _hold(before in HELD, "a hold ended and moved again", before=before, now=hold)
        world.held[hold["id"]] = hold["state"]
    world.seen_at, world.seen_xid = written, look["xid"]
    _charges(world, world.seen)
    _goods(world, world.seen)


def _charges(world: World, checkouts: Mapping[str, Mapping[str, Any]]) -> None:
    captured: dict[str, int] = {}
    for intent in world.bank_things("payment_intent"):
        purchase = intent["metadata"]["purchase_id"]
        row = checkouts.get(purchase)
        _hold(row is not None, "a charge for no checkout", intent=intent["id"])
        assert row is not None
        agreed = row["confirmed"]
        _hold(
            agreed is not None and agreed["hash"] == row["confirmation_hash"],
            "a charge without consent to what the row shows", row=dict(row),
        )  # fmt: skip
        _hold(
            intent["amount"] == row["confirmation"]["total"] == row["total"],
            "a charge of another amount than was agreed", intent=intent["id"], row=dict(row),
        )  # fmt: skip
        _hold(
            not intent["amount_received"] or row["merchant_order_id"] is not None,
            "captured before the merchant had the order", intent=intent["id"], row=dict(row),
        )  # fmt: skip
        captured[purchase] = captured.get(purchase, 0) + (intent["amount_received"] > 0)
        _hold(row["settlement"] == "platform", "we charged for a merchant of record", row=dict(row))
    twice = {purchase: n for purchase, n in captured.items() if n > 1}
    _hold(not twice, "captured more than once", purchases=twice)


def _goods(world: World, checkouts: Mapping[str, Mapping[str, Any]]) -> None:
    """At most one order for a session, of exactly what was agreed, and only after consent."""
    of_session = {
        (row["merchant_id"], row["reference"]): row
        for row in checkouts.values()
        if row["reference"] is not None
    }
    for seller in _SESSION:
        sessions: set[str] = set()
        for order in world.merchant_orders(seller):
            session = order[_SESSION[seller]]
            _hold(session not in sessions, "two orders of one session", seller=seller, id=session)
            sessions.add(session)
            row = of_session.get((f"mer_{seller}", session))
            _hold(row is not None, "an order that nobody asked for", seller=seller, order=order)
            assert row is not None
            _hold(row["confirmed"] is not None, "an order without consent", row=dict(row))
            asked = sorted((line["item_id"], line["quantity"]) for line in row["lines"])
            _hold(_things(order) == asked, "another quantity", asked=asked, order=order)


def _things(order: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(item, units) of a merchant's own order, whichever words its protocol has for them."""
    found = []
    for line in order.get("line_items") or order["lines"]:
        quantity = line["quantity"]
        units = quantity["ordered"] if isinstance(quantity, dict) else quantity
        item = line.get("product_id") or line.get("item_id") or (line.get("item") or {}).get("id")
        found.append((item or line["id"], units))
    return sorted(found)


async def quiet(world: World) -> bool:
    """Whether nothing is left to do for anybody: the rest of the minute would change nothing."""
    if world.bank.world.store.due(world.clock.now().timestamp()):
        return False
    [left] = await world.rows(_LEFT)
    return not left["n"]


async def settled(world: World) -> None:
    """A minute after the last fault: charge ⇔ merchant order ⇔ ledger, and nothing is held."""
    checkouts = {row["id"]: row for row in await world.rows(_CHECKOUTS)}
    moving = [dict(r) for r in checkouts.values() if r["state"] not in ENDED and r["confirmed"]]
    moving = [row for row in moving if row["step"] != "authenticate"]
    _hold(not moving, "not decided within a minute", rows=moving)
    for refund in await world.rows("SELECT * FROM order_refund"):
        still = refund["state"] in ("confirming", "refunding")
        _hold(not still, "a refund is not decided within a minute", refund=dict(refund))
    orders = {row["checkout_id"]: row for row in await world.rows(_ORDERS)}
    live = _live_orders(world)
    money = _money(world)
    for row in checkouts.values():
        order = orders.get(row["id"])
        held, net = money.get(row["id"], (0, 0))
        placed = live.get((row["merchant_id"], row["reference"]), 0)
        waits = row["step"] == "authenticate"
        _hold(held == 0 or waits, "money is still held", row=dict(row), held=held)
        if order is None:
            _hold(net == 0, "charged without an order", row=dict(row), net=net)
            _hold(placed == 0, "a merchant order that nobody pays", row=dict(row))
            continue
        due = order["total"] - order["refunded"] if row["settlement"] == "platform" else 0
        _hold(net == due, "the charge is not the order", row=dict(row), net=net, due=due)
        if row["settlement"] == "handoff":
            _sent_there(world, row, order)
            continue
        wanted = 0 if order["state"] == "canceled" else 1
        _hold(placed == wanted, "the merchant's order is not ours", order=dict(order))
        _hold(order["returned"] == order["refunded"], "refunds differ", order=dict(order))
    for theirs in world.merchant_orders("airline"):
        row = checkouts[_sent(theirs)]
        known = row["order_id"] is not None or row["state"] in ENDED
        _hold(known, "an order of the airline is not booked", row=dict(row))
    await _books(world)


def _sent_there(world: World, row: Mapping[str, Any], order: Mapping[str, Any]) -> None:
    """What we book of a hand-off is an order that the merchant has, at what it took for it."""
    theirs = [o for o in world.merchant_orders("airline") if o["id"] == order["merchant_order_id"]]
    _hold(len(theirs) == 1, "a hand-off's order is not the merchant's", row=dict(row))
    _hold(
        [t["amount"] for t in theirs[0]["totals"]] == [order["total"]]
        and _sent(theirs[0]) == row["id"],
        "a hand-off's order is another one", row=dict(row), theirs=theirs,
    )  # fmt: skip


def _sent(order: Mapping[str, Any]) -> str:
    """The checkout that the airline's order names: its token is the id with our mark behind it."""
    return str(order["affiliate_attribution"]["token"]).partition(".")[0]


def _live_orders(world: World) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for seller in _SESSION:
        for order in world.merchant_orders(seller):
            key = (f"mer_{seller}", order[_SESSION[seller]])
            found[key] = found.get(key, 0) + (order["status"] != "canceled")
    return found


def _money(world: World) -> dict[str, tuple[int, int]]:
    """purchase → (blocked, captured less refunded), by the processor's own books."""
    back: dict[str, int] = {}
    for refund in world.bank_things("refund"):
        if refund["status"] == "succeeded":
            key = refund["payment_intent"]
            back[key] = back.get(key, 0) + refund["amount"]
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
    _hold(checked.ok, "the ledger's chain is broken", checked=checked)
    made = await reconciling.reconcile(world.database, world.till.payments)
    _hold(made.ok, "reconciliation differs", differences=made.differences)
