"""What a route works with: the store, events, expansion, and who is asking."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from integrations.simulators.stripe import shapes
from integrations.simulators.stripe.rules import ApiError, missing, text, whole
from integrations.simulators.stripe.store import Store, Thing

Params = dict[str, Any]
Route = Callable[..., Thing]

# As there are test cards, there are test accounts: these exist as soon as somebody names them.
_DEMO_ACCOUNT = re.compile(r"acct_demo_[a-z0-9_]{1,40}")
# Stripe: "data is typically searchable in under a minute"; never rely on it to read back a write.
SEARCH_LAG_S = 60.0


@dataclass(slots=True)
class Hooks:
    """Where events go, and how badly: copies of each, how late, in which order."""

    url: str | None = None
    secret: str = ""
    copies: int = 1
    delay_s: float = 0.0
    reversed: bool = False


@dataclass(slots=True)
class World:
    """Used by one request at a time, inside the store's transaction."""

    store: Store
    url: str
    hooks: Hooks = field(default_factory=Hooks)
    search_lag_s: float = SEARCH_LAG_S
    request: Thing = field(default_factory=lambda: {"id": None, "idempotency_key": None})

    def need(self, kind: str, id_: str, *, param: str | None = None) -> Thing:
        """The object, or the 404 of a path (400 when a parameter named it)."""
        found = self.store.find(id_, kind)
        if found is None and kind == "account" and _DEMO_ACCOUNT.fullmatch(id_):
            found = self.store.add(shapes.demo_account(id_))
        if found is None:
            raise missing(kind, id_, param=param)
        return found

    def emit(self, type_: str, thing: Thing) -> None:
        event = shapes.event(type_, shown(thing), self.request)
        self.store.add(event)
        if self.hooks.url is not None:
            for _ in range(self.hooks.copies):
                self.store.enqueue(event["id"], after_s=self.hooks.delay_s)

    def page(
        self, kind: str, params: Params, url: str, keep: Callable[[Thing], bool] = lambda _: True
    ) -> Thing:
        """Newest first, with `limit`, `starting_after`, `ending_before` and `created[…]`."""
        limit = whole(params, "limit") or 10
        if not 1 <= limit <= 100:
            raise ApiError("limit must be between 1 and 100", param="limit")
        within = _created(params)
        found = [t for t in self.store.newest(kind) if within(t) and keep(t)]
        ids = [t["id"] for t in found]
        if after := text(params, "starting_after"):
            found = found[_index(ids, after, "starting_after") + 1 :]
        if before := text(params, "ending_before"):
            found = found[: _index(ids, before, "ending_before")][-limit:]
        return shapes.listing(found[:limit], url, has_more=len(found) > limit)

    def expand(self, thing: Thing, paths: list[str]) -> Thing:
        """A copy with the named ids replaced by their objects; unknown paths are refused."""
        result: Thing = shown(thing)
        for path in paths:
            if not isinstance(path, str) or path.count(".") > 3:
                raise ApiError("You can expand at most 4 levels", param="expand")
            self._open(result, path.split("."))
        return result

    def _open(self, thing: Any, path: list[str]) -> None:
        if isinstance(thing, list):
            for item in thing:
                self._open(item, path)
            return
        name, rest = path[0], path[1:]
        if not isinstance(thing, dict) or name not in thing:
            raise ApiError(f"This property cannot be expanded ({name}).", param="expand")
        value = thing[name]
        if isinstance(value, str) and (found := self.store.find(value)) is not None:
            value = thing[name] = shown(found)
        if rest and value is not None:
            self._open(value, rest)


def shown(thing: Any) -> Any:
    """A deep copy without what only the simulator may know (names that start with `_`)."""
    if isinstance(thing, dict):
        return {k: shown(v) for k, v in thing.items() if not k.startswith("_")}
    return [shown(v) for v in thing] if isinstance(thing, list) else thing


def _index(ids: list[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise missing("object", wanted, param=param)
    return ids.index(wanted)


def _created(params: Params) -> Callable[[Thing], bool]:
    given = params.get("created") or {}
    if isinstance(given, str):
        exact = whole(params, "created")
        return lambda thing: bool(thing["created"] == exact)
    tests: Mapping[str, Callable[[int, int], bool]] = {
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
    }
    bounds = [(tests[name], whole(given, name) or 0) for name in given if name in tests]
    return lambda thing: all(test(thing["created"], bound) for test, bound in bounds)
