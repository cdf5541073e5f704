"""What merchants send as an order event, in either of its forms, as one.

ACP: `{"type", "data": {…, "checkout_session_id"}}`. Our booking API: `{"id", "type", "created_at",
"order": {…, "quote_id"}}`, as `integrations/booking.openapi.json` has it. Nothing here is verified.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.api.strict import parsed
from backend.errors import BadRequest
from integrations.wire import Unreadable, objects_at

_SHAPES = 'An order event is {"type":…,"data":{…}} or {"id":…,"type":…,"created_at":…,"order":{…}}'
_SETTLED = ("total", "amount_refunded")
_ID_MAX = 200


@dataclass(frozen=True, slots=True)
class Heard:
    """`order` is the merchant's whole order in ACP's words, `id` the event's own if it has one."""

    kind: str
    order: Mapping[str, Any]
    id: str | None = None

    @property
    def session_id(self) -> str:
        return str(self.order.get("checkout_session_id", ""))[:_ID_MAX]

    @property
    def order_id(self) -> str:
        return str(self.order.get("id", ""))[:_ID_MAX]

    def known_as(self, header: str, body: bytes) -> str:
        """What makes a repeat a repeat: its own id, which a new signature leaves the same."""
        return self.id or hashlib.sha256(header.encode() + body).hexdigest()


def heard(body: bytes) -> Heard:
    """Raises `BadRequest` for what is neither form, or could not be stored."""
    try:
        event = parsed(body)
        kind = event["type"]
        order = event["data"] if "data" in event else _in_acps_words(event["order"], event)
        named = None if "data" in event else event["id"]
    except (ValueError, KeyError, TypeError, AttributeError, Unreadable) as error:
        raise BadRequest(_SHAPES) from error
    if not isinstance(kind, str) or not isinstance(order, dict):
        raise BadRequest(_SHAPES)
    if named is not None and not (isinstance(named, str) and 0 < len(named) <= _ID_MAX):
        raise BadRequest("id: name the event in at most 200 characters")
    return Heard(kind[:100], order, named)


def _in_acps_words(order: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Total and refunded are fields of a booking's order, and entries of `totals` in ACP's."""
    beside = [t for t in objects_at(order, "totals") if t.get("type") not in _SETTLED]
    told = {"total": order.get("total"), "amount_refunded": order.get("refunded")}
    settled = [{"type": kind, "amount": sum_} for kind, sum_ in told.items() if sum_ is not None]
    named = {"checkout_session_id": order["quote_id"], "created_at": event["created_at"]}
    return {**order, **named, "totals": [*beside, *settled]}
