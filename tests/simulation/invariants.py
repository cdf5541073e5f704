"""What holds after every step, whatever has just been cut in half (contract §10).

It is read from four books that know nothing of each other: the processor's, the merchants', our
ledger and our rows. Only what was written since the last look is judged; `agreement` holds all of
it together when the world is done.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from tests.simulation.world import World

ENDED = frozenset({"completed", "failed", "canceled", "expired"})
HELD = frozenset({"reserved", "in_flight"})
OPEN = frozenset({"quoted", "confirming", "refunding"})  # refunds that are not decided
_LONG = frozenset({"confirmation", "confirmation_hash", "lines", "totals", "confirmed"})
# By what each merchant's order names the session that it came of.
SESSION = {
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
# What was due for a moved booking is an order of its own, part of the one that was moved.
_TORN = """
SELECT c.id, c.state, c.total, c.moves, c.order_id AS named, o.id AS order_id, t.id AS booked
FROM (SELECT *, jsonb_typeof(changes) IS NOT DISTINCT FROM 'object' AS moves FROM checkout) c
LEFT JOIN purchase_order o ON o.checkout_id = c.id
LEFT JOIN ledger_transaction t ON t.kind = 'captured' AND t.ref = c.id
WHERE (c.state = 'completed' AND (NOT c.moves OR c.total > 0)) <> (o.id IS NOT NULL)
   OR (o.id IS NULL AND t.id IS NOT NULL)
   OR (o.id IS NOT NULL AND t.id IS NULL AND (o.settlement = 'platform' OR o.fee > 0))
   OR (o.id IS NOT NULL AND c.order_id IS DISTINCT FROM coalesce(o.part_of, o.id))
   OR (o.part_of IS NOT NULL) <> (o.id IS NOT NULL AND c.moves)
   OR (c.moves AND (c.state = 'completed') <> (c.order_id IS NOT NULL))
"""
# A refund, its order and its place in the books are one transaction too.
_GIVEN_BACK = """
SELECT o.id, o.total, o.refunded, r.amount AS asked, l.amount AS booked FROM purchase_order o
CROSS JOIN LATERAL (SELECT coalesce(sum(amount), 0) AS amount FROM order_refund
  WHERE order_id = o.id AND state = 'completed') r
CROSS JOIN LATERAL (SELECT coalesce(-sum(e.amount), 0) AS amount FROM order_refund f
  JOIN ledger_transaction t ON t.kind = 'refunded' AND t.ref = f.id
  JOIN ledger_entry e ON e.transaction_id = t.id AND split_part(e.account, ':', 1) = 'cash'
  WHERE f.order_id = o.id) l
WHERE o.settlement = 'platform'
  AND (r.amount <> o.refunded OR l.amount <> o.refunded OR o.refunded > o.total)
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
CHECKOUTS = """
SELECT id, state, step, merchant_id, settlement, total, currency, lines, reference, confirmed,
  confirmation, confirmation_hash, payment_id, order_id, merchant_order_id, failure_code, changes
FROM checkout
"""
# What was promised back, and to which payment; with what its order has come to.
_REFUNDS = """
SELECT r.id, r.state, r.amount, r.kind, o.id AS order_id, o.state AS order_state, o.payment_id,
  o.merchant_id, o.merchant_order_id
FROM order_refund r JOIN purchase_order o ON o.id = r.order_id
"""
_WRONG = {
    "unbalanced": "a ledger transaction does not sum to zero",
    "overspent": "more was agreed to than a day's limit",
    "torn": "checkout, order and ledger disagree",
    "given_back": "refunds, order and ledger disagree",
    "miscounted": "what is held is not what was promised, or more than the cap",
}
# What is wrong now, and what was written since the last look.
_LOOK = f"""
SELECT (SELECT json_agg(w) FROM ({_UNBALANCED}) w) AS unbalanced,
  (SELECT json_agg(w) FROM ({_OVERSPENT}) w) AS overspent,
  (SELECT json_agg(w) FROM ({_TORN}) w) AS torn,
  (SELECT json_agg(w) FROM ({_GIVEN_BACK}) w) AS given_back,
  (SELECT json_agg(w) FROM ({_MISCOUNTED}) w) AS miscounted,
  (SELECT json_agg(w) FROM (SELECT turn_id AS id, state FROM quota_hold
    WHERE xmin::text::bigint >= %(since)s) w) AS holds,
  (SELECT json_agg(w) FROM ({CHECKOUTS} WHERE xmin::text::bigint >= %(since)s) w) AS rows,
  (SELECT json_agg(w) FROM ({_REFUNDS} WHERE r.xmin::text::bigint >= %(since)s
    OR o.xmin::text::bigint >= %(since)s) w) AS refunds,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid
"""  # noqa: S608  (made of constants)


class Violated(AssertionError):
    """One of the things that must always hold does not."""


def hold(true: bool, what: str, **seen: Any) -> None:
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
    seen, versions = world.audience.seen, world.audience.versions()
    ours = seen.writes != world.database.writes
    if not ours and versions == seen.versions:
        return
    moved = await _ours(world) if ours else frozenset()
    _charges(world, moved)
    _returns(world)
    _goods(world, moved)
    seen.versions = versions


async def _ours(world: World) -> AbstractSet[str]:
    """Our own books by themselves. Returns the checkouts that were written since the last look."""
    seen = world.audience.seen
    seen.writes = world.database.writes
    [look] = await world.rows(_LOOK, since=seen.xid)
    seen.xid = look["xid"]
    for wrong, what in _WRONG.items():
        hold(not look[wrong], what, rows=look[wrong])
    for row in look["rows"] or []:
        before = seen.checkouts.get(row["id"], row)
        same = all(row[name] == before[name] for name in ("state", "order_id"))
        hold(
            before["state"] not in ENDED or same,
            "what had ended moved again", before=before, now=row,
        )  # fmt: skip
        seen.checkouts[row["id"]] = row
        seen.sessions.pop((before["merchant_id"], before["reference"]), None)
        if row["reference"] is not None:
            seen.sessions[row["merchant_id"], row["reference"]] = row["id"]
    for held in look["holds"] or []:
        before = seen.holds.get(held["id"], "reserved")
        hold(before in HELD, "a hold ended and moved again", before=before, now=held)
        seen.holds[held["id"]] = held["state"]
    for refund in look["refunds"] or []:
        before = seen.refunds.get(refund["id"], refund)
        same = before["state"] == refund["state"]
        hold(before["state"] in OPEN or same, "a refund ended and moved again", now=refund)
        seen.refunds[refund["id"]] = refund
    return {row["id"] for row in look["rows"] or []}


def _charges(world: World, moved: AbstractSet[str]) -> None:
    seen = world.audience.seen
    for intent in world.bank_things("payment_intent"):
        purchase = intent["metadata"]["purchase_id"]
        if seen.judged.get(intent["id"]) is intent and purchase not in moved:
            continue
        seen.judged[intent["id"]] = intent
        row = seen.checkouts.get(purchase)
        hold(row is not None, "a charge for no checkout", intent=intent["id"])
        assert row is not None
        agreed = row["confirmed"]
        hold(
            agreed is not None and agreed["hash"] == row["confirmation_hash"],
            "a charge without consent to what the row shows", row=row,
        )  # fmt: skip
        hold(
            intent["amount"] == row["confirmation"]["total"] == row["total"],
            "a charge of another amount than was agreed", intent=intent["id"], row=row,
        )  # fmt: skip
        took = intent["amount_received"] > 0
        hold(
            not took or row["merchant_order_id"] is not None,
            "captured before the merchant had the order", intent=intent["id"], row=row,
        )  # fmt: skip
        hold(row["settlement"] == "platform", "we charged for a merchant of record", row=row)
        captures = seen.captures.setdefault(purchase, set())
        captures |= {intent["id"]} if took else set()
        hold(len(captures) <= 1, "captured more than once", row=row, captures=captures)


def _returns(world: World) -> None:
    """Nothing comes back that was not taken, or that nobody asked for; and who gets all of it back
    for a cancellation is no longer expected by the merchant."""
    back = returned(world)
    asked: dict[str, int] = {}
    for refund in world.audience.seen.refunds.values():
        if refund["state"] in {"refunding", "completed", "failed"}:
            paid_with = refund["payment_id"]
            asked[paid_with] = asked.get(paid_with, 0) + refund["amount"]
        if refund["order_state"] == "canceled":
            _let_go(world, refund)
    for intent in world.bank_things("payment_intent") if back else ():
        came, took = back.get(intent["id"], 0), intent["amount_received"]
        hold(came <= took, "more came back than was taken", intent=intent["id"], back=came)
        row = world.audience.seen.checkouts[intent["metadata"]["purchase_id"]]
        hold(
            came <= asked.get(intent["id"], 0) or row["order_id"] is None,
            "more came back than anybody asked for", row=row, back=came, asked=asked,
        )  # fmt: skip


def returned(world: World) -> dict[str, int]:
    """Payment → what came back of it, by the processor's own books."""
    back: dict[str, int] = {}
    for refund in world.bank_things("refund"):
        if refund["status"] == "succeeded":
            key = refund["payment_intent"]
            back[key] = back.get(key, 0) + refund["amount"]
    return back


def _let_go(world: World, refund: Mapping[str, Any]) -> None:
    theirs = world.merchant_order(refund["merchant_id"], refund["merchant_order_id"])
    hold(
        theirs is None or theirs["status"] == "canceled",
        "canceled with us and not at the merchant", refund=refund,
    )  # fmt: skip


def _goods(world: World, moved: AbstractSet[str]) -> None:
    """At most one order for a session, of exactly what was agreed, and only after consent."""
    seen = world.audience.seen
    for seller in SESSION:
        for order in world.merchant_orders(seller):
            session = f"mer_{seller}", order[SESSION[seller]]
            checkout_id = seen.sessions.get(session)
            if seen.judged.get(order["id"]) is order and checkout_id not in moved:
                continue
            seen.judged[order["id"]] = order
            first = seen.ordered.setdefault(session, order["id"])
            hold(first == order["id"], "two orders of one session", session=session)
            hold(checkout_id is not None, "an order that nobody asked for", order=order)
            row = seen.checkouts[checkout_id or ""]
            hold(row["confirmed"] is not None, "an order without consent", row=row)
            asked = sorted((line["item_id"], line["quantity"]) for line in row["lines"])
            hold(_things(order) == asked, "another quantity", asked=asked, order=order)


def _things(order: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(item, units) of a merchant's own order, whichever words its protocol has for them."""
    found = []
    for line in order.get("line_items") or order["lines"]:
        quantity = line["quantity"]
        units = quantity["ordered"] if isinstance(quantity, dict) else quantity
        item = line.get("product_id") or line.get("item_id") or (line.get("item") or {}).get("id")
        found.append((item or line["id"], units))
    return sorted(found)
