"""Small plans for tests: a few units, every kind of window."""

from typing import Any

from quotas.plans import Plan, Plans

HOUR = 3_600
DAY = 86_400


def bucket(name: str, cap: int, **other: Any) -> dict[str, Any]:
    return {"name": name, "role": name, "cap": cap, "policy": "session", "window": HOUR} | other


def plan(*buckets: dict[str, Any], name: str = "free", floor: str = "light_mini") -> Plan:
    """A plan with these buckets, and roomy ones for the roles that they leave out."""
    rest = ("light", "reasoning", "agent", "light_mini", "reasoning_mini")
    known = {b["role"] for b in buckets}
    table = {
        "title": name,
        "price": {"amount": 0, "currency": "USD"},
        "floor": floor,
        "bucket": [*buckets, *(bucket(r, 1_000) for r in rest if r not in known)],
    }
    return Plans.parse({"plan": {"free": table} | {name: table}}).plan(name)


def light(cap: int, **other: Any) -> dict[str, Any]:
    return bucket("light", cap, fallback="light_mini") | other
