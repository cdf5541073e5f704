"""Partner merchants: who they are, how they are reached, what they pay, what people are told.

Outbound keys and signing secrets are sealed before they reach a row, and no document shows them.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
from sqlalchemy import BigInteger, CheckConstraint, DateTime, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from backend.errors import Conflict, NotFound, Unprocessable
from backend.fees import Commission, FeeError
from backend.ids import new_id
from backend.vault import Vault
from integrations import duffel
from integrations.acp import AcpPartner
from integrations.booking import BookingPartner
from integrations.duffel import DuffelPartner
from integrations.egress import why_private, why_refused
from integrations.money import MoneyError
from integrations.partner import clean_text
from integrations.ucp import Platform, UcpPartner

Protocol = Literal["acp", "ucp", "booking", "duffel"]
Status = Literal["draft", "testing", "live", "paused"]
Settlement = Literal["platform", "merchant", "handoff"]
Language = Literal["en", "zh"]

_MOMENT: Any = DateTime(timezone=True)  # an instance, which SQLModel's stubs do not foresee
_SECRETS = ("outbound_key", "webhook_secret")
_SETTABLE = frozenset(
    {
        "name",
        "protocol",
        "base_url",
        "discovery_url",
        "status",
        "settlement",
        "handoff_template",
        "commission_bps",
        "commission_fixed",
        "commission_currency",
        "stripe_account",
        *_SECRETS,
    }
)


class Merchant(SQLModel, table=True):
    """`outbound_key` and `webhook_secret` are sealed by the vault. Amounts are minor units."""

    __tablename__ = "merchant"
    __table_args__ = (
        CheckConstraint(
            "protocol IN ('acp', 'ucp', 'booking', 'duffel')", name="merchant_protocol"
        ),
        CheckConstraint("status IN ('draft', 'testing', 'live', 'paused')", name="merchant_status"),
        CheckConstraint(
            "settlement IN ('platform', 'merchant', 'handoff')", name="merchant_settlement"
        ),
        CheckConstraint("commission_bps BETWEEN 0 AND 10000", name="merchant_bps"),
        CheckConstraint("commission_fixed >= 0", name="merchant_fixed"),
    )
    id: str = Field(default_factory=lambda: new_id("mer"), primary_key=True)
    name: str
    protocol: str
    base_url: str | None = None
    discovery_url: str | None = None
    status: str = Field(default="draft", index=True)
    settlement: str = "platform"
    handoff_template: str | None = None
    commission_bps: int = 0
    commission_fixed: int = Field(default=0, sa_type=BigInteger)
    commission_currency: str = Field(default="EUR", max_length=3)
    stripe_account: str | None = None
    outbound_key: str | None = None
    webhook_secret: str | None = None
    created_at: datetime = Field(default_factory=func.now, sa_type=_MOMENT)
    updated_at: datetime = Field(default_factory=func.now, sa_type=_MOMENT)


async def create(
    session: AsyncSession, *, vault: Vault, id: str | None = None, **given: Any
) -> Merchant:
    """A new merchant, a draft unless `status` says more. `id` only for demo data and tests.

    Raises `Conflict` for an id that exists and `Unprocessable` for terms that cannot work.
    """
    row = Merchant(id=id or new_id("mer"), name="", protocol="acp")
    _set(row, given, vault)
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(f"There is a merchant {row.id} already") from error
    await session.refresh(row)
    return row


async def find(session: AsyncSession, merchant_id: str) -> Merchant | None:
    return await session.get(Merchant, merchant_id)


async def fetch(session: AsyncSession, merchant_id: str) -> Merchant:
    row = await find(session, merchant_id)
    if row is None:
        raise NotFound
    return row


async def newest(
    session: AsyncSession, *, limit: int, after: Merchant | None = None
) -> list[Merchant]:
    query = select(Merchant).order_by(col(Merchant.created_at).desc(), col(Merchant.id))
    if after is not None:
        at, older = after.created_at, col(Merchant.created_at) < after.created_at
        query = query.where(
            older | ((col(Merchant.created_at) == at) & (col(Merchant.id) > after.id))
        )
    return list((await session.execute(query.limit(limit))).scalars())


async def live(session: AsyncSession, *, protocol: Protocol) -> list[Merchant]:
    """Those that may appear in a search now. Duffel sells by date like the booking API."""
    spoken = ("booking", "duffel") if protocol == "booking" else (protocol,)
    query = select(Merchant).where(
        col(Merchant.status) == "live", col(Merchant.protocol).in_(spoken)
    )
    return list((await session.execute(query.order_by(col(Merchant.id)))).scalars())


async def change(
    session: AsyncSession, merchant_id: str, *, vault: Vault | None = None, **given: Any
) -> Merchant:
    """Only what is given changes. Secrets need the `vault`. Raises as `create` does."""
    row = await fetch(session, merchant_id)
    _set(row, given, vault)
    now: Any = func.now()  # the database's clock
    row.updated_at = now
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def connect(
    session: AsyncSession, merchant_id: str, *, vault: Vault, base_url: str, outbound_key: str
) -> Merchant:
    """Where the merchant is reached now, and with which key. UCP merchants are found there."""
    row = await fetch(session, merchant_id)
    where = "discovery_url" if row.protocol == "ucp" else "base_url"
    return await change(
        session, merchant_id, vault=vault, outbound_key=outbound_key, **{where: base_url}
    )


def _set(row: Merchant, given: Mapping[str, Any], vault: Vault | None) -> None:
    if unknown := set(given) - _SETTABLE:
        raise TypeError(f"not fields of a merchant: {', '.join(sorted(unknown))}")
    for name, value in given.items():
        if name in _SECRETS:
            if value is not None:
                if vault is None:
                    raise TypeError("a secret needs the vault")
                if name == "outbound_key":
                    _check_key(value)
                setattr(row, name, vault.seal(value))
        else:
            setattr(row, name, value)
    _check(row)


def _check_key(value: str) -> None:
    """It travels in a header, where anything else would fail each of our calls to the merchant."""
    if not all("!" <= c <= "~" for c in value):
        raise Unprocessable("outbound_key: give printable ASCII without spaces or line ends")


def _check(row: Merchant) -> None:
    row.name = clean_text(row.name, 200)
    if not row.name:
        raise Unprocessable("name: say what people know you as")
    for name in ("base_url", "discovery_url", "handoff_template"):
        value = getattr(row, name)
        if value is not None:
            _check_url(name, value)
    try:
        commission(row)
    except (FeeError, MoneyError) as error:
        raise Unprocessable(f"commission: {error}") from error
    if row.status == "live":
        _check_live(row)


def _check_live(row: Merchant) -> None:
    if row.settlement == "handoff":
        if not row.handoff_template:
            raise Unprocessable("handoff_template: a merchant that people are sent to needs one")
        return
    if row.protocol == "ucp":
        if not row.discovery_url:
            raise Unprocessable("discovery_url: set it before a UCP merchant goes live")
    elif row.protocol == "duffel":
        if not row.outbound_key:
            raise Unprocessable("outbound_key: set Duffel's access token before it goes live")
    elif not row.base_url:
        raise Unprocessable("base_url: set it before the merchant goes live")


def _check_url(name: str, value: str) -> None:
    """Its form only; what it may reach is decided at each call by the egress guard."""
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise Unprocessable(f"{name}: not a web address") from error
    wrong = parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine
    if wrong or parts.username or parts.password or value != clean_text(value, 2000):
        raise Unprocessable(f"{name}: give an absolute http(s) address without user and password")


def check_reachable(given: Mapping[str, Any], *, allow: frozenset[str]) -> None:
    """Refuses an address that no call of ours, or no person's browser, could reach.

    `allow` names the `host:port` that may be private. Raises `Unprocessable`.
    """
    for name in ("base_url", "discovery_url"):
        url = given.get(name)
        if url is not None and (why := why_refused(url, allow)):
            raise Unprocessable(
                f"{name}: {why}; give a public https address", code="address_refused"
            )
    template = given.get("handoff_template")
    parts = urlsplit(template) if template is not None else None
    if parts and parts.hostname and parts.netloc not in allow and why_private(parts.hostname):
        raise Unprocessable(
            "handoff_template: give an address that people can open", code="address_refused"
        )


def commission(row: Merchant) -> Commission:
    return Commission(row.commission_bps, row.commission_fixed, row.commission_currency)


def document(row: Merchant) -> dict[str, Any]:
    """As operators see it. Of a secret only whether it is set."""
    return profile(row) | {
        "commission": {
            "bps": row.commission_bps,
            "fixed": row.commission_fixed,
            "currency": row.commission_currency,
        },
        "stripe_account": row.stripe_account,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def profile(row: Merchant) -> dict[str, Any]:
    """As the merchant sees itself."""
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "protocol": row.protocol,
        "base_url": row.base_url,
        "discovery_url": row.discovery_url,
        "settlement": row.settlement,
        "handoff_template": row.handoff_template,
        "outbound_key_set": row.outbound_key is not None,
        "webhook_secret_set": row.webhook_secret is not None,
    }


_DISCLOSURE: Mapping[tuple[Language, bool], str] = {
    ("en", True): "Emptor may earn a fee from {name} when you buy. It never changes the order of"
    " offers.",
    ("en", False): "{name} pays Emptor nothing. Payments never change the order of offers.",
    ("zh", True): "您购买后，Emptor 可能从 {name} 获得佣金；佣金不会影响结果的排序。",
    ("zh", False): "{name} 不向 Emptor 支付任何费用；付费不会影响结果的排序。",
}


def disclosure(row: Merchant, language: Language = "en") -> str:
    """What is said beside every offer, before anybody decides (FTC 16 CFR 255, P2B art. 5)."""
    pays = row.commission_bps > 0 or row.commission_fixed > 0
    return _DISCLOSURE[language, pays].format(name=row.name)


def handoff_url(row: Merchant, *, item_id: str, offer_id: str) -> str | None:
    """Where a person finishes: the template with `{item_id}` and `{offer_id}` filled in.

    A `{token}` in it stays for the checkout, whose attribution goes there.
    """
    if row.handoff_template is None:
        return None
    filled = row.handoff_template.replace("{item_id}", quote(item_id, safe=""))
    return filled.replace("{offer_id}", quote(offer_id, safe=""))


_MARK = "emptor_token"


def credited(url: str | None, token: str) -> str | None:
    """The merchant's address with our token: where its template has room, else as a parameter."""
    if url is None:
        return None
    if "{token}" in url:
        return url.replace("{token}", quote(token, safe=""))
    return marked(url, token)


_SIGNED = re.compile(r"(?:^|[-_])(?:sig|signature|hmac|hash|digest|checksum)$", re.IGNORECASE)


def marked(url: str | None, token: str) -> str | None:
    """The address where a merchant's own checkout goes on, with our token behind its query.

    One that signs its parameters is left as it is: another one could make it void, and the order
    that comes of it names the merchant's session as well.
    """
    if url is None:
        return None
    parts = urlsplit(url)
    names = [part.partition("=")[0] for part in parts.query.split("&")]
    if any(_SIGNED.search(name) or name == _MARK for name in names):
        return url
    query = "&".join(part for part in (parts.query, f"{_MARK}={quote(token)}") if part)
    return urlunsplit(parts._replace(query=query))


def webhook_secret(row: Merchant, vault: Vault) -> str | None:
    return vault.open(row.webhook_secret) if row.webhook_secret else None


Client = AcpPartner | BookingPartner | DuffelPartner | UcpPartner


def partner_for(
    row: Merchant, *, http: httpx.AsyncClient, vault: Vault, ucp: Platform | None = None
) -> Client:
    """The client that speaks to this merchant. `http` is the guarded one of `egress`, `ucp` who
    we are to UCP merchants.

    Raises `Unprocessable` for a merchant that cannot be spoken to.
    """
    if row.protocol == "ucp":
        return _ucp_partner(row, http, vault, ucp)
    if row.protocol == "duffel":
        token = vault.open(row.outbound_key) if row.outbound_key else ""
        return DuffelPartner(http, row.base_url or duffel.API, token)
    if row.base_url is None:
        raise Unprocessable(f"{row.name} has no base_url yet", code="merchant_not_connected")
    key = vault.open(row.outbound_key) if row.outbound_key else ""
    if row.protocol == "acp":
        return AcpPartner(http, row.base_url, key)
    return BookingPartner(http, row.base_url, key)


def _ucp_partner(
    row: Merchant, http: httpx.AsyncClient, vault: Vault, ucp: Platform | None
) -> UcpPartner:
    if row.discovery_url is None:
        raise Unprocessable(f"{row.name} has no discovery_url yet", code="merchant_not_connected")
    if ucp is None:
        raise Unprocessable("UCP is not spoken here", code="protocol_unsupported")
    key = vault.open(row.outbound_key) if row.outbound_key else ""
    return UcpPartner(http, row.discovery_url, key, platform=ucp)
