"""Recording and playing a tape (vcrpy): what is kept of an exchange, and that no more is asked.

A tape keeps the address it was recorded at as `HOME`, of the headers only those that mean something
to the protocol, and no secret. When it plays, a request must be on it, in order and to the byte of
its body, and no socket opens.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import vcr
import yaml

FOLDER = Path(__file__).parent
HOME = "http://127.0.0.1:4001"
# Of a request and of an answer. No Authorization, no signature, nothing about this machine.
_KEPT = frozenset(
    {"content-type", "idempotency-key", "api-version", "stripe-version", "idempotent-replayed"}
)
_SECRETS = (
    (re.compile(r'("client_secret": ?")[^"]*'), r"\1filtered"),
    (re.compile(r"_secret_[A-Za-z0-9]+"), "_secret_filtered"),
)


class SocketsClosed(AssertionError):
    """A tape was playing, and something went out all the same."""


class _Yaml:
    """The tape as YAML that says what it was recorded from, and on which day."""

    def __init__(self, source: str, day: date) -> None:
        self._head = {"recorded_from": source, "day": day.isoformat()}

    def serialize(self, tape: dict[str, Any]) -> str:
        return yaml.safe_dump(self._head | tape, sort_keys=False, allow_unicode=True, width=100)

    def deserialize(self, text: str) -> Any:
        return yaml.safe_load(text)


def path(name: str) -> Path:
    return FOLDER / f"{name}.yaml"


def day_of(name: str) -> date:
    """The day on which a tape was recorded: its walk must ask for the same days again."""
    head = path(name).read_text(encoding="utf-8").split("interactions:", 1)[0]
    return date.fromisoformat(str(yaml.safe_load(head)["day"]))


def _same_key(asked: Any, taped: Any) -> None:
    """A key of ours is made of our own ids: another one would be another act."""
    one, other = (request.headers.get("idempotency-key") for request in (asked, taped))
    assert one == other, f"the key {one!r} is not the taped {other!r}"


def _tape(serializer: _Yaml, url: str, mode: str) -> vcr.VCR:
    def cleaned(text: bytes | str) -> Any:
        told = (text.decode() if isinstance(text, bytes) else text).replace(url, HOME)
        for pattern, instead in _SECRETS:
            told = pattern.sub(instead, told)
        return told.encode() if isinstance(text, bytes) else told

    def asked(request: Any) -> Any:
        request.uri = cleaned(request.uri)
        request.body = cleaned(request.body) if request.body else request.body
        request.headers = {k: v for k, v in request.headers.items() if k.lower() in _KEPT}
        return request

    def answered(response: dict[str, Any]) -> dict[str, Any]:
        headers = {k: v for k, v in response["headers"].items() if k.lower() in _KEPT}
        body = {"string": cleaned(response["body"]["string"])}
        return response | {"headers": headers, "body": body}

    made = vcr.VCR(
        record_mode=vcr.record_mode.RecordMode(mode),
        match_on=["method", "uri", "raw_body", "key"],
        before_record_request=asked,
        before_record_response=answered,
    )
    made.register_matcher("key", _same_key)
    made.register_serializer("tape", serializer)
    return made


@contextmanager
def recording(name: str, url: str, *, source: str) -> Iterator[None]:
    """Everything asked inside goes out to `url` and onto the tape, whatever it held before."""
    path(name).unlink(missing_ok=True)
    tape = _tape(_Yaml(source, datetime.now(UTC).date()), url, "all")
    with tape.use_cassette(str(path(name)), serializer="tape"):
        yield


@contextmanager
def playing(name: str) -> Iterator[Any]:
    """Everything asked inside is answered from the tape; yields it, to see what was played."""
    tape = _tape(_Yaml("", date.min), HOME, "none")
    with sockets_closed(), tape.use_cassette(str(path(name)), serializer="tape") as played:
        yield played


@contextmanager
def sockets_closed() -> Iterator[None]:
    """No connection is made and no name is looked up inside."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise SocketsClosed("a tape plays with sockets closed")

    closed = [
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (socket.socket, "sendto"),
        (socket, "create_connection"),
        (socket, "getaddrinfo"),
    ]
    opened = [getattr(where, name) for where, name in closed]
    try:
        for where, name in closed:
            setattr(where, name, refuse)
        yield
    finally:
        for (where, name), real in zip(closed, opened, strict=True):
            setattr(where, name, real)
