"""What becomes of an order after it was bought: canceled, given back in parts, or moved.

Whoever asks may ask twice, from two tabs; what is asked is one refund, or one change.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.people import Person

ENDED = frozenset({"completed", "failed", "canceled", "expired"})
LOOKS = (5.0, 20.0, 65.0)
# A booking is for two people at seven: what may be wanted instead, dearer, cheaper or as dear.
MOVES: tuple[dict[str, Any], ...] = (
    {"party": 4},
    {"party": 3},
    {"party": 1},
    {"time": "20:00"},
    {"date": "2031-03-13", "party": 1},
    {"date": "2031-03-14"},
    {},
)


async def regret(person: "Person", checkout_id: str) -> None:
    """Looks at the checkout after a while; if it became an order, does something about it."""
    for wait in LOOKS:
        await person.world.stage.sleep(wait)
        status, found = await person.send("GET", f"/api/checkouts/{checkout_id}", None)
        if status != 200 or found["state"] in ENDED:
            break
    if status != 200 or not found["order_id"]:
        return
    url = f"/api/orders/{found['order_id']}"
    [end] = person.random.choices((_given_back, _canceled, _moved), weights=person.habits.ends)
    for _ in range(person.random.choice((1, 1, 2))):
        if end is _moved and found["kind"] != "booking":
            end = _canceled
        await end(person, found, url)


async def _given_back(person: "Person", found: dict[str, Any], url: str) -> None:
    whole = found["total"] or 1
    body = {"reason": "sorry", "amount": person.random.choice((whole, 1, 100, whole // 3 or 1))}
    async with person.world.client(found["merchant"]["id"]) as staff:
        url = url.replace("/api/", "/merchant/v1/")
        await person.send("POST", f"{url}/refund", body, http=staff)


async def _canceled(person: "Person", _found: dict[str, Any], url: str) -> None:
    status, quote = await person.send("POST", f"{url}/cancellation", {})
    if status != 201:
        return
    confirm = f"{url}/cancellation/{quote['id']}/confirm"
    if person.random.random() < 0.3:
        person.world.stage.enter(f"{person.who}-cancels-too", _again(person, confirm))
    await person.send("POST", confirm, {})


async def _again(person: "Person", url: str) -> None:
    async with person.world.client(person.who) as http:
        await person.send("POST", url, {}, http=http)


async def _moved(person: "Person", _found: dict[str, Any], url: str) -> None:
    """A change is a checkout of its own: its hash is agreed to, or it is left to run out."""
    wanted = person.random.choice(MOVES)
    status, change = await person.send("POST", f"{url}/change", {"booking": wanted})
    if status == 201 and person.random.random() < 0.85:
        await person.buy(change)
