"""What a failed answer means, whatever the protocol."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from integrations.egress import guarded_client
from integrations.partner import (
    PartnerGone,
    PartnerNotNow,
    PartnerRefused,
    PartnerUnknown,
    PartnerUnreachable,
)
from integrations.tls import roots
from integrations.wire import Unreadable, Wire, link_at, segment, time_at
from tests.integrations import fakes_sockets as fakes


async def _post(port: int, body: dict[str, Any] | None = None, *, http: Any = None):
    async with http or guarded_client(frozenset({f"127.0.0.1:{port}"})) as client:
        wire = Wire(client, f"http://127.0.0.1:{port}/", "secret", {"API-Version": "1"})
        return await wire.post("/x", body or {}, key="k1")


def _error(code: str) -> bytes:
    return json.dumps({"type": "invalid_request", "code": code, "message": "No\u202e!"}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        ("400 Bad", _error("invalid_item_id"), PartnerRefused, "invalid_item_id"),
        ("401 No", b"", PartnerNotNow, "http_401"),
        ("402 Pay", _error("payment_declined"), PartnerRefused, "payment_declined"),
        ("403 No", b"", PartnerRefused, "http_403"),
        ("404 No", b"<html>", PartnerGone, "http_404"),
        ("405 No", _error("Robert'); DROP"), PartnerRefused, "robertdrop"),
        ("409 No", _error("conflict"), PartnerRefused, "conflict"),
        ("410 No", b"", PartnerGone, "http_410"),
        ("429 Slow", _error("rate_limited"), PartnerNotNow, "rate_limited"),
        ("408 Late", b"", PartnerUnknown, "http_408"),
        ("422 No", _error("idempotency_conflict"), PartnerUnknown, "idempotency_conflict"),
        ("422 No", _error("invalid"), PartnerRefused, "invalid"),
        ("500 Oops", b"", PartnerUnknown, "http_500"),
        ("503 Busy", _error("maintenance"), PartnerUnknown, "maintenance"),
        ("302 Go", b"", PartnerUnknown, "redirected"),
    ],
)
async def test_only_a_clear_no_to_a_write_says_that_it_is_refused(
    status: str, body: bytes, kind: type[Exception], code: str
):
    async with fakes.sink(fakes.answer(body, status=status)) as sink:
        with pytest.raises(kind) as raised:
            await _post(sink.port)
    assert type(raised.value) is kind or kind is PartnerUnknown
    assert raised.value.code == code
    assert "\u202e" not in raised.value.detail


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 No", PartnerNotNow),
        ("403 No", PartnerNotNow),
        ("429 Slow", PartnerNotNow),
        ("404 No", PartnerGone),
        ("410 Gone", PartnerGone),
        ("400 Bad", PartnerRefused),
        ("503 Busy", PartnerUnknown),
    ],
)
async def test_only_404_and_410_say_that_there_is_no_such_thing(status: str, kind: type[Exception]):
    async with (
        fakes.sink(fakes.answer(b"", status=status)) as sink,
        guarded_client(frozenset({f"127.0.0.1:{sink.port}"})) as client,
    ):
        with pytest.raises(kind) as raised:
            await Wire(client, f"http://127.0.0.1:{sink.port}", "secret", {}).get("/x")
    assert isinstance(raised.value, PartnerGone) == (kind is PartnerGone)
    assert isinstance(raised.value, PartnerUnreachable) == (kind is PartnerNotNow)


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("7", 7.0), ("0", 0.0), ("86400", 30.0), ("9" * 400, 30.0), ("-1", 0.0), ("soon", 0.0)],
)
async def test_how_long_a_partner_wants_to_be_left_alone_is_bounded(said: str, wait_s: float):
    slow = httpx.Response(429, headers={"Retry-After": said})
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: slow)) as client:
        with pytest.raises(PartnerNotNow) as raised:
            await Wire(client, "http://shop.example", "", {}).get("/x")
    assert raised.value.retry_after_s == wait_s


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":Infinity}', b"\xff\xfe{}",
     b"[" * 100_000],
)  # fmt: skip
async def test_a_200_that_is_no_json_object_is_unreadable(body: bytes):
    async with fakes.sink(fakes.answer(body)) as sink:
        with pytest.raises(Unreadable) as raised:
            await _post(sink.port)
    assert isinstance(raised.value, PartnerUnknown)


async def test_a_key_in_flight_is_asked_again_and_then_left_unknown():
    async with fakes.sink(fakes.answer(_error("idempotency_in_flight"), status="409 No")) as sink:
        with pytest.raises(PartnerUnknown) as raised:
            await _post(sink.port)
        assert raised.value.code == "idempotency_in_flight"
        assert bytes(sink.received).count(b"Idempotency-Key: k1") == 4


async def test_a_key_in_flight_that_ends_gives_its_answer():
    async def play(_head: bytes, writer: asyncio.StreamWriter) -> None:
        first = sink.connections == 1
        body = _error("idempotency_in_flight") if first else b'{"id": "cs_1"}'
        head = f"HTTP/1.1 {'409 No' if first else '200 OK'}\r\ncontent-type: application/json\r\n"
        writer.write(
            f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )
        await writer.drain()

    async with fakes.sink(play) as sink:
        assert await _post(sink.port) == {"id": "cs_1"}


async def test_a_plain_client_without_the_guard_is_told_apart_alike():
    async with fakes.sink(fakes.answer()) as sink:
        port = sink.port
    with pytest.raises(PartnerUnreachable):
        await _post(port, http=httpx.AsyncClient(verify=roots(), trust_env=False))

    async def cut(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")
        await writer.drain()

    async with fakes.sink(cut) as sink:
        with pytest.raises(PartnerUnknown):
            await _post(sink.port, http=httpx.AsyncClient(verify=roots(), trust_env=False))


@pytest.mark.parametrize("bad", ["", ".", "..", "../x", "a/b", "a?b", "a#b", "a b", "é", "x" * 201])
def test_an_id_that_could_leave_its_path_is_refused(bad: str):
    with pytest.raises(PartnerRefused) as refused:
        segment(bad)
    assert refused.value.code == "not_found"


def test_ids_of_known_shapes_pass():
    assert [segment(i) for i in ("cs_1", "a.b-c:d~e", "...")] == ["cs_1", "a.b-c:d~e", "..."]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://shop.example/x", True),
        ("http://127.0.0.1:9/x", True),
        ("http://127.0.0.1:8/x", False),
        ("http://shop.example/x", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//shop.example/x", False),
        ("https://user@shop.example/", False),
        ("https://shop.example\\@evil.example/", False),
        ("https://shop.example/\u202e", False),
        ("https://[", False),
        (7, False),
    ],
)
def test_only_links_that_a_person_may_be_sent_to_are_kept(url: Any, *, kept: bool):
    found = link_at({"u": url}, "u", base_url="http://127.0.0.1:9")
    assert found == (url if kept else None)


@pytest.mark.parametrize("said", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_no_calendar_has_in_utc_is_unreadable(said: str):
    with pytest.raises(Unreadable, match="expires_at"):
        time_at({"expires_at": said}, "expires_at")
