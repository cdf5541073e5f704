"""The guarded HTTP client: the only way out to an address that a merchant gave us.

A merchant's URL is input. Each host is resolved once, every answer is checked, and the connection
goes to the checked address, so a name that changes its mind between check and use gains nothing
(the name stays in the Host header and in TLS). No redirect is followed, no proxy of the environment
is used, the whole exchange has one deadline, and bytes are counted after decompression.

A failure says whether anything can have happened at the merchant: `PartnerUnreachable`, which
`AddressRefused` is too, is raised before a byte is sent, `PartnerUnknown` after. Each host has a
lane of its own (`lanes.py`) and its name a lookup of its own (`names.py`), so that one that hangs
does not keep the others waiting.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import httpcore
import httpx

from integrations.lanes import Lanes
from integrations.names import Names
from integrations.partner import PartnerUnknown, PartnerUnreachable
from integrations.tls import roots

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

JSON_TYPES = frozenset({"application/json"})
FEED_TYPES = frozenset(
    {"application/jsonl", "application/x-ndjson", "application/json", "text/csv", "text/plain"}
)

# RFC 6052: these IPv6 addresses reach an IPv4 one through a translator.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Names that no public DNS answers: RFC 6761, 6762, 8375, and ICANN's for private use.
_INSIDE = re.compile(r"(^|\.)(localhost|local|internal|intranet|lan|home\.arpa)$")
# Not "global" in any sense we want, although the standard library has called it so.
_NEVER = (ipaddress.ip_network("192.88.99.0/24"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(PartnerUnreachable):
    """The address is not public, not https, or carries credentials. Nothing was sent.

    Not the merchant's word: a name that leads astray for a moment says nothing about an order.
    """


class AnswerTooLarge(PartnerUnknown):
    """More decompressed bytes than allowed: the answer was dropped unread."""


class AnswerUnreadable(PartnerUnknown):
    """A redirect, another content type, or an encoding that we did not ask for."""


def is_public(text: str) -> bool:
    """Whether a packet to this address leaves for the public internet, in any disguise."""
    try:
        address: Address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    return all(_plainly_public(seen) for seen in (address, *_embedded(address)))


def why_refused(url: str, allow: frozenset[str]) -> str:
    """Why a call to this address would be refused, as far as it shows without asking DNS; or ''.

    What a name leads to is looked at again for each call: an answer here would be old by then.
    """
    try:
        found = httpx.URL(url)
        _check_url(found, allow)
    except httpx.InvalidURL:
        return "it is not a web address"
    except AddressRefused as error:
        return error.detail
    return "" if _named(found) in allow else why_private(found.host)


def why_private(host: str) -> str:
    """Why no packet to this host can leave for the public internet, or '' if the name is open."""
    name = host.strip("[]").rstrip(".").lower()
    if _INSIDE.search(name) or (not re.search(r"[.:]", name) and not name.isdigit()):
        return f"{host} is a name inside a network"
    with contextlib.suppress(OSError):
        # 2130706433, 0x7f.1 and 127.1 are 127.0.0.1 to every system's resolver.
        name = socket.inet_ntoa(socket.inet_aton(name))
    literal = ":" in name or name.replace(".", "").isdigit()
    return f"{host} is not a public address" if literal and not is_public(name) else ""


def _plainly_public(address: Address) -> bool:
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    # `is_global` leaves multicast in, and has 100.64/10 (carrier NAT) neither private nor global.
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _embedded(address: Address) -> Iterable[Address]:
    """IPv4 addresses that an IPv6 one carries: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [found for found in inner if found is not None]


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses only. TLS still verifies the name, above this."""

    def __init__(self, allow: frozenset[str], resolve: Resolve) -> None:
        self._allow = allow
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        if f"{host}:{port}" not in self._allow:
            # One private answer among public ones is an attack or a mistake; both end here.
            for address in addresses:
                if not is_public(address):
                    raise AddressRefused(
                        f"{host} leads to an address that is not public", code="address_refused"
                    )
        refused: httpcore.ConnectError | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    address,
                    port,
                    timeout=timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except httpcore.ConnectError as error:
                refused = error
        raise refused or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends one request and returns its answer whole, or raises a `PartnerError`."""

    def __init__(
        self,
        allow: frozenset[str],
        *,
        total_deadline_s: float,
        limit_bytes: int,
        content_types: frozenset[str] | None,
        resolve: Resolve | None,
        tls: ssl.SSLContext | None,
        lanes: Lanes,
    ) -> None:
        self._allow = allow
        self._names = Names()
        self._lanes = lanes
        self._deadline_s = total_deadline_s
        self._limit = limit_bytes
        self._types = content_types
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or roots(),
            # The lanes bound what one host may have; together they must not wait for each other.
            max_connections=None,
            max_keepalive_connections=64,
            keepalive_expiry=5.0,
            network_backend=_CheckedNetwork(allow, resolve or self._names),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        _check_url(request.url, self._allow)
        async with self._lanes.through(_lane(request)) as passage:
            answer = await self._sent(request)
            passage.well = answer.status_code < 500
            return answer

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        sent = False

        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            nonlocal sent
            sent = sent or event.endswith("send_request_headers.started")

        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._exchange(request, trace)
        except TimeoutError as error:
            detail = f"no whole answer within {self._deadline_s:g} s"
            if sent:
                raise PartnerUnknown(detail, code="timeout") from error
            raise PartnerUnreachable(detail, code="timeout") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            if sent:
                raise PartnerUnknown("the connection was cut", code="connection_cut") from error
            raise PartnerUnreachable("no connection was made", code="unreachable") from error

    async def _exchange(
        self, request: httpx.Request, trace: Callable[..., Awaitable[None]]
    ) -> httpx.Response:
        assert isinstance(request.stream, AsyncIterable)
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                # Some time-out in every phase; the deadline around all of them is the real one.
                extensions={"timeout": {"pool": self._deadline_s}, "trace": trace},
            )
        )
        try:
            headers = httpx.Headers(answer.headers)
            body = await self._body(answer, headers.get("content-encoding", "identity").lower())
        finally:
            await answer.aclose()
        self._check_answer(answer.status, headers, body)
        for name in ("content-encoding", "content-length", "transfer-encoding"):
            headers.pop(name, None)
        return httpx.Response(answer.status, headers=headers, content=body, request=request)

    async def _body(self, answer: httpcore.Response, encoding: str) -> bytes:
        if encoding not in ("identity", "", "gzip"):
            raise AnswerUnreadable(f"encoding {encoding} was not asked for", code="unreadable")
        # `max_length` bounds each step: a bomb is noticed at the limit, not after a gigabyte.
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == "gzip" else None
        body = bytearray()
        assert isinstance(answer.stream, AsyncIterable)
        async for chunk in answer.stream:
            try:
                room = self._limit + 1 - len(body)
                body += unpack.decompress(chunk, room) if unpack else chunk
            except zlib.error as error:
                raise AnswerUnreadable("the answer is not valid gzip", code="unreadable") from error
            if len(body) > self._limit:
                raise AnswerTooLarge(f"more than {self._limit} bytes", code="too_large")
        if unpack and body and not unpack.eof:
            raise AnswerUnreadable("the answer is cut short", code="unreadable")
        return bytes(body)

    def _check_answer(self, status: int, headers: httpx.Headers, body: bytes) -> None:
        if 300 <= status < 400 and status != 304:
            raise AnswerUnreadable("redirects are not followed", code="redirected")
        kind = headers.get("content-type", "").split(";", 1)[0].strip().lower()
        if self._types is None or not body or not 200 <= status < 300:
            return
        if kind not in self._types and not ("application/json" in self._types and _json_like(kind)):
            raise AnswerUnreadable(f"{kind or 'no content type'} is not JSON", code="unreadable")

    async def aclose(self) -> None:
        self._names.close()
        await self._pool.aclose()


def _check_url(url: httpx.URL, allow: frozenset[str]) -> None:
    if url.userinfo:
        raise AddressRefused("an address must not carry credentials", code="address_refused")
    if _named(url) in allow and url.scheme in ("http", "https"):
        return
    if url.scheme != "https" or (url.port or 443) != 443:
        raise AddressRefused(f"{url.host} is not https on port 443", code="address_refused")


def _named(url: httpx.URL) -> str:
    return f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _lane(request: httpx.Request) -> str:
    """What only asks, as a live search does, has a lane beside the one for purchases: a partner
    that answers searches late is no longer searched, and still sells.
    """
    host = request.url.netloc.decode()
    asks = request.method == "POST" and "idempotency-key" not in request.headers
    return f"{host} (asked)" if asks else host


def _json_like(kind: str) -> bool:
    return kind.startswith("application/") and kind.endswith("+json")


def guarded_client(
    allow: frozenset[str],
    *,
    total_deadline_s: float = 10,
    limit_bytes: int = 256 * 1024,
    content_types: frozenset[str] | None = JSON_TYPES,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    lanes: Lanes | None = None,
) -> httpx.AsyncClient:
    """A client for merchants' addresses; `allow` names `host:port` that may be private or http.

    `content_types=FEED_TYPES` (with a larger limit) is for feeds, `None` takes any type. Clients
    that share `lanes` share each host's bounds.
    """
    transport = GuardedTransport(
        allow,
        total_deadline_s=total_deadline_s,
        limit_bytes=limit_bytes,
        content_types=content_types,
        resolve=resolve,
        tls=tls,
        lanes=lanes or Lanes(),
    )
    return httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        trust_env=False,
        timeout=total_deadline_s,
        headers={"accept-encoding": "gzip", "user-agent": "emptor/0.1"},
    )
