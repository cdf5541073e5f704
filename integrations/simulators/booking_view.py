"""How the demo booking partner writes options, quotes and orders: our booking API's objects."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from integrations.money import Money
from integrations.simulators.merchant import Refusal
from integrations.simulators.places import CURRENCY
from integrations.simulators.seating import LOW, Thing, When
from integrations.simulators.store import Document, rfc3339


def when_of(value: Any) -> When:
    """The request's booking. Raises `Refusal` 400."""
    try:
        at = time.fromisoformat(value["time"]) if value.get("time") else None
        nights = int(value["nights"]) if value.get("nights") is not None else None
        return When(date.fromisoformat(value["date"]), int(value["party"]), at, nights)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = "A booking has a date, a party, and a time or nights"
        raise Refusal(400, "invalid_booking", text, param="$.booking") from error


def booking(when: When) -> Document:
    body: Document = {"date": when.day.isoformat(), "party": when.party}
    if when.at is not None:
        body["time"] = when.at.strftime("%H:%M")
    if when.nights is not None:
        body["nights"] = when.nights
    return body


def option(
    thing: Thing, when: When, free: int, *, base_url: str, more: Mapping[str, str]
) -> Document:
    place = thing.place
    return {
        "item_id": thing.id,
        "vertical": place.kind,
        "title": thing.title,
        "title_zh": thing.zh,
        "description": place.about,
        "description_zh": place.about_zh,
        "category": place.kitchens[0] if place.kitchens else "hotel",
        "price": thing.unit(when),
        "currency": CURRENCY,
        "availability": "low_stock" if free <= LOW else "in_stock",
        "image_url": f"{base_url}/images/{thing.id}.svg",
        "rating": place.rating,
        "booking": booking(when),
        "attributes": {
            "city": place.town.name,
            "city_zh": place.town.zh,
            "area": place.area,
            "area_zh": place.area_zh,
            "cancellation": policy(thing),
            **({"tags": ", ".join(place.tags)} if place.tags else {}),
            **more,
        },
    }


def policy(thing: Thing) -> str:
    """The terms in a sentence; `penalty` is the same in cents."""
    hours = thing.place.free_hours
    if thing.room is None:
        share = thing.place.fee_bps // 100
        return (
            f"Free until {hours} hours before; later {share} % of the deposit is kept, "
            "all of it once the time has come. The deposit counts towards the bill."
        )
    if thing.room.fixed:
        return "Lower price: this booking cannot be refunded."
    return f"Free until {hours} hours before check-in at 15:00; later the first night is kept."


def penalty(thing: Thing, when: When, paid: int, quantity: int, now: datetime) -> int:
    """Cents that are kept when cancelled at `now`, at most what was paid."""
    start = thing.starts(when)
    if now >= start or (thing.room is not None and thing.room.fixed):
        return paid
    if start.astimezone(UTC) - now.astimezone(UTC) >= timedelta(hours=thing.place.free_hours):
        return 0
    if thing.room is None:
        return Money(paid, CURRENCY).share(bps=thing.place.fee_bps).amount
    return min(paid, thing.room.price * quantity)


def priced(thing: Thing, when: When, quantity: int, drift_bps: int) -> Document:
    """Lines, totals and total of `quantity` units."""
    plain = thing.unit(when)
    unit = plain + Money(plain, CURRENCY).share(bps=drift_bps).amount
    line = {
        "item_id": thing.id,
        "title": _line_title(thing, when),
        "quantity": quantity,
        "unit_amount": unit,
        "amount": unit * quantity,
    }
    label = "Room" if thing.room else "Deposit"
    totals = [total("items_base_amount", label, unit * quantity)]
    tax = thing.place.town.tax * when.party * (when.nights or 1) if thing.room else 0
    if tax:
        totals.append(total("tax", f"City tax {thing.place.town.name}", tax))
    totals.append(total("total", "Total", unit * quantity + tax))
    return {"lines": [line], "totals": totals, "total": unit * quantity + tax, "currency": CURRENCY}


def changed(prices: Document, paid: int) -> Document:
    """The prices of a change: `total` is what is still due; what was paid too much comes back."""
    whole = prices["total"]
    more = [total("already_paid", "Already paid", paid)]
    if whole < paid:
        more.append(total("refund_due", "You get back", paid - whole))
    due = max(0, whole - paid)
    totals = [t for t in prices["totals"] if t["type"] != "total"]
    return prices | {"totals": [*totals, *more, total("total", "Due now", due)], "total": due}


def whole(prices: Document) -> Document:
    """What the booking costs by itself, out of the prices of its change."""
    own = [t for t in prices["totals"] if t["type"] not in {"already_paid", "refund_due", "total"}]
    amount = sum(t["amount"] for t in own)
    return prices | {"totals": [*own, total("total", "Total", amount)], "total": amount}


def total(kind: str, label: str, amount: int) -> Document:
    return {"type": kind, "label": label, "amount": amount}


def _line_title(thing: Thing, when: When) -> str:
    if thing.room:
        nights = when.nights or 1
        return f"{thing.title}, {nights} night{'s' if nights > 1 else ''} from {when.day}"
    at = when.at.strftime("%H:%M") if when.at else "19:00"
    return f"{thing.title}, table for {when.party}, {when.day} {at}"


def message(severity: str, code: str, text: str, path: str) -> Document:
    return {"severity": severity, "code": code, "text": text, "path": path}


def lacking(quote: Document) -> list[Document]:
    """What nobody has said yet of whom it is for. A change is of a booking that is somebody's."""
    buyer = quote["buyer"] or {}
    if quote.get("changes"):
        return []
    asked = (
        ("$.buyer.email", "Where do we send the confirmation?", ("email",)),
        ("$.buyer.first_name", "Whose booking is it?", ("first_name", "last_name")),
    )
    return [
        message("error", "missing", text, path)
        for path, text, names in asked
        if not all(buyer.get(name) for name in names)
    ]


def order(
    identifier: str, quote: Document, prices: Document, *, base_url: str, now: datetime
) -> Document:
    return {
        "id": identifier,
        "status": "confirmed",
        "quote_id": quote["id"],
        "permalink_url": f"{base_url}/o/{identifier}",
        **prices,
        "booking": quote["booking"],
        "refunded": 0,
        "confirmed_at": rfc3339(now),
    }


def clocks(times: Sequence[time]) -> str:
    return ", ".join(at.strftime("%H:%M") for at in times)
