"""UCP discovery: what a business says it can do, what we can, and what both can together.

A business's profile stands at `/.well-known/ucp` and names its version, its address, capabilities,
payment handlers and signing keys. 2026-01-11 wrote lists where 2026-04-08 writes maps; both are
read here and nowhere else. Ours is written for either, so that a business can read it back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from integrations.partner import PartnerGone, PartnerRefused
from integrations.signatures import SigningKey, public_keys
from integrations.wire import Unreadable, Wire, object_at, objects_at, text_at

VERSIONS = ("2026-04-08", "2026-01-11")  # newest first
SHOPPING = "dev.ucp.shopping"
CHECKOUT = f"{SHOPPING}.checkout"
CART = f"{SHOPPING}.cart"
ORDER = f"{SHOPPING}.order"
SEARCH = f"{SHOPPING}.catalog.search"
LOOKUP = f"{SHOPPING}.catalog.lookup"
FULFILLMENT = f"{SHOPPING}.fulfillment"
DISCOUNT = f"{SHOPPING}.discount"
CANCELLATION = "dev.emptor.order_cancellation"
HANDLER = "dev.emptor.platform_charge"
WELL_KNOWN = "/.well-known/ucp"

# What we speak, and what each extension stands on.
OURS: Mapping[str, tuple[str, ...]] = {
    CHECKOUT: (),
    CART: (),
    ORDER: (),
    SEARCH: (),
    LOOKUP: (),
    FULFILLMENT: (CHECKOUT,),
    DISCOUNT: (CHECKOUT, CART),
    CANCELLATION: (ORDER,),
}
_OURS_FIRST_VERSION = frozenset({CHECKOUT, ORDER, FULFILLMENT, DISCOUNT, CANCELLATION})
_SPEC = "https://ucp.dev"
FRESH_S = 600.0
KEYS_FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class Business:
    """A business as negotiated: `active` holds what both sides can do in `version`."""

    version: str
    endpoint: str
    active: frozenset[str]
    handlers: frozenset[str]
    keys: Mapping[str, Any] = field(default_factory=dict)


def profile_url(discovery_url: str) -> str:
    """A business's profile: an address without a path means its well-known place."""
    bare = urlsplit(discovery_url).path in ("", "/")
    return discovery_url.rstrip("/") + WELL_KNOWN if bare else discovery_url


async def discover(http: httpx.AsyncClient, discovery_url: str) -> Business:
    """Read the profile and negotiate. No key of ours goes with the question.

    Raises `PartnerRefused` (`version_unsupported`, `capabilities_incompatible`) and `PartnerError`.
    """
    url = profile_url(discovery_url)
    document = await _read(http, url)
    version = text_at(object_at(document, "ucp"), "version", 20)
    if version not in VERSIONS:
        older = _older(document)
        if older is None:
            raise PartnerRefused(
                f"this business speaks UCP {version or 'of no version'}, we speak"
                f" {' and '.join(VERSIONS)}",
                code="version_unsupported",
            )
        document = await _read(http, older)
    return business_of(document)


async def _read(http: httpx.AsyncClient, url: str) -> Mapping[str, Any]:
    """A profile that is not there says nothing about the checkouts of the business."""
    try:
        return await Wire(http, url, "", {}).get("")
    except PartnerGone as gone:
        raise PartnerRefused(gone.detail, code=gone.code) from gone


def _older(document: Mapping[str, Any]) -> str | None:
    """Where the profile of the newest version stands that both speak."""
    listed = object_at(object_at(document, "ucp"), "supported_versions")
    known = (listed.get(version) for version in VERSIONS)
    return next((url for url in known if isinstance(url, str) and url), None)


def business_of(document: Mapping[str, Any]) -> Business:
    """A profile as what we can do with it. Raises `Unreadable` or `PartnerRefused`."""
    ucp = object_at(document, "ucp")
    version = text_at(ucp, "version", 20)
    if version not in VERSIONS:
        raise PartnerRefused(f"UCP {version} is not spoken here", code="version_unsupported")
    endpoint = _endpoint(ucp, version)
    offered = _capabilities(ucp, version)
    active = negotiated(offered)
    if CHECKOUT not in active:
        raise PartnerRefused("this business has no checkout", code="capabilities_incompatible")
    listed = document.get("signing_keys") or document.get("keys") or []
    return Business(
        version=version,
        endpoint=endpoint,
        active=active,
        handlers=_handlers(document, version),
        keys=public_keys(listed if isinstance(listed, list) else []),
    )


def negotiated(offered: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Names both sides have. An extension none of whose parents is left is pruned, and so on."""
    kept = {name for name in offered if name in OURS}
    while True:
        orphans = {name for name in kept if offered[name] and not kept & set(offered[name])}
        if not orphans:
            return frozenset(kept)
        kept -= orphans


def _endpoint(ucp: Mapping[str, Any], version: str) -> str:
    services = object_at(ucp, "services")
    if version == "2026-01-11":
        found = text_at(object_at(object_at(services, SHOPPING), "rest"), "endpoint", 2000)
    else:
        bindings = objects_at(services, SHOPPING)
        rest = [b for b in bindings if b.get("transport") == "rest"]
        found = next((text_at(b, "endpoint", 2000) for b in rest if b.get("endpoint")), "")
    if not found:
        raise PartnerRefused("this business has no REST endpoint", code="no_rest_endpoint")
    return found.rstrip("/")


def _capabilities(ucp: Mapping[str, Any], version: str) -> dict[str, tuple[str, ...]]:
    """Name → what it extends, of entries in a version that we know."""
    if version == "2026-01-11":
        entries = [(text_at(c, "name", 200), c) for c in objects_at(ucp, "capabilities")]
    else:
        listed = object_at(ucp, "capabilities")
        entries = [(name, c) for name in listed for c in objects_at(listed, name)]
    return {
        name: _parents(entry)
        for name, entry in entries
        if entry.get("version") in VERSIONS and str(entry["version"]) <= version
    }


def _parents(entry: Mapping[str, Any]) -> tuple[str, ...]:
    said = entry.get("extends")
    names = said if isinstance(said, list) else [said]
    return tuple(name for name in names if isinstance(name, str))


def _handlers(document: Mapping[str, Any], version: str) -> frozenset[str]:
    """The names of the ways to pay, without those of other versions' shapes."""
    if version == "2026-01-11":
        listed = objects_at(object_at(document, "payment"), "handlers")
        return frozenset(text_at(handler, "name", 200) for handler in listed)
    return frozenset(object_at(object_at(document, "ucp"), "payment_handlers"))


class Directory:
    """Profiles of businesses, kept for ten minutes. A failed look is not kept."""

    def __init__(
        self, http: httpx.AsyncClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._clock = clock
        self._known: dict[str, tuple[float, Business]] = {}

    async def business(self, discovery_url: str, *, fresh_s: float = FRESH_S) -> Business:
        """Raises what `discover` raises."""
        seen = self._known.get(discovery_url)
        if seen is not None and self._clock() - seen[0] < fresh_s:
            return seen[1]
        found = await discover(self._http, discovery_url)
        self._known[discovery_url] = (self._clock(), found)
        return found

    async def keys(self, discovery_url: str, kid: str) -> Mapping[str, Any]:
        """The business's signing keys. A key that we have not seen asks again, once a minute."""
        found = await self.business(discovery_url)
        if kid not in found.keys:
            found = await self.business(discovery_url, fresh_s=KEYS_FRESH_S)
        return found.keys


def platform_profile(
    version: str, *, base_url: str, webhook_url: str, keys: Sequence[SigningKey]
) -> dict[str, Any]:
    """Our own profile, for a business that reads `version`. Raises `Unreadable` for another."""
    if version not in VERSIONS:
        raise Unreadable(f"there is no profile of {version}")
    entries = _entries(version, webhook_url)
    rest = {"schema": f"{_SPEC}/services/shopping/rest.openapi.json", "endpoint": base_url}
    service = {"version": version, "spec": f"{_SPEC}/specification/overview"}
    signing = [key.jwk() for key in keys]
    handler = _first_handler(version)
    if version == "2026-01-11":
        ucp: dict[str, Any] = {
            "version": version,
            "services": {SHOPPING: {**service, "rest": rest}},
            "capabilities": [{"name": name, **entry} for name, entry in entries.items()],
        }
        return {"ucp": ucp, "payment": {"handlers": [handler]}, "signing_keys": signing}
    ways = {"id": handler["id"], "version": version, "spec": handler["spec"]}
    ucp = {
        "version": version,
        "supported_versions": {v: f"{base_url}{WELL_KNOWN}/{v}" for v in VERSIONS[1:]},
        "services": {SHOPPING: [{**service, "transport": "rest", "schema": rest["schema"]}]},
        "capabilities": {name: [entry] for name, entry in entries.items()},
        "payment_handlers": {HANDLER: [{**ways, "schema": handler["config_schema"]}]},
    }
    return {"ucp": ucp, "signing_keys": signing, "keys": signing}


def _entries(version: str, webhook_url: str) -> dict[str, dict[str, Any]]:
    """Each of our capabilities as a profile of this version lists it."""
    config = {ORDER: {"config": {"webhook_url": webhook_url}}}
    return {
        name: {
            "version": version,
            "spec": f"{_SPEC}/specification/{name.rsplit('.', 1)[-1]}",
            "schema": f"{_SPEC}/schemas/shopping/{name.rsplit('.', 1)[-1]}.json",
            **_extends(parents, version),
            **config.get(name, {}),
        }
        for name, parents in OURS.items()
        if version != "2026-01-11" or name in _OURS_FIRST_VERSION
    }


def _extends(parents: tuple[str, ...], version: str) -> dict[str, Any]:
    known = [p for p in parents if version != "2026-01-11" or p in _OURS_FIRST_VERSION]
    if not known:
        return {}
    return {"extends": known[0] if len(known) == 1 else known}


def _first_handler(version: str) -> dict[str, Any]:
    """How a charge of ours is handed on: by its id, which the business can take nothing more of."""
    return {
        "id": "emptor",
        "name": HANDLER,
        "version": version,
        "spec": f"{_SPEC}/specification/payment-handler-guide",
        "config_schema": f"{_SPEC}/schemas/payment_handler.json",
        "instrument_schemas": [f"{_SPEC}/schemas/shopping/types/card_payment_instrument.json"],
        "config": {},
    }
