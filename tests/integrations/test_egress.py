"""The guard: nothing private is reached, nothing endless is read."""

import asyncio
import datetime
import gzip
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integrations.egress import (
    FEED_TYPES,
    AddressRefused,
    AnswerTooLarge,
    AnswerUnreadable,
    guarded_client,
    is_public,
)
from integrations.partner import PartnerRefused, PartnerUnknown, PartnerUnreachable
from tests.integrations import fakes_sockets as fakes

NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.5",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::",
        "2002:a00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001:db8::1",
        "not an address", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_told_apart(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"])
def test_public_addresses_pass(address: str):
    assert is_public(address)


async def _get(url: str, **settings):
    async with guarded_client(settings.pop("allow", NOBODY), **settings) as client:
        return await client.get(url)


async def test_a_private_address_is_refused_and_receives_no_byte():
    async with fakes.sink(fakes.answer()) as sink:
        for url in (
            f"http://127.0.0.1:{sink.port}/",
            f"https://127.0.0.1:{sink.port}/",
            f"http://localhost:{sink.port}/",
            f"http://2130706433:{sink.port}/",
            f"http://[::ffff:127.0.0.1]:{sink.port}/",
        ):
            with pytest.raises(AddressRefused) as refused:
                await _get(url)
            assert isinstance(refused.value, PartnerUnreachable)  # nothing about what was asked
            assert not isinstance(refused.value, PartnerRefused)
            assert refused.value.code == "address_refused"
        assert sink.connections == 0
        assert bytes(sink.received) == b""


async def test_a_name_that_leads_inside_is_refused_even_beside_a_public_answer():
    for answers in (["10.0.0.7"], ["93.184.216.34", "127.0.0.1"], ["::ffff:192.168.0.1"]):
        with pytest.raises(AddressRefused):
            await _get("https://shop.example/", resolve=fakes.Rebinding(answers))


async def test_a_rebinding_name_is_asked_once_and_the_checked_address_is_used():
    """The second answer, loopback, would be reached if anything resolved the name again."""
    async with fakes.sink(fakes.answer()) as sink:
        resolver = fakes.Rebinding(["203.0.113.1"], ["127.0.0.1"])
        with pytest.raises(AddressRefused):  # TEST-NET-3 is not public: refused at the first look
            await _get("https://rebind.example/", resolve=resolver)
        assert resolver.questions == 1
        public_first = fakes.Rebinding(["127.0.0.1"], ["127.0.0.2"])
        name = f"shop.example:{sink.port}"
        got = await _get(f"http://{name}/x", allow=frozenset({name}), resolve=public_first)
        assert got.status_code == 200
        assert public_first.questions == 1
        assert f"Host: {name}".encode() in bytes(sink.received)


async def test_an_allowed_host_and_port_may_be_private_but_no_other_port():
    async with fakes.sink(fakes.answer(b'{"a": 1}')) as sink, fakes.sink(fakes.answer()) as other:
        allow = frozenset({f"127.0.0.1:{sink.port}"})
        got = await _get(f"http://127.0.0.1:{sink.port}/", allow=allow)
        assert got.json() == {"a": 1}
        with pytest.raises(AddressRefused):
            await _get(f"http://127.0.0.1:{other.port}/", allow=allow)
        assert other.connections == 0


@pytest.mark.parametrize(
    "url",
    ["http://93.184.216.34/", "https://93.184.216.34:8443/", "https://user:pw@93.184.216.34/"],
)
async def test_plain_http_other_ports_and_credentials_are_refused(url: str):
    with pytest.raises(AddressRefused):
        await _get(url)


async def test_a_redirect_to_a_private_address_is_not_followed():
    async with fakes.sink(fakes.answer(b"secret")) as inside:
        more = f"location: http://127.0.0.1:{inside.port}/latest/meta-data\r\n"
        async with fakes.sink(fakes.answer(b"", status="302 Found", more=more)) as outside:
            allow = frozenset({f"127.0.0.1:{outside.port}"})
            with pytest.raises(AnswerUnreadable) as refused:
                await _get(f"http://127.0.0.1:{outside.port}/", allow=allow)
        assert refused.value.code == "redirected"
        assert inside.connections == 0


async def test_a_gzip_bomb_stops_at_the_limit():
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 9)
    assert len(bomb) < 256 * 1024  # small on the wire
    async with fakes.sink(fakes.answer(bomb, more="content-encoding: gzip\r\n")) as sink:
        with pytest.raises(AnswerTooLarge) as refused:
            await _get(
                f"http://127.0.0.1:{sink.port}/", allow=frozenset({f"127.0.0.1:{sink.port}"})
            )
    assert isinstance(refused.value, PartnerUnknown)


@pytest.mark.parametrize("head", ["transfer-encoding: chunked", "x-none: 1"])
async def test_a_body_without_an_end_is_left_at_the_limit(head: str):
    """Chunks for ever, or plain bytes until the connection closes, which it never does."""
    piece = b"ffff\r\n" + b" " * 0xFFFF + b"\r\n" if "chunked" in head else b" " * 0xFFFF
    sent = 0

    async def endless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n\r\n".encode()
        )
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            sent += len(piece)

    async with fakes.sink(endless) as sink:
        allow = frozenset({f"127.0.0.1:{sink.port}"})
        with pytest.raises(AnswerTooLarge):
            await _get(f"http://127.0.0.1:{sink.port}/", allow=allow)
    assert sent < 32 * 2**20, "the rest is not read to be thrown away"


async def test_headers_without_an_end_are_an_unknown_outcome():
    async def endless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"x-more: " + b"y" * 4000 + b"\r\n")
            await writer.drain()

    async with fakes.sink(endless) as sink:
        allow = frozenset({f"127.0.0.1:{sink.port}"})
        with pytest.raises(PartnerUnknown):
            await _get(f"http://127.0.0.1:{sink.port}/", allow=allow, total_deadline_s=5)


async def test_each_call_looks_again_where_a_name_leads():
    """Public when it was set, private when it is called: yesterday's answer vouches for nothing."""
    resolver = fakes.Rebinding(["10.0.0.7"], ["169.254.169.254"])
    async with guarded_client(NOBODY, resolve=resolver) as client:
        for _ in range(2):
            with pytest.raises(AddressRefused):
                await client.get("https://shop.example/feed")
    assert resolver.questions == 2


async def test_gzip_is_unpacked_and_its_headers_are_gone():
    packed = gzip.compress(b'{"hello": "you"}')
    async with fakes.sink(fakes.answer(packed, more="content-encoding: gzip\r\n")) as sink:
        got = await _get(
            f"http://127.0.0.1:{sink.port}/", allow=frozenset({f"127.0.0.1:{sink.port}"})
        )
    assert got.json() == {"hello": "you"}
    assert "content-encoding" not in got.headers


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"{}", "br"), (b"not gzip", "gzip"), (gzip.compress(b"{}" * 999)[:-9], "gzip")],
    ids=["no such encoding here", "not packed at all", "cut short"],
)
async def test_an_encoding_that_cannot_be_read_is_an_unknown_outcome(body: bytes, encoding: str):
    async with fakes.sink(fakes.answer(body, more=f"content-encoding: {encoding}\r\n")) as sink:
        with pytest.raises(AnswerUnreadable):
            await _get(
                f"http://127.0.0.1:{sink.port}/", allow=frozenset({f"127.0.0.1:{sink.port}"})
            )


async def test_a_slow_drip_ends_at_the_total_deadline():
    async def drip(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: 1000\r\n\r\n")
        for _ in range(2000):  # each byte comes well inside any per-read time-out
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with fakes.sink(drip) as sink:
        started = time.monotonic()
        with pytest.raises(PartnerUnknown) as cut:
            await _get(
                f"http://127.0.0.1:{sink.port}/",
                allow=frozenset({f"127.0.0.1:{sink.port}"}),
                total_deadline_s=0.3,
            )
        assert cut.value.code == "timeout"
        assert 0.25 < time.monotonic() - started < 20


async def test_a_cut_answer_is_unknown_but_a_closed_port_is_unreachable():
    async def cut(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{")
        await writer.drain()

    async with fakes.sink(cut) as sink:
        allow = frozenset({f"127.0.0.1:{sink.port}"})
        with pytest.raises(PartnerUnknown) as lost:
            await _get(f"http://127.0.0.1:{sink.port}/", allow=allow)
        assert lost.value.code == "connection_cut"
    with pytest.raises(PartnerUnreachable):
        await _get(f"http://127.0.0.1:{sink.port}/", allow=allow)


async def test_a_name_without_an_address_is_unreachable():
    async def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(PartnerUnreachable):
        await _get("https://nowhere.example/", resolve=nowhere)


async def test_only_json_is_taken_unless_a_feed_is_expected():
    async with fakes.sink(fakes.answer(b"a,b\n1,2\n", kind="text/csv; charset=utf-8")) as sink:
        url, allow = f"http://127.0.0.1:{sink.port}/", frozenset({f"127.0.0.1:{sink.port}"})
        with pytest.raises(AnswerUnreadable):
            await _get(url, allow=allow)
        got = await _get(url, allow=allow, content_types=FEED_TYPES)
        assert got.text == "a,b\n1,2\n"


async def test_the_environment_cannot_put_a_proxy_in_between(monkeypatch: pytest.MonkeyPatch):
    async with fakes.sink(fakes.answer()) as proxy, fakes.sink(fakes.answer()) as sink:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await _get(f"http://127.0.0.1:{sink.port}/", allow=frozenset({f"127.0.0.1:{sink.port}"}))
        assert (proxy.connections, sink.connections) == (0, 1)


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_tls_checks_the_name_that_was_asked_for_not_the_address(tmp_path: Path):
    pem = _certificate(tmp_path, "shop.example")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem)
    names: list[str | None] = []
    served.sni_callback = lambda _socket, name, _context: names.append(name)
    trusted = ssl.create_default_context(cafile=str(pem))
    async with fakes.sink(fakes.answer(), tls=served) as sink:
        here = fakes.Rebinding(["127.0.0.1"])
        for host in ("shop.example", "other.example"):
            allow = frozenset({f"{host}:{sink.port}"})
            call = _get(f"https://{host}:{sink.port}/", allow=allow, resolve=here, tls=trusted)
            if host == "shop.example":
                assert (await call).status_code == 200
            else:
                with pytest.raises(PartnerUnreachable):
                    await call
    assert names == ["shop.example", "other.example"]
